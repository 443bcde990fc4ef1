/*
 * Generated operations; see generate.h.
 *
 * WDK: FltAllocateCallbackData, FltPerformSynchronousIo, FltPerformAsynchronousIo,
 * FltReuseCallbackData, FltFreeCallbackData.
 */
#include "generate.h"
#include "file_target.h"
#include "../io/irp.h"
#include <string.h>

struct flt_op *flt_generate(PFLT_VOLUME volume, PFLT_INSTANCE initiator, PFILE_OBJECT file)
{
    struct flt_op *op = flt_op_allocate(volume, FltOpGenerated);
    if (op == NULL)
        return NULL;
    PFLT_CALLBACK_DATA data = flt_data(op);
    op->generated = true;
    op->initiator = initiator;
    if (initiator != NULL)
        flt_hold(initiator);
    data->Flags = FLTFL_CALLBACK_DATA_IRP_OPERATION | FLTFL_CALLBACK_DATA_GENERATED_IO;
    *(PETHREAD *)&data->Thread = PsGetCurrentThread();
    data->RequestorMode = KernelMode;
    flt_iopb(op)->TargetFileObject = file;
    flt_iopb(op)->TargetInstance = initiator;
    KeInitializeEvent(&op->event, NotificationEvent, FALSE);
    return op;
}

/* The IRP goes; what the file system hung on it, too, but not an MDL of the caller's. */
static void free_irp(struct flt_op *op)
{
    struct flt_buffer buffer;
    struct irp_packet *packet = irp_packet_of(op->irp);
    if (!flt_params_buffer(flt_iopb(op), &buffer) || buffer.mdl == NULL ||
        op->irp->MdlAddress != op->own_mdl || op->own_mdl == NULL) {
        op->irp->Flags &= ~(ULONG)(IRP_BUFFERED_IO | IRP_DEALLOCATE_BUFFER);
        irp_finish_buffers(packet, op->irp);
    }
    irp_packet_release(packet);
    irp_free(op->irp, NULL);
    op->irp = NULL;
    op->own_irp = false;
}

static void finish_waited(struct flt_op *op)
{
    atomic_store(&op->done, 1);
    KeSetEvent(&op->event, IO_NO_INCREMENT, FALSE);
}

static NTSTATUS start(struct flt_op *op, bool bottom, void (*finish)(struct flt_op *))
{
    op->finish = finish;
    op->own_mdl = NULL;
    op->dirty = op->marked = op->ended = op->in_post = false;
    struct flt_buffer buffer;
    if (flt_params_buffer(flt_iopb(op), &buffer) && buffer.mdl != NULL)
        op->own_mdl = *buffer.mdl;
    if (!flt_make_irp(op))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!bottom)
        flt_op_bind(op, op->initiator);
    op->completes = true;
    return bottom ? flt_run_bottom(op) : flt_run(op);
}

NTSTATUS flt_generate_wait(struct flt_op *op, bool bottom)
{
    PFLT_CALLBACK_DATA data = flt_data(op);
    atomic_store(&op->done, 0);
    KeClearEvent(&op->event);
    NTSTATUS status = start(op, bottom, finish_waited);
    if (op->irp == NULL) {
        data->IoStatus.Status = status;
        data->IoStatus.Information = 0;
        return status;
    }
    /* Also where it has ended already: its end may still be at the event. */
    KeWaitForSingleObject(&op->event, Executive, KernelMode, FALSE, NULL);
    free_irp(op);
    if (op->view != NULL)
        flt_view_drop(op->view);
    op->view = NULL;
    data->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_POST_OPERATION;
    return data->IoStatus.Status;
}

NTSTATUS flt_bottom_query(PFLT_VOLUME volume, PFILE_OBJECT file, FILE_INFORMATION_CLASS what,
                          void *data, ULONG bytes, ULONG *returned)
{
    struct flt_op *op = flt_generate(volume, NULL, file);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    iopb->MajorFunction = IRP_MJ_QUERY_INFORMATION;
    iopb->IrpFlags = IRP_SYNCHRONOUS_API | IRP_BUFFERED_IO;
    iopb->Parameters.QueryFileInformation.Length = bytes;
    iopb->Parameters.QueryFileInformation.FileInformationClass = what;
    iopb->Parameters.QueryFileInformation.InfoBuffer = data;
    NTSTATUS status = flt_generate_wait(op, true);
    if (returned != NULL)
        *returned = (ULONG)flt_data(op)->IoStatus.Information;
    flt_op_release(op);
    return status;
}

