/*
 * A filter's own reads, writes, flushes and controls. They enter below its instance.
 *
 * WDK: FltReadFile, FltReadFileEx, FltWriteFile, FltWriteFileEx, FltFlushBuffers2,
 * FltFsControlFile, FltDeviceIoControlFile.
 */
#include "generate.h"

struct transfer {
    PLARGE_INTEGER offset;
    PVOID buffer;
    ULONG length;
    FLT_IO_OPERATION_FLAGS flags;
    PULONG done;
    PFLT_COMPLETED_ASYNC_IO_CALLBACK callback;
    PVOID context;
    PULONG key;
    PMDL mdl;
};

static void free_own_mdl(struct flt_op *op)
{
    if (op->made_mdl != NULL)
        mdl_destroy(op->made_mdl);
    op->made_mdl = NULL;
}

static VOID NTAPI transferred(PFLT_CALLBACK_DATA data, PVOID context)
{
    struct flt_op *op = flt_op_of(data, "FltReadFile");
    PFLT_COMPLETED_ASYNC_IO_CALLBACK callback =
        (PFLT_COMPLETED_ASYNC_IO_CALLBACK)op->finish_context;
    free_own_mdl(op);
    callback(data, context);
    flt_op_release(op); /* the data is the filter manager's here */
}

static ULONG irp_flags(UCHAR major, FLT_IO_OPERATION_FLAGS flags, const FILE_OBJECT *file)
{
    ULONG irp = major == IRP_MJ_READ ? IRP_READ_OPERATION : IRP_WRITE_OPERATION;
    if (flags & (FLTFL_IO_OPERATION_NON_CACHED | FLTFL_IO_OPERATION_PAGING) ||
        file->Flags & FO_NO_INTERMEDIATE_BUFFERING)
        irp |= IRP_NOCACHE;
    if (flags & FLTFL_IO_OPERATION_PAGING)
        irp |= IRP_PAGING_IO;
    if (flags & FLTFL_IO_OPERATION_SYNCHRONOUS_PAGING)
        irp |= IRP_PAGING_IO | IRP_SYNCHRONOUS_PAGING_IO | IRP_NOCACHE;
    return irp;
}

