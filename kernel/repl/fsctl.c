/*
 * File system controls that change files: captured, or refused so that the caller takes another
 * way.
 *
 *  captured   set sparse, zero data, compression, reparse points, duplicate extents (by reading
 * what came of it) refused    offload write (copy engines then copy), raw encrypted writes, trim,
 * set encryption, transactions, and any control unknown here whose code asks for write access
 *  resync     dismount: see volume.c
 *
 * Controls that only move or pin a file's clusters change nothing that a backup has.
 */
#include "fsctl.h"

#include "change.h"
#include "regions.h"
#include "write.h"

/* What the first bytes of a control's input are, or NULL: too short, or no buffer. */
static const VOID *RplInput(_In_ PFLT_CALLBACK_DATA Data, ULONG Least)
{
    const FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;

    return parameters->FileSystemControl.Common.InputBufferLength < Least
               ? NULL
               : parameters->FileSystemControl.Buffered.SystemBuffer;
}

static FLT_PREOP_CALLBACK_STATUS RplPreZero(_In_ RPL_FILE *File,
                                            _In_ const FILE_ZERO_DATA_INFORMATION *Zero,
                                            _Out_ PVOID *CompletionContext)
{
    RPL_CHANGE change = {.Type = ReplRecordZero};

    if (Zero->FileOffset.QuadPart < 0 ||
        Zero->BeyondFinalZero.QuadPart <= Zero->FileOffset.QuadPart)
    {
        FltReleaseContext(File);
        return FLT_PREOP_SUCCESS_NO_CALLBACK; /* nothing, or an error */
    }
    change.Offset = (UINT64)Zero->FileOffset.QuadPart;
    change.Range = (UINT64)Zero->BeyondFinalZero.QuadPart - change.Offset;
    change.LockOffset = change.Offset;
    change.LockLength = change.Range;
    InterlockedExchange(&File->Written, TRUE);
    return RplChangeBegin(File, &change, CompletionContext);
}

