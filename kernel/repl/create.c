/*
 * Opens.
 *
 * One that may create or empty a file passes the names gate, and is recorded when it has completed,
 * for only then is it known what it did, and to which file. Whoever else opens the file for changes
 * in between waits at the gate before its context is made, so nothing is recorded of a file before
 * its creation.
 *
 * An open that emptied a file cannot be held off before it is known which file that is. What others
 * have written to it since is recorded after the fact: the file is locked, and its present content
 * follows the record of its emptying.
 *
 * A set's files on a backup are nobody's to change but replay's: opens that would are refused, and
 * one that opens or creates only opens.
 */
#include "create.h"

#include "cleanup.h"
#include "gate.h"
#include "metadata.h"
#include "open.h"
#include "regions.h"
#include "role.h"
#include "trust.h"
#include "volume.h"
#include "write.h"

#define RPL_CHANGING_ACCESS                                                                        \
    (FILE_WRITE_DATA | FILE_APPEND_DATA | FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | DELETE |         \
     WRITE_DAC | WRITE_OWNER | ACCESS_SYSTEM_SECURITY | MAXIMUM_ALLOWED | GENERIC_WRITE |          \
     GENERIC_ALL)

static ULONG RplDisposition(_In_ PFLT_CALLBACK_DATA Data)
{
    return Data->Iopb->Parameters.Create.Options >> 24;
}

/* The set that it is in, if it is what it is called: nobody knows before the open. A short name or
 * an open by identity may be in any: SetId MAXULONG then. */
static NTSTATUS RplOpenedPath(_In_ PFLT_CALLBACK_DATA Data, _Out_ RPL_PATH *Path)
{
    PFLT_FILE_NAME_INFORMATION information;
    UNICODE_STRING name;
    NTSTATUS status;
    USHORT i;

    RtlZeroMemory(Path, sizeof(*Path));
    if (Data->Iopb->Parameters.Create.Options & FILE_OPEN_BY_FILE_ID)
    {
        Path->SetId = MAXULONG;
        return STATUS_SUCCESS;
    }
    status = FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT,
                                       &information);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltParseFileNameInformation(information);
    if (NT_SUCCESS(status))
    {
        name = information->Name;
        name.Length = (USHORT)(name.Length - information->Stream.Length);
        status = RplPathOfName(&name, FALSE, 0, Path);
        for (i = 0; NT_SUCCESS(status) && Path->SetId == 0 && i < name.Length / sizeof(WCHAR); i++)
        {
            Path->SetId = name.Buffer[i] == L'~' ? MAXULONG : 0;
        }
    }
    FltReleaseFileNameInformation(information);
    return status;
}

/* The completion context of a create that may only open what is there. */
static UCHAR RplOnlyOpen;

