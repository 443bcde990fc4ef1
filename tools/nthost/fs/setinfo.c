/*
 * IRP_MJ_SET_INFORMATION but names, which are rename.c's.
 *
 * WDK: IRP_MJ_SET_INFORMATION; [MS-FSA] 2.1.5.15.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Times of 0, -1 and -2 leave what is there: that a handle's later writes do not set the time (-1)
 * is not modelled. The change time is Linux's own. */
static bool is_time(LARGE_INTEGER time)
{
    return time.QuadPart > 0;
}

static NTSTATUS set_basic(struct open *open, const FILE_BASIC_INFORMATION *info)
{
    struct node *node = open->stream->node;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    ULONG attributes = info->FileAttributes;
    char path[32];
    if (info->CreationTime.QuadPart < -2 || info->LastAccessTime.QuadPart < -2 ||
        info->LastWriteTime.QuadPart < -2 || info->ChangeTime.QuadPart < -2)
        return STATUS_INVALID_PARAMETER;
    if ((attributes & FILE_ATTRIBUTE_DIRECTORY && !is_directory(node)) ||
        (attributes & FILE_ATTRIBUTE_TEMPORARY && is_directory(node)))
        return STATUS_INVALID_PARAMETER;
    if (is_time(info->LastAccessTime))
        fs_timespec(info->LastAccessTime.QuadPart, &times[0]);
    if (is_time(info->LastWriteTime))
        fs_timespec(info->LastWriteTime.QuadPart, &times[1]);
    if ((times[0].tv_nsec != UTIME_OMIT || times[1].tv_nsec != UTIME_OMIT) &&
        utimensat(AT_FDCWD, fs_fd_path(node->fd, path), times, 0) != 0)
        return fs_status_of(errno);
    if (attributes == 0 && !is_time(info->CreationTime))
        return STATUS_SUCCESS;
    node_load_info(node);
    struct fs_info before = node->info;
    if (attributes != 0)
        node->info.attributes = (node->info.attributes & ~(ULONG)FS_SETTABLE_ATTRIBUTES) |
                                (attributes & FS_SETTABLE_ATTRIBUTES);
    if (is_time(info->CreationTime))
        node->info.creation = info->CreationTime.QuadPart;
    if (memcmp(&before, &node->info, sizeof(before)) == 0 || node_store_info(node))
        return STATUS_SUCCESS;
    node->info = before;
    return fs_status_of(errno);
}

static NTSTATUS set_disposition(struct open *open, ULONG flags)
{
    struct stream *stream = open->stream;
    struct link *link = open->link;
    bool deletes = flags & FILE_DISPOSITION_DELETE;
    if (open->is_volume || stream->node->root)
        return STATUS_CANNOT_DELETE;
    if (flags & FILE_DISPOSITION_ON_CLOSE) {
        open->delete_on_close = deletes;
        return STATUS_SUCCESS;
    }
    if (stream->name[0] != 0) {
        stream->delete_pending = deletes;
        open->file->DeletePending = deletes;
        return STATUS_SUCCESS;
    }
    if (link == NULL || link->unlinked)
        return STATUS_FILE_DELETED;
    if (deletes) {
        if (node_attributes(stream->node, stream->node->type) & FILE_ATTRIBUTE_READONLY &&
            !(flags & FILE_DISPOSITION_IGNORE_READONLY_ATTRIBUTE))
            return STATUS_CANNOT_DELETE;
        if (is_directory(stream->node) && !fs_directory_is_empty(stream->node))
            return STATUS_DIRECTORY_NOT_EMPTY;
    }
    link->delete_pending = deletes;
    open->posix_delete = deletes && flags & FILE_DISPOSITION_POSIX_SEMANTICS;
    open->file->DeletePending = deletes;
    return STATUS_SUCCESS;
}

static NTSTATUS check_data(struct open *open)
{
    if (open->is_volume || (is_directory(open->stream->node) && open->stream->name[0] == 0))
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = stream_open_data(open->stream, true);
    if (NT_SUCCESS(status) && !open->stream->writable)
        status = STATUS_ACCESS_DENIED;
    return status;
}

static NTSTATUS set_end_of_file(struct open *open, LONGLONG size)
{
    NTSTATUS status = check_data(open);
    if (NT_SUCCESS(status) && size < fs_size(open->stream) && cache_user_mapped(open->stream, size))
        status = STATUS_USER_MAPPED_FILE;
    if (NT_SUCCESS(status))
        status = stream_set_size(open->stream, size);
    if (NT_SUCCESS(status))
        open->file->Flags |= FO_FILE_SIZE_CHANGED;
    return status;
}

