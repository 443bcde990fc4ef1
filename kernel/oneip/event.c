/*
 * Events by inverted call.
 *
 * A waiter states the last sequence number that it has seen, so nothing is tied to a handle: any
 * number of listeners follow the same ring, a listener that was away learns from a gap in the
 * numbers that it missed some, and a cancelled call loses nothing.
 *
 * Waiting IRPs are in a cancel-safe queue (WDK: "Cancel-Safe IRP Queues"), whose lock is also the
 * ring's: a request is either answered from the ring or queued before the next event is recorded.
 */
#include "event.h"

static struct
{
    KSPIN_LOCK Lock;
    IO_CSQ Queue;
    LIST_ENTRY Waiting;
    ULONG WaitingCount;
    UINT64 Sequence;
    ONEIP_EVENT Ring[ONEIP_MAX_EVENTS]; /* event n at (n - 1) % ONEIP_MAX_EVENTS */
} Events;

static IO_CSQ_INSERT_IRP_EX OipCsqInsert;
static IO_CSQ_REMOVE_IRP OipCsqRemove;
static IO_CSQ_PEEK_NEXT_IRP OipCsqPeekNext;
static IO_CSQ_ACQUIRE_LOCK OipCsqAcquire;
static IO_CSQ_RELEASE_LOCK OipCsqRelease;
static IO_CSQ_COMPLETE_CANCELED_IRP OipCsqCompleteCanceled;

static UINT64 OipWaitAfter(_In_ PIRP Irp)
{
    return ((const ONEIP_WAIT_EVENT *)Irp->AssociatedIrp.SystemBuffer)->After;
}

/* Copies what the ring still has beyond After. Under the lock. Returns bytes. */
static ULONG OipCopyEvents(_In_ PIRP Irp, _In_ UINT64 After)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG room = stack->Parameters.DeviceIoControl.OutputBufferLength / sizeof(ONEIP_EVENT);
    ONEIP_EVENT *events = Irp->AssociatedIrp.SystemBuffer;
    UINT64 next = After + 1;
    ULONG count = 0;

    if (Events.Sequence >= ONEIP_MAX_EVENTS && next <= Events.Sequence - ONEIP_MAX_EVENTS)
    {
        next = Events.Sequence - ONEIP_MAX_EVENTS + 1;
    }
    for (; next <= Events.Sequence && count < room; next++, count++)
    {
        events[count] = Events.Ring[(next - 1) % ONEIP_MAX_EVENTS];
    }
    return count * (ULONG)sizeof(ONEIP_EVENT);
}

static VOID OipCompleteWait(_In_ PIRP Irp, _In_ NTSTATUS Status, _In_ ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NETWORK_INCREMENT);
}

/* What became of a request that was not queued: it is answered, or refused. */
typedef struct OIP_INSERT
{
    UINT64 After;
    ULONG Bytes;
    ONEIP_REASON Reason;
} OIP_INSERT;

_Use_decl_annotations_ static NTSTATUS OipCsqInsert(PIO_CSQ Csq, PIRP Irp, PVOID InsertContext)
{
    OIP_INSERT *insert = InsertContext;

    UNREFERENCED_PARAMETER(Csq);
    if (Events.Sequence > insert->After)
    {
        insert->Bytes = OipCopyEvents(Irp, insert->After);
        return STATUS_UNSUCCESSFUL; /* not queued: answered at once */
    }
    if (Events.WaitingCount == OIP_MAX_WAITERS)
    {
        insert->Reason = OneIpReasonTooManyWaiters;
        return STATUS_UNSUCCESSFUL;
    }
    Events.WaitingCount++;
    InsertTailList(&Events.Waiting, &Irp->Tail.Overlay.ListEntry);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ static VOID OipCsqRemove(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    Events.WaitingCount--;
}

/* Which waiting requests are wanted. */
typedef struct OIP_PEEK
{
    PFILE_OBJECT FileObject; /* of this handle; NULL: of any */
    BOOLEAN Answerable;      /* only those that a recorded event answers */
} OIP_PEEK;

_Use_decl_annotations_ static PIRP OipCsqPeekNext(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    const OIP_PEEK *peek = PeekContext;
    PLIST_ENTRY entry = Irp == NULL ? Events.Waiting.Flink : Irp->Tail.Overlay.ListEntry.Flink;

    UNREFERENCED_PARAMETER(Csq);
    for (; entry != &Events.Waiting; entry = entry->Flink)
    {
        PIRP candidate = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);

        if ((peek->FileObject == NULL ||
             IoGetCurrentIrpStackLocation(candidate)->FileObject == peek->FileObject) &&
            (!peek->Answerable || OipWaitAfter(candidate) < Events.Sequence))
        {
            return candidate;
        }
    }
    return NULL;
}

