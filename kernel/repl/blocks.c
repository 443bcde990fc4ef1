/*
 * Sets of blocks: see blocks.h.
 *
 * A tree is worked on by way of slots: the root's, or a child's in its cell. Numbers of blocks are
 * relative to what the slot stands for. Depth is at most nine, so functions may call themselves.
 */
#include "blocks.h"

#define RPL_WORDS (RPL_LEAF_BLOCKS / 64)

C_ASSERT(RPL_CELL_CHILDREN == 32 && RPL_LEAF_BLOCKS == 1024);

/* How many blocks a slot of this height stands for. */
FORCEINLINE UINT64 RplSpan(_In_ ULONG Height)
{
    return 1ull << (10 + 5 * Height);
}

/* Bits that are set: pairs, fours, eights, then all by a product. */
FORCEINLINE ULONG RplBitCount(_In_ UINT64 Word)
{
    Word -= Word >> 1 & 0x5555555555555555ull;
    Word = (Word & 0x3333333333333333ull) + (Word >> 2 & 0x3333333333333333ull);
    Word = (Word + (Word >> 4)) & 0x0F0F0F0F0F0F0F0Full;
    return (ULONG)(Word * 0x0101010101010101ull >> 56);
}

/* Bits From .. To - 1 of a word, From < To <= 64. */
FORCEINLINE UINT64 RplBitMask(_In_ ULONG From, _In_ ULONG To)
{
    return (~0ull >> (64 - (To - From))) << From;
}

VOID RplCellsInitialize(_Out_ RPL_CELLS *Cells, _In_reads_bytes_(Bytes) VOID *Memory,
                        _In_ SIZE_T Bytes)
{
    SIZE_T count = Bytes / sizeof(RPL_CELL);

    RtlZeroMemory(Cells, sizeof(*Cells));
    Cells->Cell = Memory;
    Cells->Count = count < RPL_CELL_FULL ? (ULONG)count : RPL_CELL_FULL;
    Cells->Untouched = 1;
}

static VOID RplCellPush(_Inout_ RPL_CELLS *Cells, _In_ ULONG Index, _In_ ULONG Height)
{
    RPL_CELL *cell = &Cells->Cell[Index];

    cell->Blocks = Height;
    cell->Next = Cells->Free;
    Cells->Free = Index;
}

ULONG RplCellAllocate(_Inout_ RPL_CELLS *Cells, _In_ BOOLEAN Tree)
{
    ULONG index = Cells->Free;
    RPL_CELL *cell;

    if (Tree && Cells->TreeUsed >= Cells->Count / 4 * 3)
    {
        return RPL_CELL_NONE;
    }
    if (index == RPL_CELL_NONE)
    {
        if (Cells->Untouched >= Cells->Count)
        {
            return RPL_CELL_NONE;
        }
        index = Cells->Untouched;
        Cells->Untouched += 1;
        cell = &Cells->Cell[index];
    }
    else
    {
        cell = &Cells->Cell[index];
        Cells->Free = cell->Next;
        for (ULONG i = 0; cell->Blocks != 0 && i < RPL_CELL_CHILDREN; i++)
        {
            if (cell->Child[i] != RPL_CELL_NONE && cell->Child[i] != RPL_CELL_FULL)
            {
                RplCellPush(Cells, cell->Child[i], (ULONG)cell->Blocks - 1);
            }
        }
    }
    RtlZeroMemory(cell, sizeof(*cell));
    cell->Cells = 1;
    Cells->Used += 1;
    Cells->TreeUsed += Tree ? 1 : 0;
    return index;
}

VOID RplCellFree(_Inout_ RPL_CELLS *Cells, _In_ ULONG Index)
{
    Cells->Used -= 1;
    RplCellPush(Cells, Index, 0);
}

static BOOLEAN RplIsCell(_In_ UINT32 Slot)
{
    return Slot != RPL_CELL_NONE && Slot != RPL_CELL_FULL;
}

