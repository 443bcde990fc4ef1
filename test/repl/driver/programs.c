#include "programs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BIG (REPL_MAX_DATA + 12345) /* more than one record takes */

#define WRITES (FILE_WRITE_DATA | FILE_READ_DATA)
#define PLAIN  FILE_NON_DIRECTORY_FILE

/* What fails for want of memory succeeds when it is tried again. */
#define AGAIN(call)                                                                                \
    ({                                                                                             \
        NTSTATUS status_ = (call);                                                                 \
        status_ == STATUS_INSUFFICIENT_RESOURCES ? (call) : status_;                               \
    })
#define node_open(...)          AGAIN(node_open(__VA_ARGS__))
#define nt_create(...)          AGAIN(nt_create(__VA_ARGS__))
#define nt_write(...)           AGAIN(nt_write(__VA_ARGS__))
#define nt_rename(...)          AGAIN(nt_rename(__VA_ARGS__))
#define nt_link(...)            AGAIN(nt_link(__VA_ARGS__))
#define nt_dispose(...)         AGAIN(nt_dispose(__VA_ARGS__))
#define nt_set_end_of_file(...) AGAIN(nt_set_end_of_file(__VA_ARGS__))
#define nt_set_information(...) AGAIN(nt_set_information(__VA_ARGS__))
#define nt_set_ea(...)          AGAIN(nt_set_ea(__VA_ARGS__))
#define nt_set_security(...)    AGAIN(nt_set_security(__VA_ARGS__))
#define nt_fsctl(...)           AGAIN(nt_fsctl(__VA_ARGS__))
#define nt_flush(...)           AGAIN(nt_flush(__VA_ARGS__))

/* The first failure of several calls. */
static NTSTATUS first(NTSTATUS status, NTSTATUS next)
{
    return NT_SUCCESS(status) ? next : status;
}

static void *content(size_t bytes)
{
    static UINT32 writes;
    UINT32 *data = aligned_alloc(4096, (bytes + 4096) & ~(size_t)4095), tag = ++writes << 12;
    for (size_t i = 0; i < bytes / 4 + 1; i++)
        data[i] = tag | (i & 0xfff);
    return data;
}

static NTSTATUS put(PFILE_OBJECT file, LONGLONG offset, ULONG bytes)
{
    void *data = content(bytes);
    NTSTATUS status = nt_write(file, data, bytes, &offset, NULL);
    free(data);
    return status;
}

/* A file with so many bytes. */
static NTSTATUS make(struct node *node, const char *path, ULONG bytes)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, path, WRITES, FILE_CREATE, PLAIN, &file);
    if (!NT_SUCCESS(status))
        return status;
    if (bytes)
        status = put(file, 0, bytes);
    nt_close(file);
    return status;
}

static NTSTATUS make_folder(struct node *node, const char *path)
{
    PFILE_OBJECT file;
    NTSTATUS status =
        node_open(node, path, FILE_LIST_DIRECTORY, FILE_CREATE, FILE_DIRECTORY_FILE, &file);
    if (NT_SUCCESS(status))
        nt_close(file);
    return status;
}

static NTSTATUS write_at(struct node *node, const char *path, LONGLONG offset, ULONG bytes,
                         ULONG options)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, path, WRITES, FILE_OPEN, PLAIN | options, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = put(file, offset, bytes);
    nt_close(file);
    return status;
}

static NTSTATUS move(struct node *node, const char *from, const char *to, bool link)
{
    const ULONG flags = FILE_RENAME_REPLACE_IF_EXISTS | FILE_RENAME_POSIX_SEMANTICS;
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, from, DELETE | FILE_WRITE_ATTRIBUTES, FILE_OPEN, 0, &file);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING name = node_name(node, to);
    status = link ? nt_link(file, NULL, &name, flags) : nt_rename(file, NULL, &name, flags);
    free(name.Buffer);
    nt_close(file);
    return status;
}

static NTSTATUS dispose(struct node *node, const char *path, ULONG flags, ULONG options)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, path, DELETE, FILE_OPEN, options, &file);
    if (!NT_SUCCESS(status))
        return status;
    if (flags)
        status = nt_dispose(file, flags);
    nt_close(file);
    return status;
}

/* Steps */

static NTSTATUS creates(struct node *node)
{
    NTSTATUS status = make(node, "a", 5000);
    status = first(status, make(node, "b", 0));
    status = first(status, make_folder(node, "f"));
    return first(status, make(node, "f/c", 10000));
}

static NTSTATUS writes(struct node *node)
{
    NTSTATUS status = write_at(node, "a", 3000, 4096, 0);
    status = first(status, write_at(node, "a", 0, 8192, FILE_NO_INTERMEDIATE_BUFFERING));
    status = first(status, write_at(node, "a", 100, 200, FILE_WRITE_THROUGH));
    status = first(status, write_at(node, "a", NT_APPEND, 500, 0));
    return first(status, write_at(node, "b", 4096, 100, 0));
}

static NTSTATUS large_writes(struct node *node)
{
    return write_at(node, "b", 1000, BIG, 0);
}

