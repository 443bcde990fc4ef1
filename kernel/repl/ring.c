/*
 * The lent ring: METHOD_OUT_DIRECT pins the reader's buffer for as long as the IOCTL is pending,
 * and the driver writes through the MDL's system address. See repl.h (contract), "The ring".
 *
 * The buffer stays the reader's, who may write anything at any time: the driver keeps positions of
 * its own and takes nothing from there but Tail, which must lie in [last Tail, Head].
 *
 * Its reader gets all in the order of the numbers, once, if it reads to Head before it asks
 * READ_JOURNAL: a ring that is opened while older records are in flight in Staging is hidden (Head
 * does not move, Closed stays) until the reader has those; and READ_JOURNAL gives nothing that is
 * newer than what its ring has for it (drainread.c).
 *
 *   lent      closed at first: the reader asks READ_JOURNAL for what comes before (drain.c), and
 * the answer "no more" opens the ring open      slots are given out closed    no room, or something
 * was lost. Closed is set for the reader once the last slot has ended, so after it no Head moves;
 * READ_JOURNAL opens it again revoked   the handle closes or the request is cancelled: once the
 * last slot has ended, the drain thread saves what was not read, and completes the request
 *
 * A cancel routine that has been called must have run before the request is completed: Cancelled.
 */
#include "ring.h"

#include "drain.h"
#include "lost.h"

static DRIVER_CANCEL RplRingCancel;

ULONG RplRingClose(VOID)
{
    RPL_RING *ring = &Stream.Ring;

    ring->Open = FALSE;
    ring->Switching = FALSE;
    if (ring->Irp != NULL && ring->Area.InFlight == 0)
    {
        WriteULongNoFence((volatile ULONG *)&ring->Header->Closed, 1);
        KeMemoryBarrier();
    }
    return Stream.Waiting != 0 ? RPL_WAKE_WAITERS : 0;
}

ULONG RplRingPublish(VOID)
{
    RPL_RING *ring = &Stream.Ring;
    ULONG wake = Stream.Waiting != 0 ? RPL_WAKE_WAITERS : 0;

    if (!ring->Hidden)
    {
        ring->Shown = ring->Area.Head;
        WriteULong64Release((volatile UINT64 *)&ring->Header->Head, ring->Shown);
    }
    if (!ring->Open && ring->Area.InFlight == 0)
    {
        WriteULongNoFence((volatile ULONG *)&ring->Header->Closed, 1);
        wake |= ring->Revoked || RplIsReading() ? RPL_WAKE_DRAIN : 0;
    }
    return wake;
}

ULONG RplRingShow(VOID)
{
    RPL_RING *ring = &Stream.Ring;
    ULONG wake;

    if (!ring->Hidden)
    {
        return 0;
    }
    ring->Hidden = FALSE;
    wake = RplRingPublish();
    if (ring->Open || ring->Area.InFlight != 0)
    {
        WriteULongNoFence((volatile ULONG *)&ring->Header->Closed, 0);
    }
    return wake;
}

BOOLEAN RplRingReadTail(VOID)
{
    RPL_RING *ring = &Stream.Ring;
    UINT64 tail;

    if (ring->Irp == NULL)
    {
        return FALSE;
    }
    tail = ReadULong64Acquire((volatile UINT64 *)&ring->Header->Tail);
    if (tail == ring->Area.Tail || tail - ring->Area.Tail > ring->Area.Head - ring->Area.Tail)
    {
        return FALSE;
    }
    ring->Area.Tail = tail & ~(UINT64)(RPL_RECORD_UNIT - 1);
    return TRUE;
}

/* The record that ends state Dirty. FALSE: there is no place for it. */
static BOOLEAN RplRingRecordLost(_Inout_ ULONG *Wake)
{
    static const RPL_INTENT intent = {
        .Type = ReplRecordLost, .Flags = REPL_FLAG_OPEN, .Reason = ReplBracketLost};
    LIST_ENTRY surplus;
    RPL_SLOT *slot;

    Stream.Lost = FALSE;
    slot = RplPlace(&intent, Wake);
    if (slot == NULL)
    {
        Stream.Lost = TRUE;
        return FALSE;
    }
    RplFill(slot, &intent, Stream.Epoch);
    (VOID) RplRecordEnd(slot->Record, slot->Room, 0, 0);
    slot->Ended = TRUE;
    InitializeListHead(&surplus);
    *Wake |= RplAdvance(&surplus);
    RplSlotsFree(&surplus);
    return TRUE;
}

