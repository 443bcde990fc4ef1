/*
 * Contexts: memory that filters hang on volumes, instances, files, streams and file objects.
 *
 * A context is counted; while it is set, it is in the list of what it is set on (its holder), and
 * that has one reference. Setting, getting and deleting happen under one host mutex; cleanup
 * callbacks are called outside it, where the last reference goes, or in a work item where that is
 * at DISPATCH_LEVEL.
 *
 *     holder            lives until                         owner within it
 *     volume            the volume is detached, or the      filter
 *                       filter unregisters
 *     instance          it is detached                      (one)
 *     stream, file      the file system tears its control   instance
 *                       block down (FsRtlTeardownPer...)
 *     stream handle     the file object goes, after its     instance
 *                       IRP_MJ_CLOSE
 * and all of an instance's when that is detached.
 */
#pragma once
#include "flt.h"

struct flt_context {
    LIST_ENTRY of_filter;
    LIST_ENTRY of_instance; /* while set; not those of volumes */
    LIST_ENTRY in_holder;   /* while set */
    atomic_long references;
    PFLT_FILTER filter;     /* held */
    PFLT_INSTANCE instance; /* whose it is, while set */
    const FLT_CONTEXT_REGISTRATION *registration;
    WORK_QUEUE_ITEM item; /* freeing, put off */
    size_t bytes;
    uint32_t magic;
    FLT_CONTEXT_TYPE type;
    bool set;
    bool paged;
} __attribute__((aligned(16)));

/* What hangs on a stream's or a file's control block. */
struct flt_stream {
    union {
        FSRTL_PER_STREAM_CONTEXT per_stream;
        FSRTL_PER_FILE_CONTEXT per_file;
    };
    PFLT_VOLUME volume; /* held */
    LIST_ENTRY contexts;
    atomic_long renames; /* generation of its cached names */
};

void flt_contexts_delete_list(LIST_ENTRY *holder);
void flt_contexts_delete_instance(PFLT_INSTANCE instance);
void flt_contexts_delete_filter(PFLT_FILTER filter); /* those of volumes */
void flt_contexts_delete_volume(PFLT_VOLUME volume);
/* A violation where a filter has contexts left. */
void flt_contexts_check(PFLT_FILTER filter);

/* The three things that can be done with a holder. owner: an instance, or of a volume the filter.
 * Set takes its own reference on `fresh`. */
NTSTATUS flt_context_set(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                         FLT_SET_CONTEXT_OPERATION operation, FLT_CONTEXT_TYPE type,
                         PFLT_CONTEXT fresh, PFLT_CONTEXT *old);
NTSTATUS flt_context_get(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                         PFLT_CONTEXT *out);
NTSTATUS flt_context_delete(LIST_ENTRY *holder, PFLT_FILTER filter, PFLT_INSTANCE instance,
                            PFLT_CONTEXT *old);

/* stream.c: NULL: the file system supports none, or (make) there is no memory. */
struct flt_stream *flt_stream_of(PFLT_VOLUME volume, PFILE_OBJECT file, bool make);
struct flt_stream *flt_per_file_of(PFLT_VOLUME volume, PFILE_OBJECT file, bool make);
void flt_streams_start(void);
