/*
 * The file system's own structures.
 *
 *     open (FsContext2) --> link --> parent node ... root      by which name it was opened
 *            |                 \
 *            +--> stream (FsContext) --> node                  what was opened
 *
 * A node is an inode in use, a link one of its names in use, a stream one of its data streams (or
 * the folder itself), an open a file object. Each holds a reference on what its arrows point to;
 * all of these exist only while something below uses them.
 *
 * Locks, in this order; none is held across a call into the kernel or a filter (a scheduling
 * point), none while a virtual processor is given up and taken again (fs_block_begin):
 *     volume->names   tables, names, share modes, disposition, attributes; with system calls on
 *                     names under it
 *     stream->io      shared for writes within the end of file, exclusive for what moves it
 *     stream->ranges  byte-range locks
 *     stream->cache.mutex, volume->cc.mutex   dirty pages
 */
#pragma once
#include <nthost/fs.h>
#include <nthost/nt.h>
#include <nthost/object.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#define FS_NAME_MAX   256 /* bytes of a Linux name, terminated */
#define FS_STORE      ".ntfs-streams"
#define XATTR_PREFIX  "user.ntfs."
#define XATTR_INFO    "user.ntfs.info"
#define XATTR_SD      "user.ntfs.sd"
#define XATTR_REPARSE "user.ntfs.reparse"
#define XATTR_STREAMS "user.ntfs.streams" /* there is a folder in the store */
#define FS_SECTOR     512
#define FS_PAGE       4096
#define FS_MAX_FILE   0x7fffffffffff0000ll
#define FS_POOL_TAG   'sfTN'
#define NODE_TYPE_FCB 0x0702
/* Attributes that are kept in XATTR_INFO; the others follow from the inode. */
#define FS_KEPT_ATTRIBUTES                                                                         \
    (FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM |                     \
     FILE_ATTRIBUTE_ARCHIVE | FILE_ATTRIBUTE_TEMPORARY | FILE_ATTRIBUTE_OFFLINE |                  \
     FILE_ATTRIBUTE_NOT_CONTENT_INDEXED | FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED | \
     FILE_ATTRIBUTE_PINNED | FILE_ATTRIBUTE_UNPINNED)
#define FS_SETTABLE_ATTRIBUTES                                                                     \
    (FS_KEPT_ATTRIBUTES & ~(ULONG)(FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED))

/* XATTR_INFO as stored, little-endian. */
struct fs_info {
    uint32_t version; /* 1 */
    uint32_t attributes;
    int64_t creation; /* 0: the inode's birth */
    uint8_t object_id[16];
    uint32_t flags;
    uint32_t reparse_tag; /* of XATTR_REPARSE; 0: none */
};
#define FS_INFO_OBJECT_ID 1u

struct node {
    struct node *hash_next;
    struct fs_volume *volume;
    uint64_t inode;
    unsigned references;
    int fd;      /* O_PATH | O_NOFOLLOW */
    mode_t type; /* S_IFMT */
    bool root, id_known, info_known;
    bool gone; /* no name is left */
    uint32_t generation;
    struct fs_info info;
    struct link *links;
    struct stream *streams;
    struct node *linked_in; /* referenced: a folder with a hard link that is not yet durable */
};

struct link {
    struct link *hash_next, *next; /* of the node */
    struct node *parent, *node;
    struct link *up; /* the parent's own; NULL: the parent is the root */
    unsigned references;
    unsigned handles; /* opens without their CLEANUP */
    bool unlinked;    /* out of the table; the name is history */
    bool delete_pending;
    bool name_is_new; /* not yet durable */
    char name[FS_NAME_MAX];
};

/* Dirty pages: a hash of 64-page words. cache.c */
struct page_word {
    uint64_t number; /* page / 64, + 1; 0: free */
    uint64_t dirty, mapped;
};
struct fs_cache {
    pthread_mutex_t mutex;
    struct page_word *words;
    unsigned capacity, used;
    uint64_t dirty_pages, mapped_pages;
    uint64_t dirty_since, mapped_since; /* interrupt time of the oldest */
    unsigned in_flight;                 /* paging writes of the cache manager */
    PFILE_OBJECT file;                  /* referenced: paging writes go to it */
    bool listed;                        /* in volume->cc.streams */
    struct stream *next;
};

struct range_lock;
struct fs_volume;

