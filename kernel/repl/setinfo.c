/*
 * Set information: sizes, times and attributes, dispositions; renames and links are in names.c.
 *
 * FileValidDataLengthInformation makes old disk content part of a file without a write: refused as
 * to a caller without the privilege, after which programs write zeros instead.
 */
#include "setinfo.h"

#include "change.h"
#include "cleanup.h"
#include "names.h"

static FLT_PREOP_CALLBACK_STATUS RplPreSize(_In_ RPL_FILE *File, UINT16 Type, UINT64 Size,
                                            _Out_ PVOID *CompletionContext)
{
    const RPL_CHANGE change = {
        .Type = Type, .Offset = Size, .LockOffset = Size, .LockLength = RPL_TO_END};

    InterlockedExchange(&File->Written, TRUE);
    return RplChangeBegin(File, &change, CompletionContext);
}

static FLT_PREOP_CALLBACK_STATUS RplPreBasic(_In_ RPL_FILE *File,
                                             _In_ const FILE_BASIC_INFORMATION *Basic,
                                             _Out_ PVOID *CompletionContext)
{
    const REPL_BASIC record = {.CreationTime = (UINT64)Basic->CreationTime.QuadPart,
                               .LastAccessTime = (UINT64)Basic->LastAccessTime.QuadPart,
                               .LastWriteTime = (UINT64)Basic->LastWriteTime.QuadPart,
                               .ChangeTime = (UINT64)Basic->ChangeTime.QuadPart,
                               .Attributes = Basic->FileAttributes};
    const RPL_CHANGE change = {
        .Type = ReplRecordSetBasic, .Data = &record, .DataBytes = sizeof(record), .Metadata = TRUE};

    return RplChangeBegin(File, &change, CompletionContext);
}

/* The smallest buffer of each class; the I/O manager has checked it for users, not for drivers. */
static ULONG RplLeast(FILE_INFORMATION_CLASS Class)
{
    switch (Class)
    {
    case FileEndOfFileInformation:
    case FileAllocationInformation:
        return sizeof(LARGE_INTEGER);
    case FileBasicInformation:
        return sizeof(FILE_BASIC_INFORMATION);
    case FileDispositionInformation:
        return sizeof(BOOLEAN);
    case FileDispositionInformationEx:
        return sizeof(ULONG);
    default:
        return 0;
    }
}

/* Whether the file is deleted shows at the cleanup, also if that is undone before: nothing of it
 * has changed yet, in copy mode neither. */
static FLT_PREOP_CALLBACK_STATUS RplPreDisposition(_Inout_ PFLT_CALLBACK_DATA Data,
                                                   _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                   _Out_ PVOID *CompletionContext)
{
    RPL_FILE *file = RplFileToChange(FltObjects, Data, CompletionContext);
    FLT_PREOP_CALLBACK_STATUS verdict = *CompletionContext == NULL
                                            ? FLT_PREOP_SUCCESS_NO_CALLBACK
                                            : FLT_PREOP_SUCCESS_WITH_CALLBACK;

    if (file == NULL)
    {
        return verdict;
    }
    switch (RplJudge(file, Data))
    {
    case RplCapture:
    case RplTouch:
        RplExpectDeletion(file);
        break;
    case RplForbid:
        verdict = RplRefuseOperation(Data);
        break;
    case RplIgnore:
        break;
    }
    FltReleaseContext(file);
    return verdict;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreSetInformation(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    const FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;
    const FILE_INFORMATION_CLASS class = parameters->SetFileInformation.FileInformationClass;
    const VOID *buffer = parameters->SetFileInformation.InfoBuffer;
    FLT_PREOP_CALLBACK_STATUS verdict;
    RPL_FILE *file;

    *CompletionContext = NULL;
    if (RplIsRename(class) || RplIsLink(class))
    {
        return RplPreRename(Data, FltObjects, CompletionContext);
    }
    switch (class)
    {
    case FileEndOfFileInformation:
        if (parameters->SetFileInformation.AdvanceOnly)
        {
            return FLT_PREOP_SUCCESS_NO_CALLBACK; /* the cache manager's valid data length */
        }
        break;
    case FileAllocationInformation:
    case FileBasicInformation:
    case FileDispositionInformation:
    case FileDispositionInformationEx:
    case FileValidDataLengthInformation:
        break;
    default:
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if ((Data->Iopb->IrpFlags & IRP_PAGING_IO) ||
        parameters->SetFileInformation.Length < RplLeast(class))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (class == FileDispositionInformation || class == FileDispositionInformationEx)
    {
        return RplPreDisposition(Data, FltObjects, CompletionContext);
    }
    file = RplChangeFile(Data, FltObjects, CompletionContext, &verdict);
    if (file == NULL)
    {
        return verdict;
    }
    switch (class)
    {
    case FileEndOfFileInformation:
        return RplPreSize(file, ReplRecordSetSize, *(const UINT64 *)buffer, CompletionContext);
    case FileAllocationInformation:
        return RplPreSize(file, ReplRecordSetAllocation, *(const UINT64 *)buffer,
                          CompletionContext);
    case FileBasicInformation:
        return RplPreBasic(file, buffer, CompletionContext);
    default: /* FileValidDataLengthInformation */
        FltReleaseContext(file);
        Data->IoStatus.Status = STATUS_PRIVILEGE_NOT_HELD;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS
RplPostSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                      PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags)
{
    const FILE_INFORMATION_CLASS class =
        Data->Iopb->Parameters.SetFileInformation.FileInformationClass;

    return RplIsRename(class) || RplIsLink(class)
               ? RplPostRename(Data, FltObjects, CompletionContext, Flags)
               : RplPostChange(Data, FltObjects, CompletionContext, Flags);
}
