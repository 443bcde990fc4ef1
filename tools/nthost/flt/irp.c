/*
 * IRPs through the filters: the dispatch routine of the volumes' devices, sending on and
 * completing.
 *
 * Where no filter has a callback for a kind of operation the IRP skips the device. An operation
 * that no filter wants to see completed, and that none changed, is sent on without a completion
 * routine and forgotten.
 */
#include "op.h"
#include "file_target.h"
#include <string.h>

/* What the file system says, and the MDL that it made for the buffer if there was none. */
static void take_result(struct flt_op *op, PIRP irp)
{
    struct flt_buffer buffer;
    flt_data(op)->IoStatus = irp->IoStatus;
    if (op->table == IRP_MJ_CLOSE && flt_iopb(op)->TargetFileObject != NULL) {
        struct flt_file *own = flt_file_of(flt_iopb(op)->TargetFileObject, true);
        if (own != NULL)
            own->closed = true;
    }
    if (flt_params_buffer(flt_iopb(op), &buffer) && buffer.mdl != NULL)
        *buffer.mdl = irp->MdlAddress;
}

static NTSTATUS NTAPI completed(PDEVICE_OBJECT device, PIRP irp, PVOID context)
{
    struct flt_op *op = context;
    UNREFERENCED_PARAMETER(device);
    take_result(op, irp);
    if (flt_post(op, op->depth, NULL) != FltPostDone)
        return STATUS_MORE_PROCESSING_REQUIRED;
    if (op->own_irp) {
        flt_finish(op);
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    if (op->rename != 0)
        flt_names_after(op);
    irp->IoStatus = flt_data(op)->IoStatus;
    op->outcome = irp->IoStatus.Status;
    op->ended = true;
    if (irp->PendingReturned || op->marked)
        IoMarkIrpPending(irp);
    flt_op_retire_data(op);
    flt_op_release(op);
    return STATUS_CONTINUE_COMPLETION;
}

NTSTATUS flt_send(struct flt_op *op, struct flt_runner *runner)
{
    PIRP irp = op->irp;
    PDEVICE_OBJECT below = op->volume->below;
    if (op->kind == FltOpIrp && !op->completes && !op->marked && op->rename == 0) {
        IoSkipCurrentIrpStackLocation(irp);
        flt_op_retire_data(op);
        flt_op_release(op);
        return irp_call(below, irp, __builtin_return_address(0));
    }
    IoCopyCurrentIrpStackLocationToNext(irp);
    if (op->dirty)
        flt_params_to_irp(op, IoGetNextIrpStackLocation(irp));
    IoSetCompletionRoutine(irp, completed, op, TRUE, TRUE, TRUE);
    flt_op_hold(op);
    NTSTATUS status = irp_call(below, irp, __builtin_return_address(0));
    if (runner->nodes == 0 && status != STATUS_PENDING)
        status = op->marked || !op->ended ? STATUS_PENDING : op->outcome;
    flt_op_release(op);
    return status;
}

static NTSTATUS send_down(struct flt_op *op, struct flt_runner *runner)
{
    if (op->bottom == NULL)
        return flt_send(op, runner);
    op->bottom(op);
    flt_post(op, op->depth, runner);
    return flt_finish(op);
}

NTSTATUS flt_proceed(struct flt_op *op, enum flt_verdict verdict, struct flt_runner *runner)
{
    NTSTATUS status = STATUS_PENDING;
    if (verdict == FltComplete) {
        if (flt_post(op, op->current + 1, runner) == FltPostDone)
            return flt_finish(op);
    } else if (verdict == FltSend) {
        status = send_down(op, runner);
    }
    while (runner->nodes != 0) {
        KeWaitForSingleObject(&runner->event, Executive, KernelMode, FALSE, NULL);
        if (flt_post(op, runner->at, runner) == FltPostDone)
            return flt_finish(op);
        status = STATUS_PENDING;
    }
    return status;
}

void flt_op_bind(struct flt_op *op, PFLT_INSTANCE below)
{
    op->view = flt_view_take(op->volume);
    op->table = flt_kind(flt_iopb(op)->MajorFunction);
    op->list = op->view->lists[op->table];
    op->first = op->depth = below ? flt_view_below(op->view, op->table, below) : 0;
}

NTSTATUS flt_run(struct flt_op *op)
{
    struct flt_runner runner = {.nodes = 0};
    KeInitializeEvent(&runner.event, SynchronizationEvent, FALSE);
    return flt_proceed(op, flt_pre(op, op->first, &runner), &runner);
}

NTSTATUS flt_run_bottom(struct flt_op *op)
{
    struct flt_runner runner = {.nodes = 0};
    op->table = flt_kind(flt_iopb(op)->MajorFunction);
    op->list.count = op->first = op->depth = 0;
    return flt_proceed(op, FltSend, &runner);
}

static NTSTATUS without_memory(PFLT_VOLUME volume, PIRP irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(irp)->MajorFunction;
    if (major == IRP_MJ_CLEANUP || major == IRP_MJ_CLOSE) { /* they cannot fail */
        IoSkipCurrentIrpStackLocation(irp);
        return irp_call(volume->below, irp, __builtin_return_address(0));
    }
    irp->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS NTAPI dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    PFLT_VOLUME volume = flt_volume_of(device);
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    bool names = stack->MajorFunction == IRP_MJ_SET_INFORMATION &&
                 flt_is_rename(stack->Parameters.SetFile.FileInformationClass);
    uint64_t handled = atomic_load_explicit(&volume->handled, memory_order_relaxed);
    if (!(handled >> stack->MajorFunction & 1) && !names) {
        IoSkipCurrentIrpStackLocation(irp);
        return irp_call(volume->below, irp, __builtin_return_address(0));
    }
    struct flt_op *op = flt_op_allocate(volume, FltOpIrp);
    if (op == NULL)
        return without_memory(volume, irp);
    PFLT_CALLBACK_DATA data = flt_data(op);
    op->irp = irp;
    data->Flags = FLTFL_CALLBACK_DATA_IRP_OPERATION;
    *(PETHREAD *)&data->Thread = irp->Tail.Overlay.Thread;
    data->RequestorMode = irp->RequestorMode;
    data->IoStatus = irp->IoStatus;
    flt_params_from_irp(op);
    flt_op_bind(op, flt_target_of(irp, stack));
    if (names)
        flt_names_before(op);
    return flt_run(op);
}

PDRIVER_DISPATCH flt_dispatch_routine(void)
{
    return dispatch;
}

/* Generated operations: the topmost location of the IRP is as if it were the volume's device's. */
bool flt_make_irp(struct flt_op *op)
{
    struct irp_packet *packet;
    PIRP irp = irp_allocate(op->volume->device->StackSize, &packet);
    if (irp == NULL)
        return false;
    op->irp = irp;
    op->own_irp = true;
    IoSetNextIrpStackLocation(irp);
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    stack->DeviceObject = op->volume->device;
    irp->RequestorMode = flt_data(op)->RequestorMode;
    irp->Tail.Overlay.OriginalFileObject = flt_iopb(op)->TargetFileObject;
    flt_params_to_irp(op, stack);
    return true;
}