_Use_decl_annotations_ static VOID OipCsqAcquire(PIO_CSQ Csq, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&Events.Lock, Irql);
}

_Use_decl_annotations_ static VOID OipCsqRelease(PIO_CSQ Csq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&Events.Lock, Irql);
}

_Use_decl_annotations_ static VOID OipCsqCompleteCanceled(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    OipCompleteWait(Irp, STATUS_CANCELLED, 0);
}

NTSTATUS OipEventsCreate(VOID)
{
    RtlZeroMemory(&Events, sizeof(Events));
    KeInitializeSpinLock(&Events.Lock);
    InitializeListHead(&Events.Waiting);
    return IoCsqInitializeEx(&Events.Queue, OipCsqInsert, OipCsqRemove, OipCsqPeekNext,
                             OipCsqAcquire, OipCsqRelease, OipCsqCompleteCanceled);
}

_Use_decl_annotations_ VOID OipEventRaise(const ONEIP_EVENT *Event)
{
    OIP_PEEK peek = {NULL, TRUE};
    LARGE_INTEGER now;
    ONEIP_EVENT *slot;
    KIRQL irql;
    PIRP irp;

    KeQuerySystemTimePrecise(&now);
    KeAcquireSpinLock(&Events.Lock, &irql);
    slot = &Events.Ring[Events.Sequence % ONEIP_MAX_EVENTS];
    *slot = *Event;
    slot->Sequence = ++Events.Sequence;
    slot->SystemTime = (UINT64)now.QuadPart;
    KeReleaseSpinLock(&Events.Lock, irql);

    while ((irp = IoCsqRemoveNextIrp(&Events.Queue, &peek)) != NULL)
    {
        ULONG bytes;

        KeAcquireSpinLock(&Events.Lock, &irql);
        bytes = OipCopyEvents(irp, OipWaitAfter(irp));
        KeReleaseSpinLock(&Events.Lock, irql);
        OipCompleteWait(irp, STATUS_SUCCESS, bytes);
    }
}

UINT64 OipEventSequence(VOID)
{
    KIRQL irql;
    UINT64 sequence;

    KeAcquireSpinLock(&Events.Lock, &irql);
    sequence = Events.Sequence;
    KeReleaseSpinLock(&Events.Lock, irql);
    return sequence;
}

_Use_decl_annotations_ NTSTATUS OipEventWait(PIRP Irp, ULONG *Bytes, ONEIP_REASON *Reason)
{
    OIP_INSERT insert = {OipWaitAfter(Irp), 0, OneIpReasonNone};

    if (IoCsqInsertIrpEx(&Events.Queue, Irp, NULL, &insert) == STATUS_SUCCESS)
    {
        return STATUS_PENDING;
    }
    *Bytes = insert.Bytes;
    *Reason = insert.Reason;
    return insert.Reason == OneIpReasonNone ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

_Use_decl_annotations_ VOID OipEventCancel(PFILE_OBJECT FileObject)
{
    OIP_PEEK peek = {FileObject, FALSE};
    PIRP irp;

    while ((irp = IoCsqRemoveNextIrp(&Events.Queue, &peek)) != NULL)
    {
        OipCompleteWait(irp, STATUS_CANCELLED, 0);
    }
}