/* Allocating more does not make a file longer; allocating less makes it shorter. */
static NTSTATUS set_allocation(struct open *open, LONGLONG size)
{
    NTSTATUS status = size < 0 ? STATUS_INVALID_PARAMETER : check_data(open);
    if (!NT_SUCCESS(status))
        return status;
    if (size < fs_size(open->stream))
        return set_end_of_file(open, size);
    if (size != 0 && fallocate(open->stream->fd, FALLOC_FL_KEEP_SIZE, 0, size) != 0 &&
        errno != EOPNOTSUPP)
        return fs_status_of(errno);
    open->stream->header.AllocationSize.QuadPart = (size + FS_PAGE - 1) & ~(LONGLONG)(FS_PAGE - 1);
    return STATUS_SUCCESS;
}

/* All bytes of a file are valid: what was not written reads as zeros. */
static NTSTATUS set_valid_data(struct open *open, LONGLONG length)
{
    NTSTATUS status = check_data(open);
    if (NT_SUCCESS(status) && (length < 0 || length > fs_size(open->stream)))
        status = STATUS_INVALID_PARAMETER;
    return status;
}

static ULONG least_bytes(FILE_INFORMATION_CLASS class)
{
    switch ((int)class) {
    case FileBasicInformation:
        return sizeof(FILE_BASIC_INFORMATION);
    case FileDispositionInformation:
        return sizeof(FILE_DISPOSITION_INFORMATION);
    case FileDispositionInformationEx:
        return sizeof(FILE_DISPOSITION_INFORMATION_EX);
    case FileEndOfFileInformation:
    case FileAllocationInformation:
    case FileValidDataLengthInformation:
    case FilePositionInformation:
        return sizeof(LARGE_INTEGER);
    case FileRenameInformation:
    case FileRenameInformationEx:
    case FileRenameInformationBypassAccessCheck:
    case FileRenameInformationExBypassAccessCheck:
    case FileLinkInformation:
    case FileLinkInformationEx:
    case FileLinkInformationBypassAccessCheck:
    case FileLinkInformationExBypassAccessCheck:
        return FIELD_OFFSET(FILE_RENAME_INFORMATION, FileName);
    default:
        return 0;
    }
}

/* names held. */
static NTSTATUS set_class(struct open *open, PIRP irp, PIO_STACK_LOCATION stack,
                          FILE_INFORMATION_CLASS class)
{
    const void *in = irp->AssociatedIrp.SystemBuffer;
    LARGE_INTEGER size;
    ULONG flags;
    memcpy(&size, in, least_bytes(class) >= sizeof(size) ? sizeof(size) : 0);
    switch ((int)class) {
    case FileBasicInformation:
        return set_basic(open, in);
    case FileDispositionInformation:
        return set_disposition(open, *(const UCHAR *)in ? FILE_DISPOSITION_DELETE : 0);
    case FileDispositionInformationEx:
        return set_disposition(open, *(const ULONG *)in);
    case FileEndOfFileInformation:
        if (stack->Parameters.SetFile.AdvanceOnly)
            return STATUS_SUCCESS; /* valid data always reach the end */
        return set_end_of_file(open, size.QuadPart);
    case FileAllocationInformation:
        return set_allocation(open, size.QuadPart);
    case FileValidDataLengthInformation:
        return set_valid_data(open, size.QuadPart);
    case FilePositionInformation:
        open->file->CurrentByteOffset = size;
        return STATUS_SUCCESS;
    case FileRenameInformation:
    case FileRenameInformationBypassAccessCheck:
        flags = *(const UCHAR *)in ? FILE_RENAME_REPLACE_IF_EXISTS : 0;
        return fs_set_rename(open, irp, stack, false, flags);
    case FileRenameInformationEx:
    case FileRenameInformationExBypassAccessCheck:
        return fs_set_rename(open, irp, stack, false, *(const ULONG *)in);
    case FileLinkInformation:
    case FileLinkInformationBypassAccessCheck:
        flags = *(const UCHAR *)in ? FILE_LINK_REPLACE_IF_EXISTS : 0;
        return fs_set_rename(open, irp, stack, true, flags);
    default:
        return fs_set_rename(open, irp, stack, true, *(const ULONG *)in);
    }
}

NTSTATUS fs_set(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    struct open *open = open_of(stack->FileObject);
    FILE_INFORMATION_CLASS class = stack->Parameters.SetFile.FileInformationClass;
    ULONG least = least_bytes(class);
    if (least == 0)
        return STATUS_INVALID_INFO_CLASS;
    if (stack->Parameters.SetFile.Length < least)
        return STATUS_INFO_LENGTH_MISMATCH;
    if (open->is_volume)
        return STATUS_INVALID_PARAMETER;
    if (open->cleaned)
        return STATUS_FILE_CLOSED;
    if (volume->read_only && class != FilePositionInformation)
        return STATUS_MEDIA_WRITE_PROTECTED;
    pthread_mutex_lock(&volume->names);
    NTSTATUS status = set_class(open, irp, stack, class);
    fs_unlock_names(volume);
    return status;
}
