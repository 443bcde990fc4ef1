/* Requests that wait: in a cancel-safe queue, for a timer, for a work item. */
#include "iotest.h"

static IO_CSQ_INSERT_IRP QueueInsert;
static IO_CSQ_REMOVE_IRP QueueRemove;
static IO_CSQ_PEEK_NEXT_IRP QueuePeek;
static IO_CSQ_ACQUIRE_LOCK QueueAcquire;
static IO_CSQ_RELEASE_LOCK QueueRelease;
static IO_CSQ_COMPLETE_CANCELED_IRP QueueCanceled;
static KDEFERRED_ROUTINE LaterDpc;
static IO_WORKITEM_ROUTINE LaterWork;

static VOID QueueInsert(_In_ struct _IO_CSQ *Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    InsertTailList(&Globals.QueueHead, &Irp->Tail.Overlay.ListEntry);
    InterlockedIncrement((LONG *)&Globals.Stats.Waiting);
}

static VOID QueueRemove(_In_ struct _IO_CSQ *Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    InterlockedDecrement((LONG *)&Globals.Stats.Waiting);
}

/* The context is a file object, or NULL for any. */
static PIRP QueuePeek(_In_ struct _IO_CSQ *Csq, _In_opt_ PIRP Irp, _In_opt_ PVOID PeekContext)
{
    PLIST_ENTRY entry = Irp != NULL ? Irp->Tail.Overlay.ListEntry.Flink : Globals.QueueHead.Flink;

    UNREFERENCED_PARAMETER(Csq);
    for (; entry != &Globals.QueueHead; entry = entry->Flink) {
        PIRP next = CONTAINING_RECORD(entry, IRP, Tail.Overlay.ListEntry);
        if (PeekContext == NULL || IoGetCurrentIrpStackLocation(next)->FileObject == PeekContext) {
            return next;
        }
    }
    return NULL;
}

static VOID QueueAcquire(_In_ struct _IO_CSQ *Csq, _Out_ PKIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeAcquireSpinLock(&Globals.QueueLock, Irql);
}

static VOID QueueRelease(_In_ struct _IO_CSQ *Csq, KIRQL Irql)
{
    UNREFERENCED_PARAMETER(Csq);
    KeReleaseSpinLock(&Globals.QueueLock, Irql);
}

static VOID QueueCanceled(_In_ struct _IO_CSQ *Csq, _In_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(Csq);
    InterlockedIncrement((LONG *)&Globals.Stats.Cancelled);
    IoTestComplete(Irp, STATUS_CANCELLED, 0);
}

VOID IoTestQueueInitialize(VOID)
{
    InitializeListHead(&Globals.QueueHead);
    KeInitializeSpinLock(&Globals.QueueLock);
    IoCsqInitialize(&Globals.Queue, QueueInsert, QueueRemove, QueuePeek, QueueAcquire, QueueRelease,
                    QueueCanceled);
}

NTSTATUS
IoTestWait(_Inout_ PIRP Irp)
{
    IoCsqInsertIrp(&Globals.Queue, Irp, NULL);
    return STATUS_PENDING;
}

/* What SIGNAL writes to: the output of a WAIT, the memory of a LEND. */
static PVOID WaitingMemory(_In_ PIRP Waiting)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Waiting);

    if (stack->Parameters.DeviceIoControl.IoControlCode != IOTEST_IOCTL_LEND) {
        return Waiting->AssociatedIrp.SystemBuffer;
    }
    return Waiting->MdlAddress == NULL
               ? NULL
               : MmGetSystemAddressForMdlSafe(Waiting->MdlAddress,
                                              NormalPagePriority | MdlMappingNoExecute);
}

