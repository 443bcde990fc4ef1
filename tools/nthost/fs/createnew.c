/*
 * IRP_MJ_CREATE of what is not there yet: an inode of the right kind, with the owner, mode,
 * attributes and EAs that were asked for. If a later step fails, it goes again.
 */
#include "create.h"
#include "hint.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* One new inode of the right kind at the name. *fd: its data, or -1. */
static NTSTATUS make_inode(struct creation *c, const struct lx_metadata *lx, int *fd)
{
    mode_t type = lx->has_mode ? lx->mode & S_IFMT : 0;
    mode_t mode = lx->has_mode ? lx->mode & 07777 : c->make_directory ? 0755 : 0644;
    int parent = c->parent->fd;
    char target[4097];
    *fd = -1;
    if (c->make_directory) {
        if (type != 0 && type != S_IFDIR)
            return STATUS_INVALID_PARAMETER;
        return mkdirat(parent, c->name, mode) == 0 ? STATUS_SUCCESS : fs_status_of(errno);
    }
    switch (type) {
    case 0:
    case S_IFREG:
        *fd = openat(parent, c->name,
                     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC |
                         (c->volume->atime ? 0 : O_NOATIME),
                     mode);
        return *fd >= 0 ? STATUS_SUCCESS : fs_status_of(errno);
    case S_IFLNK:
        if (lx->target == NULL || lx->target_bytes == 0 || lx->target_bytes >= sizeof(target) ||
            memchr(lx->target, 0, lx->target_bytes) != NULL)
            return STATUS_INVALID_PARAMETER;
        memcpy(target, lx->target, lx->target_bytes);
        target[lx->target_bytes] = 0;
        return symlinkat(target, parent, c->name) == 0 ? STATUS_SUCCESS : fs_status_of(errno);
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        return mknodat(parent, c->name, type | mode, gnu_dev_makedev(lx->major, lx->minor)) == 0
                   ? STATUS_SUCCESS
                   : fs_status_of(errno);
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

/* Attributes, descriptor and EAs of what was just made. */
static NTSTATUS dress(struct creation *c, struct node *node)
{
    PACCESS_STATE state = c->stack->Parameters.Create.SecurityContext->AccessState;
    ULONG kept = c->stack->Parameters.Create.FileAttributes & FS_SETTABLE_ATTRIBUTES;
    ULONG bad;
    NTSTATUS status = STATUS_SUCCESS;
    node->info_known = true; /* it is new: nothing is stored */
    memset(&node->info, 0, sizeof(node->info));
    node->info.version = 1;
    node->info.attributes = kept | (is_directory(node) ? 0 : FILE_ATTRIBUTE_ARCHIVE);
    if (!node_store_info(node))
        status = fs_status_of(errno);
    if (NT_SUCCESS(status) && c->ea_bytes != 0)
        status = fs_apply_eas(node, c->ea, c->ea_bytes, &bad);
    if (NT_SUCCESS(status) && state != NULL && state->SecurityDescriptor != NULL)
        status = fs_store_descriptor(node, state->SecurityDescriptor);
    return status;
}

/* A folder with S_ISGID gives its group, and to folders the bit, as on Linux; what the caller's
 * EAs said of the group yields. */
static void inherit_group(struct creation *c, const struct lx_metadata *lx)
{
    struct stat st;
    if (fstat(c->parent->fd, &st) != 0 || !(st.st_mode & S_ISGID) || !lx->has_gid)
        return;
    fchownat(c->parent->fd, c->name, (uid_t)-1, st.st_gid, AT_SYMLINK_NOFOLLOW);
    if (c->make_directory && lx->has_mode)
        fchmodat(c->parent->fd, c->name, (lx->mode & 07777) | S_ISGID, 0);
}

NTSTATUS create_new(struct creation *c)
{
    struct lx_metadata lx;
    NTSTATUS status;
    int fd = -1, path_fd;
    if (c->volume->read_only)
        return STATUS_MEDIA_WRITE_PROTECTED;
    if (c->folder && !c->make_directory)
        return STATUS_OBJECT_NAME_INVALID;
    if (c->make_directory && c->stream_name[0] != 0)
        return STATUS_NOT_A_DIRECTORY;
    if (c->up != NULL && (c->up->delete_pending || c->up->unlinked))
        return STATUS_DELETE_PENDING;
    if (c->parent->root && strcmp(c->name, FS_STORE) == 0)
        return STATUS_ACCESS_DENIED;
    if (c->stack->Parameters.Create.FileAttributes & FILE_ATTRIBUTE_READONLY &&
        c->options & FILE_DELETE_ON_CLOSE)
        return STATUS_CANNOT_DELETE;
    status = fs_parse_lx(c->ea, c->ea_bytes, &lx);
    if (NT_SUCCESS(status))
        status = make_inode(c, &lx, &fd);
    if (!NT_SUCCESS(status))
        return status;
    path_fd = openat(c->parent->fd, c->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct node *node = path_fd < 0 ? NULL : node_of_fd(c->volume, path_fd, &status);
    if (node == NULL) {
        status = path_fd < 0 ? fs_status_of(errno) : status;
    } else {
        status = dress(c, node);
        inherit_group(c, &lx);
        c->link = link_make(c->parent, c->up, c->name, node);
        if (c->link == NULL && NT_SUCCESS(status))
            status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (NT_SUCCESS(status)) {
        c->link->name_is_new = true;
        c->made = true;
        c->irp->IoStatus.Information = FILE_CREATED;
        status = c->stream_name[0] ? STATUS_SUCCESS : create_take_stream(c, fd);
        if (NT_SUCCESS(status) && c->stream_name[0] == 0)
            fd = -1;
    }
    if (fd >= 0)
        close(fd);
    if (!NT_SUCCESS(status)) {
        unlinkat(c->parent->fd, c->name, c->make_directory ? AT_REMOVEDIR : 0);
        if (c->link != NULL) {
            c->link->node->gone = true;
            hint_drop(c->link->node, c->parent->inode, c->name);
        }
    }
    return status;
}
