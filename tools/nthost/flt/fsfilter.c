/*
 * What the memory and the cache manager do with files: section synchronisation, the modified page
 * writer, flushes of the cache. The filter manager hears of it by FsRtlRegisterFileSystemFilter-
 * Callbacks, and filters see operations of their own kind
 * (FLTFL_CALLBACK_DATA_FS_FILTER_OPERATION): their pre-operations in Pre, their post-operations in
 * Post.
 *
 * WDK: FS_FILTER_CALLBACKS, FLT_PARAMETERS for IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION,
 * FLT_PREOP_DISALLOW_FSFILTER_IO.
 */
#include "fsfilter.h"
#include "file_target.h"
#include "op.h"
#include <string.h>

static NTSTATUS NTAPI before(PFS_FILTER_CALLBACK_DATA call, PVOID *context)
{
    PFLT_VOLUME volume = flt_volume_of(call->DeviceObject);
    uint64_t handled = atomic_load_explicit(&volume->handled, memory_order_relaxed);
    struct flt_runner runner = {.nodes = 0};
    *context = NULL;
    if (!(handled >> flt_kind(call->Operation) & 1))
        return STATUS_SUCCESS;
    struct flt_op *op = flt_op_allocate(volume, FltOpFsFilter);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_CALLBACK_DATA data = flt_data(op);
    PFILE_OBJECT file = call->FileObject;
    data->Flags = FLTFL_CALLBACK_DATA_FS_FILTER_OPERATION;
    *(PETHREAD *)&data->Thread = PsGetCurrentThread();
    data->RequestorMode = KernelMode;
    flt_iopb(op)->MajorFunction = call->Operation;
    flt_iopb(op)->TargetFileObject = file;
    /* The parameters have the same form. */
    memcpy(&flt_iopb(op)->Parameters, &call->Parameters,
           sizeof(flt_iopb(op)->Parameters.AcquireForSectionSynchronization));
    flt_op_bind(op, file->FileObjectExtension ? flt_file_of(file, false)->target : NULL);
    if (flt_pre(op, op->first, &runner) == FltSend) {
        memcpy(&call->Parameters, &flt_iopb(op)->Parameters,
               sizeof(flt_iopb(op)->Parameters.AcquireForSectionSynchronization));
        *context = op;
        return STATUS_SUCCESS;
    }
    flt_post(op, op->current + 1, NULL);
    NTSTATUS status = flt_data(op)->IoStatus.Status;
    flt_op_release(op);
    return status == STATUS_SUCCESS ? STATUS_FSFILTER_OP_COMPLETED_SUCCESSFULLY : status;
}

static VOID NTAPI after(PFS_FILTER_CALLBACK_DATA call, NTSTATUS status, PVOID context)
{
    struct flt_op *op = context;
    UNREFERENCED_PARAMETER(call);
    if (op == NULL)
        return;
    flt_data(op)->IoStatus.Status = status;
    flt_post(op, op->depth, NULL);
    flt_op_release(op);
}

const FS_FILTER_CALLBACKS flt_fs_filter_callbacks = {
    .SizeOfFsFilterCallbacks = sizeof(FS_FILTER_CALLBACKS),
    .PreAcquireForSectionSynchronization = before,
    .PostAcquireForSectionSynchronization = after,
    .PreReleaseForSectionSynchronization = before,
    .PostReleaseForSectionSynchronization = after,
    .PreAcquireForCcFlush = before,
    .PostAcquireForCcFlush = after,
    .PreReleaseForCcFlush = before,
    .PostReleaseForCcFlush = after,
    .PreAcquireForModifiedPageWriter = before,
    .PostAcquireForModifiedPageWriter = after,
    .PreReleaseForModifiedPageWriter = before,
    .PostReleaseForModifiedPageWriter = after,
};