static NTSTATUS sizes(struct node *node)
{
    FILE_ALLOCATION_INFORMATION allocation = {.AllocationSize.QuadPart = 4096};
    FILE_ZERO_DATA_INFORMATION zero = {.FileOffset.QuadPart = 100,
                                       .BeyondFinalZero.QuadPart = 2000};
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, "f/c", WRITES, FILE_OPEN, PLAIN, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = first(status, nt_set_end_of_file(file, 9000));
    status = first(status, nt_fsctl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL));
    status = first(status, nt_fsctl(file, FSCTL_SET_ZERO_DATA, &zero, sizeof zero, NULL, 0, NULL));
    status = first(status, nt_set_information(file, FileAllocationInformation, &allocation,
                                              sizeof allocation));
    status = first(status, nt_set_end_of_file(file, 20000));
    nt_close(file);
    return status;
}

static NTSTATUS set_mode(PFILE_OBJECT file, ULONG mode)
{
    union {
        FILE_FULL_EA_INFORMATION ea;
        UCHAR bytes[32];
    } list = {.ea = {.EaNameLength = 6, .EaValueLength = 4}};

    memcpy(list.ea.EaName, "$LXMOD", 7);
    memcpy(list.ea.EaName + 7, &mode, 4);
    return nt_set_ea(file, &list, FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + 7 + 4);
}

static NTSTATUS metadata(struct node *node)
{
    FILE_BASIC_INFORMATION basic = {.LastWriteTime.QuadPart = 0x1d0000000000000};
    SECURITY_DESCRIPTOR absolute;
    PFILE_OBJECT file;
    NTSTATUS status = node_open(
        node, "a", FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | WRITE_DAC | READ_CONTROL | WRITE_OWNER,
        FILE_OPEN, PLAIN, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = first(status, set_mode(file, 0100640));
    status = first(status, nt_set_information(file, FileBasicInformation, &basic, sizeof basic));
    RtlCreateSecurityDescriptor(&absolute, SECURITY_DESCRIPTOR_REVISION);
    RtlSetDaclSecurityDescriptor(&absolute, TRUE, NULL, FALSE);
    status = first(status, nt_set_security(file, DACL_SECURITY_INFORMATION, &absolute));
    nt_close(file);
    /* A mode that comes with the file. */
    status = NT_SUCCESS(status)
                 ? node_open(node, "m", WRITES | FILE_WRITE_EA, FILE_CREATE, PLAIN, &file)
                 : status;
    if (NT_SUCCESS(status)) {
        status = first(status, set_mode(file, 0100600));
        nt_close(file);
    }
    return status;
}

static NTSTATUS reparse(struct node *node)
{
    struct {
        REPARSE_GUID_DATA_BUFFER header;
        UCHAR data[16];
    } other = {.header = {.ReparseTag = 0x1234, .ReparseDataLength = 16}};
    PFILE_OBJECT file;
    NTSTATUS status =
        node_open(node, "r", WRITES, FILE_CREATE, PLAIN | FILE_OPEN_REPARSE_POINT, &file);

    memset(&other.header.ReparseGuid, 7, sizeof other.header.ReparseGuid);
    if (!NT_SUCCESS(status))
        return status;
    status = nt_fsctl(file, FSCTL_SET_REPARSE_POINT, &other,
                      REPARSE_GUID_DATA_BUFFER_HEADER_SIZE + 16, NULL, 0, NULL);
    other.header.ReparseDataLength = 0;
    status = first(status, nt_fsctl(file, FSCTL_DELETE_REPARSE_POINT, &other,
                                    REPARSE_GUID_DATA_BUFFER_HEADER_SIZE, NULL, 0, NULL));
    nt_close(file);
    return status;
}

static NTSTATUS names(struct node *node)
{
    NTSTATUS status = move(node, "f/c", "f/d", false);
    status = first(status, move(node, "f", "g", false));
    status = first(status, write_at(node, "g/d", 10, 20, 0));
    status = first(status, move(node, "m", "g/d", false));
    status = first(status, move(node, "a", "g/link", true));
    return first(status, write_at(node, "g/link", 50, 60, 0));
}

static NTSTATUS leaves(struct node *node)
{
    NTSTATUS status = make_folder(node, "/out");
    status = first(status, make_folder(node, "h"));
    status = first(status, make(node, "h/i", 100));
    status = first(status, move(node, "r", "/out/r", false));
    status = first(status, move(node, "h", "/out/h", false));
    return first(status, write_at(node, "/out/h/i", 0, 200, 0));
}

static NTSTATUS enters(struct node *node)
{
    NTSTATUS status = make(node, "/out/big", BIG);
    status = first(status, move(node, "/out/r", "r", false));
    status = first(status, move(node, "/out/h", "h", false));
    status = first(status, write_at(node, "h/i", 150, 100, 0));
    status = first(status, move(node, "/out/big", "big", false));
    return first(status, write_at(node, "big", 10, 10, 0));
}

static NTSTATUS outside_links(struct node *node)
{
    NTSTATUS status = make(node, "/out/l", 4000);
    status = first(status, move(node, "/out/l", "l", true));
    status = first(status, write_at(node, "/out/l", 1000, 1000, 0));
    status = first(status, move(node, "b", "/out/b", true));
    return first(status, write_at(node, "/out/b", 0, 5000, 0));
}

static NTSTATUS overwrites(struct node *node)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, "a", WRITES, FILE_OVERWRITE_IF, PLAIN, &file);
    if (NT_SUCCESS(status)) {
        status = put(file, 0, 3000);
        nt_close(file);
    }
    status = NT_SUCCESS(status)
                 ? node_open(node, "b", WRITES | DELETE, FILE_SUPERSEDE, PLAIN, &file)
                 : status;
    if (NT_SUCCESS(status))
        nt_close(file);
    status = NT_SUCCESS(status) ? node_open(node, "n", WRITES, FILE_OPEN_IF, PLAIN, &file) : status;
    if (NT_SUCCESS(status)) {
        status = put(file, 0, 10);
        nt_close(file);
    }
    return status;
}