/* The target's range is held, and recorded by reading it when the control has completed. */
static FLT_PREOP_CALLBACK_STATUS RplPreDuplicate(_In_ RPL_FILE *File, UINT64 Offset, UINT64 Length,
                                                 _Out_ PVOID *CompletionContext)
{
    RPL_OPERATION *operation = RplOperationNew();

    if (operation == NULL)
    {
        const FLT_PREOP_CALLBACK_STATUS status =
            RplGoUnrecorded(File->SetId, File->FileId, Offset, Length, FALSE, CompletionContext);

        FltReleaseContext(File);
        return status;
    }
    operation->File = File;
    operation->ReadBack = TRUE;
    operation->Offset = Offset;
    operation->Length = Length;
    InterlockedExchange(&File->Written, TRUE);
    RplOperationLock(operation, &File->Data, Offset, Length);
    RplRegionsActivate(File->FileId, Offset, Length);
    *CompletionContext = operation;
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_PREOP_CALLBACK_STATUS RplPreSmall(_In_ RPL_FILE *File, UINT16 Type, UINT64 Offset,
                                             _In_reads_bytes_opt_(Bytes) const VOID *Data,
                                             ULONG Bytes, _Out_ PVOID *CompletionContext)
{
    const RPL_CHANGE change = {
        .Type = Type, .Offset = Offset, .Data = Data, .DataBytes = Bytes, .Metadata = TRUE};

    return RplChangeBegin(File, &change, CompletionContext);
}

static FLT_PREOP_CALLBACK_STATUS RplRefuseControl(_Inout_ PFLT_CALLBACK_DATA Data,
                                                  _In_ RPL_FILE *File)
{
    FltReleaseContext(File);
    Data->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    Data->IoStatus.Information = 0;
    return FLT_PREOP_COMPLETE;
}

/* Those that ask for write access and change nothing that is replicated. */
static BOOLEAN RplHarmless(ULONG Code)
{
    switch (Code)
    {
    case FSCTL_SET_OBJECT_ID:
    case FSCTL_SET_OBJECT_ID_EXTENDED:
    case FSCTL_DELETE_OBJECT_ID:
    case FSCTL_SET_ZERO_ON_DEALLOCATION:
    case FSCTL_SET_INTEGRITY_INFORMATION:
        return TRUE;
    default:
        return FALSE;
    }
}

static BOOLEAN RplAsksToWrite(ULONG Code)
{
    return ((Code >> 14) & FILE_WRITE_ACCESS) != 0;
}

static FLT_PREOP_CALLBACK_STATUS RplPreControl(_Inout_ PFLT_CALLBACK_DATA Data, ULONG Code,
                                               _In_ RPL_FILE *File, _Out_ PVOID *CompletionContext)
{
    const ULONG length = Data->Iopb->Parameters.FileSystemControl.Common.InputBufferLength;
    const VOID *input;

    switch (Code)
    {
    case FSCTL_SET_SPARSE:
        input = RplInput(Data, sizeof(FILE_SET_SPARSE_BUFFER));
        return RplPreSmall(File, ReplRecordSetSparse,
                           input == NULL || ((const FILE_SET_SPARSE_BUFFER *)input)->SetSparse,
                           NULL, 0, CompletionContext);
    case FSCTL_SET_COMPRESSION:
        input = RplInput(Data, sizeof(USHORT));
        if (input == NULL)
        {
            break;
        }
        return RplPreSmall(File, ReplRecordSetCompression, *(const USHORT *)input, NULL, 0,
                           CompletionContext);
    case FSCTL_SET_REPARSE_POINT:
        input = RplInput(Data, REPARSE_DATA_BUFFER_HEADER_SIZE);
        if (input == NULL || length > MAXIMUM_REPARSE_DATA_BUFFER_SIZE)
        {
            break;
        }
        return RplPreSmall(File, ReplRecordSetReparse, 0, input, length, CompletionContext);
    case FSCTL_DELETE_REPARSE_POINT:
        return RplPreSmall(File, ReplRecordDeleteReparse, 0, NULL, 0, CompletionContext);
    case FSCTL_SET_ZERO_DATA:
        input = RplInput(Data, sizeof(FILE_ZERO_DATA_INFORMATION));
        if (input == NULL)
        {
            break;
        }
        return RplPreZero(File, input, CompletionContext);
    case FSCTL_DUPLICATE_EXTENTS_TO_FILE:
        input = RplInput(Data, sizeof(DUPLICATE_EXTENTS_DATA));
        if (input == NULL)
        {
            break;
        }
        return RplPreDuplicate(
            File, (UINT64)((const DUPLICATE_EXTENTS_DATA *)input)->TargetFileOffset.QuadPart,
            (UINT64)((const DUPLICATE_EXTENTS_DATA *)input)->ByteCount.QuadPart, CompletionContext);
    default:
        if (RplAsksToWrite(Code) && !RplHarmless(Code))
        {
            return RplRefuseControl(Data, File);
        }
        break;
    }
    FltReleaseContext(File);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

/* Whether the control may change a file at all. */
static BOOLEAN RplChanges(ULONG Code)
{
    return RplAsksToWrite(Code) || Code == FSCTL_SET_SPARSE || Code == FSCTL_SET_REPARSE_POINT ||
           Code == FSCTL_DELETE_REPARSE_POINT || Code == FSCTL_SET_COMPRESSION ||
           Code == FSCTL_SET_REPARSE_POINT_EX || Code == FSCTL_SET_ENCRYPTION ||
           Code == FSCTL_WRITE_RAW_ENCRYPTED || Code == FSCTL_OFFLOAD_WRITE ||
           Code == FSCTL_FILE_LEVEL_TRIM || Code == FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX;
}

/* Refused although their codes do not ask for write access. */
static BOOLEAN RplRefused(ULONG Code)
{
    return Code == FSCTL_SET_REPARSE_POINT_EX || Code == FSCTL_SET_ENCRYPTION ||
           Code == FSCTL_WRITE_RAW_ENCRYPTED || Code == FSCTL_OFFLOAD_WRITE ||
           Code == FSCTL_FILE_LEVEL_TRIM || Code == FSCTL_DUPLICATE_EXTENTS_TO_FILE_EX;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreFsControl(PFLT_CALLBACK_DATA Data,
                                                                 PCFLT_RELATED_OBJECTS FltObjects,
                                                                 PVOID *CompletionContext)
{
    const ULONG code = Data->Iopb->Parameters.FileSystemControl.Common.FsControlCode;
    FLT_PREOP_CALLBACK_STATUS verdict;
    RPL_FILE *file;

    *CompletionContext = NULL;
    if (Data->Iopb->MinorFunction != IRP_MN_USER_FS_REQUEST &&
        Data->Iopb->MinorFunction != IRP_MN_KERNEL_CALL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (!RplChanges(code) || (FltObjects->FileObject->Flags & FO_VOLUME_OPEN))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    file = RplChangeFile(Data, FltObjects, CompletionContext, &verdict);
    if (file == NULL)
    {
        return verdict;
    }
    return RplRefused(code) ? RplRefuseControl(Data, file)
                            : RplPreControl(Data, code, file, CompletionContext);
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostFsControl(PFLT_CALLBACK_DATA Data,
                                                                   PCFLT_RELATED_OBJECTS FltObjects,
                                                                   PVOID CompletionContext,
                                                                   FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;

    if (RplEndedUnrecorded(CompletionContext))
    {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (operation->ReadBack && NT_SUCCESS(Data->IoStatus.Status) &&
        !(Flags & FLTFL_POST_OPERATION_DRAINING) &&
        NT_SUCCESS(RplRecordRange(FltObjects->Instance, FltObjects->FileObject, operation->File,
                                  operation->Offset, operation->Length, 0)))
    {
        RplOperationEnd(operation);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (operation->ReadBack && NT_SUCCESS(Data->IoStatus.Status))
    {
        RplMarkLost(operation->File->SetId, operation->File->FileId, operation->Offset,
                    operation->Length, FALSE);
    }
    return RplPostChange(Data, FltObjects, CompletionContext, Flags);
}
