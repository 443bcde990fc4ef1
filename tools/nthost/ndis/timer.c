/*
 * Timer objects and work items. WDK: NdisAllocateTimerObject, NdisSetTimerObject,
 * NdisCancelTimerObject, NdisAllocateIoWorkItem, NdisQueueIoWorkItem.
 *
 * A timer object is a KTIMER with a DPC: it ticks at 15.625 ms.
 */
#include "stack.h"
#include <stdlib.h>
#include <string.h>

struct ndis_timer {
    KTIMER timer;
    KDPC dpc;
    PNDIS_TIMER_FUNCTION function;
    PVOID context;  /* of NdisAllocateTimerObject */
    PVOID override; /* of NdisSetTimerObject */
    struct track_entry *track;
};

static KDEFERRED_ROUTINE timer_expired;

static VOID NTAPI timer_expired(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1,
                                PVOID SystemArgument2)
{
    struct ndis_timer *timer = DeferredContext;
    (void)SystemArgument1;
    (void)SystemArgument2;
    PVOID context = timer->override ? timer->override : timer->context;
    timer->function(Dpc, context, NULL, NULL);
}

NDIS_STATUS NTAPI NdisAllocateTimerObject(NDIS_HANDLE NdisHandle,
                                          PNDIS_TIMER_CHARACTERISTICS TimerCharacteristics,
                                          PNDIS_HANDLE TimerObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    *TimerObject = NULL;
    if (TimerCharacteristics->Header.Type != NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS ||
        TimerCharacteristics->Header.Size < NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1 ||
        !TimerCharacteristics->TimerFunction)
        return NDIS_STATUS_INVALID_PARAMETER;
    struct ndis_timer *timer = vf_fault(VfFaultNdis) ? NULL : calloc(1, sizeof(*timer));
    if (!timer)
        return NDIS_STATUS_RESOURCES;
    timer->function = TimerCharacteristics->TimerFunction;
    timer->context = TimerCharacteristics->FunctionContext;
    KeInitializeTimer(&timer->timer);
    KeInitializeDpc(&timer->dpc, timer_expired, timer);
    timer->track = track_add(TrackTimer, timer, __builtin_return_address(0));
    *TimerObject = timer;
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisAllocateTimerObject);

BOOLEAN NTAPI NdisSetTimerObject(NDIS_HANDLE TimerObject, LARGE_INTEGER DueTime,
                                 LONG MillisecondsPeriod, PVOID FunctionContext)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_timer *timer = TimerObject;
    timer->override = FunctionContext;
    return KeSetTimerEx(&timer->timer, DueTime, MillisecondsPeriod, &timer->dpc);
}
NT_EXPORT(NDIS, NdisSetTimerObject);

BOOLEAN NTAPI NdisSetCoalescableTimerObject(NDIS_HANDLE TimerObject, LARGE_INTEGER DueTime,
                                            LONG MillisecondsPeriod, PVOID FunctionContext,
                                            ULONG Tolerance)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_timer *timer = TimerObject;
    timer->override = FunctionContext;
    return KeSetCoalescableTimer(&timer->timer, DueTime, (ULONG)MillisecondsPeriod, Tolerance,
                                 &timer->dpc);
}
NT_EXPORT(NDIS, NdisSetCoalescableTimerObject);

BOOLEAN NTAPI NdisCancelTimerObject(NDIS_HANDLE TimerObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_timer *timer = TimerObject;
    return KeCancelTimer(&timer->timer);
}
NT_EXPORT(NDIS, NdisCancelTimerObject);

/* At PASSIVE_LEVEL it waits for a function that is running, as Windows does. */
VOID NTAPI NdisFreeTimerObject(NDIS_HANDLE TimerObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_timer *timer = TimerObject;
    if (KeCancelTimer(&timer->timer) && vf_enabled)
        vf_violation(VfTimerActive, "NdisFreeTimerObject: timer %p is set", TimerObject);
    if (KeGetCurrentIrql() == PASSIVE_LEVEL)
        KeFlushQueuedDpcs();
    track_remove(timer->track);
    free(timer);
}
NT_EXPORT(NDIS, NdisFreeTimerObject);

/* Work items */

struct ndis_work {
    WORK_QUEUE_ITEM item;
    struct ndis_driver *driver; /* does not go while it runs; NULL: unknown */
    NDIS_IO_WORKITEM_ROUTINE routine;
    PVOID context;
    volatile LONG queued;
    volatile LONG references; /* the owner's, and one while it is queued or runs */
    struct track_entry *track;
};

static void work_release(struct ndis_work *work)
{
    if (InterlockedDecrement(&work->references) == 0)
        free(work);
}

static VOID NTAPI work_run(PVOID Parameter)
{
    struct ndis_work *work = Parameter;
    NDIS_IO_WORKITEM_ROUTINE routine = work->routine;
    PVOID context = work->context;
    /* From here on the driver may queue or free it, also from within the routine. */
    InterlockedExchange(&work->queued, 0);
    struct ndis_driver *driver = work->driver;
    struct vf_call call = vf_call_begin_of("a work item", routine);
    routine(context, work);
    vf_call_end(&call);
    work_release(work);
    if (driver)
        rundown_drop(&driver->works, 1);
}

NDIS_HANDLE NTAPI NdisAllocateIoWorkItem(NDIS_HANDLE NdisObjectHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_work *work = vf_fault(VfFaultNdis) ? NULL : calloc(1, sizeof(*work));
    if (!work)
        return NULL;
    work->references = 1;
    work->driver = driver_of(NdisObjectHandle);
    work->track = track_add(TrackWorkItem, work, __builtin_return_address(0));
    return work;
}
NT_EXPORT(NDIS, NdisAllocateIoWorkItem);

VOID NTAPI NdisQueueIoWorkItem(NDIS_HANDLE NdisIoWorkItemHandle, NDIS_IO_WORKITEM_ROUTINE Routine,
                               PVOID WorkItemContext)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_work *work = NdisIoWorkItemHandle;
    if (InterlockedExchange(&work->queued, 1)) {
        if (vf_enabled)
            vf_violation(VfWorkItemActive, "NdisQueueIoWorkItem: %p is queued already",
                         NdisIoWorkItemHandle);
        return;
    }
    InterlockedIncrement(&work->references);
    if (work->driver)
        rundown_add(&work->driver->works, 1);
    work->routine = Routine;
    work->context = WorkItemContext;
    ExInitializeWorkItem(&work->item, work_run, work);
    ExQueueWorkItem(&work->item, DelayedWorkQueue);
}
NT_EXPORT(NDIS, NdisQueueIoWorkItem);

VOID NTAPI NdisFreeIoWorkItem(NDIS_HANDLE NdisIoWorkItemHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_work *work = NdisIoWorkItemHandle;
    if (work->queued && vf_enabled)
        vf_violation(VfWorkItemActive, "NdisFreeIoWorkItem: %p is queued", NdisIoWorkItemHandle);
    track_remove(work->track);
    work_release(work);
}
NT_EXPORT(NDIS, NdisFreeIoWorkItem);
