/*
 * What an inode says of itself: identity, attributes, times. volume->names is held where something
 * of the node changes.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define UNIX_EPOCH 116444736000000000ll

LONGLONG fs_time(const struct timespec *time)
{
    return UNIX_EPOCH + time->tv_sec * 10000000ll + time->tv_nsec / 100;
}

void fs_timespec(LONGLONG time, struct timespec *out)
{
    LONGLONG since = time - UNIX_EPOCH;
    out->tv_sec = since / 10000000;
    out->tv_nsec = since % 10000000 * 100;
    if (out->tv_nsec < 0) {
        out->tv_nsec += 1000000000;
        out->tv_sec--;
    }
}

const char *fs_fd_path(int fd, char text[32])
{
    snprintf(text, 32, "/proc/self/fd/%d", fd);
    return text;
}

bool node_access_xattr(const struct node *node)
{
    return S_ISREG(node->type) || S_ISDIR(node->type);
}

NTSTATUS node_stat(struct node *node, struct stat *st)
{
    return fstat(node->fd, st) == 0 ? STATUS_SUCCESS : fs_status_of(errno);
}

void node_load_info(struct node *node)
{
    char path[32];
    struct fs_info stored;
    if (node->info_known)
        return;
    memset(&node->info, 0, sizeof(node->info));
    node->info.version = 1;
    node->info.attributes = S_ISDIR(node->type) ? 0 : FILE_ATTRIBUTE_ARCHIVE;
    if (node_access_xattr(node) &&
        getxattr(fs_fd_path(node->fd, path), XATTR_INFO, &stored, sizeof(stored)) ==
            sizeof(stored) &&
        stored.version == 1)
        node->info = stored;
    node->info_known = true;
}

/* False: errno says why. What the defaults say is not stored. */
bool node_store_info(struct node *node)
{
    char path[32];
    const struct fs_info *info = &node->info;
    ULONG plain = S_ISDIR(node->type) ? 0 : FILE_ATTRIBUTE_ARCHIVE;
    if (!node_access_xattr(node))
        return true; /* Linux keeps none on links and special files */
    fs_fd_path(node->fd, path);
    if (info->attributes == plain && info->creation == 0 && info->flags == 0 &&
        info->reparse_tag == 0)
        return removexattr(path, XATTR_INFO) == 0 || errno == ENODATA || errno == EOPNOTSUPP;
    return setxattr(path, XATTR_INFO, info, sizeof(*info), 0) == 0;
}

/* The generation is in the file handle that the backing would export; any other handle for the same
 * inode number is another file. Without handles: the time of birth. */
uint32_t fs_generation(int fd, const char *name)
{
    struct {
        struct file_handle head;
        unsigned char data[MAX_HANDLE_SZ];
    } handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
    struct statx stx;
    int mount_id, flags = name[0] ? 0 : AT_EMPTY_PATH;
    uint32_t hash = 2166136261u;
    if (name_to_handle_at(fd, name, &handle.head, &mount_id, flags) == 0) {
        if (handle.head.handle_type == 1 && handle.head.handle_bytes == 8) {
            memcpy(&hash, handle.data + 4, 4); /* FILEID_INO32_GEN: ext4 */
        } else {
            for (unsigned i = 0; i < handle.head.handle_bytes; i++)
                hash = (hash ^ handle.data[i]) * 16777619u;
        }
    } else if (statx(fd, name, flags | AT_SYMLINK_NOFOLLOW, STATX_BTIME, &stx) == 0 &&
               stx.stx_mask & STATX_BTIME) {
        hash = (uint32_t)stx.stx_btime.tv_sec ^ stx.stx_btime.tv_nsec * 2654435761u;
    }
    return hash;
}

uint32_t node_generation(struct node *node)
{
    if (!node->id_known)
        node->generation = fs_generation(node->fd, "");
    node->id_known = true;
    return node->generation;
}

void node_index(struct node *node, LARGE_INTEGER *index)
{
    uint64_t generation = node_generation(node) & 0xffff;
    index->QuadPart = (LONGLONG)((node->inode & 0xffffffffffffull) | generation << 48);
}

void node_id(struct node *node, FILE_ID_128 *id)
{
    LARGE_INTEGER index;
    uint64_t high = node_generation(node);
    node_index(node, &index);
    memcpy(id->Identifier, &index.QuadPart, 8);
    memcpy(id->Identifier + 8, &high, 8);
}

ULONG fs_type_tag(mode_t type)
{
    switch (type & S_IFMT) {
    case S_IFLNK:
        return IO_REPARSE_TAG_LX_SYMLINK;
    case S_IFIFO:
        return IO_REPARSE_TAG_LX_FIFO;
    case S_IFCHR:
        return IO_REPARSE_TAG_LX_CHR;
    case S_IFBLK:
        return IO_REPARSE_TAG_LX_BLK;
    case S_IFSOCK:
        return IO_REPARSE_TAG_AF_UNIX;
    default:
        return 0;
    }
}

ULONG node_reparse_tag(struct node *node)
{
    ULONG tag = fs_type_tag(node->type);
    if (tag == 0) {
        node_load_info(node);
        tag = node->info.reparse_tag;
    }
    return tag;
}

ULONG node_attributes(struct node *node, mode_t type)
{
    node_load_info(node);
    ULONG attributes = node->info.attributes & FS_KEPT_ATTRIBUTES;
    if (S_ISDIR(type))
        attributes |= FILE_ATTRIBUTE_DIRECTORY;
    if (node_reparse_tag(node) != 0)
        attributes |= FILE_ATTRIBUTE_REPARSE_POINT;
    return attributes ? attributes : FILE_ATTRIBUTE_NORMAL;
}

LONGLONG node_creation_time(struct node *node)
{
    struct statx stx;
    node_load_info(node);
    if (node->info.creation != 0)
        return node->info.creation;
    if (statx(node->fd, "", AT_EMPTY_PATH, STATX_BTIME | STATX_CTIME, &stx) != 0)
        return 0;
    const struct statx_timestamp *birth =
        stx.stx_mask & STATX_BTIME ? &stx.stx_btime : &stx.stx_ctime;
    struct timespec time = {birth->tv_sec, birth->tv_nsec};
    return fs_time(&time);
}
