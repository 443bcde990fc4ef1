/*
 * NTFS of the driver host: a file system driver over a backing folder, and its cache manager.
 *
 * A backing folder is mounted as a volume: a device \Device\HarddiskVolumeN with an IRP dispatch
 * table and a FAST_IO_DISPATCH, to which filters attach as to any device. The folder belongs to the
 * volume while it is mounted: what others change in it is seen late or not at all. Nothing outside
 * of the folder can be reached through it.
 *
 * How a backing folder looks
 *     data, names, links     as they are; names by nthost/nt.h's mapping
 *     owner, group, mode     as they are; EAs $LXUID, $LXGID, $LXMOD
 *     symbolic links,        as they are; reparse points IO_REPARSE_TAG_LX_SYMLINK, ..LX_FIFO,
 *     FIFOs, devices         ..LX_CHR, ..LX_BLK, ..AF_UNIX; EA $LXDEV
 *     extended attributes    EAs of the same name, except the ones below
 *     user.ntfs.info         attributes that Linux has not, creation time, object ID
 *     user.ntfs.sd           security descriptor, self-relative
 *     user.ntfs.reparse      any other reparse point: tag and data
 *     .ntfs-streams/         at the root, hidden: named streams, a folder a file, named by FileId
 *
 * FileId: the low 64 bits (FileInternalInformation) are the inode number, 48 bits, and the low 16
 * bits of its generation, as an NTFS file reference number; the high 64 bits of FileIdInformation
 * are the generation of 32 bits. Stable over remounts; another file after the inode was reused. An
 * open by identity finds what nobody has open by an index, which the first such open makes by a
 * walk.
 *
 * Not modelled: short names, oplocks, quotas, transactions, encryption, change notification, the
 * USN journal; change times are Linux's own, and a time of -1 does not stop later writes from
 * setting it.
 *
 * The cache manager
 * The backing file's page cache is the cache. A cached write goes there at once and marks its pages
 * dirty; the lazy writer later sends them from the top of the device stack as IRP_PAGING_IO |
 * IRP_NOCACHE writes with the pages' content of that moment, page-granular, on the file object that
 * first cached the stream: also after its CLEANUP, which is why its CLOSE may come late. The file
 * system completes them without a write, for the content is there; a paging write of anybody else
 * (FUSE_WRITE_CACHE) is written. Neither makes a file longer.
 *
 * All functions: PASSIVE_LEVEL, in driver context (nt_enter), unless they say otherwise.
 */
#pragma once
#include <ntifs.h>
#include <stdbool.h>
#include <stdint.h>

struct fs_volume;

struct fs_cache_options {
    bool on;                  /* false: no lazy writer, no mapped writer; pages are never dirty */
    uint32_t delay_ms;        /* dirty pages become due so long after they became dirty */
    uint32_t mapped_delay_ms; /* likewise, of stores through mapped views */
    uint32_t run_pages;       /* most pages in one paging write; 0: 16 (64 KiB) */
};

struct fs_mount_options {
    const char *folder; /* the backing folder */
    unsigned number;    /* of \Device\HarddiskVolumeN; 0: the next free one, from 2 on */
    char drive;         /* \??\X: leads to it; 0: none */
    const char *label;  /* NULL: "" ; at most 32 characters */
    bool read_only;
    bool atime; /* reads set the access time (NtfsDisableLastAccessUpdate = 0) */
    struct fs_cache_options cache;
};

/* Adds \??\Volume{GUID}, too, whose GUID follows from the backing folder. NULL: *status and a
 * message in `error`. */
struct fs_volume *fs_mount(const struct fs_mount_options *options, NTSTATUS *status, char *error,
                           size_t error_size);
/* Tells the listeners, writes and drops what is dirty and cached, deletes the device. All file
 * objects must have been closed: STATUS_ACCESS_DENIED (and nothing done) while one is open. */
NTSTATUS fs_unmount(struct fs_volume *volume);

/* The file system's own device, the lowest of the stack; lives until fs_unmount. */
PDEVICE_OBJECT fs_device(const struct fs_volume *volume);
struct fs_volume *fs_volume_of(PDEVICE_OBJECT device); /* NULL: not a volume's lowest device */
/* L"\\Device\\HarddiskVolume2" */
const UNICODE_STRING *fs_device_name(const struct fs_volume *volume);

/* Who attaches to volumes (FltMgr). A new listener hears of each volume that is mounted already.
 * Called one at a time, at PASSIVE_LEVEL in driver context; they must not mount or unmount.
 * dismounting: before the device goes; detach. */
struct fs_listener {
    void (*mounted)(void *context, PDEVICE_OBJECT device);
    void (*dismounting)(void *context, PDEVICE_OBJECT device);
    void *context;
    struct fs_listener *next; /* fs's */
};
void fs_listen(struct fs_listener *listener);
void fs_unlisten(struct fs_listener *listener); /* no call of dismounting for what is mounted */

/* Section synchronisation and the like reach filters by FsRtlRegisterFileSystemFilterCallbacks
 * (ntifs.h), which fs implements as Windows does: callbacks belong to a driver object, and are
 * called for each device of that driver on the stack, Pre from the top down, Post upwards:
 *     PreAcquireForSectionSynchronization  nt_section_notice, nt_view_create (nt.h)
 *     PreAcquireForModifiedPageWriter      the mapped writer, before each of its paging writes
 *     PreAcquireForCcFlush                 the lazy writer and flushes, before their paging writes
 *     Pre/PostRelease..                    after them
 * A status other than STATUS_SUCCESS of a Pre callback ends the operation, where Windows lets it.
 */

/* The cache manager's knobs. */
void fs_cache_configure(struct fs_volume *volume, const struct fs_cache_options *options);
/* One pass of the lazy writer and of the mapped writer over what is dirty now, due or not, on the
 * caller's thread. True: something was written. */
bool fs_cache_scan(struct fs_volume *volume);
/* Waits until nothing is dirty and no file object is kept for its dirty pages. */
void fs_cache_drain(struct fs_volume *volume);

struct fs_statistics {
    uint64_t opens, reads, writes;    /* that were successful, non-paging */
    uint64_t fast_reads, fast_writes; /* of them by fast I/O */
    uint64_t lazy_writes, lazy_pages; /* paging writes sent by the lazy writer and flushes */
    uint64_t mapped_writes, mapped_pages;
    uint64_t after_cleanup;             /* of both: on a file object after its CLEANUP */
    uint64_t paging_writes;             /* that reached the file system, and */
    uint64_t paging_writes_of_others;   /* of them: not the cache manager's, written */
    uint64_t paging_failures;           /* failed on the way; their pages stay dirty */
    uint64_t dirty_pages, dirty_mapped; /* now */
    uint64_t open_files, open_streams;  /* now: IRP_MJ_CREATE without CLOSE; FCBs */
};
/* Any IRQL. */
void fs_statistics(const struct fs_volume *volume, struct fs_statistics *statistics);

/* For the host's own edges: `changed` is called after the data or the size of a file changed,
 * `names_changed` after one of its names was removed or became another by a request for `file`,
 * whoever did it, on that thread, perhaps with locks held: they note it and return. Filters may
 * look at the request for long after that. One a volume, set before anything is opened, until
 * fs_unmount. */
void fs_watch(struct fs_volume *volume, void (*changed)(void *context, uint64_t inode),
              void (*names_changed)(void *context, PFILE_OBJECT file), void *context);

/* One table for all of the host that maps errno to what NTFS would return. */
NTSTATUS fs_status_of(int error);