static UINT64 RplSlotBlocks(_In_ const RPL_CELLS *Cells, _In_ UINT32 Slot, _In_ ULONG Height)
{
    if (Slot == RPL_CELL_FULL)
    {
        return RplSpan(Height);
    }
    return Slot == RPL_CELL_NONE ? 0 : Cells->Cell[Slot].Blocks;
}

static ULONG RplSlotCells(_In_ const RPL_CELLS *Cells, _In_ UINT32 Slot)
{
    return RplIsCell(Slot) ? Cells->Cell[Slot].Cells : 0;
}

static VOID RplSlotFree(_Inout_ RPL_CELLS *Cells, _Inout_ UINT32 *Slot, _In_ ULONG Height)
{
    if (RplIsCell(*Slot))
    {
        Cells->Used -= Cells->Cell[*Slot].Cells;
        Cells->TreeUsed -= Cells->Cell[*Slot].Cells;
        RplCellPush(Cells, *Slot, Height);
    }
    *Slot = RPL_CELL_NONE;
}

/* A cell that has become full or empty is no longer needed. Its children, if any, are gone. */
static VOID RplSlotSettle(_Inout_ RPL_CELLS *Cells, _Inout_ UINT32 *Slot, _In_ ULONG Height)
{
    RPL_CELL *cell = &Cells->Cell[*Slot];

    if (cell->Blocks == RplSpan(Height) || cell->Blocks == 0)
    {
        UINT32 left = cell->Blocks == 0 ? RPL_CELL_NONE : RPL_CELL_FULL;

        RplSlotFree(Cells, Slot, 0);
        *Slot = left;
    }
}

UINT64 RplBlocksCount(_In_ const RPL_CELLS *Cells, _In_ const RPL_BLOCKS *Blocks)
{
    return RplSlotBlocks(Cells, Blocks->Root, Blocks->Height);
}

VOID RplBlocksFree(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks)
{
    RplSlotFree(Cells, &Blocks->Root, Blocks->Height);
    Blocks->Height = 0;
}

/* The root's slot stands for Height or more from now on. */
static BOOLEAN RplBlocksGrow(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks,
                             _In_ ULONG Height)
{
    while (Blocks->Height < Height)
    {
        if (Blocks->Root != RPL_CELL_NONE)
        {
            ULONG index = RplCellAllocate(Cells, TRUE);
            RPL_CELL *cell = &Cells->Cell[index];

            if (index == RPL_CELL_NONE)
            {
                return FALSE;
            }
            cell->Child[0] = Blocks->Root;
            cell->Blocks = RplBlocksCount(Cells, Blocks);
            cell->Cells += RplSlotCells(Cells, Blocks->Root);
            Blocks->Root = index;
        }
        Blocks->Height += 1;
    }
    return TRUE;
}

static VOID RplLeafAdd(_Inout_ RPL_CELL *Leaf, _In_ ULONG First, _In_ ULONG End)
{
    while (First < End)
    {
        UINT64 *word = &Leaf->Bits[First / 64];
        ULONG to = End - First / 64 * 64 < 64 ? End - First / 64 * 64 : 64;
        UINT64 added = RplBitMask(First % 64, to) & ~*word;

        *word |= added;
        Leaf->Blocks += RplBitCount(added);
        First = (First / 64 + 1) * 64;
    }
}

