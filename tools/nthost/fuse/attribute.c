/* getattr and setattr: owner and mode are EAs ($LXUID, $LXGID, $LXMOD), times FileBasicInformation,
 * the size FileEndOfFileInformation. */
#include "edge.h"
#include <linux/fuse.h>
#include <time.h>

#define UNIX_EPOCH 116444736000000000ll

void edge_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    (void)fi;
    int error = stat_of(EDGE(req), node_of(EDGE(req), ino), &st);
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &st, EDGE_TIMEOUT);
}

/* A set-group-ID bit without the group's execute bit is none. */
static mode_t set_ids_of(mode_t mode)
{
    return (mode & S_ISUID) | (mode & S_IXGRP ? mode & S_ISGID : 0);
}

NTSTATUS drop_set_ids(struct node *node, PFILE_OBJECT file)
{
    struct stat st;
    struct ea_list ea;
    if (node_fstat(node, &st) != 0 || set_ids_of(st.st_mode) == 0)
        return STATUS_SUCCESS;
    ea_start(&ea);
    ea_add_ulong(&ea, "$LXMOD", st.st_mode & ~set_ids_of(st.st_mode));
    return nt_set_ea(file, ea.data, ea.bytes);
}

static LONGLONG nt_time(const struct timespec *time)
{
    LONGLONG units = UNIX_EPOCH + (LONGLONG)time->tv_sec * 10000000 + time->tv_nsec / 100;
    return units > 0 ? units : 1; /* 0 and less have other meanings */
}

static NTSTATUS set_times(PFILE_OBJECT file, const struct stat *wanted, int which)
{
    FILE_BASIC_INFORMATION basic = {0};
    struct timespec now;
    /* The clock that the kernel itself stamps with. */
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (which & FUSE_SET_ATTR_ATIME)
        basic.LastAccessTime.QuadPart =
            nt_time(which & FUSE_SET_ATTR_ATIME_NOW ? &now : &wanted->st_atim);
    if (which & FUSE_SET_ATTR_MTIME)
        basic.LastWriteTime.QuadPart =
            nt_time(which & FUSE_SET_ATTR_MTIME_NOW ? &now : &wanted->st_mtim);
    return nt_set_information(file, FileBasicInformation, &basic, sizeof(basic));
}

/* On Linux the size that a file has already sets its times, too. */
static NTSTATUS set_size(struct node *node, PFILE_OBJECT file, off_t size)
{
    struct stat st;
    bool same = node_fstat(node, &st) == 0 && st.st_size == size;
    NTSTATUS status = nt_set_end_of_file(file, size);
    if (NT_SUCCESS(status) && same)
        status = set_times(file, &st, FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW);
    return status;
}

static NTSTATUS set_owner_and_mode(struct node *node, PFILE_OBJECT file, const struct stat *wanted,
                                   int which)
{
    struct ea_list ea;
    struct stat st;
    if (node_fstat(node, &st) != 0)
        return STATUS_UNEXPECTED_IO_ERROR;
    ea_start(&ea);
    if (which & FUSE_SET_ATTR_UID)
        ea_add_ulong(&ea, "$LXUID", wanted->st_uid);
    if (which & FUSE_SET_ATTR_GID)
        ea_add_ulong(&ea, "$LXGID", wanted->st_gid);
    if (which & FUSE_SET_ATTR_MODE)
        ea_add_ulong(&ea, "$LXMOD", (st.st_mode & S_IFMT) | (wanted->st_mode & 07777));
    else if (S_ISREG(st.st_mode) && set_ids_of(st.st_mode) != 0)
        ea_add_ulong(&ea, "$LXMOD", st.st_mode & ~set_ids_of(st.st_mode)); /* a new owner */
    return nt_set_ea(file, ea.data, ea.bytes);
}

/* What libfuse does not hand on: FATTR_KILL_SUIDGID. */
static bool kills_set_ids(const struct mount_edge *edge)
{
#ifdef FATTR_KILL_SUIDGID
    const struct fuse_setattr_in *in =
        (const void *)(worker->request + sizeof(struct fuse_in_header));
    return edge->kill_privileges && in->valid & FATTR_KILL_SUIDGID;
#else
    (void)edge;
    return false;
#endif
}

void edge_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int which,
                  struct fuse_file_info *fi)
{
    struct mount_edge *edge = EDGE(req);
    struct node *node = node_of(edge, ino);
    struct handle *handle = fi != NULL ? (struct handle *)(uintptr_t)fi->fh : NULL;
    NTSTATUS status = STATUS_SUCCESS;
    PFILE_OBJECT file = NULL;
    PEPROCESS before = NULL;
    struct stat st;
    bool sizes = which & FUSE_SET_ATTR_SIZE;
    int error = 0;
    worker->changes_inode = node->inode;
    ACCESS_MASK access = FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES | FILE_WRITE_EA;
    if (sizes)
        access |= FILE_WRITE_DATA;
    if (handle != NULL && (handle->writable || !sizes)) {
        before = begin_nt(req);
        file = handle->file;
        nt_duplicate(file);
    } else {
        error = target_open(req, node, access, sizes, &file, &before);
    }
    if (error != 0) {
        fuse_reply_err(req, error);
        return;
    }
    if (which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_MODE))
        status = set_owner_and_mode(node, file, wanted, which);
    if (NT_SUCCESS(status) && sizes)
        status = set_size(node, file, wanted->st_size);
    if (NT_SUCCESS(status) && kills_set_ids(edge))
        status = drop_set_ids(node, file);
    if (NT_SUCCESS(status) && which & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME))
        status = set_times(file, wanted, which);
    nt_close(file);
    end_nt(before);
    error = errno_of(status);
    if (status == STATUS_INVALID_PARAMETER && sizes)
        error = EFBIG;
    if (error == 0)
        error = stat_of(edge, node, &st);
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &st, EDGE_TIMEOUT);
}