BOOLEAN RplRingOpen(ULONG *Wake)
{
    RPL_RING *ring = &Stream.Ring;

    if (ring->Irp == NULL || ring->Revoked || ring->Area.InFlight != 0)
    {
        return FALSE;
    }
    (VOID) RplRingReadTail();
    if ((ring->Area.End - ring->Area.Tail) * 2 > ring->Area.Bytes)
    {
        return FALSE;
    }
    ring->Open = TRUE;
    ring->Switching = Stream.Staging.InFlight != 0;
    ring->SavedEnd = ring->Area.End;
    if (ring->Opened || ring->First == 0)
    {
        ring->First = Stream.Last + 1;
    }
    ring->Opened = TRUE;
    ring->Hidden = TRUE;
    Stream.StagingOld = Stream.Staging.End;
    if (!ring->Switching)
    {
        *Wake |= RplRingShow();
    }
    if (Stream.Capturing && Stream.Lost && !RplRingRecordLost(Wake))
    {
        *Wake |= RplRingClose();
        return FALSE;
    }
    *Wake |= Stream.Waiting != 0 ? RPL_WAKE_WAITERS : 0;
    return TRUE;
}

/* The lock is held. */
static ULONG RplRingRevokeLocked(VOID)
{
    ULONG wake;

    if (Stream.Ring.Irp == NULL || Stream.Ring.Revoked)
    {
        return 0;
    }
    wake = RplRingClose();
    Stream.Ring.Revoked = TRUE;
    return wake | RPL_WAKE_WAITERS | RPL_WAKE_DRAIN;
}

_Use_decl_annotations_ VOID RplRingRevoke(PFILE_OBJECT FileObject)
{
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (FileObject == NULL || Stream.Ring.FileObject == FileObject)
    {
        wake = RplRingRevokeLocked();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
}

_Use_decl_annotations_ static VOID RplRingCancel(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    ULONG wake;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DeviceObject);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&Stream.Lock, &irql);
    NT_ASSERT(Stream.Ring.Irp == Irp);
    wake = RplRingRevokeLocked() | RPL_WAKE_DRAIN;
    Stream.Ring.Cancelled = TRUE;
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
}

UINT64 RplRingFirst(VOID)
{
    const RPL_AREA *area = &Stream.Ring.Area;
    UINT64 offset = area->Tail & (area->Bytes - 1);
    const volatile REPL_RECORD *record;

    if (Stream.Ring.Irp == NULL || area->Tail == area->End)
    {
        return MAXUINT64;
    }
    if (area->Tail != area->Head)
    {
        record = (const volatile REPL_RECORD *)(area->Data + offset);
        if (area->Bytes - offset < sizeof(REPL_RECORD) || record->Type == ReplRecordPad)
        {
            record = (const volatile REPL_RECORD *)area->Data;
        }
        return record->Sequence;
    }
    for (PLIST_ENTRY entry = Stream.InFlight.Flink; entry != &Stream.InFlight; entry = entry->Flink)
    {
        const RPL_SLOT *slot = CONTAINING_RECORD(entry, RPL_SLOT, Link);

        if (slot->Place == RplPlaceRing)
        {
            return slot->Sequence;
        }
    }
    return MAXUINT64;
}

BOOLEAN RplRingIsOver(VOID)
{
    return Stream.Ring.Irp != NULL && Stream.Ring.Revoked && Stream.Ring.Area.InFlight == 0;
}

