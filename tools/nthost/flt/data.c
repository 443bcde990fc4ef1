/*
 * Callback data: what can be asked of an operation and said about it.
 *
 * WDK: FltSetCallbackDataDirty, FltGetRequestorProcess, FltIsOperationSynchronous, FltGetIrpName.
 */
#include "op.h"
#include "../io/process.h"

VOID NTAPI FltSetCallbackDataDirty(PFLT_CALLBACK_DATA Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    Data->Flags |= FLTFL_CALLBACK_DATA_DIRTY;
}
NT_EXPORT(FLTMGR, FltSetCallbackDataDirty);

VOID NTAPI FltClearCallbackDataDirty(PFLT_CALLBACK_DATA Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    Data->Flags &= ~(ULONG)FLTFL_CALLBACK_DATA_DIRTY;
}
NT_EXPORT(FLTMGR, FltClearCallbackDataDirty);

BOOLEAN NTAPI FltIsCallbackDataDirty(PFLT_CALLBACK_DATA Data)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(Data, __func__);
    return (Data->Flags & FLTFL_CALLBACK_DATA_DIRTY) != 0;
}
NT_EXPORT(FLTMGR, FltIsCallbackDataDirty);

static PEPROCESS requestor(PFLT_CALLBACK_DATA data, const char *function)
{
    const struct flt_op *op = flt_op_of(data, function);
    if (op->irp != NULL)
        return IoGetRequestorProcess(op->irp);
    return op->kind == FltOpIrp ? NULL : process_current();
}

PEPROCESS NTAPI FltGetRequestorProcess(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return requestor(CallbackData, __func__);
}
NT_EXPORT(FLTMGR, FltGetRequestorProcess);

ULONG NTAPI FltGetRequestorProcessId(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    PEPROCESS process = requestor(CallbackData, __func__);
    return process ? HandleToULong(PsGetProcessId(process)) : 0;
}
NT_EXPORT(FLTMGR, FltGetRequestorProcessId);

HANDLE NTAPI FltGetRequestorProcessIdEx(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    PEPROCESS process = requestor(CallbackData, __func__);
    return process ? PsGetProcessId(process) : NULL;
}
NT_EXPORT(FLTMGR, FltGetRequestorProcessIdEx);

NTSTATUS NTAPI FltGetRequestorSessionId(PFLT_CALLBACK_DATA CallbackData, PULONG SessionId)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_op_of(CallbackData, __func__);
    *SessionId = 0; /* that of services: the host has one */
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltGetRequestorSessionId);

BOOLEAN NTAPI FltIs32bitProcess(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    UNREFERENCED_PARAMETER(CallbackData);
    return FALSE;
}
NT_EXPORT(FLTMGR, FltIs32bitProcess);

BOOLEAN NTAPI FltIsOperationSynchronous(PFLT_CALLBACK_DATA CallbackData)
{
    VF_ENTRY(DISPATCH_LEVEL);
    const struct flt_op *op = flt_op_of(CallbackData, __func__);
    const FLT_IO_PARAMETER_BLOCK *iopb = CallbackData->Iopb;
    const FILE_OBJECT *file = iopb->TargetFileObject;
    if (op->kind != FltOpIrp && op->kind != FltOpGenerated)
        return TRUE;
    if (iopb->IrpFlags & IRP_PAGING_IO)
        return (iopb->IrpFlags & IRP_SYNCHRONOUS_PAGING_IO) != 0;
    return (iopb->IrpFlags & IRP_SYNCHRONOUS_API) != 0 ||
           (file != NULL && file->Flags & FO_SYNCHRONOUS_IO) ||
           iopb->MajorFunction == IRP_MJ_CREATE || iopb->MajorFunction == IRP_MJ_CLEANUP ||
           iopb->MajorFunction == IRP_MJ_CLOSE;
}
NT_EXPORT(FLTMGR, FltIsOperationSynchronous);

PCHAR NTAPI FltGetIrpName(UCHAR IrpMajorCode)
{
    static const char *const irps[] = {"IRP_MJ_CREATE",
                                       "IRP_MJ_CREATE_NAMED_PIPE",
                                       "IRP_MJ_CLOSE",
                                       "IRP_MJ_READ",
                                       "IRP_MJ_WRITE",
                                       "IRP_MJ_QUERY_INFORMATION",
                                       "IRP_MJ_SET_INFORMATION",
                                       "IRP_MJ_QUERY_EA",
                                       "IRP_MJ_SET_EA",
                                       "IRP_MJ_FLUSH_BUFFERS",
                                       "IRP_MJ_QUERY_VOLUME_INFORMATION",
                                       "IRP_MJ_SET_VOLUME_INFORMATION",
                                       "IRP_MJ_DIRECTORY_CONTROL",
                                       "IRP_MJ_FILE_SYSTEM_CONTROL",
                                       "IRP_MJ_DEVICE_CONTROL",
                                       "IRP_MJ_INTERNAL_DEVICE_CONTROL",
                                       "IRP_MJ_SHUTDOWN",
                                       "IRP_MJ_LOCK_CONTROL",
                                       "IRP_MJ_CLEANUP",
                                       "IRP_MJ_CREATE_MAILSLOT",
                                       "IRP_MJ_QUERY_SECURITY",
                                       "IRP_MJ_SET_SECURITY",
                                       "IRP_MJ_POWER",
                                       "IRP_MJ_SYSTEM_CONTROL",
                                       "IRP_MJ_DEVICE_CHANGE",
                                       "IRP_MJ_QUERY_QUOTA",
                                       "IRP_MJ_SET_QUOTA",
                                       "IRP_MJ_PNP"};
    static const char *const others[] = {"IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION",
                                         "IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION",
                                         "IRP_MJ_ACQUIRE_FOR_MOD_WRITE",
                                         "IRP_MJ_RELEASE_FOR_MOD_WRITE",
                                         "IRP_MJ_ACQUIRE_FOR_CC_FLUSH",
                                         "IRP_MJ_RELEASE_FOR_CC_FLUSH",
                                         "IRP_MJ_QUERY_OPEN"};
    VF_ENTRY(DISPATCH_LEVEL);
    const char *name = IrpMajorCode < ARRAYSIZE(irps)             ? irps[IrpMajorCode]
                       : 0xffu - IrpMajorCode < ARRAYSIZE(others) ? others[0xff - IrpMajorCode]
                                                                  : "another operation";
    return (PCHAR)(ULONG_PTR)name;
}
NT_EXPORT(FLTMGR, FltGetIrpName);
