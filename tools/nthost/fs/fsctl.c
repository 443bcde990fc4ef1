/*
 * IRP_MJ_FILE_SYSTEM_CONTROL: what changes data or a file's state; anything else is refused.
 *
 * WDK: FSCTL_SET_ZERO_DATA and its neighbours; [MS-FSA] 2.1.5.10.
 */
#include "fsctl.h"
#include "../io/ob.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

struct control {
    struct fs_volume *volume;
    struct open *open;
    PFILE_OBJECT file;
    const void *in;
    void *out;
    ULONG in_bytes, out_bytes;
    ULONG_PTR *information;
};

static NTSTATUS set_attribute(struct node *node, ULONG bit, bool on)
{
    node_load_info(node);
    ULONG before = node->info.attributes;
    node->info.attributes = on ? before | bit : before & ~bit;
    if (node->info.attributes == before || node_store_info(node))
        return STATUS_SUCCESS;
    node->info.attributes = before;
    return fs_status_of(errno);
}

static NTSTATUS need_data(struct control *c, bool write)
{
    if (c->open->is_volume || (is_directory(c->open->stream->node) && !c->open->stream->name[0]))
        return STATUS_INVALID_PARAMETER;
    if (write && c->volume->read_only)
        return STATUS_MEDIA_WRITE_PROTECTED;
    NTSTATUS status = stream_open_data(c->open->stream, write);
    if (NT_SUCCESS(status) && c->open->stream->fd < 0)
        status = STATUS_INVALID_PARAMETER;
    return status;
}

static NTSTATUS set_sparse(struct control *c)
{
    bool on = c->in_bytes < sizeof(FILE_SET_SPARSE_BUFFER) ||
              ((const FILE_SET_SPARSE_BUFFER *)c->in)->SetSparse;
    NTSTATUS status = need_data(c, true);
    return NT_SUCCESS(status) ? set_attribute(c->open->stream->node, FILE_ATTRIBUTE_SPARSE_FILE, on)
                              : status;
}

/* Zeros up to the end of the file at most; blocks are freed. */
static NTSTATUS zero_data(struct control *c)
{
    const FILE_ZERO_DATA_INFORMATION *info = c->in;
    struct stream *stream = c->open->stream;
    if (c->in_bytes < sizeof(*info))
        return STATUS_INVALID_PARAMETER;
    LONGLONG from = info->FileOffset.QuadPart, to = info->BeyondFinalZero.QuadPart;
    if (from < 0 || to < from)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = need_data(c, true);
    if (!NT_SUCCESS(status))
        return status;
    pthread_rwlock_wrlock(&stream->io);
    LONGLONG size = fs_size(stream);
    if (to > size)
        to = size;
    if (from < to && !range_allows(stream, c->file, from, to - from, true, 0))
        status = STATUS_FILE_LOCK_CONFLICT;
    else if (from < to && fallocate(stream->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                                    to - from) != 0)
        status = fs_status_of(errno);
    pthread_rwlock_unlock(&stream->io);
    stream_modified(stream);
    return status;
}

static NTSTATUS allocated_ranges(struct control *c)
{
    const FILE_ALLOCATED_RANGE_BUFFER *range = c->in;
    FILE_ALLOCATED_RANGE_BUFFER *out = c->out;
    ULONG count = 0, room = c->out_bytes / sizeof(*out);
    if (c->in_bytes < sizeof(*range) || range->FileOffset.QuadPart < 0 ||
        range->Length.QuadPart < 0 ||
        range->Length.QuadPart > INT64_MAX - range->FileOffset.QuadPart)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = need_data(c, false);
    if (!NT_SUCCESS(status))
        return status;
    struct stream *stream = c->open->stream;
    LONGLONG at = range->FileOffset.QuadPart, end = at + range->Length.QuadPart;
    if (end > fs_size(stream))
        end = fs_size(stream);
    while (at < end) {
        off_t data = lseek(stream->fd, at, SEEK_DATA);
        off_t hole = data < 0 ? -1 : lseek(stream->fd, data, SEEK_HOLE);
        if (data < 0 && errno == ENXIO)
            break;
        if (data < 0 || hole < 0)
            return fs_status_of(errno);
        if (data >= end)
            break;
        if (count == room) {
            status = room ? STATUS_BUFFER_OVERFLOW : STATUS_BUFFER_TOO_SMALL;
            break;
        }
        out[count].FileOffset.QuadPart = data;
        out[count].Length.QuadPart = (hole < end ? hole : end) - data;
        count++;
        at = hole;
    }
    *c->information = count * sizeof(*out);
    return status;
}

