/* A query of information under way; info.c and infolist.c. */
#pragma once
#include "fsp.h"

struct query {
    struct open *open;
    struct stream *stream;
    struct node *node;
    struct stat st;
    UCHAR *out;
    ULONG room, bytes;
};

/* infolist.c */
NTSTATUS fill_streams(struct query *q);
NTSTATUS fill_links(struct query *q, bool full_id);
