/*
 * Byte-range locks of NT, which are mandatory: who else writes into a locked range, or reads in an
 * exclusively locked one, gets STATUS_FILE_LOCK_CONFLICT. A lock is its file object's, with a key.
 * A shared lock denies writing to its owner, too.
 *
 * Requests that wait are pending IRPs in the order they came; a release grants what it can.
 *
 * WDK: IRP_MJ_LOCK_CONTROL, FsRtlProcessFileLock.
 */
#include "fsp.h"
#include <stdlib.h>

struct range_lock {
    struct range_lock *next;
    PFILE_OBJECT file;
    uint64_t first, last; /* inclusive; first > last: of length zero */
    ULONG key;
    bool exclusive;
    PIRP irp; /* waiting */
    struct stream *stream;
};

static bool overlaps(const struct range_lock *lock, uint64_t first, uint64_t last)
{
    return first <= last && lock->first <= lock->last && lock->first <= last && first <= lock->last;
}

bool range_allows(struct stream *stream, const FILE_OBJECT *file, LONGLONG offset, LONGLONG bytes,
                  bool write, ULONG key)
{
    bool allowed = true;
    if (atomic_load_explicit(&stream->lock_count, memory_order_acquire) == 0 || bytes == 0)
        return true;
    uint64_t first = (uint64_t)offset, last = first + (uint64_t)bytes - 1;
    pthread_mutex_lock(&stream->ranges);
    for (const struct range_lock *lock = stream->locks; lock != NULL && allowed;
         lock = lock->next) {
        bool own = lock->file == file && lock->key == key;
        if (overlaps(lock, first, last) && (lock->exclusive ? !own : write))
            allowed = false;
    }
    pthread_mutex_unlock(&stream->ranges);
    return allowed;
}

/* ranges held. */
static bool can_grant(const struct stream *stream, const struct range_lock *wanted)
{
    for (const struct range_lock *lock = stream->locks; lock != NULL; lock = lock->next)
        if ((lock->exclusive || wanted->exclusive) && overlaps(lock, wanted->first, wanted->last))
            return false;
    return true;
}

static void grant(struct stream *stream, struct range_lock *lock)
{
    lock->irp = NULL;
    lock->next = stream->locks;
    stream->locks = lock;
    atomic_fetch_add(&stream->lock_count, 1);
}

/* Moves what can be granted, or what waits on `file` (given up), to a list of IRPs to complete,
 * linked by DriverContext[0]. ranges held. */
static PIRP take_waiters(struct stream *stream, const FILE_OBJECT *file)
{
    PIRP first = NULL;
    struct range_lock **at = &stream->waiting;
    while (*at != NULL) {
        struct range_lock *lock = *at;
        bool given_up = file != NULL && lock->file == file;
        if ((!given_up && !can_grant(stream, lock)) ||
            IoSetCancelRoutine(lock->irp, NULL) == NULL) {
            at = &lock->next; /* or it is being cancelled */
            continue;
        }
        PIRP irp = lock->irp;
        *at = lock->next;
        irp->IoStatus.Status = given_up ? STATUS_RANGE_NOT_LOCKED : STATUS_SUCCESS;
        irp->Tail.Overlay.DriverContext[0] = first;
        first = irp;
        if (given_up)
            free(lock);
        else
            grant(stream, lock);
    }
    return first;
}

static void complete_all(PIRP irp)
{
    while (irp != NULL) {
        PIRP next = irp->Tail.Overlay.DriverContext[0];
        irp->IoStatus.Information = 0;
        IofCompleteRequest(irp, IO_NO_INCREMENT);
        irp = next;
    }
}

static VOID NTAPI cancel_wait(PDEVICE_OBJECT device, PIRP irp)
{
    struct range_lock *lock = irp->Tail.Overlay.DriverContext[1];
    struct stream *stream = lock->stream;
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    pthread_mutex_lock(&stream->ranges);
    struct range_lock **at = &stream->waiting;
    while (*at != lock)
        at = &(*at)->next;
    *at = lock->next;
    pthread_mutex_unlock(&stream->ranges);
    free(lock);
    irp->IoStatus.Status = STATUS_CANCELLED;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
}

