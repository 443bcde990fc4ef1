/*
 * Remove locks: who uses a device, and waiting until nobody does.
 *
 * WDK: "Using Remove Locks", IoAcquireRemoveLockEx, IoReleaseRemoveLockAndWaitEx.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <string.h>

VOID NTAPI IoInitializeRemoveLockEx(PIO_REMOVE_LOCK Lock, ULONG AllocateTag, ULONG MaxLockedMinutes,
                                    ULONG HighWatermark, ULONG RemlockSize)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(AllocateTag);
    UNREFERENCED_PARAMETER(MaxLockedMinutes);
    UNREFERENCED_PARAMETER(HighWatermark);
    memset(Lock, 0, RemlockSize);
    Lock->Common.IoCount = 1; /* the device's own, which IoReleaseRemoveLockAndWait gives up */
    KeInitializeEvent(&Lock->Common.RemoveEvent, SynchronizationEvent, FALSE);
}
NT_EXPORT(NTOSKRNL, IoInitializeRemoveLockEx);

static void release(PIO_REMOVE_LOCK lock)
{
    LONG left = __atomic_sub_fetch(&lock->Common.IoCount, 1, __ATOMIC_SEQ_CST);
    if (vf_enabled && left < 0)
        vf_violation(VfRundownMisuse, "remove lock %p is released once too often", (void *)lock);
    if (left == 0)
        KeSetEvent(&lock->Common.RemoveEvent, IO_NO_INCREMENT, FALSE);
}

NTSTATUS NTAPI IoAcquireRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, PCSTR File, ULONG Line,
                                     ULONG RemlockSize)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(File);
    UNREFERENCED_PARAMETER(Line);
    UNREFERENCED_PARAMETER(RemlockSize);
    __atomic_add_fetch(&RemoveLock->Common.IoCount, 1, __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&RemoveLock->Common.Removed, __ATOMIC_SEQ_CST))
        return STATUS_SUCCESS;
    release(RemoveLock);
    return STATUS_DELETE_PENDING;
}
NT_EXPORT(NTOSKRNL, IoAcquireRemoveLockEx);

VOID NTAPI IoReleaseRemoveLockEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(RemlockSize);
    release(RemoveLock);
}
NT_EXPORT(NTOSKRNL, IoReleaseRemoveLockEx);

VOID NTAPI IoReleaseRemoveLockAndWaitEx(PIO_REMOVE_LOCK RemoveLock, PVOID Tag, ULONG RemlockSize)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(RemlockSize);
    __atomic_store_n(&RemoveLock->Common.Removed, TRUE, __ATOMIC_SEQ_CST);
    release(RemoveLock); /* the caller's */
    if (__atomic_sub_fetch(&RemoveLock->Common.IoCount, 1, __ATOMIC_SEQ_CST) > 0)
        KeWaitForSingleObject(&RemoveLock->Common.RemoveEvent, Executive, KernelMode, FALSE, NULL);
}
NT_EXPORT(NTOSKRNL, IoReleaseRemoveLockAndWaitEx);
