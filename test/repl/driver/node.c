#include "node.h"

#include "load.h"

#include <nthost/loader.h>
#include <nthost/utf.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const UINT8 stream_id[16] = "test stream 1234";

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

/* The driver's own files in memory, if there is such a place: it flushes them all the time, and
 * nothing here is about a loss of power. */
static bool make_folders(struct node *node)
{
    strcpy(node->state_dir, "/dev/shm/repl-test-XXXXXX");
    if (!mkdtemp(node->state_dir)) {
        strcpy(node->state_dir, "/tmp/repl-test-XXXXXX");
        if (!ok(mkdtemp(node->state_dir) != NULL))
            return false;
    }
    strcpy(node->backing, "/tmp/repl-volume-XXXXXX");
    if (!ok(mkdtemp(node->backing) != NULL))
        return false;
    snprintf(node->folder, sizeof node->folder, "%s/" NODE_FOLDER, node->backing);
    return ok(mkdir(node->folder, 0755) == 0);
}

static bool mount(struct node *node)
{
    char error[256] = "";
    NTSTATUS status;
    const struct fs_mount_options options = {
        .folder = node->backing,
        .number = 2,
        .drive = 'X',
        .cache = {.on = true, .delay_ms = 20, .mapped_delay_ms = 30}};

    nt_enter();
    node->volume = fs_mount(&options, &status, error, sizeof error);
    nt_leave();
    return ok(node->volume != NULL, "%s", error);
}

bool node_start(struct node *node, const struct node_options *options)
{
    struct nt_options host = {
        .scheduler = options->scheduler, .seed = options->seed, .processors = 2, .verifier = true};

    memset(node, 0, sizeof *node);
    if (!make_folders(node))
        return false;
    host.state_dir = node->state_dir;
    nt_start(&host);
    if (!mount(node))
        return false;
    node->driver = repl_load();
    if (!node->driver)
        return false;
    node->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
    node->model = model_new();
    return is_status(
               io_open(node->client, "\\\\.\\NtsRepl", GENERIC_READ | GENERIC_WRITE, &node->device),
               STATUS_SUCCESS) &&
           is_status(node_configure(node, options), STATUS_SUCCESS) &&
           is_status(node_role(node, ReplRolePrimary, 1), STATUS_SUCCESS) &&
           (options->no_ring ||
            node_lend(node, options->ring_bytes ? options->ring_bytes : 4u << 20));
}

