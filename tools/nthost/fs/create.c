/*
 * IRP_MJ_CREATE: from a name to an open.
 *
 * What happens has the order of NTFS: the name is followed; a pending deletion, the type, reparse
 * points, attributes, access and share modes may refuse it; only then something changes, and what
 * changed is undone if a later step fails.
 *
 * WDK: IRP_MJ_CREATE, ZwCreateFile; [MS-FSA] 2.1.5.1.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "create.h"

#define WRITES (FILE_WRITE_DATA | FILE_APPEND_DATA)
#define READS  (FILE_READ_DATA | FILE_EXECUTE)

/* Share modes, per stream: IoCheckShareAccess's rules. */

static bool share_allows(const struct stream *stream, ACCESS_MASK access, ULONG share)
{
    bool reads = access & READS, writes = access & WRITES, deletes = access & DELETE;
    if (!reads && !writes && !deletes)
        return true;
    return !((reads && stream->shared_read < stream->sharers) ||
             (writes && stream->shared_write < stream->sharers) ||
             (deletes && stream->shared_delete < stream->sharers) ||
             (stream->readers != 0 && !(share & FILE_SHARE_READ)) ||
             (stream->writers != 0 && !(share & FILE_SHARE_WRITE)) ||
             (stream->deleters != 0 && !(share & FILE_SHARE_DELETE)));
}

void fs_count_share(struct open *open, int by)
{
    struct stream *stream = open->stream;
    unsigned n = (unsigned)by;
    if (by > 0 && !(open->granted & (READS | WRITES | DELETE)))
        return;
    if (by < 0 && !open->shares)
        return;
    open->shares = by > 0;
    stream->sharers += n;
    stream->readers += open->granted & READS ? n : 0;
    stream->writers += open->granted & WRITES ? n : 0;
    stream->deleters += open->granted & DELETE ? n : 0;
    stream->shared_read += open->share & FILE_SHARE_READ ? n : 0;
    stream->shared_write += open->share & FILE_SHARE_WRITE ? n : 0;
    stream->shared_delete += open->share & FILE_SHARE_DELETE ? n : 0;
}

