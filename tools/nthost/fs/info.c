/*
 * IRP_MJ_QUERY_INFORMATION and its fast I/O.
 *
 * A handle that is cleaned up sees STATUS_FILE_DELETED once the file or stream has gone for good;
 * one that is open goes on, as after an unlink on Linux.
 *
 * WDK: IRP_MJ_QUERY_INFORMATION; [MS-FSA] 2.1.5.12, [MS-FSCC] 2.4.
 */
#include "info.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Sizes are the stream's own. */
static NTSTATUS take_stat(struct query *q)
{
    if (q->open->cleaned && (q->node->gone || q->stream->deleted))
        return STATUS_FILE_DELETED;
    NTSTATUS status = node_stat(q->node, &q->st);
    if (NT_SUCCESS(status) && q->stream->name[0] != 0 && q->stream->fd >= 0) {
        struct stat st;
        if (fstat(q->stream->fd, &st) != 0)
            return fs_status_of(errno);
        q->st.st_size = st.st_size;
        q->st.st_blocks = st.st_blocks;
    }
    return status;
}

static LONGLONG end_of_file(const struct query *q)
{
    return S_ISREG(q->st.st_mode) || q->stream->name[0] ? q->st.st_size : 0;
}

static LONGLONG allocation(const struct query *q)
{
    return S_ISDIR(q->st.st_mode) && q->stream->name[0] == 0 ? 0 : q->st.st_blocks * 512;
}

static bool pending_delete(const struct query *q)
{
    return q->node->gone || q->stream->delete_pending ||
           (q->open->link != NULL && (q->open->link->delete_pending || q->open->link->unlinked));
}

static ULONG link_count(const struct query *q)
{
    ULONG links = S_ISDIR(q->st.st_mode) ? !q->node->gone : (ULONG)q->st.st_nlink;
    bool leaving = q->open->link != NULL && q->open->link->delete_pending &&
                   !q->open->link->unlinked && links != 0;
    return links - leaving;
}

static void fill_basic(const struct query *q, FILE_BASIC_INFORMATION *out)
{
    out->CreationTime.QuadPart = node_creation_time(q->node);
    out->LastAccessTime.QuadPart = fs_time(&q->st.st_atim);
    out->LastWriteTime.QuadPart = fs_time(&q->st.st_mtim);
    out->ChangeTime.QuadPart = fs_time(&q->st.st_ctim);
    out->FileAttributes = node_attributes(q->node, q->st.st_mode);
}

static void fill_standard(const struct query *q, FILE_STANDARD_INFORMATION *out)
{
    out->AllocationSize.QuadPart = allocation(q);
    out->EndOfFile.QuadPart = end_of_file(q);
    out->NumberOfLinks = link_count(q);
    out->DeletePending = pending_delete(q);
    out->Directory = S_ISDIR(q->st.st_mode) && q->stream->name[0] == 0;
}

static void fill_network(const struct query *q, FILE_NETWORK_OPEN_INFORMATION *out)
{
    FILE_BASIC_INFORMATION basic;
    fill_basic(q, &basic);
    out->CreationTime = basic.CreationTime;
    out->LastAccessTime = basic.LastAccessTime;
    out->LastWriteTime = basic.LastWriteTime;
    out->ChangeTime = basic.ChangeTime;
    out->AllocationSize.QuadPart = allocation(q);
    out->EndOfFile.QuadPart = end_of_file(q);
    out->FileAttributes = basic.FileAttributes;
}

static void fill_stat(const struct query *q, FILE_STAT_INFORMATION *out)
{
    FILE_BASIC_INFORMATION basic;
    fill_basic(q, &basic);
    node_index(q->node, &out->FileId);
    out->CreationTime = basic.CreationTime;
    out->LastAccessTime = basic.LastAccessTime;
    out->LastWriteTime = basic.LastWriteTime;
    out->ChangeTime = basic.ChangeTime;
    out->AllocationSize.QuadPart = allocation(q);
    out->EndOfFile.QuadPart = end_of_file(q);
    out->FileAttributes = basic.FileAttributes;
    out->ReparseTag = node_reparse_tag(q->node);
    out->NumberOfLinks = link_count(q);
    out->EffectiveAccess = q->open->granted;
}

