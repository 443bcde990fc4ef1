/*
 * What is dirty: see dirty.h.
 */
#include "dirtynode.h"

VOID RplDirtyInitialize(_Out_ RPL_DIRTY *Dirty, _In_reads_bytes_(Bytes) VOID *Memory,
                        _In_ SIZE_T Bytes)
{
    ULONG heads = 256;

    while (heads < MAXULONG / 2 && (SIZE_T)heads * 2 * sizeof(UINT32) <= Bytes / 32)
    {
        heads *= 2;
    }
    RtlZeroMemory(Dirty, sizeof(*Dirty));
    KeInitializeSpinLock(&Dirty->Lock);
    Dirty->Heads = Memory;
    Dirty->HeadMask = heads - 1;
    RtlZeroMemory(Dirty->Heads, heads * sizeof(UINT32));
    RplCellsInitialize(&Dirty->Cells, Dirty->Heads + heads, Bytes - heads * sizeof(UINT32));
    Dirty->SetCount = 1;
}

VOID RplDirtyMark(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId,
                  _In_reads_bytes_(16) const UINT8 *FileId, _In_ UINT64 Offset, _In_ UINT64 Length)
{
    UINT64 end = Offset + Length;
    KLOCK_QUEUE_HANDLE handle;
    RPL_DIRTY_SIDE *side;
    ULONG index;
    ULONG set;

    if (end < Offset || end > MAXLONGLONG)
    {
        end = (UINT64)MAXLONGLONG + 1;
    }
    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    set = RplSetIndex(Dirty, SetId);
    side = &Dirty->Sets[set].Side[RplDirtySide];
    RplDirtyBury(Dirty, RPL_BURY_AT_ONCE);
    if (set == 0)
    {
        RplSideFlag(Dirty, side, RPL_DIRTY_ALL);
    }
    else if ((side->Flags & REPL_DIRTY_WHOLE) == 0)
    {
        index = RplNodeTake(Dirty, set, RplDirtySide, FileId);
        if (index == RPL_CELL_NONE)
        {
            RplSideFlag(Dirty, side, RPL_DIRTY_ALL);
        }
        else if ((RplNode(Dirty, index)->Flags & REPL_DIRTY_WHOLE) == 0 && Offset < end)
        {
            RplNodeAdd(Dirty, RplNode(Dirty, index), Offset / REPL_DIRTY_BLOCK,
                       (end - 1) / REPL_DIRTY_BLOCK + 1);
        }
    }
    KeReleaseInStackQueuedSpinLock(&handle);
}

VOID RplDirtyMarkAs(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId,
                    _In_reads_bytes_opt_(16) const UINT8 *FileId, _In_ UINT32 Flags)
{
    KLOCK_QUEUE_HANDLE handle;
    RPL_DIRTY_SIDE *side;
    ULONG index;
    ULONG set;

    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    set = RplSetIndex(Dirty, SetId);
    side = &Dirty->Sets[set].Side[RplDirtySide];
    RplDirtyBury(Dirty, RPL_BURY_AT_ONCE);
    if (set == 0)
    {
        RplSideFlag(Dirty, side, RPL_DIRTY_ALL);
    }
    else if (FileId == NULL)
    {
        RplSideFlag(Dirty, side, Flags);
    }
    else if ((Flags & ~side->Flags) != 0)
    {
        index = RplNodeTake(Dirty, set, RplDirtySide, FileId);
        if (index == RPL_CELL_NONE)
        {
            RplSideFlag(Dirty, side, RPL_DIRTY_ALL);
        }
        else
        {
            RplNode(Dirty, index)->Flags |= (UINT16)Flags;
            if ((Flags & REPL_DIRTY_WHOLE) != 0)
            {
                RplNodeWhole(Dirty, RplNode(Dirty, index));
            }
        }
    }
    KeReleaseInStackQueuedSpinLock(&handle);
}

/* What of the set as a whole is dirty. */
static BOOLEAN RplSetTake(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_SET *Set,
                          _Out_ REPL_DIRTY_FILE *Item)
{
    UINT32 flags = Set->Side[RplDirtySide].Flags;

    if (flags == 0)
    {
        return FALSE;
    }
    Set->Side[RplDirtySide].Flags = 0;
    RplSideFlag(Dirty, &Set->Side[RplTakenSide], flags);
    RtlZeroMemory(Item, sizeof(*Item));
    Item->SetId = Set->SetId;
    Item->Flags = flags;
    return TRUE;
}

/* A part of a file's blocks, those in Ranges, are taken; what is below End. */
static VOID RplNodeDivide(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index,
                          _In_reads_(Count) const REPL_DIRTY_RANGE *Ranges, _In_ ULONG Count,
                          _In_ UINT64 End)
{
    RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    RPL_DIRTY_SIDE *side = &Dirty->Sets[node->Set].Side[RplTakenSide];
    ULONG taken = RPL_CELL_NONE;

    if (side->Flags != RPL_DIRTY_ALL)
    {
        taken = RplNodeTake(Dirty, node->Set, RplTakenSide, node->FileId);
    }
    if (taken == RPL_CELL_NONE)
    {
        RplSideFlag(Dirty, side, RPL_DIRTY_ALL);
    }
    for (ULONG i = 0; taken != RPL_CELL_NONE && i < Count; i++)
    {
        UINT64 first = Ranges[i].Offset / REPL_DIRTY_BLOCK;

        if ((RplNode(Dirty, taken)->Flags & REPL_DIRTY_WHOLE) == 0)
        {
            RplNodeAdd(Dirty, RplNode(Dirty, taken), first,
                       first + Ranges[i].Length / REPL_DIRTY_BLOCK);
        }
    }
    RplNodeRemoveBelow(Dirty, node, End);
}

