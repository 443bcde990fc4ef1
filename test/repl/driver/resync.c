#include "resync.h"

#include <nthost/nt.h>

#include <stdlib.h>
#include <string.h>

#define MS         10000ull
#define READ_BYTES (4u << 20) /* a listing is at most 512 KiB, other records 1 MiB and names */

static const UINT8 no_id[16];

/* Following */

static void read_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    IO_STATUS_BLOCK *done = context;
    done->Information = information;
    __atomic_store_n(&done->Status, status, __ATOMIC_RELEASE);
}

/* What the journal and the staging have, once. *bytes 0: the ring goes on. */
static bool read_journal(struct node *node, ULONG *bytes)
{
    const REPL_READ read = {.After = model_sequence(node->model)};
    IO_STATUS_BLOCK done = {.Status = STATUS_PENDING};
    struct io_request *request;
    UCHAR *output = aligned_alloc(8, READ_BYTES);
    bool good =
        is_status(io_ioctl_start(node->client, node->device, REPL_IOCTL_READ_JOURNAL, &read,
                                 sizeof read, output, READ_BYTES, read_done, &done, &request),
                  STATUS_PENDING);

    *bytes = 0;
    if (!good)
        return false;
    for (unsigned i = 0; i < 200 && done.Status == STATUS_PENDING; i++)
        sched_run_for(5 * MS);
    if (done.Status == STATUS_PENDING)
        io_cancel(node->client, node->device, request);
    for (unsigned i = 0; i < 200 && done.Status == STATUS_PENDING; i++)
        sched_run_for(5 * MS);
    if (NT_SUCCESS(done.Status))
        *bytes = (ULONG)done.Information;
    for (ULONG at = 0; good && at < *bytes;) {
        const REPL_RECORD *record = (const void *)(output + at);
        good = ok(record->Magic == REPL_RECORD_MAGIC && record->Length >= 8 &&
                      record->Length <= *bytes - at,
                  "a record of the journal") &&
               node_apply(node, record);
        at += record->Length;
    }
    io_request_release(request);
    free(output);
    return good && ok(done.Status != STATUS_PENDING, "READ_JOURNAL ends");
}

bool node_follow(struct node *node)
{
    REPL_RING_HEADER *ring = node->ring;

    for (unsigned i = 0; i < 100; i++) {
        ULONG bytes = 0;
        bool closed = __atomic_load_n(&ring->Closed, __ATOMIC_ACQUIRE) != 0;

        if (!node_read(node))
            return false;
        if (!closed)
            return true;
        do {
            if (!read_journal(node, &bytes))
                return false;
        } while (bytes != 0);
    }
    return ok(false, "the ring opens again");
}

/* Synchronising */

struct run {
    struct node *node;
    UINT64 bracket;
    NTSTATUS status; /* the first failure that is not that something is gone */
};

static bool is_gone(NTSTATUS status)
{
    return status == STATUS_OBJECT_NAME_NOT_FOUND || status == STATUS_OBJECT_PATH_NOT_FOUND ||
           status == STATUS_NO_SUCH_FILE || status == STATUS_FILE_DELETED ||
           status == STATUS_DELETE_PENDING || status == STATUS_INVALID_PARAMETER ||
           status == STATUS_OBJECT_PATH_INVALID;
}

/* One SYNC IOCTL about a file: its record's number; 0: it is gone, or the run has failed. */
static UINT64 sync_call(struct run *run, ULONG code, const UINT8 *id, UINT64 offset, UINT32 range)
{
    REPL_SYNC sync = {.SetId = NODE_SET, .Offset = offset, .Range = range};
    REPL_SEQUENCE sequence = {0};
    ULONG_PTR bytes;
    NTSTATUS status;

    if (run->status)
        return 0;
    memcpy(sync.FileId, id, 16);
    status = io_ioctl(run->node->client, run->node->device, code, &sync, sizeof sync, &sequence,
                      sizeof sequence, &bytes);
    if (!NT_SUCCESS(status) && !is_gone(status))
        run->status = status;
    return NT_SUCCESS(status) ? sequence.Sequence : 0;
}