static void fill_stat_lx(const struct query *q, FILE_STAT_LX_INFORMATION *out)
{
    FILE_STAT_INFORMATION stat;
    fill_stat(q, &stat);
    memcpy(out, &stat, offsetof(FILE_STAT_LX_INFORMATION, LxFlags));
    out->LxFlags = LX_FILE_METADATA_HAS_UID | LX_FILE_METADATA_HAS_GID | LX_FILE_METADATA_HAS_MODE;
    out->LxUid = q->st.st_uid;
    out->LxGid = q->st.st_gid;
    out->LxMode = q->st.st_mode;
    out->LxDeviceIdMajor = out->LxDeviceIdMinor = 0;
    if (S_ISCHR(q->st.st_mode) || S_ISBLK(q->st.st_mode)) {
        out->LxFlags |= LX_FILE_METADATA_HAS_DEVICE_ID;
        out->LxDeviceIdMajor = major(q->st.st_rdev);
        out->LxDeviceIdMinor = minor(q->st.st_rdev);
    }
}

/* A name behind a length, cut where there is no room: STATUS_BUFFER_OVERFLOW. */
static NTSTATUS fill_name(struct query *q, ULONG at)
{
    unsigned chars;
    WCHAR *name = fs_open_name(q->open, &chars);
    ULONG text = at + FIELD_OFFSET(FILE_NAME_INFORMATION, FileName);
    if (name == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (q->room < text) {
        free(name);
        return STATUS_INFO_LENGTH_MISMATCH;
    }
    ULONG bytes = chars * (ULONG)sizeof(WCHAR), fits = q->room - text;
    fits = bytes < fits ? bytes : fits & ~1u;
    memcpy(q->out + at, &bytes, sizeof(bytes));
    memcpy(q->out + text, name, fits);
    free(name);
    q->bytes = text + fits;
    return fits < bytes ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static NTSTATUS fill_all(struct query *q)
{
    FILE_ALL_INFORMATION all = {0};
    ULONG head = FIELD_OFFSET(FILE_ALL_INFORMATION, NameInformation);
    if (q->room < sizeof(all))
        return STATUS_INFO_LENGTH_MISMATCH;
    fill_basic(q, &all.BasicInformation);
    fill_standard(q, &all.StandardInformation);
    node_index(q->node, &all.InternalInformation.IndexNumber);
    all.EaInformation.EaSize = fs_ea_size(q->node);
    all.AccessInformation.AccessFlags = q->open->granted;
    all.PositionInformation.CurrentByteOffset = q->open->file->CurrentByteOffset;
    all.ModeInformation.Mode = q->open->options & FILE_VALID_SET_FLAGS;
    memcpy(q->out, &all, head);
    return fill_name(q, head);
}

static NTSTATUS fill_volume_name(struct query *q)
{
    const UNICODE_STRING *name = &q->node->volume->name;
    ULONG text = FIELD_OFFSET(FILE_VOLUME_NAME_INFORMATION, DeviceName), bytes = name->Length;
    if (q->room < text)
        return STATUS_INFO_LENGTH_MISMATCH;
    ULONG fits = bytes < q->room - text ? bytes : q->room - text;
    memcpy(q->out, &bytes, sizeof(bytes));
    memcpy(q->out + text, name->Buffer, fits);
    q->bytes = text + fits;
    return fits < bytes ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

#define FIXED(type, ...)                                                                           \
    do {                                                                                           \
        type info = {0};                                                                           \
        if (q->room < sizeof(info))                                                                \
            return STATUS_INFO_LENGTH_MISMATCH;                                                    \
        __VA_ARGS__;                                                                               \
        memcpy(q->out, &info, sizeof(info));                                                       \
        q->bytes = sizeof(info);                                                                   \
        return STATUS_SUCCESS;                                                                     \
    } while (0)

static NTSTATUS fill_class(struct query *q, FILE_INFORMATION_CLASS class)
{
    switch ((int)class) {
    case FileBasicInformation:
        FIXED(FILE_BASIC_INFORMATION, fill_basic(q, &info));
    case FileStandardInformation:
        /* The Ex form is as long: it names what is padding in the other. */
        FIXED(FILE_STANDARD_INFORMATION_EX, {
            fill_standard(q, (FILE_STANDARD_INFORMATION *)&info);
            info.AlternateStream = q->stream->name[0] != 0;
        });
    case FileInternalInformation:
        FIXED(FILE_INTERNAL_INFORMATION, node_index(q->node, &info.IndexNumber));
    case FileIdInformation:
        FIXED(FILE_ID_INFORMATION, {
            info.VolumeSerialNumber = q->node->volume->serial;
            node_id(q->node, &info.FileId);
        });
    case FileEaInformation:
        FIXED(FILE_EA_INFORMATION, info.EaSize = fs_ea_size(q->node));
    case FileAccessInformation:
        FIXED(FILE_ACCESS_INFORMATION, info.AccessFlags = q->open->granted);
    case FileModeInformation:
        FIXED(FILE_MODE_INFORMATION, info.Mode = q->open->options & FILE_VALID_SET_FLAGS);
    case FileAlignmentInformation:
        FIXED(FILE_ALIGNMENT_INFORMATION, info.AlignmentRequirement = FILE_BYTE_ALIGNMENT);
    case FilePositionInformation:
        FIXED(FILE_POSITION_INFORMATION, info.CurrentByteOffset = q->open->file->CurrentByteOffset);
    case FileNetworkOpenInformation:
        FIXED(FILE_NETWORK_OPEN_INFORMATION, fill_network(q, &info));
    case FileAttributeTagInformation:
        FIXED(FILE_ATTRIBUTE_TAG_INFORMATION, {
            info.FileAttributes = node_attributes(q->node, q->st.st_mode);
            info.ReparseTag = node_reparse_tag(q->node);
        });
    case FileCompressionInformation:
        FIXED(FILE_COMPRESSION_INFORMATION, info.CompressedFileSize.QuadPart = allocation(q));
    case FileStatInformation:
        FIXED(FILE_STAT_INFORMATION, fill_stat(q, &info));
    case FileStatLxInformation:
        FIXED(FILE_STAT_LX_INFORMATION, fill_stat_lx(q, &info));
    case FileStandardLinkInformation:
        FIXED(FILE_STANDARD_LINK_INFORMATION, {
            info.NumberOfAccessibleLinks = link_count(q);
            info.TotalNumberOfLinks =
                S_ISDIR(q->st.st_mode) ? link_count(q) : (ULONG)q->st.st_nlink;
            info.DeletePending = pending_delete(q);
            info.Directory = S_ISDIR(q->st.st_mode);
        });
    case FileIsRemoteDeviceInformation:
        FIXED(FILE_IS_REMOTE_DEVICE_INFORMATION, info.IsRemote = FALSE);
    case FileCaseSensitiveInformation:
        if (!is_directory(q->node))
            return STATUS_INVALID_PARAMETER;
        FIXED(FILE_CASE_SENSITIVE_INFORMATION, info.Flags = 0);
    case FileNameInformation:
    case FileNormalizedNameInformation:
        return fill_name(q, 0);
    case FileAlternateNameInformation:
        return STATUS_OBJECT_NAME_NOT_FOUND; /* no short names */
    case FileAllInformation:
        return fill_all(q);
    case FileStreamInformation:
        return fill_streams(q);
    case FileHardLinkInformation:
        return fill_links(q, false);
    case FileHardLinkFullIdInformation:
        return fill_links(q, true);
    case FileVolumeNameInformation:
        return fill_volume_name(q);
    default:
        return STATUS_INVALID_INFO_CLASS;
    }
}

static NTSTATUS query(struct open *open, FILE_INFORMATION_CLASS class, void *out, ULONG room,
                      ULONG_PTR *bytes)
{
    struct query q = {
        .open = open, .stream = open->stream, .node = open->stream->node, .out = out, .room = room};
    if (open->is_volume && class != FileNameInformation && class != FileVolumeNameInformation)
        return STATUS_INVALID_PARAMETER;
    pthread_mutex_lock(&q.node->volume->names);
    NTSTATUS status = take_stat(&q);
    if (NT_SUCCESS(status))
        status = fill_class(&q, class);
    pthread_mutex_unlock(&q.stream->volume->names);
    *bytes = q.bytes;
    return status;
}

NTSTATUS fs_query(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    UNREFERENCED_PARAMETER(device);
    return query(open_of(stack->FileObject), stack->Parameters.QueryFile.FileInformationClass,
                 irp->AssociatedIrp.SystemBuffer, stack->Parameters.QueryFile.Length,
                 &irp->IoStatus.Information);
}

/* The full name, from the root of the volume. */
WCHAR *fs_open_name(const struct open *open, unsigned *chars)
{
    unsigned depth = 0, at = 0;
    const char *stream = open->stream->name;
    for (const struct link *link = open->link; link != NULL; link = link->up)
        depth++;
    const struct link **chain = malloc((depth + 1) * sizeof(const struct link *));
    WCHAR *name = malloc((depth * (FS_NAME_MAX + 1) + FS_NAME_MAX + 2) * sizeof(WCHAR));
    if (name == NULL || chain == NULL) {
        free(chain);
        free(name);
        return NULL;
    }
    if (depth == 0 && !open->is_volume)
        name[at++] = '\\';
    depth = 0;
    for (const struct link *link = open->link; link != NULL; link = link->up)
        chain[depth++] = link;
    while (depth-- > 0) {
        const char *text = chain[depth]->name;
        name[at++] = '\\';
        int n = nt_name_from_unix(text, strlen(text), false, name + at, FS_NAME_MAX);
        at += n > 0 ? (unsigned)n : 0;
    }
    free(chain);
    if (stream[0] != 0 && !open->is_volume) {
        name[at++] = ':';
        int n = nt_name_from_unix(stream, strlen(stream), false, name + at, FS_NAME_MAX);
        at += n > 0 ? (unsigned)n : 0;
    }
    *chars = at;
    return name;
}

/* Fast I/O */

static BOOLEAN fast(PFILE_OBJECT file, FILE_INFORMATION_CLASS class, void *buffer, ULONG room,
                    PIO_STATUS_BLOCK iosb)
{
    iosb->Status = query(open_of(file), class, buffer, room, &iosb->Information);
    return TRUE;
}

static BOOLEAN NTAPI fast_basic(PFILE_OBJECT FileObject, BOOLEAN Wait,
                                PFILE_BASIC_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
                                PDEVICE_OBJECT DeviceObject)
{
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(DeviceObject);
    return fast(FileObject, FileBasicInformation, Buffer, sizeof(*Buffer), IoStatus);
}

static BOOLEAN NTAPI fast_standard(PFILE_OBJECT FileObject, BOOLEAN Wait,
                                   PFILE_STANDARD_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
                                   PDEVICE_OBJECT DeviceObject)
{
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(DeviceObject);
    return fast(FileObject, FileStandardInformation, Buffer, sizeof(*Buffer), IoStatus);
}

static BOOLEAN NTAPI fast_network(PFILE_OBJECT FileObject, BOOLEAN Wait,
                                  PFILE_NETWORK_OPEN_INFORMATION Buffer, PIO_STATUS_BLOCK IoStatus,
                                  PDEVICE_OBJECT DeviceObject)
{
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(DeviceObject);
    return fast(FileObject, FileNetworkOpenInformation, Buffer, sizeof(*Buffer), IoStatus);
}

void fs_query_fast_io(PFAST_IO_DISPATCH dispatch)
{
    dispatch->FastIoQueryBasicInfo = fast_basic;
    dispatch->FastIoQueryStandardInfo = fast_standard;
    dispatch->FastIoQueryNetworkOpenInfo = fast_network;
}