static BOOLEAN RplSlotAdd(_Inout_ RPL_CELLS *Cells, _Inout_ UINT32 *Slot, _In_ ULONG Height,
                          _In_ UINT64 First, _In_ UINT64 End)
{
    BOOLEAN done = TRUE;
    RPL_CELL *cell;
    UINT64 span;

    if (*Slot == RPL_CELL_FULL)
    {
        return TRUE;
    }
    if (First == 0 && End == RplSpan(Height))
    {
        RplSlotFree(Cells, Slot, Height);
        *Slot = RPL_CELL_FULL;
        return TRUE;
    }
    if (*Slot == RPL_CELL_NONE)
    {
        *Slot = RplCellAllocate(Cells, TRUE);
        if (*Slot == RPL_CELL_NONE)
        {
            return FALSE;
        }
    }

    cell = &Cells->Cell[*Slot];
    if (Height == 0)
    {
        RplLeafAdd(cell, (ULONG)First, (ULONG)End);
        RplSlotSettle(Cells, Slot, Height);
        return TRUE;
    }
    span = RplSpan(Height - 1);
    while (First < End && done)
    {
        UINT32 *child = &cell->Child[First / span];
        UINT64 base = First / span * span;
        UINT64 to = End - base < span ? End - base : span;
        UINT64 blocks = RplSlotBlocks(Cells, *child, Height - 1);
        ULONG cells = RplSlotCells(Cells, *child);

        done = RplSlotAdd(Cells, child, Height - 1, First - base, to);
        cell->Blocks += RplSlotBlocks(Cells, *child, Height - 1) - blocks;
        cell->Cells += RplSlotCells(Cells, *child) - cells;
        First = base + span;
    }
    RplSlotSettle(Cells, Slot, Height);
    return done;
}

_Success_(return) BOOLEAN RplBlocksAdd(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks,
                                       _In_ UINT64 First, _In_ UINT64 End)
{
    ULONG height = Blocks->Height;

    NT_ASSERT(End <= RPL_BLOCKS_END);
    if (First >= End)
    {
        return TRUE;
    }
    while (RplSpan(height) < End)
    {
        height += 1;
    }
    return RplBlocksGrow(Cells, Blocks, height) &&
           RplSlotAdd(Cells, &Blocks->Root, Blocks->Height, First, End);
}

static VOID RplSlotRemoveBelow(_Inout_ RPL_CELLS *Cells, _Inout_ UINT32 *Slot, _In_ ULONG Height,
                               _In_ UINT64 End)
{
    RPL_CELL *cell;
    UINT64 span;

    if (End >= RplSpan(Height))
    {
        RplSlotFree(Cells, Slot, Height);
        return;
    }
    if (*Slot == RPL_CELL_NONE || End == 0)
    {
        return;
    }
    NT_ASSERT(*Slot != RPL_CELL_FULL);
    cell = &Cells->Cell[*Slot];
    if (Height == 0)
    {
        for (ULONG i = 0; i < RPL_WORDS && 64 * i < End; i++)
        {
            UINT64 mask = End - 64 * i < 64 ? RplBitMask(0, (ULONG)End - 64 * i) : ~0ull;

            cell->Blocks -= RplBitCount(cell->Bits[i] & mask);
            cell->Bits[i] &= ~mask;
        }
        RplSlotSettle(Cells, Slot, Height);
        return;
    }
    span = RplSpan(Height - 1);
    for (ULONG i = 0; i < RPL_CELL_CHILDREN && i * span < End; i++)
    {
        UINT64 blocks = RplSlotBlocks(Cells, cell->Child[i], Height - 1);
        ULONG cells = RplSlotCells(Cells, cell->Child[i]);

        RplSlotRemoveBelow(Cells, &cell->Child[i], Height - 1, End - i * span);
        cell->Blocks -= blocks - RplSlotBlocks(Cells, cell->Child[i], Height - 1);
        cell->Cells -= cells - RplSlotCells(Cells, cell->Child[i]);
    }
    RplSlotSettle(Cells, Slot, Height);
}

VOID RplBlocksRemoveBelow(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks, _In_ UINT64 End)
{
    RplSlotRemoveBelow(Cells, &Blocks->Root, Blocks->Height, End);
}

