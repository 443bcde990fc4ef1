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
#include "drain.h"

#include "lost.h"
#include "ring.h"
#include "role.h"
#include "spool.h"
#include "wait.h"
#include "walk.h"

/* How long until something is tried again: room in the ring, a journal that failed. */
#define RPL_DRAIN_RETRY (100 * RPL_MS)

/* Bytes of records that a ring gets from staging when it is lent: copied under the lock. */
#define RPL_DRAIN_GREETING 65536

static struct
{
    PKTHREAD Thread;
    volatile BOOLEAN Stop;
    KMUTEX Lock; /* of Spool and Staging.Tail, against RplDrainResize */
    RPL_SPOOL Spool;
    UINT64 Cursor; /* in staging: behind the record CursorAfter */
    UINT64 CursorAfter;
    BOOLEAN Retry;
    UINT64 Wanted; /* size of the journal, if it could be made */
} Drain;

static KSTART_ROUTINE RplDrainThread;

/* What the others know of the journal. */
static VOID RplDrainTell(_In_ NTSTATUS Status)
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

/* Nobody can have what is older than now. */
static VOID RplDrainLoseHistory(VOID)
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

/* The first record at or behind Position in staging, which the caller keeps from moving. */
static VOID RplStagingWalk(_In_ UINT64 Position, _In_ UINT64 End, _Out_ RPL_WALK *Walk)
{
    UINT64 offset = Position % Stream.Staging.Bytes;

    RplWalkBegin(Walk, Stream.Staging.Data + offset,
                 RPL_MIN(End - Position, Stream.Staging.Bytes - offset));
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
}

