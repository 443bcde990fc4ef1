/*
 * Locks: push locks and resources with kernel APCs disabled, as minifilters use them; waits that
 * end when an operation is cancelled; aligned pool.
 *
 * WDK: FltAcquirePushLockExclusive, FltAcquireResourceShared, FltAllocatePoolAlignedWithTag.
 */
#include "op.h"
#include "../executive/pool.h"

VOID NTAPI FltInitializePushLock(PEX_PUSH_LOCK PushLock)
{
    VF_ENTRY(APC_LEVEL);
    ExInitializePushLock(PushLock);
}
NT_EXPORT(FLTMGR, FltInitializePushLock);

VOID NTAPI FltDeletePushLock(PEX_PUSH_LOCK PushLock)
{
    VF_ENTRY(APC_LEVEL);
    if (*PushLock != 0)
        vf_violation(VfSpinLockHeld, "FltDeletePushLock: push lock %p is held", (void *)PushLock);
}
NT_EXPORT(FLTMGR, FltDeletePushLock);

VOID NTAPI FltAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterCriticalRegion();
    ExAcquirePushLockExclusiveEx(PushLock, Flags);
}
NT_EXPORT(FLTMGR, FltAcquirePushLockExclusiveEx);

VOID NTAPI FltAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterCriticalRegion();
    ExAcquirePushLockSharedEx(PushLock, Flags);
}
NT_EXPORT(FLTMGR, FltAcquirePushLockSharedEx);

/* Bit 0: it is held exclusively (executive/pushlock.c). */
VOID NTAPI FltReleasePushLockEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    VF_ENTRY(APC_LEVEL);
    if (*(volatile EX_PUSH_LOCK *)PushLock & 1)
        ExReleasePushLockExclusiveEx(PushLock, Flags);
    else
        ExReleasePushLockSharedEx(PushLock, Flags);
    KeLeaveCriticalRegion();
}
NT_EXPORT(FLTMGR, FltReleasePushLockEx);

VOID NTAPI FltAcquirePushLockExclusive(PEX_PUSH_LOCK PushLock)
{
    FltAcquirePushLockExclusiveEx(PushLock, 0);
}
NT_EXPORT(FLTMGR, FltAcquirePushLockExclusive);

VOID NTAPI FltAcquirePushLockShared(PEX_PUSH_LOCK PushLock)
{
    FltAcquirePushLockSharedEx(PushLock, 0);
}
NT_EXPORT(FLTMGR, FltAcquirePushLockShared);

VOID NTAPI FltReleasePushLock(PEX_PUSH_LOCK PushLock)
{
    FltReleasePushLockEx(PushLock, 0);
}
NT_EXPORT(FLTMGR, FltReleasePushLock);

VOID NTAPI FltAcquireResourceExclusive(PERESOURCE Resource)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterCriticalRegion();
    ExAcquireResourceExclusiveLite(Resource, TRUE);
}
NT_EXPORT(FLTMGR, FltAcquireResourceExclusive);

VOID NTAPI FltAcquireResourceShared(PERESOURCE Resource)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterCriticalRegion();
    ExAcquireResourceSharedLite(Resource, TRUE);
}
NT_EXPORT(FLTMGR, FltAcquireResourceShared);

VOID NTAPI FltReleaseResource(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExReleaseResourceLite(Resource);
    KeLeaveCriticalRegion();
}
NT_EXPORT(FLTMGR, FltReleaseResource);

/* Pool here is aligned to 16, to a page from a page on; a backing folder wants no more. */

PVOID NTAPI FltAllocatePoolAlignedWithTag(PFLT_INSTANCE Instance, POOL_TYPE PoolType,
                                          SIZE_T NumberOfBytes, ULONG Tag)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(pool_flags_of_type(PoolType), NumberOfBytes, Tag,
                             __builtin_return_address(0));
}
NT_EXPORT(FLTMGR, FltAllocatePoolAlignedWithTag);

VOID NTAPI FltFreePoolAlignedWithTag(PFLT_INSTANCE Instance, PVOID Buffer, ULONG Tag)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    ExFreePoolWithTag(Buffer, Tag);
}
NT_EXPORT(FLTMGR, FltFreePoolAlignedWithTag);
