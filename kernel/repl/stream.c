/*
 * The stream: slots, numbers and the frontier. See stream.h and state.h.
 *
 * The path of an operation takes the lock twice: RplReserve for the number and the place, RplCommit
 * to say that the record is whole. Copying, checksums and layout are outside. Slots in flight are
 * in one list in the order of their numbers, whatever their place; the frontier moves over those
 * that have ended at its front. So a record is published (Head) only after all with lower numbers
 * are, in the other place, too.
 *
 * Where nothing can be recorded, the operation gets the one slot that all such share, and is
 * counted while it is in flight: what it makes dirty was marked before it reached the file, so a
 * reader must not take the mark before the operation has ended (lost.c).
 */
#include "state.h"

#include "brackets.h"
#include "crc32c.h"
#include "drain.h"
#include "lost.h"
#include "room.h"
#include "ring.h"
#include "role.h"
#include "wait.h"

RPL_STREAM Stream;

/* The slot of every operation that is not recorded. */
static RPL_SLOT Unrecorded;

_Use_decl_annotations_ VOID RplWake(ULONG What)
{
    if ((What & RPL_WAKE_WAITERS) != 0)
    {
        KeInsertQueueDpc(&Stream.WaitDpc, NULL, NULL);
    }
    if ((What & RPL_WAKE_DRAIN) != 0)
    {
        KeSetEvent(&Stream.DrainWork, IO_NO_INCREMENT, FALSE);
    }
}

_Use_decl_annotations_ BOOLEAN RplAreaReserve(RPL_AREA *Area, ULONG Bytes, UINT64 *Offset)
{
    UINT64 rest = Area->Bytes - Area->EndOffset;
    UINT64 pad = Bytes > rest ? rest : 0;

    if (Bytes + pad > Area->Bytes - (Area->End - Area->Tail))
    {
        return FALSE;
    }
    if (pad != 0)
    {
        RplRecordPad(Area->Data + Area->EndOffset, (ULONG)pad);
        Area->EndOffset = 0;
    }
    *Offset = Area->EndOffset;
    Area->End += Bytes + pad;
    Area->EndOffset += Bytes;
    if (Area->EndOffset == Area->Bytes)
    {
        Area->EndOffset = 0;
    }
    return TRUE;
}

_Use_decl_annotations_ ULONG RplLose(VOID)
{
    ULONG wake = 0;

    if (Stream.Capturing && !Stream.Lost)
    {
        Stream.Lost = TRUE;
        wake = RplRingClose() | RPL_WAKE_WAITERS | RPL_WAKE_DRAIN;
    }
    return wake;
}

/* Where the next record of so many bytes goes; changes the place if the present one is full. */
static RPL_AREA *RplFindRoom(_In_ ULONG Room, _In_ BOOLEAN NoDisk, _Out_ UINT64 *Offset,
                             _Inout_ ULONG *Wake)
{
    if (Stream.Ring.Open)
    {
        if (RplAreaReserve(&Stream.Ring.Area, Room, Offset) ||
            (RplRingReadTail() && RplAreaReserve(&Stream.Ring.Area, Room, Offset)))
        {
            return &Stream.Ring.Area;
        }
        if (Stream.Ring.Switching)
        {
            return NULL; /* behind what is in Staging there would lie what is older than the ring's
                          */
        }
        *Wake |= RplRingClose() | RPL_WAKE_WAITERS;
    }
    if (NoDisk || !RplAreaReserve(&Stream.Staging, Room, Offset))
    {
        return NULL;
    }
    return &Stream.Staging;
}

/* Operations that open one say by their type why. */
static UINT32 RplReasonOf(_In_ const RPL_INTENT *Intent)
{
    if (Intent->Reason != 0)
    {
        return Intent->Reason;
    }
    return Intent->Type == ReplRecordBracket ? ReplBracketOrder : ReplBracketEntered;
}