static NTSTATUS transfer(PFLT_INSTANCE instance, PFILE_OBJECT file, UCHAR major,
                         const struct transfer *t)
{
    struct flt_op *op = flt_generate(instance->volume, instance, file);
    if (t->done != NULL)
        *t->done = 0;
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    bool moves = !(t->flags & FLTFL_IO_OPERATION_DO_NOT_UPDATE_BYTE_OFFSET) &&
                 file->Flags & FO_SYNCHRONOUS_IO && !(t->flags & FLTFL_IO_OPERATION_PAGING);
    iopb->MajorFunction = major;
    iopb->IrpFlags = irp_flags(major, t->flags, file);
    if (file->Flags & FO_WRITE_THROUGH && major == IRP_MJ_WRITE)
        iopb->OperationFlags |= SL_WRITE_THROUGH;
    iopb->Parameters.Read.Length = t->length;
    iopb->Parameters.Read.Key = t->key ? *t->key : 0;
    iopb->Parameters.Read.ByteOffset = t->offset ? *t->offset : file->CurrentByteOffset;
    iopb->Parameters.Read.ReadBuffer = t->mdl ? MmGetMdlVirtualAddress(t->mdl) : t->buffer;
    iopb->Parameters.Read.MdlAddress = t->mdl;
    if (iopb->IrpFlags & IRP_PAGING_IO && t->mdl == NULL && t->length != 0) {
        op->made_mdl = mdl_create(t->buffer, t->length, true, major == IRP_MJ_READ);
        iopb->Parameters.Read.MdlAddress = op->made_mdl;
        if (op->made_mdl == NULL) {
            flt_op_release(op);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    if (t->callback != NULL) {
        op->finish_context = (void *)t->callback;
        NTSTATUS status = FltPerformAsynchronousIo(flt_data(op), transferred, t->context);
        if (status != STATUS_PENDING) {
            free_own_mdl(op);
            flt_op_release(op);
        }
        return status;
    }
    iopb->IrpFlags |= IRP_SYNCHRONOUS_API;
    LONGLONG start = iopb->Parameters.Read.ByteOffset.QuadPart;
    NTSTATUS status = flt_generate_wait(op, false);
    ULONG bytes = (ULONG)flt_data(op)->IoStatus.Information;
    if (t->done != NULL)
        *t->done = NT_ERROR(status) ? 0 : bytes;
    if (moves && NT_SUCCESS(status) && start >= 0)
        file->CurrentByteOffset.QuadPart = start + bytes;
    free_own_mdl(op);
    flt_op_release(op);
    return status;
}

NTSTATUS NTAPI FltReadFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                             PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                             FLT_IO_OPERATION_FLAGS Flags, PULONG BytesRead,
                             PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                             PVOID CallbackContext, PULONG Key, PMDL Mdl)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(InitiatingInstance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct transfer t = {ByteOffset,      Buffer,          Length, Flags, BytesRead,
                         CallbackRoutine, CallbackContext, Key,    Mdl};
    return transfer(InitiatingInstance, FileObject, IRP_MJ_READ, &t);
}
NT_EXPORT(FLTMGR, FltReadFileEx);

NTSTATUS NTAPI FltReadFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                           PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                           FLT_IO_OPERATION_FLAGS Flags, PULONG BytesRead,
                           PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(InitiatingInstance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct transfer t = {.offset = ByteOffset,
                         .buffer = Buffer,
                         .length = Length,
                         .flags = Flags,
                         .done = BytesRead,
                         .callback = CallbackRoutine,
                         .context = CallbackContext};
    return transfer(InitiatingInstance, FileObject, IRP_MJ_READ, &t);
}
NT_EXPORT(FLTMGR, FltReadFile);

NTSTATUS NTAPI FltWriteFileEx(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                              PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                              FLT_IO_OPERATION_FLAGS Flags, PULONG BytesWritten,
                              PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine,
                              PVOID CallbackContext, PULONG Key, PMDL Mdl)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(InitiatingInstance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct transfer t = {ByteOffset,      Buffer,          Length, Flags, BytesWritten,
                         CallbackRoutine, CallbackContext, Key,    Mdl};
    return transfer(InitiatingInstance, FileObject, IRP_MJ_WRITE, &t);
}
NT_EXPORT(FLTMGR, FltWriteFileEx);

NTSTATUS NTAPI FltWriteFile(PFLT_INSTANCE InitiatingInstance, PFILE_OBJECT FileObject,
                            PLARGE_INTEGER ByteOffset, ULONG Length, PVOID Buffer,
                            FLT_IO_OPERATION_FLAGS Flags, PULONG BytesWritten,
                            PFLT_COMPLETED_ASYNC_IO_CALLBACK CallbackRoutine, PVOID CallbackContext)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(InitiatingInstance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct transfer t = {.offset = ByteOffset,
                         .buffer = Buffer,
                         .length = Length,
                         .flags = Flags,
                         .done = BytesWritten,
                         .callback = CallbackRoutine,
                         .context = CallbackContext};
    return transfer(InitiatingInstance, FileObject, IRP_MJ_WRITE, &t);
}
NT_EXPORT(FLTMGR, FltWriteFile);

/* Flushing. The kinds are those of FLUSH_FLAGS, the IRP's minor function. */

static NTSTATUS flush(PFLT_INSTANCE instance, PFILE_OBJECT file, UCHAR minor)
{
    struct flt_op *op = flt_generate(instance->volume, instance, file);
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_iopb(op)->MajorFunction = IRP_MJ_FLUSH_BUFFERS;
    flt_iopb(op)->MinorFunction = minor;
    flt_iopb(op)->IrpFlags = IRP_SYNCHRONOUS_API;
    NTSTATUS status = flt_generate_wait(op, false);
    flt_op_release(op);
    return status;
}

NTSTATUS NTAPI FltFlushBuffers(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return flush(Instance, FileObject, 0);
}
NT_EXPORT(FLTMGR, FltFlushBuffers);

NTSTATUS NTAPI FltFlushBuffers2(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, ULONG FlushType,
                                PFLT_CALLBACK_DATA CallbackData)
{
    static const struct {
        ULONG type;
        UCHAR minor;
    } kinds[] = {{0, 0},
                 {FLT_FLUSH_TYPE_FLUSH_AND_PURGE, IRP_MN_FLUSH_AND_PURGE},
                 {FLT_FLUSH_TYPE_FILE_DATA_ONLY, IRP_MN_FLUSH_DATA_ONLY},
                 {FLT_FLUSH_TYPE_NO_SYNC, IRP_MN_FLUSH_NO_SYNC},
                 {FLT_FLUSH_TYPE_DATA_SYNC_ONLY, IRP_MN_FLUSH_DATA_SYNC_ONLY}};
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(CallbackData);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; i < ARRAYSIZE(kinds); i++)
        if (kinds[i].type == FlushType)
            return flush(Instance, FileObject, kinds[i].minor);
    return STATUS_INVALID_PARAMETER;
}
NT_EXPORT(FLTMGR, FltFlushBuffers2);