struct stream {
    FSRTL_ADVANCED_FCB_HEADER header; /* what filters see at FsContext */
    SECTION_OBJECT_POINTERS sections;
    FAST_MUTEX header_mutex;
    struct stream *next; /* of the node */
    struct node *node;
    struct fs_volume *volume;
    PVOID file_contexts; /* FSRTL_PER_FILE_CONTEXTs */
    unsigned references, handles;
    int fd; /* of the data; -1: not needed yet, or a folder's or link's */
    bool writable, delete_pending, deleted;
    /* share modes: handles, and of them who reads, ... */
    unsigned sharers, readers, writers, deleters, shared_read, shared_write, shared_delete;
    pthread_rwlock_t io;
    pthread_mutex_t ranges;
    struct range_lock *locks, *waiting;
    _Atomic unsigned lock_count;
    struct fs_cache cache;
    _Atomic unsigned views, writable_views;
    _Atomic bool modified;  /* since the last flush */
    char name[FS_NAME_MAX]; /* bytes; "" the default one */
};

/* Where a folder's enumeration is. */
struct scan {
    bool started;
    unsigned count, at;
    char **names; /* a snapshot of all names, sorted as they came */
    WCHAR *pattern;
    unsigned pattern_chars;
};

struct open {
    struct stream *stream;
    struct link *link; /* NULL: the root, the volume, or opened by ID without a name */
    PFILE_OBJECT file;
    ACCESS_MASK granted;
    ULONG share, options;
    bool shares, delete_on_close, posix_delete, case_sensitive, cleaned, is_volume, by_id;
    bool had_name; /* for opens by ID: the link was found later */
    unsigned ea_index;
    pthread_mutex_t scan_mutex;
    struct scan scan;
};

struct table {
    void **buckets;
    unsigned size, count;
};

/* The cache manager of a volume. cache.c */
struct cache_manager {
    pthread_mutex_t mutex;
    struct stream *streams; /* with dirty pages */
    struct fs_cache_options options;
    KEVENT wake, idle;
    struct nt_thread *lazy, *mapped;
    KEVENT wake_mapped;
    bool stopping;
    _Atomic bool needs_wake;
    _Atomic unsigned passes; /* of writers, under way: they hold file objects */
};

struct counters {
    _Atomic uint64_t opens, reads, writes, fast_reads, fast_writes, lazy_writes, lazy_pages,
        mapped_writes, mapped_pages, after_cleanup, paging_writes, others_paging, paging_failures,
        dirty, mapped_dirty, open_files, open_streams;
};

struct fs_volume {
    struct fs_volume *next;
    PDEVICE_OBJECT device;
    VPB vpb;
    unsigned number;
    bool read_only, atime;
    UNICODE_STRING name, drive_link, guid_link;
    WCHAR label[32];
    unsigned label_chars;
    uint64_t serial;
    int root_fd, store_fd; /* store_fd -1: no stream yet */
    dev_t dev;
    pthread_mutex_t names;
    struct table nodes, links;
    struct table hints; /* hint.h */
    bool hints_kept, hints_failed;
    struct node *root;
    int *closing; /* descriptors to be closed once `names` is released */
    unsigned closing_count, closing_room;
    PFILE_OBJECT locked_by; /* FSCTL_LOCK_VOLUME */
    bool dismounted;
    struct cache_manager cc;
    struct counters counters;
    void (*changed)(void *context, uint64_t inode); /* fs_watch */
    void (*names_changed)(void *context, PFILE_OBJECT file);
    void *changed_context;
};

extern PDRIVER_OBJECT fs_driver;

static inline struct fs_volume *volume_of(PDEVICE_OBJECT device)
{
    return *(struct fs_volume **)device->DeviceExtension;
}
static inline struct open *open_of(const FILE_OBJECT *file)
{
    return file->FsContext2;
}
static inline bool is_directory(const struct node *node)
{
    return S_ISDIR(node->type);
}
static inline LONGLONG fs_size(const struct stream *stream)
{
    return __atomic_load_n(&stream->header.FileSize.QuadPart, __ATOMIC_ACQUIRE);
}

/* What a stream or node leaves behind is freed outside of all locks: filters' contexts go. */
struct garbage {
    struct stream *streams;
    PFILE_OBJECT files[4];
    unsigned file_count;
};
void fs_collect_garbage(struct garbage *garbage);

/* Releases volume->names. Closes what was left to be closed: the last descriptor of a deleted file
 * may take long. fs_close_later: names held. */
