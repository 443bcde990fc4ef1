/*
 * IRP_MJ_READ, IRP_MJ_WRITE and their fast I/O.
 *
 * The stream's size in its header is the truth while it is open; the backing file follows it under
 * stream->io. Writes within it share that lock; what moves the end of the file (a longer write, an
 * append, a new size) has it alone. A write never gives a virtual processor up under the lock.
 *
 * Cached data go to the backing file at once, which is the cache; see cache.c for what is dirty.
 * A non-cached write first has the cache flushed in its range, as NTFS does.
 */
#include "fsp.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

void *fs_irp_data(PIRP irp)
{
    return irp->MdlAddress ? MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority)
                           : irp->UserBuffer;
}

/* Reading */

static NTSTATUS read_stream(struct stream *stream, void *data, ULONG bytes, LONGLONG offset,
                            ULONG_PTR *done)
{
    ULONG got = 0;
    *done = 0;
    LONGLONG size = fs_size(stream);
    if (offset >= size)
        return STATUS_END_OF_FILE;
    if (bytes > size - offset)
        bytes = (ULONG)(size - offset);
    bool may_wait = sched_is_deterministic();
    while (got < bytes) {
        struct iovec part = {(UCHAR *)data + got, bytes - got};
        ssize_t n = preadv2(stream->fd, &part, 1, offset + got, may_wait ? 0 : RWF_NOWAIT);
        if (n < 0 && !may_wait && (errno == EAGAIN || errno == EOPNOTSUPP)) {
            fs_block_begin(); /* from the disk */
            n = pread(stream->fd, part.iov_base, part.iov_len, offset + got);
            int error = errno;
            fs_block_end();
            errno = error;
        }
        if (n < 0)
            return fs_status_of(errno);
        if (n == 0)
            break; /* it was cut meanwhile */
        got += (ULONG)n;
    }
    *done = got;
    return got == 0 && bytes != 0 ? STATUS_END_OF_FILE : STATUS_SUCCESS;
}

static NTSTATUS check_alignment(const IO_STACK_LOCATION *stack, LONGLONG offset, ULONG bytes)
{
    if ((stack->FileObject->Flags & FO_NO_INTERMEDIATE_BUFFERING) &&
        ((offset >= 0 && offset % FS_SECTOR != 0) || bytes % FS_SECTOR != 0))
        return STATUS_INVALID_PARAMETER;
    return STATUS_SUCCESS;
}

static bool has_data(const struct open *open)
{
    return !open->is_volume && open->stream->fd >= 0;
}

static NTSTATUS no_data_status(const struct open *open)
{
    if (open->is_volume)
        return STATUS_ACCESS_DENIED; /* raw volume I/O is not offered */
    return STATUS_INVALID_DEVICE_REQUEST;
}

