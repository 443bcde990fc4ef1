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
 * Paging writes take no range, for they may be what a holder waits for. They tell the holders
 * instead that their bytes were captured meanwhile (RplRangesTouch).
 *
 * The lock of a Ranges is a leaf; it raises to DISPATCH_LEVEL.
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
    UINT64 End;  /* exclusive; an empty range conflicts with nothing */
    ULONG Ahead; /* ranges that came before and conflict; 0: held */
    BOOLEAN Waited;
    BOOLEAN Touched; /* a paging write of its bytes was captured meanwhile */
    KEVENT Granted;  /* only if it waited */
} RPL_RANGE;

_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplRangesInitialize(_Out_ RPL_RANGES *Ranges);

/*
 * Takes [Start, End), and waits until nobody who came before has or wants any of it. Timeout: as
 * for KeWaitForSingleObject, NULL: as long as it takes. FALSE: it passed. Release, if TRUE.
 * Range->Waited tells whether it had to wait.
 */
_IRQL_requires_max_(APC_LEVEL) _Success_(return) BOOLEAN
    RplRangeAcquire(_Inout_ RPL_RANGES *Ranges, _Out_ RPL_RANGE *Range, _In_ UINT64 Start,
                    _In_ UINT64 End, _In_opt_ const LARGE_INTEGER *Timeout);

/* Any thread. The structure is the caller's again. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRangeRelease(_Inout_ RPL_RANGES *Ranges, _Inout_ RPL_RANGE *Range);

/* Sets Touched of every held range that overlaps [Start, End). */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRangesTouch(_Inout_ RPL_RANGES *Ranges, _In_ UINT64 Start, _In_ UINT64 End);
