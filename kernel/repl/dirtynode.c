/*
 * Files that are dirty or taken: see dirtynode.h.
 */
#include "dirtynode.h"

/* Blocks of a file, the inline ones included. */
static UINT64 RplNodeBlocks(_In_ RPL_DIRTY *Dirty, _In_ const RPL_DIRTY_NODE *Node)
{
    UINT64 count = RplBlocksCount(&Dirty->Cells, &Node->Blocks);

    for (ULONG i = 0; i < RTL_NUMBER_OF(Node->Inline); i++)
    {
        for (UINT64 word = Node->Inline[i]; word != 0; word &= word - 1)
        {
            count += 1;
        }
    }
    return count;
}

static UINT32 *RplHead(_In_ RPL_DIRTY *Dirty, _In_ const UINT8 *FileId)
{
    UINT64 words[2];
    UINT64 hash;

    RtlCopyMemory(words, FileId, sizeof(words));
    hash = (words[0] ^ (words[1] << 32 | words[1] >> 32)) * 0x9E3779B97F4A7C15ull;
    return &Dirty->Heads[(ULONG)(hash >> 32) & Dirty->HeadMask];
}

/* Lists and chains */

static VOID RplNodeLink(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index)
{
    RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    RPL_DIRTY_SIDE *side = RplSideOf(Dirty, node);

    node->Generation = side->Generation;
    node->Previous = side->Last;
    Dirty->Cells.Cell[Index].Next = RPL_CELL_NONE;
    if (side->Last == RPL_CELL_NONE)
    {
        side->First = Index;
    }
    else
    {
        Dirty->Cells.Cell[side->Last].Next = Index;
    }
    side->Last = Index;
    side->Files += 1;
    side->Blocks += RplNodeBlocks(Dirty, node);
}

static VOID RplNodeUnlink(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index)
{
    RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    RPL_DIRTY_SIDE *side = RplSideOf(Dirty, node);
    ULONG next = Dirty->Cells.Cell[Index].Next;

    if (node->Previous == RPL_CELL_NONE)
    {
        side->First = next;
    }
    else
    {
        Dirty->Cells.Cell[node->Previous].Next = next;
    }
    if (next == RPL_CELL_NONE)
    {
        side->Last = node->Previous;
    }
    else
    {
        RplNode(Dirty, next)->Previous = node->Previous;
    }
    side->Files -= 1;
    side->Blocks -= RplNodeBlocks(Dirty, node);
}

/* Out of its chain, and its memory free. It is in no list. */
static VOID RplNodeFree(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index)
{
    RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    UINT32 *link = RplHead(Dirty, node->FileId);

    while (*link != Index)
    {
        link = &RplNode(Dirty, *link)->Chain;
    }
    *link = node->Chain;
    RplBlocksFree(&Dirty->Cells, &node->Blocks);
    RplCellFree(&Dirty->Cells, Index);
}

VOID RplDirtyBury(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Most)
{
    for (; Most != 0 && Dirty->Dead != RPL_CELL_NONE; Most--)
    {
        ULONG index = Dirty->Dead;

        Dirty->Dead = Dirty->Cells.Cell[index].Next;
        RplNodeFree(Dirty, index);
    }
}

VOID RplSideKill(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_SIDE *Side)
{
    if (Side->First != RPL_CELL_NONE)
    {
        Dirty->Cells.Cell[Side->Last].Next = Dirty->Dead;
        Dirty->Dead = Side->First;
    }
    Side->Generation += 1;
    Side->First = RPL_CELL_NONE;
    Side->Last = RPL_CELL_NONE;
    Side->Files = 0;
    Side->Blocks = 0;
}

VOID RplSideFlag(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_SIDE *Side, _In_ UINT32 Flags)
{
    Side->Flags |= Flags;
    if (Side->Flags == RPL_DIRTY_ALL)
    {
        RplSideKill(Dirty, Side);
    }
}

static BOOLEAN RplSetIsFree(_In_ const RPL_DIRTY_SET *Set)
{
    return Set->Side[0].Flags == 0 && Set->Side[1].Flags == 0 && Set->Side[0].Files == 0 &&
           Set->Side[1].Files == 0;
}

ULONG RplSetIndex(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId)
{
    ULONG free = 0;

    for (ULONG i = 0; i < Dirty->SetCount; i++)
    {
        if (Dirty->Sets[i].SetId == SetId)
        {
            return i;
        }
        if (i != 0 && free == 0 && RplSetIsFree(&Dirty->Sets[i]))
        {
            free = i;
        }
    }
    if (free == 0 && Dirty->SetCount < RPL_DIRTY_SETS)
    {
        free = Dirty->SetCount;
        Dirty->SetCount += 1;
    }
    if (free != 0)
    {
        Dirty->Sets[free].SetId = SetId;
    }
    return free;
}

static ULONG RplNodeFind(_In_ RPL_DIRTY *Dirty, _In_ ULONG Set, _In_ ULONG Side,
                         _In_ const UINT8 *FileId)
{
    ULONG index = *RplHead(Dirty, FileId);

    while (index != RPL_CELL_NONE)
    {
        RPL_DIRTY_NODE *node = RplNode(Dirty, index);

        if (node->Set == Set && node->Side == Side &&
            node->Generation == RplSideOf(Dirty, node)->Generation &&
            RtlEqualMemory(node->FileId, FileId, sizeof(node->FileId)))
        {
            return index;
        }
        index = node->Chain;
    }
    return RPL_CELL_NONE;
}

