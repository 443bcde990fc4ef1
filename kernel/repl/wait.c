/*
 * Requests that wait for the stream.
 *
 * Two cancel-safe queues (WDK: "Cancel-Safe IRP Queues"), whose lock is the stream's: a request is
 * either answered at once or queued before the next change, so no wake is lost. Whoever changes
 * something under the lock sees whether anybody waits; if so he queues one DPC, which answers all
 * whose condition holds. So operations that come while a DPC is on its way share it, and where
 * nobody waits nothing happens.
 */
#include "wait.h"

#include "config.h"
#include "state.h"

typedef struct RPL_QUEUE
{
    IO_CSQ Csq;
    LIST_ENTRY List;
    ULONG *Count;
    BOOLEAN Progress; /* the queue of WAIT */
} RPL_QUEUE;

static RPL_QUEUE Waits;
static RPL_QUEUE Reads;

/* A flush that waits. */
typedef struct RPL_DURABLE
{
    LIST_ENTRY Link;
    UINT64 Sequence;
    BOOLEAN Cancelled;
    KEVENT Event;
} RPL_DURABLE;

static LIST_ENTRY Durables;

static IO_CSQ_INSERT_IRP_EX RplCsqInsert;
static IO_CSQ_REMOVE_IRP RplCsqRemove;
static IO_CSQ_PEEK_NEXT_IRP RplCsqPeekNext;
static IO_CSQ_ACQUIRE_LOCK RplCsqAcquire;
static IO_CSQ_RELEASE_LOCK RplCsqRelease;
static IO_CSQ_COMPLETE_CANCELED_IRP RplCsqCompleteCanceled;
static KDEFERRED_ROUTINE RplWaitDpc;

/* Is there an answer? With the lock. */
static BOOLEAN RplProgressed(_In_ const REPL_WAIT *Wait)
{
    const RPL_RING *ring = &Stream.Ring;

    return RplStateNow() != Wait->State ||
           (ring->Irp != NULL && (ring->Shown > Wait->Head || ring->Revoked ||
                                  (!ring->Open && ring->Area.InFlight == 0)));
}

static VOID RplProgress(_Out_ REPL_PROGRESS *Progress)
{
    Progress->Head = Stream.Ring.Shown;
    Progress->CompletedSequence = Stream.Completed;
    Progress->State = RplStateNow();
    Progress->Reserved = 0;
}

_Use_decl_annotations_ static NTSTATUS RplCsqInsert(PIO_CSQ Csq, PIRP Irp, PVOID InsertContext)
{
    RPL_QUEUE *queue = CONTAINING_RECORD(Csq, RPL_QUEUE, Csq);
    REPL_PROGRESS *progress = InsertContext;

    if (queue->Progress && RplProgressed(Irp->AssociatedIrp.SystemBuffer))
    {
        RplProgress(progress);
        return STATUS_UNSUCCESSFUL; /* not queued: answered at once */
    }
    (*queue->Count)++;
    InsertTailList(&queue->List, &Irp->Tail.Overlay.ListEntry);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ static VOID RplCsqRemove(PIO_CSQ Csq, PIRP Irp)
{
    RPL_QUEUE *queue = CONTAINING_RECORD(Csq, RPL_QUEUE, Csq);

    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    (*queue->Count)--;
}

typedef struct RPL_PEEK
{
    PFILE_OBJECT FileObject; /* of this handle; NULL: of any */
    BOOLEAN Answerable;
} RPL_PEEK;

_Use_decl_annotations_ static PIRP RplCsqPeekNext(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    RPL_QUEUE *queue = CONTAINING_RECORD(Csq, RPL_QUEUE, Csq);
    const RPL_PEEK *peek = PeekContext;
    PLIST_ENTRY entry = Irp == NULL ? queue->List.Flink : Irp->Tail.Overlay.ListEntry.Flink;

    for (; entry != &queue->List; entry = entry->Flink)
    {
        PIRP candidate = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);

        if ((peek->FileObject == NULL ||
             IoGetCurrentIrpStackLocation(candidate)->FileObject == peek->FileObject) &&
            (!peek->Answerable || RplProgressed(candidate->AssociatedIrp.SystemBuffer)))
        {
            return candidate;
        }
    }
    return NULL;
}

_Use_decl_annotations_ static VOID RplCsqAcquire(PIO_CSQ Csq, PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&Stream.Lock, Irql);
}

_Use_decl_annotations_ static VOID RplCsqRelease(PIO_CSQ Csq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&Stream.Lock, Irql);
}

_Use_decl_annotations_ static VOID RplCsqCompleteCanceled(PIO_CSQ Csq, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RplCompleteCall(Irp, STATUS_CANCELLED, 0);
}