static NTSTATUS lock_range(struct stream *stream, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct range_lock *lock = calloc(1, sizeof(*lock));
    if (lock == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    lock->stream = stream;
    lock->file = stack->FileObject;
    lock->first = (uint64_t)stack->Parameters.LockControl.ByteOffset.QuadPart;
    lock->last = lock->first + (uint64_t)stack->Parameters.LockControl.Length->QuadPart - 1;
    if (stack->Parameters.LockControl.Length->QuadPart == 0) {
        lock->first = 1;
        lock->last = 0;
    } else if (lock->last < lock->first) {
        free(lock);
        return STATUS_INVALID_LOCK_RANGE;
    }
    lock->key = stack->Parameters.LockControl.Key;
    lock->exclusive = (stack->Flags & SL_EXCLUSIVE_LOCK) != 0;
    pthread_mutex_lock(&stream->ranges);
    if (can_grant(stream, lock)) {
        grant(stream, lock);
        pthread_mutex_unlock(&stream->ranges);
        return STATUS_SUCCESS;
    }
    if (stack->Flags & SL_FAIL_IMMEDIATELY) {
        pthread_mutex_unlock(&stream->ranges);
        free(lock);
        return STATUS_LOCK_NOT_GRANTED;
    }
    lock->irp = irp;
    irp->Tail.Overlay.DriverContext[1] = lock;
    struct range_lock **at = &stream->waiting;
    while (*at != NULL)
        at = &(*at)->next;
    *at = lock;
    IoMarkIrpPending(irp);
    IoSetCancelRoutine(irp, cancel_wait);
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
        *at = NULL;
        pthread_mutex_unlock(&stream->ranges);
        free(lock);
        irp->IoStatus.Status = STATUS_CANCELLED;
        IofCompleteRequest(irp, IO_NO_INCREMENT);
        return STATUS_PENDING;
    }
    pthread_mutex_unlock(&stream->ranges);
    return STATUS_PENDING;
}

/* what: IRP_MN_UNLOCK_*. */
static NTSTATUS unlock_ranges(struct stream *stream, PIO_STACK_LOCATION stack)
{
    UCHAR what = stack->MinorFunction;
    uint64_t first = 0, last = 0;
    NTSTATUS status = what == IRP_MN_UNLOCK_SINGLE ? STATUS_RANGE_NOT_LOCKED : STATUS_SUCCESS;
    if (what == IRP_MN_UNLOCK_SINGLE) {
        uint64_t bytes = (uint64_t)stack->Parameters.LockControl.Length->QuadPart;
        first = (uint64_t)stack->Parameters.LockControl.ByteOffset.QuadPart;
        last = first + bytes - 1;
        if (bytes == 0)
            first = 1, last = 0;
    }
    pthread_mutex_lock(&stream->ranges);
    struct range_lock **at = &stream->locks;
    while (*at != NULL) {
        struct range_lock *lock = *at;
        bool match = lock->file == stack->FileObject;
        if (what != IRP_MN_UNLOCK_ALL)
            match &= lock->key == stack->Parameters.LockControl.Key;
        if (what == IRP_MN_UNLOCK_SINGLE)
            match &= lock->first == first && lock->last == last;
        if (!match) {
            at = &lock->next;
            continue;
        }
        *at = lock->next;
        free(lock);
        atomic_fetch_sub(&stream->lock_count, 1);
        status = STATUS_SUCCESS;
        if (what == IRP_MN_UNLOCK_SINGLE)
            break;
    }
    PIRP granted = take_waiters(stream, NULL);
    pthread_mutex_unlock(&stream->ranges);
    complete_all(granted);
    return status;
}

void range_forget(struct stream *stream, PFILE_OBJECT file)
{
    if (atomic_load(&stream->lock_count) == 0)
        return;
    pthread_mutex_lock(&stream->ranges);
    struct range_lock **at = &stream->locks;
    while (*at != NULL) {
        struct range_lock *lock = *at;
        if (lock->file != file) {
            at = &lock->next;
            continue;
        }
        *at = lock->next;
        free(lock);
        atomic_fetch_sub(&stream->lock_count, 1);
    }
    PIRP waiters = take_waiters(stream, file);
    pthread_mutex_unlock(&stream->ranges);
    complete_all(waiters);
}

NTSTATUS fs_lock_control(PDEVICE_OBJECT device, PIRP irp, PIO_STACK_LOCATION stack)
{
    struct open *open = open_of(stack->FileObject);
    UNREFERENCED_PARAMETER(device);
    if (open->is_volume || (is_directory(open->stream->node) && !open->stream->name[0]))
        return STATUS_INVALID_PARAMETER;
    if (open->cleaned)
        return STATUS_FILE_CLOSED;
    switch (stack->MinorFunction) {
    case IRP_MN_LOCK:
        return lock_range(open->stream, irp, stack);
    case IRP_MN_UNLOCK_SINGLE:
    case IRP_MN_UNLOCK_ALL:
    case IRP_MN_UNLOCK_ALL_BY_KEY:
        return unlock_ranges(open->stream, stack);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}
