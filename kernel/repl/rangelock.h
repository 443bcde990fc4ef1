/*
 * Range locks: who may change which bytes of a stream, from before an operation goes down until it
 * has completed.
 *
 * A range is held by an operation, not by a thread: it may be given back on any thread and in a
 * DPC. It lives in the operation's own structure, which must be resident and stay where it is.
 * Nothing is allocated.
 *
 * Fair: a range waits for those that overlap it and came before, whether they are held or wait
 * themselves, and for no other. So nobody is overtaken by what conflicts with him, and nobody
 * starves; what conflicts with nothing does not wait at all. Each range counts those it waits for;
 * whoever leaves counts down at those behind him, so that either takes one pass over the list.
 *
 * An operation that does not know where it will write (an append), or changes the size, takes
 * [x, RPL_RANGE_INFINITY).
 *
 * Paging writes take no range, for they may be what a holder waits for. They ask instead, while all
 * is frozen, which bytes are covered by operations under way: those carry their bytes in their own
 * records (RplRangeGap).
 *
 * The lock of a Ranges is a leaf but for what its freezer does; it raises to DISPATCH_LEVEL.
 */
#pragma once

#include <ntddk.h>

#define RPL_RANGE_INFINITY (~0ull)

typedef struct RPL_RANGES
{
    KSPIN_LOCK Lock;
    LIST_ENTRY List; /* of RPL_RANGEs, in the order of their coming */
} RPL_RANGES;

typedef struct RPL_RANGE
{
    LIST_ENTRY Link;
    UINT64 Start;
    UINT64 End; /* exclusive; an empty range conflicts with nothing */
    UINT64 CoverStart;
    UINT64 CoverEnd;
    ULONG Ahead; /* ranges that came before and conflict; 0: held */
    BOOLEAN Waited;
    KEVENT Granted; /* only if it waited */
} RPL_RANGE;

_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplRangesInitialize(_Out_ RPL_RANGES *Ranges);

/* Takes [Start, End) if nobody who came before has or wants any of it. Release, if TRUE. */
_IRQL_requires_max_(DISPATCH_LEVEL) _Success_(return) BOOLEAN
    RplRangeTryAcquire(_Inout_ RPL_RANGES *Ranges, _Out_ RPL_RANGE *Range, _In_ UINT64 Start,
                       _In_ UINT64 End);

/*
 * The same, and waits for it. Timeout: as for KeWaitForSingleObject, NULL: as long as it takes.
 * FALSE: it passed. Range->Waited tells whether it had to wait.
 */
_IRQL_requires_max_(APC_LEVEL) _Success_(return) BOOLEAN
    RplRangeAcquire(_Inout_ RPL_RANGES *Ranges, _Out_ RPL_RANGE *Range, _In_ UINT64 Start,
                    _In_ UINT64 End, _In_opt_ const LARGE_INTEGER *Timeout);

/* Any thread. The structure is the caller's again. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRangeRelease(_Inout_ RPL_RANGES *Ranges, _Inout_ RPL_RANGE *Range);

/* The holder's record has the bytes [Start, End). Until then, none are covered. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRangeCover(_Inout_ RPL_RANGES *Ranges, _Inout_ RPL_RANGE *Range, _In_ UINT64 Start,
                  _In_ UINT64 End);

/* From freeze to thaw nobody takes or gives back a range, and what is covered stays. For short
 * work; nothing that waits. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRangesFreeze(_Inout_ RPL_RANGES *Ranges, _Out_ PKLOCK_QUEUE_HANDLE Handle);
_IRQL_requires_(DISPATCH_LEVEL) VOID RplRangesThaw(_Inout_ PKLOCK_QUEUE_HANDLE Handle);

/* Frozen: the next held range after Previous (NULL: the first) that overlaps [Start, End); NULL: no
 * more. */
_IRQL_requires_(DISPATCH_LEVEL) const RPL_RANGE *RplRangeNext(_In_ const RPL_RANGES *Ranges,
                                                              _In_opt_ const RPL_RANGE *Previous,
                                                              _In_ UINT64 Start, _In_ UINT64 End);

/* Frozen: the first stretch of [*Start, End) that no held range covers; *Start and *Stop are its
 * bounds. FALSE: all is covered. Go on with *Start = *Stop. */
_IRQL_requires_(DISPATCH_LEVEL) _Success_(return) BOOLEAN
    RplRangeGap(_In_ const RPL_RANGES *Ranges, _Inout_ UINT64 *Start, _In_ UINT64 End,
                _Out_ UINT64 *Stop);