_Use_decl_annotations_ static VOID RplWaitDpc(PKDPC Dpc, PVOID DeferredContext,
                                              PVOID SystemArgument1, PVOID SystemArgument2)
{
    RPL_PEEK peek = {NULL, TRUE};
    KIRQL irql;
    PIRP irp;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(DeferredContext);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);
    while ((irp = IoCsqRemoveNextIrp(&Waits.Csq, &peek)) != NULL)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        RplProgress(irp->AssociatedIrp.SystemBuffer);
        KeReleaseSpinLock(&Stream.Lock, irql);
        RplCompleteCall(irp, STATUS_SUCCESS, sizeof(REPL_PROGRESS));
    }
}

static NTSTATUS RplQueueCreate(_Inout_ RPL_QUEUE *Queue, _In_ ULONG *Count, _In_ BOOLEAN Progress)
{
    InitializeListHead(&Queue->List);
    Queue->Count = Count;
    Queue->Progress = Progress;
    return IoCsqInitializeEx(&Queue->Csq, RplCsqInsert, RplCsqRemove, RplCsqPeekNext, RplCsqAcquire,
                             RplCsqRelease, RplCsqCompleteCanceled);
}

NTSTATUS RplWaitCreate(VOID)
{
    NTSTATUS status;

    InitializeListHead(&Durables);
    KeInitializeDpc(&Stream.WaitDpc, RplWaitDpc, NULL);
    status = RplQueueCreate(&Waits, &Stream.Waiting, TRUE);
    return NT_SUCCESS(status) ? RplQueueCreate(&Reads, &Stream.Reading, FALSE) : status;
}

