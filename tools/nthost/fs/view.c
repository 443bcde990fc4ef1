/*
 * Mapped views of files, for tests and for whatever else in the host wants one; nthost/nt.h.
 *
 * The view is a mapping of the backing file, whose pages are the cache: what is stored is seen by
 * reads at once, as on NT, and paged out later by the mapped writer.
 */
#include "cache.h"
#include <nthost/export.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct nt_view {
    PFILE_OBJECT file; /* referenced */
    struct stream *stream;
    UCHAR *bytes;
    size_t size;
    bool writable;
};

NTSTATUS nt_section_notice(PFILE_OBJECT file, ULONG page_protection)
{
    struct fs_sync_state sync;
    NTSTATUS status = fs_sync_acquire(&sync, file, FS_SYNC_SECTION, page_protection, 0);
    if (NT_SUCCESS(status))
        fs_sync_release(&sync);
    return status;
}

NTSTATUS nt_view_create(PFILE_OBJECT file, bool writable, struct nt_view **out)
{
    struct open *open = open_of(file);
    struct stream *stream = open->stream;
    struct fs_sync_state sync;
    *out = NULL;
    if (fs_driver == NULL || file->DeviceObject->DriverObject != fs_driver || stream->fd < 0)
        return STATUS_INVALID_FILE_FOR_SECTION;
    if (writable && !(open->granted & FILE_WRITE_DATA))
        return STATUS_ACCESS_DENIED;
    struct nt_view *view = calloc(1, sizeof(*view));
    if (view == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status =
        fs_sync_acquire(&sync, file, FS_SYNC_SECTION, writable ? PAGE_READWRITE : PAGE_READONLY, 0);
    if (!NT_SUCCESS(status)) {
        free(view);
        return status;
    }
    view->size = (size_t)fs_size(stream);
    if (view->size == 0)
        status = STATUS_MAPPED_FILE_SIZE_ZERO;
    else
        view->bytes = mmap(NULL, view->size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                           MAP_SHARED, stream->fd, 0);
    if (view->bytes == MAP_FAILED)
        status = fs_status_of(errno);
    if (NT_SUCCESS(status)) {
        ob_reference(file);
        view->file = file;
        view->stream = stream;
        view->writable = writable;
        atomic_fetch_add(&stream->views, 1);
        if (writable)
            atomic_fetch_add(&stream->writable_views, 1);
        stream->sections.DataSectionObject = &stream->cache;
        *out = view;
    } else {
        free(view);
    }
    fs_sync_release(&sync);
    return status;
}

const void *nt_view_bytes(const struct nt_view *view, size_t *size)
{
    *size = view->size;
    return view->bytes;
}

void nt_view_store(struct nt_view *view, LONGLONG offset, const void *data, size_t bytes)
{
    memcpy(view->bytes + offset, data, bytes);
    cache_mark(view->stream, view->file, offset, bytes, true);
    stream_modified(view->stream);
    cache_poke(view->stream->volume);
    sched_point();
}

NTSTATUS nt_view_flush(struct nt_view *view)
{
    return cache_write_out(view->stream, CACHE_MAPPED, 0, 0, true);
}

void nt_view_destroy(struct nt_view *view)
{
    struct stream *stream = view->stream;
    munmap(view->bytes, view->size);
    if (view->writable)
        atomic_fetch_sub(&stream->writable_views, 1);
    atomic_fetch_sub(&stream->views, 1);
    ob_dereference(view->file);
    free(view);
}

/* Would a file that ends here cut a view? */
bool cache_user_mapped(const struct stream *stream, LONGLONG from)
{
    return atomic_load(&stream->views) != 0 && from < fs_size(stream);
}

ULONG NTAPI MmDoesFileHaveUserWritableReferences(PSECTION_OBJECT_POINTERS SectionPointer)
{
    VF_ENTRY(APC_LEVEL);
    const struct stream *stream = CONTAINING_RECORD(SectionPointer, struct stream, sections);
    return SectionPointer->DataSectionObject ? atomic_load(&stream->writable_views) : 0;
}
NT_EXPORT(NTOSKRNL, MmDoesFileHaveUserWritableReferences);
