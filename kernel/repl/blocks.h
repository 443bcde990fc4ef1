/*
 * Sets of block numbers, sparse, in memory that is given once.
 *
 * A set is a tree of cells: a leaf is a bitmap of RPL_LEAF_BLOCKS blocks, an inner cell has
 * RPL_CELL_CHILDREN children, and a child that is full, whatever its height, is a mark in its
 * parent and takes no memory. So one block of a huge file costs a cell a level, and all of it none.
 *
 * A tree is freed in no time: its root goes to the free list as it is, and whoever takes a cell
 * from there puts that cell's children in its place.
 *
 * Trees get no more than three quarters of the cells; the others are for what points to trees.
 *
 * No locks of its own: the owner's. DISPATCH_LEVEL at most; the memory is resident.
 */
#pragma once

#include <ntddk.h>

#define RPL_CELL_CHILDREN 32
#define RPL_LEAF_BLOCKS   1024

#define RPL_CELL_NONE 0
#define RPL_CELL_FULL MAXULONG /* as a child or root */

/* Of blocks: 2^63 bytes of 4 KiB. */
#define RPL_BLOCKS_END (1ull << 51)

typedef struct RPL_CELL
{
    UINT64 Blocks; /* in the tree below; free: its height */
    ULONG Cells;   /* of the tree below, this one included */
    ULONG Next;    /* the owner's; free: of the free list */
    union
    {
        UINT64 Bits[RPL_LEAF_BLOCKS / 64];
        UINT32 Child[RPL_CELL_CHILDREN];
        UCHAR Bytes[RPL_LEAF_BLOCKS / 8];
    };
} RPL_CELL;

C_ASSERT(sizeof(RPL_CELL) == 144);

typedef struct RPL_CELLS
{
    RPL_CELL *Cell; /* [0] is not used */
    ULONG Count;
    ULONG Untouched; /* those from here on were never used */
    ULONG Free;      /* list */
    ULONG Used;      /* of all */
    ULONG TreeUsed;
} RPL_CELLS;

typedef struct RPL_BLOCKS
{
    UINT32 Root;
    UINT32 Height; /* 0: the root is a leaf */
} RPL_BLOCKS;

/* Memory: aligned to 8, for two cells at least. */
VOID RplCellsInitialize(_Out_ RPL_CELLS *Cells, _In_reads_bytes_(Bytes) VOID *Memory,
                        _In_ SIZE_T Bytes);

/* A cell of zeros; RPL_CELL_NONE: none is left. Tree: for a tree. */
ULONG RplCellAllocate(_Inout_ RPL_CELLS *Cells, _In_ BOOLEAN Tree);

/* One that belongs to no tree. */
VOID RplCellFree(_Inout_ RPL_CELLS *Cells, _In_ ULONG Index);

/* An empty set is all zeros. */
UINT64 RplBlocksCount(_In_ const RPL_CELLS *Cells, _In_ const RPL_BLOCKS *Blocks);

VOID RplBlocksFree(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks);

/* Adds [First, End), End <= RPL_BLOCKS_END. FALSE: memory is short, and a part of it is missing. */
_Success_(return) BOOLEAN RplBlocksAdd(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks,
                                       _In_ UINT64 First, _In_ UINT64 End);

/* Removes all below End. End itself is not in the set, or nothing before it is: so no full child is
 * divided. */
VOID RplBlocksRemoveBelow(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Blocks, _In_ UINT64 End);

/* Adds From to Into; From is empty then. FALSE: memory is short, both are in between. */
_Success_(return) BOOLEAN
    RplBlocksUnite(_Inout_ RPL_CELLS *Cells, _Inout_ RPL_BLOCKS *Into, _Inout_ RPL_BLOCKS *From);

/* The first run of blocks at or after *First: [*First, *End). FALSE: none. */
_Success_(return) BOOLEAN RplBlocksNext(_In_ const RPL_CELLS *Cells, _In_ const RPL_BLOCKS *Blocks,
                                        _Inout_ UINT64 *First, _Out_ UINT64 *End);
