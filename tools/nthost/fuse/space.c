/* Allocation, holes, copying; the volume's size. */
#include "edge.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

/* Zeroes a range of the file; on a sparse file its blocks are given back. */
static NTSTATUS zero(PFILE_OBJECT file, off_t offset, off_t end, bool sparse)
{
    FILE_ZERO_DATA_INFORMATION range = {.FileOffset.QuadPart = offset,
                                        .BeyondFinalZero.QuadPart = end};
    NTSTATUS status = STATUS_SUCCESS;
    if (offset >= end)
        return STATUS_SUCCESS;
    if (sparse)
        status = nt_fsctl(file, FSCTL_SET_SPARSE, NULL, 0, NULL, 0, NULL);
    if (NT_SUCCESS(status))
        status = nt_fsctl(file, FSCTL_SET_ZERO_DATA, &range, sizeof(range), NULL, 0, NULL);
    return status;
}

static NTSTATUS allocate(PFILE_OBJECT file, off_t end, off_t size)
{
    FILE_ALLOCATION_INFORMATION information = {.AllocationSize.QuadPart = end > size ? end : size};
    return nt_set_information(file, FileAllocationInformation, &information, sizeof(information));
}

void edge_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t bytes,
                    struct fuse_file_info *fi)
{
    struct handle *handle = handle_of(fi);
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    off_t end = offset + bytes;
    struct stat st;
    NTSTATUS status;
    (void)ino;
    if (node_fstat(handle->node, &st) != 0) {
        fuse_reply_err(req, errno);
        return;
    }
    off_t within = end < st.st_size ? end : st.st_size;
    worker->changes_inode = handle->node->inode;
    PEPROCESS before = begin_nt(req);
    switch (mode & ~FALLOC_FL_KEEP_SIZE) {
    case 0:
        status = allocate(handle->file, end, st.st_size);
        break;
    case FALLOC_FL_PUNCH_HOLE:
        status = zero(handle->file, offset, within, true);
        break;
    case FALLOC_FL_ZERO_RANGE:
        status = zero(handle->file, offset, within, false);
        break;
    default: /* NT moves no data within a file */
        status = STATUS_NOT_SUPPORTED;
    }
    if (NT_SUCCESS(status) && !keep && end > st.st_size)
        status = nt_set_end_of_file(handle->file, end);
    if (NT_SUCCESS(status) && EDGE(req)->kill_privileges)
        status = fuse_req_ctx(req)->uid == 0 ? status : drop_set_ids(handle->node, handle->file);
    end_nt(before);
    fuse_reply_err(req, errno_of(status));
}

/* Where data begin or end at or behind `offset`; -1 and *error. */
static off_t seek(PFILE_OBJECT file, off_t offset, off_t size, bool data, int *error)
{
    FILE_ALLOCATED_RANGE_BUFFER asked, ranges[32];
    ULONG_PTR bytes;
    off_t at = offset;
    *error = ENXIO;
    if (offset >= size)
        return -1;
    while (at < size) {
        asked.FileOffset.QuadPart = at;
        asked.Length.QuadPart = size - at;
        NTSTATUS status = nt_fsctl(file, FSCTL_QUERY_ALLOCATED_RANGES, &asked, sizeof(asked),
                                   ranges, sizeof(ranges), &bytes);
        if (!NT_SUCCESS(status) && status != STATUS_BUFFER_OVERFLOW) {
            *error = errno_of(status);
            return -1;
        }
        size_t count = bytes / sizeof(ranges[0]);
        if (data)
            return count == 0                           ? -1
                   : ranges[0].FileOffset.QuadPart > at ? ranges[0].FileOffset.QuadPart
                                                        : at;
        for (size_t i = 0; i < count; i++) {
            if (ranges[i].FileOffset.QuadPart > at)
                return at;
            at = ranges[i].FileOffset.QuadPart + ranges[i].Length.QuadPart;
        }
        if (count == 0)
            break;
    }
    return at < size ? at : size;
}

void edge_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
    struct handle *handle = handle_of(fi);
    struct stat st;
    int error = EINVAL;
    off_t found = -1;
    (void)ino;
    if (node_fstat(handle->node, &st) != 0) {
        error = errno;
    } else if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        PEPROCESS before = begin_nt(req);
        found = seek(handle->file, offset, st.st_size, whence == SEEK_DATA, &error);
        end_nt(before);
    }
    if (found < 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_lseek(req, found);
}

/* By reading and writing, a buffer at a time; the program asks for the rest. */
void edge_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_fi,
               fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_fi, size_t bytes,
               int flags)
{
    LONGLONG in = from_offset, out = to_offset;
    ULONG_PTR got = 0, done = 0;
    (void)from;
    (void)to;
    if (flags != 0) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    if (bytes > EDGE_MAX_WRITE)
        bytes = EDGE_MAX_WRITE;
    worker->changes_inode = handle_of(to_fi)->node->inode;
    PEPROCESS before = begin_nt(req);
    NTSTATUS status = nt_read(handle_of(from_fi)->file, worker->reply, (ULONG)bytes, &in, &got);
    if (status == STATUS_END_OF_FILE)
        status = STATUS_SUCCESS, got = 0;
    if (NT_SUCCESS(status) && got != 0)
        status = nt_write(handle_of(to_fi)->file, worker->reply, (ULONG)got, &out, &done);
    end_nt(before);
    if (NT_SUCCESS(status))
        fuse_reply_write(req, done);
    else
        fuse_reply_err(req, errno_of(status));
}

void edge_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct statvfs fs;
    (void)ino;
    if (fstatvfs(EDGE(req)->root_fd, &fs) != 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &fs);
}