static NTSTATUS deletes(struct node *node)
{
    const ULONG posix = FILE_DISPOSITION_DELETE | FILE_DISPOSITION_POSIX_SEMANTICS;
    NTSTATUS status = dispose(node, "n", FILE_DISPOSITION_DELETE, 0);
    status = first(status, dispose(node, "g/d", posix, 0));
    status = first(status, dispose(node, "g/link", 0, FILE_DELETE_ON_CLOSE));
    status = first(status, dispose(node, "g", posix, FILE_DIRECTORY_FILE));
    /* Written to after it has lost its name. */
    PFILE_OBJECT file;
    status = NT_SUCCESS(status) ? node_open(node, "r", WRITES, FILE_OPEN, PLAIN, &file) : status;
    if (NT_SUCCESS(status)) {
        status = first(status, dispose(node, "r", posix, 0));
        status = first(status, put(file, 0, 100));
        nt_close(file);
    }
    return status;
}

static NTSTATUS open_stream(struct node *node, const char *path, const WCHAR *stream,
                            ULONG disposition, PFILE_OBJECT *file)
{
    UNICODE_STRING name = node_name(node, path);
    const size_t bytes = 4 * sizeof(WCHAR);
    struct nt_create create = {.name = &name,
                               .access = WRITES | DELETE | SYNCHRONIZE,
                               .share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                               .disposition = disposition,
                               .options = FILE_SYNCHRONOUS_IO_NONALERT,
                               .case_sensitive = true,
                               .mode = UserMode};
    name.Buffer = realloc(name.Buffer, name.Length + bytes);
    memcpy((UCHAR *)name.Buffer + name.Length, stream, bytes);
    name.Length += (USHORT)bytes;
    name.MaximumLength = name.Length;
    NTSTATUS status = nt_create(&create);
    free(name.Buffer);
    *file = create.file;
    return status;
}

static NTSTATUS streams(struct node *node)
{
    static const WCHAR one[] = {':', 'o', 'n', 'e', 0};
    static const WCHAR two[] = {':', 't', 'w', 'o', 0};
    UNICODE_STRING name = {.Buffer = (PWCH)two, .Length = 8, .MaximumLength = 8};
    PFILE_OBJECT file;
    NTSTATUS status = open_stream(node, "a", one, FILE_CREATE, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = put(file, 0, 1000);
    status = first(status, nt_rename(file, NULL, &name, 0));
    nt_close(file);
    status = NT_SUCCESS(status) ? open_stream(node, "a", two, FILE_OPEN, &file) : status;
    if (NT_SUCCESS(status)) {
        status = first(status, nt_dispose(file, FILE_DISPOSITION_DELETE));
        nt_close(file);
    }
    return status;
}

static NTSTATUS mappings(struct node *node)
{
    struct nt_view *view;
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, "l", WRITES, FILE_OPEN, PLAIN, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = nt_view_create(file, true, &view);
    if (NT_SUCCESS(status)) {
        void *data = content(300);
        nt_view_store(view, 700, data, 300);
        free(data);
        status = nt_view_flush(view);
        status = first(status, put(file, 900, 300));
        nt_view_destroy(view);
    }
    nt_close(file);
    return status;
}

static NTSTATUS flushes(struct node *node)
{
    PFILE_OBJECT file;
    NTSTATUS status = node_open(node, "a", WRITES, FILE_OPEN, PLAIN, &file);
    if (!NT_SUCCESS(status))
        return status;
    status = first(put(file, 0, 10), nt_flush(file, 0));
    nt_close(file);
    return status;
}

#define STEP(name) #name, name
const struct program_step program_steps[] = {
    {STEP(creates)},  {STEP(writes)},   {STEP(large_writes)},  {STEP(sizes)},
    {STEP(metadata)}, {STEP(reparse)},  {STEP(names)},         {STEP(leaves)},
    {STEP(enters)},   {STEP(streams)},  {STEP(outside_links)}, {STEP(overwrites)},
    {STEP(deletes)},  {STEP(mappings)}, {STEP(flushes)},
};
const unsigned program_step_count = RTL_NUMBER_OF(program_steps);
