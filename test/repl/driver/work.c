#include "work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES   5
#define FOLDERS 2
#define LARGEST 40000

/* --trace: what is done, to whom, and what came of it. */
static void trace(const char *what, const char *name, NTSTATUS status)
{
    if (tap_option("trace"))
        diag("%s %s: %x", what, name, status);
}

/* "a" .. "e", "f0/a" .. "f1/e" */
static void any_name(char name[16])
{
    unsigned folder = sched_choose(FOLDERS + 2);
    if (folder < FOLDERS)
        snprintf(name, 16, "f%u/%c", folder, 'a' + sched_choose(NAMES));
    else
        snprintf(name, 16, "%c", 'a' + sched_choose(NAMES));
}

static void any_folder(char name[16])
{
    snprintf(name, 16, "f%u", sched_choose(FOLDERS));
}

/* Content that says who wrote it: no two writes are alike. */
static void *content(ULONG bytes)
{
    static UINT32 writes;
    UINT32 *data = malloc(bytes + 4u), tag = ++writes << 8;
    for (ULONG i = 0; i < bytes / 4 + 1; i++)
        data[i] = tag | (i & 0xff);
    return data;
}

static ULONG any_size(void)
{
    static const ULONG sizes[] = {1, 100, 512, 4096, 5000, 8192, 20000};
    return sizes[sched_choose(RTL_NUMBER_OF(sizes))];
}

static LONGLONG any_offset(void)
{
    return sched_choose(3) ? (LONGLONG)sched_choose(10) * 4096 : (LONGLONG)sched_choose(LARGEST);
}

static PFILE_OBJECT open_any(struct node *node, const char *what, ACCESS_MASK access,
                             ULONG disposition, ULONG options)
{
    char name[16];
    PFILE_OBJECT file;
    any_name(name);
    NTSTATUS status = node_open(node, name, access, disposition, options, &file);
    trace(what, name, status);
    return NT_SUCCESS(status) ? file : NULL;
}

/* Data */

static void do_write(struct node *node)
{
    ULONG bytes = any_size();
    LONGLONG offset = sched_choose(4) ? any_offset() : NT_APPEND;
    ULONG options =
        sched_choose(6) ? FILE_NON_DIRECTORY_FILE : FILE_NON_DIRECTORY_FILE | FILE_WRITE_THROUGH;
    PFILE_OBJECT file = open_any(node, "write", FILE_WRITE_DATA | FILE_READ_DATA,
                                 sched_choose(3) ? FILE_OPEN : FILE_OPEN_IF, options);
    void *data = content(bytes);
    if (file) {
        nt_write(file, data, bytes, &offset, NULL);
        nt_close(file);
    }
    free(data);
}

static void do_non_cached(struct node *node)
{
    PFILE_OBJECT file = open_any(node, "write non-cached", FILE_WRITE_DATA, FILE_OPEN_IF,
                                 FILE_NO_INTERMEDIATE_BUFFERING | FILE_NON_DIRECTORY_FILE);
    LONGLONG offset = (LONGLONG)sched_choose(8) * 4096;
    void *aligned = aligned_alloc(4096, 8192);
    void *data = content(8192);
    memcpy(aligned, data, 8192);
    free(data);
    if (file) {
        nt_write(file, aligned, 4096 << sched_choose(2), &offset, NULL);
        nt_close(file);
    }
    free(aligned);
}

static void do_size(struct node *node)
{
    PFILE_OBJECT file = open_any(node, "size", FILE_WRITE_DATA, FILE_OPEN, FILE_NON_DIRECTORY_FILE);
    if (!file)
        return;
    if (sched_choose(3)) {
        nt_set_end_of_file(file, any_offset());
    } else {
        FILE_ALLOCATION_INFORMATION allocation = {.AllocationSize.QuadPart = any_offset()};
        nt_set_information(file, FileAllocationInformation, &allocation, sizeof allocation);
    }
    nt_close(file);
}

static void do_zero(struct node *node)
{
    PFILE_OBJECT file = open_any(node, "zero", FILE_WRITE_DATA, FILE_OPEN, FILE_NON_DIRECTORY_FILE);
    FILE_ZERO_DATA_INFORMATION zero = {.FileOffset.QuadPart = any_offset()};
    if (!file)
        return;
    zero.BeyondFinalZero.QuadPart = zero.FileOffset.QuadPart + any_size();
    if (sched_choose(2))
        nt_fsctl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL);
    nt_fsctl(file, FSCTL_SET_ZERO_DATA, &zero, sizeof zero, NULL, 0, NULL);
    nt_close(file);
}

static void do_overwrite(struct node *node)
{
    ULONG bytes = any_size();
    LONGLONG offset = 0;
    PFILE_OBJECT file =
        open_any(node, "overwrite", FILE_WRITE_DATA | DELETE,
                 sched_choose(3) ? FILE_OVERWRITE_IF : FILE_SUPERSEDE, FILE_NON_DIRECTORY_FILE);
    void *data = content(bytes);
    if (file) {
        if (sched_choose(2))
            nt_write(file, data, bytes, &offset, NULL);
        nt_close(file);
    }
    free(data);
}