/* The record of that number, once it is in the ring: the caller's copy. */
static REPL_RECORD *record_of(struct run *run, UINT64 sequence)
{
    run->node->wanted = sequence;
    if (!node_follow(run->node))
        run->status = STATUS_UNSUCCESSFUL;
    REPL_RECORD *found = run->node->found;
    run->node->wanted = 0;
    run->node->found = NULL;
    if (!found && !run->status)
        run->status = STATUS_RETRY; /* lost since */
    return found;
}

static const void *data_of(const REPL_RECORD *record)
{
    return (const UCHAR *)(record + 1) + ((record->NameLength + 7) & ~7u);
}

/* Its metadata, and its bytes: ranges, or all of them. */
static void sync_file(struct run *run, const UINT8 *id, const REPL_DIRTY_RANGE *ranges,
                      unsigned count, bool whole)
{
    UINT64 sequence = sync_call(run, REPL_IOCTL_SYNC_FILE, id, 0, 0);
    REPL_RECORD *record = sequence ? record_of(run, sequence) : NULL;
    REPL_DIRTY_RANGE all = {0};

    if (!record)
        return;
    const REPL_METADATA *metadata = data_of(record);
    const UINT64 size = metadata->Size;
    const UINT32 special = FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_REPARSE_POINT;
    const bool has_data = (metadata->Basic.Attributes & special) == 0;
    free(record);
    if (!has_data)
        return;
    all.Length = size;
    if (whole) {
        ranges = &all;
        count = 1;
    }
    for (unsigned i = 0; i < count; i++) {
        UINT64 at = ranges[i].Offset;
        UINT64 end = ranges[i].Length > size - at ? size : at + ranges[i].Length;
        for (; at < end && !run->status; at += REPL_MAX_DATA) {
            UINT32 range = (UINT32)(end - at < REPL_MAX_DATA ? end - at : REPL_MAX_DATA);
            sync_call(run, REPL_IOCTL_SYNC_RANGE, id, at, range);
        }
    }
}

enum what {
    WHAT_NEW, /* content of files alone that were not known before the bracket */
    WHAT_ALL,
    WHAT_REGIONS /* and of the others what the dirty-region log says */
};

static void sync_regions(struct run *run, const REPL_ENTRY *entry)
{
    REPL_REGION_QUERY query = {.Size = entry->Size};
    struct {
        REPL_DIRTY_FILE file;
        REPL_DIRTY_RANGE ranges[16];
    } dirty;
    ULONG_PTR bytes;

    memcpy(query.FileId, entry->FileId, 16);
    run->status = io_ioctl(run->node->client, run->node->device, REPL_IOCTL_QUERY_REGIONS, &query,
                           sizeof query, &dirty, sizeof dirty, &bytes);
    if (!run->status)
        sync_file(run, entry->FileId, dirty.ranges, dirty.file.RangeCount,
                  (dirty.file.Flags & REPL_DIRTY_WHOLE) != 0);
}

