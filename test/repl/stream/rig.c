#include "rig.h"

#include "load.h"

#include <nthost/loader.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const UINT8 stream_id[16] = "test stream 1234";

bool rig_mount(struct rig *rig)
{
    char folder[96], error[256] = "";
    NTSTATUS status;
    const struct fs_mount_options options = {.folder = folder, .number = 2, .drive = 'X'};

    snprintf(folder, sizeof folder, "%s/volume", rig->state_dir);
    mkdir(folder, 0755);
    nt_enter();
    rig->volume = fs_mount(&options, &status, error, sizeof error);
    nt_leave();
    return ok(rig->volume != NULL, "%s", error);
}

void rig_unmount(struct rig *rig)
{
    nt_enter();
    if (rig->volume)
        is_status(fs_unmount(rig->volume), STATUS_SUCCESS, "nothing is left open");
    nt_leave();
    rig->volume = NULL;
}

bool rig_boot(struct rig *rig, uint64_t seed)
{
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = seed, .processors = 2, .verifier = true};

    rig->driver = NULL;
    rig->client = NULL;
    if (!rig->state_dir[0]) {
        strcpy(rig->state_dir, "/tmp/repl-stream-XXXXXX");
        if (!ok(mkdtemp(rig->state_dir) != NULL))
            return false;
    }
    options.state_dir = rig->state_dir;
    nt_start(&options);
    rig->driver = rig_mount(rig) ? repl_load() : NULL;
    if (!rig->driver) {
        nt_stop();
        return false;
    }
    rig->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
    return is_status(
        io_open(rig->client, "\\\\.\\NtsRepl", GENERIC_READ | GENERIC_WRITE, &rig->device),
        STATUS_SUCCESS);
}

