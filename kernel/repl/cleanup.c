/*
 * The end of a handle.
 *
 * A file that was to be deleted loses its name when a handle is cleaned up: the last one, or, with
 * POSIX semantics, the one that asked. Whether it did is only known by looking: under the names
 * gate, the name is opened again after the cleanup. It is gone if there is none, if it is about to
 * go, or if it is another file's.
 *
 * A cleanup that comes before anybody asked for a deletion need not look, as long as nobody asks
 * before it is over: it may be the one that the deletion waited for. So those under way are
 * counted, and who asks waits for them. REPL's own handles keep a file as others do.
 *
 * What writes did to a file's times is told here, once a handle, and not with each write.
 *
 * WDK: the sample "delete"; FILE_DISPOSITION_INFORMATION_EX.
 */
#include "cleanup.h"

#include "bracket.h"
#include "counters.h"
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
    else
    {
        RplMarkLost(Operation->File->SetId, Operation->File->FileId, 0, 0, FALSE);
    }
}

/* What the handle's file is called, before the handle's end may delete it. TRUE: it has a name in a
 * set. Under the gate. Status: of asking for Operation->Name. */
static BOOLEAN RplPrepareDeletion(_Inout_ RPL_OPERATION *Operation, NTSTATUS Status,
                                  _Out_ BOOLEAN *NoMemory)
{
    UNICODE_STRING name;

    if (NT_SUCCESS(Status))
    {
        Status = FltParseFileNameInformation(Operation->Name);
    }
    if (NT_SUCCESS(Status))
    {
        name = Operation->Name->Name;
        name.Length = (USHORT)(name.Length - Operation->Name->Stream.Length);
        Status = RplPathOfName(&name, Operation->File->Directory, 0, &Operation->Before);
    }
    /* Any other failure: it has lost its name already, by another handle. */
    *NoMemory = Status == STATUS_INSUFFICIENT_RESOURCES;
    return NT_SUCCESS(Status) && Operation->Before.SetId != 0;
}

/* Cleanups that do not expect a deletion */

_Use_decl_annotations_ VOID RplCleanupOver(RPL_FILE *File)
{
    if (InterlockedDecrement(&File->Cleanups) == 0 && File->MayBeDeleted)
    {
        KeSetEvent(&File->CleanupsOver, IO_NO_INCREMENT, FALSE);
    }
}

/* FALSE: one is expected. TRUE: until the operation ends, none has an effect. */
static BOOLEAN RplCleanupBegin(_Inout_ RPL_OPERATION *Operation)
{
    InterlockedIncrement(&Operation->File->Cleanups);
    if (Operation->File->MayBeDeleted)
    {
        RplCleanupOver(Operation->File);
        return FALSE;
    }
    Operation->Cleanup = TRUE;
    return TRUE;
}

_Use_decl_annotations_ VOID RplExpectDeletion(RPL_FILE *File)
{
    LARGE_INTEGER timeout = {.QuadPart = -(LONGLONG)RplConfigurationBlockMs() * 10000};
    UINT64 since;

    InterlockedExchange(&File->MayBeDeleted, TRUE);
    if (File->Cleanups == 0)
    {
        return;
    }
    since = RplNow();
    KeClearEvent(&File->CleanupsOver);
    /* From now on the last of them sets it; new ones stay for a moment only. */
    if (File->Cleanups != 0 && KeWaitForSingleObject(&File->CleanupsOver, Executive, KernelMode,
                                                     FALSE, &timeout) != STATUS_SUCCESS)
    {
        RplOutOfOrder(File->SetId);
    }
    RplCountBlock(since);
}

/* The callbacks */

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreCleanup(PFLT_CALLBACK_DATA Data,
                                                               PCFLT_RELATED_OBJECTS FltObjects,
                                                               PVOID *CompletionContext)
{
    RPL_FILE *file = RplFileFind(FltObjects);
    RPL_OPERATION *operation;
    FLT_PREOP_CALLBACK_STATUS status = FLT_PREOP_SUCCESS_NO_CALLBACK;
    BOOLEAN written, noMemory = FALSE;

    *CompletionContext = NULL;
    if (file == NULL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file->SetId == 0 || RplRole() != ReplRolePrimary)
    {
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation = RplOperationNew();
    if (operation == NULL)
    {
        /* It is not counted, and so may be the one that a deletion waits for. */
        status = RplGoUnrecorded(file->SetId, file->FileId, 0, 0, TRUE, CompletionContext);
        FltReleaseContext(file);
        return status;
    }
    operation->File = file;
    written = InterlockedExchange(&file->Written, FALSE) != 0;
    if (written)
    {
        RplRecordTimes(FltObjects, operation);
        RplOperationUnlock(operation);
    }
    if (RplCleanupBegin(operation))
    {
        *CompletionContext = operation;
        return FLT_PREOP_SUCCESS_WITH_CALLBACK;
    }
    operation->Gate = RplGateEnter(file->SetId);
    if (RplPrepareDeletion(
            operation,
            FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT,
                                      &operation->Name),
            &noMemory))
    {
        *CompletionContext = operation;
        return FLT_PREOP_SYNCHRONIZE;
    }
    if (noMemory)
    {
        status = RplGoUnrecorded(file->SetId, NULL, 0, RPL_TO_END, TRUE, CompletionContext);
    }
    RplOperationEnd(operation);
    return status;
}