NTSTATUS fs_read(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    PFILE_OBJECT file = stack->FileObject;
    struct open *open = open_of(file);
    LONGLONG offset = stack->Parameters.Read.ByteOffset.QuadPart;
    ULONG bytes = stack->Parameters.Read.Length;
    bool paging = (irp->Flags & IRP_PAGING_IO) != 0;
    bool cached = !(irp->Flags & IRP_NOCACHE);
    if (!has_data(open))
        return no_data_status(open);
    if (stack->MinorFunction & IRP_MN_MDL)
        return STATUS_NOT_SUPPORTED;
    if (open->cleaned && !paging)
        return STATUS_FILE_CLOSED;
    if (offset < 0)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = paging ? STATUS_SUCCESS : check_alignment(stack, offset, bytes);
    if (!NT_SUCCESS(status) || bytes == 0)
        return status;
    if (!paging &&
        !range_allows(open->stream, file, offset, bytes, false, stack->Parameters.Read.Key))
        return STATUS_FILE_LOCK_CONFLICT;
    if (!paging && !cached)
        cache_flush(open->stream, offset, bytes);
    if (!paging && cached && file->PrivateCacheMap == NULL)
        file->PrivateCacheMap = &open->stream->cache;
    void *data = fs_irp_data(irp);
    if (data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = read_stream(open->stream, data, bytes, offset, &irp->IoStatus.Information);
    if (NT_SUCCESS(status) && !paging)
        atomic_fetch_add_explicit(&volume->counters.reads, 1, memory_order_relaxed);
    return status;
}

/* Writing */

static NTSTATUS write_all(struct stream *stream, const void *data, ULONG bytes, LONGLONG offset,
                          ULONG *done)
{
    *done = 0;
    while (*done < bytes) {
        ssize_t n = pwrite(stream->fd, (const UCHAR *)data + *done, bytes - *done, offset + *done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? STATUS_DISK_FULL : fs_status_of(errno);
        *done += (ULONG)n;
    }
    return STATUS_SUCCESS;
}

static void set_size_fields(struct stream *stream, LONGLONG size)
{
    __atomic_store_n(&stream->header.FileSize.QuadPart, size, __ATOMIC_RELEASE);
    stream->header.ValidDataLength.QuadPart = size;
    LONGLONG room = (size + FS_PAGE - 1) & ~(LONGLONG)(FS_PAGE - 1);
    if (stream->header.AllocationSize.QuadPart < room)
        stream->header.AllocationSize.QuadPart = room;
}

struct write {
    struct stream *stream;
    PFILE_OBJECT file;
    const void *data;
    ULONG bytes;
    LONGLONG offset; /* NT_APPEND: at the end; set to where it went */
    ULONG key;
    bool cached;
};

/* The write itself, with its locks. All or nothing as far as the size goes: a failed longer write
 * leaves the size that the backing got. */
static NTSTATUS write_stream(struct write *w, ULONG_PTR *information)
{
    struct stream *stream = w->stream;
    ULONG done;
    NTSTATUS status;
    if (w->offset >= 0) {
        pthread_rwlock_rdlock(&stream->io);
        if (w->offset + w->bytes <= stream->header.FileSize.QuadPart) {
            if (!range_allows(stream, w->file, w->offset, w->bytes, true, w->key)) {
                pthread_rwlock_unlock(&stream->io);
                return STATUS_FILE_LOCK_CONFLICT;
            }
            status = write_all(stream, w->data, w->bytes, w->offset, &done);
            if (done != 0 && w->cached)
                cache_mark(stream, w->file, w->offset, done, false);
            pthread_rwlock_unlock(&stream->io);
            cache_poke(stream->volume);
            *information = done;
            return done == w->bytes ? STATUS_SUCCESS : status;
        }
        pthread_rwlock_unlock(&stream->io);
    }
    pthread_rwlock_wrlock(&stream->io);
    LONGLONG size = stream->header.FileSize.QuadPart;
    LONGLONG offset = w->offset < 0 ? size : w->offset;
    if (offset > FS_MAX_FILE - w->bytes) {
        pthread_rwlock_unlock(&stream->io);
        return STATUS_INVALID_PARAMETER;
    }
    if (!range_allows(stream, w->file, offset, w->bytes, true, w->key)) {
        pthread_rwlock_unlock(&stream->io);
        return STATUS_FILE_LOCK_CONFLICT;
    }
    status = write_all(stream, w->data, w->bytes, offset, &done);
    if (done != w->bytes && offset + done > size && ftruncate(stream->fd, size) == 0)
        done = offset < size ? (ULONG)(size - offset) : 0; /* it did not become longer */
    if (done != 0) {
        if (offset + done > size)
            set_size_fields(stream, offset + done);
        if (w->cached) {
            /* What lies between the old end and the new data was zeroed in the cache, too. */
            LONGLONG from = offset > size ? size : offset;
            if (offset - from > 16 * FS_PAGE)
                from = offset;
            cache_mark(stream, w->file, from, (size_t)(offset + done - from), false);
        }
    }
    pthread_rwlock_unlock(&stream->io);
    cache_poke(stream->volume);
    w->offset = offset;
    *information = done;
    return done == w->bytes ? STATUS_SUCCESS : status;
}

static NTSTATUS make_durable(struct stream *stream)
{
    fs_block_begin();
    int error = fdatasync(stream->fd) == 0 ? 0 : errno;
    fs_block_end();
    return fs_status_of(error);
}

/* Paging writes never make a file longer. Those of the cache manager have nothing to write. */
static NTSTATUS paging_write(struct fs_volume *volume, struct stream *stream, PIRP irp,
                             const IO_STACK_LOCATION *stack)
{
    LONGLONG offset = stack->Parameters.Write.ByteOffset.QuadPart;
    ULONG bytes = stack->Parameters.Write.Length, done;
    NTSTATUS status = STATUS_SUCCESS;
    atomic_fetch_add_explicit(&volume->counters.paging_writes, 1, memory_order_relaxed);
    irp->IoStatus.Information = bytes;
    if (offset < 0)
        return STATUS_INVALID_PARAMETER;
    if (cache_owns(irp))
        return STATUS_SUCCESS;
    atomic_fetch_add_explicit(&volume->counters.others_paging, 1, memory_order_relaxed);
    const void *data = fs_irp_data(irp);
    if (data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    pthread_rwlock_rdlock(&stream->io);
    LONGLONG size = stream->header.FileSize.QuadPart;
    if (offset < size) {
        ULONG within = bytes > size - offset ? (ULONG)(size - offset) : bytes;
        status = write_all(stream, data, within, offset, &done);
    }
    pthread_rwlock_unlock(&stream->io);
    if (!NT_SUCCESS(status))
        irp->IoStatus.Information = 0;
    stream_modified(stream);
    return status;
}

NTSTATUS fs_write(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct fs_volume *volume = volume_of(device);
    PFILE_OBJECT file = stack->FileObject;
    struct open *open = open_of(file);
    struct write w = {.stream = open->stream,
                      .file = file,
                      .bytes = stack->Parameters.Write.Length,
                      .offset = stack->Parameters.Write.ByteOffset.QuadPart,
                      .key = stack->Parameters.Write.Key,
                      .cached = !(irp->Flags & IRP_NOCACHE)};
    if (!has_data(open))
        return no_data_status(open);
    if (stack->MinorFunction & IRP_MN_MDL)
        return STATUS_NOT_SUPPORTED;
    if (irp->Flags & IRP_PAGING_IO)
        return paging_write(volume, open->stream, irp, stack);
    if (open->cleaned)
        return STATUS_FILE_CLOSED;
    if (!open->stream->writable)
        return volume->read_only ? STATUS_MEDIA_WRITE_PROTECTED : STATUS_ACCESS_DENIED;
    if (w.offset < NT_APPEND)
        return STATUS_INVALID_PARAMETER;
    if (!(open->granted & FILE_WRITE_DATA))
        w.offset = NT_APPEND; /* FILE_APPEND_DATA alone */
    NTSTATUS status = check_alignment(stack, w.offset, w.bytes);
    if (!NT_SUCCESS(status) || w.bytes == 0)
        return status;
    if (!w.cached && w.offset >= 0)
        cache_flush(open->stream, w.offset, w.bytes);
    else if (file->PrivateCacheMap == NULL)
        file->PrivateCacheMap = &open->stream->cache;
    w.data = fs_irp_data(irp);
    if (w.data == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = write_stream(&w, &irp->IoStatus.Information);
    if (!NT_SUCCESS(status))
        return status;
    file->Flags |= FO_FILE_MODIFIED;
    stream_modified(open->stream);
    atomic_fetch_add_explicit(&volume->counters.writes, 1, memory_order_relaxed);
    if (file->Flags & FO_WRITE_THROUGH || stack->Flags & SL_WRITE_THROUGH) {
        if (w.cached)
            status = cache_flush(open->stream, w.offset, w.bytes);
        if (NT_SUCCESS(status))
            status = make_durable(open->stream);
    }
    return status;
}

/* Sizes */

NTSTATUS stream_set_size(struct stream *stream, LONGLONG size)
{
    if (size < 0 || size > FS_MAX_FILE)
        return STATUS_INVALID_PARAMETER;
    pthread_rwlock_wrlock(&stream->io);
    LONGLONG old = stream->header.FileSize.QuadPart;
    int error = size == old ? 0 : ftruncate(stream->fd, size) == 0 ? 0 : errno;
    if (error == 0) {
        set_size_fields(stream, size);
        if (size < old) {
            stream->header.AllocationSize.QuadPart =
                (size + FS_PAGE - 1) & ~(LONGLONG)(FS_PAGE - 1);
            cache_truncate(stream, size);
        }
    }
    pthread_rwlock_unlock(&stream->io);
    stream_modified(stream);
    return fs_status_of(error);
}

/* Fast I/O */

static BOOLEAN NTAPI fast_check(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset, ULONG Length,
                                BOOLEAN Wait, ULONG LockKey, BOOLEAN CheckForReadOperation,
                                PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT DeviceObject)
{
    struct open *open = open_of(FileObject);
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(IoStatus);
    UNREFERENCED_PARAMETER(DeviceObject);
    return has_data(open) && range_allows(open->stream, FileObject, FileOffset->QuadPart, Length,
                                          !CheckForReadOperation, LockKey);
}

static BOOLEAN NTAPI fast_read(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset, ULONG Length,
                               BOOLEAN Wait, ULONG LockKey, PVOID Buffer, PIO_STATUS_BLOCK IoStatus,
                               PDEVICE_OBJECT DeviceObject)
{
    struct open *open = open_of(FileObject);
    struct fs_volume *volume = open->stream->volume;
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(DeviceObject);
    if (!has_data(open) || FileObject->PrivateCacheMap == NULL || FileOffset->QuadPart < 0 ||
        FileObject->Flags & FO_NO_INTERMEDIATE_BUFFERING || Length == 0 || open->cleaned)
        return FALSE;
    if (!range_allows(open->stream, FileObject, FileOffset->QuadPart, Length, false, LockKey))
        return FALSE;
    IoStatus->Status =
        read_stream(open->stream, Buffer, Length, FileOffset->QuadPart, &IoStatus->Information);
    if (NT_SUCCESS(IoStatus->Status)) {
        if (FileObject->Flags & FO_SYNCHRONOUS_IO)
            FileObject->CurrentByteOffset.QuadPart =
                FileOffset->QuadPart + (LONGLONG)IoStatus->Information;
        atomic_fetch_add_explicit(&volume->counters.reads, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&volume->counters.fast_reads, 1, memory_order_relaxed);
    }
    return TRUE;
}

static BOOLEAN NTAPI fast_write(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset, ULONG Length,
                                BOOLEAN Wait, ULONG LockKey, PVOID Buffer,
                                PIO_STATUS_BLOCK IoStatus, PDEVICE_OBJECT DeviceObject)
{
    struct open *open = open_of(FileObject);
    struct fs_volume *volume = open->stream->volume;
    struct write w = {.stream = open->stream,
                      .file = FileObject,
                      .data = Buffer,
                      .bytes = Length,
                      .offset = open->granted & FILE_WRITE_DATA ? FileOffset->QuadPart : NT_APPEND,
                      .key = LockKey,
                      .cached = true};
    UNREFERENCED_PARAMETER(Wait);
    UNREFERENCED_PARAMETER(DeviceObject);
    if (!has_data(open) || FileObject->PrivateCacheMap == NULL || w.offset < NT_APPEND ||
        FileObject->Flags & (FO_NO_INTERMEDIATE_BUFFERING | FO_WRITE_THROUGH) || Length == 0 ||
        open->cleaned || !open->stream->writable)
        return FALSE;
    IoStatus->Information = 0;
    IoStatus->Status = write_stream(&w, &IoStatus->Information);
    if (IoStatus->Status == STATUS_FILE_LOCK_CONFLICT)
        return FALSE; /* the IRP will say so */
    if (NT_SUCCESS(IoStatus->Status)) {
        if (FileObject->Flags & FO_SYNCHRONOUS_IO)
            FileObject->CurrentByteOffset.QuadPart = w.offset + Length;
        FileObject->Flags |= FO_FILE_MODIFIED;
        stream_modified(open->stream);
        atomic_fetch_add_explicit(&volume->counters.writes, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&volume->counters.fast_writes, 1, memory_order_relaxed);
    }
    return TRUE;
}

void fs_data_fast_io(PFAST_IO_DISPATCH dispatch)
{
    dispatch->FastIoCheckIfPossible = fast_check;
    dispatch->FastIoRead = fast_read;
    dispatch->FastIoWrite = fast_write;
}
