/*
 * The end of a handle.
 *
 * A file that was to be deleted loses its name when a handle is cleaned up: the last one, or, with
 * POSIX semantics, the one that asked. Whether it did is only known by looking: under the names
 * gate, the name is opened again after the cleanup. It is gone if there is none, if it is about to
 * go, or if it is another file's.
 *
 * What writes did to a file's times is told here, once a handle, and not with each write.
 *
 * WDK: the sample "delete"; FILE_DISPOSITION_INFORMATION_EX.
 */
#include "cleanup.h"

#include "gate.h"
#include "open.h"
#include "role.h"

/* The file's times as they are now. */
static VOID RplRecordTimes(_In_ PCFLT_RELATED_OBJECTS FltObjects, _Inout_ RPL_OPERATION *Operation)
{
    FILE_BASIC_INFORMATION basic;
    REPL_BASIC record = {0};
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordSetBasic);

    RplOperationLock(Operation, &Operation->File->Metadata, 0, 1);
    if (NT_SUCCESS(FltQueryInformationFile(FltObjects->Instance, FltObjects->FileObject, &basic,
                                           sizeof(basic), FileBasicInformation, NULL)))
    {
        record.CreationTime = (UINT64)basic.CreationTime.QuadPart;
        record.LastAccessTime = (UINT64)basic.LastAccessTime.QuadPart;
        record.LastWriteTime = (UINT64)basic.LastWriteTime.QuadPart;
        record.ChangeTime = (UINT64)basic.ChangeTime.QuadPart;
        record.Attributes = basic.FileAttributes;
        intent.Flags |= REPL_FLAG_SYNC;
        RplRecord(&intent, &record, sizeof(record));
    }
}

/* Copy mode: the file at its path has changed. */
static VOID RplRecordTouched(_In_ PFLT_CALLBACK_DATA Data, _In_ const RPL_FILE *File)
{
    RPL_INTENT intent = RplIntent(File, ReplRecordTouched);
    RPL_PATH path;

    if (NT_SUCCESS(RplPathOf(Data, &path)) && path.SetId != 0)
    {
        intent.Flags &= ~REPL_FLAG_STREAM;
        intent.Name = path.Path;
        RplRecord(&intent, NULL, 0);
    }
    RplPathFree(&path);
}

/* Before the cleanup that may delete it: the gate, and what it is called. */
static BOOLEAN RplPrepareDeletion(_In_ PFLT_CALLBACK_DATA Data, _Inout_ RPL_OPERATION *Operation)
{
    UNICODE_STRING name;
    NTSTATUS status;

    Operation->Gate = RplGateEnter(Operation->File->SetId);
    status = FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT,
                                       &Operation->Name);
    if (NT_SUCCESS(status))
    {
        status = FltParseFileNameInformation(Operation->Name);
    }
    if (NT_SUCCESS(status))
    {
        name = Operation->Name->Name;
        name.Length = (USHORT)(name.Length - Operation->Name->Stream.Length);
        status = RplPathOfName(&name, Operation->File->Directory, 0, &Operation->Before);
    }
    if (status == STATUS_INSUFFICIENT_RESOURCES)
    {
        RplMarkLost(Operation->File->SetId, NULL, 0, RPL_TO_END, TRUE);
    }
    /* Any other failure: it has lost its name already, by another handle. */
    return NT_SUCCESS(status) && Operation->Before.SetId != 0;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreCleanup(PFLT_CALLBACK_DATA Data,
                                                               PCFLT_RELATED_OBJECTS FltObjects,
                                                               PVOID *CompletionContext)
{
    RPL_FILE *file = RplFileFind(FltObjects, NULL);
    RPL_OPERATION *operation;
    BOOLEAN written;

    *CompletionContext = NULL;
    if (file == NULL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file->SetId == 0 || (!file->Written && !file->MayBeDeleted) || RplRole() != ReplRolePrimary)
    {
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation = RplOperationNew();
    if (operation == NULL)
    {
        RplMarkLost(file->SetId, file->FileId, 0, RPL_TO_END, TRUE);
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation->File = file;
    written = InterlockedExchange(&file->Written, FALSE) != 0;
    if (written && file->Mode == ReplModeCopy)
    {
        RplRecordTouched(Data, file);
    }
    else if (written)
    {
        RplRecordTimes(FltObjects, operation);
        if (operation->Locked != NULL)
        {
            RplRangeRelease(operation->Locked, &operation->Range);
            operation->Locked = NULL;
        }
    }
    if (file->MayBeDeleted && RplPrepareDeletion(Data, operation))
    {
        *CompletionContext = operation;
        return FLT_PREOP_SYNCHRONIZE;
    }
    RplOperationEnd(operation);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

/* Whether the name, looked at again, is not this file's any more. */
static BOOLEAN RplNameGone(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                           _In_ const RPL_OPERATION *Operation)
{
    RPL_OPENED handle;
    FILE_ID_INFORMATION id;
    BOOLEAN gone = FALSE;
    NTSTATUS status =
        RplOpenName(FltObjects->Instance, &Operation->Name->Name, FILE_READ_ATTRIBUTES, &handle);

    if (NT_SUCCESS(status))
    {
        status = FltQueryInformationFile(FltObjects->Instance, handle.FileObject, &id, sizeof(id),
                                         FileIdInformation, NULL);
        gone = NT_SUCCESS(status) && RtlCompareMemory(&id.FileId, Operation->File->FileId,
                                                      sizeof(id.FileId)) != sizeof(id.FileId);
        RplOpenClose(&handle);
        return gone;
    }
    return status == STATUS_OBJECT_NAME_NOT_FOUND || status == STATUS_OBJECT_PATH_NOT_FOUND ||
           status == STATUS_FILE_DELETED || status == STATUS_NO_SUCH_FILE;
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostCleanup(PFLT_CALLBACK_DATA Data,
                                                                 PCFLT_RELATED_OBJECTS FltObjects,
                                                                 PVOID CompletionContext,
                                                                 FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;
    RPL_INTENT intent;

    UNREFERENCED_PARAMETER(Data);
    if (Flags & FLTFL_POST_OPERATION_DRAINING)
    {
        RplMarkLost(operation->File->SetId, NULL, 0, RPL_TO_END, TRUE);
    }
    else if (RplNameGone(FltObjects, operation))
    {
        intent = RplIntent(operation->File, ReplRecordDelete);
        intent.NamesOnly = TRUE;
        if (operation->File->StreamName.Length != 0)
        {
            intent.Type = ReplRecordDeleteStream;
        }
        else
        {
            intent.Name = operation->Before.Path;
        }
        intent.SetId = operation->Before.SetId;
        RplRecord(&intent, NULL, 0);
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
