#include "copying.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHANGES (FILE_READ_DATA | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA | DELETE)

/* The stream in words */

static const char *const types[] = {
    [ReplRecordCreate] = "create",   [ReplRecordWrite] = "write",   [ReplRecordRename] = "rename",
    [ReplRecordLink] = "link",       [ReplRecordDelete] = "delete", [ReplRecordSetBasic] = "basic",
    [ReplRecordSetSize] = "size",    [ReplRecordFile] = "file",     [ReplRecordFolder] = "listing",
    [ReplRecordTouched] = "touched", [ReplRecordLost] = "lost"};

static const struct {
    UINT16 flag;
    const char *word;
} flags[] = {{REPL_FLAG_DIRECTORY, "folder"}, {REPL_FLAG_SYNC, "sync"},
             {REPL_FLAG_OPEN, "open"},        {REPL_FLAG_ENTERED, "entered"},
             {REPL_FLAG_COPY, "copy"},        {REPL_FLAG_COPIED, "copied"}};

__attribute__((format(printf, 2, 3))) static void say(struct copy *copy, const char *format, ...)
{
    const size_t at = strlen(copy->text);
    va_list list;

    va_start(list, format);
    vsnprintf(copy->text + at, sizeof copy->text - at, format, list);
    va_end(list);
}

static void say_name(struct copy *copy, const char *before, const void *name, UINT32 bytes)
{
    const WCHAR *chars = name;

    say(copy, "%s", before);
    for (UINT32 i = 0; i < bytes / sizeof(WCHAR); i++)
        say(copy, "%c", (char)chars[i]);
}

static void say_record(struct copy *copy, const REPL_RECORD *record)
{
    const UCHAR *name = (const UCHAR *)(record + 1);
    const UCHAR *data = name + ((record->NameLength + 7) & ~7u);
    UINT16 left = record->Flags;

    say(copy, "%s", *copy->text ? "; " : "");
    if (record->Type < RTL_NUMBER_OF(types) && types[record->Type])
        say(copy, "%s", types[record->Type]);
    else
        say(copy, "type %u", record->Type);
    for (unsigned i = 0; i < RTL_NUMBER_OF(flags); i++)
        if (left & flags[i].flag) {
            say(copy, " %s", flags[i].word);
            left &= (UINT16)~flags[i].flag;
        }
    if (left)
        say(copy, " %#x", left);
    if (record->NameLength)
        say_name(copy, " ", name, record->NameLength);
    if (record->Type == ReplRecordRename || record->Type == ReplRecordLink)
        say_name(copy, ">", data, record->DataLength);
    if (!(record->Flags & REPL_FLAG_DIRECTORY) && memcmp(record->FileId, copy->id, 16) != 0)
        say(copy, " of another file");
    if (record->Type == ReplRecordTouched)
        copy->touched = record->Sequence;
    if (record->Type == ReplRecordFile) {
        copy->told = record->Sequence;
        copy->told_size = ((const REPL_METADATA *)data)->Size;
    }
}

bool copy_follow(struct copy *copy)
{
    struct node *node = &copy->node;
    const UCHAR *ring = (const UCHAR *)node->ring + REPL_RING_HEADER_BYTES;
    const UINT64 head = __atomic_load_n(&((REPL_RING_HEADER *)node->ring)->Head, __ATOMIC_ACQUIRE);
    const REPL_STATUS status = node_status(node);

    *copy->text = 0;
    for (UINT64 at = node->read; at < head;) {
        const REPL_RECORD *record = (const void *)(ring + at % node->ring_bytes);
        if (!ok(record->Length >= 8 && record->Length <= head - at, "a record"))
            return false;
        if (record->Length > 8 && record->Type != ReplRecordPad)
            say_record(copy, record);
        at += record->Length;
    }
    return node_read(node) &&
           is_int(model_sequence(node->model), status.LastSequence, "all is in the ring");
}

