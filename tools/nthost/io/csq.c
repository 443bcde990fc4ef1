/*
 * Cancel-safe queues: the driver brings the list and its lock, this brings the cancel routine and
 * the order of things that makes cancellation and removal agree on who completes an IRP.
 *
 * The winner is whoever takes the cancel routine out of the IRP. DriverContext[3] belongs to the
 * queue while an IRP is in it: it points to the IRP's context, or to the queue itself.
 *
 * WDK: "Cancel-Safe IRP Queues", IoCsqInitializeEx, IoCsqInsertIrpEx, IoCsqRemoveIrp.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntddk.h>

static PIO_CSQ queue_of(PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = irp->Tail.Overlay.DriverContext[3];
    if (context->Type == IO_TYPE_CSQ || context->Type == IO_TYPE_CSQ_EX)
        return (PIO_CSQ)context;
    return context->Csq;
}

/* The IRP leaves the queue: its context says so to IoCsqRemoveIrp. */
static void disconnect(PIRP irp)
{
    PIO_CSQ_IRP_CONTEXT context = irp->Tail.Overlay.DriverContext[3];
    if (context->Type == IO_TYPE_CSQ_IRP_CONTEXT)
        context->Irp = NULL;
    irp->Tail.Overlay.DriverContext[3] = NULL;
}

static VOID NTAPI cancel_queued(PDEVICE_OBJECT device, PIRP irp)
{
    KIRQL irql;
    UNREFERENCED_PARAMETER(device);
    IoReleaseCancelSpinLock(irp->CancelIrql);
    PIO_CSQ csq = queue_of(irp);
    csq->CsqAcquireLock(csq, &irql);
    csq->CsqRemoveIrp(csq, irp);
    disconnect(irp);
    csq->CsqReleaseLock(csq, irql);
    csq->CsqCompleteCanceledIrp(csq, irp);
}

