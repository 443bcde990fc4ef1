/*
 * What was lost. The list is dirty.c's; this is when it is marked, taken and forgotten.
 *
 * A mark is set before the operation reaches the file, so what is marked may still be on its way. A
 * reader who took the mark then would read the file too early. So nothing is given out before every
 * operation without a record has ended, and every operation with a number below that of the
 * bracket; new ones have records by then, since the state is not Dirty any more.
 */
#include "lost.h"

#include "brackets.h"
#include "dirty.h"
#include "regions.h"
#include "state.h"

enum
{
    RplRegionsNone,
    RplRegionsDirty,
    RplRegionsTaken
};

static struct
{
    RPL_DIRTY Dirty;
    VOID *Memory;
    UINT32 Regions; /* RplRegions*: what the dirty-region log knows is lost */
} Lost;

NTSTATUS RplLostCreate(VOID)
{
    RtlZeroMemory(&Lost, sizeof(Lost));
    Lost.Memory =
        ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_UNINITIALIZED, RPL_LOST_BYTES, RPL_TAG);
    if (Lost.Memory == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RplDirtyInitialize(&Lost.Dirty, Lost.Memory, RPL_LOST_BYTES);
    return STATUS_SUCCESS;
}

VOID RplLostDestroy(VOID)
{
    if (Lost.Memory != NULL)
    {
        ExFreePoolWithTag(Lost.Memory, RPL_TAG);
        Lost.Memory = NULL;
    }
}

_Use_decl_annotations_ VOID RplLostMark(UINT32 SetId, const UINT8 *FileId, UINT64 Offset,
                                        UINT64 Length, BOOLEAN NamesOnly)
{
    if (FileId == NULL)
    {
        RplDirtyMarkAs(&Lost.Dirty, SetId, NULL,
                       REPL_DIRTY_NAMES | (NamesOnly ? 0 : REPL_DIRTY_WHOLE));
        return;
    }
    if (NamesOnly)
    {
        /* Which folders had or have the name is not known here. */
        RplDirtyMarkAs(&Lost.Dirty, SetId, NULL, REPL_DIRTY_NAMES);
        Length = 0;
    }
    RplDirtyMark(&Lost.Dirty, SetId, FileId, Offset, Length);
}

_Use_decl_annotations_ VOID RplLostMarkIntent(const RPL_INTENT *Intent)
{
    UINT64 offset = Intent->Offset,
           length = RPL_MAX(Intent->Extent, RPL_MAX(Intent->Range, Intent->DataBytes));
    BOOLEAN names = Intent->NamesOnly;

    switch (Intent->Type)
    {
    case ReplRecordSetBasic:
    case ReplRecordSetSecurity:
    case ReplRecordSetEa:
        offset = length = 0;
        names = FALSE;
        break;
    default:
        break;
    }
    RplLostMark(Intent->SetId, Intent->FileId, offset, length, names);
}

_Use_decl_annotations_ VOID RplLostMarkHistory(BOOLEAN All)
{
    if (!All && RplRegionsFreeze())
    {
        Lost.Regions = RplRegionsDirty;
        return;
    }
    RplDirtyMarkAs(&Lost.Dirty, 0, NULL, REPL_DIRTY_WHOLE | REPL_DIRTY_NAMES);
}

static BOOLEAN RplLostIsEmpty(_In_ BOOLEAN Taken)
{
    RPL_DIRTY_COUNTS counts;

    RplDirtyCount(&Lost.Dirty, Taken, &counts);
    return counts.Files == 0 && counts.Sets == 0 &&
           (Taken ? Lost.Regions == RplRegionsNone : Lost.Regions != RplRegionsDirty);
}

BOOLEAN RplLostAllTaken(VOID)
{
    return !Stream.Lost && Stream.Unrecorded == 0 && RplLostIsEmpty(FALSE);
}

BOOLEAN RplLostNothing(VOID)
{
    return !Stream.Lost && Stream.Unrecorded == 0 && RplLostIsEmpty(TRUE);
}

VOID RplLostForget(VOID)
{
    RplDirtyForget(&Lost.Dirty);
    if (Lost.Regions == RplRegionsTaken)
    {
        Lost.Regions = RplRegionsNone;
        RplRegionsForget();
    }
}

VOID RplLostForgetAll(VOID)
{
    RplDirtyClear(&Lost.Dirty);
    Lost.Regions = RplRegionsNone;
    RplRegionsForget();
}

VOID RplLostReturn(VOID)
{
    KIRQL irql;

    RplDirtyRestore(&Lost.Dirty);
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Lost.Regions = Lost.Regions == RplRegionsTaken ? RplRegionsDirty : Lost.Regions;
    KeReleaseSpinLock(&Stream.Lock, irql);
}

_Use_decl_annotations_ VOID RplLostCount(UINT64 *Bytes, UINT32 *Files)
{
    RPL_DIRTY_COUNTS counts;

    RplDirtyCount(&Lost.Dirty, TRUE, &counts);
    *Bytes = counts.Bytes;
    *Files = counts.Files;
}

_Use_decl_annotations_ NTSTATUS RplTakeDirty(RPL_CALL *Call)
{
    REPL_DIRTY_FILE *item = Call->Buffer;
    ULONG capacity = (Call->OutputBytes - (ULONG)sizeof(*item)) / (ULONG)sizeof(REPL_DIRTY_RANGE);
    BOOLEAN ready, regions;
    UINT64 bracket;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    bracket = RplBracketLossy();
    ready = !Stream.Capturing ||
            (bracket != 0 && !Stream.Lost && Stream.Unrecorded == 0 && Stream.Completed >= bracket);
    regions = ready && Lost.Regions == RplRegionsDirty;
    if (regions)
    {
        Lost.Regions = RplRegionsTaken;
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (!ready)
    {
        return bracket != 0 || !RplLostIsEmpty(FALSE)
                   ? RplRefuse(Call, ReplRefusalBracket, STATUS_RETRY)
                   : STATUS_NO_MORE_ENTRIES;
    }
    if (regions)
    {
        RtlZeroMemory(item, sizeof(*item));
        item->Flags = REPL_DIRTY_REGION | REPL_DIRTY_NAMES;
        Call->Written = sizeof(*item);
        return STATUS_SUCCESS;
    }
    if (!RplDirtyTake(&Lost.Dirty, item, (REPL_DIRTY_RANGE *)(item + 1), capacity))
    {
        return STATUS_NO_MORE_ENTRIES;
    }
    Call->Written = (ULONG)(sizeof(*item) + item->RangeCount * (ULONG)sizeof(REPL_DIRTY_RANGE));
    return STATUS_SUCCESS;
}