static VOID RplNodeTakeRanges(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index,
                              _Inout_ REPL_DIRTY_FILE *Item,
                              _Out_writes_(Capacity) REPL_DIRTY_RANGE *Ranges, _In_ ULONG Capacity)
{
    const RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    UINT64 first = 0;
    UINT64 taken = 0;
    UINT64 end;

    while (RplNodeNext(Dirty, node, &first, &end))
    {
        if (Item->RangeCount == Capacity)
        {
            RplNodeDivide(Dirty, Index, Ranges, Capacity, taken);
            return;
        }
        Ranges[Item->RangeCount].Offset = first * REPL_DIRTY_BLOCK;
        Ranges[Item->RangeCount].Length = (end - first) * REPL_DIRTY_BLOCK;
        Item->RangeCount += 1;
        first = end;
        taken = end;
    }
    RplNodeMove(Dirty, Index, RplTakenSide);
}

_Success_(return) BOOLEAN
    RplDirtyTake(_Inout_ RPL_DIRTY *Dirty, _Out_ REPL_DIRTY_FILE *Item,
                 _Out_writes_(Capacity) REPL_DIRTY_RANGE *Ranges, _In_ ULONG Capacity)
{
    KLOCK_QUEUE_HANDLE handle;
    BOOLEAN found = FALSE;

    NT_ASSERT(Capacity != 0);
    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    for (ULONG i = 0; i < Dirty->SetCount && !found; i++)
    {
        found = RplSetTake(Dirty, &Dirty->Sets[i], Item);
    }
    for (ULONG i = 0; i < Dirty->SetCount && !found; i++)
    {
        ULONG index = Dirty->Sets[i].Side[RplDirtySide].First;

        found = index != RPL_CELL_NONE;
        if (found)
        {
            RtlZeroMemory(Item, sizeof(*Item));
            RtlCopyMemory(Item->FileId, RplNode(Dirty, index)->FileId, sizeof(Item->FileId));
            Item->SetId = Dirty->Sets[i].SetId;
            Item->Flags = RplNode(Dirty, index)->Flags;
            RplNodeTakeRanges(Dirty, index, Item, Ranges, Capacity);
        }
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    return found;
}

VOID RplDirtyForget(_Inout_ RPL_DIRTY *Dirty)
{
    KLOCK_QUEUE_HANDLE handle;
    BOOLEAN more;

    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    for (ULONG i = 0; i < Dirty->SetCount; i++)
    {
        Dirty->Sets[i].Side[RplTakenSide].Flags = 0;
        RplSideKill(Dirty, &Dirty->Sets[i].Side[RplTakenSide]);
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    do
    {
        KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
        RplDirtyBury(Dirty, RPL_BURY_AT_REST);
        more = Dirty->Dead != RPL_CELL_NONE;
        KeReleaseInStackQueuedSpinLock(&handle);
    } while (more);
}

VOID RplDirtyRestore(_Inout_ RPL_DIRTY *Dirty)
{
    KLOCK_QUEUE_HANDLE handle;

    for (ULONG i = 0; i < RPL_DIRTY_SETS; i++)
    {
        RPL_DIRTY_SIDE *side = &Dirty->Sets[i].Side[RplTakenSide];
        BOOLEAN more = TRUE;

        while (more)
        {
            KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
            RplSideFlag(Dirty, &Dirty->Sets[i].Side[RplDirtySide], side->Flags);
            side->Flags = 0;
            if (side->First != RPL_CELL_NONE)
            {
                RplNodeMove(Dirty, side->First, RplDirtySide);
            }
            more = side->First != RPL_CELL_NONE;
            KeReleaseInStackQueuedSpinLock(&handle);
        }
    }
}

VOID RplDirtyClear(_Inout_ RPL_DIRTY *Dirty)
{
    KLOCK_QUEUE_HANDLE handle;
    RPL_CELLS *cells = &Dirty->Cells;

    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    RtlZeroMemory(Dirty->Heads, ((SIZE_T)Dirty->HeadMask + 1) * sizeof(UINT32));
    RtlZeroMemory(Dirty->Sets, sizeof(Dirty->Sets));
    Dirty->SetCount = 1;
    Dirty->Dead = RPL_CELL_NONE;
    RplCellsInitialize(cells, cells->Cell, (SIZE_T)cells->Count * sizeof(RPL_CELL));
    KeReleaseInStackQueuedSpinLock(&handle);
}

static VOID RplSideCount(_In_ const RPL_DIRTY_SIDE *Side, _Inout_ RPL_DIRTY_COUNTS *Counts)
{
    Counts->Bytes += Side->Blocks * REPL_DIRTY_BLOCK;
    Counts->Files += Side->Files;
    Counts->Sets += Side->Flags != 0;
}

VOID RplDirtyCount(_Inout_ RPL_DIRTY *Dirty, _In_ BOOLEAN Taken, _Out_ RPL_DIRTY_COUNTS *Counts)
{
    KLOCK_QUEUE_HANDLE handle;

    RtlZeroMemory(Counts, sizeof(*Counts));
    KeAcquireInStackQueuedSpinLock(&Dirty->Lock, &handle);
    for (ULONG i = 0; i < Dirty->SetCount; i++)
    {
        RplSideCount(&Dirty->Sets[i].Side[RplDirtySide], Counts);
        if (Taken)
        {
            RplSideCount(&Dirty->Sets[i].Side[RplTakenSide], Counts);
        }
    }
    KeReleaseInStackQueuedSpinLock(&handle);
}
