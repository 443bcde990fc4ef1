/*
 * Sections: once a program can store through a mapping, its stores come as paging I/O, which is
 * captured from then on (write.c). The regions that it may dirty are marked here, since paging I/O
 * must not wait.
 */
#include "flush.h"

#include "regions.h"
#include "role.h"

#define RPL_PAGE_WRITABLE (PAGE_READWRITE | PAGE_EXECUTE_READWRITE)

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplPreAcquireForSection(
    PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    const FLT_PARAMETERS *parameters = &Data->Iopb->Parameters;
    const FSRTL_COMMON_FCB_HEADER *header = FltObjects->FileObject->FsContext;
    RPL_FILE *file;

    *CompletionContext = NULL;
    if (parameters->AcquireForSectionSynchronization.SyncType != SyncTypeCreateSection ||
        !(parameters->AcquireForSectionSynchronization.PageProtection & RPL_PAGE_WRITABLE))
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    file = RplFileFind(FltObjects);
    if (file == NULL)
    {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    InterlockedExchange(&file->UserSection, TRUE);
    if (file->SetId != 0 && RplRole() == ReplRolePrimary && KeGetCurrentIrql() == PASSIVE_LEVEL)
    {
        RplRegionsActivate(file->FileId, 0, RPL_MAX((UINT64)header->FileSize.QuadPart, 1));
    }
    FltReleaseContext(file);
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
