/*
 * Streams and files: what the filter manager hangs on a file system's control block, and on file
 * objects.
 *
 * A file system whose FsContext begins with a FSRTL_ADVANCED_FCB_HEADER that supports filter
 * contexts has a list there; the filter manager has one entry a volume in it. The file system calls
 * FsRtlTeardownPerStreamContexts when the control block goes, and so the contexts go.
 *
 * WDK: "Tracking Per-Stream Context in a Legacy File System Filter Driver",
 * FsRtlInsertPerStreamContext.
 */
#include "context.h"
#include "file_target.h"
#include "names.h"
#include <stdlib.h>

static FAST_MUTEX making; /* one entry a stream: looking and inserting are one */

void flt_streams_start(void)
{
    ExInitializeFastMutex(&making);
}

static VOID NTAPI free_stream(PVOID pointer)
{
    struct flt_stream *stream = pointer;
    flt_contexts_delete_list(&stream->contexts);
    flt_release(stream->volume);
    free(stream);
}

static struct flt_stream *create(PFLT_VOLUME volume)
{
    struct flt_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    InitializeListHead(&stream->contexts);
    stream->volume = volume;
    flt_hold(volume);
    return stream;
}

struct flt_stream *flt_stream_of(PFLT_VOLUME volume, PFILE_OBJECT file, bool make)
{
    struct flt_file *own = file->FileObjectExtension ? flt_file_of(file, false) : NULL;
    if (own != NULL && own->closed)
        return NULL;
    if (own != NULL && own->stream != NULL)
        return own->stream;
    if (!FsRtlSupportsPerStreamContexts(file))
        return NULL;
    PFSRTL_ADVANCED_FCB_HEADER header = FsRtlGetPerStreamContextPointer(file);
    if (make)
        ExAcquireFastMutex(&making);
    struct flt_stream *stream = (void *)FsRtlLookupPerStreamContext(header, volume, NULL);
    if (stream == NULL && make && (stream = create(volume)) != NULL) {
        stream->per_stream.OwnerId = volume;
        stream->per_stream.FreeCallback = free_stream;
        FsRtlInsertPerStreamContext(header, &stream->per_stream);
    }
    if (make)
        ExReleaseFastMutex(&making);
    /* The file object keeps its control block, and so this. */
    if (stream != NULL && (own = flt_file_of(file, true)) != NULL)
        own->stream = stream;
    return stream;
}

struct flt_stream *flt_per_file_of(PFLT_VOLUME volume, PFILE_OBJECT file, bool make)
{
    PVOID *list = FsRtlGetPerFileContextPointer(file);
    if (make)
        ExAcquireFastMutex(&making);
    struct flt_stream *stream = (void *)FsRtlLookupPerFileContext(list, volume, NULL);
    if (stream == NULL && make && (stream = create(volume)) != NULL) {
        stream->per_file.OwnerId = volume;
        stream->per_file.FreeCallback = free_stream;
        if (!NT_SUCCESS(FsRtlInsertPerFileContext(list, &stream->per_file))) {
            free_stream(stream);
            stream = NULL;
        }
    }
    if (make)
        ExReleaseFastMutex(&making);
    return stream;
}

/* File objects */

static void destroy_file(PFILE_OBJECT file)
{
    struct flt_file *own = (struct flt_file *)file->FileObjectExtension;
    file->FileObjectExtension = NULL;
    flt_contexts_delete_list(&own->contexts);
    flt_names_drop_file(own);
    if (own->target != NULL)
        flt_release(own->target);
    free(own);
}

struct flt_file *flt_file_of(PFILE_OBJECT file, bool make)
{
    struct flt_file *own = file->FileObjectExtension;
    if (own != NULL || !make)
        return own;
    own = calloc(1, sizeof(*own));
    if (own == NULL)
        return NULL;
    own->extension.destroy = destroy_file;
    InitializeListHead(&own->contexts);
    void *there = NULL;
    if (!__atomic_compare_exchange_n((void **)&file->FileObjectExtension, &there, own, false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        free(own);
        own = there;
    }
    return own;
}
