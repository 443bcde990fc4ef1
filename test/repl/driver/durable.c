/*
 * What waits for the backup in a durable set: a flush, and what programs commit by who flush
 * nothing afterwards. In an async set nothing waits.
 */
#include "node.h"
#include "resync.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 3

static NTSTATUS flushes(PFILE_OBJECT file, struct node *node)
{
    (void)node;
    return nt_flush(file, 0);
}

static NTSTATUS deletes(PFILE_OBJECT file, struct node *node)
{
    (void)node;
    return nt_dispose(file, FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS);
}

static NTSTATUS replaces(PFILE_OBJECT file, struct node *node)
{
    UNICODE_STRING name = node_name(node, "replaced");
    NTSTATUS status = nt_rename(file, NULL, &name, FILE_RENAME_REPLACE_IF_EXISTS);

    free(name.Buffer);
    return status;
}

static const struct step {
    const char *name;
    NTSTATUS (*run)(PFILE_OBJECT file, struct node *node);
} steps[STEPS] = {{"flush", flushes}, {"deletion", deletes}, {"rename", replaces}};

struct program {
    struct node node;
    const struct step *step;
    NTSTATUS status;
    bool done;
};

static void run(void *context)
{
    struct program *program = context;
    PFILE_OBJECT file;

    nt_enter();
    program->status = node_open(&program->node, program->step->name, DELETE | FILE_WRITE_DATA,
                                FILE_CREATE, 0, &file);
    if (NT_SUCCESS(program->status)) {
        program->status = program->step->run(file, &program->node);
        nt_close(file);
    }
    nt_leave();
    __atomic_store_n(&program->done, true, __ATOMIC_RELEASE);
}

#define CONTENT "content"

/* A file that nobody uses meanwhile. */
static bool make_other(struct node *node)
{
    PFILE_OBJECT file;
    bool good;

    nt_enter();
    good =
        is_status(node_open(node, "other", FILE_WRITE_DATA, FILE_CREATE, 0, &file), STATUS_SUCCESS);
    if (good) {
        good = is_status(nt_write(file, CONTENT, sizeof CONTENT, NULL, NULL), STATUS_SUCCESS);
        nt_close(file);
    }
    nt_leave();
    return good;
}

/* What a synchronisation asks for is answered, whoever waits in the same folder. */
static bool answers(struct node *node)
{
    static const WCHAR name[] = {'o', 't', 'h', 'e', 'r'};
    UCHAR input[sizeof(REPL_SYNC) + sizeof name];
    REPL_SYNC *sync = (REPL_SYNC *)input;
    REPL_SEQUENCE sequence;
    char content[64] = "";
    ULONG_PTR bytes = 0;

    *sync = (REPL_SYNC){.SetId = NODE_SET};
    if (!is_status(io_ioctl(node->client, node->device, REPL_IOCTL_SYNC_FOLDER, sync, sizeof *sync,
                            &sequence, sizeof sequence, NULL),
                   STATUS_SUCCESS))
        return false;
    *sync = (REPL_SYNC){
        .SetId = NODE_SET, .NameLength = sizeof name, .Offset = 1, .Range = sizeof content};
    memcpy(sync + 1, name, sizeof name);
    return is_status(io_ioctl(node->client, node->device, REPL_IOCTL_READ_RANGE, input,
                              sizeof input, content, sizeof content, &bytes),
                     STATUS_SUCCESS) &&
           is_int(bytes, sizeof CONTENT - 1) && is_str(content, &CONTENT[1]);
}

/* All threads do what they can, for so long that one who does not wait is done. */
static bool rest(struct node *node)
{
    for (unsigned i = 0; i < 200; i++) {
        sched_run_for(10000);
        if (!node_follow(node))
            return false;
    }
    return true;
}

static void each_step(UINT32 mode)
{
    struct program program = {0};
    struct node *node = &program.node;
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .mode = mode};
    bool held = node_start(node, &options) && make_other(node);

    for (unsigned i = 0; held && i < STEPS; i++) {
        const char *name = steps[i].name;

        program.step = &steps[i];
        program.done = false;
        struct nt_thread *thread = nt_spawn(name, run, &program);
        held = rest(node) && is_int(program.done, mode != ReplModeDurable, "%s waits", name) &&
               answers(node);
        is_status(node_acknowledge(node), STATUS_SUCCESS);
        held = rest(node) && ok(program.done, "%s ends once the backup has it", name) && held;
        nt_join(thread);
        held = is_status(program.status, STATUS_SUCCESS, "%s", name) && held;
    }
    ok(held && node_check(node, "at the end"));
    node_stop(node);
}

NT_TEST(what_commits_waits_for_the_backup)
{
    each_step(ReplModeDurable);
}

/* Whoever waits notices nothing of another configuration, but what it says of the wait. */
static void reconfigured(UINT32 mode, bool ends)
{
    struct program program = {.step = &steps[0]};
    struct node *node = &program.node;
    struct node_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .mode = ReplModeDurable};
    bool held = node_start(node, &options);
    struct nt_thread *thread;

    if (held) {
        thread = nt_spawn("flush", run, &program);
        held = rest(node) && ok(!program.done, "it waits");
        options.mode = mode;
        options.journal_bytes = 2 * REPL_MIN_JOURNAL;
        is_status(node_configure(node, &options), STATUS_SUCCESS);
        held = rest(node) && is_int(program.done, ends, "after the change") && held;
        is_status(node_acknowledge(node), STATUS_SUCCESS);
        held = rest(node) && ok(program.done, "once the backup has it") && held;
        nt_join(thread);
        held = is_status(program.status, STATUS_SUCCESS, "the flush") && held;
    }
    ok(held && node_check(node, "at the end"));
    node_stop(node);
}

NT_TEST(another_journal_ends_no_wait)
{
    reconfigured(ReplModeDurable, false);
}

NT_TEST(nothing_waits_in_a_set_that_is_durable_no_more)
{
    reconfigured(ReplModeAsync, true);
}

NT_TEST(and_nothing_does_in_async_mode)
{
    each_step(ReplModeAsync);
}
