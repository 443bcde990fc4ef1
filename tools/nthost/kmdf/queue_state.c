/*
 * The states of a queue: stop, start, drain, purge, and the callbacks that tell.
 * WDK: "Managing I/O Queues", WDF_IO_QUEUE_STATE.
 */
#include "api.h"

/* Delivers what is due; TRUE if it did, having released and taken QueueLock meanwhile. */
BOOLEAN FxQueueEvents(FX_QUEUE *Queue, KIRQL *Irql)
{
    BOOLEAN alone = Queue->Dispatchers.Flink->Flink == &Queue->Dispatchers;
    PFN_WDF_IO_QUEUE_STATE callback = NULL;
    WDFOBJECT context = NULL;
    PCSTR name = "";

    if (!IsListEmpty(&Queue->Canceled)) {
        FX_REQUEST *request =
            CONTAINING_RECORD(RemoveHeadList(&Queue->Canceled), FX_REQUEST, QueueLink);
        Queue->WaitingCount--;
        FxQueueGive(Queue, request);
        KeReleaseSpinLock(&Queue->QueueLock, *Irql);
        FxCallbackLockAcquire(Queue->CallbackLock);
        FX_CALL("EvtIoCanceledOnQueue",
                Queue->Config.EvtIoCanceledOnQueue(FX_HANDLE(Queue), FX_HANDLE(request)));
        FxCallbackLockRelease(Queue->CallbackLock);
        KeAcquireSpinLock(&Queue->QueueLock, Irql);
        return TRUE;
    }
    if (Queue->EvtIdle != NULL && alone && Queue->OwnedCount == 0) {
        callback = Queue->EvtIdle;
        context = Queue->IdleContext;
        Queue->EvtIdle = NULL;
        name = "EvtIoQueueState (stopped)";
    } else if (Queue->EvtEmpty != NULL && alone && Queue->OwnedCount == 0 &&
               Queue->WaitingCount == 0) {
        callback = Queue->EvtEmpty;
        context = Queue->EmptyContext;
        Queue->EvtEmpty = NULL;
        name = "EvtIoQueueState (drained or purged)";
    } else if (Queue->EvtReady != NULL && Queue->Dispatching && Queue->BecameReady &&
               Queue->WaitingCount != 0) {
        callback = Queue->EvtReady;
        context = Queue->ReadyContext;
        Queue->BecameReady = FALSE;
        name = "EvtIoQueueState (ready)";
    }
    if (callback == NULL)
        return FALSE;
    KeReleaseSpinLock(&Queue->QueueLock, *Irql);
    FxCallbackLockAcquire(Queue->CallbackLock);
    FX_CALL(name, callback(FX_HANDLE(Queue), context));
    FxCallbackLockRelease(Queue->CallbackLock);
    KeAcquireSpinLock(&Queue->QueueLock, Irql);
    return TRUE;
}

/* Waits until the driver has no request of the queue's (and, unless `idle`, none waits either), and
 * no other thread is in one of its callbacks. */
static void WaitFor(FX_QUEUE *Queue, BOOLEAN Idle)
{
    PKTHREAD self = KeGetCurrentThread();
    FX_WATCHER watcher;
    KIRQL irql;

    KeInitializeEvent(&watcher.Changed, SynchronizationEvent, FALSE);
    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    InsertTailList(&Queue->Watchers, &watcher.Link);
    for (;;) {
        BOOLEAN busy = Queue->OwnedCount != 0 || (!Idle && Queue->WaitingCount != 0);
        PLIST_ENTRY link;
        for (link = Queue->Dispatchers.Flink; link != &Queue->Dispatchers; link = link->Flink)
            busy |= CONTAINING_RECORD(link, FX_DISPATCHER, Link)->Thread != self;
        if (!busy)
            break;
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        KeWaitForSingleObject(&watcher.Changed, Executive, KernelMode, FALSE, NULL);
        KeAcquireSpinLock(&Queue->QueueLock, &irql);
    }
    RemoveEntryList(&watcher.Link);
    KeReleaseSpinLock(&Queue->QueueLock, irql);
}

/* Calls EvtRequestCancel of what the driver has marked cancelable. */
static void CancelOwned(FX_QUEUE *Queue)
{
    for (;;) {
        FX_REQUEST *request = NULL;
        PLIST_ENTRY link;
        KIRQL irql;
        KeAcquireSpinLock(&Queue->QueueLock, &irql);
        for (link = Queue->Owned.Flink; link != &Queue->Owned && request == NULL;
             link = link->Flink) {
            FX_REQUEST *candidate = CONTAINING_RECORD(link, FX_REQUEST, QueueLink);
            if (FxRequestTakeCancel(candidate))
                request = candidate;
        }
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        if (request == NULL)
            return;
        FxRequestCallCancel(request);
    }
}

/* Sets a new state and the callback that tells when it is reached. */
static void SetState(PCSTR Function, FX_QUEUE *Queue, BOOLEAN Accepting, BOOLEAN Dispatching,
                     BOOLEAN Empty, PFN_WDF_IO_QUEUE_STATE Callback, WDFOBJECT Context)
{
    KIRQL irql;

    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    if (Callback != NULL && (Queue->EvtIdle != NULL || Queue->EvtEmpty != NULL)) {
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        FxViolation(FxRuleBadParameter,
                    "%s: another state callback of the queue is still to be called", Function + 2);
    }
    Queue->Accepting = Accepting && !Queue->Disposing;
    Queue->Dispatching = Dispatching;
    if (Callback != NULL && Empty) {
        Queue->EvtEmpty = Callback;
        Queue->EmptyContext = Context;
    } else if (Callback != NULL) {
        Queue->EvtIdle = Callback;
        Queue->IdleContext = Context;
    }
    KeReleaseSpinLock(&Queue->QueueLock, irql);
}