/* Clones, or copies where the backing cannot. */
static NTSTATUS copy_range(struct stream *from, LONGLONG from_offset, struct stream *to,
                           LONGLONG to_offset, LONGLONG bytes)
{
    struct file_clone_range clone = {.src_fd = from->fd,
                                     .src_offset = (uint64_t)from_offset,
                                     .src_length = (uint64_t)bytes,
                                     .dest_offset = (uint64_t)to_offset};
    if (ioctl(to->fd, FICLONERANGE, &clone) == 0)
        return STATUS_SUCCESS;
    UCHAR *buffer = malloc(1 << 20);
    NTSTATUS status = buffer ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    while (NT_SUCCESS(status) && bytes > 0) {
        size_t part = bytes < 1 << 20 ? (size_t)bytes : 1 << 20;
        ssize_t n = pread(from->fd, buffer, part, from_offset);
        if (n > 0)
            n = pwrite(to->fd, buffer, (size_t)n, to_offset);
        if (n <= 0) {
            status = n == 0 ? STATUS_END_OF_FILE : fs_status_of(errno);
            break;
        }
        from_offset += n;
        to_offset += n;
        bytes -= n;
    }
    free(buffer);
    return status;
}

static NTSTATUS duplicate(struct control *c, HANDLE handle, LONGLONG from, LONGLONG to,
                          LONGLONG bytes)
{
    struct stream *target = c->open->stream, *source;
    PFILE_OBJECT file;
    NTSTATUS status = need_data(c, true);
    if (NT_SUCCESS(status))
        status = ob_lookup_handle(handle, &ob_file_type, (void **)&file, NULL);
    if (!NT_SUCCESS(status))
        return status;
    source = file->FsContext2 ? open_of(file)->stream : NULL;
    if (file->DeviceObject != c->file->DeviceObject || source == NULL || source->fd < 0)
        status = STATUS_INVALID_PARAMETER;
    else if (from < 0 || to < 0 || bytes < 0 || from % FS_PAGE || to % FS_PAGE)
        status = STATUS_INVALID_PARAMETER;
    else if (source == target && from < to + bytes && to < from + bytes)
        status = STATUS_INVALID_PARAMETER;
    if (NT_SUCCESS(status) && bytes != 0) {
        pthread_rwlock_wrlock(&target->io);
        LONGLONG size = fs_size(target);
        if (from + bytes > fs_size(source) || to + bytes > size)
            status = STATUS_INVALID_PARAMETER; /* neither gets longer */
        else if (!range_allows(target, c->file, to, bytes, true, 0))
            status = STATUS_FILE_LOCK_CONFLICT;
        else
            status = copy_range(source, from, target, to, bytes);
        pthread_rwlock_unlock(&target->io);
        stream_modified(target);
    }
    ob_dereference(file);
    return status;
}

static NTSTATUS duplicate_extents(struct control *c, bool extended)
{
    if (extended) {
        const DUPLICATE_EXTENTS_DATA_EX *d = c->in;
        if (c->in_bytes < sizeof(*d) || d->Size != sizeof(*d))
            return STATUS_INVALID_PARAMETER;
        return duplicate(c, d->FileHandle, d->SourceFileOffset.QuadPart,
                         d->TargetFileOffset.QuadPart, d->ByteCount.QuadPart);
    }
    const DUPLICATE_EXTENTS_DATA *d = c->in;
    if (c->in_bytes < sizeof(*d))
        return STATUS_INVALID_PARAMETER;
    return duplicate(c, d->FileHandle, d->SourceFileOffset.QuadPart, d->TargetFileOffset.QuadPart,
                     d->ByteCount.QuadPart);
}

