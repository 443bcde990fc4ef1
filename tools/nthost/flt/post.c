/*
 * Post-operations, from the bottom to the top, and the end of an operation; see op.h.
 *
 * WDK: PFLT_POST_OPERATION_CALLBACK, FltCompletePendedPostOperation,
 * FltDoCompletionProcessingWhenSafe.
 */
#include "op.h"

/* The filter's instance is being torn down, its post-operation was or is being called elsewhere. */
static void pass_draining(struct flt_op *op, struct flt_node *node, PFLT_INSTANCE instance)
{
    uintptr_t expected = FLT_STATE(instance, NodeDraining);
    flt_op_hold(op); /* who drains looks at the operation: given back by it */
    if (!atomic_compare_exchange_strong(&node->state, &expected,
                                        FLT_STATE(instance, NodeOvertaken)))
        flt_op_release(op);
}

/* Ours to call? Then the instance stays while we do. */
static bool claim(struct flt_op *op, struct flt_node *node, PFLT_INSTANCE instance)
{
    uintptr_t state = atomic_load(&node->state);
    if (FLT_STATE_OF(state) == NodeBelowSync) {
        atomic_store(&node->state, FLT_STATE(instance, NodeInPost));
        return true;
    }
    if (FLT_STATE_OF(state) == NodeNone)
        return false;
    rundown_add(&instance->object.rundown, 1);
    uintptr_t expected = FLT_STATE(instance, NodeBelow);
    if (atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(instance, NodeInPost)))
        return true;
    flt_drop(instance);
    pass_draining(op, node, instance);
    return false;
}

static void check_post_status(struct flt_op *op, PFLT_INSTANCE instance,
                              FLT_POSTOP_CALLBACK_STATUS status)
{
    if (status == FLT_POSTOP_FINISHED_PROCESSING ||
        (status == FLT_POSTOP_MORE_PROCESSING_REQUIRED &&
         (op->kind == FltOpIrp || op->kind == FltOpGenerated)) ||
        (status == FLT_POSTOP_DISALLOW_FSFILTER_IO && op->kind == FltOpFsFilter))
        return;
    vf_violation(VfFltStatus, "the post-operation of %s for major function 0x%02x returned %d%s",
                 instance->filter->image, flt_iopb(op)->MajorFunction, status,
                 status == FLT_POSTOP_MORE_PROCESSING_REQUIRED ? ": only IRPs can be pended" : "");
}

static bool pend(struct flt_op *op, struct flt_node *node, PFLT_INSTANCE instance)
{
    uintptr_t expected = FLT_STATE(instance, NodeInPost);
    bool awaited = false;
    for (unsigned i = op->first; i < op->current; i++)
        awaited = awaited || op->nodes[i].runner != NULL;
    if (!op->marked && !awaited) {
        op->marked = true;
        if (!op->own_irp)
            IoMarkIrpPending(op->irp);
    }
    return atomic_compare_exchange_strong(&node->state, &expected,
                                          FLT_STATE(instance, NodePostPended));
}

/* True: it is pended. */
static bool call_post(struct flt_op *op, struct flt_node *node, const struct flt_callback *callback)
{
    PFLT_INSTANCE instance = callback->instance;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->TargetInstance = instance;
    FLT_RELATED_OBJECTS related = flt_related(instance, iopb->TargetFileObject);
    struct vf_call call = vf_call_begin_of("a post-operation", callback->post);
    FLT_POSTOP_CALLBACK_STATUS status = callback->post(flt_data(op), &related, node->context, 0);
    vf_call_end(&call);
    if (vf_enabled)
        check_post_status(op, instance, status);
    if (status == FLT_POSTOP_MORE_PROCESSING_REQUIRED) {
        if (pend(op, node, instance))
            return true;
    } else if (status == FLT_POSTOP_DISALLOW_FSFILTER_IO) {
        flt_data(op)->IoStatus.Status = STATUS_FLT_DISALLOW_FSFILTER_IO;
    } else if (vf_enabled && FLT_STATE_OF(atomic_load(&node->state)) != NodeInPost) {
        vf_violation(VfFltStatus,
                     "the post-operation of %s called FltCompletePendedPostOperation, but did not "
                     "return FLT_POSTOP_MORE_PROCESSING_REQUIRED",
                     instance->filter->image);
    }
    flt_data(op)->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_DIRTY;
    atomic_store(&node->state, FLT_STATE(NULL, NodeNone));
    flt_drop(instance);
    return false;
}

enum flt_post_end flt_post(struct flt_op *op, unsigned at, struct flt_runner *runner)
{
    flt_data(op)->Flags |= FLTFL_CALLBACK_DATA_POST_OPERATION;
    if (op->rename != 0 && !op->in_post)
        flt_names_changed(op);
    op->in_post = true;
    while (at-- > op->first) {
        const struct flt_callback *callback = &op->list.calls[at];
        struct flt_node *node = &op->nodes[at];
        if (node->runner != NULL && node->runner != runner) {
            struct flt_runner *other = node->runner;
            other->at = at + 1;
            KeSetEvent(&other->event, IO_NO_INCREMENT, FALSE);
            return FltPostHanded;
        }
        if (node->runner != NULL)
            runner->nodes--;
        op->current = at;
        if (node->dirty)
            flt_swap_undo(op, node);
        if (claim(op, node, callback->instance) && call_post(op, node, callback))
            return FltPostPended;
        if (node->swapped_mdl != NULL)
            flt_swap_release(node);
    }
    return FltPostDone;
}