NTSTATUS
IoTestPoke(_Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    UINT64 *told = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = STATUS_NOT_FOUND;
    PIRP waiting;

    if (stack->Parameters.DeviceIoControl.InputBufferLength < 2 * sizeof(*told) ||
        stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(*told) ||
        told[0] % sizeof(*told) != 0) {
        return IoTestComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    /* Ours while it is not in the queue. */
    waiting = IoCsqRemoveNextIrp(&Globals.Queue, NULL);
    if (waiting != NULL) {
        ULONG bytes =
            IoGetCurrentIrpStackLocation(waiting)->Parameters.DeviceIoControl.OutputBufferLength;
        PUCHAR memory = WaitingMemory(waiting);

        status = STATUS_INVALID_PARAMETER;
        if (memory != NULL && bytes >= sizeof(*told) && told[0] <= bytes - sizeof(*told)) {
            UINT64 volatile *at = (UINT64 volatile *)(memory + told[0]);
            UINT64 before = ReadULong64Acquire(at);

            WriteULong64Release(at, told[1]);
            told[0] = before;
            status = STATUS_SUCCESS;
        }
        IoCsqInsertIrp(&Globals.Queue, waiting, NULL);
    }
    return IoTestComplete(Irp, status, NT_SUCCESS(status) ? sizeof(*told) : 0);
}

NTSTATUS
IoTestSignal(_Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG bytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    PIRP waiting = IoCsqRemoveNextIrp(&Globals.Queue, NULL);

    if (waiting != NULL) {
        PIO_STACK_LOCATION to = IoGetCurrentIrpStackLocation(waiting);
        if (bytes > to->Parameters.DeviceIoControl.OutputBufferLength) {
            bytes = to->Parameters.DeviceIoControl.OutputBufferLength;
        }
        if (bytes != 0) {
            RtlCopyMemory(WaitingMemory(waiting), Irp->AssociatedIrp.SystemBuffer, bytes);
        }
        InterlockedIncrement((LONG *)&Globals.Stats.Signalled);
        IoTestComplete(waiting, STATUS_SUCCESS, bytes);
    }
    if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(ULONG)) {
        return IoTestComplete(Irp, STATUS_SUCCESS, 0);
    }
    *(ULONG *)Irp->AssociatedIrp.SystemBuffer = waiting != NULL;
    return IoTestComplete(Irp, STATUS_SUCCESS, sizeof(ULONG));
}

VOID IoTestQueueCleanup(_In_ PFILE_OBJECT FileObject)
{
    PIRP irp;

    while ((irp = IoCsqRemoveNextIrp(&Globals.Queue, FileObject)) != NULL) {
        InterlockedIncrement((LONG *)&Globals.Stats.CleanedUp);
        IoTestComplete(irp, STATUS_CANCELLED, 0);
    }
}

/* Later: a timer whose DPC completes, or queues a work item that does. */

typedef struct LATER {
    KTIMER Timer;
    KDPC Dpc;
    PIRP Irp;
    PIO_WORKITEM WorkItem; /* NULL: the DPC completes */
} LATER;

static VOID LaterEnd(_In_ LATER *Later)
{
    PIRP irp = Later->Irp;

    if (Later->WorkItem != NULL) {
        IoFreeWorkItem(Later->WorkItem);
    }
    ExFreePoolWithTag(Later, IOTEST_TAG);
    IoTestComplete(irp, STATUS_SUCCESS, 0);
    IoReleaseRemoveLock(&Globals.RemoveLock, NULL);
}

static VOID LaterWork(_In_ PDEVICE_OBJECT DeviceObject, _In_opt_ PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    LaterEnd(Context);
}

static VOID LaterDpc(_In_ PKDPC Dpc, _In_opt_ PVOID Context, _In_opt_ PVOID Argument1,
                     _In_opt_ PVOID Argument2)
{
    LATER *later = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    if (later->WorkItem != NULL) {
        IoQueueWorkItem(later->WorkItem, LaterWork, DelayedWorkQueue, later);
    } else {
        LaterEnd(later);
    }
}

NTSTATUS
IoTestLater(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    LARGE_INTEGER due;

    if (stack->Parameters.DeviceIoControl.InputBufferLength < 2 * sizeof(ULONG)) {
        return IoTestComplete(Irp, STATUS_INVALID_PARAMETER, 0);
    }
    ULONG *told = Irp->AssociatedIrp.SystemBuffer;
    NTSTATUS status = IoAcquireRemoveLock(&Globals.RemoveLock, NULL);
    if (!NT_SUCCESS(status)) {
        return IoTestComplete(Irp, status, 0);
    }
    LATER *later = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*later), IOTEST_TAG);
    if (later != NULL && told[1] != 0 &&
        (later->WorkItem = IoAllocateWorkItem(DeviceObject)) == NULL) {
        ExFreePoolWithTag(later, IOTEST_TAG);
        later = NULL;
    }
    if (later == NULL) {
        IoReleaseRemoveLock(&Globals.RemoveLock, NULL);
        return IoTestComplete(Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    later->Irp = Irp;
    KeInitializeTimer(&later->Timer);
    KeInitializeDpc(&later->Dpc, LaterDpc, later);
    due.QuadPart = -10000ll * told[0];
    IoMarkIrpPending(Irp);
    KeSetTimer(&later->Timer, due, &later->Dpc);
    return STATUS_PENDING;
}
