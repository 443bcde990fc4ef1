/*
 * The drain thread. It alone moves Staging.Tail, and it alone uses the journal. In this order,
 * again and again until there is nothing to do:
 *
 *   1. the lease of numbers is renewed when half of it is used (role.c);
 *   2. what the backups have is given free;
 *   3. a ring that is over is returned; what its reader has not read goes to the journal, behind
 * what is older in staging and before what is newer;
 *      A new one gets what little there is in staging, and is opened;
 *   4. staging goes to the journal once a share of it is used: a short absence of the reader costs
 *      no disk writes;
 *   5. READ_JOURNAL is answered, from the journal and then from staging. When there is nothing
 * above After, the ring is opened; slots that were given out in staging before are still waited
 * for, since their records come first ("Switching"). Then the answer is no bytes.
 *
 * What can not be kept for the reader (no journal, no room, a record of the ring that is not what
 * it was) is lost as a whole: all that is older than now is discarded, and what may have changed
 * since the last acknowledgement is marked dirty.
 *
 * Nobody waits for this thread but the one that ends it.
 */
#include "drainstate.h"

#include "lost.h"
#include "room.h"
#include "ring.h"
#include "role.h"
#include "wait.h"

/* How long until something is tried again: room in the ring, a journal that failed. */
#define RPL_DRAIN_RETRY (100 * RPL_MS)

RPL_DRAIN Drain;

_Use_decl_annotations_ VOID RplDrainTell(NTSTATUS Status)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.JournalBytes = Drain.Spool.Bytes;
    Stream.JournalUsed = RplJournalUsed(&Drain.Spool.Journal);
    Stream.JournalFirst = RplSpoolIsEmpty(&Drain.Spool) ? 0 : Drain.Spool.Journal.First;
    if (!NT_SUCCESS(Status))
    {
        Stream.JournalStatus = Status;
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
}

VOID RplDrainWorks(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.JournalStatus = STATUS_SUCCESS;
    KeReleaseSpinLock(&Stream.Lock, irql);
}

VOID RplDrainLoseHistory(VOID)
{
    ULONG wake;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Discarded = Stream.Last;
    RplLostMarkHistory(FALSE);
    wake = RplLose();
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
}

UINT64 RplDrainFirst(VOID)
{
    UINT64 position = Stream.Staging.Tail;

    if (Stream.JournalFirst > Stream.Discarded)
    {
        return Stream.JournalFirst;
    }
    while (position < Stream.Staging.Head)
    {
        const REPL_RECORD *record;
        RPL_WALK walk;

        RplStagingWalk(position, Stream.Staging.Head, &walk);
        record = RplWalkNext(&walk);
        if (record != NULL && record->Sequence > Stream.Discarded)
        {
            return record->Sequence;
        }
        if (record == NULL || walk.Left == 0)
        {
            position += Stream.Staging.Bytes - position % Stream.Staging.Bytes;
            continue;
        }
        position =
            position - position % Stream.Staging.Bytes + (UINT64)(walk.At - Stream.Staging.Data);
    }
    for (PLIST_ENTRY entry = Stream.InFlight.Flink; entry != &Stream.InFlight; entry = entry->Flink)
    {
        const RPL_SLOT *slot = CONTAINING_RECORD(entry, RPL_SLOT, Link);

        if (slot->Place == RplPlaceStaging && slot->Sequence > Stream.Discarded)
        {
            return slot->Sequence;
        }
    }
    return Stream.Last + 1;
}

_Use_decl_annotations_ ULONG RplDrainBegin(UINT64 After)
{
    UINT64 first = RplDrainFirst();

    /* A gap before the start of the stream is one that the start says itself. */
    if (!Stream.Capturing || After + 1 >= first ||
        (first == Stream.Base && After >= Stream.BaseAfter))
    {
        return RPL_WAKE_DRAIN;
    }
    Stream.Discarded = Stream.Last;
    RplLostMarkHistory(After < Stream.Acknowledged);
    return RplLose() | RPL_WAKE_DRAIN;
}