void node_stop(struct node *node)
{
    if (node->client)
        io_client_destroy(node->client);
    if (node->lent)
        io_request_release(node->lent);
    nt_enter();
    if (node->driver)
        is_status(driver_unload(node->driver), STATUS_SUCCESS);
    if (node->volume) {
        fs_cache_drain(node->volume);
        is_status(fs_unmount(node->volume), STATUS_SUCCESS, "nothing is left open");
    }
    nt_leave();
    nt_stop();
    free(node->ring);
    free(node->dirty);
    free(node->found);
    if (node->model)
        model_free(node->model);
    nftw(node->state_dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    nftw(node->backing, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static size_t put_text(UCHAR *names, size_t at, const char *text)
{
    for (; *text; text++, at += sizeof(WCHAR))
        *(WCHAR *)(names + at) = (WCHAR)(UCHAR)*text;
    return at;
}

NTSTATUS node_configure(struct node *node, const struct node_options *options)
{
    UCHAR buffer[4096] = {0};
    REPL_CONFIG *config = (REPL_CONFIG *)buffer;
    REPL_SET *set = (REPL_SET *)(config + 1);
    REPL_RULE *rules = (REPL_RULE *)(set + 1);
    UCHAR *names = (UCHAR *)(rules + options->rule_count);
    size_t bytes = put_text(names, 0, "\\Device\\HarddiskVolume2\\" NODE_FOLDER);

    *set = (REPL_SET){.SetId = NODE_SET,
                      .Mode = options->mode ? options->mode : ReplModeAsync,
                      .RootLength = (UINT32)bytes};
    for (unsigned i = 0; i < options->rule_count; i++) {
        rules[i] = options->rules[i];
        rules[i].SetId = NODE_SET;
        rules[i].NameOffset = (UINT32)bytes;
        bytes = put_text(names, bytes, options->rule_names[i]);
        rules[i].NameLength = (UINT32)bytes - rules[i].NameOffset;
    }
    *config = (REPL_CONFIG){.Contract = REPL_CONTRACT_VERSION,
                            .Bytes = (UINT32)(names - buffer + bytes),
                            .Generation = node->generation,
                            .SetCount = 1,
                            .RuleCount = options->rule_count,
                            .NameBytes = (UINT32)bytes,
                            .StagingBytes = REPL_MIN_STAGING,
                            .JournalBytes = options->journal_bytes};
    memcpy(config->StreamId, stream_id, sizeof stream_id);
    NTSTATUS status = io_ioctl(node->client, node->device, REPL_IOCTL_SET_CONFIG, config,
                               config->Bytes, NULL, 0, NULL);
    if (status) {
        REPL_REFUSAL refusal = {0};
        io_ioctl(node->client, node->device, REPL_IOCTL_GET_REFUSAL, NULL, 0, &refusal,
                 sizeof refusal, NULL);
        diag("refused: reason %u, index %u, status %x", refusal.Reason, refusal.Index,
             refusal.Status);
    } else {
        node->generation++;
    }
    return status;
}

NTSTATUS node_role(struct node *node, UINT32 role, UINT64 epoch)
{
    const REPL_ROLE request = {.Role = role, .Epoch = epoch};

    return io_ioctl(node->client, node->device, REPL_IOCTL_SET_ROLE, &request, sizeof request, NULL,
                    0, NULL);
}

static void ring_ended(void *context, NTSTATUS status, ULONG_PTR information)
{
    (void)context, (void)status, (void)information;
}

REPL_STATUS node_status(struct node *node)
{
    REPL_STATUS status = {0};

    is_status(io_ioctl(node->client, node->device, REPL_IOCTL_GET_STATUS, NULL, 0, &status,
                       sizeof status, NULL),
              STATUS_SUCCESS);
    return status;
}

NTSTATUS node_acknowledge(struct node *node)
{
    const REPL_ACKNOWLEDGE all = {.Sequence = model_sequence(node->model)};

    return io_ioctl(node->client, node->device, REPL_IOCTL_ACKNOWLEDGE, &all, sizeof all, NULL, 0,
                    NULL);
}

bool node_lend(struct node *node, size_t bytes)
{
    const REPL_LEND lend = {.Contract = REPL_CONTRACT_VERSION,
                            .After = model_sequence(node->model)};

    node->ring_bytes = bytes;
    node->ring = aligned_alloc(4096, REPL_RING_HEADER_BYTES + bytes);
    memset(node->ring, 0, REPL_RING_HEADER_BYTES + bytes);
    if (!is_status(io_ioctl_start(node->client, node->device, REPL_IOCTL_LEND_RING, &lend,
                                  sizeof lend, node->ring, (ULONG)(REPL_RING_HEADER_BYTES + bytes),
                                  ring_ended, node, &node->lent),
                   STATUS_PENDING))
        return false;
    /* The driver's thread opens it. */
    for (unsigned i = 0; i < 1000 && node_status(node).State != ReplStateRing; i++)
        sched_run_for(10000);
    return is_int(node_status(node).State, ReplStateRing);
}

/* What of its name can be shown. */
static int narrow(const REPL_RECORD *record, char text[64])
{
    const WCHAR *name = (const void *)(record + 1);
    int length = 0;
    for (unsigned i = 0; i < record->NameLength / sizeof(WCHAR) && length < 60; i++)
        text[length++] = (char)name[i];
    if (record->Type == ReplRecordRename || record->Type == ReplRecordLink) {
        name += ((record->NameLength + 7) & ~7u) / sizeof(WCHAR);
        text[length++] = '>';
        for (unsigned i = 0; i < record->DataLength / sizeof(WCHAR) && length < 62; i++)
            text[length++] = (char)name[i];
    }
    return length;
}

bool node_apply(struct node *node, const REPL_RECORD *record)
{
    char text[64], why[512];

    if (record->Length <= 8 || record->Type == ReplRecordPad)
        return true;
    if (tap_option("trace"))
        diag("record %llu: type %u, file %02x%02x, flags %x, offset %llu, range %llu, %u "
             "bytes, '%.*s'",
             (unsigned long long)record->Sequence, record->Type, record->FileId[1],
             record->FileId[0], record->Flags, (unsigned long long)record->Offset,
             (unsigned long long)record->Range, record->DataLength, narrow(record, text), text);
    if (node->wanted && record->Sequence == node->wanted) {
        node->found = malloc(record->Length);
        memcpy(node->found, record, record->Length);
    }
    return model_apply(node->model, record, why, sizeof why) ||
           fail("record %llu of type %u, flags %x: %s", (unsigned long long)record->Sequence,
                record->Type, record->Flags, why);
}

bool node_read(struct node *node)
{
    REPL_RING_HEADER *ring = node->ring;
    UINT64 head = __atomic_load_n(&ring->Head, __ATOMIC_ACQUIRE);

    while (node->read < head) {
        const REPL_RECORD *record = (const void *)((UCHAR *)node->ring + REPL_RING_HEADER_BYTES +
                                                   node->read % node->ring_bytes);
        if (!ok(record->Magic == REPL_RECORD_MAGIC && record->Length >= 8 &&
                    record->Length <= head - node->read,
                "a record at %llu", (unsigned long long)node->read))
            return false;
        if (!node_apply(node, record))
            return false;
        node->read += record->Length;
    }
    __atomic_store_n(&ring->Tail, node->read, __ATOMIC_RELEASE);
    return true;
}

bool node_check(struct node *node, const char *when)
{
    REPL_STATUS status = node_status(node);
    char why[512];

    return is_int(status.State, ReplStateRing, "%s", when) &&
           is_int(status.CompletedSequence, status.LastSequence, "%s: nothing is in flight",
                  when) &&
           node_read(node) &&
           is_int(model_sequence(node->model), status.LastSequence, "%s: all is read", when) &&
           is_int(model_brackets(node->model), 0, "%s: no bracket is open", when) &&
           ok(model_compare(node->model, NODE_SET, node->folder, why, sizeof why), "%s: %s", when,
              why);
}

UNICODE_STRING node_name(struct node *node, const char *path)
{
    const char *root =
        *path == '/' ? "\\Device\\HarddiskVolume2" : "\\Device\\HarddiskVolume2\\" NODE_FOLDER;
    UNICODE_STRING name;
    size_t room = strlen(root) + strlen(path) + 2;
    size_t at;

    (void)node;
    path += *path == '/';
    name.Buffer = calloc(room, sizeof(WCHAR));
    at = put_text((UCHAR *)name.Buffer, 0, root) / sizeof(WCHAR);
    if (*path) {
        name.Buffer[at++] = '\\';
        at += (size_t)nt_name_from_unix(path, strlen(path), true, name.Buffer + at,
                                        (unsigned)(room - at));
    }
    name.Length = (USHORT)(at * sizeof(WCHAR));
    name.MaximumLength = (USHORT)(room * sizeof(WCHAR));
    return name;
}

NTSTATUS node_open(struct node *node, const char *path, ACCESS_MASK access, ULONG disposition,
                   ULONG options, PFILE_OBJECT *file)
{
    UNICODE_STRING name = node_name(node, path);
    struct nt_create create = {.name = &name,
                               .access = access | SYNCHRONIZE,
                               .attributes = FILE_ATTRIBUTE_NORMAL,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               .disposition = disposition,
                               .options = options | FILE_SYNCHRONOUS_IO_NONALERT,
                               .case_sensitive = true,
                               .mode = UserMode};
    NTSTATUS status = nt_create(&create);

    free(name.Buffer);
    *file = create.file;
    return status;
}