ULONG RplNodeTake(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Set, _In_ ULONG Side,
                  _In_ const UINT8 *FileId)
{
    ULONG index = RplNodeFind(Dirty, Set, Side, FileId);
    RPL_DIRTY_NODE *node;
    UINT32 *head;

    if (index != RPL_CELL_NONE)
    {
        return index;
    }
    RplDirtyBury(Dirty, RPL_BURY_AT_ONCE);
    index = RplCellAllocate(&Dirty->Cells, FALSE);
    if (index == RPL_CELL_NONE)
    {
        return index;
    }
    head = RplHead(Dirty, FileId);
    node = RplNode(Dirty, index);
    RtlCopyMemory(node->FileId, FileId, sizeof(node->FileId));
    node->Set = (UINT8)Set;
    node->Side = (UINT8)Side;
    node->Chain = *head;
    *head = index;
    RplNodeLink(Dirty, index);
    return index;
}

VOID RplNodeWhole(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node)
{
    RplSideOf(Dirty, Node)->Blocks -= RplNodeBlocks(Dirty, Node);
    Node->Flags |= REPL_DIRTY_WHOLE;
    RtlZeroMemory(Node->Inline, sizeof(Node->Inline));
    RplBlocksFree(&Dirty->Cells, &Node->Blocks);
}

VOID RplNodeAdd(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node, _In_ UINT64 First,
                _In_ UINT64 End)
{
    RPL_DIRTY_SIDE *side = RplSideOf(Dirty, Node);
    UINT64 before = RplBlocksCount(&Dirty->Cells, &Node->Blocks);
    BOOLEAN done;

    for (; First < End && First < RPL_DIRTY_INLINE; First++)
    {
        UINT64 bit = 1ull << First % 64;

        side->Blocks += (Node->Inline[First / 64] & bit) == 0;
        Node->Inline[First / 64] |= bit;
    }
    done = RplBlocksAdd(&Dirty->Cells, &Node->Blocks, First, End);
    side->Blocks += RplBlocksCount(&Dirty->Cells, &Node->Blocks) - before;
    if (!done)
    {
        RplNodeWhole(Dirty, Node);
    }
}

VOID RplNodeRemoveBelow(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node, _In_ UINT64 End)
{
    RPL_DIRTY_SIDE *side = RplSideOf(Dirty, Node);

    side->Blocks -= RplNodeBlocks(Dirty, Node);
    for (UINT64 i = 0; i < End && i < RPL_DIRTY_INLINE; i++)
    {
        Node->Inline[i / 64] &= ~(1ull << i % 64);
    }
    RplBlocksRemoveBelow(&Dirty->Cells, &Node->Blocks, End);
    side->Blocks += RplNodeBlocks(Dirty, Node);
}

/* The first inline block at or after From that is marked (Wanted) or is not; or the end of them. */
static UINT64 RplInlineFind(_In_ const RPL_DIRTY_NODE *Node, _In_ UINT64 From, _In_ BOOLEAN Wanted)
{
    while (From < RPL_DIRTY_INLINE && (Node->Inline[From / 64] >> From % 64 & 1) != Wanted)
    {
        From += 1;
    }
    return From;
}

_Success_(return) BOOLEAN RplNodeNext(_In_ RPL_DIRTY *Dirty, _In_ const RPL_DIRTY_NODE *Node,
                                      _Inout_ UINT64 *First, _Out_ UINT64 *End)
{
    UINT64 first = *First < RPL_DIRTY_INLINE ? RplInlineFind(Node, *First, TRUE) : *First;
    UINT64 next;

    if (first < RPL_DIRTY_INLINE)
    {
        *First = first;
        *End = RplInlineFind(Node, first, FALSE);
        next = RPL_DIRTY_INLINE;
        if (*End == RPL_DIRTY_INLINE &&
            RplBlocksNext(&Dirty->Cells, &Node->Blocks, &next, &first) && next == RPL_DIRTY_INLINE)
        {
            *End = first;
        }
        return TRUE;
    }
    *First = first;
    return RplBlocksNext(&Dirty->Cells, &Node->Blocks, First, End);
}

/* What From has, Into has, too; From has none then. Both of one side's file. */
static VOID RplNodeUnite(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Into,
                         _Inout_ RPL_DIRTY_NODE *From)
{
    RPL_DIRTY_SIDE *side = RplSideOf(Dirty, Into);

    if (((Into->Flags | From->Flags) & REPL_DIRTY_WHOLE) != 0)
    {
        RplNodeWhole(Dirty, Into);
    }
    else
    {
        BOOLEAN done;

        side->Blocks -= RplNodeBlocks(Dirty, Into);
        for (ULONG i = 0; i < RTL_NUMBER_OF(Into->Inline); i++)
        {
            Into->Inline[i] |= From->Inline[i];
        }
        done = RplBlocksUnite(&Dirty->Cells, &Into->Blocks, &From->Blocks);
        side->Blocks += RplNodeBlocks(Dirty, Into);
        if (!done)
        {
            RplNodeWhole(Dirty, Into);
        }
    }
    Into->Flags |= From->Flags;
}

VOID RplNodeMove(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index, _In_ ULONG Side)
{
    RPL_DIRTY_NODE *node = RplNode(Dirty, Index);
    ULONG other = RplNodeFind(Dirty, node->Set, Side, node->FileId);

    RplNodeUnlink(Dirty, Index);
    if (Dirty->Sets[node->Set].Side[Side].Flags == RPL_DIRTY_ALL)
    {
        RplNodeFree(Dirty, Index);
    }
    else if (other == RPL_CELL_NONE)
    {
        node->Side = (UINT8)Side;
        RplNodeLink(Dirty, Index);
    }
    else
    {
        RplNodeUnite(Dirty, RplNode(Dirty, other), node);
        RplNodeFree(Dirty, Index);
    }
}