void fs_unlock_names(struct fs_volume *volume);
void fs_close_later(struct fs_volume *volume, int fd);

/* node.c: with volume->names held. */
struct node *node_root(struct fs_volume *volume);
struct node *node_of_fd(struct fs_volume *volume, int fd, NTSTATUS *status); /* takes fd over */
struct node *node_find(struct fs_volume *volume, uint64_t inode);
void node_reference(struct node *node);
void node_release(struct node *node);
/* An inode of its own took the node's place (reparse.c). */
NTSTATUS node_replace(struct node *node, int fd);
struct link *link_find(struct node *parent, const char *name);
struct link *link_make(struct node *parent, struct link *up, const char *name, struct node *node);
void link_reference(struct link *link);
void link_release(struct link *link);
void link_unhash(struct link *link);
void link_rename(struct link *link, struct node *parent, struct link *up, const char *name);
struct stream *stream_get(struct node *node, const char *name);
/* The stream's data descriptor, for reading or for writing too. */
NTSTATUS stream_open_data(struct stream *stream, bool write);
void stream_reference(struct stream *stream);
void stream_release(struct stream *stream, struct garbage *garbage);
/* A component that exists, as a link; STATUS_OBJECT_NAME_NOT_FOUND. Spelling goes into `name`. */
NTSTATUS link_lookup(struct node *parent, struct link *up, char name[FS_NAME_MAX],
                     bool case_sensitive, struct link **link);

/* info.c and others: what an inode says. */
void node_load_info(struct node *node);
bool node_store_info(struct node *node); /* errno */
uint32_t node_generation(struct node *node);
/* Of what has this name in a folder, or "" of the descriptor itself. */
uint32_t fs_generation(int fd, const char *name);
ULONG fs_type_tag(mode_t type); /* reparse tag of links and special files; 0: none */
ULONG node_attributes(struct node *node, mode_t type);
ULONG node_reparse_tag(struct node *node);
void node_index(struct node *node, LARGE_INTEGER *index);
void node_id(struct node *node, FILE_ID_128 *id);
NTSTATUS node_stat(struct node *node, struct stat *st);
LONGLONG fs_time(const struct timespec *time);
void fs_timespec(LONGLONG time, struct timespec *out);
LONGLONG node_creation_time(struct node *node);
/* "/proc/self/fd/N", for calls that want a path to what an O_PATH descriptor is. */
const char *fs_fd_path(int fd, char text[32]);
bool node_access_xattr(const struct node *node); /* user.* may be set on it */

/* The full name: \a\b:stream. NULL: no memory. free() it. names held. */
WCHAR *fs_open_name(const struct open *open, unsigned *chars);

/* streams.c: named streams, with names held. */
NTSTATUS streams_open(struct node *node, char stream[FS_NAME_MAX], int flags, int *fd);
NTSTATUS streams_remove(struct node *node, const char *stream);
NTSTATUS streams_rename(struct node *node, const char *from, const char *to, bool replace);
void streams_remove_all(struct node *node); /* the file itself goes or is overwritten */
NTSTATUS streams_list(struct node *node, char ***names, unsigned *count);
void streams_list_free(char **names, unsigned count);

/* create.c, close.c, data.c, ... : one IRP each. Information in irp->IoStatus. */
typedef NTSTATUS fs_handler(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack);
fs_handler fs_create, fs_cleanup, fs_close, fs_read, fs_write, fs_query, fs_set, fs_query_ea,
    fs_set_ea, fs_flush, fs_query_volume, fs_set_volume, fs_directory, fs_fsctl, fs_lock_control,
    fs_query_security, fs_set_security;
void fs_data_fast_io(PFAST_IO_DISPATCH dispatch);
void fs_query_fast_io(PFAST_IO_DISPATCH dispatch);

/* Its data or its size changed. */
static inline void stream_modified(struct stream *stream)
{
    atomic_store_explicit(&stream->modified, true, memory_order_relaxed);
    if (stream->volume->changed != NULL && stream->name[0] == 0)
        stream->volume->changed(stream->volume->changed_context, stream->node->inode);
}
/* By a request for that file object. */
static inline void fs_names_changed(const struct fs_volume *volume, PFILE_OBJECT file)
{
    if (volume->names_changed != NULL)
        volume->names_changed(volume->changed_context, file);
}