/* 2. */
static VOID RplDrainFree(VOID)
{
    UINT64 free, tail, head;
    NTSTATUS status;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    free = RPL_MAX(Stream.Acknowledged, Stream.Discarded);
    tail = Stream.Staging.Tail;
    head = Stream.Staging.Head;
    KeReleaseSpinLock(&Stream.Lock, irql);
    status = RplSpoolFree(&Drain.Spool, free);
    RplDrainTell(status);
    while (tail < head)
    {
        const REPL_RECORD *record;
        RPL_WALK walk;

        RplStagingWalk(tail, head, &walk);
        record = RplWalkNext(&walk);
        if (record != NULL && record->Sequence > free)
        {
            break;
        }
        /* Behind it, or (NULL: only a pad was left) behind the wrap. */
        tail += (UINT64)(walk.At - (Stream.Staging.Data + tail % Stream.Staging.Bytes));
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Staging.Tail = tail;
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplRoomMade();
}

/* A journal that could not be made (its volume may not be there yet when the driver starts). */
static VOID RplDrainMake(VOID)
{
    if (Drain.Wanted != Drain.Spool.Bytes && Drain.Spool.Bytes == 0)
    {
        NTSTATUS status = RplSpoolCreate(&Drain.Spool, Drain.Wanted);

        RplDrainTell(status);
        if (NT_SUCCESS(status))
        {
            RplDrainWorks();
        }
        Drain.Retry |= !NT_SUCCESS(status);
    }
}

/* Takes whole records of staging below End into a batch, from Tail on. FALSE: none, or the journal
 * takes no more. */
static BOOLEAN RplDrainBatch(_In_ UINT64 End)
{
    UINT64 tail = Stream.Staging.Tail, first = 0, last = 0;
    ULONG bytes = 0;
    NTSTATUS status;
    KIRQL irql;

    while (tail < End)
    {
        const REPL_RECORD *record;
        RPL_WALK walk;

        RplStagingWalk(tail, End, &walk);
        record = RplWalkNext(&walk);
        if (record != NULL && record->Length > RPL_SPOOL_ROOM - bytes)
        {
            break;
        }
        tail += (UINT64)(walk.At - (Stream.Staging.Data + tail % Stream.Staging.Bytes));
        if (record == NULL)
        {
            continue;
        }
        RtlCopyMemory(RplSpoolRecords(&Drain.Spool) + bytes, record, record->Length);
        bytes += record->Length;
        first = first == 0 ? record->Sequence : first;
        last = record->Sequence;
    }
    if (tail == Stream.Staging.Tail)
    {
        return FALSE;
    }
    if (bytes != 0)
    {
        BOOLEAN full = !RplSpoolHasRoom(&Drain.Spool, bytes);

        status = RplSpoolWrite(&Drain.Spool, bytes, first, last);
        RplDrainTell(full ? STATUS_SUCCESS : status);
        if (!NT_SUCCESS(status))
        {
            Drain.Retry = TRUE;
            return FALSE;
        }
        RplDrainWorks();
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Staging.Tail = tail;
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplRoomMade();
    return TRUE;
}

/* Saves the ring's unread records, of a ring that is closed, with nothing in flight in it. FALSE:
 * if their reader ends now, they are lost. */
static BOOLEAN RplDrainSave(VOID)
{
    RPL_AREA *area = &Stream.Ring.Area;
    UINT64 tail = RPL_MAX(area->Tail, Stream.Ring.SavedEnd), expected = 0;

    if (tail == area->Head)
    {
        return TRUE;
    }
    if (Drain.Spool.Bytes == 0 || Stream.Ring.NoDiskEnd > tail)
    {
        return FALSE;
    }
    while (Stream.Staging.Tail < Stream.StagingOld && RplDrainBatch(Stream.StagingOld))
    {
    }
    if (Stream.Staging.Tail < Stream.StagingOld)
    {
        return FALSE;
    }
    while (tail < area->Head)
    {
        /* A copy: the reader may still write here. */
        UINT64 offset = tail & (area->Bytes - 1), first = 0, last = 0;
        UINT64 room = RPL_MIN(area->Bytes - offset, area->Head - tail);
        ULONG bytes = (ULONG)RPL_MIN(room, RPL_SPOOL_ROOM), kept = 0;
        UCHAR *records = RplSpoolRecords(&Drain.Spool);

        RtlCopyMemory(records, area->Data + offset, bytes);
        while (kept < bytes)
        {
            const REPL_RECORD *record = (const REPL_RECORD *)(records + kept);
            ULONG length;
            RPL_RECORD_FAULT fault = RplRecordCheckFrame(record, bytes - kept, &length);

            if (fault == RplRecordTruncated && kept != 0 && bytes < room)
            {
                break;
            }
            if (fault != RplRecordOk)
            {
                return FALSE;
            }
            if (!RplRecordIsPad(record))
            {
                if (expected != 0 && record->Sequence != expected)
                {
                    return FALSE;
                }
                expected = record->Sequence + 1;
                first = first == 0 ? record->Sequence : first;
                last = record->Sequence;
            }
            kept += length;
        }
        if (first != 0 && !NT_SUCCESS(RplSpoolWrite(&Drain.Spool, kept, first, last)))
        {
            return FALSE;
        }
        tail += kept;
    }
    Stream.Ring.SavedEnd = tail;
    return TRUE;
}

/* 4. What is to go behind the ring's records in the journal has to wait until these are there. */
static BOOLEAN RplDrainStaging(VOID)
{
    UINT64 head;
    BOOLEAN due, save;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    head = Stream.Staging.Head;
    due = Drain.Spool.Bytes != 0 && !RplRingIsRevoked() &&
          (Stream.Staging.End - Stream.Staging.Tail) * RPL_DRAIN_SHARE >= Stream.Staging.Bytes;
    /* Head is beyond those that are newer only if all the ring's have ended. */
    save = Stream.Ring.Irp != NULL && !Stream.Ring.Open && head > Stream.StagingOld;
    if (save)
    {
        (VOID) RplRingReadTail();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (!due)
    {
        return FALSE;
    }
    if (save)
    {
        (VOID) RplDrainSave();
    }
    return RplDrainBatch(head);
}

/* 3. */
static VOID RplDrainRing(VOID)
{
    BOOLEAN over;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    over = RplRingIsOver();
    if (over)
    {
        (VOID) RplRingReadTail();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (!over)
    {
        return;
    }
    if (!RplDrainSave())
    {
        RplDrainLoseHistory();
    }
    RplDrainTell(STATUS_SUCCESS);
    RplRingReturn();
}

_Use_decl_annotations_ VOID RplDrainThread(PVOID StartContext)
{
    LARGE_INTEGER retry = {.QuadPart = -RPL_DRAIN_RETRY};

    UNREFERENCED_PARAMETER(StartContext);
    while (!Drain.Stop)
    {
        BOOLEAN more;

        RplRoleRenew();
        (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
        Drain.Retry = FALSE;
        RplDrainMake();
        RplDrainFree();
        RplDrainRing();
        RplDrainGreet();
        more = RplDrainStaging();
        more |= RplDrainRead();
        (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
        if (!more)
        {
            (VOID) KeWaitForSingleObject(&Stream.DrainWork, Executive, KernelMode, FALSE,
                                         Drain.Retry ? &retry : NULL);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}
