/* The lazy writer and the mapped writer of a volume, and how a paging write is sent; cache.h. */
#include "cache.h"
#include "../io/nt.h"
#include <nthost/sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_WAIT 100000ull /* 100 ns: between two passes */

static char owner; /* its address marks the cache manager's requests */

bool cache_owns(const IRP *irp)
{
    return irp->Tail.Overlay.AuxiliaryBuffer == &owner;
}

/*
 * A paging write carries a copy of the pages, where Windows' MDL is of the pages themselves: what
 * was changed since the copy was made is dirty again.
 */
static void check_copy(struct stream *stream, PFILE_OBJECT file, const UCHAR *data, ULONG bytes,
                       LONGLONG offset)
{
    UCHAR now[FS_PAGE];
    for (ULONG at = 0; at < bytes; at += FS_PAGE) {
        ssize_t got = pread(stream->fd, now, FS_PAGE, offset + at);
        if (got > 0 && memcmp(now, data + at, (size_t)got) != 0)
            cache_mark(stream, file, offset + at, got, false);
    }
}

/* A paging write with the pages as they are now. What was cut off meanwhile is not sent. */
static NTSTATUS send_pages(struct stream *stream, const struct cache_run *run, bool synchronous)
{
    LONGLONG offset = (LONGLONG)(run->first * FS_PAGE), size = fs_size(stream);
    ULONG bytes = run->pages * FS_PAGE;
    if (offset >= size || stream->fd < 0)
        return STATUS_SUCCESS;
    if (size - offset < bytes)
        bytes = ((ULONG)(size - offset) + FS_PAGE - 1) & ~(ULONG)(FS_PAGE - 1);
    UCHAR *data = aligned_alloc(FS_PAGE, bytes);
    if (data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ssize_t got = pread(stream->fd, data, bytes, offset);
    memset(data + (got > 0 ? got : 0), 0, bytes - (size_t)(got > 0 ? got : 0));
    bool after = (run->file->Flags & FO_CLEANUP_COMPLETE) != 0;
    NTSTATUS status = nt_paging(run->file, IRP_MJ_WRITE, data, bytes, offset,
                                synchronous ? IRP_SYNCHRONOUS_PAGING_IO : 0, &owner, NULL);
    if (NT_SUCCESS(status))
        check_copy(stream, run->file, data, bytes, offset);
    free(data);
    struct counters *c = &stream->volume->counters;
    if (NT_SUCCESS(status)) {
        atomic_fetch_add(run->mapped ? &c->mapped_writes : &c->lazy_writes, 1);
        atomic_fetch_add(run->mapped ? &c->mapped_pages : &c->lazy_pages, run->pages);
        if (after)
            atomic_fetch_add(&c->after_cleanup, 1);
    }
    return status;
}

NTSTATUS cache_send(struct stream *stream, const struct cache_run *run, bool synchronous)
{
    struct fs_sync_state sync;
    enum fs_sync kind = run->mapped && !synchronous ? FS_SYNC_MOD_WRITE : FS_SYNC_CC_FLUSH;
    NTSTATUS status =
        fs_sync_acquire(&sync, run->file, kind, 0, (LONGLONG)((run->first + run->pages) * FS_PAGE));
    if (!NT_SUCCESS(status))
        return status;
    status = send_pages(stream, run, synchronous);
    fs_sync_release(&sync);
    return status;
}

/* The threads */

static void run_writer(struct fs_volume *volume, unsigned kinds, PKEVENT wake)
{
    bool any, good = true;
    nt_enter();
    while (!volume->cc.stopping) {
        uint64_t due = cache_next_due(volume, kinds);
        LARGE_INTEGER wait = {.QuadPart = 0};
        if (due != UINT64_MAX) {
            if (!good && due < LEAST_WAIT)
                due = LEAST_WAIT; /* a failure is not repeated at once */
            wait.QuadPart = -(LONGLONG)(due ? due : 1);
        }
        if (due == 0)
            sched_point();
        else
            KeWaitForSingleObject(wake, Executive, KernelMode, FALSE,
                                  due == UINT64_MAX ? NULL : &wait);
        if (volume->cc.stopping)
            break;
        good = cache_pass(volume, kinds, true, &any) && any;
    }
    nt_leave();
}

static void lazy_writer(void *context)
{
    struct fs_volume *volume = context;
    run_writer(volume, CACHE_DIRTY, &volume->cc.wake);
}

static void mapped_writer(void *context)
{
    struct fs_volume *volume = context;
    run_writer(volume, CACHE_MAPPED, &volume->cc.wake_mapped);
}

void cache_start(struct fs_volume *volume, const struct fs_cache_options *options)
{
    struct cache_manager *cc = &volume->cc;
    pthread_mutex_init(&cc->mutex, NULL);
    cc->options = *options;
    KeInitializeEvent(&cc->wake, SynchronizationEvent, FALSE);
    KeInitializeEvent(&cc->wake_mapped, SynchronizationEvent, FALSE);
    if (!options->on)
        return;
    cc->lazy = nt_spawn("lazy writer", lazy_writer, volume);
    cc->mapped = nt_spawn("mapped page writer", mapped_writer, volume);
}

void cache_stop(struct fs_volume *volume)
{
    struct cache_manager *cc = &volume->cc;
    cc->stopping = true;
    KeSetEvent(&cc->wake, IO_NO_INCREMENT, FALSE);
    KeSetEvent(&cc->wake_mapped, IO_NO_INCREMENT, FALSE);
    if (cc->lazy != NULL)
        nt_join(cc->lazy);
    if (cc->mapped != NULL)
        nt_join(cc->mapped);
    cc->lazy = cc->mapped = NULL;
    pthread_mutex_destroy(&cc->mutex);
}

void fs_cache_configure(struct fs_volume *volume, const struct fs_cache_options *options)
{
    struct cache_manager *cc = &volume->cc;
    cc->options = *options;
    if (options->on && cc->lazy == NULL) {
        cc->lazy = nt_spawn("lazy writer", lazy_writer, volume);
        cc->mapped = nt_spawn("mapped page writer", mapped_writer, volume);
    }
    KeSetEvent(&cc->wake, IO_NO_INCREMENT, FALSE);
    KeSetEvent(&cc->wake_mapped, IO_NO_INCREMENT, FALSE);
}

bool fs_cache_scan(struct fs_volume *volume)
{
    bool any;
    cache_pass(volume, CACHE_DIRTY | CACHE_MAPPED, false, &any);
    return any;
}

void fs_cache_drain(struct fs_volume *volume)
{
    LARGE_INTEGER pause = {.QuadPart = -100000};
    for (;;) {
        bool any;
        cache_pass(volume, CACHE_DIRTY | CACHE_MAPPED, false, &any);
        pthread_mutex_lock(&volume->cc.mutex);
        bool empty = volume->cc.streams == NULL;
        pthread_mutex_unlock(&volume->cc.mutex);
        if (empty && atomic_load(&volume->cc.passes) == 0)
            return;
        KeDelayExecutionThread(KernelMode, FALSE,
                               &pause); /* a writer is at it, or a filter failed */
    }
}
