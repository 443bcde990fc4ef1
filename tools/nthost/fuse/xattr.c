/*
 * Extended attributes: set as EAs of the same name, read from the backing.
 *
 * An EA of NT without a value is none, so an empty value is refused (EOPNOTSUPP).
 */
#include "edge.h"
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

static bool is_hidden(const char *name)
{
    return strncmp(name, EDGE_HIDDEN, sizeof(EDGE_HIDDEN) - 1) == 0;
}

/* In driver context through target_open. bytes 0: removes it. */
static int set(fuse_req_t req, struct node *node, const char *name, const char *value, size_t bytes)
{
    size_t length = strlen(name);
    PFILE_OBJECT file;
    PEPROCESS before;
    size_t whole = sizeof(FILE_FULL_EA_INFORMATION) + length + 1 + bytes;
    if (length > 255 || whole > 0xffff)
        return length > 255 ? ERANGE : E2BIG;
    FILE_FULL_EA_INFORMATION *ea = calloc(1, whole);
    if (ea == NULL)
        return ENOMEM;
    ea->EaNameLength = (UCHAR)length;
    ea->EaValueLength = (USHORT)bytes;
    memcpy(ea->EaName, name, length + 1);
    if (bytes != 0)
        memcpy(ea->EaName + length + 1, value, bytes);
    int error = target_open(req, node, FILE_READ_EA | FILE_WRITE_EA, false, &file, &before);
    if (error == 0) {
        ULONG list = (ULONG)(FIELD_OFFSET(FILE_FULL_EA_INFORMATION, EaName) + length + 1 + bytes);
        error = errno_of(nt_set_ea(file, ea, list));
        nt_close(file);
        end_nt(before);
    }
    free(ea);
    return error;
}

static ssize_t get(struct node *node, const char *name, void *value, size_t room)
{
    char path[40];
    if (is_hidden(name)) {
        errno = ENODATA;
        return -1;
    }
    errno = node_proc_path(node, path);
    return errno != 0 ? -1 : getxattr(path, name, value, room);
}

void edge_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                   size_t bytes, int flags)
{
    struct node *node = node_of(EDGE(req), ino);
    int error = 0;
    bool there = get(node, name, NULL, 0) >= 0;
    if (is_hidden(name))
        error = EPERM;
    else if (!there && errno != ENODATA && errno != EOPNOTSUPP)
        error = errno;
    else if (!there && errno == EOPNOTSUPP)
        error = EOPNOTSUPP;
    else if (flags & XATTR_CREATE && there)
        error = EEXIST;
    else if (flags & XATTR_REPLACE && !there)
        error = ENODATA;
    else if (bytes == 0)
        error = EOPNOTSUPP;
    if (error == 0)
        error = set(req, node, name, value, bytes);
    fuse_reply_err(req, error);
}

void edge_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct node *node = node_of(EDGE(req), ino);
    int error = is_hidden(name) || get(node, name, NULL, 0) >= 0 ? 0 : errno;
    if (error == 0)
        error = is_hidden(name) ? ENODATA : set(req, node, name, NULL, 0);
    fuse_reply_err(req, error);
}

void edge_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room)
{
    struct node *node = node_of(EDGE(req), ino);
    if (room > EDGE_MAX_WRITE)
        room = EDGE_MAX_WRITE;
    ssize_t bytes = get(node, name, room != 0 ? worker->reply : NULL, room);
    if (bytes < 0)
        fuse_reply_err(req, errno);
    else if (room == 0)
        fuse_reply_xattr(req, (size_t)bytes);
    else
        fuse_reply_buf(req, (const char *)worker->reply, (size_t)bytes);
}

/* Without what is not for the caller. */
static size_t visible(char *list, size_t bytes, bool trusted)
{
    size_t kept = 0;
    for (size_t at = 0, length; at < bytes; at += length) {
        length = strlen(list + at) + 1;
        if (is_hidden(list + at) || (!trusted && strncmp(list + at, "trusted.", 8) == 0))
            continue;
        memmove(list + kept, list + at, length);
        kept += length;
    }
    return kept;
}

void edge_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room)
{
    char path[40], *list = (char *)worker->reply;
    errno = node_proc_path(node_of(EDGE(req), ino), path);
    ssize_t bytes = errno != 0 ? -1 : listxattr(path, list, EDGE_MAX_WRITE);
    if (bytes < 0) {
        fuse_reply_err(req, errno);
        return;
    }
    size_t kept = visible(list, (size_t)bytes, fuse_req_ctx(req)->uid == 0);
    if (room == 0)
        fuse_reply_xattr(req, kept);
    else if (kept > room)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, list, kept);
}