/* create.c */
struct fs_path {
    const WCHAR *text;
    unsigned chars;
};
NTSTATUS fs_resolve_parent(struct fs_volume *volume, PFILE_OBJECT related,
                           const UNICODE_STRING *path, bool case_sensitive, struct node **parent,
                           struct link **up, char name[FS_NAME_MAX], char stream[FS_NAME_MAX],
                           bool *folder);

/* byid.c: calls `found` for each name of an inode in the tree until it returns false. Slow. */
void fs_walk_names(struct fs_volume *volume, uint64_t inode,
                   bool (*found)(void *context, const char *path, uint64_t parent_inode),
                   void *context);

/* close.c: a name goes from the backing folder; names held. */
NTSTATUS link_unlink(struct link *link);
bool fs_directory_is_empty(struct node *node);

/* rename.c */
NTSTATUS fs_set_rename(struct open *open, PIRP irp, PIO_STACK_LOCATION stack, bool link_only,
                       ULONG flags);
NTSTATUS fs_rename_stream(struct open *open, const WCHAR *name, unsigned chars, bool replace);

/* ea.c. fs_apply_eas also sets owner and mode; names held. */
NTSTATUS fs_apply_eas(struct node *node, const void *ea, ULONG bytes, ULONG *bad_offset);
struct lx_metadata {
    bool has_uid, has_gid, has_mode, has_dev;
    uint32_t uid, gid, mode, major, minor;
    const char *target; /* $LXTARGET: of a symbolic link */
    unsigned target_bytes;
};
NTSTATUS fs_parse_lx(const void *ea, ULONG bytes, struct lx_metadata *lx);
ULONG fs_ea_size(struct node *node);
NTSTATUS fs_remove_user_eas(struct node *node);

/* data.c */
NTSTATUS stream_set_size(struct stream *stream, LONGLONG size);
void stream_refresh_size(struct stream *stream);
void *fs_irp_data(PIRP irp);

/* lock.c */
bool range_allows(struct stream *stream, const FILE_OBJECT *file, LONGLONG offset, LONGLONG bytes,
                  bool write, ULONG key);
void range_forget(struct stream *stream, PFILE_OBJECT file);

/* cache.c */
void cache_init(struct fs_cache *cache);
void cache_destroy(struct fs_cache *cache);
void cache_mark(struct stream *stream, PFILE_OBJECT file, LONGLONG offset, size_t bytes,
                bool mapped);
/* After cache_mark, outside of locks: wakes the writers. */
void cache_poke_slow(struct fs_volume *volume);
static inline void cache_poke(struct fs_volume *volume)
{
    if (atomic_load_explicit(&volume->cc.needs_wake, memory_order_relaxed))
        cache_poke_slow(volume);
}
/* Drops dirty pages from `offset` on. */
void cache_truncate(struct stream *stream, LONGLONG offset);
/* CcFlushCache: sends what is dirty in the range. bytes 0: all. */
NTSTATUS cache_flush(struct stream *stream, LONGLONG offset, LONGLONG bytes);
/* The last handle is gone; *file: to be dereferenced outside of locks, or NULL. */
void cache_last_cleanup(struct stream *stream, PFILE_OBJECT *file);
void cache_start(struct fs_volume *volume, const struct fs_cache_options *options);
void cache_stop(struct fs_volume *volume);
/* Was this paging write made by the cache manager? */
bool cache_owns(const IRP *irp);
bool cache_user_mapped(const struct stream *stream, LONGLONG from);

/* fsfilter.c */
enum fs_sync { FS_SYNC_SECTION, FS_SYNC_CC_FLUSH, FS_SYNC_MOD_WRITE };
struct fs_sync_state {
    enum fs_sync kind;
    PFILE_OBJECT file;
    LARGE_INTEGER ending_offset;
    PERESOURCE resource;
    unsigned entered;
};
NTSTATUS fs_sync_acquire(struct fs_sync_state *state, PFILE_OBJECT file, enum fs_sync kind,
                         ULONG page_protection, LONGLONG ending_offset);
void fs_sync_release(struct fs_sync_state *state);

/* granted.c: may this handle do that? For requests of user mode. */
NTSTATUS fs_check_granted(PIRP irp, PIO_STACK_LOCATION stack);

/* Gives the virtual processor up for a system call that may take long; real time only. No lock may
 * be held when it is taken back. */
void fs_block_begin(void);
void fs_block_end(void);