/* A trim says that the bytes do not matter any more: they read as zeros. */
static NTSTATUS trim(struct control *c)
{
    const FILE_LEVEL_TRIM *trim = c->in;
    ULONG head = FIELD_OFFSET(FILE_LEVEL_TRIM, Ranges), done = 0;
    if (c->in_bytes < head ||
        (c->in_bytes - head) / sizeof(FILE_LEVEL_TRIM_RANGE) < trim->NumRanges)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = need_data(c, true);
    struct stream *stream = c->open->stream;
    for (; NT_SUCCESS(status) && done < trim->NumRanges; done++) {
        uint64_t from = trim->Ranges[done].Offset, to = from + trim->Ranges[done].Length;
        from = (from + FS_PAGE - 1) & ~(uint64_t)(FS_PAGE - 1);
        to &= ~(uint64_t)(FS_PAGE - 1);
        if (from < to && from < (uint64_t)fs_size(stream) &&
            fallocate(stream->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
                      (off_t)(to - from)) != 0)
            status = fs_status_of(errno);
    }
    if (c->out_bytes >= sizeof(FILE_LEVEL_TRIM_OUTPUT)) {
        ((FILE_LEVEL_TRIM_OUTPUT *)c->out)->NumRangesProcessed = done;
        *c->information = sizeof(FILE_LEVEL_TRIM_OUTPUT);
    }
    return status;
}

static NTSTATUS compression(struct control *c, bool set)
{
    struct node *node = c->open->stream->node;
    USHORT format;
    if (c->open->is_volume)
        return STATUS_INVALID_PARAMETER;
    if (set) {
        if (c->in_bytes < sizeof(format))
            return STATUS_INVALID_PARAMETER;
        memcpy(&format, c->in, sizeof(format));
        if (format > 2)
            return STATUS_INVALID_PARAMETER;
        return set_attribute(node, FILE_ATTRIBUTE_COMPRESSED, format != 0);
    }
    if (c->out_bytes < sizeof(format))
        return STATUS_BUFFER_TOO_SMALL;
    format = node_attributes(node, node->type) & FILE_ATTRIBUTE_COMPRESSED ? 2 /* LZNT1 */ : 0;
    memcpy(c->out, &format, sizeof(format));
    *c->information = sizeof(format);
    return STATUS_SUCCESS;
}

static NTSTATUS object_id(struct control *c, ULONG code)
{
    struct node *node = c->open->stream->node;
    FILE_OBJECTID_BUFFER *out = c->out;
    if (c->open->is_volume)
        return STATUS_INVALID_PARAMETER;
    node_load_info(node);
    bool has = node->info.flags & FS_INFO_OBJECT_ID;
    bool sets = code == FSCTL_SET_OBJECT_ID || (code == FSCTL_CREATE_OR_GET_OBJECT_ID && !has);
    if (code == FSCTL_DELETE_OBJECT_ID || sets) {
        struct fs_info before = node->info;
        if (code == FSCTL_SET_OBJECT_ID && has)
            return STATUS_OBJECT_NAME_COLLISION;
        if (code == FSCTL_SET_OBJECT_ID && c->in_bytes < sizeof(*out))
            return STATUS_INVALID_PARAMETER;
        node->info.flags &= ~FS_INFO_OBJECT_ID;
        memset(node->info.object_id, 0, 16);
        if (sets) {
            node->info.flags |= FS_INFO_OBJECT_ID;
            if (code == FSCTL_SET_OBJECT_ID)
                memcpy(node->info.object_id, c->in, 16);
            else if (getrandom(node->info.object_id, 16, 0) != 16)
                return STATUS_UNSUCCESSFUL;
        }
        if (!node_store_info(node)) {
            node->info = before;
            return fs_status_of(errno);
        }
        if (code != FSCTL_CREATE_OR_GET_OBJECT_ID)
            return STATUS_SUCCESS;
    } else if (!has) {
        return STATUS_OBJECTID_NOT_FOUND;
    }
    if (c->out_bytes < sizeof(*out))
        return STATUS_BUFFER_TOO_SMALL;
    memset(out, 0, sizeof(*out));
    memcpy(out->ObjectId, node->info.object_id, 16);
    *c->information = sizeof(*out);
    return STATUS_SUCCESS;
}