/* Both of Height; *From is empty afterwards. */
static VOID RplSlotUnite(_Inout_ RPL_CELLS *Cells, _Inout_ UINT32 *Into, _Inout_ UINT32 *From,
                         _In_ ULONG Height)
{
    RPL_CELL *into;
    RPL_CELL *from;

    if (*Into == RPL_CELL_NONE || *From == RPL_CELL_FULL)
    {
        UINT32 taken = *From;

        *From = RPL_CELL_NONE;
        RplSlotFree(Cells, Into, Height);
        *Into = taken;
        return;
    }
    if (*From == RPL_CELL_NONE || *Into == RPL_CELL_FULL)
    {
        RplSlotFree(Cells, From, Height);
        return;
    }
    into = &Cells->Cell[*Into];
    from = &Cells->Cell[*From];
    if (Height == 0)
    {
        for (ULONG i = 0; i < RPL_WORDS; i++)
        {
            into->Blocks += RplBitCount(from->Bits[i] & ~into->Bits[i]);
            into->Bits[i] |= from->Bits[i];
        }
    }
    else
    {
        for (ULONG i = 0; i < RPL_CELL_CHILDREN; i++)
        {
            UINT64 blocks = RplSlotBlocks(Cells, into->Child[i], Height - 1);
            ULONG cells = RplSlotCells(Cells, into->Child[i]);

            from->Cells -= RplSlotCells(Cells, from->Child[i]);
            RplSlotUnite(Cells, &into->Child[i], &from->Child[i], Height - 1);
            into->Blocks += RplSlotBlocks(Cells, into->Child[i], Height - 1) - blocks;
            into->Cells += RplSlotCells(Cells, into->Child[i]) - cells;
        }
    }
    RplSlotFree(Cells, From, 0);
    RplSlotSettle(Cells, Into, Height);
}

_Success_(return) BOOLEAN
    RplBlocksUnite(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Into, _Inout_ RPL_BLOCKS *From)
{
    if (!RplBlocksGrow(Cells, Into, From->Height) || !RplBlocksGrow(Cells, From, Into->Height))
    {
        return FALSE;
    }
    RplSlotUnite(Cells, &Into->Root, &From->Root, Into->Height);
    From->Height = 0;
    return TRUE;
}

/* The first block at or after From that is in the set (Wanted) or is not; the span if there is
 * none. */
static UINT64 RplSlotFind(_In_ const RPL_CELLS *Cells, _In_ UINT32 Slot, _In_ ULONG Height,
                          _In_ UINT64 From, _In_ BOOLEAN Wanted)
{
    UINT64 end = RplSpan(Height);
    const RPL_CELL *cell;
    UINT64 span;

    if (!RplIsCell(Slot))
    {
        return (Slot == RPL_CELL_FULL) == Wanted ? From : end;
    }
    cell = &Cells->Cell[Slot];
    if (Height == 0)
    {
        for (ULONG i = (ULONG)From / 64; i < RPL_WORDS; i++)
        {
            UINT64 word = Wanted ? cell->Bits[i] : ~cell->Bits[i];
            ULONG bit;

            if (i == From / 64)
            {
                word &= ~0ull << From % 64;
            }
            if (BitScanForward64(&bit, word))
            {
                return 64 * i + bit;
            }
        }
        return end;
    }
    span = RplSpan(Height - 1);
    while (From < end)
    {
        UINT64 base = From / span * span;
        UINT64 found =
            RplSlotFind(Cells, cell->Child[From / span], Height - 1, From - base, Wanted);

        if (found < span)
        {
            return base + found;
        }
        From = base + span;
    }
    return end;
}

_Success_(return) BOOLEAN RplBlocksNext(_In_ const RPL_CELLS *Cells, _In_ const RPL_BLOCKS *Blocks,
                                        _Inout_ UINT64 *First, _Out_ UINT64 *End)
{
    UINT64 span = RplSpan(Blocks->Height);
    UINT64 first = span;

    if (*First < span)
    {
        first = RplSlotFind(Cells, Blocks->Root, Blocks->Height, *First, TRUE);
    }
    *End = first;
    if (first == span)
    {
        return FALSE;
    }
    *First = first;
    *End = RplSlotFind(Cells, Blocks->Root, Blocks->Height, first, FALSE);
    return TRUE;
}
