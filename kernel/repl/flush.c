/*
 * Flushes of durable sets: they return when the backup has, on disk, all that had completed before.
 *
 * What was captured and not yet acknowledged has a lower number than the record that is made here,
 * when the file system has flushed; the wait is for that.
 */
#include "flush.h"

#include "role.h"

static BOOLEAN RplSomeDurable(VOID)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    BOOLEAN some = FALSE;
    ULONG i;

    for (i = 0; i < configuration->SetCount; i++)
    {
        some |= configuration->Sets[i].Mode == ReplModeDurable;
    }
    RplConfigurationRelease(configuration);
    return some;
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreFlush(PFLT_CALLBACK_DATA Data,
                                                             PCFLT_RELATED_OBJECTS FltObjects,
                                                             PVOID *CompletionContext)
{
    RPL_FILE *file;
    RPL_OPERATION *operation;
    NTSTATUS status;

    *CompletionContext = NULL;
    if (RplRole() != ReplRolePrimary || (FltObjects->FileObject->Flags & FO_VOLUME_OPEN))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    /* Of folders, too: programs flush those for what was created or deleted in them. */
    status = RplFileLookup(FltObjects, Data, &file);
    if (file == NULL && (status != STATUS_INSUFFICIENT_RESOURCES || !RplSomeDurable()))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (file != NULL && (file->SetId == 0 || file->Mode != ReplModeDurable))
    {
        FltReleaseContext(file);
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    operation = file == NULL ? NULL : RplOperationNew();
    if (operation == NULL)
    {
        /* Success might be a lie. */
        if (file != NULL)
        {
            FltReleaseContext(file);
        }
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
        status = RplWaitAcknowledged(operation->File->SetId, RplLastSequence());
        if (!NT_SUCCESS(status))
        {
            Data->IoStatus.Status = status;
            Data->IoStatus.Information = 0;
        }
    }
    RplOperationEnd(operation);
    return FLT_POSTOP_FINISHED_PROCESSING;
}