static NTSTATUS initialize(PIO_CSQ csq, ULONG type, PVOID insert, PIO_CSQ_REMOVE_IRP remove,
                           PIO_CSQ_PEEK_NEXT_IRP peek, PIO_CSQ_ACQUIRE_LOCK acquire,
                           PIO_CSQ_RELEASE_LOCK release, PIO_CSQ_COMPLETE_CANCELED_IRP complete)
{
    *csq = (IO_CSQ){.Type = type,
                    .CsqInsertIrp = (PIO_CSQ_INSERT_IRP)insert,
                    .CsqRemoveIrp = remove,
                    .CsqPeekNextIrp = peek,
                    .CsqAcquireLock = acquire,
                    .CsqReleaseLock = release,
                    .CsqCompleteCanceledIrp = complete};
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI IoCsqInitialize(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP CsqInsertIrp,
                               PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                               PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                               PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                               PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                               PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return initialize(Csq, IO_TYPE_CSQ, (PVOID)CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp,
                      CsqAcquireLock, CsqReleaseLock, CsqCompleteCanceledIrp);
}
NT_EXPORT(NTOSKRNL, IoCsqInitialize);

NTSTATUS NTAPI IoCsqInitializeEx(PIO_CSQ Csq, PIO_CSQ_INSERT_IRP_EX CsqInsertIrp,
                                 PIO_CSQ_REMOVE_IRP CsqRemoveIrp,
                                 PIO_CSQ_PEEK_NEXT_IRP CsqPeekNextIrp,
                                 PIO_CSQ_ACQUIRE_LOCK CsqAcquireLock,
                                 PIO_CSQ_RELEASE_LOCK CsqReleaseLock,
                                 PIO_CSQ_COMPLETE_CANCELED_IRP CsqCompleteCanceledIrp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return initialize(Csq, IO_TYPE_CSQ_EX, (PVOID)CsqInsertIrp, CsqRemoveIrp, CsqPeekNextIrp,
                      CsqAcquireLock, CsqReleaseLock, CsqCompleteCanceledIrp);
}
NT_EXPORT(NTOSKRNL, IoCsqInitializeEx);

static NTSTATUS insert(PIO_CSQ csq, PIRP irp, PIO_CSQ_IRP_CONTEXT context, PVOID insert_context)
{
    KIRQL irql;
    NTSTATUS status = STATUS_SUCCESS;
    bool cancelled = false;
    if (context != NULL) {
        *context = (IO_CSQ_IRP_CONTEXT){.Type = IO_TYPE_CSQ_IRP_CONTEXT, .Irp = irp, .Csq = csq};
        irp->Tail.Overlay.DriverContext[3] = context;
    } else {
        irp->Tail.Overlay.DriverContext[3] = csq;
    }
    csq->CsqAcquireLock(csq, &irql);
    if (csq->Type == IO_TYPE_CSQ_EX)
        status = ((PIO_CSQ_INSERT_IRP_EX)(PVOID)csq->CsqInsertIrp)(csq, irp, insert_context);
    else
        csq->CsqInsertIrp(csq, irp);
    if (!NT_SUCCESS(status)) {
        /* Not inserted: it stays the driver's, which fails it. */
        if (context != NULL)
            context->Irp = NULL;
        csq->CsqReleaseLock(csq, irql);
        return status;
    }
    IoMarkIrpPending(irp);
    IoSetCancelRoutine(irp, cancel_queued);
    if (irp->Cancel && IoSetCancelRoutine(irp, NULL) != NULL) {
        /* Cancelled before the routine was there, and nobody will call it: it is ours to end. */
        cancelled = true;
        csq->CsqRemoveIrp(csq, irp);
        disconnect(irp);
    }
    csq->CsqReleaseLock(csq, irql);
    if (cancelled)
        csq->CsqCompleteCanceledIrp(csq, irp);
    return status;
}

VOID NTAPI IoCsqInsertIrp(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context)
{
    VF_ENTRY(DISPATCH_LEVEL);
    insert(Csq, Irp, Context, NULL);
}
NT_EXPORT(NTOSKRNL, IoCsqInsertIrp);

NTSTATUS NTAPI IoCsqInsertIrpEx(PIO_CSQ Csq, PIRP Irp, PIO_CSQ_IRP_CONTEXT Context,
                                PVOID InsertContext)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return insert(Csq, Irp, Context, InsertContext);
}
NT_EXPORT(NTOSKRNL, IoCsqInsertIrpEx);

PIRP NTAPI IoCsqRemoveNextIrp(PIO_CSQ Csq, PVOID PeekContext)
{
    KIRQL irql;
    VF_ENTRY(DISPATCH_LEVEL);
    Csq->CsqAcquireLock(Csq, &irql);
    PIRP irp = Csq->CsqPeekNextIrp(Csq, NULL, PeekContext);
    /* One whose cancel routine is taken is being cancelled: that one will remove it. */
    while (irp != NULL && IoSetCancelRoutine(irp, NULL) == NULL)
        irp = Csq->CsqPeekNextIrp(Csq, irp, PeekContext);
    if (irp != NULL) {
        Csq->CsqRemoveIrp(Csq, irp);
        disconnect(irp);
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}
NT_EXPORT(NTOSKRNL, IoCsqRemoveNextIrp);

PIRP NTAPI IoCsqRemoveIrp(PIO_CSQ Csq, PIO_CSQ_IRP_CONTEXT Context)
{
    KIRQL irql;
    VF_ENTRY(DISPATCH_LEVEL);
    Csq->CsqAcquireLock(Csq, &irql);
    PIRP irp = Context->Irp;
    if (irp != NULL) {
        if (vf_enabled && Context->Csq != Csq)
            vf_violation(VfBadParameter, "IoCsqRemoveIrp: the context is of another queue");
        if (IoSetCancelRoutine(irp, NULL) != NULL) {
            Csq->CsqRemoveIrp(Csq, irp);
            disconnect(irp);
        } else {
            irp = NULL;
        }
    }
    Csq->CsqReleaseLock(Csq, irql);
    return irp;
}
NT_EXPORT(NTOSKRNL, IoCsqRemoveIrp);