static void do_mode(struct node *node)
{
    union {
        FILE_FULL_EA_INFORMATION ea;
        UCHAR bytes[32];
    } list = {.ea = {.EaNameLength = 6, .EaValueLength = 4}};
    static const ULONG modes[] = {0100644, 0100600, 0100755};
    PFILE_OBJECT file = open_any(node, "mode", FILE_WRITE_EA, FILE_OPEN, FILE_NON_DIRECTORY_FILE);
    if (!file)
        return;
    memcpy(list.ea.EaName, "$LXMOD", 7);
    memcpy(list.ea.EaName + 7, &modes[sched_choose(3)], 4);
    nt_set_ea(file, &list, FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + 7 + 4);
    nt_close(file);
}

static void do_flush(struct node *node)
{
    PFILE_OBJECT file =
        open_any(node, "flush", FILE_WRITE_DATA, FILE_OPEN, FILE_NON_DIRECTORY_FILE);
    if (!file)
        return;
    nt_flush(file, 0);
    nt_close(file);
}

static void do_mapped(struct node *node)
{
    PFILE_OBJECT file =
        open_any(node, "map", FILE_WRITE_DATA | FILE_READ_DATA, FILE_OPEN, FILE_NON_DIRECTORY_FILE);
    struct nt_view *view;
    if (!file)
        return;
    if (NT_SUCCESS(nt_view_create(file, true, &view))) {
        size_t size;
        nt_view_bytes(view, &size);
        for (unsigned i = sched_choose(3); size && i < 3; i++) {
            size_t at = sched_choose((unsigned)size);
            ULONG bytes = any_size();
            void *data = content(bytes);
            nt_view_store(view, (LONGLONG)at, data, bytes < size - at ? bytes : size - at);
            free(data);
        }
        if (!sched_choose(3))
            nt_view_flush(view);
        nt_view_destroy(view);
    }
    nt_close(file);
}

/* Names */

static void do_rename(struct node *node, bool link)
{
    char to[16];
    UNICODE_STRING name;
    PFILE_OBJECT file =
        open_any(node, "rename or link", DELETE | FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0);
    ULONG flags = FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS;
    if (!file)
        return;
    any_name(to);
    name = node_name(node, to);
    if (link)
        trace("linked to", to, nt_link(file, NULL, &name, sched_choose(2) ? flags : 0));
    else
        trace("renamed to", to, nt_rename(file, NULL, &name, sched_choose(3) ? flags : 0));
    free(name.Buffer);
    nt_close(file);
}

static void do_rename_folder(struct node *node)
{
    char from[16], to[16];
    UNICODE_STRING name;
    PFILE_OBJECT file;
    any_folder(from);
    any_folder(to);
    if (!NT_SUCCESS(node_open(node, from, DELETE, FILE_OPEN, FILE_DIRECTORY_FILE, &file)))
        return;
    name = node_name(node, to);
    NTSTATUS status =
        nt_rename(file, NULL, &name, FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS);
    trace("folder renamed", from, status);
    trace("to", to, status);
    free(name.Buffer);
    nt_close(file);
}

static void do_delete(struct node *node)
{
    bool on_close = sched_choose(3) == 0;
    PFILE_OBJECT file =
        open_any(node, "delete", DELETE, FILE_OPEN, on_close ? FILE_DELETE_ON_CLOSE : 0);
    if (!file)
        return;
    if (!on_close)
        nt_dispose(file, FILE_DISPOSITION_DELETE |
                             (sched_choose(2) ? FILE_DISPOSITION_POSIX_SEMANTICS : 0));
    nt_close(file);
}

static void do_folder(struct node *node)
{
    char name[16];
    PFILE_OBJECT file;
    any_folder(name);
    if (sched_choose(4)) {
        if (NT_SUCCESS(node_open(node, name, FILE_LIST_DIRECTORY, FILE_CREATE, FILE_DIRECTORY_FILE,
                                 &file)))
            nt_close(file);
    } else if (NT_SUCCESS(node_open(node, name, DELETE, FILE_OPEN, FILE_DIRECTORY_FILE, &file))) {
        nt_dispose(file, FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS);
        nt_close(file);
    }
}

static void do_create(struct node *node)
{
    PFILE_OBJECT file =
        open_any(node, "create", FILE_WRITE_DATA, FILE_CREATE, FILE_NON_DIRECTORY_FILE);
    if (file)
        nt_close(file);
}

void work_operation(struct node *node, unsigned kinds)
{
    static void (*const data[])(struct node *) = {do_write, do_write, do_write,     do_size,
                                                  do_zero,  do_mode,  do_overwrite, do_non_cached,
                                                  do_flush, do_write};
    unsigned kind = sched_choose(10);
    if ((kinds & WORK_MAPPED) && kind == 0) {
        do_mapped(node);
    } else if ((kinds & WORK_NAMES) && kind < 5) {
        switch (sched_choose(8)) {
        case 0:
        case 1:
            do_rename(node, false);
            break;
        case 2:
            do_rename(node, true);
            break;
        case 3:
            do_rename_folder(node);
            break;
        case 4:
            do_delete(node);
            break;
        case 5:
            do_folder(node);
            break;
        default:
            do_create(node);
            break;
        }
    } else {
        data[sched_choose(RTL_NUMBER_OF(data))](node);
    }
}
