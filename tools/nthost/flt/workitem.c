/*
 * Work items: generic ones, which keep an object of the filter manager's, and those that go on with
 * an operation in a system thread.
 *
 * WDK: FltQueueGenericWorkItem, FltQueueDeferredIoWorkItem.
 */
#include "op.h"
#include "../executive/pool.h"

#define ITEM_TAG 'iWlF'

struct _FLT_GENERIC_WORKITEM {
    WORK_QUEUE_ITEM item;
    PVOID object;
    PFLT_GENERIC_WORKITEM_ROUTINE routine;
    PVOID context;
    atomic_int queued;
};

struct _FLT_DEFERRED_IO_WORKITEM {
    WORK_QUEUE_ITEM item;
    PFLT_CALLBACK_DATA data;
    PFLT_INSTANCE instance;
    PFLT_DEFERRED_IO_WORKITEM_ROUTINE routine;
    PVOID context;
    atomic_int queued;
};

/* From the start of its routine on, an item may be queued again or freed. */

static VOID NTAPI run_generic(PVOID parameter)
{
    PFLT_GENERIC_WORKITEM item = parameter;
    PVOID object = item->object, context = item->context;
    PFLT_GENERIC_WORKITEM_ROUTINE routine = item->routine;
    atomic_store(&item->queued, 0);
    struct vf_call call = vf_call_begin_of("a generic work item", routine);
    routine(item, object, context);
    vf_call_end(&call);
    flt_drop(object);
}

static VOID NTAPI run_deferred(PVOID parameter)
{
    PFLT_DEFERRED_IO_WORKITEM item = parameter;
    PFLT_DEFERRED_IO_WORKITEM_ROUTINE routine = item->routine;
    PFLT_INSTANCE instance = item->instance;
    atomic_store(&item->queued, 0);
    struct vf_call call = vf_call_begin_of("a deferred I/O work item", routine);
    routine(item, item->data, item->context);
    vf_call_end(&call);
    flt_drop(instance);
    flt_release(instance);
}

static void check_queued(atomic_int *queued, const void *item)
{
    if (atomic_exchange(queued, 1) != 0 && vf_enabled)
        vf_violation(VfWorkItemActive, "work item %p of the filter manager is queued already",
                     item);
}

PFLT_GENERIC_WORKITEM NTAPI FltAllocateGenericWorkItem(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return vf_fault(VfFaultPool)
               ? NULL
               : pool_allocate_for(POOL_FLAG_NON_PAGED, sizeof(struct _FLT_GENERIC_WORKITEM),
                                   ITEM_TAG, __builtin_return_address(0));
}
NT_EXPORT(FLTMGR, FltAllocateGenericWorkItem);

VOID NTAPI FltFreeGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExFreePoolWithTag(FltWorkItem, ITEM_TAG);
}
NT_EXPORT(FLTMGR, FltFreeGenericWorkItem);

NTSTATUS NTAPI FltQueueGenericWorkItem(PFLT_GENERIC_WORKITEM FltWorkItem, PVOID FltObject,
                                       PFLT_GENERIC_WORKITEM_ROUTINE WorkerRoutine,
                                       WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (!flt_take(FltObject))
        return STATUS_FLT_DELETING_OBJECT;
    check_queued(&FltWorkItem->queued, FltWorkItem);
    FltWorkItem->object = FltObject;
    FltWorkItem->routine = WorkerRoutine;
    FltWorkItem->context = Context;
    ExInitializeWorkItem(&FltWorkItem->item, run_generic, FltWorkItem);
    ExQueueWorkItem(&FltWorkItem->item, QueueType);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltQueueGenericWorkItem);

PFLT_DEFERRED_IO_WORKITEM NTAPI FltAllocateDeferredIoWorkItem(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return vf_fault(VfFaultPool)
               ? NULL
               : pool_allocate_for(POOL_FLAG_NON_PAGED, sizeof(struct _FLT_DEFERRED_IO_WORKITEM),
                                   ITEM_TAG, __builtin_return_address(0));
}
NT_EXPORT(FLTMGR, FltAllocateDeferredIoWorkItem);

VOID NTAPI FltFreeDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem)
{
    VF_ENTRY(DISPATCH_LEVEL);
    ExFreePoolWithTag(FltWorkItem, ITEM_TAG);
}
NT_EXPORT(FLTMGR, FltFreeDeferredIoWorkItem);

/* Of an operation whose callback runs, or is pended: that keeps the instance until it is completed,
 * and this until the routine, which completes it, has returned. */
NTSTATUS NTAPI FltQueueDeferredIoWorkItem(PFLT_DEFERRED_IO_WORKITEM FltWorkItem,
                                          PFLT_CALLBACK_DATA Data,
                                          PFLT_DEFERRED_IO_WORKITEM_ROUTINE WorkerRoutine,
                                          WORK_QUEUE_TYPE QueueType, PVOID Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(Data, __func__);
    if (op->kind != FltOpIrp && op->kind != FltOpGenerated)
        return STATUS_INVALID_PARAMETER_2;
    if (Data->Iopb->IrpFlags & IRP_PAGING_IO)
        return STATUS_FLT_NOT_SAFE_TO_POST_OPERATION;
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    check_queued(&FltWorkItem->queued, FltWorkItem);
    FltWorkItem->data = Data;
    FltWorkItem->instance = op->list.calls[op->current].instance;
    FltWorkItem->routine = WorkerRoutine;
    FltWorkItem->context = Context;
    rundown_add(&FltWorkItem->instance->object.rundown, 1);
    flt_hold(FltWorkItem->instance);
    ExInitializeWorkItem(&FltWorkItem->item, run_deferred, FltWorkItem);
    ExQueueWorkItem(&FltWorkItem->item, QueueType);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltQueueDeferredIoWorkItem);
