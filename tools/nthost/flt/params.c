/*
 * Parameters: what a stack location and an IRP say, as a FLT_IO_PARAMETER_BLOCK, and back.
 *
 * The parameters of a stack location and those of FLT_PARAMETERS begin alike; behind that head,
 * FLT_PARAMETERS has the buffers, which an IRP keeps outside of its stack locations.
 *
 * WDK: FLT_PARAMETERS, IO_STACK_LOCATION, FltDecodeParameters.
 */
#include "op.h"
#include <string.h>

/* Bytes of the head. */
static size_t head_bytes(const FLT_IO_PARAMETER_BLOCK *iopb)
{
    switch (iopb->MajorFunction) {
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
    case IRP_MJ_LOCK_CONTROL:
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        return 24;
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        return iopb->MinorFunction == IRP_MN_USER_FS_REQUEST ||
                       iopb->MinorFunction == IRP_MN_KERNEL_CALL
                   ? 24
                   : 32;
    case IRP_MJ_QUERY_INFORMATION:
    case IRP_MJ_QUERY_VOLUME_INFORMATION:
    case IRP_MJ_SET_VOLUME_INFORMATION:
    case IRP_MJ_QUERY_SECURITY:
    case IRP_MJ_SET_SECURITY:
        return 16;
    case IRP_MJ_SET_EA:
    case IRP_MJ_SET_QUOTA:
        return 8;
    default:
        return 32;
    }
}

/* Which of an IRP's pointers the operation's buffer is. */
enum place { PlaceNone, PlaceSystem, PlaceUser, PlaceEither };

struct slots {
    PVOID *buffer, *second; /* second: the system buffer of METHOD_x_DIRECT, the input of NEITHER */
    PMDL *mdl;
    PULONG length;
    enum place place, second_place;
    LOCK_OPERATION access;
};

static void slots_of_control(FLT_PARAMETERS *p, ULONG code, struct slots *s)
{
    s->length = &p->FileSystemControl.Common.OutputBufferLength;
    switch (METHOD_FROM_CTL_CODE(code)) {
    case METHOD_BUFFERED:
        s->buffer = &p->FileSystemControl.Buffered.SystemBuffer;
        s->place = PlaceSystem;
        break;
    case METHOD_NEITHER:
        s->second = &p->FileSystemControl.Neither.InputBuffer;
        s->buffer = &p->FileSystemControl.Neither.OutputBuffer;
        s->mdl = &p->FileSystemControl.Neither.OutputMdlAddress;
        s->place = PlaceUser;
        s->access = IoWriteAccess;
        break;
    default:
        s->second = &p->FileSystemControl.Direct.InputSystemBuffer;
        s->second_place = PlaceSystem;
        s->buffer = &p->FileSystemControl.Direct.OutputBuffer;
        s->mdl = &p->FileSystemControl.Direct.OutputMdlAddress;
        s->place = PlaceUser;
        s->access = METHOD_FROM_CTL_CODE(code) == METHOD_IN_DIRECT ? IoReadAccess : IoWriteAccess;
    }
}

static struct slots slots_of(PFLT_IO_PARAMETER_BLOCK iopb)
{
    FLT_PARAMETERS *p = &iopb->Parameters;
    struct slots s = {.place = PlaceEither, .access = IoModifyAccess};
    switch (iopb->MajorFunction) {
    case IRP_MJ_CREATE:
        s.buffer = &p->Create.EaBuffer, s.place = PlaceSystem;
        s.length = &p->Create.EaLength;
        break;
    case IRP_MJ_READ:
        s.buffer = &p->Read.ReadBuffer, s.mdl = &p->Read.MdlAddress;
        s.length = &p->Read.Length, s.access = IoWriteAccess;
        break;
    case IRP_MJ_WRITE:
        s.buffer = &p->Write.WriteBuffer, s.mdl = &p->Write.MdlAddress;
        s.length = &p->Write.Length, s.access = IoReadAccess;
        break;
    case IRP_MJ_QUERY_INFORMATION:
        s.buffer = &p->QueryFileInformation.InfoBuffer, s.place = PlaceSystem;
        s.length = &p->QueryFileInformation.Length;
        break;
    case IRP_MJ_SET_INFORMATION:
        s.buffer = &p->SetFileInformation.InfoBuffer, s.place = PlaceSystem;
        s.length = &p->SetFileInformation.Length;
        break;
    case IRP_MJ_QUERY_EA:
        s.buffer = &p->QueryEa.EaBuffer, s.mdl = &p->QueryEa.MdlAddress;
        s.length = &p->QueryEa.Length, s.access = IoWriteAccess;
        break;
    case IRP_MJ_SET_EA:
        s.buffer = &p->SetEa.EaBuffer, s.mdl = &p->SetEa.MdlAddress;
        s.length = &p->SetEa.Length, s.access = IoReadAccess;
        break;
    case IRP_MJ_QUERY_VOLUME_INFORMATION:
    case IRP_MJ_SET_VOLUME_INFORMATION:
        s.buffer = &p->QueryVolumeInformation.VolumeBuffer, s.place = PlaceSystem;
        s.length = &p->QueryVolumeInformation.Length;
        break;
    case IRP_MJ_DIRECTORY_CONTROL:
        s.buffer = &p->DirectoryControl.QueryDirectory.DirectoryBuffer;
        s.mdl = &p->DirectoryControl.QueryDirectory.MdlAddress;
        s.length = &p->DirectoryControl.QueryDirectory.Length, s.access = IoWriteAccess;
        break;
    case IRP_MJ_FILE_SYSTEM_CONTROL:
        if (head_bytes(iopb) == 24)
            slots_of_control(p, p->FileSystemControl.Common.FsControlCode, &s);
        break;
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        slots_of_control(p, p->DeviceIoControl.Common.IoControlCode, &s);
        break;
    case IRP_MJ_QUERY_SECURITY:
        s.buffer = &p->QuerySecurity.SecurityBuffer, s.mdl = &p->QuerySecurity.MdlAddress;
        s.length = &p->QuerySecurity.Length, s.access = IoWriteAccess;
        break;
    case IRP_MJ_QUERY_QUOTA:
        s.buffer = &p->QueryQuota.QuotaBuffer, s.mdl = &p->QueryQuota.MdlAddress;
        s.length = &p->QueryQuota.Length, s.access = IoWriteAccess;
        break;
    case IRP_MJ_SET_QUOTA:
        s.buffer = &p->SetQuota.QuotaBuffer, s.mdl = &p->SetQuota.MdlAddress;
        s.length = &p->SetQuota.Length, s.access = IoReadAccess;
        break;
    default:
        break;
    }
    return s;
}

bool flt_params_buffer(PFLT_IO_PARAMETER_BLOCK iopb, struct flt_buffer *out)
{
    struct slots s = slots_of(iopb);
    *out = (struct flt_buffer){s.buffer, s.mdl, s.length, s.access};
    return s.buffer != NULL;
}

static bool in_system_buffer(const struct slots *s, PIRP irp)
{
    return s->place == PlaceSystem || (s->place == PlaceEither && irp->Flags & IRP_BUFFERED_IO &&
                                       irp->AssociatedIrp.SystemBuffer != NULL);
}

void flt_params_from_irp(struct flt_op *op)
{
    PIRP irp = op->irp;
    const IO_STACK_LOCATION *stack = IoGetCurrentIrpStackLocation(irp);
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    PFLT_CALLBACK_DATA data = flt_data(op);
    iopb->IrpFlags = irp->Flags;
    iopb->MajorFunction = stack->MajorFunction;
    iopb->MinorFunction = stack->MinorFunction;
    iopb->OperationFlags = stack->Flags;
    iopb->TargetFileObject = stack->FileObject;
    memcpy(&iopb->Parameters, &stack->Parameters, head_bytes(iopb));
    struct slots s = slots_of(iopb);
    if (s.buffer != NULL && in_system_buffer(&s, irp)) {
        *s.buffer = irp->AssociatedIrp.SystemBuffer;
        if (irp->Flags & IRP_BUFFERED_IO)
            data->Flags |= FLTFL_CALLBACK_DATA_SYSTEM_BUFFER;
    } else if (s.buffer != NULL) {
        *s.buffer = irp->UserBuffer;
    }
    if (s.second != NULL)
        *s.second = s.second_place == PlaceSystem
                        ? irp->AssociatedIrp.SystemBuffer
                        : stack->Parameters.FileSystemControl.Type3InputBuffer;
    if (s.mdl != NULL)
        *s.mdl = irp->MdlAddress;
    if (iopb->MajorFunction == IRP_MJ_CREATE) {
        iopb->Parameters.Create.AllocationSize = irp->Overlay.AllocationSize;
    } else if (iopb->MajorFunction == IRP_MJ_LOCK_CONTROL) {
        iopb->Parameters.LockControl.ProcessId = IoGetRequestorProcess(irp);
        iopb->Parameters.LockControl.FailImmediately = (stack->Flags & SL_FAIL_IMMEDIATELY) != 0;
        iopb->Parameters.LockControl.ExclusiveLock = (stack->Flags & SL_EXCLUSIVE_LOCK) != 0;
    }
}

void flt_params_to_irp(struct flt_op *op, PIO_STACK_LOCATION stack)
{
    PIRP irp = op->irp;
    PFLT_IO_PARAMETER_BLOCK iopb = flt_iopb(op);
    struct slots s = slots_of(iopb);
    irp->Flags = iopb->IrpFlags;
    if (stack != NULL) {
        stack->MajorFunction = iopb->MajorFunction;
        stack->MinorFunction = iopb->MinorFunction;
        stack->Flags = iopb->OperationFlags;
        stack->FileObject = iopb->TargetFileObject;
        memcpy(&stack->Parameters, &iopb->Parameters, head_bytes(iopb));
        if (s.second != NULL && s.second_place == PlaceNone)
            stack->Parameters.FileSystemControl.Type3InputBuffer = *s.second;
        if (iopb->MajorFunction == IRP_MJ_LOCK_CONTROL)
            stack->Flags =
                (UCHAR)((iopb->Parameters.LockControl.FailImmediately ? SL_FAIL_IMMEDIATELY : 0) |
                        (iopb->Parameters.LockControl.ExclusiveLock ? SL_EXCLUSIVE_LOCK : 0));
    }
    if (s.buffer != NULL && in_system_buffer(&s, irp))
        irp->AssociatedIrp.SystemBuffer = *s.buffer;
    else if (s.buffer != NULL)
        irp->UserBuffer = *s.buffer;
    if (s.second != NULL && s.second_place == PlaceSystem)
        irp->AssociatedIrp.SystemBuffer = *s.second;
    if (s.mdl != NULL)
        irp->MdlAddress = *s.mdl;
    if (iopb->MajorFunction == IRP_MJ_CREATE)
        irp->Overlay.AllocationSize = iopb->Parameters.Create.AllocationSize;
}

/* Exports */

NTSTATUS NTAPI FltDecodeParameters(PFLT_CALLBACK_DATA CallbackData, PMDL **MdlAddressPointer,
                                   PVOID **Buffer, PULONG *Length, LOCK_OPERATION *DesiredAccess)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct slots s = slots_of(CallbackData->Iopb);
    if (s.buffer == NULL)
        return STATUS_INVALID_PARAMETER;
    if (MdlAddressPointer != NULL)
        *MdlAddressPointer = s.mdl;
    if (Buffer != NULL)
        *Buffer = s.buffer;
    if (Length != NULL)
        *Length = s.length;
    if (DesiredAccess != NULL)
        *DesiredAccess = s.access;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltDecodeParameters);