static void RefuseInCallback(PCSTR Function, FX_QUEUE *Queue)
{
    PLIST_ENTRY link;
    BOOLEAN inside = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    for (link = Queue->Dispatchers.Flink; link != &Queue->Dispatchers; link = link->Flink)
        inside |= CONTAINING_RECORD(link, FX_DISPATCHER, Link)->Thread == KeGetCurrentThread();
    KeReleaseSpinLock(&Queue->QueueLock, irql);
    if (inside)
        FxViolation(FxRuleBadParameter,
                    "%s: called from a callback of the same queue, it would wait for itself",
                    Function + 2);
}

/* Its last state: as a purge, and nothing is accepted any more. */
VOID FxQueueStop(FX_QUEUE *Queue)
{
    KIRQL irql;

    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    Queue->Disposing = TRUE;
    Queue->Accepting = FALSE;
    Queue->EvtIdle = Queue->EvtEmpty = Queue->EvtReady = NULL;
    KeReleaseSpinLock(&Queue->QueueLock, irql);
    FxQueueCancelWaiting(Queue);
    CancelOwned(Queue);
    WaitFor(Queue, FALSE);
}

FX_API(VOID, WdfIoQueueStart)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue)
{
    FX_QUEUE *queue;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    SetState(__func__, queue, TRUE, TRUE, FALSE, NULL, NULL);
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    queue->BecameReady |= queue->WaitingCount != 0;
    KeReleaseSpinLock(&queue->QueueLock, irql);
    FxQueueDispatch(queue);
}

FX_API(VOID, WdfIoQueueStop)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                             PFN_WDF_IO_QUEUE_STATE StopComplete, WDFOBJECT Context)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    SetState(__func__, queue, queue->Accepting, FALSE, FALSE, StopComplete, Context);
    FxQueueDispatch(queue);
}

FX_API(VOID, WdfIoQueueStopSynchronously)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    RefuseInCallback(__func__, queue);
    SetState(__func__, queue, queue->Accepting, FALSE, FALSE, NULL, NULL);
    WaitFor(queue, TRUE);
}

FX_API(VOID, WdfIoQueueDrain)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                              PFN_WDF_IO_QUEUE_STATE DrainComplete, WDFOBJECT Context)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    SetState(__func__, queue, FALSE, TRUE, TRUE, DrainComplete, Context);
    FxQueueDispatch(queue);
}

FX_API(VOID, WdfIoQueueDrainSynchronously)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    RefuseInCallback(__func__, queue);
    SetState(__func__, queue, FALSE, TRUE, TRUE, NULL, NULL);
    FxQueueDispatch(queue);
    WaitFor(queue, FALSE);
}

FX_API(VOID, WdfIoQueuePurge)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                              PFN_WDF_IO_QUEUE_STATE PurgeComplete, WDFOBJECT Context)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    SetState(__func__, queue, FALSE, TRUE, TRUE, PurgeComplete, Context);
    FxQueueCancelWaiting(queue);
    CancelOwned(queue);
    FxQueueDispatch(queue);
}

FX_API(VOID, WdfIoQueuePurgeSynchronously)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    RefuseInCallback(__func__, queue);
    SetState(__func__, queue, FALSE, TRUE, TRUE, NULL, NULL);
    FxQueueCancelWaiting(queue);
    CancelOwned(queue);
    WaitFor(queue, FALSE);
}

FX_API(NTSTATUS, WdfIoQueueReadyNotify)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                        PFN_WDF_IO_QUEUE_STATE QueueReady, WDFOBJECT Context)
{
    FX_QUEUE *queue;
    NTSTATUS status = STATUS_SUCCESS;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    if (queue->Config.DispatchType != WdfIoQueueDispatchManual)
        return STATUS_INVALID_DEVICE_REQUEST;
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    /* WDK: to replace or to remove a callback, the queue must be stopped. */
    if (queue->EvtReady != NULL && (QueueReady != NULL || queue->Dispatching)) {
        status = STATUS_INVALID_DEVICE_REQUEST;
    } else {
        queue->EvtReady = QueueReady;
        queue->ReadyContext = Context;
        queue->BecameReady |= queue->WaitingCount != 0;
    }
    KeReleaseSpinLock(&queue->QueueLock, irql);
    if (NT_SUCCESS(status))
        FxQueueDispatch(queue);
    return status;
}

FX_API(WDF_IO_QUEUE_STATE, WdfIoQueueGetState)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                               PULONG QueueRequests, PULONG DriverRequests)
{
    union {
        ULONG Bits; /* what the type really holds */
        WDF_IO_QUEUE_STATE State;
    } state = {0};
    FX_QUEUE *queue;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    state.Bits |= queue->Accepting ? WdfIoQueueAcceptRequests : 0;
    state.Bits |= queue->Dispatching ? WdfIoQueueDispatchRequests : 0;
    state.Bits |= queue->WaitingCount == 0 ? WdfIoQueueNoRequests : 0;
    state.Bits |= queue->OwnedCount == 0 ? WdfIoQueueDriverNoRequests : 0;
    if (QueueRequests != NULL)
        *QueueRequests = queue->WaitingCount;
    if (DriverRequests != NULL)
        *DriverRequests = queue->OwnedCount;
    KeReleaseSpinLock(&queue->QueueLock, irql);
    return state.State;
}

FX_API(WDFDEVICE, WdfIoQueueGetDevice)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass)->Device);
}
