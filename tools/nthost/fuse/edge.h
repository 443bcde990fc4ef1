/*
 * The upper edge of a volume: FUSE requests (libfuse 3, low-level) become NT operations.
 *
 *   mount.c    opening and closing: the volume, the mount point, the session
 *   worker.c   threads that take requests; for whom they work
 *   session.c  what is agreed with the kernel at FUSE_INIT
 *   node.c     inodes that the kernel knows; looking them up
 *   descriptor.c  their descriptors, as many as may be open
 *   target.c   from an inode to a file object
 *   open.c     opening, creating, closing
 *   data.c     reading, writing, flushing
 *   space.c    allocation, holes, copying
 *   attribute.c, xattr.c, names.c, folder.c
 *   invalidate.c  what NT's side has changed
 *   status.c   NTSTATUS to errno
 *
 * What changes names, attributes or data, and what reads or writes data, goes to the top of the
 * volume's device stack, so that filters see it. What only looks (lookup, getattr, readdir,
 * readlink, statfs, getxattr) asks the backing folder itself: the file system keeps nothing of it
 * anywhere else, so the answers are the same, and quick.
 *
 * A node has an O_PATH descriptor of the backing inode. Where the inode is in the tree the
 * kernel knows best: /proc/self/fd tells the path at any moment, renames of folders above included
 * (but for paths beyond PATH_MAX, for which nodes know their names).
 * Paths are found and used with `names` held shared; what removes or moves names holds it alone. A
 * node whose own name has gone has no path; then an open handle serves, else ESTALE makes the VFS
 * look the name up again, which renews the descriptor.
 *
 * The kernel caches pages for reads and mappings, and writes them through at once. Stores through a
 * shared mapping come back as FUSE_WRITE_CACHE; those are paging writes, after the notice of a
 * section. Attributes and names are cached for a second, so that what is changed at the NT side
 * alone is seen then. A file's pages are dropped when its data were changed there.
 *
 * Locks: `names`, before the virtual processor is taken (begin_nt); node->lock and edge->table
 * are leaves.
 */
#pragma once
#define FUSE_USE_VERSION 35
#include <nthost/fs.h>
#include <nthost/mount.h>
#include <nthost/nt.h>
#include <nthost/sched.h>
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define EDGE_PAGE      4096
#define EDGE_MAX_WRITE (1u << 20)
#define EDGE_PATH      16384           /* bytes; programs get beyond PATH_MAX by relative paths */
#define EDGE_TIMEOUT   1.0             /* s, of cached names and attributes */
#define EDGE_STORE     ".ntfs-streams" /* at the root: hidden */
#define EDGE_HIDDEN    "user.ntfs."    /* extended attributes of the file system's own */

struct handle;
struct node {
    struct node *next; /* of the hash chain */
    uint64_t inode;
    mode_t type;
    /* With edge->table: */
    uint64_t lookups;
    unsigned children;            /* that call it parent */
    unsigned pins;                /* requests that use its descriptor, and open handles */
    int fd;                       /* O_PATH | O_NOFOLLOW; -1: closed, see descriptor.c */
    bool used;                    /* since the clock's hand was there */
    bool detached;                /* another inode has its number: nobody finds it */
    struct file_handle *identity; /* once its descriptor was closed */
    struct node *newer, *older;   /* of those with a descriptor, around the clock */
    struct node *parent;
    char *name; /* in it, as it was looked up last; for paths that /proc cannot tell */
    pthread_mutex_t lock;
    struct handle *handles;
    struct timespec left_mtime; /* when the last handle was closed */
    off_t left_size;
    bool left; /* they are known */
};

struct handle {
    struct handle *next; /* of the node */
    struct node *node;
    PFILE_OBJECT file;
    bool readable, writable;
    atomic_bool noticed; /* of a writable section */
};

