/*
 * SYNC_RANGE and READ_RANGE: what they take for a range, and what READ_RANGE gives of a file.
 */
#include "node.h"

#include <stdio.h>
#include <string.h>

#define SIZE 10000u

static const WCHAR file_name[] = {'f', 'i', 'l', 'e'};

struct input {
    REPL_SYNC sync;
    WCHAR name[4];
};

static UCHAR output[REPL_MAX_DATA + 8];

static NTSTATUS call(struct node *node, ULONG code, struct input input, ULONG room,
                     ULONG_PTR *bytes)
{
    *bytes = 0;
    return io_ioctl(node->client, node->device, code, &input,
                    (ULONG)(sizeof input.sync + input.sync.NameLength), output, room, bytes);
}

static struct input of(const WCHAR *name, UINT32 name_bytes, UINT64 offset, UINT32 range)
{
    struct input input = {
        .sync = {.SetId = NODE_SET, .NameLength = name_bytes, .Offset = offset, .Range = range}};
    memcpy(input.name, name, name_bytes);
    return input;
}

static bool make(struct node *node)
{
    static UCHAR content[SIZE];
    PFILE_OBJECT file;
    bool good;

    for (unsigned i = 0; i < SIZE; i++)
        content[i] = (UCHAR)(i * 7 + i / 256);
    nt_enter();
    good =
        is_status(node_open(node, "file", FILE_WRITE_DATA, FILE_CREATE, 0, &file), STATUS_SUCCESS);
    if (good) {
        good = is_status(nt_write(file, content, SIZE, NULL, NULL), STATUS_SUCCESS);
        nt_close(file);
    }
    good = good && is_status(node_open(node, "dir", FILE_READ_ATTRIBUTES, FILE_CREATE,
                                       FILE_DIRECTORY_FILE, &file),
                             STATUS_SUCCESS);
    if (good)
        nt_close(file);
    nt_leave();
    return good;
}

static bool start(struct node *node)
{
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = tap_seed()};
    return node_start(node, &options) && make(node);
}

NT_TEST(what_is_there_is_read)
{
    static const struct {
        UINT64 offset;
        UINT32 range, bytes;
    } reads[] = {
        {0, SIZE, SIZE}, {0, 1, 1},       {4095, 4098, 4098},       {SIZE - 3, 4096, 3},
        {SIZE, 4096, 0}, {1 << 20, 5, 0}, {0, REPL_MAX_DATA, SIZE}, {MAXLONGLONG - 1, 1, 0},
    };
    struct node node = {0};
    bool held = start(&node);
    const UINT64 last = held ? node_status(&node).LastSequence : 0;

    for (unsigned i = 0; held && i < sizeof reads / sizeof *reads; i++) {
        struct input input = of(file_name, sizeof file_name, reads[i].offset, reads[i].range);
        unsigned wrong = 0;
        ULONG_PTR bytes;
        tap_at("%u bytes at %llu", reads[i].range, (unsigned long long)reads[i].offset);
        memset(output, 0xee, sizeof output);
        is_status(call(&node, REPL_IOCTL_READ_RANGE, input, reads[i].range, &bytes),
                  STATUS_SUCCESS);
        is_int(bytes, reads[i].bytes);
        for (UINT64 k = 0; k < bytes; k++) {
            const UINT64 at = reads[i].offset + k;
            wrong += output[k] != (UCHAR)(at * 7 + at / 256);
        }
        is_int(wrong, 0);
    }
    if (held)
        is_int(node_status(&node).LastSequence, last, "no record is made");
    ok(held && node_check(&node, "at the end"));
    node_stop(&node);
}

NT_TEST(what_is_no_range_is_refused_and_changes_nothing)
{
    static const WCHAR folder[] = {'d', 'i', 'r'}, nothing[] = {'n', 'o'};
    struct node node = {0};
    bool held = start(&node);
    const UINT64 last = held ? node_status(&node).LastSequence : 0;
    const struct {
        struct input input;
        ULONG room;
        UINT32 flags;
        NTSTATUS status;
    } calls[] = {
        {of(file_name, 8, 0, 0), 8, 0, STATUS_INVALID_PARAMETER},
        {of(file_name, 8, 0, REPL_MAX_DATA + 1), REPL_MAX_DATA + 1, 0, STATUS_INVALID_PARAMETER},
        {of(file_name, 8, 0, MAXULONG), 8, 0, STATUS_INVALID_PARAMETER},
        {of(file_name, 8, MAXLONGLONG, 1), 8, 0, STATUS_INVALID_PARAMETER},
        {of(file_name, 8, ~0ull, 8), 8, 0, STATUS_INVALID_PARAMETER},
        {of(file_name, 8, 0, 8), 8, 0x8000, STATUS_INVALID_PARAMETER},
        {of(folder, 6, 0, 8), 8, 0, STATUS_FILE_IS_A_DIRECTORY},
        {of(nothing, 4, 0, 8), 8, 0, STATUS_OBJECT_NAME_NOT_FOUND},
        {of(file_name, 7, 0, 8), 8, 0, STATUS_INVALID_BUFFER_SIZE},
    };

    for (unsigned i = 0; held && i < sizeof calls / sizeof *calls; i++) {
        struct input input = calls[i].input;
        ULONG_PTR bytes;
        tap_at("call %u", i);
        input.sync.Flags = calls[i].flags;
        is_status(call(&node, REPL_IOCTL_READ_RANGE, input, calls[i].room, &bytes),
                  calls[i].status);
        is_status(call(&node, REPL_IOCTL_SYNC_RANGE, input, sizeof(REPL_SEQUENCE), &bytes),
                  calls[i].status);
    }
    if (held) {
        ULONG_PTR bytes;
        struct input input = of(file_name, sizeof file_name, 0, 9);
        is_status(call(&node, REPL_IOCTL_READ_RANGE, input, 8, &bytes), STATUS_BUFFER_TOO_SMALL);
        /* That is for SYNC_RANGE alone. */
        input.sync.Flags = REPL_FLAG_VERIFY;
        is_status(call(&node, REPL_IOCTL_READ_RANGE, input, 9, &bytes), STATUS_INVALID_PARAMETER);
        is_int(node_status(&node).LastSequence, last, "no record is made");
    }
    ok(held && node_check(&node, "at the end"));
    node_stop(&node);
}
