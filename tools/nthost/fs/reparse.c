/*
 * Reparse points. Symbolic links and special files are Linux's own; any other tag is kept in an
 * attribute of a file or an empty folder.
 *
 * FSCTL_SET_REPARSE_POINT with a tag of Linux on an empty file puts another inode in its place:
 * with another identity. A create with $LXMOD (and $LXTARGET) makes it at one stroke instead.
 *
 * WDK: FSCTL_SET_REPARSE_POINT, FSCTL_GET_REPARSE_POINT; [MS-FSCC] 2.1.2.
 */
#include "fsctl.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LX_SYMLINK_VERSION 2u

static NTSTATUS get_link(struct node *node, REPARSE_DATA_BUFFER *out, ULONG room, ULONG_PTR *bytes)
{
    ULONG head = REPARSE_DATA_BUFFER_HEADER_SIZE, version = LX_SYMLINK_VERSION;
    char target[4097];
    ssize_t n = 0;
    out->ReparseTag = node_reparse_tag(node);
    out->Reserved = 0;
    if (S_ISLNK(node->type)) {
        n = readlinkat(node->fd, "", target, sizeof(target));
        if (n < 0)
            return fs_status_of(errno);
        if (room < head + 4 + (size_t)n)
            return STATUS_BUFFER_OVERFLOW;
        memcpy(out->GenericReparseBuffer.DataBuffer, &version, 4);
        memcpy(out->GenericReparseBuffer.DataBuffer + 4, target, (size_t)n);
        n += 4;
    }
    out->ReparseDataLength = (USHORT)n;
    *bytes = head + (size_t)n;
    return STATUS_SUCCESS;
}

NTSTATUS fsctl_get_reparse(struct open *open, void *buffer, ULONG room, ULONG_PTR *bytes)
{
    struct node *node = open->stream->node;
    char path[32];
    if (node_reparse_tag(node) == 0)
        return STATUS_NOT_A_REPARSE_POINT;
    if (room < REPARSE_DATA_BUFFER_HEADER_SIZE)
        return STATUS_BUFFER_TOO_SMALL;
    if (fs_type_tag(node->type) != 0)
        return get_link(node, buffer, room, bytes);
    ssize_t n = getxattr(fs_fd_path(node->fd, path), XATTR_REPARSE, buffer, room);
    if (n < 0)
        return errno == ERANGE ? STATUS_BUFFER_OVERFLOW : fs_status_of(errno);
    *bytes = (ULONG_PTR)n;
    return STATUS_SUCCESS;
}