_Use_decl_annotations_ RPL_SLOT *RplPlace(const RPL_INTENT *Intent, ULONG *Wake)
{
    ULONG room = RplRecordBytes(Intent->Name.Length, Intent->DataBytes);
    BOOLEAN opens = (Intent->Flags & REPL_FLAG_OPEN) != 0 && Intent->Bracket == 0;
    LARGE_INTEGER now;
    RPL_AREA *area;
    RPL_SLOT *slot;
    UINT64 offset;

    if (IsListEmpty(&Stream.Free) || Stream.Last >= Stream.Lease ||
        (opens &&
         !RplBracketRoom(Intent->Type == ReplRecordLost || Intent->Type == ReplRecordStart)))
    {
        return NULL;
    }
    area = RplFindRoom(room, Intent->NoDisk, &offset, Wake);
    if (area == NULL)
    {
        return NULL;
    }

    slot = CONTAINING_RECORD(RemoveHeadList(&Stream.Free), RPL_SLOT, Link);
    Stream.FreeCount--;
    KeQuerySystemTimePrecise(&now);
    Stream.LastTime = RPL_MAX((UINT64)now.QuadPart, Stream.LastTime);
    slot->Sequence = ++Stream.Last;
    slot->Time = Stream.LastTime;
    slot->Record = (REPL_RECORD *)(area->Data + offset);
    slot->DataBytes = Intent->DataBytes;
    slot->DataMdl = NULL;
    slot->End = area->End;
    slot->Room = room;
    slot->NameLength = Intent->Name.Length;
    slot->Opens = opens;
    slot->Ended = FALSE;
    area->InFlight++;
    if (area == &Stream.Ring.Area)
    {
        slot->Place = RplPlaceRing;
        Stream.Ring.Last = slot->Sequence;
        if (Intent->NoDisk)
        {
            Stream.Ring.NoDiskEnd = slot->End;
        }
    }
    else
    {
        slot->Place = RplPlaceStaging;
        if (Stream.Staging.End - Stream.Staging.Tail >= Stream.Staging.Bytes / RPL_DRAIN_SHARE)
        {
            *Wake |= RPL_WAKE_DRAIN;
        }
    }
    InsertTailList(&Stream.InFlight, &slot->Link);
    RplLagNote(&Stream.Lag, slot->Sequence, slot->Time, Stream.TotalBytes);
    Stream.TotalBytes += room;
    if (opens)
    {
        RplBracketAdd(slot->Sequence, Intent->SetId, RplReasonOf(Intent), Intent->FileId);
    }
    else if ((Intent->Flags & REPL_FLAG_CLOSE) != 0)
    {
        (VOID) RplBracketRemove(Intent->Bracket);
    }
    if (Stream.Lease - Stream.Last == RPL_LEASE_STEP / 2 || RplRoleIsRested())
    {
        *Wake |= RPL_WAKE_DRAIN;
    }
    return slot;
}

_Use_decl_annotations_ VOID RplFill(RPL_SLOT *Slot, const RPL_INTENT *Intent, UINT64 Epoch)
{
    REPL_RECORD header = {0};

    header.Type = Intent->Type;
    header.Flags = Intent->Flags;
    header.Sequence = Slot->Sequence;
    header.Epoch = Epoch;
    header.Time = Slot->Time;
    header.SetId = Intent->SetId;
    header.NameLength = Slot->NameLength;
    header.Offset = Intent->Offset;
    header.Range = Intent->Range;
    header.Bracket = Slot->Opens ? Slot->Sequence : Intent->Bracket;
    header.DataLength = Slot->DataBytes;
    if (Intent->FileId != NULL)
    {
        RtlCopyMemory(header.FileId, Intent->FileId, sizeof(header.FileId));
    }
    Slot->Data = RplRecordBegin(Slot->Record, &header, Intent->Name.Buffer);
}

/* More slots than there were at the start. Not under the lock. */
static BOOLEAN RplSlotsGrow(VOID)
{
    RPL_SLOT *slot = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*slot), RPL_TAG);
    KIRQL irql;

    if (slot == NULL)
    {
        return FALSE;
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    InsertTailList(&Stream.Free, &slot->Link);
    Stream.FreeCount++;
    KeReleaseSpinLock(&Stream.Lock, irql);
    return TRUE;
}

