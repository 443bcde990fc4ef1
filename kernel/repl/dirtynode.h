/*
 * Files that are dirty or taken: the pieces under dirty.c.
 *
 * A file is a cell whose bytes are an RPL_DIRTY_NODE. It is in the chain of its hash, and in the
 * list of its set's side or, dead, in the list of those to be buried. All of these are called with
 * the lock held.
 */
#pragma once

#include "dirty.h"

enum
{
    RplDirtySide = 0,
    RplTakenSide = 1
};

typedef struct RPL_DIRTY_NODE
{
    UINT8 FileId[16];
    UINT64 Inline[RPL_DIRTY_INLINE / 64];
    RPL_BLOCKS Blocks; /* from RPL_DIRTY_INLINE on */
    UINT32 Chain;
    ULONG Previous; /* in the list of the side; RPL_CELL's Next is the other link */
    ULONG Generation;
    UINT16 Flags; /* REPL_DIRTY_* */
    UINT8 Set;    /* index */
    UINT8 Side;
} RPL_DIRTY_NODE;

C_ASSERT(sizeof(RPL_DIRTY_NODE) <= RTL_FIELD_SIZE(RPL_CELL, Bytes));

/* How many dead files whoever marks buries, and whoever has made them. */
#define RPL_BURY_AT_ONCE 2
#define RPL_BURY_AT_REST 64
#define RPL_DIRTY_ALL    (REPL_DIRTY_WHOLE | REPL_DIRTY_NAMES)

FORCEINLINE RPL_DIRTY_NODE *RplNode(_In_ RPL_DIRTY *Dirty, _In_ ULONG Index)
{
    return (RPL_DIRTY_NODE *)Dirty->Cells.Cell[Index].Bytes;
}

FORCEINLINE RPL_DIRTY_SIDE *RplSideOf(_In_ RPL_DIRTY *Dirty, _In_ const RPL_DIRTY_NODE *Node)
{
    return &Dirty->Sets[Node->Set].Side[Node->Side];
}

/* Frees the memory of so many dead files at most. */
VOID RplDirtyBury(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Most);

/* All files of a set's side are dead. */
VOID RplSideKill(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_SIDE *Side);

/* Adds to the set's own flags; all of it makes its files superfluous. */
VOID RplSideFlag(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_SIDE *Side, _In_ UINT32 Flags);

/* The index of a set, which gets an entry if it has none; 0, that of everything, if there is none
 * left. */
ULONG RplSetIndex(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId);

/* The file's node, new if there was none; RPL_CELL_NONE: no memory. */
ULONG RplNodeTake(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Set, _In_ ULONG Side,
                  _In_ const UINT8 *FileId);

/* The file counts as dirty as a whole. */
VOID RplNodeWhole(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node);

/* Adds [First, End), or makes it whole if there is no memory. It is not whole yet. */
VOID RplNodeAdd(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node, _In_ UINT64 First,
                _In_ UINT64 End);

/* Removes all below End, where a run ends. */
VOID RplNodeRemoveBelow(_Inout_ RPL_DIRTY *Dirty, _Inout_ RPL_DIRTY_NODE *Node, _In_ UINT64 End);

/* The first run of blocks at or after *First: [*First, *End). */
_Success_(return) BOOLEAN RplNodeNext(_In_ RPL_DIRTY *Dirty, _In_ const RPL_DIRTY_NODE *Node,
                                      _Inout_ UINT64 *First, _Out_ UINT64 *End);

/* From one side to the other, where there may be one of the same file. */
VOID RplNodeMove(_Inout_ RPL_DIRTY *Dirty, _In_ ULONG Index, _In_ ULONG Side);
