/* Reading, writing, flushing. */
#include "edge.h"
#include <linux/fuse.h>
#include <fcntl.h>

static struct handle *handle_of(const struct fuse_file_info *fi)
{
    return (struct handle *)(uintptr_t)fi->fh;
}

void edge_read(fuse_req_t req, fuse_ino_t ino, size_t bytes, off_t offset,
               struct fuse_file_info *fi)
{
    LONGLONG at = offset;
    ULONG_PTR done = 0;
    (void)ino;
    if (bytes > EDGE_MAX_WRITE)
        bytes = EDGE_MAX_WRITE;
    PEPROCESS before = begin_nt(req);
    NTSTATUS status = nt_read(handle_of(fi)->file, worker->reply, (ULONG)bytes, &at, &done);
    end_nt(before);
    if (status == STATUS_END_OF_FILE)
        fuse_reply_buf(req, NULL, 0);
    else if (!NT_SUCCESS(status))
        fuse_reply_err(req, errno_of(status));
    else
        fuse_reply_buf(req, (const char *)worker->reply, done);
}

/* libfuse does not hand all of a write's flags on. */
static uint32_t write_flags(void)
{
    const struct fuse_write_in *in =
        (const void *)(worker->request + sizeof(struct fuse_in_header));
    return in->write_flags;
}

/* Stores through a mapping, late: whole pages, cut at the end of the file. */
static NTSTATUS write_pages(struct handle *handle, const char *data, size_t bytes, off_t offset,
                            ULONG_PTR *done)
{
    NTSTATUS status = STATUS_SUCCESS;
    if (!handle->noticed)
        status = nt_section_notice(handle->file, PAGE_READWRITE);
    if (!NT_SUCCESS(status))
        return status;
    handle->noticed = true;
    status = nt_paging_write(handle->file, data, (ULONG)bytes, offset, true, done);
    if (NT_SUCCESS(status))
        *done = bytes; /* what lay behind the end is no loss */
    return status;
}

void edge_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t bytes, off_t offset,
                struct fuse_file_info *fi)
{
    struct handle *handle = handle_of(fi);
    LONGLONG at = offset;
    ULONG_PTR done = 0;
    NTSTATUS status;
    uint32_t flags = write_flags();
    (void)ino;
    worker->changes_inode = handle->node->inode;
    PEPROCESS before = begin_nt(flags & FUSE_WRITE_CACHE ? NULL : req);
    if (flags & FUSE_WRITE_CACHE) {
        status = write_pages(handle, data, bytes, offset, &done);
    } else {
        status = nt_write(handle->file, data, (ULONG)bytes, &at, &done);
#ifdef FUSE_WRITE_KILL_SUIDGID
        if (NT_SUCCESS(status) && EDGE(req)->kill_privileges && flags & FUSE_WRITE_KILL_SUIDGID)
            drop_set_ids(handle->node, handle->file);
#endif
    }
    end_nt(before);
    if (NT_SUCCESS(status))
        fuse_reply_write(req, done);
    else
        fuse_reply_err(req, errno_of(status));
}

/* On each close(2). Nothing is held back: writes went through at once. */
void edge_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    (void)fi;
    fuse_reply_err(req, ENOSYS); /* and the kernel asks no more */
}

void edge_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    (void)ino;
    PEPROCESS before = begin_nt(req);
    NTSTATUS status = nt_flush(handle_of(fi)->file, data_only ? IRP_MN_FLUSH_DATA_SYNC_ONLY : 0);
    end_nt(before);
    fuse_reply_err(req, errno_of(status));
}

void edge_fsync_folder(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    PFILE_OBJECT file;
    PEPROCESS before;
    NTSTATUS status;
    (void)data_only;
    (void)fi;
    int error =
        target_open(req, node_of(EDGE(req), ino), FILE_READ_ATTRIBUTES, false, &file, &before);
    if (error == 0) {
        status = nt_flush(file, 0);
        nt_close(file);
        end_nt(before);
        error = errno_of(status);
    }
    fuse_reply_err(req, error == ESTALE ? 0 : error); /* removed: there is nothing to keep */
}
