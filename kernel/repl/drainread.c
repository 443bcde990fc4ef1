/*
 * The drain thread and the reader: a ring that is just lent, and READ_JOURNAL. See drain.c.
 */
#include "drainstate.h"

#include "ring.h"
#include "wait.h"

/* Bytes of records that a ring gets from staging when it is lent: copied under the lock. */
#define RPL_DRAIN_GREETING 65536

/* A ring was just lent. Where all that comes before it is a few records in staging, they move
 * there, and the reader need not ask for them. */
VOID RplDrainGreet(VOID)
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
            ring->First = ring->First == 0 ? record->Sequence : ring->First;
            ring->Last = record->Sequence;
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

/* What staging has above After and up to Last, up to the wrap or the end of Output. */
static NTSTATUS RplDrainReadStaging(_In_ UINT64 After, _In_ UINT64 Last, _Out_ UCHAR *Output,
                                    _In_ ULONG Room, _Out_ ULONG *Bytes)
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
        status = RplWalkCopy(&walk, After, Last, Output, Room, Bytes);
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
    return status == STATUS_END_OF_FILE ? STATUS_SUCCESS : status;
}

/* Lent since RplDrainGreet: what is in staging may come to lie in the ring. */
static BOOLEAN RplDrainRingIsFresh(VOID)
{
    BOOLEAN fresh;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    fresh = Stream.Ring.Irp != NULL && Stream.Ring.Fresh;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return fresh;
}

/*
 * Whether the ring has records that its reader, who has all up to After, has not. *Last: what is
 * given to him besides is not newer than those.
 */
static BOOLEAN RplDrainRingAhead(_In_ UINT64 After, _Out_ UINT64 *Last)
{
    BOOLEAN ahead;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    ahead = Stream.Ring.Irp != NULL && !Stream.Ring.Revoked && After < Stream.Ring.Last;
    *Last = ahead ? Stream.Ring.First - 1 : MAXUINT64;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return ahead;
}

/* He has all that is older: TRUE, he may go on in the ring. */
static BOOLEAN RplDrainShowRing(VOID)
{
    BOOLEAN shown;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    shown = !Stream.Ring.Switching;
    if (shown && Stream.Ring.Irp != NULL)
    {
        wake = RplRingShow();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    return shown;
}

/* Nothing is above After: opens the ring if it can be. TRUE: it is open and the reader may go on
 * there. */
static BOOLEAN RplDrainOpenRing(_In_ UINT64 After)
{
    BOOLEAN open;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    /* Between the look at staging and now there may have come more. What a new ring was given of it
     * is in neither. */
    open = Stream.StagingLast <= After ||
           (Stream.Staging.Head == Stream.Staging.Tail && Stream.Staging.InFlight == 0);
    if (open && !Stream.Ring.Open)
    {
        open = RplRingOpen(&wake);
        Drain.Retry |= !open && Stream.Ring.Irp != NULL;
    }
    open = open && !Stream.Ring.Switching;
    if (open && Stream.Ring.Irp != NULL)
    {
        wake |= RplRingShow();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    return open;
}

/* 5. FALSE: nothing could be answered. */
BOOLEAN RplDrainRead(VOID)
{
    PIRP irp = RplReadTake();
    PIO_STACK_LOCATION stack;
    UINT64 after, last;
    BOOLEAN ahead;
    NTSTATUS status;
    UCHAR *output;
    ULONG room, bytes = 0;

    if (irp == NULL)
    {
        return FALSE;
    }
    if (RplDrainRingIsFresh())
    {
        RplReadReturn(irp);
        return TRUE;
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
    ahead = RplDrainRingAhead(after, &last);
    status = RplSpoolRead(&Drain.Spool, after, last, output, room, &bytes);
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
        status = RplDrainReadStaging(after, last, output, room, &bytes);
    }
    if (bytes != 0 || !NT_SUCCESS(status) || (ahead ? RplDrainShowRing() : RplDrainOpenRing(after)))
    {
        RplCompleteCall(irp, status, bytes);
        return TRUE;
    }
    RplReadReturn(irp);
    return FALSE;
}
