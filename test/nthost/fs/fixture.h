/* A host with a volume over a fresh backing folder, and short forms of the NT file services. */
#pragma once
#include <nthost/fs.h>
#include <nthost/nt.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include "tap.h"
#include <string.h>

struct fixture {
    struct fs_volume *volume;
    PFILE_OBJECT root; /* all access, sharing everything */
    char folder[64];
};

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
#define SYNC      FILE_SYNCHRONOUS_IO_NONALERT

/* Leaves the caller in driver context. options NULL: no cache manager. False: an assertion failed.
 */
bool fs_begin(struct fixture *f, enum nt_scheduler scheduler, uint64_t seed,
              const struct fs_mount_options *options);
void fs_end(struct fixture *f);
extern bool fs_in_memory; /* the next folders are in memory, where that does */
/* Unmounts and mounts again. */
bool fs_again(struct fixture *f, const struct fs_mount_options *options);

/* Each test body on both schedulers. */
#define FS_TEST(name, options)                                                                     \
    static void name##_body(struct fixture *f);                                                    \
    static void name##_on(enum nt_scheduler scheduler)                                             \
    {                                                                                              \
        struct fixture f;                                                                          \
        if (fs_begin(&f, scheduler, tap_seed(), options))                                          \
            name##_body(&f);                                                                       \
        fs_end(&f);                                                                                \
    }                                                                                              \
    NT_TEST(name)                                                                                  \
    {                                                                                              \
        name##_on(NT_DETERMINISTIC);                                                               \
    }                                                                                              \
    NT_TEST(name##_realtime)                                                                       \
    {                                                                                              \
        name##_on(NT_REALTIME);                                                                    \
    }                                                                                              \
    static void name##_body(struct fixture *f)

/* Opens below the root, UTF-8 with '\' between components (a stream after ':'). */
struct opening {
    const char *name;
    ACCESS_MASK access;
    ULONG share, disposition, options, attributes;
    const void *ea;
    ULONG ea_bytes;
    bool case_sensitive;
    PFILE_OBJECT root; /* NULL: the fixture's */
    ULONG_PTR information;
};
NTSTATUS fs_open(struct fixture *f, struct opening *o, PFILE_OBJECT *file);
/* With a share of all and all access; NULL and a failed assertion if it does not succeed. */
PFILE_OBJECT fs_make(struct fixture *f, const char *name, ULONG disposition, ULONG options);
NTSTATUS fs_try(struct fixture *f, const char *name, ULONG disposition, ULONG options);

NTSTATUS fs_put(PFILE_OBJECT file, LONGLONG offset, const void *data, ULONG bytes);
NTSTATUS fs_get(PFILE_OBJECT file, LONGLONG offset, void *data, ULONG bytes, ULONG_PTR *got);
LONGLONG fs_length(PFILE_OBJECT file);
UNICODE_STRING fs_name(const char *text, WCHAR *buffer, unsigned room);
NTSTATUS fs_move(PFILE_OBJECT file, PFILE_OBJECT root, const char *name, ULONG flags);
/* The full name in UTF-8. */
const char *fs_path(PFILE_OBJECT file);
/* All names of a folder, sorted, joined by ' '. */
const char *fs_list(PFILE_OBJECT folder);
/* The backing folder's file as Linux sees it: bytes, or -1. */
int fs_backing(const struct fixture *f, const char *name, void *data, unsigned room);