static NTSTATUS set_target(struct file_open *open)
{
    struct flt_file *own = flt_file_of(open->file, true);
    if (own == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    own->target = open->made_context;
    flt_hold(own->target);
    return STATUS_SUCCESS;
}

NTSTATUS flt_open(PFLT_INSTANCE instance, struct file_open *open)
{
    if (instance != NULL) {
        open->made = set_target;
        open->made_context = instance;
    }
    return file_open_wait(open);
}

void flt_close_file(struct file_open *open)
{
    HANDLE handle;
    if (NT_SUCCESS(ob_handle_open(ob_kernel_handles, open->file, open->granted, &handle)))
        ob_handle_close(ob_kernel_handles, handle);
    ob_dereference(open->file);
}

/* Exports */

NTSTATUS NTAPI FltAllocateCallbackDataEx(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                         FLT_ALLOCATE_CALLBACK_DATA_FLAGS Flags,
                                         PFLT_CALLBACK_DATA *RetNewCallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(Flags);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    *RetNewCallbackData = NULL;
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct flt_op *op = flt_generate(Instance->volume, Instance, FileObject);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *RetNewCallbackData = flt_data(op);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltAllocateCallbackDataEx);

NTSTATUS NTAPI FltAllocateCallbackData(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                       PFLT_CALLBACK_DATA *RetNewCallbackData)
{
    if (vf_fault(VfFaultPool)) {
        *RetNewCallbackData = NULL;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    return FltAllocateCallbackDataEx(Instance, FileObject, 0, RetNewCallbackData);
}
NT_EXPORT(FLTMGR, FltAllocateCallbackData);

static struct flt_op *generated(PFLT_CALLBACK_DATA data, const char *function)
{
    struct flt_op *op = flt_op_of(data, function);
    if (!op->generated)
        vf_violation(VfFltCallbackData, "%s: %p is not from FltAllocateCallbackData", function,
                     (void *)data);
    return op;
}

VOID NTAPI FltReuseCallbackData(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct flt_op *op = generated(CallbackData, __func__);
    PFILE_OBJECT file = CallbackData->Iopb->TargetFileObject;
    memset(CallbackData->Iopb, 0, sizeof(*CallbackData->Iopb));
    CallbackData->Iopb->TargetFileObject = file;
    CallbackData->Iopb->TargetInstance = op->initiator;
    CallbackData->IoStatus.Status = STATUS_SUCCESS;
    CallbackData->IoStatus.Information = 0;
    CallbackData->Flags = FLTFL_CALLBACK_DATA_IRP_OPERATION | FLTFL_CALLBACK_DATA_GENERATED_IO;
}
NT_EXPORT(FLTMGR, FltReuseCallbackData);

VOID NTAPI FltFreeCallbackData(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_release(generated(CallbackData, __func__));
}
NT_EXPORT(FLTMGR, FltFreeCallbackData);

VOID NTAPI FltPerformSynchronousIo(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(APC_LEVEL);
    struct flt_op *op = generated(CallbackData, __func__);
    CallbackData->Iopb->IrpFlags |= IRP_SYNCHRONOUS_API;
    flt_generate_wait(op, false);
}
NT_EXPORT(FLTMGR, FltPerformSynchronousIo);

static void finish_async(struct flt_op *op)
{
    PFLT_CALLBACK_DATA data = flt_data(op);
    free_irp(op);
    if (op->view != NULL)
        flt_view_drop(op->view);
    op->view = NULL;
    data->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_POST_OPERATION;
    struct vf_call call = vf_call_begin_of("a completion of asynchronous I/O", op->async);
    op->async(data, op->async_context);
    vf_call_end(&call);
}

NTSTATUS NTAPI FltPerformAsynchronousIo(PFLT_CALLBACK_DATA CallbackData,
                                        PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                                        PVOID CallbackContext)
{
    VF_ENTRY(APC_LEVEL);
    struct flt_op *op = generated(CallbackData, __func__);
    if (CallbackData->Iopb->IrpFlags & IRP_SYNCHRONOUS_API)
        return STATUS_FLT_INVALID_ASYNCHRONOUS_REQUEST;
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    op->async = CallbackRoutine;
    op->async_context = CallbackContext;
    flt_op_hold(op); /* the callback may free the data while this is at work */
    NTSTATUS status = start(op, false, finish_async);
    bool started = op->irp != NULL || op->ended;
    flt_op_release(op);
    return started ? STATUS_PENDING : status;
}
NT_EXPORT(FLTMGR, FltPerformAsynchronousIo);
