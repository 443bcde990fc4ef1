/* Operations; see operation.h. */
#include "operation.h"

#include "cleanup.h"
#include "counters.h"
#include "gate.h"
#include "ring.h"

#define RPL_TAG_OPERATION 'olpR'

static NPAGED_LOOKASIDE_LIST RplOperations;

VOID RplOperationsInitialize(VOID)
{
    ExInitializeNPagedLookasideList(&RplOperations, NULL, NULL, POOL_NX_ALLOCATION,
                                    sizeof(RPL_OPERATION), RPL_TAG_OPERATION, 0);
}

VOID RplOperationsDestroy(VOID)
{
    ExDeleteNPagedLookasideList(&RplOperations);
}

RPL_OPERATION *RplOperationNew(VOID)
{
    RPL_OPERATION *operation = ExAllocateFromNPagedLookasideList(&RplOperations);

    if (operation != NULL)
    {
        RtlZeroMemory(operation, sizeof(*operation));
    }
    return operation;
}

_Use_decl_annotations_ VOID RplOperationUnlock(RPL_OPERATION *Operation)
{
    if (Operation->Locked != NULL)
    {
        RplRangeRelease(Operation->Locked, &Operation->Range);
        Operation->Locked = NULL;
    }
}

_Use_decl_annotations_ VOID RplOperationEnd(RPL_OPERATION *Operation)
{
    if (Operation == NULL)
    {
        return;
    }
    RplOperationUnlock(Operation);
    if (Operation->Touches)
    {
        RplFileTouched(Operation->File);
    }
    if (Operation->Cleanup)
    {
        RplCleanupOver(Operation->File);
    }
    if (Operation->Gate)
    {
        RplGateLeave();
    }
    if (Operation->Bounce != NULL)
    {
        ExFreePoolWithTag(Operation->Bounce, RPL_TAG);
    }
    if (Operation->Name != NULL)
    {
        FltReleaseFileNameInformation(Operation->Name);
    }
    RplStreamNameFree(Operation->StreamName);
    RplPathFree(&Operation->Before);
    RplPathFree(&Operation->After);
    if (Operation->File != NULL)
    {
        FltReleaseContext(Operation->File);
    }
    ExFreeToNPagedLookasideList(&RplOperations, Operation);
}

_Use_decl_annotations_ VOID RplOperationEndDurably(RPL_OPERATION *Operation)
{
    const BOOLEAN durable = Operation->Durable;
    const UINT32 set = durable ? Operation->File->SetId : 0;

    RplOperationEnd(Operation);
    if (durable)
    {
        (VOID) RplWaitAcknowledged(set, RplLastSequence());
    }
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplGoUnrecorded(UINT32 SetId, const UINT8 *FileId,
                                                                 UINT64 Offset, UINT64 Length,
                                                                 BOOLEAN NamesOnly,
                                                                 PVOID *CompletionContext)
{
    RPL_SLOT *slot = RplReserveNothing(SetId, FileId, Offset, Length, NamesOnly);

    /* All that cannot be recorded share one slot. */
    *CompletionContext = slot == NULL ? NULL : RPL_UNRECORDED;
    return slot == NULL ? FLT_PREOP_SUCCESS_NO_CALLBACK : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

_Use_decl_annotations_ BOOLEAN RplEndedUnrecorded(PVOID CompletionContext)
{
    if (CompletionContext != RPL_UNRECORDED)
    {
        return FALSE;
    }
    RplEndUnrecorded();
    return TRUE;
}

_Use_decl_annotations_ BOOLEAN RplOperationLock(RPL_OPERATION *Operation, RPL_RANGES *Ranges,
                                                UINT64 Offset, UINT64 Length)
{
    const LARGE_INTEGER timeout = {.QuadPart = -(LONGLONG)RplConfigurationBlockMs() * 10000};
    const UINT64 end = Length > RPL_TO_END - Offset ? RPL_RANGE_INFINITY : Offset + Length;
    const UINT64 since = RplNow();
    const BOOLEAN locked = RplRangeAcquire(Ranges, &Operation->Range, Offset, end, &timeout);

    if (Operation->Range.Waited)
    {
        RplCountBlock(since);
    }
    if (locked)
    {
        Operation->Locked = Ranges;
        return TRUE;
    }
    RplMarkLost(Operation->File->SetId, Operation->File->FileId, Offset, Length, FALSE);
    return FALSE;
}

_Use_decl_annotations_ RPL_INTENT RplIntent(const RPL_FILE *File, UINT16 Type)
{
    RPL_INTENT intent = {.Type = Type, .SetId = File->SetId, .FileId = File->FileId};
    const RPL_STREAM_NAME *name = File->StreamName;

    if (File->Directory)
    {
        intent.Flags |= REPL_FLAG_DIRECTORY;
    }
    if (name != NULL)
    {
        intent.Flags |= REPL_FLAG_STREAM;
        intent.Name = name->Name;
    }
    if (File->Mode == ReplModeCopy)
    {
        intent.Flags |= REPL_FLAG_COPY;
    }
    intent.NoDisk = File->Encrypted != 0;
    return intent;
}

_Use_decl_annotations_ VOID RplFileTouched(RPL_FILE *File)
{
    const LONG loan = RplRingLoan();
    RPL_INTENT intent;

    if (InterlockedExchange(&File->Touched, loan) != loan)
    {
        intent = RplIntent(File, ReplRecordTouched);
        intent.Flags &= ~REPL_FLAG_STREAM;
        intent.Name.Length = 0;
        intent.Extent = RPL_TO_END;
        RplRecord(&intent, NULL, 0);
    }
}

_Use_decl_annotations_ FLT_PREOP_CALLBACK_STATUS RplTouchBegin(RPL_FILE *File,
                                                               PVOID *CompletionContext)
{
    RPL_OPERATION *operation = RplOperationNew();
    FLT_PREOP_CALLBACK_STATUS status = FLT_PREOP_SUCCESS_WITH_CALLBACK;

    if (operation == NULL)
    {
        status =
            RplGoUnrecorded(File->SetId, File->FileId, 0, RPL_TO_END, FALSE, CompletionContext);
        FltReleaseContext(File);
        return status;
    }
    operation->File = File;
    operation->Touches = TRUE;
    RplFileTouched(File);
    *CompletionContext = operation;
    return status;
}

_Use_decl_annotations_ UINT64 RplRecord(RPL_INTENT *Intent, const VOID *Data, ULONG Bytes)
{
    RPL_SLOT *slot;
    UINT64 sequence;

    Intent->DataBytes = Bytes;
    slot = RplReserve(Intent);
    sequence = slot != NULL ? slot->Sequence : 0;
    if (slot != NULL && slot->Data != NULL && Bytes != 0)
    {
        RtlCopyMemory(slot->Data, Data, Bytes);
    }
    RplCommit(slot, Bytes, Intent->Offset, Intent->Range);
    return sequence;
}