/* A journal that could not be made (its volume may not be there yet when the driver starts). */
static VOID RplDrainMake(VOID)
{
    if (Drain.Wanted != Drain.Spool.Bytes && Drain.Spool.Bytes == 0)
    {
        NTSTATUS status = RplSpoolCreate(&Drain.Spool, Drain.Wanted);

        RplDrainTell(status);
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
        status = RplSpoolWrite(&Drain.Spool, bytes, first, last);
        RplDrainTell(status == STATUS_DISK_FULL ? STATUS_SUCCESS : status);
        if (!NT_SUCCESS(status))
        {
            Drain.Retry = TRUE;
            return FALSE;
        }
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Staging.Tail = tail;
    KeReleaseSpinLock(&Stream.Lock, irql);
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

/* A ring was just lent. Where all that comes before it is a few records in staging, they move
 * there, and the reader need not ask for them. */
static VOID RplDrainGreet(VOID)
{
    RPL_RING *ring = &Stream.Ring;
    const REPL_RECORD *record;
    UINT64 offset, after, tail;
    ULONG wake = 0;
    RPL_WALK walk;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    after = RPL_MAX(ring->After, Stream.Discarded);
    if (ring->Irp == NULL || ring->Revoked || !ring->Fresh || Stream.JournalFirst != 0 ||
        Stream.Staging.InFlight != 0 ||
        Stream.Staging.Head - Stream.Staging.Tail > RPL_DRAIN_GREETING)
    {
        ring->Fresh = FALSE;
        KeReleaseSpinLock(&Stream.Lock, irql);
        return;
    }
    ring->Fresh = FALSE;
    tail = Stream.Staging.Tail;
    while (tail < Stream.Staging.Head)
    {
        RplStagingWalk(tail, Stream.Staging.Head, &walk);
        record = RplWalkNext(&walk);
        tail += (UINT64)(walk.At - (Stream.Staging.Data + tail % Stream.Staging.Bytes));
        /* There is room: a ring is many times larger. */
        if (record != NULL && record->Sequence > after &&
            RplAreaReserve(&ring->Area, record->Length, &offset))
        {
            RtlCopyMemory(ring->Area.Data + offset, record, record->Length);
            ring->Area.Head = ring->Area.End;
        }
    }
    Stream.Staging.Tail = tail;
    if (RplRingOpen(&wake))
    {
        ring->SavedEnd = 0; /* its reader has none of them yet */
        wake |= RplRingPublish();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
}

/* What staging has above After, up to the wrap or the end of Output. */
static NTSTATUS RplDrainReadStaging(_In_ UINT64 After, _Out_ UCHAR *Output, _In_ ULONG Room,
                                    _Out_ ULONG *Bytes)
{
    UINT64 position, head;
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    position = Stream.Staging.Tail;
    head = Stream.Staging.Head;
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (Drain.CursorAfter <= After && Drain.Cursor >= position)
    {
        position = Drain.Cursor;
    }
    *Bytes = 0;
    while (position < head && *Bytes == 0 && NT_SUCCESS(status))
    {
        const UCHAR *start = Stream.Staging.Data + position % Stream.Staging.Bytes;
        RPL_WALK walk;

        RplStagingWalk(position, head, &walk);
        status = RplWalkCopy(&walk, After, Output, Room, Bytes);
        if (*Bytes == 0)
        {
            /* All of it is at or below After. */
            position += (UINT64)(walk.At - start);
            if (NT_SUCCESS(status))
            {
                Drain.Cursor = position;
                Drain.CursorAfter = After;
            }
        }
    }
    return status;
}

/* Nothing is above After: opens the ring if it can be. TRUE: it is open and the reader may go on
 * there. */
static BOOLEAN RplDrainOpenRing(_In_ UINT64 After)
{
    BOOLEAN open;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    /* Between the look at staging and now there may have come more. */
    open = Stream.StagingLast <= After;
    if (open && !Stream.Ring.Open)
    {
        open = RplRingOpen(&wake);
        Drain.Retry |= !open && Stream.Ring.Irp != NULL;
    }
    open = open && !Stream.Ring.Switching;
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    return open;
}

/* 5. FALSE: nothing could be answered. */
static BOOLEAN RplDrainRead(VOID)
{
    PIRP irp = RplReadTake();
    PIO_STACK_LOCATION stack;
    UINT64 after;
    NTSTATUS status;
    UCHAR *output;
    ULONG room, bytes = 0;

    if (irp == NULL)
    {
        return FALSE;
    }
    stack = IoGetCurrentIrpStackLocation(irp);
    after = RPL_MAX(((const REPL_READ *)irp->AssociatedIrp.SystemBuffer)->After, Stream.Discarded);
    room = stack->Parameters.DeviceIoControl.OutputBufferLength;
    output =
        MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority | MdlMappingNoExecute);
    if (output == NULL)
    {
        RplCompleteCall(irp, STATUS_INSUFFICIENT_RESOURCES, 0);
        return TRUE;
    }
    status = RplSpoolRead(&Drain.Spool, after, output, room, &bytes);
    if (!NT_SUCCESS(status) && status != STATUS_BUFFER_TOO_SMALL)
    {
        /* It cannot be read: what is in it is lost, and READ will find nothing more. */
        RplDrainTell(status);
        RplDrainLoseHistory();
        RplReadReturn(irp);
        return TRUE;
    }
    if (bytes == 0 && NT_SUCCESS(status))
    {
        status = RplDrainReadStaging(after, output, room, &bytes);
    }
    if (bytes != 0 || !NT_SUCCESS(status) || RplDrainOpenRing(after))
    {
        RplCompleteCall(irp, status, bytes);
        return TRUE;
    }
    RplReadReturn(irp);
    return FALSE;
}

_Use_decl_annotations_ static VOID RplDrainThread(PVOID StartContext)
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

_Use_decl_annotations_ NTSTATUS RplDrainResize(ULONG StagingBytes, UINT64 JournalBytes,
                                               REPL_REFUSAL_REASON *Reason)
{
    UCHAR *staging = NULL, *old = NULL;
    RPL_SPOOL spool = {0}, oldSpool = {0};
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN resize = StagingBytes != Stream.Staging.Bytes;
    KIRQL irql;

    if (resize && StagingBytes != 0)
    {
        staging = ExAllocatePool2(POOL_FLAG_NON_PAGED, StagingBytes, RPL_TAG);
        if (staging == NULL)
        {
            *Reason = ReplRefusalStaging;
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    if (JournalBytes != Drain.Spool.Bytes)
    {
        *Reason = ReplRefusalJournal;
        if (!RplSpoolIsEmpty(&Drain.Spool))
        {
            status = STATUS_DEVICE_BUSY;
        }
        else
        {
            /* The same file: the old one has to be closed before. */
            oldSpool = Drain.Spool;
            RplSpoolDestroy(&Drain.Spool);
            status = JournalBytes == 0 ? STATUS_SUCCESS : RplSpoolCreate(&spool, JournalBytes);
            if (!NT_SUCCESS(status) && oldSpool.Bytes != 0 &&
                !NT_SUCCESS(RplSpoolCreate(&spool, oldSpool.Bytes)))
            {
                RtlZeroMemory(&spool, sizeof(spool)); /* none, then; SET_CONFIG tries again */
            }
            Drain.Spool = spool;
        }
    }
    if (NT_SUCCESS(status) && resize)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        if (Stream.Staging.Tail != Stream.Staging.End)
        {
            *Reason = ReplRefusalStaging;
            status = STATUS_DEVICE_BUSY;
        }
        else
        {
            old = Stream.Staging.Data;
            RtlZeroMemory(&Stream.Staging, sizeof(Stream.Staging));
            Stream.Staging.Data = staging;
            Stream.Staging.Bytes = StagingBytes;
            Stream.StagingOld = 0;
            Drain.Cursor = 0;
            Drain.CursorAfter = 0;
        }
        KeReleaseSpinLock(&Stream.Lock, irql);
    }
    if (NT_SUCCESS(status))
    {
        Drain.Wanted = JournalBytes;
    }
    RplDrainTell(status);
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
    if (!NT_SUCCESS(status))
    {
        old = staging;
    }
    if (old != NULL)
    {
        ExFreePoolWithTag(old, RPL_TAG);
    }
    return status;
}

_Use_decl_annotations_ VOID RplDrainWant(UINT64 JournalBytes)
{
    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    Drain.Wanted = JournalBytes;
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
    RplWake(RPL_WAKE_DRAIN);
}

BOOLEAN RplDrainIsQuiet(VOID)
{
    BOOLEAN quiet;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    quiet = IsListEmpty(&Stream.InFlight) && Stream.Ring.Irp == NULL;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return quiet;
}

VOID RplDrainReset(VOID)
{
    NTSTATUS status;
    KIRQL irql;

    (VOID) KeWaitForSingleObject(&Drain.Lock, Executive, KernelMode, FALSE, NULL);
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Staging.Tail = Stream.Staging.End;
    Stream.Staging.Head = Stream.Staging.End;
    Stream.StagingLast = 0;
    Stream.Last = 0;
    Stream.Completed = 0;
    Stream.Acknowledged = 0;
    Stream.Discarded = 0;
    Stream.BracketCount = 0;
    Stream.Lost = FALSE;
    Stream.UncleanStart = FALSE;
    RtlZeroMemory(&Stream.Lag, sizeof(Stream.Lag));
    RplLostForgetAll();
    Drain.Cursor = 0;
    Drain.CursorAfter = 0;
    KeReleaseSpinLock(&Stream.Lock, irql);
    status = RplSpoolReset(&Drain.Spool);
    if (!NT_SUCCESS(status))
    {
        /* What is in it is of another stream: rather none, until it can be made again. */
        RplSpoolDestroy(&Drain.Spool);
    }
    RplDrainTell(status);
    (VOID) KeReleaseMutex(&Drain.Lock, FALSE);
}

NTSTATUS RplDrainCreate(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    NTSTATUS status;
    HANDLE handle;

    RtlZeroMemory(&Drain, sizeof(Drain));
    KeInitializeMutex(&Drain.Lock, 0);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL,
                                  RplDrainThread, NULL);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                       (PVOID *)&Drain.Thread, NULL);
    NT_ASSERT(NT_SUCCESS(status)); /* a handle of our own, of the right type */
    (VOID) ZwClose(handle);
    return status;
}

VOID RplDrainDestroy(VOID)
{
    if (Drain.Thread == NULL)
    {
        return;
    }
    NT_ASSERT(Stream.Ring.Irp == NULL);
    Drain.Stop = TRUE;
    RplWake(RPL_WAKE_DRAIN);
    (VOID) KeWaitForSingleObject(Drain.Thread, Executive, KernelMode, FALSE, NULL);
    ObDereferenceObject(Drain.Thread);
    Drain.Thread = NULL;
    RplSpoolDestroy(&Drain.Spool);
}
