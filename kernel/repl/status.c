/*
 * What is going on, at one moment.
 */
#include "status.h"

#include "config.h"
#include "counters.h"
#include "drain.h"
#include "lost.h"
#include "regions.h"
#include "ring.h"
#include "role.h"
#include "state.h"

/* The oldest record that somebody can still read. With the lock. */
static UINT64 RplFirstSequence(VOID)
{
    UINT64 first = RplDrainFirst(), ring = RplRingFirst();

    return RPL_MIN(first, ring);
}

static VOID RplStatusOfStream(_Inout_ REPL_STATUS *Status)
{
    RPL_LAG_SAMPLE oldest;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    (VOID) RplRingReadTail();
    Status->State = RplStateNow();
    Status->FirstSequence = RplFirstSequence();
    Status->LastSequence = Stream.Last;
    Status->CompletedSequence = Stream.Completed;
    Status->Acknowledged = Stream.Acknowledged;
    Status->LastTime = Stream.LastTime;
    if (Stream.Acknowledged < Stream.Last && RplLagOldest(&Stream.Lag, &oldest))
    {
        Status->AcknowledgedTime = oldest.Time;
        Status->UnacknowledgedBytes = Stream.TotalBytes - oldest.Bytes;
    }
    Status->RingBytes = Stream.Ring.Area.Bytes;
    Status->RingUsed = Stream.Ring.Area.End - Stream.Ring.Area.Tail;
    Status->StagingUsed = Stream.Staging.End - Stream.Staging.Tail;
    Status->JournalBytes = Stream.JournalBytes;
    Status->JournalUsed = Stream.JournalUsed;
    Status->JournalStatus = (UINT32)Stream.JournalStatus;
    Status->OpenBrackets = Stream.BracketCount;
    Status->UncleanStart = Stream.UncleanStart;
    Status->Operations = Stream.Operations;
    Status->CapturedBytes = Stream.CapturedBytes;
    Status->Aborted = Stream.Aborted;
    RplLostCount(&Status->DirtyBytes, &Status->DirtyFiles);
    KeReleaseSpinLock(&Stream.Lock, irql);
}

NTSTATUS RplGetStatus(_Inout_ RPL_CALL *Call)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    REPL_STATUS *status = Call->Buffer;

    RtlZeroMemory(status, sizeof(*status));
    status->Role = RplRole();
    status->Epoch = RplEpoch();
    status->Generation = configuration->Input == NULL ? 0 : configuration->Input->Generation;
    RtlCopyMemory(status->StreamId, configuration->StreamId, sizeof(status->StreamId));
    RplStatusOfStream(status);
    RplRegionsStatus(&status->ActiveRegions, &status->RegionStatus);
    status->Refused = (UINT64)RplCounters.Refused;
    status->Blocked = (UINT64)RplCounters.Blocked;
    status->LongestBlock = (UINT64)RplCounters.LongestBlock;
    status->PagingCaptured = (UINT64)RplCounters.PagingCaptured;
    status->PagingSkipped = (UINT64)RplCounters.PagingSkipped;
    RplConfigurationRelease(configuration);
    Call->Written = sizeof(*status);
    return STATUS_SUCCESS;
}