/* Of known files the metadata, too: where names are not known, neither is what changed them. */
static void sync_tree(struct run *run, const UINT8 *id, enum what what)
{
    UINT64 sequence = sync_call(run, REPL_IOCTL_SYNC_FOLDER, id, 0, 0);
    REPL_RECORD *record = sequence ? record_of(run, sequence) : NULL;
    ULONG at = 0;

    if (!record)
        return;
    while (at < record->DataLength && !run->status) {
        const REPL_ENTRY *entry = (const void *)((const UCHAR *)data_of(record) + at);
        bool knew = model_knew(run->node->model, NODE_SET, entry->FileId, run->bracket);
        bool folder = (entry->Attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;

        if (what == WHAT_REGIONS && knew && !folder)
            sync_regions(run, entry);
        else
            sync_file(run, entry->FileId, NULL, 0, what == WHAT_ALL || !knew);
        if (folder)
            sync_tree(run, entry->FileId, knew ? what : WHAT_ALL);
        at += (ULONG)sizeof *entry + ((entry->NameLength + 7) & ~7u);
    }
    free(record);
}

static void sync_dirty(struct run *run)
{
    struct {
        REPL_DIRTY_FILE file;
        REPL_DIRTY_RANGE ranges[16];
    } dirty;
    ULONG_PTR bytes;
    NTSTATUS status;

    while (!run->status) {
        status = io_ioctl(run->node->client, run->node->device, REPL_IOCTL_TAKE_DIRTY, NULL, 0,
                          &dirty, sizeof dirty, &bytes);
        if (status == STATUS_NO_MORE_ENTRIES)
            return;
        run->status = status;
        if (run->status)
            return;
        run->node->dirty =
            realloc(run->node->dirty, (run->node->dirty_count + 1) * sizeof *run->node->dirty);
        memcpy(&run->node->dirty[run->node->dirty_count++], &dirty, sizeof dirty);
    }
}

/* All that was taken since the last bracket closed: a run that broke off has not done it. */
static void sync_taken(struct run *run)
{
    for (unsigned i = 0; i < run->node->dirty_count && !run->status; i++) {
        const struct node_dirty *item = &run->node->dirty[i];
        const UINT32 flags = item->file.Flags;

        if (memcmp(item->file.FileId, no_id, 16) != 0)
            sync_file(run, item->file.FileId, item->ranges, item->file.RangeCount,
                      (flags & REPL_DIRTY_WHOLE) != 0);
        else
            sync_tree(run, no_id,
                      flags & REPL_DIRTY_WHOLE    ? WHAT_ALL
                      : flags & REPL_DIRTY_REGION ? WHAT_REGIONS
                                                  : WHAT_NEW);
    }
}

static void sync_bracket(struct run *run, const REPL_BRACKET_STATUS *bracket)
{
    const REPL_BRACKET close = {.Bracket = bracket->Bracket};
    REPL_SEQUENCE sequence;
    ULONG_PTR bytes;

    run->bracket = bracket->Bracket;
    switch (bracket->Reason) {
    case ReplBracketLost:
    case ReplBracketCrash:
        sync_dirty(run);
        sync_taken(run);
        break;
    case ReplBracketEntered:
        sync_file(run, bracket->FileId, NULL, 0, true);
        sync_tree(run, bracket->FileId, WHAT_ALL);
        if (run->status == STATUS_NOT_A_DIRECTORY)
            run->status = STATUS_SUCCESS;
        break;
    case ReplBracketOrder:
        sync_tree(run, no_id, WHAT_NEW);
        break;
    default:
        sync_tree(run, no_id, WHAT_ALL);
        break;
    }
    if (!run->status)
        run->status = io_ioctl(run->node->client, run->node->device, REPL_IOCTL_CLOSE_BRACKET,
                               &close, sizeof close, &sequence, sizeof sequence, &bytes);
    if (!run->status && (bracket->Reason == ReplBracketLost || bracket->Reason == ReplBracketCrash))
        run->node->dirty_count = 0;
}

static int by_number(const void *a, const void *b)
{
    const REPL_BRACKET_STATUS *first = a, *second = b;
    return first->Bracket < second->Bracket ? -1 : first->Bracket > second->Bracket;
}

bool node_resync(struct node *node, NTSTATUS *status)
{
    REPL_BRACKET_STATUS list[REPL_MAX_BRACKETS];
    struct run run = {.node = node};
    ULONG_PTR bytes = 0;

    run.status = io_ioctl(node->client, node->device, REPL_IOCTL_LIST_BRACKETS, NULL, 0, list,
                          sizeof list, &bytes);
    qsort(list, bytes / sizeof *list, sizeof *list, by_number);
    if (!run.status && bytes)
        sync_bracket(&run, &list[0]);
    *status = run.status;
    return !run.status;
}

bool node_settle(struct node *node)
{
    NTSTATUS status = STATUS_SUCCESS;

    for (unsigned i = 0; i < 200; i++) {
        REPL_STATUS state;

        if (!node_follow(node))
            return false;
        state = node_status(node);
        if (state.State == ReplStateRing && state.OpenBrackets == 0 &&
            model_sequence(node->model) == state.LastSequence)
            return true;
        if (state.OpenBrackets != 0)
            (void)node_resync(node, &status);
        if (tap_failing())
            return false;
        sched_run_for(MS);
    }
    return ok(false, "what was lost is synchronised in the end: %#x", status);
}
