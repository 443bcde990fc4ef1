/*
 * What is dirty: which blocks of which files changed while nothing could record how.
 *
 * Everything has two sides: what is dirty, and what was taken in order to be synchronised. Taking
 * moves from the first to the second; when the synchronisation has ended, what was taken is
 * forgotten, and when it broke off, it is dirty again. What changes meanwhile is dirty anew.
 *
 * Memory is given at the start and never grows. Where it does not suffice, less is remembered and
 * more counts as dirty, never the other way round:
 *   blocks      a file's blocks are marked one by one (blocks.h)
 *   file        all of the file, REPL_DIRTY_WHOLE: there was no memory for its blocks
 *   set         all of the set, REPL_DIRTY_WHOLE | REPL_DIRTY_NAMES: not for the file itself
 *   everything  the same of SetId 0: more than RPL_DIRTY_SETS sets
 * A file costs a cell, which has room for its first RPL_DIRTY_INLINE blocks. A quarter of all cells
 * is for files alone.
 *
 * Marking takes time for its range's ends only, whatever is freed by it: the files of a set that is
 * dirty as a whole, or was forgotten, are buried little by little by those who come later.
 *
 * All functions: DISPATCH_LEVEL at most, but where noted. One spin lock, a leaf. The memory is
 * resident.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

#include "blocks.h"

#define RPL_DIRTY_SETS      (REPL_MAX_SETS + 1) /* the first is SetId 0 */
#define RPL_DIRTY_INLINE    512
#define RPL_DIRTY_MIN_BYTES 65536

/* Of a set, dirty or taken. */
typedef struct RPL_DIRTY_SIDE
{
    UINT32 Flags;     /* REPL_DIRTY_*, of the set as a whole */
    ULONG Generation; /* files of another one are dead */
    ULONG First;      /* files, oldest first */
    ULONG Last;
    ULONG Files;
    UINT64 Blocks;
} RPL_DIRTY_SIDE;

typedef struct RPL_DIRTY_SET
{
    UINT32 SetId;
    RPL_DIRTY_SIDE Side[2];
} RPL_DIRTY_SET;

typedef struct RPL_DIRTY
{
    KSPIN_LOCK Lock;
    RPL_CELLS Cells;
    UINT32 *Heads; /* of hash chains */
    ULONG HeadMask;
    ULONG Dead; /* files to be buried */
    ULONG SetCount;
    RPL_DIRTY_SET Sets[RPL_DIRTY_SETS];
} RPL_DIRTY;

/* Memory: aligned to 8, RPL_DIRTY_MIN_BYTES at least. */
VOID RplDirtyInitialize(_Out_ RPL_DIRTY *Dirty, _In_reads_bytes_(Bytes) VOID *Memory,
                        _In_ SIZE_T Bytes);

/* Bytes of a file changed. Length 0: only what is not data. Beyond MAXLONGLONG nothing is. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplDirtyMark(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId,
                 _In_reads_bytes_(16) const UINT8 *FileId, _In_ UINT64 Offset, _In_ UINT64 Length);

/* Flags: REPL_DIRTY_WHOLE, of a file, and REPL_DIRTY_NAMES, of a folder. FileId NULL: of the set.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplDirtyMarkAs(_Inout_ RPL_DIRTY *Dirty, _In_ UINT32 SetId,
                   _In_reads_bytes_opt_(16) const UINT8 *FileId, _In_ UINT32 Flags);

/*
 * Takes the oldest thing that is dirty. Ranges: merged, in order; Capacity of them at least 1.
 * Where a file has more, the rest stays dirty and comes with the next call. FALSE: nothing is
 * dirty.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) _Success_(return) BOOLEAN
    RplDirtyTake(_Inout_ RPL_DIRTY *Dirty, _Out_ REPL_DIRTY_FILE *Item,
                 _Out_writes_(Capacity) REPL_DIRTY_RANGE *Ranges, _In_ ULONG Capacity);

/* What was taken is in order now. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplDirtyForget(_Inout_ RPL_DIRTY *Dirty);

/* What was taken is dirty again. Gives the lock away between two files, so what is taken meanwhile
 * may be either. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplDirtyRestore(_Inout_ RPL_DIRTY *Dirty);

/* Nothing is dirty nor taken. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplDirtyClear(_Inout_ RPL_DIRTY *Dirty);

typedef struct RPL_DIRTY_COUNTS
{
    UINT64 Bytes; /* of marked blocks; those of whole files are not known */
    ULONG Files;  /* and folders */
    ULONG Sets;   /* dirty as a whole */
} RPL_DIRTY_COUNTS;

/* Of what is dirty and, if Taken, of what was taken. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplDirtyCount(_Inout_ RPL_DIRTY *Dirty, _In_ BOOLEAN Taken, _Out_ RPL_DIRTY_COUNTS *Counts);
