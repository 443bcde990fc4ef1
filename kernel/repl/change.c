/* Operations with one record; see change.h. */
#include "change.h"

#include "regions.h"
#include "write.h"

#define RPL_TAG_CHANGE 'clpR'

_Use_decl_annotations_ RPL_FILE *RplChangeFile(PFLT_CALLBACK_DATA Data,
                                               PCFLT_RELATED_OBJECTS FltObjects,
                                               PVOID *CompletionContext,
                                               FLT_PREOP_CALLBACK_STATUS *Status)
{
    RPL_FILE *file = RplFileToChange(FltObjects, Data, CompletionContext);

    *Status = *CompletionContext == NULL ? FLT_PREOP_SUCCESS_NO_CALLBACK
                                         : FLT_PREOP_SUCCESS_WITH_CALLBACK;
    if (file == NULL)
    {
        return NULL;
    }
    switch (RplJudge(file, Data))
    {
    case RplCapture:
        return file;
    case RplTouch:
        *Status = RplTouchBegin(file, CompletionContext);
        return NULL;
    case RplForbid:
        *Status = RplRefuseOperation(Data);
        break;
    case RplIgnore:
        break;
    }
    FltReleaseContext(file);
    return NULL;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplChangeBegin(RPL_FILE *File,
                                                                const RPL_CHANGE *Change,
                                                                PVOID *CompletionContext)
{
    RPL_OPERATION *operation = RplOperationNew();
    RPL_INTENT intent;

    if (operation == NULL)
    {
        const FLT_PREOP_CALLBACK_STATUS status = RplGoUnrecorded(
            File->SetId, File->FileId, Change->LockOffset, RPL_TO_END, FALSE, CompletionContext);

        FltReleaseContext(File);
        return status;
    }
    operation->File = File;
    operation->Offset = Change->Offset;
    operation->Length = Change->Range;
    if (Change->Metadata)
    {
        RplOperationLock(operation, &File->Metadata, 0, 1);
    }
    else
    {
        operation->Type = Change->Type;
        RplOperationLock(operation, &File->Data, Change->LockOffset, Change->LockLength);
        RplRegionsActivate(File->FileId, Change->LockOffset, Change->LockLength);
    }
    intent = RplIntent(File, Change->Type); /* a stream's name is held by the lock */
    intent.NamesOnly = Change->Metadata;
    intent.Offset = Change->Offset;
    intent.Range = Change->Range;
    intent.Extent = Change->Metadata ? 0 : Change->LockLength;
    intent.DataBytes = Change->DataBytes;
    operation->Slot = RplReserve(&intent);
    if (operation->Slot != NULL && operation->Slot->Data != NULL && Change->DataBytes != 0)
    {
        RtlCopyMemory(operation->Slot->Data, Change->Data, Change->DataBytes);
    }
    *CompletionContext = operation;
    return File->UserSection ? FLT_PREOP_SYNCHRONIZE : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

/*
 * A page of a mapping was captured meanwhile: with the higher number, and as it was before the
 * change. So the change is recorded once more, now that it has been made; its bytes are held still.
 */
static VOID RplChangeAgain(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ RPL_OPERATION *Operation)
{
    RPL_INTENT intent = RplIntent(Operation->File, Operation->Type);

    if (Operation->Type == ReplRecordZero)
    {
        RplRecordAgain(FltObjects, Operation, Operation->Length);
    }
    else
    {
        intent.Offset = Operation->Offset;
        intent.Range = Operation->Length;
        intent.Extent = RPL_TO_END;
        RplRecord(&intent, NULL, 0);
    }
}

static VOID RplChangeEnd(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ RPL_OPERATION *Operation,
                         BOOLEAN Succeeded)
{
    if (Succeeded)
    {
        RplCommit(Operation->Slot, Operation->Slot == NULL ? 0 : Operation->Slot->DataBytes,
                  Operation->Offset, Operation->Length);
        if (Operation->Type != 0 && Operation->Locked != NULL && Operation->Range.Touched)
        {
            RplChangeAgain(FltObjects, Operation);
        }
    }
    else
    {
        RplAbort(Operation->Slot);
    }
    RplOperationEnd(Operation);
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostChange(PFLT_CALLBACK_DATA Data,
                                                                PCFLT_RELATED_OBJECTS FltObjects,
                                                                PVOID CompletionContext,
                                                                FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;

    if (RplEndedUnrecorded(CompletionContext))
    {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (Flags & FLTFL_POST_OPERATION_DRAINING)
    {
        RplMarkLost(operation->File->SetId, operation->File->FileId, 0, RPL_TO_END, FALSE);
        RplChangeEnd(FltObjects, operation, FALSE);
    }
    else
    {
        RplChangeEnd(FltObjects, operation, NT_SUCCESS(Data->IoStatus.Status));
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}

/* Security: FltMgr's descriptor is the I/O manager's captured copy. */
_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreSetSecurity(PFLT_CALLBACK_DATA Data,
                                                                   PCFLT_RELATED_OBJECTS FltObjects,
                                                                   PVOID *CompletionContext)
{
    PSECURITY_DESCRIPTOR given = Data->Iopb->Parameters.SetSecurity.SecurityDescriptor;
    RPL_CHANGE change = {.Type = ReplRecordSetSecurity,
                         .Offset = Data->Iopb->Parameters.SetSecurity.SecurityInformation,
                         .Metadata = TRUE};
    FLT_PREOP_CALLBACK_STATUS verdict;
    PSECURITY_DESCRIPTOR own = NULL;
    ULONG bytes = 0;
    RPL_FILE *file;

    PAGED_CODE();
    *CompletionContext = NULL;
    file = RplChangeFile(Data, FltObjects, CompletionContext, &verdict);
    if (file == NULL)
    {
        return verdict;
    }
    change.Data = given;
    change.DataBytes = RtlLengthSecurityDescriptor(given);
    if (!(((SECURITY_DESCRIPTOR *)given)->Control & SE_SELF_RELATIVE))
    {
        RtlAbsoluteToSelfRelativeSD(given, NULL, &bytes);
        own = ExAllocatePool2(POOL_FLAG_PAGED, RPL_MAX(bytes, 1), RPL_TAG_CHANGE);
        if (own == NULL || !NT_SUCCESS(RtlAbsoluteToSelfRelativeSD(given, own, &bytes)))
        {
            verdict = RplGoUnrecorded(file->SetId, file->FileId, 0, 0, FALSE, CompletionContext);
            FltReleaseContext(file);
            file = NULL;
        }
        change.Data = own;
        change.DataBytes = bytes;
    }
    if (file != NULL)
    {
        verdict = RplChangeBegin(file, &change, CompletionContext);
    }
    if (own != NULL)
    {
        ExFreePoolWithTag(own, RPL_TAG_CHANGE);
    }
    return verdict;
}

/*
 * Extended attributes. The list is the user's buffer: it is copied, checked, and the file system
 * reads the copy.
 */
_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreSetEa(PFLT_CALLBACK_DATA Data,
                                                             PCFLT_RELATED_OBJECTS FltObjects,
                                                             PVOID *CompletionContext)
{
    FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;
    const ULONG length = parameters->SetEa.Length;
    RPL_CHANGE change = {.Type = ReplRecordSetEa, .DataBytes = length, .Metadata = TRUE};
    FLT_PREOP_CALLBACK_STATUS verdict;
    NTSTATUS status;
    PVOID from, copy;
    ULONG error;
    RPL_FILE *file;

    PAGED_CODE();
    *CompletionContext = NULL;
    file = RplChangeFile(Data, FltObjects, CompletionContext, &verdict);
    if (file == NULL || length == 0)
    {
        if (file != NULL)
        {
            FltReleaseContext(file);
        }
        return verdict;
    }
    status = FltLockUserBuffer(Data);
    from = !NT_SUCCESS(status) ? NULL
           : parameters->SetEa.MdlAddress == NULL
               ? parameters->SetEa.EaBuffer
               : MmGetSystemAddressForMdlSafe(parameters->SetEa.MdlAddress,
                                              NormalPagePriority | MdlMappingNoExecute);
    copy = from == NULL ? NULL : ExAllocatePool2(POOL_FLAG_NON_PAGED, length, RPL_TAG);
    if (copy != NULL)
    {
        RtlCopyMemory(copy, from, length);
        status = IoCheckEaBufferValidity(copy, length, &error);
    }
    else if (NT_SUCCESS(status))
    {
        status = STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(status))
    {
        if (copy != NULL)
        {
            ExFreePoolWithTag(copy, RPL_TAG);
        }
        FltReleaseContext(file);
        Data->IoStatus.Status = status;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    change.Data = copy;
    verdict = RplChangeBegin(file, &change, CompletionContext);
    if (*CompletionContext == NULL || *CompletionContext == RPL_UNRECORDED)
    {
        ExFreePoolWithTag(copy, RPL_TAG);
        return verdict;
    }
    ((RPL_OPERATION *)*CompletionContext)->Bounce = copy;
    parameters->SetEa.EaBuffer = copy;
    parameters->SetEa.MdlAddress = NULL;
    FltSetCallbackDataDirty(Data);
    return verdict;
}
