/*
 * What is agreed with the kernel. HANDLE_KILLPRIV_V2, which spares a question about
 * security.capability before each write, is newer than libfuse 3.14; it is added to the answer to
 * FUSE_INIT where the kernel offers it. libfuse before 3.14 lets nobody; then the kernel asks.
 */
#include "edge.h"
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 14)

/* The write of any answer; that of FUSE_INIT is completed. */
static ssize_t session_writev(int fd, struct iovec *parts, int count, void *userdata)
{
    struct mount_edge *edge = userdata;
    const struct fuse_out_header *head = parts[0].iov_base;
    if (edge->init_unique != 0 && head->unique == edge->init_unique) {
        edge->init_unique = 0;
#ifdef FUSE_HANDLE_KILLPRIV_V2
        const struct fuse_init_in *asked =
            (const void *)(worker->request + sizeof(struct fuse_in_header));
        if (head->error == 0 && count == 2 && parts[1].iov_len >= sizeof(struct fuse_init_out) &&
            asked->flags & FUSE_HANDLE_KILLPRIV_V2) {
            struct fuse_init_out *answer = parts[1].iov_base;
            answer->flags |= FUSE_HANDLE_KILLPRIV_V2;
            edge->kill_privileges = true;
        }
#endif
    }
    return writev(fd, parts, count);
}

static ssize_t session_read(int fd, void *data, size_t bytes, void *userdata)
{
    (void)userdata;
    return read(fd, data, bytes);
}

static bool use_device(struct mount_edge *edge)
{
    static const struct fuse_custom_io io = {.writev = session_writev, .read = session_read};
    return fuse_session_custom_io(edge->session, &io, edge->fuse_fd) == 0;
}

#else

static bool use_device(struct mount_edge *edge)
{
    char path[32];
    snprintf(path, sizeof(path), "/dev/fd/%d", edge->fuse_fd);
    return fuse_session_mount(edge->session, path) == 0;
}

#endif

void session_init(void *userdata, struct fuse_conn_info *connection)
{
    (void)userdata;
    connection->max_write = EDGE_MAX_WRITE;
    connection->time_gran = 100; /* NT's */
    connection->want &=
        ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
                    FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_WRITEBACK_CACHE |
                    FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_HANDLE_KILLPRIV);
    connection->want |=
        connection->capable &
        (FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS |
         FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_EXPLICIT_INVAL_DATA);
}

bool session_open(struct mount_edge *edge)
{
    char *argv[] = {"nthost", NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    edge->session = fuse_session_new(&args, &edge_operations, sizeof(edge_operations), edge);
    fuse_opt_free_args(&args);
    return edge->session != NULL && use_device(edge);
}

const struct fuse_lowlevel_ops edge_operations = {
    .init = session_init,
    .lookup = edge_lookup,
    .forget = edge_forget,
    .forget_multi = edge_forget_multi,
    .getattr = edge_getattr,
    .setattr = edge_setattr,
    .readlink = edge_readlink,
    .mknod = edge_mknod,
    .mkdir = edge_mkdir,
    .unlink = edge_unlink,
    .rmdir = edge_rmdir,
    .symlink = edge_symlink,
    .rename = edge_rename,
    .link = edge_link,
    .open = edge_open_file,
    .create = edge_create,
    .release = edge_release,
    .read = edge_read,
    .write = edge_write,
    .flush = edge_flush,
    .fsync = edge_fsync,
    .opendir = edge_opendir,
    .readdir = edge_readdir,
    .readdirplus = edge_readdirplus,
    .releasedir = edge_releasedir,
    .fsyncdir = edge_fsync_folder,
    .statfs = edge_statfs,
    .setxattr = edge_setxattr,
    .getxattr = edge_getxattr,
    .listxattr = edge_listxattr,
    .removexattr = edge_removexattr,
    .fallocate = edge_fallocate,
    .copy_file_range = edge_copy,
    .lseek = edge_lseek,
};
