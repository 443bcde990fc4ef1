/*
 * Services of NDIS to its drivers that are little more than the executive's under other names:
 * memory, events, sleeping, spin locks, processors, versions, the event log.
 *
 * WDK: NdisAllocateMemoryWithTagPriority, NdisInitializeEvent, NdisWaitEvent, NdisMSleep,
 * NdisGetVersion, NdisSystemActiveProcessorCount, NdisGeneratePartialCancelId,
 * NdisIfGetInterfaceIndexFromNetLuid, NdisEnumerateFilterModules.
 */
#include "../executive/pool.h"
#include "stack.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Memory. A filter may free restart attributes that NDIS made: all of it is pool. */

PVOID NTAPI NdisAllocateMemoryWithTagPriority(NDIS_HANDLE NdisHandle, UINT Length, ULONG Tag,
                                              EX_POOL_PRIORITY Priority)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    (void)Priority;
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, Length, Tag,
                             __builtin_return_address(0));
}
NT_EXPORT(NDIS, NdisAllocateMemoryWithTagPriority);

NDIS_STATUS NTAPI NdisAllocateMemoryWithTag(PVOID *VirtualAddress, UINT Length, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    *VirtualAddress = vf_fault(VfFaultPool)
                          ? NULL
                          : pool_allocate_for(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, Length,
                                              Tag, __builtin_return_address(0));
    return *VirtualAddress ? NDIS_STATUS_SUCCESS : NDIS_STATUS_FAILURE;
}
NT_EXPORT(NDIS, NdisAllocateMemoryWithTag);

VOID NTAPI NdisFreeMemory(PVOID VirtualAddress, UINT Length, UINT MemoryFlags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)Length;
    (void)MemoryFlags;
    ExFreePool(VirtualAddress);
}
NT_EXPORT(NDIS, NdisFreeMemory);

VOID NTAPI NdisFreeMemoryWithTag(PVOID VirtualAddress, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExFreePoolWithTag(VirtualAddress, Tag);
}
NT_EXPORT(NDIS, NdisFreeMemoryWithTag);

VOID NTAPI NdisFreeMemoryWithTagPriority(NDIS_HANDLE NdisHandle, PVOID VirtualAddress, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    ExFreePoolWithTag(VirtualAddress, Tag);
}
NT_EXPORT(NDIS, NdisFreeMemoryWithTagPriority);

struct generic_object {
    NDIS_OBJECT_HEADER Header;
    PVOID Caller, CallersCaller;
    PDRIVER_OBJECT DriverObject;
    struct track_entry *track;
};

NDIS_HANDLE NTAPI NdisAllocateGenericObject(PDRIVER_OBJECT DriverObject, ULONG Tag, USHORT Size)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)Tag;
    if (Size < 32) /* sizeof(NDIS_GENERIC_OBJECT) */
        Size = 32;
    struct generic_object *object =
        vf_fault(VfFaultNdis) ? NULL : calloc(1, sizeof(*object) + Size);
    if (!object)
        return NULL;
    object->DriverObject = DriverObject;
    object->Caller = __builtin_return_address(0);
    object->track = track_add(TrackGeneric, object, object->Caller);
    return object;
}
NT_EXPORT(NDIS, NdisAllocateGenericObject);

VOID NTAPI NdisFreeGenericObject(NDIS_HANDLE NdisObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct generic_object *object = NdisObject;
    track_remove(object->track);
    free(object);
}
NT_EXPORT(NDIS, NdisFreeGenericObject);

/* Events and time */

VOID NTAPI NdisInitializeEvent(PNDIS_EVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeInitializeEvent(&Event->Event, NotificationEvent, FALSE);
}
NT_EXPORT(NDIS, NdisInitializeEvent);

VOID NTAPI NdisSetEvent(PNDIS_EVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeSetEvent(&Event->Event, IO_NO_INCREMENT, FALSE);
}
NT_EXPORT(NDIS, NdisSetEvent);

