/*
 * Cancelling operations, and cancel-safe queues of callback data.
 *
 * Whoever takes the cancel routine out of the IRP decides about the operation, as in io/csq.c.
 * While an operation is queued or has a completion for its cancellation, DriverContext[3] of its
 * IRP points to it: the stack location is the filter manager's then.
 *
 * WDK: FltCbdqInitialize, FltCbdqInsertIo, FltSetCancelCompletion, FltCancelIo, FltCancelFileOpen.
 */
#include "generate.h"

static bool is_irp(const struct flt_op *op)
{
    return (op->kind == FltOpIrp || op->kind == FltOpGenerated) && op->irp != NULL;
}

static struct flt_op **slot_of(PIRP irp)
{
    return (struct flt_op **)&irp->Tail.Overlay.DriverContext[3];
}

/* A completion of the filter's */

static VOID NTAPI cancelled(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    struct flt_op *op = *slot_of(irp);
    struct vf_call call = vf_call_begin_of("a cancel completion", op->cancelled);
    op->cancelled(flt_data(op));
    vf_call_end(&call);
}

NTSTATUS NTAPI FltSetCancelCompletion(PFLT_CALLBACK_DATA CallbackData,
                                      PFLT_COMPLETE_CANCELED_CALLBACK CanceledCallback)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(CallbackData, __func__);
    if (!is_irp(op))
        return STATUS_UNSUCCESSFUL;
    if (CallbackData->Iopb->IrpFlags & IRP_PAGING_IO)
        return STATUS_UNSUCCESSFUL;
    op->cancelled = CanceledCallback;
    *slot_of(op->irp) = op;
    IoSetCancelRoutine(op->irp, cancelled);
    /* Cancelled before the routine was there, and nobody will call it. */
    if (op->irp->Cancel && IoSetCancelRoutine(op->irp, NULL) != NULL)
        return STATUS_CANCELLED;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltSetCancelCompletion);

NTSTATUS NTAPI FltClearCancelCompletion(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(CallbackData, __func__);
    if (!is_irp(op))
        return STATUS_UNSUCCESSFUL;
    return IoSetCancelRoutine(op->irp, NULL) != NULL ? STATUS_SUCCESS : STATUS_CANCELLED;
}
NT_EXPORT(FLTMGR, FltClearCancelCompletion);

BOOLEAN NTAPI FltIsIoCanceled(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const struct flt_op *op = flt_op_of(CallbackData, __func__);
    return is_irp(op) && op->irp->Cancel;
}
NT_EXPORT(FLTMGR, FltIsIoCanceled);

BOOLEAN NTAPI FltCancelIo(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const struct flt_op *op = flt_op_of(CallbackData, __func__);
    return is_irp(op) && irp_cancel(op->irp);
}
NT_EXPORT(FLTMGR, FltCancelIo);

/* Queues */

static VOID NTAPI cancel_queued(PDEVICE_OBJECT device, PIRP irp)
{
    KIRQL irql = PASSIVE_LEVEL;
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    struct flt_op *op = *slot_of(irp);
    PFLT_CALLBACK_DATA_QUEUE queue = op->queue;
    queue->Acquire(queue, &irql);
    queue->RemoveIo(queue, flt_data(op));
    if (op->queue_context != NULL)
        op->queue_context->Irp = NULL;
    queue->Release(queue, irql);
    queue->CompleteCanceledIo(queue, flt_data(op));
}

#define QUEUE_DISABLED 1u

NTSTATUS NTAPI FltCbdqInitialize(
    PFLT_INSTANCE Instance, PFLT_CALLBACK_DATA_QUEUE Cbdq,
    PFLT_CALLBACK_DATA_QUEUE_INSERT_IO CbdqInsertIo,
    PFLT_CALLBACK_DATA_QUEUE_REMOVE_IO CbdqRemoveIo,
    PFLT_CALLBACK_DATA_QUEUE_PEEK_NEXT_IO CbdqPeekNextIo,
    PFLT_CALLBACK_DATA_QUEUE_ACQUIRE CbdqAcquire, PFLT_CALLBACK_DATA_QUEUE_RELEASE CbdqRelease,
    PFLT_CALLBACK_DATA_QUEUE_COMPLETE_CANCELED_IO CbdqCompleteCanceledIo)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    *Cbdq = (FLT_CALLBACK_DATA_QUEUE){.Instance = Instance,
                                      .InsertIo = CbdqInsertIo,
                                      .RemoveIo = CbdqRemoveIo,
                                      .PeekNextIo = CbdqPeekNextIo,
                                      .Acquire = CbdqAcquire,
                                      .Release = CbdqRelease,
                                      .CompleteCanceledIo = CbdqCompleteCanceledIo};
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltCbdqInitialize);

static void set_disabled(PFLT_CALLBACK_DATA_QUEUE queue, bool disabled)
{
    KIRQL irql = PASSIVE_LEVEL;
    queue->Acquire(queue, &irql);
    queue->Flags = disabled ? QUEUE_DISABLED : 0;
    queue->Release(queue, irql);
}