/* The stream of the open. fd >= 0: its data, taken over on success. */
NTSTATUS create_take_stream(struct creation *c, int fd)
{
    struct stream *stream = stream_get(c->link ? c->link->node : c->node, c->stream_name);
    if (stream == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (fd >= 0 && stream->fd < 0) {
        stream->fd = fd;
        stream->writable = !c->volume->read_only;
        stream_refresh_size(stream);
    } else if (fd >= 0) {
        close(fd);
    }
    c->stream = stream;
    return STATUS_SUCCESS;
}

/* Existing files */

/* What may refuse an open of what exists; nothing changes. */
static NTSTATUS check_existing(struct creation *c, struct node *node)
{
    ULONG attributes = node_attributes(node, node->type);
    bool overwrites = c->disposition == FILE_OVERWRITE || c->disposition == FILE_OVERWRITE_IF ||
                      c->disposition == FILE_SUPERSEDE;
    bool named = c->stream_name[0] != 0;
    if (c->link != NULL && c->link->delete_pending)
        return STATUS_DELETE_PENDING;
    if (c->disposition == FILE_CREATE && !named)
        return STATUS_OBJECT_NAME_COLLISION;
    if (is_directory(node) && !named) {
        if (c->options & FILE_NON_DIRECTORY_FILE)
            return STATUS_FILE_IS_A_DIRECTORY;
        if (overwrites)
            return STATUS_OBJECT_NAME_COLLISION;
    } else if (c->options & FILE_DIRECTORY_FILE) {
        return STATUS_NOT_A_DIRECTORY;
    } else if (c->folder) {
        return STATUS_OBJECT_NAME_INVALID;
    }
    if (attributes & FILE_ATTRIBUTE_REPARSE_POINT && !(c->options & FILE_OPEN_REPARSE_POINT))
        return STATUS_IO_REPARSE_TAG_NOT_HANDLED;
    if (c->volume->read_only && (overwrites || c->access & (WRITES | DELETE | FILE_WRITE_EA |
                                                            FILE_WRITE_ATTRIBUTES | WRITE_DAC)))
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (attributes & FILE_ATTRIBUTE_READONLY && !is_directory(node)) {
        if (overwrites || (c->access & WRITES && !(c->stack->Flags & SL_IGNORE_READONLY_ATTRIBUTE)))
            return STATUS_ACCESS_DENIED;
        if (c->options & FILE_DELETE_ON_CLOSE)
            return STATUS_CANNOT_DELETE;
    }
    if (overwrites && !named) {
        ULONG wanted = c->stack->Parameters.Create.FileAttributes;
        ULONG sticky = FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM;
        if ((attributes & sticky) & ~wanted)
            return STATUS_ACCESS_DENIED;
    }
    if (c->irp->RequestorMode == UserMode || c->stack->Flags & SL_FORCE_ACCESS_CHECK)
        return fs_check_access(node, c->stack->Parameters.Create.SecurityContext->AccessState,
                               c->access, overwrites ? FILE_WRITE_DATA : 0);
    return STATUS_SUCCESS;
}

/* The file becomes empty and gets the attributes and EAs that were asked for. */
static NTSTATUS overwrite(struct creation *c, struct node *node)
{
    bool supersedes = c->disposition == FILE_SUPERSEDE;
    ULONG bad;
    if (!S_ISREG(node->type))
        return STATUS_ACCESS_DENIED;
    if (cache_user_mapped(c->stream, 0))
        return STATUS_USER_MAPPED_FILE;
    NTSTATUS status = stream_open_data(c->stream, true);
    if (NT_SUCCESS(status))
        status = stream_set_size(c->stream, 0);
    if (!NT_SUCCESS(status))
        return status;
    c->irp->IoStatus.Information = supersedes ? FILE_SUPERSEDED : FILE_OVERWRITTEN;
    if (c->stream_name[0] != 0)
        return STATUS_SUCCESS;
    ULONG wanted = (c->stack->Parameters.Create.FileAttributes & FS_SETTABLE_ATTRIBUTES) |
                   FILE_ATTRIBUTE_ARCHIVE;
    if (!supersedes)
        wanted |= node->info.attributes & (FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM);
    node->info.attributes = wanted;
    if (!node_store_info(node))
        return fs_status_of(errno);
    bool others = false;
    for (const struct stream *other = node->streams; other != NULL; other = other->next)
        others |= other->name[0] != 0 && other->handles != 0;
    if (!others)
        streams_remove_all(node);
    status = fs_remove_user_eas(node);
    if (NT_SUCCESS(status) && c->ea_bytes != 0)
        status = fs_apply_eas(node, c->ea, c->ea_bytes, &bad);
    return status;
}

/* A named stream: is it there, may it be made? */
static NTSTATUS open_named_stream(struct creation *c, struct node *node)
{
    int fd = -1;
    bool creates = c->disposition != FILE_OPEN && c->disposition != FILE_OVERWRITE;
    if (!S_ISREG(node->type) && !S_ISDIR(node->type))
        return STATUS_OBJECT_NAME_INVALID;
    NTSTATUS status =
        streams_open(node, c->stream_name, c->volume->read_only ? O_RDONLY : O_RDWR, &fd);
    if (NT_SUCCESS(status) && c->disposition == FILE_CREATE && !c->made) {
        close(fd);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    if (status == STATUS_OBJECT_NAME_NOT_FOUND && creates) {
        if (c->volume->read_only)
            return STATUS_MEDIA_WRITE_PROTECTED;
        status = streams_open(node, c->stream_name, O_RDWR | O_CREAT | O_EXCL, &fd);
        c->stream_made = NT_SUCCESS(status);
        if (c->stream_made)
            c->irp->IoStatus.Information = FILE_CREATED;
    }
    if (!NT_SUCCESS(status))
        return status;
    status = create_take_stream(c, fd);
    if (!NT_SUCCESS(status))
        close(fd);
    else if (c->stream->delete_pending)
        status = STATUS_DELETE_PENDING;
    return status;
}

static NTSTATUS open_existing(struct creation *c)
{
    struct node *node = c->link ? c->link->node : c->node;
    bool overwrites = c->disposition == FILE_OVERWRITE || c->disposition == FILE_OVERWRITE_IF ||
                      c->disposition == FILE_SUPERSEDE;
    NTSTATUS status = c->made ? STATUS_SUCCESS : check_existing(c, node);
    if (NT_SUCCESS(status) && c->stream_name[0] != 0)
        status = open_named_stream(c, node);
    else if (NT_SUCCESS(status))
        status = create_take_stream(c, -1);
    if (!NT_SUCCESS(status))
        return status;
    if (!share_allows(c->stream, c->access, c->stack->Parameters.Create.ShareAccess))
        return STATUS_SHARING_VIOLATION;
    if (c->stream_made)
        return STATUS_SUCCESS;
    c->irp->IoStatus.Information = FILE_OPENED;
    if (overwrites)
        return overwrite(c, node);
    if (c->access & (READS | WRITES) && !is_directory(node))
        status = stream_open_data(c->stream, (c->access & WRITES) != 0);
    return status;
}

/* By name or identity */

static NTSTATUS find_by_name(struct creation *c)
{
    PFILE_OBJECT file = c->file, related = file->RelatedFileObject;
    NTSTATUS status = fs_resolve_parent(c->volume, related, &file->FileName, c->case_sensitive,
                                        &c->parent, &c->up, c->name, c->stream_name, &c->folder);
    if (!NT_SUCCESS(status))
        return status;
    if (c->name[0] == 0) { /* where it began */
        c->node = c->parent;
        c->link = c->up;
        c->up = NULL;
        return STATUS_SUCCESS;
    }
    return link_lookup(c->parent, c->up, c->name, c->case_sensitive, &c->link);
}

/* SL_OPEN_TARGET_DIRECTORY: the folder in which a name is, or would be. */
static NTSTATUS open_target_directory(struct creation *c)
{
    PUNICODE_STRING path = &c->file->FileName;
    NTSTATUS status = find_by_name(c);
    if (c->name[0] == 0 || c->parent == NULL)
        return NT_SUCCESS(status) ? STATUS_INVALID_PARAMETER : status;
    bool exists = NT_SUCCESS(status);
    if (!exists && status != STATUS_OBJECT_NAME_NOT_FOUND)
        return status;
    if (c->link != NULL)
        link_release(c->link);
    c->link = c->up;
    c->up = NULL;
    c->node = c->parent;
    c->stream_name[0] = 0;
    status = create_take_stream(c, -1);
    if (!NT_SUCCESS(status))
        return status;
    if (!share_allows(c->stream, c->access, c->stack->Parameters.Create.ShareAccess))
        return STATUS_SHARING_VIOLATION;
    /* What is left of the name is its last component. */
    unsigned chars = path->Length / sizeof(WCHAR), at = chars;
    while (at > 0 && path->Buffer[at - 1] != '\\')
        at--;
    memmove(path->Buffer, path->Buffer + at, (chars - at) * sizeof(WCHAR));
    path->Length = (USHORT)((chars - at) * sizeof(WCHAR));
    c->irp->IoStatus.Information = exists ? FILE_EXISTS : FILE_DOES_NOT_EXIST;
    return STATUS_SUCCESS;
}

/* The whole device: what \Device\HarddiskVolumeN alone opens. */
static NTSTATUS open_volume(struct creation *c)
{
    if (c->options & FILE_DIRECTORY_FILE)
        return STATUS_NOT_A_DIRECTORY;
    if (c->disposition != FILE_OPEN && c->disposition != FILE_OPEN_IF)
        return STATUS_ACCESS_DENIED;
    c->node = c->volume->root;
    c->is_volume = true;
    c->file->Flags |= FO_VOLUME_OPEN;
    c->irp->IoStatus.Information = FILE_OPENED;
    /* A stream of its own name, which no file can have, keeps its share modes apart. */
    snprintf(c->stream_name, FS_NAME_MAX, "/volume");
    NTSTATUS status = create_take_stream(c, -1);
    if (NT_SUCCESS(status) &&
        !share_allows(c->stream, c->access, c->stack->Parameters.Create.ShareAccess))
        status = STATUS_SHARING_VIOLATION;
    return status;
}

static NTSTATUS open_any(struct creation *c)
{
    NTSTATUS status;
    if (c->volume->dismounted)
        return STATUS_VOLUME_DISMOUNTED;
    if (c->volume->locked_by != NULL)
        return STATUS_ACCESS_DENIED;
    if (c->options & FILE_OPEN_BY_FILE_ID) {
        status = create_find_by_id(c);
        if (NT_SUCCESS(status) && c->disposition != FILE_OPEN && c->disposition != FILE_OVERWRITE &&
            c->disposition != FILE_OPEN_IF)
            status = STATUS_INVALID_PARAMETER;
        return NT_SUCCESS(status) ? open_existing(c) : status;
    }
    if (c->file->FileName.Length == 0 && c->file->RelatedFileObject == NULL)
        return open_volume(c);
    if (c->stack->Flags & SL_OPEN_TARGET_DIRECTORY)
        return open_target_directory(c);
    status = find_by_name(c);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND && c->parent != NULL &&
        c->disposition != FILE_OPEN && c->disposition != FILE_OVERWRITE) {
        c->make_directory = (c->options & FILE_DIRECTORY_FILE) != 0;
        status = create_new(c);
        if (!NT_SUCCESS(status) || c->stream_name[0] == 0)
            return status;
    }
    return NT_SUCCESS(status) ? open_existing(c) : status;
}

/* The open itself */

static void conclude(struct creation *c, struct open *open)
{
    PFILE_OBJECT file = c->file;
    struct stream *stream = c->stream;
    open->stream = stream;
    open->link = c->link;
    open->file = file;
    open->granted = c->access;
    open->share = c->stack->Parameters.Create.ShareAccess;
    open->options = c->options;
    open->case_sensitive = c->case_sensitive;
    open->is_volume = c->is_volume;
    open->by_id = (c->options & FILE_OPEN_BY_FILE_ID) != 0;
    open->delete_on_close = (c->options & FILE_DELETE_ON_CLOSE) != 0;
    pthread_mutex_init(&open->scan_mutex, NULL);
    fs_count_share(open, 1);
    stream->handles++;
    if (c->link != NULL)
        c->link->handles++;
    file->FsContext = stream;
    file->FsContext2 = open;
    file->Vpb = &c->volume->vpb;
    file->ReadAccess = (c->access & READS) != 0; /* as IoCheckShareAccess says it */
    file->WriteAccess = (c->access & WRITES) != 0;
    file->DeleteAccess = (c->access & DELETE) != 0;
    file->SharedRead = (open->share & FILE_SHARE_READ) != 0;
    file->SharedWrite = (open->share & FILE_SHARE_WRITE) != 0;
    file->SharedDelete = (open->share & FILE_SHARE_DELETE) != 0;
    if (!is_directory(stream->node) || stream->name[0] != 0) {
        file->SectionObjectPointer = &stream->sections;
        if (!(c->options & FILE_NO_INTERMEDIATE_BUFFERING))
            file->Flags |= FO_CACHE_SUPPORTED;
    }
    if (c->case_sensitive)
        file->Flags |= FO_OPENED_CASE_SENSITIVE;
    atomic_fetch_add(&c->volume->counters.opens, 1);
    atomic_fetch_add(&c->volume->counters.open_files, 1);
}

static NTSTATUS check_parameters(const struct creation *c)
{
    if (c->disposition > FILE_MAXIMUM_DISPOSITION)
        return STATUS_INVALID_PARAMETER;
    if (c->options & FILE_DIRECTORY_FILE &&
        (c->options & FILE_NON_DIRECTORY_FILE ||
         (c->disposition != FILE_CREATE && c->disposition != FILE_OPEN &&
          c->disposition != FILE_OPEN_IF)))
        return STATUS_INVALID_PARAMETER;
    if (c->options & FILE_DELETE_ON_CLOSE && !(c->access & DELETE))
        return STATUS_INVALID_PARAMETER;
    if (c->options & FILE_NO_INTERMEDIATE_BUFFERING && c->access & FILE_APPEND_DATA &&
        !(c->access & FILE_WRITE_DATA))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

NTSTATUS fs_create(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct garbage garbage = {0};
    struct creation c = {.volume = volume_of(device), .irp = irp, .stack = stack};
    c.file = stack->FileObject;
    c.options = stack->Parameters.Create.Options & FILE_VALID_OPTION_FLAGS;
    c.disposition = stack->Parameters.Create.Options >> 24;
    c.access = stack->Parameters.Create.SecurityContext->DesiredAccess;
    c.case_sensitive = (stack->Flags & SL_CASE_SENSITIVE) != 0;
    c.ea = irp->AssociatedIrp.SystemBuffer;
    c.ea_bytes = stack->Parameters.Create.EaLength;
    NTSTATUS status = check_parameters(&c);
    struct open *open = NT_SUCCESS(status) ? calloc(1, sizeof(*open)) : NULL;
    if (!NT_SUCCESS(status) || open == NULL)
        return NT_SUCCESS(status) ? STATUS_INSUFFICIENT_RESOURCES : status;
    pthread_mutex_lock(&c.volume->names);
    status = open_any(&c);
    if (NT_SUCCESS(status)) {
        conclude(&c, open);
        LONGLONG room = irp->Overlay.AllocationSize.QuadPart;
        if (room > 0 && c.stream->fd >= 0 && irp->IoStatus.Information != FILE_OPENED)
            fallocate(c.stream->fd, FALLOC_FL_KEEP_SIZE, 0, room); /* a hint */
    } else {
        if (c.stream != NULL)
            stream_release(c.stream, &garbage);
        if (c.link != NULL)
            link_release(c.link);
    }
    if (c.up != NULL)
        link_release(c.up);
    fs_unlock_names(c.volume);
    fs_collect_garbage(&garbage);
    if (!NT_SUCCESS(status)) {
        irp->IoStatus.Information = 0;
        free(open);
    }
    return status;
}
