/*
 * Range locks: see rangelock.h.
 *
 * Invariant, under the lock: a range's Ahead is the number of ranges before it in the list that
 * overlap it.
 */
#include "rangelock.h"

#define RplRangeOf(Entry) CONTAINING_RECORD(Entry, RPL_RANGE, Link)

FORCEINLINE BOOLEAN RplRangeOverlaps(_In_ const RPL_RANGE *Range, _In_ UINT64 Start,
                                     _In_ UINT64 End)
{
    return Range->Start < End && Start < Range->End;
}

VOID RplRangesInitialize(_Out_ RPL_RANGES *Ranges)
{
    KeInitializeSpinLock(&Ranges->Lock);
    InitializeListHead(&Ranges->List);
}

/* Lock held. */
static ULONG RplRangeConflicts(_In_ const RPL_RANGES *Ranges, _In_ UINT64 Start, _In_ UINT64 End)
{
    ULONG count = 0;

    for (const LIST_ENTRY *entry = Ranges->List.Flink; entry != &Ranges->List; entry = entry->Flink)
    {
        count += RplRangeOverlaps(RplRangeOf(entry), Start, End);
    }
    return count;
}

/* Lock held. */
static VOID RplRangeEnter(_Inout_ RPL_RANGES *Ranges, _Out_ RPL_RANGE *Range, _In_ UINT64 Start,
                          _In_ UINT64 End, _In_ ULONG Ahead)
{
    Range->Start = Start;
    Range->End = End;
    Range->Ahead = Ahead;
    Range->Waited = Ahead != 0;
    Range->Touched = FALSE;
    InsertTailList(&Ranges->List, &Range->Link);
}

/* Lock held. Wakes those who waited for no other. Who wakes can only touch the list after us. */
static VOID RplRangeLeave(_Inout_ RPL_RANGES *Ranges, _Inout_ RPL_RANGE *Range)
{
    for (LIST_ENTRY *entry = Range->Link.Flink; entry != &Ranges->List; entry = entry->Flink)
    {
        RPL_RANGE *later = RplRangeOf(entry);

        if (RplRangeOverlaps(later, Range->Start, Range->End))
        {
            later->Ahead -= 1;
            if (later->Ahead == 0)
            {
                KeSetEvent(&later->Granted, IO_NO_INCREMENT, FALSE);
            }
        }
    }
    RemoveEntryList(&Range->Link);
}

_Success_(return) BOOLEAN
    RplRangeAcquire(_Inout_ RPL_RANGES *Ranges, _Out_ RPL_RANGE *Range, _In_ UINT64 Start,
                    _In_ UINT64 End, _In_opt_ const LARGE_INTEGER *Timeout)
{
    LARGE_INTEGER timeout = {.QuadPart = 0};
    KLOCK_QUEUE_HANDLE handle;
    ULONG ahead;
    BOOLEAN held;

    KeAcquireInStackQueuedSpinLock(&Ranges->Lock, &handle);
    ahead = RplRangeConflicts(Ranges, Start, End);
    if (ahead != 0)
    {
        KeInitializeEvent(&Range->Granted, NotificationEvent, FALSE);
    }
    RplRangeEnter(Ranges, Range, Start, End, ahead);
    KeReleaseInStackQueuedSpinLock(&handle);
    if (ahead == 0)
    {
        return TRUE;
    }

    if (Timeout != NULL)
    {
        timeout = *Timeout;
    }
    if (KeWaitForSingleObject(&Range->Granted, Executive, KernelMode, FALSE,
                              Timeout != NULL ? &timeout : NULL) == STATUS_SUCCESS)
    {
        return TRUE;
    }
    KeAcquireInStackQueuedSpinLock(&Ranges->Lock, &handle);
    held = Range->Ahead == 0; /* granted just after the wait was over */
    if (!held)
    {
        RplRangeLeave(Ranges, Range);
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    return held;
}

VOID RplRangeRelease(_Inout_ RPL_RANGES *Ranges, _Inout_ RPL_RANGE *Range)
{
    KLOCK_QUEUE_HANDLE handle;

    KeAcquireInStackQueuedSpinLock(&Ranges->Lock, &handle);
    NT_ASSERT(Range->Ahead == 0);
    RplRangeLeave(Ranges, Range);
    KeReleaseInStackQueuedSpinLock(&handle);
}

VOID RplRangesTouch(_Inout_ RPL_RANGES *Ranges, _In_ UINT64 Start, _In_ UINT64 End)
{
    KLOCK_QUEUE_HANDLE handle;

    KeAcquireInStackQueuedSpinLock(&Ranges->Lock, &handle);
    for (LIST_ENTRY *entry = Ranges->List.Flink; entry != &Ranges->List; entry = entry->Flink)
    {
        RPL_RANGE *range = RplRangeOf(entry);

        if (range->Ahead == 0 && RplRangeOverlaps(range, Start, End))
        {
            range->Touched = TRUE;
        }
    }
    KeReleaseInStackQueuedSpinLock(&handle);
}