/* Controls. A buffer of METHOD_BUFFERED is made here and copied back. */

static NTSTATUS control(PFLT_INSTANCE instance, PFILE_OBJECT file, UCHAR major, ULONG code,
                        PVOID input, ULONG input_bytes, PVOID output, ULONG output_bytes,
                        PULONG returned)
{
    struct flt_op *op = flt_generate(instance->volume, instance, file);
    PVOID system = NULL;
    if (returned != NULL)
        *returned = 0;
    if (op == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    bool buffered = METHOD_FROM_CTL_CODE(code) == METHOD_BUFFERED;
    bool direct = !buffered && METHOD_FROM_CTL_CODE(code) != METHOD_NEITHER;
    ULONG room = buffered && output_bytes > input_bytes ? output_bytes : input_bytes;
    iopb->MajorFunction = major;
    iopb->MinorFunction = major == IRP_MJ_FILE_SYSTEM_CONTROL ? IRP_MN_USER_FS_REQUEST : 0;
    iopb->IrpFlags = IRP_SYNCHRONOUS_API | (buffered ? IRP_BUFFERED_IO : 0);
    iopb->Parameters.FileSystemControl.Common.OutputBufferLength = output_bytes;
    iopb->Parameters.FileSystemControl.Common.InputBufferLength = input_bytes;
    iopb->Parameters.FileSystemControl.Common.FsControlCode = code;
    if ((buffered || direct) && room != 0) {
        system = ExAllocatePool2(POOL_FLAG_NON_PAGED, room, 'oIlF');
        if (system == NULL) {
            flt_op_release(op);
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        if (input_bytes != 0)
            RtlCopyMemory(system, input, input_bytes);
    }
    if (buffered) {
        iopb->Parameters.FileSystemControl.Buffered.SystemBuffer = system;
    } else {
        iopb->Parameters.FileSystemControl.Neither.InputBuffer = direct ? system : input;
        iopb->Parameters.FileSystemControl.Neither.OutputBuffer = output;
        if (direct && output_bytes != 0)
            op->made_mdl = mdl_create(output, output_bytes, true,
                                      METHOD_FROM_CTL_CODE(code) == METHOD_OUT_DIRECT);
        iopb->Parameters.FileSystemControl.Neither.OutputMdlAddress = op->made_mdl;
    }
    NTSTATUS status = flt_generate_wait(op, false);
    ULONG_PTR bytes = flt_data(op)->IoStatus.Information;
    if (buffered && !NT_ERROR(status) && bytes != 0)
        RtlCopyMemory(output, system, bytes < output_bytes ? bytes : output_bytes);
    if (returned != NULL && !NT_ERROR(status))
        *returned = (ULONG)bytes;
    if (system != NULL)
        ExFreePoolWithTag(system, 'oIlF');
    free_own_mdl(op);
    flt_op_release(op);
    return status;
}

NTSTATUS NTAPI FltFsControlFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                ULONG FsControlCode, PVOID InputBuffer, ULONG InputBufferLength,
                                PVOID OutputBuffer, ULONG OutputBufferLength, PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return control(Instance, FileObject, IRP_MJ_FILE_SYSTEM_CONTROL, FsControlCode, InputBuffer,
                   InputBufferLength, OutputBuffer, OutputBufferLength, LengthReturned);
}
NT_EXPORT(FLTMGR, FltFsControlFile);

NTSTATUS NTAPI FltDeviceIoControlFile(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                      ULONG IoControlCode, PVOID InputBuffer,
                                      ULONG InputBufferLength, PVOID OutputBuffer,
                                      ULONG OutputBufferLength, PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if (vf_fault(VfFaultFile))
        return STATUS_INSUFFICIENT_RESOURCES;
    return control(Instance, FileObject, IRP_MJ_DEVICE_CONTROL, IoControlCode, InputBuffer,
                   InputBufferLength, OutputBuffer, OutputBufferLength, LengthReturned);
}
NT_EXPORT(FLTMGR, FltDeviceIoControlFile);