VOID NTAPI NdisResetEvent(PNDIS_EVENT Event)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeClearEvent(&Event->Event);
}
NT_EXPORT(NDIS, NdisResetEvent);

/* 0 milliseconds: without end. */
BOOLEAN NTAPI NdisWaitEvent(PNDIS_EVENT Event, UINT MsToWait)
{
    VF_ENTRY(PASSIVE_LEVEL);
    LARGE_INTEGER timeout = {.QuadPart = -(LONGLONG)MsToWait * 10000};
    return KeWaitForSingleObject(&Event->Event, Executive, KernelMode, FALSE,
                                 MsToWait ? &timeout : NULL) == STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisWaitEvent);

VOID NTAPI NdisMSleep(ULONG MicrosecondsToSleep)
{
    VF_ENTRY(PASSIVE_LEVEL);
    LARGE_INTEGER interval = {.QuadPart = -(LONGLONG)MicrosecondsToSleep * 10};
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
}
NT_EXPORT(NDIS, NdisMSleep);

VOID NTAPI NdisGetSystemUpTimeEx(PLARGE_INTEGER pSystemUpTime)
{
    VF_ENTRY(HIGH_LEVEL);
    pSystemUpTime->QuadPart = (LONGLONG)(sched_interrupt_time() / 10000);
}
NT_EXPORT(NDIS, NdisGetSystemUpTimeEx);

/* Spin locks: acquiring and releasing are macros over the executive's. */

VOID NTAPI NdisAllocateSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    KeInitializeSpinLock(&SpinLock->SpinLock);
}
NT_EXPORT(NDIS, NdisAllocateSpinLock);

VOID NTAPI NdisFreeSpinLock(PNDIS_SPIN_LOCK SpinLock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)SpinLock;
}
NT_EXPORT(NDIS, NdisFreeSpinLock);

/* Processors */

ULONG NTAPI NdisCurrentProcessorIndex(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    return ndis_processor();
}
NT_EXPORT(NDIS, NdisCurrentProcessorIndex);

PROCESSOR_NUMBER NTAPI NdisCurrentGroupAndProcessor(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    PROCESSOR_NUMBER number = {.Number = (UCHAR)ndis_processor()};
    return number;
}
NT_EXPORT(NDIS, NdisCurrentGroupAndProcessor);

ULONG NTAPI NdisSystemActiveProcessorCount(PKAFFINITY ActiveProcessors)
{
    VF_ENTRY(HIGH_LEVEL);
    ULONG count = sched_processors();
    if (ActiveProcessors)
        *ActiveProcessors = count == 64 ? ~(KAFFINITY)0 : ((KAFFINITY)1 << count) - 1;
    return count;
}
NT_EXPORT(NDIS, NdisSystemActiveProcessorCount);

CCHAR NTAPI NdisSystemProcessorCount(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    return (CCHAR)sched_processors();
}
NT_EXPORT(NDIS, NdisSystemProcessorCount);

ULONG NTAPI NdisGroupActiveProcessorCount(USHORT Group)
{
    VF_ENTRY(HIGH_LEVEL);
    return Group == 0 || Group == ALL_PROCESSOR_GROUPS ? sched_processors() : 0;
}
NT_EXPORT(NDIS, NdisGroupActiveProcessorCount);

ULONG NTAPI NdisGroupMaxProcessorCount(USHORT Group)
{
    VF_ENTRY(HIGH_LEVEL);
    return Group == 0 || Group == ALL_PROCESSOR_GROUPS ? sched_processors() : 0;
}
NT_EXPORT(NDIS, NdisGroupMaxProcessorCount);

UINT NTAPI NdisGetVersion(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    return NDIS_RUNTIME_VERSION_685;
}
NT_EXPORT(NDIS, NdisGetVersion);

ULONG NTAPI NdisGetSharedDataAlignment(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    return SYSTEM_CACHE_ALIGNMENT_SIZE;
}
NT_EXPORT(NDIS, NdisGetSharedDataAlignment);

