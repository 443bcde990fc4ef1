/* Byte-range locks by fast I/O: IRP_MJ_LOCK_CONTROL; see fastio.c. */
#include "fastio.h"

static void bottom_lock(struct flt_op *op)
{
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    PFLT_VOLUME volume = op->volume;
    PFILE_OBJECT file = iopb->TargetFileObject;
    PIO_STATUS_BLOCK iosb = &flt_data(op)->IoStatus;
    LARGE_INTEGER offset = iopb->Parameters.LockControl.ByteOffset;
    PEPROCESS process = iopb->Parameters.LockControl.ProcessId;
    ULONG key = iopb->Parameters.LockControl.Key;
    PFAST_IO_LOCK lock = FAST_BELOW(volume, FastIoLock);
    PFAST_IO_UNLOCK_SINGLE single = FAST_BELOW(volume, FastIoUnlockSingle);
    PFAST_IO_UNLOCK_ALL all = FAST_BELOW(volume, FastIoUnlockAll);
    PFAST_IO_UNLOCK_ALL_BY_KEY by_key = FAST_BELOW(volume, FastIoUnlockAllByKey);
    switch (iopb->MinorFunction) {
    case IRP_MN_LOCK:
        fast_done(op,
                  lock && lock(file, &offset, iopb->Parameters.LockControl.Length, process, key,
                               iopb->Parameters.LockControl.FailImmediately,
                               iopb->Parameters.LockControl.ExclusiveLock, iosb, volume->below));
        break;
    case IRP_MN_UNLOCK_SINGLE:
        fast_done(op, single && single(file, &offset, iopb->Parameters.LockControl.Length, process,
                                       key, iosb, volume->below));
        break;
    case IRP_MN_UNLOCK_ALL:
        fast_done(op, all && all(file, process, iosb, volume->below));
        break;
    default:
        fast_done(op, by_key && by_key(file, process, key, iosb, volume->below));
    }
}

struct lock {
    PLARGE_INTEGER offset, length;
    PEPROCESS process;
    ULONG key;
    BOOLEAN immediately, exclusive;
};

static BOOLEAN control(PFLT_VOLUME volume, PFILE_OBJECT file, UCHAR minor, const struct lock *l,
                       PIO_STATUS_BLOCK iosb)
{
    struct fast_call call = {.wait = TRUE};
    struct flt_op *op = fast_begin(volume, file, IRP_MJ_LOCK_CONTROL, minor, &call);
    if (op == NULL)
        return FALSE;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->Parameters.LockControl.Length = l->length;
    if (l->offset != NULL)
        iopb->Parameters.LockControl.ByteOffset = *l->offset;
    iopb->Parameters.LockControl.ProcessId = l->process;
    iopb->Parameters.LockControl.Key = l->key;
    iopb->Parameters.LockControl.FailImmediately = l->immediately;
    iopb->Parameters.LockControl.ExclusiveLock = l->exclusive;
    return fast_run(op, bottom_lock, iosb);
}

static BOOLEAN NTAPI fast_lock(PFILE_OBJECT file, PLARGE_INTEGER offset, PLARGE_INTEGER length,
                               PEPROCESS process, ULONG key, BOOLEAN immediately, BOOLEAN exclusive,
                               PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_LOCK below = FAST_BELOW(volume, FastIoLock);
    struct lock l = {offset, length, process, key, immediately, exclusive};
    if (!fast_is_handled(volume, IRP_MJ_LOCK_CONTROL))
        return below && below(file, offset, length, process, key, immediately, exclusive, iosb,
                              volume->below);
    return control(volume, file, IRP_MN_LOCK, &l, iosb);
}

static BOOLEAN NTAPI fast_unlock_single(PFILE_OBJECT file, PLARGE_INTEGER offset,
                                        PLARGE_INTEGER length, PEPROCESS process, ULONG key,
                                        PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_UNLOCK_SINGLE below = FAST_BELOW(volume, FastIoUnlockSingle);
    struct lock l = {.offset = offset, .length = length, .process = process, .key = key};
    if (!fast_is_handled(volume, IRP_MJ_LOCK_CONTROL))
        return below && below(file, offset, length, process, key, iosb, volume->below);
    return control(volume, file, IRP_MN_UNLOCK_SINGLE, &l, iosb);
}

static BOOLEAN NTAPI fast_unlock_all(PFILE_OBJECT file, PEPROCESS process, PIO_STATUS_BLOCK iosb,
                                     PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_UNLOCK_ALL below = FAST_BELOW(volume, FastIoUnlockAll);
    struct lock l = {.process = process};
    if (!fast_is_handled(volume, IRP_MJ_LOCK_CONTROL))
        return below && below(file, process, iosb, volume->below);
    return control(volume, file, IRP_MN_UNLOCK_ALL, &l, iosb);
}

static BOOLEAN NTAPI fast_unlock_all_by_key(PFILE_OBJECT file, PVOID process, ULONG key,
                                            PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT device)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    PFAST_IO_UNLOCK_ALL_BY_KEY below = FAST_BELOW(volume, FastIoUnlockAllByKey);
    struct lock l = {.process = process, .key = key};
    if (!fast_is_handled(volume, IRP_MJ_LOCK_CONTROL))
        return below && below(file, process, key, iosb, volume->below);
    return control(volume, file, IRP_MN_UNLOCK_ALL_BY_KEY, &l, iosb);
}

void flt_fast_io_locks(PFAST_IO_DISPATCH table)
{
    table->FastIoLock = fast_lock;
    table->FastIoUnlockSingle = fast_unlock_single;
    table->FastIoUnlockAll = fast_unlock_all;
    table->FastIoUnlockAllByKey = fast_unlock_all_by_key;
}