struct worker {
    struct mount_edge *edge;
    struct nt_thread *thread;
    pthread_t pthread;
    atomic_bool running;
    UCHAR *request, *reply; /* the request's data begin at a page */
    /* For whom it worked last. */
    pid_t pid;
    PEPROCESS process;
    uint64_t process_until; /* coarse clock, ns */
    uint64_t changes_inode; /* of the file that the request may change; 0: none */
    bool has_names;         /* edge->names, as the request changes them */
    PFILE_OBJECT changes_names_of;
    struct node *pinned[8]; /* until the request has ended */
    unsigned pinned_count;
    struct node *new_parent; /* and the name that it gets; NULL: it is removed */
    const char *new_name;
};
extern __thread struct worker *worker;

struct mount_edge {
    struct fs_volume *volume;
    char *mountpoint;
    int root_fd, fuse_fd;
    char prefix[PATH_MAX]; /* of all paths: the backing folder's */
    WCHAR device[64];      /* \Device\HarddiskVolumeN */
    unsigned device_chars;
    dev_t dev;
    struct fuse_session *session;
    bool mounted;
    bool detached;
    atomic_bool stopping;
    struct worker *workers; /* room for MOST_WORKERS */
    pthread_mutex_t more_workers;
    unsigned worker_count;
    atomic_uint idle_workers;
    bool kill_privileges; /* FUSE_HANDLE_KILLPRIV_V2 was agreed on */
    uint64_t init_unique;
    pthread_rwlock_t names;
    pthread_mutex_t table;
    struct node **buckets;
    unsigned bucket_count, node_count;
    unsigned open_nodes, most_open; /* with a descriptor */
    struct node *hand;
    struct node root;
    struct changes *changes; /* invalidate.c */
};

extern const struct fuse_lowlevel_ops edge_operations;
#define EDGE(req) ((struct mount_edge *)fuse_req_userdata(req))

/* names.c */
void edge_names_changed(void *context, PFILE_OBJECT file);

/* mount.c: another worker, if all are at work. */
void edge_more_workers(struct mount_edge *edge);

/* worker.c */
void worker_run(void *context);
/* Driver context, on behalf of the request's process; NULL: the System process. end_nt takes what
 * begin_nt returned. */
PEPROCESS begin_nt(fuse_req_t req);
void end_nt(PEPROCESS before);

/* session.c */
bool session_open(struct mount_edge *edge);
void session_init(void *userdata, struct fuse_conn_info *connection);

/* node.c */
void edge_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void edge_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void edge_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
bool nodes_open(struct mount_edge *edge);
void nodes_close(struct mount_edge *edge);
struct node *node_of(struct mount_edge *edge, fuse_ino_t ino);
/* Errno. The node gets one more lookup. */
int node_lookup(struct mount_edge *edge, struct node *parent, const char *name,
                struct fuse_entry_param *entry);
/* The path by the names that were looked up; "" for the root. Errno. */
int node_chain(struct mount_edge *edge, struct node *node, char path[EDGE_PATH]);
/* The same with edge->table held. */
int chain_of(struct mount_edge *edge, struct node *node, char path[EDGE_PATH]);
/* What has this name now is known by it. */
void node_renamed(struct mount_edge *edge, struct node *parent, const char *name);
void node_forget(struct mount_edge *edge, struct node *node, uint64_t count);
int stat_of(struct mount_edge *edge, struct node *node, struct stat *st);
/* Errno. */
int node_proc_path(struct node *node, char text[40]);
/* With edge->table held: frees it, and the folders above, where nothing keeps them. */
void node_settle(struct mount_edge *edge, struct node *node);
bool name_is_hidden(const struct mount_edge *edge, const struct node *parent, const char *name);

/* The node of an inode, with one more lookup; NULL: the kernel does not know it. */
struct node *node_reference_of(struct mount_edge *edge, uint64_t inode);
/* Each node, with one more lookup that the visit gives back. */
void nodes_visit(struct mount_edge *edge,
                 void (*visit)(struct mount_edge *edge, struct node *node));