PVOID NTAPI NdisGetRoutineAddress(PNDIS_STRING NdisRoutineName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    char name[96];
    unsigned n = NdisRoutineName->Length / sizeof(WCHAR);
    if (n >= sizeof(name))
        return NULL;
    for (unsigned i = 0; i < n; i++)
        name[i] = (char)NdisRoutineName->Buffer[i];
    name[n] = 0;
    return nt_export_find(NDIS, name);
}
NT_EXPORT(NDIS, NdisGetRoutineAddress);

UCHAR NTAPI NdisGeneratePartialCancelId(VOID)
{
    VF_ENTRY(HIGH_LEVEL);
    static atomic_uchar next = 1;
    return atomic_fetch_add(&next, 1);
}
NT_EXPORT(NDIS, NdisGeneratePartialCancelId);

VOID NTAPI NdisWriteErrorLogEntry(NDIS_HANDLE NdisAdapterHandle, ULONG ErrorCode,
                                  ULONG NumberOfErrorValues, ...)
{
    (void)NdisAdapterHandle;
    fprintf(stderr, "nthost: NdisWriteErrorLogEntry: 0x%08x, %u value(s)\n", ErrorCode,
            NumberOfErrorValues);
}
NT_EXPORT(NDIS, NdisWriteErrorLogEntry);

NDIS_STATUS NTAPI NdisWriteEventLogEntry(PVOID LogHandle, NDIS_STATUS EventCode,
                                         ULONG UniqueEventValue, USHORT NumStrings,
                                         PVOID StringsList, ULONG DataSize, PVOID Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)LogHandle;
    (void)NumStrings;
    (void)StringsList;
    (void)DataSize;
    (void)Data;
    fprintf(stderr, "nthost: NdisWriteEventLogEntry: 0x%08x (%u)\n", EventCode, UniqueEventValue);
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisWriteEventLogEntry);

/* Interfaces */

struct interface_search {
    NET_IFINDEX index;
    NET_LUID luid;
    bool found;
};

static void match(struct interface_search *search, NET_IFINDEX index, NET_LUID luid)
{
    if (index != search->index && luid.Value != search->luid.Value)
        return;
    search->index = index;
    search->luid = luid;
    search->found = true;
}

static void find_interface(struct interface_search *search)
{
    for (LIST_ENTRY *e = ndis_adapters.Flink; e != &ndis_adapters && !search->found; e = e->Flink) {
        struct ndis_adapter *adapter = CONTAINING_RECORD(e, struct ndis_adapter, link);
        unsigned line;
        const struct module_view *view = stack_view(adapter, &line);
        match(search, adapter->if_index, adapter->luid);
        for (unsigned i = 0; i < view->count && !search->found; i++)
            match(search, view->modules[i]->if_index, view->modules[i]->luid);
        stack_unview(adapter, line);
    }
}

NDIS_STATUS NTAPI NdisIfGetInterfaceIndexFromNetLuid(NET_LUID NetLuid, PNET_IFINDEX pIfIndex)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct interface_search search = {.luid = NetLuid, .index = ~0u};
    find_interface(&search);
    *pIfIndex = search.found ? search.index : NET_IFINDEX_UNSPECIFIED;
    return search.found ? NDIS_STATUS_SUCCESS : NDIS_STATUS_INTERFACE_NOT_FOUND;
}
NT_EXPORT(NDIS, NdisIfGetInterfaceIndexFromNetLuid);

NDIS_STATUS NTAPI NdisIfGetNetLuidFromInterfaceIndex(NET_IFINDEX IfIndex, PNET_LUID pNetLuid)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct interface_search search = {.index = IfIndex, .luid.Value = ~0ull};
    find_interface(&search);
    pNetLuid->Value = search.found ? search.luid.Value : NET_IFLUID_UNSPECIFIED;
    return search.found ? NDIS_STATUS_SUCCESS : NDIS_STATUS_INTERFACE_NOT_FOUND;
}
NT_EXPORT(NDIS, NdisIfGetNetLuidFromInterfaceIndex);