bool copy_tells(struct copy *copy, const char *what, const char *expected)
{
    return copy_follow(copy) && is_str(copy->text, expected, "%s", what);
}

/* What is asked of the driver */

NTSTATUS copy_call(struct copy *copy, ULONG code, const char *path, UINT32 call_flags, void *output,
                   ULONG room, ULONG_PTR *bytes)
{
    UCHAR input[sizeof(REPL_SYNC) + 64] = {0};
    REPL_SYNC *sync = (REPL_SYNC *)input;
    WCHAR *name = (WCHAR *)(sync + 1);

    *sync = (REPL_SYNC){.SetId = NODE_SET, .Flags = call_flags, .Range = room};
    for (; *path; path++, sync->NameLength += sizeof(WCHAR))
        *name++ = (WCHAR)*path;
    return io_ioctl(copy->node.client, copy->node.device, code, input,
                    (ULONG)sizeof *sync + sync->NameLength, output, room, bytes);
}

NTSTATUS copy_sync(struct copy *copy, UINT32 call_flags)
{
    REPL_SEQUENCE sequence;
    return copy_call(copy, REPL_IOCTL_SYNC_FILE, "file", call_flags, &sequence, sizeof sequence,
                     NULL);
}

bool copy_begins(struct copy *copy)
{
    return is_status(copy_sync(copy, 0), STATUS_SUCCESS) &&
           copy_tells(copy, "SYNC_FILE", "file sync copy file");
}

void copy_refuses(struct copy *copy, ULONG code, const char *path, UINT32 call_flags, UINT32 reason)
{
    REPL_SEQUENCE sequence;
    REPL_REFUSAL refusal = {0};

    is_status(copy_call(copy, code, path, call_flags, &sequence, sizeof sequence, NULL),
              STATUS_INVALID_PARAMETER, "flags %#x", call_flags);
    is_status(io_ioctl(copy->node.client, copy->node.device, REPL_IOCTL_GET_REFUSAL, NULL, 0,
                       &refusal, sizeof refusal, NULL),
              STATUS_SUCCESS);
    is_int(refusal.Reason, reason, "flags %#x", call_flags);
}

/* Programs */

NTSTATUS copy_open(struct copy *copy, const char *path, ULONG disposition, ULONG options)
{
    FILE_ID_INFORMATION id = {0};
    NTSTATUS status = node_open(&copy->node, path, CHANGES, disposition,
                                FILE_NON_DIRECTORY_FILE | options, &copy->file);

    if (NT_SUCCESS(status))
        status = nt_query_information(copy->file, FileIdInformation, &id, sizeof id, NULL);
    memcpy(copy->id, &id.FileId, sizeof copy->id);
    return status;
}

NTSTATUS copy_writes(struct copy *copy)
{
    static UCHAR data[COPY_BYTES];
    const LONGLONG start = 0;

    data[0]++;
    return nt_write(copy->file, data, sizeof data, &start, NULL);
}

NTSTATUS copy_creates(struct copy *copy)
{
    return copy_open(copy, "file", FILE_CREATE, 0);
}

bool copy_does(struct copy *copy, const char *what, NTSTATUS (*run)(struct copy *),
               const char *expected)
{
    nt_enter();
    NTSTATUS status = run(copy);
    nt_leave();
    return is_status(status, STATUS_SUCCESS, "%s", what) && copy_tells(copy, what, expected);
}

void copy_drain(struct copy *copy)
{
    nt_enter();
    fs_cache_drain(copy->node.volume);
    nt_leave();
}

bool copy_start(struct copy *copy, UINT32 mode)
{
    const struct node_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .mode = mode};
    return node_start(&copy->node, &options) && node_read(&copy->node);
}

void copy_stop(struct copy *copy)
{
    nt_enter();
    if (copy->file)
        nt_close(copy->file);
    nt_leave();
    node_stop(&copy->node);
}