VOID NTAPI FltCbdqEnable(PFLT_CALLBACK_DATA_QUEUE Cbdq)
{
    VF_ENTRY(APC_LEVEL);
    set_disabled(Cbdq, false);
}
NT_EXPORT(FLTMGR, FltCbdqEnable);

VOID NTAPI FltCbdqDisable(PFLT_CALLBACK_DATA_QUEUE Cbdq)
{
    VF_ENTRY(APC_LEVEL);
    set_disabled(Cbdq, true);
}
NT_EXPORT(FLTMGR, FltCbdqDisable);

NTSTATUS NTAPI FltCbdqInsertIo(PFLT_CALLBACK_DATA_QUEUE Cbdq, PFLT_CALLBACK_DATA Cbd,
                               PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context, PVOID InsertContext)
{
    KIRQL irql = PASSIVE_LEVEL;
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = flt_op_of(Cbd, __func__);
    bool ours = false;
    if (!is_irp(op))
        return STATUS_UNSUCCESSFUL;
    Cbdq->Acquire(Cbdq, &irql);
    NTSTATUS status = Cbdq->Flags & QUEUE_DISABLED ? STATUS_FLT_CBDQ_DISABLED
                                                   : Cbdq->InsertIo(Cbdq, Cbd, InsertContext);
    if (NT_SUCCESS(status)) {
        op->queue = Cbdq;
        op->queue_context = Context;
        if (Context != NULL) {
            Context->Type = IO_TYPE_CSQ_IRP_CONTEXT;
            Context->Irp = op->irp;
        }
        *slot_of(op->irp) = op;
        IoSetCancelRoutine(op->irp, cancel_queued);
        ours = op->irp->Cancel && IoSetCancelRoutine(op->irp, NULL) != NULL;
        if (ours)
            Cbdq->RemoveIo(Cbdq, Cbd);
    }
    Cbdq->Release(Cbdq, irql);
    if (ours)
        Cbdq->CompleteCanceledIo(Cbdq, Cbd);
    return status;
}
NT_EXPORT(FLTMGR, FltCbdqInsertIo);

PFLT_CALLBACK_DATA NTAPI FltCbdqRemoveIo(PFLT_CALLBACK_DATA_QUEUE Cbdq,
                                         PFLT_CALLBACK_DATA_QUEUE_IO_CONTEXT Context)
{
    KIRQL irql = PASSIVE_LEVEL;
    PFLT_CALLBACK_DATA data = NULL;
    VF_ENTRY(DISPATCH_LEVEL);
    Cbdq->Acquire(Cbdq, &irql);
    PIRP irp = Context->Irp;
    if (irp != NULL && IoSetCancelRoutine(irp, NULL) != NULL) {
        data = flt_data(*slot_of(irp));
        Context->Irp = NULL;
        Cbdq->RemoveIo(Cbdq, data);
    }
    Cbdq->Release(Cbdq, irql);
    return data;
}
NT_EXPORT(FLTMGR, FltCbdqRemoveIo);

PFLT_CALLBACK_DATA NTAPI FltCbdqRemoveNextIo(PFLT_CALLBACK_DATA_QUEUE Cbdq, PVOID PeekContext)
{
    KIRQL irql = PASSIVE_LEVEL;
    VF_ENTRY(DISPATCH_LEVEL);
    Cbdq->Acquire(Cbdq, &irql);
    PFLT_CALLBACK_DATA data = Cbdq->PeekNextIo(Cbdq, NULL, PeekContext);
    /* One whose cancel routine is taken is being cancelled: that one removes it. */
    while (data != NULL && IoSetCancelRoutine(flt_op_of(data, __func__)->irp, NULL) == NULL)
        data = Cbdq->PeekNextIo(Cbdq, data, PeekContext);
    if (data != NULL) {
        struct flt_op *op = flt_op_of(data, __func__);
        if (op->queue_context != NULL)
            op->queue_context->Irp = NULL;
        Cbdq->RemoveIo(Cbdq, data);
    }
    Cbdq->Release(Cbdq, irql);
    return data;
}
NT_EXPORT(FLTMGR, FltCbdqRemoveNextIo);

/* In the post-operation of a create that succeeded: the file is closed again, as if it had failed.
 * Those above see the failure that the filter sets. */
VOID NTAPI FltCancelFileOpen(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject)
{
    static const UCHAR majors[] = {IRP_MJ_CLEANUP, IRP_MJ_CLOSE};
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    for (unsigned i = 0; i < ARRAYSIZE(majors); i++) {
        struct flt_op *op = flt_generate(Instance->volume, Instance, FileObject);
        if (op == NULL)
            KeBugCheckEx(0xf5 /* FLTMGR_FILE_SYSTEM */, majors[i], (ULONG_PTR)FileObject, 0, 0);
        flt_iopb(op)->MajorFunction = majors[i];
        flt_iopb(op)->IrpFlags = IRP_SYNCHRONOUS_API | (i ? IRP_CLOSE_OPERATION : 0);
        flt_generate_wait(op, false);
        flt_op_release(op);
    }
    FileObject->Flags |= FO_FILE_OPEN_CANCELLED;
}
NT_EXPORT(FLTMGR, FltCancelFileOpen);
