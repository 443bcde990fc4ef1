/*
 * Contexts that filters hang on streams and files. A list's lock is the header's fast mutex, or one
 * of the file's; callbacks are called without it.
 *
 * WDK: FsRtlInsertPerStreamContext, FsRtlLookupPerStreamContext, FsRtlTeardownPerStreamContexts.
 */
#include "fsp.h"
#include <nthost/export.h>
#include <stdlib.h>

/* The three kinds of context begin alike; those of file objects have no callback. */
static PFSRTL_PER_STREAM_CONTEXT find(PLIST_ENTRY list, PVOID owner, PVOID instance)
{
    for (PLIST_ENTRY at = list->Flink; at != list; at = at->Flink) {
        PFSRTL_PER_STREAM_CONTEXT context = CONTAINING_RECORD(at, FSRTL_PER_STREAM_CONTEXT, Links);
        if (owner == NULL ||
            (context->OwnerId == owner && (instance == NULL || context->InstanceId == instance)))
            return context;
    }
    return NULL;
}

static void tear_down(PLIST_ENTRY list, PFAST_MUTEX mutex)
{
    for (;;) {
        ExAcquireFastMutex(mutex);
        PLIST_ENTRY first = IsListEmpty(list) ? NULL : RemoveHeadList(list);
        ExReleaseFastMutex(mutex);
        if (first == NULL)
            return;
        PFSRTL_PER_STREAM_CONTEXT context =
            CONTAINING_RECORD(first, FSRTL_PER_STREAM_CONTEXT, Links);
        struct vf_call call = vf_call_begin_of("FreeCallback", context->FreeCallback);
        context->FreeCallback(context);
        vf_call_end(&call);
    }
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
    PFSRTL_PER_STREAM_CONTEXT context = find(&StreamContext->FilterContexts, OwnerId, InstanceId);
    ExReleaseFastMutex(StreamContext->FastMutex);
    return context;
}
NT_EXPORT(NTOSKRNL, FsRtlLookupPerStreamContextInternal);

PFSRTL_PER_STREAM_CONTEXT NTAPI FsRtlRemovePerStreamContext(
    PFSRTL_ADVANCED_FCB_HEADER StreamContext, PVOID OwnerId, PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    ExAcquireFastMutex(StreamContext->FastMutex);
    PFSRTL_PER_STREAM_CONTEXT context = find(&StreamContext->FilterContexts, OwnerId, InstanceId);
    if (context != NULL)
        RemoveEntryList(&context->Links);
    ExReleaseFastMutex(StreamContext->FastMutex);
    return context;
}
NT_EXPORT(NTOSKRNL, FsRtlRemovePerStreamContext);

VOID NTAPI FsRtlTeardownPerStreamContexts(PFSRTL_ADVANCED_FCB_HEADER AdvancedHeader)
{
    VF_ENTRY(APC_LEVEL);
    if (!IsListEmpty(&AdvancedHeader->FilterContexts))
        tear_down(&AdvancedHeader->FilterContexts, AdvancedHeader->FastMutex);
}
NT_EXPORT(NTOSKRNL, FsRtlTeardownPerStreamContexts);

/* Of files: *pointer leads to a list that the first context makes. */
struct file_contexts {
    FAST_MUTEX mutex;
    LIST_ENTRY list;
};

static struct file_contexts *contexts_of(PVOID *pointer, bool make)
{
    struct file_contexts *contexts =
        __atomic_load_n((struct file_contexts **)pointer, __ATOMIC_ACQUIRE);
    if (contexts != NULL || !make)
        return contexts;
    contexts = calloc(1, sizeof(*contexts));
    if (contexts == NULL)
        return NULL;
    ExInitializeFastMutex(&contexts->mutex);
    InitializeListHead(&contexts->list);
    struct file_contexts *other = NULL;
    if (__atomic_compare_exchange_n((struct file_contexts **)pointer, &other, contexts, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return contexts;
    free(contexts);
    return other;
}

NTSTATUS NTAPI FsRtlInsertPerFileContext(PVOID *PerFileContextPointer, PFSRTL_PER_FILE_CONTEXT Ptr)
{
    VF_ENTRY(APC_LEVEL);
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (PerFileContextPointer == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    struct file_contexts *contexts = contexts_of(PerFileContextPointer, true);
    if (contexts == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    ExAcquireFastMutex(&contexts->mutex);
    InsertHeadList(&contexts->list, &Ptr->Links);
    ExReleaseFastMutex(&contexts->mutex);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, FsRtlInsertPerFileContext);

static PFSRTL_PER_FILE_CONTEXT find_file(PVOID *pointer, PVOID owner, PVOID instance, bool remove)
{
    struct file_contexts *contexts = pointer ? contexts_of(pointer, false) : NULL;
    if (contexts == NULL)
        return NULL;
    ExAcquireFastMutex(&contexts->mutex);
    PFSRTL_PER_FILE_CONTEXT context =
        (PFSRTL_PER_FILE_CONTEXT)find(&contexts->list, owner, instance);
    if (context != NULL && remove)
        RemoveEntryList(&context->Links);
    ExReleaseFastMutex(&contexts->mutex);
    return context;
}

PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlLookupPerFileContext(PVOID *PerFileContextPointer, PVOID OwnerId,
                                                        PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    return find_file(PerFileContextPointer, OwnerId, InstanceId, false);
}
NT_EXPORT(NTOSKRNL, FsRtlLookupPerFileContext);

PFSRTL_PER_FILE_CONTEXT NTAPI FsRtlRemovePerFileContext(PVOID *PerFileContextPointer, PVOID OwnerId,
                                                        PVOID InstanceId)
{
    VF_ENTRY(APC_LEVEL);
    return find_file(PerFileContextPointer, OwnerId, InstanceId, true);
}
NT_EXPORT(NTOSKRNL, FsRtlRemovePerFileContext);

VOID NTAPI FsRtlTeardownPerFileContexts(PVOID *PerFileContextPointer)
{
    VF_ENTRY(APC_LEVEL);
    struct file_contexts *contexts = contexts_of(PerFileContextPointer, false);
    if (contexts == NULL)
        return;
    tear_down(&contexts->list, &contexts->mutex);
    *PerFileContextPointer = NULL;
    free(contexts);
}
NT_EXPORT(NTOSKRNL, FsRtlTeardownPerFileContexts);