_Use_decl_annotations_ NTSTATUS RplWaitProgress(RPL_CALL *Call)
{
    REPL_PROGRESS progress;

    if (((const REPL_WAIT *)Call->Buffer)->Reserved != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    if (IoCsqInsertIrpEx(&Waits.Csq, Call->Irp, NULL, &progress) == STATUS_SUCCESS)
    {
        return STATUS_PENDING;
    }
    *(REPL_PROGRESS *)Call->Buffer = progress;
    Call->Written = sizeof(progress);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS RplReadJournal(RPL_CALL *Call)
{
    (VOID) IoCsqInsertIrpEx(&Reads.Csq, Call->Irp, NULL, NULL);
    RplWake(RPL_WAKE_DRAIN);
    return STATUS_PENDING;
}

PIRP RplReadTake(VOID)
{
    RPL_PEEK peek = {NULL, FALSE};
    PIRP irp;

    /* From before it leaves the queue, so that nothing that comes meanwhile is slept through. */
    Stream.ReadHeld = TRUE;
    irp = IoCsqRemoveNextIrp(&Reads.Csq, &peek);
    Stream.ReadHeld = irp != NULL;
    return irp;
}

_Use_decl_annotations_ VOID RplReadReturn(PIRP Irp)
{
    (VOID) IoCsqInsertIrpEx(&Reads.Csq, Irp, NULL, NULL);
    Stream.ReadHeld = FALSE;
}

_Use_decl_annotations_ VOID RplWaitCancel(PFILE_OBJECT FileObject)
{
    RPL_PEEK peek = {FileObject, FALSE};
    PIRP irp;

    if (Reads.List.Flink == NULL)
    {
        return; /* not even created */
    }
    while ((irp = IoCsqRemoveNextIrp(&Waits.Csq, &peek)) != NULL ||
           (irp = IoCsqRemoveNextIrp(&Reads.Csq, &peek)) != NULL)
    {
        RplCompleteCall(irp, STATUS_CANCELLED, 0);
    }
}

/* Acknowledgements and the flushes that wait for them. */

_Use_decl_annotations_ NTSTATUS RplAcknowledge(RPL_CALL *Call)
{
    UINT64 sequence = ((const REPL_ACKNOWLEDGE *)Call->Buffer)->Sequence;
    BOOLEAN known;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    known = sequence >= Stream.Acknowledged && sequence <= Stream.Completed;
    if (known)
    {
        Stream.Acknowledged = sequence;
        RplLagDrop(&Stream.Lag, sequence);
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (!known)
    {
        return RplRefuse(Call, ReplRefusalSequence, STATUS_INVALID_PARAMETER);
    }
    RplDurableCheck();
    RplWake(RPL_WAKE_DRAIN);
    return STATUS_SUCCESS;
}

/*
 * With the lock: may a flush that waits for Sequence return? The backups must have the records, and
 * what they have must be of use: a bracket that was open then, and still is, would be cut off with
 * all behind it. Not those in which somebody brings a backup up to date on purpose: it is not yet
 * one to wait for.
 */
static BOOLEAN RplIsDurable(_In_ UINT64 Sequence)
{
    if (Stream.Acknowledged < Sequence)
    {
        return FALSE;
    }
    for (ULONG i = 0; i < Stream.BracketCount; i++)
    {
        const RPL_OPEN_BRACKET *bracket = &Stream.Brackets[i];

        if (bracket->Sequence <= Sequence && bracket->Reason != ReplBracketInitial &&
            bracket->Reason != ReplBracketResync)
        {
            return FALSE;
        }
    }
    return TRUE;
}

VOID RplDurableCheck(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    for (PLIST_ENTRY entry = Durables.Flink; entry != &Durables; entry = entry->Flink)
    {
        RPL_DURABLE *durable = CONTAINING_RECORD(entry, RPL_DURABLE, Link);

        if (RplIsDurable(durable->Sequence))
        {
            KeSetEvent(&durable->Event, IO_NO_INCREMENT, FALSE);
        }
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
}

/* With the lock: all flushes look at how things are. */
static VOID RplDurableWake(BOOLEAN Cancel)
{
    for (PLIST_ENTRY entry = Durables.Flink; entry != &Durables; entry = entry->Flink)
    {
        RPL_DURABLE *durable = CONTAINING_RECORD(entry, RPL_DURABLE, Link);

        durable->Cancelled = durable->Cancelled || Cancel;
        KeSetEvent(&durable->Event, IO_NO_INCREMENT, FALSE);
    }
}

VOID RplDurableCancel(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    RplDurableWake(TRUE);
    KeReleaseSpinLock(&Stream.Lock, irql);
}

VOID RplDurableReconfigured(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    RplDurableWake(FALSE);
    KeReleaseSpinLock(&Stream.Lock, irql);
}

/* Is somebody who changes the set to wait for the backup? For so long; 0: for ever. */
static BOOLEAN RplDurableSet(_In_ UINT32 SetId, _Out_ UINT32 *Milliseconds)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    BOOLEAN durable = FALSE;

    *Milliseconds = configuration->DurableWaitMs;
    for (ULONG i = 0; i < configuration->SetCount; i++)
    {
        const RPL_SET *set = &configuration->Sets[i];

        durable = durable || (set->SetId == SetId && set->Mode == ReplModeDurable);
    }
    RplConfigurationRelease(configuration);
    return durable;
}

/* STATUS_PENDING: the configuration has changed. */
static NTSTATUS RplDurableWait(_Inout_ RPL_DURABLE *Durable, UINT64 Since, UINT32 Milliseconds)
{
    const UINT64 end = Since + (UINT64)Milliseconds * RPL_MS;
    const UINT64 now = RplNow();
    LARGE_INTEGER timeout = {.QuadPart = now >= end ? 0 : -(LONGLONG)(end - now)};
    NTSTATUS status = KeWaitForSingleObject(&Durable->Event, Executive, UserMode, FALSE,
                                            Milliseconds == 0 ? NULL : &timeout);
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (RplIsDurable(Durable->Sequence))
    {
        status = STATUS_SUCCESS;
    }
    else if (status == STATUS_TIMEOUT)
    {
        status = STATUS_IO_TIMEOUT;
    }
    else
    {
        status = status != STATUS_SUCCESS || Durable->Cancelled ? STATUS_CANCELLED : STATUS_PENDING;
    }
    KeClearEvent(&Durable->Event);
    KeReleaseSpinLock(&Stream.Lock, irql);
    return status;
}

_Use_decl_annotations_ NTSTATUS RplWaitAcknowledged(UINT32 SetId, UINT64 Sequence)
{
    const UINT64 since = RplNow();
    RPL_DURABLE *durable;
    NTSTATUS status = STATUS_PENDING;
    UINT32 milliseconds;
    KIRQL irql;

    /* Not on the stack, which a wait in user mode lets be paged out. */
    durable = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*durable), RPL_TAG);
    if (durable == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    durable->Sequence = Sequence;
    KeInitializeEvent(&durable->Event, NotificationEvent, FALSE);
    KeAcquireSpinLock(&Stream.Lock, &irql);
    if (RplIsDurable(Sequence))
    {
        KeSetEvent(&durable->Event, IO_NO_INCREMENT, FALSE);
    }
    InsertTailList(&Durables, &durable->Link);
    KeReleaseSpinLock(&Stream.Lock, irql);

    while (status == STATUS_PENDING)
    {
        status = RplDurableSet(SetId, &milliseconds) ? RplDurableWait(durable, since, milliseconds)
                                                     : STATUS_SUCCESS;
    }

    KeAcquireSpinLock(&Stream.Lock, &irql);
    RemoveEntryList(&durable->Link);
    KeReleaseSpinLock(&Stream.Lock, irql);
    ExFreePoolWithTag(durable, RPL_TAG);
    return status;
}