/* On a backup: TRUE if the open must fail. *Narrowed: it may only open what is there. */
static BOOLEAN RplRefuseCreate(_Inout_ PFLT_CALLBACK_DATA Data, _In_ const RPL_PATH *Path,
                               _Out_ BOOLEAN *Narrowed)
{
    *Narrowed = FALSE;
    if (Path->SetId == 0 || Path->SetId == MAXULONG || RplJudgePath(Path, Data) != RplForbid)
    {
        return FALSE;
    }
    if (RplDisposition(Data) == FILE_OPEN_IF)
    {
        Data->Iopb->Parameters.Create.Options =
            (Data->Iopb->Parameters.Create.Options & 0x00FFFFFF) | (ULONG)FILE_OPEN << 24;
        FltSetCallbackDataDirty(Data);
        *Narrowed = TRUE;
        return FALSE;
    }
    return TRUE;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreCreate(PFLT_CALLBACK_DATA Data,
                                                              PCFLT_RELATED_OBJECTS FltObjects,
                                                              PVOID *CompletionContext)
{
    const ACCESS_MASK access = Data->Iopb->Parameters.Create.SecurityContext->DesiredAccess;
    const ULONG options = Data->Iopb->Parameters.Create.Options;
    RPL_OPERATION *operation;
    RPL_PATH path;
    BOOLEAN refused, narrowed;

    PAGED_CODE();
    *CompletionContext = NULL;
    if (RplRole() == ReplRoleNone ||
        (Data->Iopb->OperationFlags & (SL_OPEN_PAGING_FILE | SL_OPEN_TARGET_DIRECTORY)) ||
        (FltObjects->FileObject->Flags & FO_VOLUME_OPEN) || !RplVolumeUsed(FltObjects->Instance))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (RplDisposition(Data) == FILE_OPEN && FltObjects->Transaction == NULL)
    {
        return (access & RPL_CHANGING_ACCESS) || (options & FILE_DELETE_ON_CLOSE)
                   ? FLT_PREOP_SUCCESS_WITH_CALLBACK
                   : FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (!NT_SUCCESS(RplOpenedPath(Data, &path)))
    {
        path.SetId = MAXULONG;
    }
    if (path.SetId != 0 && FltObjects->Transaction != NULL && (access & RPL_CHANGING_ACCESS))
    {
        /* What a transaction undoes would stay on the backup. */
        RplPathFree(&path);
        Data->IoStatus.Status = STATUS_TRANSACTIONAL_OPEN_NOT_ALLOWED;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    refused = RplRefuseCreate(Data, &path, &narrowed);
    operation = NULL;
    if (!refused && !narrowed && path.SetId != 0)
    {
        operation = RplOperationNew();
        if (operation != NULL)
        {
            operation->Gate = RplGateEnter(path.SetId == MAXULONG ? 0 : path.SetId);
        }
        else
        {
            /* What it did is found out afterwards, but not in its turn. */
            (VOID) RplGoUnrecorded(0, NULL, 0, RPL_TO_END, FALSE, CompletionContext);
        }
    }
    RplPathFree(&path);
    if (refused)
    {
        return RplRefuseOperation(Data);
    }
    if (operation != NULL || narrowed)
    {
        *CompletionContext = narrowed ? (PVOID)&RplOnlyOpen : operation;
    }
    return FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static RPL_INTENT RplCreateIntent(_In_ const RPL_FILE *File, UINT16 Type,
                                  _In_opt_ const UNICODE_STRING *Name)
{
    RPL_INTENT intent = RplIntent(File, Type);

    intent.NamesOnly = TRUE;
    if (Name != NULL)
    {
        intent.Name = *Name;
    }
    return intent;
}

/* The file that a stream is of may be new, too; and it has a size of its own. */
static NTSTATUS RplRecordOwner(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                               _In_ const UNICODE_STRING *Path)
{
    PFLT_FILE_NAME_INFORMATION information;
    RPL_FILE *owner = NULL;
    RPL_OPENED opened;
    UNICODE_STRING name;
    RPL_INTENT intent;
    NTSTATUS status = FltGetFileNameInformation(
        Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &information);

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltParseFileNameInformation(information);
    if (NT_SUCCESS(status))
    {
        name = information->Name;
        name.Length = (USHORT)(name.Length - information->Stream.Length);
        status = RplOpenName(FltObjects->Instance, &name, RPL_METADATA_ACCESS, &opened);
    }
    FltReleaseFileNameInformation(information);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = RplFileOf(FltObjects->Instance, opened.FileObject, &owner);
    if (NT_SUCCESS(status))
    {
        intent = RplCreateIntent(owner, ReplRecordFile, Path);
        status =
            RplMetadataRecordFile(FltObjects->Instance, opened.FileObject, owner, &intent, NULL);
        FltReleaseContext(owner);
    }
    RplOpenClose(&opened);
    return status;
}

static NTSTATUS RplRecordCreated(_In_ PFLT_CALLBACK_DATA Data,
                                 _In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ const RPL_FILE *File)
{
    RPL_INTENT intent;
    RPL_PATH path;
    NTSTATUS status = RplPathOf(Data, File->Directory, &path);

    if (NT_SUCCESS(status) && path.SetId == 0)
    {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (NT_SUCCESS(status) && File->StreamName != NULL)
    {
        status = RplRecordOwner(Data, FltObjects, &path.Path);
    }
    if (NT_SUCCESS(status))
    {
        intent =
            RplCreateIntent(File, ReplRecordCreate, File->StreamName != NULL ? NULL : &path.Path);
        status = RplMetadataRecord(FltObjects->Instance, FltObjects->FileObject, &intent, NULL);
    }
    RplPathFree(&path);
    return status;
}

static NTSTATUS RplRecordEmptied(_In_ PCFLT_RELATED_OBJECTS FltObjects, _Inout_ RPL_FILE *File,
                                 UINT16 Flags)
{
    FILE_STANDARD_INFORMATION standard;
    RPL_INTENT intent;
    RPL_OPERATION *lock = RplOperationNew();
    RPL_OPERATION *metadata = RplOperationNew();
    NTSTATUS status =
        lock == NULL || metadata == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;

    if (NT_SUCCESS(status))
    {
        FltReferenceContext(File);
        lock->File = File;
        RplOperationLock(lock, &File->Data, 0, RPL_TO_END);
        /* What is told of the file must not be older than records that are out already. */
        FltReferenceContext(File);
        metadata->File = File;
        RplOperationLock(metadata, &File->Metadata, 0, 1);
        intent = RplIntent(File, ReplRecordOverwrite);
        intent.Flags |= Flags;
        intent.Extent = RPL_TO_END;
        status = RplMetadataRecord(FltObjects->Instance, FltObjects->FileObject, &intent, NULL);
    }
    RplOperationEnd(metadata);
    if (NT_SUCCESS(status))
    {
        status = FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &standard,
                                         sizeof(standard), FileStandardInformation, NULL);
    }
    if (NT_SUCCESS(status) && standard.EndOfFile.QuadPart != 0)
    {
        status = RplRecordRange(FltObjects->Instance, FltObjects->FileObject, File, 0,
                                (UINT64)standard.EndOfFile.QuadPart, 0);
    }
    RplOperationEnd(lock);
    return status;
}

static VOID RplCreated(_In_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                       _Inout_ RPL_FILE *File)
{
    NTSTATUS status = STATUS_SUCCESS;

    switch (Data->IoStatus.Information)
    {
    case FILE_CREATED:
        status = RplRecordCreated(Data, FltObjects, File);
        break;
    case FILE_OVERWRITTEN:
        status = RplRecordEmptied(FltObjects, File, 0);
        break;
    case FILE_SUPERSEDED:
        status = RplRecordEmptied(FltObjects, File, REPL_FLAG_SUPERSEDE);
        break;
    default:
        break;
    }
    if (!NT_SUCCESS(status))
    {
        RplMarkLost(File->SetId, File->FileId, 0, RPL_TO_END, FALSE);
        RplMarkLost(File->SetId, NULL, 0, RPL_TO_END, TRUE);
    }
}

/* Whoever creates the file has recorded that when this returns. */
static VOID RplWaitCreated(_In_ PCFLT_RELATED_OBJECTS FltObjects)
{
    RPL_FILE *file = RplFileFind(FltObjects);
    const BOOLEAN known = file != NULL && file->Known;

    if (file != NULL)
    {
        FltReleaseContext(file);
    }
    if (!known && RplGateEnter(0))
    {
        RplGateLeave();
    }
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostCreate(PFLT_CALLBACK_DATA Data,
                                                                PCFLT_RELATED_OBJECTS FltObjects,
                                                                PVOID CompletionContext,
                                                                FLT_POST_OPERATION_FLAGS Flags)
{
    const BOOLEAN unrecorded = RplEndedUnrecorded(CompletionContext);
    const BOOLEAN narrowed = CompletionContext == &RplOnlyOpen;
    RPL_OPERATION *operation = unrecorded || narrowed ? NULL : CompletionContext;
    RPL_FILE *file = NULL;

    if (narrowed && Data->IoStatus.Status == STATUS_OBJECT_NAME_NOT_FOUND)
    {
        /* It would have been made. */
        (VOID) RplRefuseOperation(Data);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!(Flags & FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status) &&
        Data->IoStatus.Status != STATUS_REPARSE)
    {
        if (CompletionContext == NULL)
        {
            RplWaitCreated(FltObjects);
        }
        file = RplFileToChange(FltObjects, Data, NULL);
    }
    if (file != NULL)
    {
        switch (RplJudge(file, Data))
        {
        case RplCapture:
            RplCreated(Data, FltObjects, file);
            break;
        case RplTouch:
            if (Data->IoStatus.Information != FILE_OPENED)
            {
                RplFileTouched(file);
            }
            break;
        default:
            break;
        }
        if (Data->Iopb->Parameters.Create.Options & FILE_DELETE_ON_CLOSE)
        {
            RplExpectDeletion(file);
        }
        InterlockedExchange(&file->Known, TRUE);
        FltReleaseContext(file);
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