/* Whether the name, looked at again, is not this file's any more. A failure: nobody knows. */
static NTSTATUS RplNameGone(_In_ PFLT_INSTANCE Instance, _In_ const RPL_OPERATION *Operation,
                            _Out_ BOOLEAN *Gone)
{
    RPL_OPENED handle;
    FILE_ID_INFORMATION id;
    NTSTATUS status = RplOpenName(Instance, &Operation->Name->Name, FILE_READ_ATTRIBUTES, &handle);

    if (NT_SUCCESS(status))
    {
        status = FltQueryInformationFile(Instance, handle.FileObject, &id, sizeof(id),
                                         FileIdInformation, NULL);
        *Gone = NT_SUCCESS(status) && RtlCompareMemory(&id.FileId, Operation->File->FileId,
                                                       sizeof(id.FileId)) != sizeof(id.FileId);
        RplOpenClose(&handle);
        return status;
    }
    *Gone = status == STATUS_OBJECT_NAME_NOT_FOUND || status == STATUS_OBJECT_PATH_NOT_FOUND ||
            status == STATUS_FILE_DELETED || status == STATUS_NO_SUCH_FILE;
    /* It is about to go, with another handle's cleanup, which looks again. */
    return *Gone || status == STATUS_DELETE_PENDING ? STATUS_SUCCESS : status;
}

/* The handle has ended: records a deletion if the name has gone with it. */
static VOID RplRecordDeletion(_In_ PFLT_INSTANCE Instance, _Inout_ RPL_OPERATION *Operation)
{
    RPL_INTENT intent = RplIntent(Operation->File, ReplRecordDelete);
    BOOLEAN gone;

    if (!NT_SUCCESS(RplNameGone(Instance, Operation, &gone)))
    {
        RplMarkLost(Operation->File->SetId, NULL, 0, RPL_TO_END, TRUE);
        return;
    }
    if (!gone)
    {
        return;
    }
    intent.NamesOnly = TRUE;
    if (Operation->File->StreamName != NULL)
    {
        intent.Type = ReplRecordDeleteStream;
    }
    else
    {
        intent.Name = Operation->Before.Path;
    }
    intent.SetId = Operation->Before.SetId;
    RplRecord(&intent, NULL, 0);
    Operation->Durable = Operation->File->Mode == ReplModeDurable;
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostCleanup(PFLT_CALLBACK_DATA Data,
                                                                 PCFLT_RELATED_OBJECTS FltObjects,
                                                                 PVOID CompletionContext,
                                                                 FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;

    UNREFERENCED_PARAMETER(Data);
    if (RplEndedUnrecorded(CompletionContext))
    {
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    if (!operation->Cleanup)
    {
        if (Flags & FLTFL_POST_OPERATION_DRAINING)
        {
            RplMarkLost(operation->File->SetId, NULL, 0, RPL_TO_END, TRUE);
        }
        else
        {
            RplRecordDeletion(FltObjects->Instance, operation);
        }
    }
    RplOperationEndDurably(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

_Use_decl_annotations_ VOID RplCleanupOwn(PFLT_INSTANCE Instance, RPL_OPENED *Opened,
                                          RPL_FILE *File)
{
    RPL_OPERATION *operation = RplOperationNew();
    PVOID unrecorded = NULL;
    BOOLEAN named, noMemory;

    if (operation == NULL)
    {
        (VOID) RplGoUnrecorded(File->SetId, File->FileId, 0, 0, TRUE, &unrecorded);
        RplOpenClose(Opened);
        (VOID) RplEndedUnrecorded(unrecorded);
        return;
    }
    FltReferenceContext(File);
    operation->File = File;
    if (RplCleanupBegin(operation))
    {
        RplOpenClose(Opened);
    }
    else
    {
        operation->Gate = RplGateEnter(File->SetId);
        named = RplPrepareDeletion(
            operation,
            FltGetFileNameInformationUnsafe(Opened->FileObject, Instance,
                                            FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT,
                                            &operation->Name),
            &noMemory);
        if (noMemory)
        {
            (VOID) RplGoUnrecorded(File->SetId, NULL, 0, RPL_TO_END, TRUE, &unrecorded);
        }
        RplOpenClose(Opened);
        if (named)
        {
            RplRecordDeletion(Instance, operation);
        }
        (VOID) RplEndedUnrecorded(unrecorded);
    }
    RplOperationEnd(operation);
}
