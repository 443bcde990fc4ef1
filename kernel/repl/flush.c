/*
 * Flushes of durable sets: they return when the backup has, on disk, all that had completed before.
 *
 * What was captured and not yet acknowledged has a lower number than the record that is made here,
 * when the file system has flushed; the wait is for that.
 */
#include "flush.h"

#include "role.h"

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreFlush(PFLT_CALLBACK_DATA Data,
                                                             PCFLT_RELATED_OBJECTS FltObjects,
                                                             PVOID *CompletionContext)
{
    RPL_FILE *file;
    RPL_OPERATION *operation;

    *CompletionContext = NULL;
    if (RplRole() != ReplRolePrimary || (FltObjects->FileObject->Flags & FO_VOLUME_OPEN))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    /* Of folders, too: programs flush those for what was created or deleted in them. */
    file = RplFileFind(FltObjects, Data);
    if (file == NULL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file->SetId == 0 || file->Mode != ReplModeDurable)
    {
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation = RplOperationNew();
    if (operation == NULL)
    {
        FltReleaseContext(file);
        Data->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
        Data->IoStatus.Information = 0;
        return FLT_PREOP_COMPLETE;
    }
    operation->File = file;
    *CompletionContext = operation;
    return FLT_PREOP_SYNCHRONIZE;
}

_Use_decl_annotations_ FLT_POSTOP_CALLBACK_STATUS RplPostFlush(PFLT_CALLBACK_DATA Data,
                                                               PCFLT_RELATED_OBJECTS FltObjects,
                                                               PVOID CompletionContext,
                                                               FLT_POST_OPERATION_FLAGS Flags)
{
    RPL_OPERATION *operation = CompletionContext;
    RPL_INTENT intent = RplIntent(operation->File, ReplRecordFlush);
    NTSTATUS status;

    UNREFERENCED_PARAMETER(FltObjects);
    if (!(Flags & FLTFL_POST_OPERATION_DRAINING) && NT_SUCCESS(Data->IoStatus.Status))
    {
        intent.NamesOnly = TRUE;
        RplRecord(&intent, NULL, 0);
        status = RplWaitAcknowledged(RplLastSequence());
        if (!NT_SUCCESS(status))
        {
            Data->IoStatus.Status = status;
            Data->IoStatus.Information = 0;
        }
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