NTSTATUS flt_finish(struct flt_op *op)
{
    PIRP irp = op->irp;
    NTSTATUS status = flt_data(op)->IoStatus.Status;
    bool marked = op->marked;
    if (op->rename != 0)
        flt_names_after(op);
    op->outcome = status;
    op->ended = true;
    if (op->finish != NULL) {
        op->finish(op);
        return status;
    }
    if (op->kind == FltOpIrp) {
        irp->IoStatus = flt_data(op)->IoStatus;
        flt_op_retire_data(op);
        flt_op_release(op);
        IofCompleteRequest(irp, IO_NO_INCREMENT);
        return marked ? STATUS_PENDING : status;
    }
    return status;
}

/* Exports */

VOID NTAPI FltCompletePendedPostOperation(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(CallbackData, __func__);
    struct flt_node *node = &op->nodes[op->current];
    PFLT_INSTANCE instance = op->list.calls[op->current].instance;
    uintptr_t expected = FLT_STATE(instance, NodeInPost);
    if (atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(instance, NodePostEarly)))
        return;
    expected = FLT_STATE(instance, NodePostPended);
    if (!atomic_compare_exchange_strong(&node->state, &expected, FLT_STATE(NULL, NodeNone)))
        vf_violation(VfFltStatus, "FltCompletePendedPostOperation: no post-operation is pended");
    flt_drop(instance);
    flt_data(op)->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_DIRTY;
    flt_swap_release(node);
    if (flt_post(op, op->current, NULL) == FltPostDone)
        flt_finish(op);
}
NT_EXPORT(FLTMGR, FltCompletePendedPostOperation);

/* FltDoCompletionProcessingWhenSafe */

struct when_safe {
    WORK_QUEUE_ITEM item;
    PFLT_CALLBACK_DATA data;
    PFLT_INSTANCE instance;
    PVOID context;
    PFLT_POST_OPERATION_CALLBACK callback;
};

static VOID NTAPI run_when_safe(PVOID parameter)
{
    struct when_safe work = *(struct when_safe *)parameter;
    ExFreePoolWithTag(parameter, 'SmlF');
    FLT_RELATED_OBJECTS related = flt_related(work.instance, work.data->Iopb->TargetFileObject);
    struct vf_call call = vf_call_begin_of("a safe post-operation", work.callback);
    FLT_POSTOP_CALLBACK_STATUS status = work.callback(work.data, &related, work.context, 0);
    vf_call_end(&call);
    if (status != FLT_POSTOP_MORE_PROCESSING_REQUIRED)
        FltCompletePendedPostOperation(work.data);
}

BOOLEAN NTAPI FltDoCompletionProcessingWhenSafe(PFLT_CALLBACK_DATA Data,
                                                PCFLT_RELATED_OBJECTS FltObjects,
                                                PVOID CompletionContext,
                                                FLT_POST_OPERATION_FLAGS Flags,
                                                PFLT_POST_OPERATION_CALLBACK SafePostCallback,
                                                PFLT_POSTOP_CALLBACK_STATUS RetPostOperationStatus)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const struct flt_op *op = flt_op_of(Data, __func__);
    if (vf_enabled && (!(Data->Flags & FLTFL_CALLBACK_DATA_POST_OPERATION) ||
                       Flags & FLTFL_POST_OPERATION_DRAINING))
        vf_violation(VfFltStatus, "FltDoCompletionProcessingWhenSafe is for post-operations that "
                                  "are not draining");
    if (KeGetCurrentIrql() < DISPATCH_LEVEL) {
        *RetPostOperationStatus = SafePostCallback(Data, FltObjects, CompletionContext, Flags);
        return TRUE;
    }
    *RetPostOperationStatus = FLT_POSTOP_FINISHED_PROCESSING;
    if ((op->kind != FltOpIrp && op->kind != FltOpGenerated) ||
        Data->Iopb->IrpFlags & IRP_PAGING_IO || vf_fault(VfFaultPool))
        return FALSE;
    struct when_safe *work = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*work), 'SmlF');
    if (work == NULL)
        return FALSE;
    work->data = Data;
    work->instance = FltObjects->Instance;
    work->context = CompletionContext;
    work->callback = SafePostCallback;
    ExInitializeWorkItem(&work->item, run_when_safe, work);
    *RetPostOperationStatus = FLT_POSTOP_MORE_PROCESSING_REQUIRED;
    ExQueueWorkItem(&work->item, CriticalWorkQueue);
    return TRUE;
}
NT_EXPORT(FLTMGR, FltDoCompletionProcessingWhenSafe);
