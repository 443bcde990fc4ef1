/* A create under way; create.c and byid.c. */
#pragma once
#include "fsp.h"
#include <nthost/utf.h>
#include <sys/sysmacros.h>

struct creation {
    struct fs_volume *volume;
    PIRP irp;
    PIO_STACK_LOCATION stack;
    PFILE_OBJECT file;
    ULONG options, disposition;
    ACCESS_MASK access;
    bool case_sensitive;
    const void *ea;
    ULONG ea_bytes;
    /* where the name leads */
    struct node *parent, *node; /* `node` where there is no link: the root, or by ID */
    struct link *up, *link;     /* referenced */
    char name[FS_NAME_MAX], stream_name[FS_NAME_MAX];
    bool folder, make_directory, made, stream_made, is_volume;
    struct stream *stream; /* referenced */
};

NTSTATUS create_take_stream(struct creation *c, int fd);
/* createnew.c */
NTSTATUS create_new(struct creation *c);
/* byid.c: link (or node, referenced by something that is open) and stream_name of an identity. */
NTSTATUS create_find_by_id(struct creation *c);

/* security.c */
NTSTATUS fs_check_access(struct node *node, PACCESS_STATE state, ACCESS_MASK access,
                         ACCESS_MASK added);
NTSTATUS fs_store_descriptor(struct node *node, PSECURITY_DESCRIPTOR descriptor);

/* Counts an open's share modes (1), or takes them back (-1). */
void fs_count_share(struct open *open, int by);