void rig_halt(struct rig *rig)
{
    if (rig->client)
        io_client_destroy(rig->client);
    if (rig->driver)
        is_status(driver_unload(rig->driver), STATUS_SUCCESS);
    rig->client = NULL;
    rig->driver = NULL;
    rig_unmount(rig);
    nt_stop();
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

void rig_remove(const char *state_dir)
{
    nftw(state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void rig_end(struct rig *rig)
{
    rig_halt(rig);
    rig_remove(rig->state_dir);
    rig->state_dir[0] = 0;
}

bool rig_copy(const struct rig *rig, char state_dir[64])
{
    char command[256];

    strcpy(state_dir, "/tmp/repl-stream-XXXXXX");
    if (!ok(mkdtemp(state_dir) != NULL))
        return false;
    snprintf(command, sizeof command, "cp -a --sparse=always %s/. %s/", rig->state_dir, state_dir);
    return is_int(system(command), 0);
}

NTSTATUS rig_ioctl(struct rig *rig, ULONG code, const void *input, ULONG input_bytes, void *output,
                   ULONG output_bytes, ULONG_PTR *information)
{
    ULONG_PTR ignored;
    return io_ioctl(rig->client, rig->device, code, input, input_bytes, output, output_bytes,
                    information ? information : &ignored);
}

REPL_REFUSAL rig_refusal(struct rig *rig)
{
    REPL_REFUSAL refusal = {0};

    is_status(rig_ioctl(rig, REPL_IOCTL_GET_REFUSAL, NULL, 0, &refusal, sizeof refusal, NULL),
              STATUS_SUCCESS);
    return refusal;
}

REPL_STATUS rig_status(struct rig *rig)
{
    REPL_STATUS status = {0};

    is_status(rig_ioctl(rig, REPL_IOCTL_GET_STATUS, NULL, 0, &status, sizeof status, NULL),
              STATUS_SUCCESS);
    return status;
}

static UINT32 put_name(struct rig_config *config, const char *text)
{
    WCHAR *at = (WCHAR *)(config->names + config->header.NameBytes);
    UINT32 offset = config->header.NameBytes;

    for (; *text; text++, config->header.NameBytes += sizeof(WCHAR))
        *at++ = (WCHAR)*text;
    return offset;
}

void rig_config(struct rig_config *config, uint64_t generation, const struct rig_text *sets,
                unsigned set_count, unsigned rule_count)
{
    memset(config, 0, sizeof *config);
    config->header.Contract = REPL_CONTRACT_VERSION;
    config->header.Generation = generation;
    memcpy(config->header.StreamId, stream_id, 16);
    config->header.SetCount = set_count;
    config->header.RuleCount = rule_count;
    config->header.StagingBytes = REPL_MIN_STAGING;
    config->sets = (REPL_SET *)(&config->header + 1);
    config->rules = (REPL_RULE *)(config->sets + set_count);
    config->names = (UINT8 *)(config->rules + rule_count);
    for (unsigned i = 0; i < set_count; i++) {
        config->sets[i] = (REPL_SET){.SetId = i + 1, .Mode = ReplModeAsync};
        config->sets[i].RootOffset = put_name(config, sets[i].root);
        config->sets[i].RootLength = config->header.NameBytes - config->sets[i].RootOffset;
    }
    for (unsigned i = 0; i < rule_count; i++) {
        config->rules[i] = (REPL_RULE){.SetId = i + 1, .Kind = ReplRuleInclude};
        config->rules[i].NameOffset = put_name(config, sets[i].pattern);
        config->rules[i].NameLength = config->header.NameBytes - config->rules[i].NameOffset;
    }
    config->header.Bytes = (UINT32)(config->names - config->bytes) + config->header.NameBytes;
}

void rig_standard(struct rig_config *config, uint64_t generation)
{
    static const struct rig_text set[] = {{"\\??\\X:\\shop", "*.db"}};

    rig_config(config, generation, set, 1, 1);
    config->header.JournalBytes = REPL_MIN_JOURNAL;
}

NTSTATUS rig_set_config(struct rig *rig, const struct rig_config *config)
{
    return rig_ioctl(rig, REPL_IOCTL_SET_CONFIG, config->bytes, config->header.Bytes, NULL, 0,
                     NULL);
}

NTSTATUS rig_role(struct rig *rig, UINT32 role, UINT64 epoch, UINT64 sequence)
{
    const REPL_ROLE input = {.Role = role, .Epoch = epoch, .Sequence = sequence};

    return rig_ioctl(rig, REPL_IOCTL_SET_ROLE, &input, sizeof input, NULL, 0, NULL);
}

bool rig_primary(struct rig *rig, bool journal)
{
    struct rig_config config;

    rig_standard(&config, 0);
    if (!journal)
        config.header.JournalBytes = 0;
    if (!is_status(rig_set_config(rig, &config), STATUS_SUCCESS))
        return is_int(rig_refusal(rig).Reason, 0, "index %u, status %#x", rig_refusal(rig).Index,
                      rig_refusal(rig).Status);
    return is_status(rig_role(rig, ReplRolePrimary, 1, 0), STATUS_SUCCESS);
}

UINT64 rig_bookmark(struct rig *rig, unsigned bytes)
{
    struct {
        REPL_BOOKMARK bookmark;
        WCHAR label[REPL_MAX_LABEL_BYTES / 2];
    } input = {.bookmark.LabelLength = bytes};
    REPL_SEQUENCE sequence = {0};

    for (unsigned i = 0; i < bytes / 2; i++)
        input.label[i] = (WCHAR)('a' + i % 26);
    if (!NT_SUCCESS(rig_ioctl(rig, REPL_IOCTL_BOOKMARK, &input,
                              (ULONG)sizeof input.bookmark + bytes, &sequence, sizeof sequence,
                              NULL)))
        return 0;
    return sequence.Sequence;
}

UINT64 rig_open_bracket(struct rig *rig, UINT32 reason)
{
    const REPL_BRACKET input = {.Reason = reason};
    REPL_SEQUENCE sequence = {0};

    rig_ioctl(rig, REPL_IOCTL_OPEN_BRACKET, &input, sizeof input, &sequence, sizeof sequence, NULL);
    return sequence.Sequence;
}

NTSTATUS rig_close_bracket(struct rig *rig, UINT64 bracket)
{
    const REPL_BRACKET input = {.Bracket = bracket};
    REPL_SEQUENCE sequence = {0};

    return rig_ioctl(rig, REPL_IOCTL_CLOSE_BRACKET, &input, sizeof input, &sequence,
                     sizeof sequence, NULL);
}

NTSTATUS rig_acknowledge(struct rig *rig, UINT64 sequence)
{
    const REPL_ACKNOWLEDGE input = {.Sequence = sequence};

    return rig_ioctl(rig, REPL_IOCTL_ACKNOWLEDGE, &input, sizeof input, NULL, 0, NULL);
}

static void call_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct rig_call *call = context;

    call->status = status;
    call->information = information;
    call->calls++;
    call->done = true;
}

NTSTATUS rig_start(struct rig *rig, io_handle handle, struct rig_call *call, ULONG code,
                   const void *input, ULONG input_bytes, void *output, ULONG output_bytes)
{
    memset(call, 0, sizeof *call);
    return io_ioctl_start(rig->client, handle, code, input, input_bytes, output, output_bytes,
                          call_done, call, &call->request);
}

bool rig_wait(struct rig_call *call)
{
    for (unsigned i = 0; i < 100 && !call->done; i++)
        sched_run_for(10 * RIG_MS);
    if (call->done && call->request) {
        io_request_release(call->request);
        call->request = NULL;
    }
    return call->done && call->calls == 1;
}
