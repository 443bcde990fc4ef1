/*
 * Lists of filters' contexts on file systems' control blocks, as the file system runtime library
 * has them.
 *
 * WDK: FsRtlInsertPerStreamContext, FsRtlLookupPerStreamContext, FsRtlTeardownPerStreamContexts,
 * FsRtlInsertPerFileContext, FsRtlTeardownPerFileContexts.
 */
#include "flt.h"
#include <stdlib.h>

static bool matches(PVOID owner, PVOID instance, PVOID wanted_owner, PVOID wanted_instance)
{
    return (wanted_owner == NULL || owner == wanted_owner) &&
           (wanted_instance == NULL || instance == wanted_instance);
}

static PFSRTL_PER_STREAM_CONTEXT find_stream(LIST_ENTRY *list, PVOID owner, PVOID instance)
{
    for (LIST_ENTRY *e = list->Flink; e != list; e = e->Flink) {
        PFSRTL_PER_STREAM_CONTEXT entry = CONTAINING_RECORD(e, FSRTL_PER_STREAM_CONTEXT, Links);
        if (matches(entry->OwnerId, entry->InstanceId, owner, instance))
            return entry;
    }
    return NULL;
}

NTSTATUS NTAPI FsRtlInsertPerStreamContext(PFSRTL_ADVANCED_FCB_HEADER PerStreamContext,
                                           PFSRTL_PER_STREAM_CONTEXT Ptr)
{
    VF_ENTRY(APC_LEVEL);
    if (PerStreamContext == NULL ||
        !(PerStreamContext->Flags2 & FSRTL_FLAG2_SUPPORTS_FILTER_CONTEXTS))
        return STATUS_INVALID_DEVICE_REQUEST;
    ExAcquireFastMutex(PerStreamContext->FastMutex);
    InsertHeadList(&PerStreamContext->FilterContexts, &Ptr->Links);
    ExReleaseFastMutex(PerStreamContext->FastMutex);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, FsRtlInsertPerStreamContext);

PFSRTL_PER_STREAM_CONTEXT NTAPI FsRtlLookupPerStreamContextInternal(
    PFSRTL_ADVANCED_FCB_HEADER StreamContext, PVOID OwnerId, PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    ExAcquireFastMutex(StreamContext->FastMutex);
    PFSRTL_PER_STREAM_CONTEXT entry =
        find_stream(&StreamContext->FilterContexts, OwnerId, InstanceId);
    ExReleaseFastMutex(StreamContext->FastMutex);
    return entry;
}
NT_EXPORT(NTOSKRNL, FsRtlLookupPerStreamContextInternal);

PFSRTL_PER_STREAM_CONTEXT NTAPI FsRtlRemovePerStreamContext(
    PFSRTL_ADVANCED_FCB_HEADER StreamContext, PVOID OwnerId, PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    ExAcquireFastMutex(StreamContext->FastMutex);
    PFSRTL_PER_STREAM_CONTEXT entry =
        find_stream(&StreamContext->FilterContexts, OwnerId, InstanceId);
    if (entry != NULL)
        RemoveEntryList(&entry->Links);
    ExReleaseFastMutex(StreamContext->FastMutex);
    return entry;
}
NT_EXPORT(NTOSKRNL, FsRtlRemovePerStreamContext);

VOID NTAPI FsRtlTeardownPerStreamContexts(PFSRTL_ADVANCED_FCB_HEADER AdvancedHeader)
{
    VF_ENTRY(APC_LEVEL);
    for (;;) {
        ExAcquireFastMutex(AdvancedHeader->FastMutex);
        LIST_ENTRY *e = IsListEmpty(&AdvancedHeader->FilterContexts)
                            ? NULL
                            : RemoveHeadList(&AdvancedHeader->FilterContexts);
        ExReleaseFastMutex(AdvancedHeader->FastMutex);
        if (e == NULL)
            return;
        PFSRTL_PER_STREAM_CONTEXT entry = CONTAINING_RECORD(e, FSRTL_PER_STREAM_CONTEXT, Links);
        entry->FreeCallback(entry);
    }
}
NT_EXPORT(NTOSKRNL, FsRtlTeardownPerStreamContexts);

/* Of a file: behind the file system's pointer is a list of the library's own. */

struct file_contexts {
    FAST_MUTEX mutex;
    LIST_ENTRY entries;
};

static struct file_contexts *contexts_of(PVOID *pointer, bool make)
{
    struct file_contexts *contexts = __atomic_load_n(pointer, __ATOMIC_ACQUIRE);
    PVOID there = NULL;
    if (contexts != NULL || !make)
        return contexts;
    contexts = malloc(sizeof(*contexts));
    if (contexts == NULL)
        return NULL;
    ExInitializeFastMutex(&contexts->mutex);
    InitializeListHead(&contexts->entries);
    if (__atomic_compare_exchange_n(pointer, &there, contexts, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return contexts;
    free(contexts);
    return there;
}

static PFSRTL_PER_FILE_CONTEXT look(PVOID *pointer, PVOID owner, PVOID instance, bool take_out)
{
    struct file_contexts *contexts = contexts_of(pointer, false);
    PFSRTL_PER_FILE_CONTEXT found = NULL;
    if (contexts == NULL)
        return NULL;
    ExAcquireFastMutex(&contexts->mutex);
    for (LIST_ENTRY *e = contexts->entries.Flink; e != &contexts->entries && found == NULL;
         e = e->Flink) {
        PFSRTL_PER_FILE_CONTEXT entry = CONTAINING_RECORD(e, FSRTL_PER_FILE_CONTEXT, Links);
        if (matches(entry->OwnerId, entry->InstanceId, owner, instance))
            found = entry;
    }
    if (found != NULL && take_out)
        RemoveEntryList(&found->Links);
    ExReleaseFastMutex(&contexts->mutex);
    return found;
}

NTSTATUS NTAPI FsRtlInsertPerFileContext(PVOID *PerFileContextPointer, PFSRTL_PER_FILE_CONTEXT Ptr)
{
    VF_ENTRY(APC_LEVEL);
    if (PerFileContextPointer == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    struct file_contexts *contexts = contexts_of(PerFileContextPointer, true);
    if (contexts == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ExAcquireFastMutex(&contexts->mutex);
    InsertHeadList(&contexts->entries, &Ptr->Links);
    ExReleaseFastMutex(&contexts->mutex);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, FsRtlInsertPerFileContext);

PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlLookupPerFileContext(PVOID *PerFileContextPointer, PVOID OwnerId,
                                                        PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    return look(PerFileContextPointer, OwnerId, InstanceId, false);
}
NT_EXPORT(NTOSKRNL, FsRtlLookupPerFileContext);

PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlRemovePerFileContext(PVOID *PerFileContextPointer, PVOID OwnerId,
                                                        PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    return look(PerFileContextPointer, OwnerId, InstanceId, true);
}
NT_EXPORT(NTOSKRNL, FsRtlRemovePerFileContext);

VOID NTAPI FsRtlTeardownPerFileContexts(PVOID *PerFileContextPointer)
{
    VF_ENTRY(APC_LEVEL);
    struct file_contexts *contexts = contexts_of(PerFileContextPointer, false);
    if (contexts == NULL)
        return;
    for (PFSRTL_PER_FILE_CONTEXT entry;
         (entry = look(PerFileContextPointer, NULL, NULL, true)) != NULL;)
        entry->FreeCallback(entry);
    *PerFileContextPointer = NULL;
    free(contexts);
}
NT_EXPORT(NTOSKRNL, FsRtlTeardownPerFileContexts);