VOID RplRingReturn(VOID)
{
    PIRP irp = Stream.Ring.Irp;
    BOOLEAN cancelled = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (IoSetCancelRoutine(irp, NULL) == NULL)
    {
        if (!Stream.Ring.Cancelled)
        {
            /* It is about to run, and wakes this thread. */
            KeReleaseSpinLock(&Stream.Lock, irql);
            return;
        }
        cancelled = TRUE;
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplLostReturn(); /* before there can be another reader */
    KeAcquireSpinLock(&Stream.Lock, &irql);
    RtlZeroMemory(&Stream.Ring, sizeof(Stream.Ring));
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplCompleteCall(irp, cancelled ? STATUS_CANCELLED : STATUS_SUCCESS, 0);
}

/* A power of two, as much as there is. */
static UINT64 RplRingDataBytes(_In_ ULONG Bytes)
{
    UINT64 data = 1;

    while (data * 2 <= Bytes - REPL_RING_HEADER_BYTES)
    {
        data *= 2;
    }
    return data;
}

static VOID RplRingInitialize(_Inout_ RPL_CALL *Call, _In_ UCHAR *Memory)
{
    RPL_RING *ring = &Stream.Ring;

    RtlZeroMemory(ring, sizeof(*ring));
    ring->Area.Data = Memory + REPL_RING_HEADER_BYTES;
    ring->Area.Bytes = RplRingDataBytes(Call->OutputBytes);
    ring->FileObject = Call->FileObject;
    ring->Mdl = Call->Irp->MdlAddress;
    ring->Header = (REPL_RING_HEADER *)Memory;
    RtlZeroMemory(ring->Header, sizeof(*ring->Header));
    ring->Header->Magic = REPL_RING_MAGIC;
    ring->Header->Version = REPL_CONTRACT_VERSION;
    ring->Header->DataBytes = ring->Area.Bytes;
    ring->Header->Closed = 1;
}

NTSTATUS RplLendRing(_Inout_ RPL_CALL *Call)
{
    REPL_LEND lend = *(const REPL_LEND *)Call->Buffer;
    UCHAR *memory;
    ULONG wake = 0;
    KIRQL irql;

    if (lend.Contract != REPL_CONTRACT_VERSION)
    {
        return RplRefuse(Call, ReplRefusalContract, STATUS_REVISION_MISMATCH);
    }
    if (lend.Reserved != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    if (Call->OutputBytes < REPL_MIN_RING || Call->OutputBytes > REPL_MAX_RING)
    {
        return RplRefuse(Call, ReplRefusalRing, STATUS_INVALID_BUFFER_SIZE);
    }
    memory = MmGetSystemAddressForMdlSafe(Call->Irp->MdlAddress,
                                          NormalPagePriority | MdlMappingNoExecute);
    if (memory == NULL)
    {
        return RplRefuseAt(Call, ReplRefusalRing, 0, STATUS_INSUFFICIENT_RESOURCES,
                           STATUS_INSUFFICIENT_RESOURCES);
    }
    if (((ULONG_PTR)memory & 7) != 0)
    {
        return RplRefuse(Call, ReplRefusalRing, STATUS_DATATYPE_MISALIGNMENT);
    }

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (Stream.Ring.Irp != NULL)
    {
        KeReleaseSpinLock(&Stream.Lock, irql);
        return RplRefuse(Call, ReplRefusalRing, STATUS_DEVICE_BUSY);
    }
    if (lend.After > Stream.Last)
    {
        KeReleaseSpinLock(&Stream.Lock, irql);
        return RplRefuse(Call, ReplRefusalSequence, STATUS_INVALID_PARAMETER);
    }
    RplRingInitialize(Call, memory);
    Stream.Ring.Irp = Call->Irp;
    Stream.Ring.After = lend.After;
    Stream.Ring.Fresh = TRUE;
    InterlockedIncrement(&Stream.Loans);
    (VOID) IoSetCancelRoutine(Call->Irp, RplRingCancel);
    if (Call->Irp->Cancel && IoSetCancelRoutine(Call->Irp, NULL) != NULL)
    {
        RtlZeroMemory(&Stream.Ring, sizeof(Stream.Ring));
        KeReleaseSpinLock(&Stream.Lock, irql);
        return STATUS_CANCELLED;
    }
    wake = RplDrainBegin(lend.After);
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    return STATUS_PENDING;
}