static NTSTATUS lock_volume(struct control *c, ULONG code)
{
    struct fs_volume *volume = c->volume;
    if (!c->open->is_volume)
        return STATUS_INVALID_PARAMETER;
    switch (code) {
    case FSCTL_LOCK_VOLUME:
        if (volume->locked_by != NULL || atomic_load(&volume->counters.open_files) != 1)
            return STATUS_ACCESS_DENIED;
        volume->locked_by = c->file;
        return STATUS_SUCCESS;
    case FSCTL_UNLOCK_VOLUME:
        if (volume->locked_by != c->file)
            return STATUS_NOT_LOCKED;
        volume->locked_by = NULL;
        return STATUS_SUCCESS;
    case FSCTL_DISMOUNT_VOLUME:
        /* Open files go on; no new ones. */
        volume->dismounted = true;
        return STATUS_SUCCESS;
    default:
        return volume->dismounted ? STATUS_VOLUME_DISMOUNTED : STATUS_SUCCESS;
    }
}

/* names held, but by duplicate extents, whose copy may be long. */
static NTSTATUS control(struct control *c, ULONG code)
{
    if (c->volume->read_only &&
        (code == FSCTL_SET_REPARSE_POINT || code == FSCTL_DELETE_REPARSE_POINT ||
         code == FSCTL_SET_COMPRESSION || code == FSCTL_SET_OBJECT_ID ||
         code == FSCTL_DELETE_OBJECT_ID || code == FSCTL_CREATE_OR_GET_OBJECT_ID))
        return STATUS_MEDIA_WRITE_PROTECTED;
    switch (code) {
    case FSCTL_SET_SPARSE:
        return set_sparse(c);
    case FSCTL_SET_ZERO_DATA:
        return zero_data(c);
    case FSCTL_QUERY_ALLOCATED_RANGES:
        return allocated_ranges(c);
    case FSCTL_DUPLICATE_EXTENTS_TO_FILE:
        return duplicate_extents(c, false);
    case FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX:
        return duplicate_extents(c, true);
    case FSCTL_FILE_LEVEL_TRIM:
        return trim(c);
    case FSCTL_SET_REPARSE_POINT:
        return c->open->is_volume ? STATUS_INVALID_PARAMETER
                                  : fsctl_set_reparse(c->open, c->in, c->in_bytes);
    case FSCTL_GET_REPARSE_POINT:
        return c->open->is_volume
                   ? STATUS_INVALID_PARAMETER
                   : fsctl_get_reparse(c->open, c->out, c->out_bytes, c->information);
    case FSCTL_DELETE_REPARSE_POINT:
        return c->open->is_volume ? STATUS_INVALID_PARAMETER
                                  : fsctl_delete_reparse(c->open, c->in, c->in_bytes);
    case FSCTL_SET_COMPRESSION:
        return compression(c, true);
    case FSCTL_GET_COMPRESSION:
        return compression(c, false);
    case FSCTL_SET_OBJECT_ID:
    case FSCTL_GET_OBJECT_ID:
    case FSCTL_DELETE_OBJECT_ID:
    case FSCTL_CREATE_OR_GET_OBJECT_ID:
        return object_id(c, code);
    case FSCTL_LOCK_VOLUME:
    case FSCTL_UNLOCK_VOLUME:
    case FSCTL_DISMOUNT_VOLUME:
    case FSCTL_IS_VOLUME_MOUNTED:
        return lock_volume(c, code);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

NTSTATUS fs_fsctl(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    ULONG code = stack->Parameters.FileSystemControl.FsControlCode;
    bool neither = METHOD_FROM_CTL_CODE(code) == METHOD_NEITHER;
    struct control c = {.volume = volume,
                        .open = open_of(stack->FileObject),
                        .file = stack->FileObject,
                        .in = neither ? stack->Parameters.FileSystemControl.Type3InputBuffer
                                      : irp->AssociatedIrp.SystemBuffer,
                        .out = neither ? irp->UserBuffer : irp->AssociatedIrp.SystemBuffer,
                        .in_bytes = stack->Parameters.FileSystemControl.InputBufferLength,
                        .out_bytes = stack->Parameters.FileSystemControl.OutputBufferLength,
                        .information = &irp->IoStatus.Information};
    if (stack->MinorFunction != IRP_MN_USER_FS_REQUEST &&
        stack->MinorFunction != IRP_MN_KERNEL_CALL)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (c.open->cleaned)
        return STATUS_FILE_CLOSED;
    if (code == FSCTL_DUPLICATE_EXTENTS_TO_FILE || code == FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX)
        return control(&c, code); /* looks a handle up, copies: not under the names' lock */
    pthread_mutex_lock(&volume->names);
    NTSTATUS status = control(&c, code);
    fs_unlock_names(volume);
    return status;
}
