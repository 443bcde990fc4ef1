/*
 * The fault sweep: a life of the driver again and again, each time with the next call stack failing
 * once, until none is left. Whatever fails, the IOCTL fails cleanly or goes on, and the same again
 * succeeds; numbers stay in order; nothing is left behind.
 */
#include "load.h"
#include "reader.h"

#include <nthost/loader.h>
#include <nthost/verifier.h>

#include <stdlib.h>
#include <string.h>

#define RING (1u << 20)

/* Once more if the first try met the failure. */
#define TRY(what) ((what) || (vf_fault_struck() && (what)))

static bool load(struct rig *rig)
{
    char error[512];

    repl_install();
    return NT_SUCCESS(
        driver_load(REPL_SERVICE, driver_path("repl"), &rig->driver, error, sizeof error));
}

static bool open_device(struct rig *rig)
{
    return NT_SUCCESS(
        io_open(rig->client, "\\\\.\\NtsRepl", GENERIC_READ | GENERIC_WRITE, &rig->device));
}

static bool configure(struct rig *rig, uint64_t generation)
{
    struct rig_config config;

    rig_standard(&config, generation);
    return NT_SUCCESS(rig_set_config(rig, &config));
}

static bool role(struct rig *rig)
{
    return NT_SUCCESS(rig_role(rig, ReplRolePrimary, 1, 0));
}

static bool begin(struct rig *rig, struct reader *reader)
{
    return reader_begin(reader, rig, RING) == STATUS_PENDING;
}

/* A reader at work: more than the ring and staging take, all read, brackets, what is dirty. */
static void work(struct rig *rig, struct reader *reader, unsigned records)
{
    REPL_BRACKET_STATUS list[16];
    struct {
        REPL_DIRTY_FILE file;
        REPL_DIRTY_RANGE ranges[4];
    } dirty;
    ULONG_PTR bytes = 0;
    UINT64 last = 0;

    for (unsigned i = 0; i < records && !tap_failing(); i++) {
        UINT64 sequence = rig_bookmark(rig, 500);

        if (!sequence)
            sequence = rig_bookmark(rig, 500);
        ok(sequence || rig_status(rig).State == ReplStateDirty);
        last = sequence ? sequence : last;
    }
    reader_follow(reader, last);
    if (last)
        ok(TRY(NT_SUCCESS(rig_acknowledge(rig, reader->last))));
    sched_run_for(6000 * RIG_MS);
    (void)rig_status(rig);
    while (NT_SUCCESS(rig_ioctl(rig, REPL_IOCTL_TAKE_DIRTY, NULL, 0, &dirty, sizeof dirty, NULL)))
        ;
    ok(TRY(
        NT_SUCCESS(rig_ioctl(rig, REPL_IOCTL_LIST_BRACKETS, NULL, 0, list, sizeof list, &bytes))));
    for (unsigned i = 0; i < bytes / sizeof *list; i++)
        ok(TRY(NT_SUCCESS(rig_close_bracket(rig, list[i].Bracket))));
    reader_follow(reader, rig_status(rig).LastSequence);
    is_int(rig_status(rig).OpenBrackets, 0);
    ok(TRY(NT_SUCCESS(rig_acknowledge(rig, reader->last))));
}

static bool round_of_life(void)
{
    struct rig rig = {0};
    struct reader reader = {0};
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .processors = 2, .verifier = true};
    bool more;

    strcpy(rig.state_dir, "/tmp/repl-stream-XXXXXX");
    if (!ok(mkdtemp(rig.state_dir) != NULL))
        return false;
    options.state_dir = rig.state_dir;
    nt_start(&options);
    if (!rig_mount(&rig))
        return false;
    vf_fault_round_begin();
    for (unsigned life = 0; life < 2 && !tap_failing(); life++) {
        if (!ok(TRY(load(&rig))))
            break;
        rig.client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
        if (ok(TRY(open_device(&rig))) && (life || ok(TRY(configure(&rig, 0)))) &&
            (life || ok(TRY(role(&rig)))) && ok(TRY(begin(&rig, &reader)))) {
            work(&rig, &reader, life ? 50 : 1400); /* beyond ring and staging */
            reader_die(&reader);
        }
        io_client_destroy(rig.client);
        is_status(driver_unload(rig.driver), STATUS_SUCCESS);
    }
    more = vf_fault_round_end();
    rig_unmount(&rig);
    nt_stop();
    rig_remove(rig.state_dir);
    return more;
}

NT_TEST(every_fallible_call_fails_once_on_every_stack_and_the_driver_goes_on)
{
    char failed[512] = "nothing";
    unsigned rounds = 0;
    bool more = true;

    vf_fault_sweep_begin(false);
    while (more && !tap_failing()) {
        tap_at("round %u", rounds);
        more = round_of_life();
        rounds++;
        if (tap_failing() && vf_fault_stacks()) {
            vf_fault_describe(vf_fault_stacks() - 1, failed, sizeof failed);
            diag("in round %u failed %s", rounds - 1, failed);
        }
    }
    tap_at(NULL);
    diag("%zu call stacks failed once each, in %u rounds", vf_fault_stacks(), rounds);
    ok(vf_fault_stacks() > 50);
}