_Use_decl_annotations_ RPL_SLOT *RplReserve(const RPL_INTENT *Intent)
{
    RPL_SLOT *slot = NULL;
    ULONG wake = 0;
    UINT64 epoch;
    KIRQL irql;

    if (IsListEmpty(&Stream.Free)) /* a hint; without one the operation is marked dirty */
    {
        (VOID) RplSlotsGrow();
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (!Stream.Capturing)
    {
        KeReleaseSpinLock(&Stream.Lock, irql);
        return NULL;
    }
    epoch = Stream.Epoch;
    Stream.Operations++;
    if (!Stream.Lost)
    {
        slot = RplPlace(Intent, &wake);
    }
    if (slot == NULL)
    {
        Stream.Unrecorded++;
        RplLostMarkIntent(Intent);
        wake |= RplLose();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (wake != 0)
    {
        RplWake(wake);
    }
    if (slot == NULL)
    {
        return &Unrecorded;
    }
    RplFill(slot, Intent, epoch);
    return slot;
}

_Use_decl_annotations_ PMDL RplSlotMdl(RPL_SLOT *Slot)
{
    PMDL mdl = Slot->DataMdl;

    if (mdl != NULL || Slot->Record == NULL || Slot->DataBytes == 0)
    {
        return mdl;
    }
    if (Slot->Place == RplPlaceRing)
    {
        /* The ring cannot go while the slot is in flight. */
        UCHAR *va = (UCHAR *)MmGetMdlVirtualAddress(Stream.Ring.Mdl) +
                    (Slot->Data - (UCHAR *)Stream.Ring.Header);

        mdl = IoAllocateMdl(va, Slot->DataBytes, FALSE, FALSE, NULL);
        if (mdl != NULL)
        {
            IoBuildPartialMdl(Stream.Ring.Mdl, mdl, va, Slot->DataBytes);
        }
    }
    else
    {
        mdl = IoAllocateMdl(Slot->Data, Slot->DataBytes, FALSE, FALSE, NULL);
        if (mdl != NULL)
        {
            MmBuildMdlForNonPagedPool(mdl);
        }
    }
    Slot->DataMdl = mdl;
    return mdl;
}

/* The ring's and the staging's Head follow the slots that have ended. */
_Use_decl_annotations_ ULONG RplAdvance(LIST_ENTRY *Surplus)
{
    UINT64 ring = Stream.Ring.Area.Head, staging = Stream.Staging.Head;
    ULONG wake = 0;

    while (!IsListEmpty(&Stream.InFlight))
    {
        RPL_SLOT *slot = CONTAINING_RECORD(Stream.InFlight.Flink, RPL_SLOT, Link);
        RPL_AREA *area = slot->Place == RplPlaceRing ? &Stream.Ring.Area : &Stream.Staging;

        if (!slot->Ended)
        {
            break;
        }
        (VOID) RemoveHeadList(&Stream.InFlight);
        Stream.Completed = slot->Sequence;
        area->Head = slot->End;
        area->InFlight--;
        if (slot->Place == RplPlaceStaging)
        {
            Stream.StagingLast = slot->Sequence;
        }
        if (Stream.FreeCount < RPL_SLOT_RESERVE)
        {
            InsertHeadList(&Stream.Free, &slot->Link);
            Stream.FreeCount++;
        }
        else
        {
            InsertTailList(Surplus, &slot->Link);
        }
    }
    if (Stream.Staging.Head != staging)
    {
        if (Stream.Staging.InFlight == 0)
        {
            Stream.Ring.Switching = FALSE;
        }
        wake |= RplIsReading() ? RPL_WAKE_DRAIN : 0;
    }
    if (Stream.Ring.Area.Head != ring)
    {
        wake |= RplRingPublish();
    }
    return wake;
}

_Use_decl_annotations_ VOID RplSlotsFree(LIST_ENTRY *Surplus)
{
    while (!IsListEmpty(Surplus))
    {
        ExFreePoolWithTag(CONTAINING_RECORD(RemoveHeadList(Surplus), RPL_SLOT, Link), RPL_TAG);
    }
}

_Use_decl_annotations_ VOID RplEndSlot(RPL_SLOT *Slot)
{
    LIST_ENTRY surplus;
    ULONG wake = 0;
    KIRQL irql;

    InitializeListHead(&surplus);
    if (Slot->DataMdl != NULL)
    {
        IoFreeMdl(Slot->DataMdl);
    }
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Slot->Ended = TRUE;
    if (Stream.InFlight.Flink == &Slot->Link)
    {
        wake = RplAdvance(&surplus);
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (wake != 0)
    {
        RplWake(wake);
    }
    RplSlotsFree(&surplus);
}

VOID RplEndUnrecorded(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    NT_ASSERT(Stream.Unrecorded != 0);
    Stream.Unrecorded--;
    KeReleaseSpinLock(&Stream.Lock, irql);
}

_Use_decl_annotations_ VOID RplCommit(RPL_SLOT *Slot, ULONG DataBytes, UINT64 Offset, UINT64 Range)
{
    if (Slot == NULL)
    {
        return;
    }
    if (Slot == &Unrecorded)
    {
        RplEndUnrecorded();
        return;
    }
    NT_ASSERT(DataBytes <= Slot->DataBytes);
    Slot->Record->Offset = Offset;
    Slot->Record->Range = Range;
    (VOID) RplRecordEnd(Slot->Record, Slot->Room, Slot->NameLength, DataBytes);
    InterlockedAdd64((volatile LONG64 *)&Stream.CapturedBytes, DataBytes);
    RplEndSlot(Slot);
}

_Use_decl_annotations_ VOID RplAbort(RPL_SLOT *Slot)
{
    KIRQL irql;

    if (Slot == NULL)
    {
        return;
    }
    if (Slot == &Unrecorded)
    {
        RplEndUnrecorded();
        return;
    }
    if (Slot->Opens)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        RplBracketRemove(Slot->Sequence);
        KeReleaseSpinLock(&Stream.Lock, irql);
    }
    (VOID) RplRecordAbort(Slot->Record, Slot->Room);
    InterlockedIncrement64((volatile LONG64 *)&Stream.Aborted);
    RplEndSlot(Slot);
}

_Use_decl_annotations_ UINT64 RplRecordNow(const RPL_INTENT *Intent, const VOID *Data)
{
    RPL_SLOT *slot = NULL;
    UINT64 epoch, sequence;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    epoch = Stream.Epoch;
    if (Stream.Capturing && !Stream.Lost)
    {
        slot = RplPlace(Intent, &wake);
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    if (slot == NULL)
    {
        return 0;
    }
    sequence = slot->Sequence;
    RplFill(slot, Intent, epoch);
    if (Intent->DataBytes != 0)
    {
        RtlCopyMemory(slot->Data, Data, Intent->DataBytes);
    }
    RplCommit(slot, Intent->DataBytes, Intent->Offset, Intent->Range);
    return sequence;
}

_Use_decl_annotations_ UINT64 RplLastSequence(VOID)
{
    UINT64 last;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    last = Stream.Last + (Stream.Lost ? 1 : 0);
    KeReleaseSpinLock(&Stream.Lock, irql);
    return last;
}

_Use_decl_annotations_ RPL_SLOT *RplReserveNothing(UINT32 SetId, const UINT8 *FileId, UINT64 Offset,
                                                   UINT64 Length, BOOLEAN NamesOnly)
{
    RPL_SLOT *slot = NULL;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (Stream.Capturing)
    {
        slot = &Unrecorded;
        Stream.Unrecorded++;
        RplLostMark(SetId, FileId, Offset, Length, NamesOnly);
        wake = RplLose();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
    return slot;
}

_Use_decl_annotations_ VOID RplMarkLost(UINT32 SetId, const UINT8 *FileId, UINT64 Offset,
                                        UINT64 Length, BOOLEAN NamesOnly)
{
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (Stream.Capturing)
    {
        RplLostMark(SetId, FileId, Offset, Length, NamesOnly);
        wake = RplLose();
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(wake);
}

NTSTATUS RplStreamCreate(VOID)
{
    NTSTATUS status;

    RtlZeroMemory(&Stream, sizeof(Stream));
    RtlZeroMemory(&Unrecorded, sizeof(Unrecorded));
    KeInitializeSpinLock(&Stream.Lock);
    InitializeListHead(&Stream.InFlight);
    InitializeListHead(&Stream.Free);
    KeInitializeEvent(&Stream.DrainWork, SynchronizationEvent, FALSE);
    RplRoomInitialize();
    RplCrc32cInitialize();
    Stream.Brackets =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, REPL_MAX_BRACKETS * sizeof(*Stream.Brackets), RPL_TAG);
    if (Stream.Brackets == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    while (Stream.FreeCount < RPL_SLOT_RESERVE)
    {
        if (!RplSlotsGrow())
        {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    status = RplLostCreate();
    return NT_SUCCESS(status) ? RplWaitCreate() : status;
}

/* Nobody reserves any more, and no ring is lent. */
VOID RplStreamDestroy(VOID)
{
    NT_ASSERT(IsListEmpty(&Stream.InFlight) && Stream.Unrecorded == 0);
    if (Stream.Free.Flink != NULL)
    {
        RplSlotsFree(&Stream.Free);
    }
    if (Stream.Brackets != NULL)
    {
        ExFreePoolWithTag(Stream.Brackets, RPL_TAG);
    }
    if (Stream.Staging.Data != NULL)
    {
        ExFreePoolWithTag(Stream.Staging.Data, RPL_TAG);
    }
    RplLostDestroy();
}