/* An inode of another type takes the place of an empty file that nobody else has open. */
static NTSTATUS become(struct open *open, const REPARSE_DATA_BUFFER *data)
{
    struct node *node = open->stream->node;
    struct link *link = open->link;
    struct stat st;
    char temporary[64], target[4097];
    mode_t type = data->ReparseTag == IO_REPARSE_TAG_LX_SYMLINK ? S_IFLNK
                  : data->ReparseTag == IO_REPARSE_TAG_LX_FIFO  ? S_IFIFO
                                                                : S_IFSOCK;
    size_t bytes = data->ReparseDataLength;
    NTSTATUS status = node_stat(node, &st);
    if (!NT_SUCCESS(status))
        return status;
    if (link == NULL || link->unlinked || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
        st.st_size != 0 || open->stream->handles != 1)
        return STATUS_ACCESS_DENIED;
    snprintf(temporary, sizeof(temporary), ".ntfs-link-%llx", (unsigned long long)node->inode);
    int made;
    if (type == S_IFLNK) {
        if (bytes <= 4 || bytes - 4 >= sizeof(target) ||
            memchr(data->GenericReparseBuffer.DataBuffer + 4, 0, bytes - 4) != NULL)
            return STATUS_IO_REPARSE_DATA_INVALID;
        memcpy(target, data->GenericReparseBuffer.DataBuffer + 4, bytes - 4);
        target[bytes - 4] = 0;
        made = symlinkat(target, link->parent->fd, temporary);
    } else {
        made = mknodat(link->parent->fd, temporary, type | (st.st_mode & 07777), 0);
    }
    if (made != 0)
        return fs_status_of(errno);
    if (fchownat(link->parent->fd, temporary, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW) != 0 ||
        renameat(link->parent->fd, temporary, link->parent->fd, link->name) != 0) {
        status = fs_status_of(errno);
        unlinkat(link->parent->fd, temporary, 0);
        return status;
    }
    int fd = openat(link->parent->fd, link->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fs_status_of(errno);
    if (open->stream->fd >= 0)
        close(open->stream->fd);
    open->stream->fd = -1;
    link->name_is_new = true;
    return node_replace(node, fd);
}

NTSTATUS fsctl_set_reparse(struct open *open, const void *input, ULONG bytes)
{
    const REPARSE_DATA_BUFFER *data = input;
    struct node *node = open->stream->node;
    ULONG head = REPARSE_DATA_BUFFER_HEADER_SIZE;
    char path[32];
    if (bytes < head || data->ReparseDataLength + head != bytes ||
        bytes > MAXIMUM_REPARSE_DATA_BUFFER_SIZE) {
        ULONG guid_head = REPARSE_GUID_DATA_BUFFER_HEADER_SIZE; /* a tag of a third party */
        if (bytes < guid_head || IsReparseTagMicrosoft(data->ReparseTag) ||
            data->ReparseDataLength + guid_head != bytes)
            return STATUS_IO_REPARSE_DATA_INVALID;
    }
    if (!IsReparseTagValid(data->ReparseTag))
        return STATUS_IO_REPARSE_TAG_INVALID;
    ULONG now = node_reparse_tag(node);
    if (now != 0 && now != data->ReparseTag)
        return STATUS_IO_REPARSE_TAG_MISMATCH;
    switch (data->ReparseTag) {
    case IO_REPARSE_TAG_LX_CHR:
    case IO_REPARSE_TAG_LX_BLK:
        return STATUS_NOT_SUPPORTED; /* by $LXMOD and $LXDEV at create */
    case IO_REPARSE_TAG_LX_SYMLINK:
    case IO_REPARSE_TAG_LX_FIFO:
    case IO_REPARSE_TAG_AF_UNIX:
        return now != 0 ? STATUS_NOT_SUPPORTED : become(open, data);
    default:
        break;
    }
    if (!node_access_xattr(node))
        return STATUS_NOT_SUPPORTED;
    if (is_directory(node) && !fs_directory_is_empty(node))
        return STATUS_DIRECTORY_NOT_EMPTY;
    node_load_info(node);
    if (setxattr(fs_fd_path(node->fd, path), XATTR_REPARSE, input, bytes, 0) != 0)
        return fs_status_of(errno);
    node->info.reparse_tag = data->ReparseTag;
    return node_store_info(node) ? STATUS_SUCCESS : fs_status_of(errno);
}

NTSTATUS fsctl_delete_reparse(struct open *open, const void *input, ULONG bytes)
{
    const REPARSE_DATA_BUFFER *data = input;
    struct node *node = open->stream->node;
    char path[32];
    if (bytes < REPARSE_DATA_BUFFER_HEADER_SIZE)
        return STATUS_IO_REPARSE_DATA_INVALID;
    if (node_reparse_tag(node) == 0)
        return STATUS_NOT_A_REPARSE_POINT;
    if (node_reparse_tag(node) != data->ReparseTag)
        return STATUS_IO_REPARSE_TAG_MISMATCH;
    if (fs_type_tag(node->type) != 0)
        return STATUS_NOT_SUPPORTED;
    if (removexattr(fs_fd_path(node->fd, path), XATTR_REPARSE) != 0 && errno != ENODATA)
        return fs_status_of(errno);
    node->info.reparse_tag = 0;
    return node_store_info(node) ? STATUS_SUCCESS : fs_status_of(errno);
}