/* descriptor.c */
/* Of a worker: stays open until the request has ended. -1, errno ESTALE: it is not where it was. */
int node_fd(struct node *node);
int node_fstat(struct node *node, struct stat *st);
/* Of a worker: it stays open. */
void node_pin(struct node *node);
void node_unpin(struct node *node);
void nodes_unpin(struct worker *self);
/* With edge->table held: */
void descriptor_take(struct mount_edge *edge, struct node *node, int fd);
void descriptor_free(struct mount_edge *edge, struct node *node);
bool descriptor_is_of(const struct node *node, int fd);

/* invalidate.c */
bool changes_open(struct mount_edge *edge);
void changes_stop(struct mount_edge *edge);
void changes_free(struct mount_edge *edge); /* after the volume has gone */

/* target.c */
struct nt_path {
    UNICODE_STRING name;
    WCHAR text[EDGE_PATH + 64];
};
/* With `names` held: the full NT path of the node, or of a name in it. Errno; ESTALE: it has none.
 */
int path_of(struct mount_edge *edge, struct node *node, const char *name, struct nt_path *path);
/* An open handle's file object with at least these rights, duplicated; NULL: there is none. In
 * driver context. */
PFILE_OBJECT open_handle(struct node *node, bool readable, bool writable);
/* In driver context. */
NTSTATUS open_path(struct nt_path *path, ACCESS_MASK access, ULONG disposition, ULONG options,
                   const void *ea, ULONG ea_bytes, PFILE_OBJECT *file);
/* A file object of the node, to be closed by nt_close: an open handle's (a writable one for
 * `data`), else by its path. Locks `names`; in driver context on success. Errno. */
int target_open(fuse_req_t req, struct node *node, ACCESS_MASK access, bool data,
                PFILE_OBJECT *file, PEPROCESS *before);

/* $LXUID, $LXGID, $LXMOD, $LXDEV, and any other. */
struct ea_list {
    ULONG bytes, last;
    bool any;
    _Alignas(8) UCHAR data[PATH_MAX + 512];
};
void ea_start(struct ea_list *list);
void ea_add(struct ea_list *list, const char *name, const void *value, USHORT bytes);
void ea_add_ulong(struct ea_list *list, const char *name, uint32_t value);
void ea_of_new(struct ea_list *list, fuse_req_t req, struct node *parent, mode_t mode, dev_t rdev);

/* open.c */
void edge_open_file(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void edge_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 struct fuse_file_info *fi);
void edge_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void handles_close(struct node *node); /* all that are left; in driver context */

/* data.c */
void edge_read(fuse_req_t req, fuse_ino_t ino, size_t bytes, off_t offset,
               struct fuse_file_info *fi);
void edge_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t bytes, off_t offset,
                struct fuse_file_info *fi);
void edge_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void edge_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);
void edge_fsync_folder(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi);

/* space.c */
void edge_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t bytes,
                    struct fuse_file_info *fi);
void edge_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
                struct fuse_file_info *fi);
void edge_copy(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_fi,
               fuse_ino_t to, off_t to_offset, struct fuse_file_info *to_fi, size_t bytes,
               int flags);
void edge_statfs(fuse_req_t req, fuse_ino_t ino);

/* attribute.c */
void edge_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void edge_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attributes, int which,
                  struct fuse_file_info *fi);
/* Clears the set-ID bits that a write or a new size takes away; in driver context. */
NTSTATUS drop_set_ids(struct node *node, PFILE_OBJECT file);

/* xattr.c */
void edge_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                   size_t bytes, int flags);
void edge_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t room);
void edge_listxattr(fuse_req_t req, fuse_ino_t ino, size_t room);
void edge_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* names.c */
void edge_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void edge_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void edge_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void edge_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void edge_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void edge_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void edge_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
                 const char *to_name, unsigned flags);

/* folder.c */
void edge_readlink(fuse_req_t req, fuse_ino_t ino);
void edge_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void edge_readdir(fuse_req_t req, fuse_ino_t ino, size_t room, off_t offset,
                  struct fuse_file_info *fi);
void edge_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t room, off_t offset,
                      struct fuse_file_info *fi);
void edge_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* status.c */
int errno_of(NTSTATUS status);
