/*
 * I/O queues: requests come, wait, are handed out. WDK: wdfio.h, "Framework Queue Objects".
 *
 * FxQueueDispatch hands out what the queue's type and state allow. Any thread that changes either
 * calls it; several may be at it at once, as callbacks of a parallel queue are. A thread that comes
 * here out of a callback that it was handing out leaves the work to that frame of its stack, so
 * that a driver that completes requests at once does not recurse.
 *
 * A waiting request is cancelable: who takes it out of the queue must win its cancel routine first.
 */
#include "api.h"

static void QueueDispose(FX_OBJECT *Object);
static void QueueDestroy(FX_OBJECT *Object);
static DRIVER_CANCEL CancelWaiting;

const FX_CLASS FxQueueClass = {"WDFQUEUE", sizeof(FX_QUEUE), TRUE,
                               TRUE,       QueueDispose,     QueueDestroy};

static void RunPassive(FX_OBJECT *Object)
{
    FxQueueDispatch((FX_QUEUE *)Object);
}

static void QueueDispose(FX_OBJECT *Object)
{
    FX_QUEUE *queue = (FX_QUEUE *)Object;
    FX_DEVICE *device = queue->Device;
    ULONG i;
    KIRQL irql;

    if (device->DefaultQueue == queue)
        device->DefaultQueue = NULL;
    for (i = 0; i < FX_MAJOR_FUNCTIONS; i++)
        if (device->Queues[i] == queue)
            device->Queues[i] = NULL;
    FxQueueStop(queue);
    KeAcquireSpinLock(&device->Object.Lock, &irql);
    RemoveEntryList(&queue->DeviceLink);
    KeReleaseSpinLock(&device->Object.Lock, irql);
    if (queue->Errand != NULL)
        FxErrandFinish(queue->Errand);
}

static void QueueDestroy(FX_OBJECT *Object)
{
    FxErrandFree(((FX_QUEUE *)Object)->Errand);
}

FX_API(NTSTATUS, WdfIoQueueCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                   PWDF_IO_QUEUE_CONFIG Config,
                                   PWDF_OBJECT_ATTRIBUTES QueueAttributes, WDFQUEUE *Queue)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    WDF_SYNCHRONIZATION_SCOPE scope;
    FX_DEVICE *device;
    FX_OBJECT *object;
    FX_QUEUE *queue;
    NTSTATUS status;
    KIRQL irql;

    FX_ENTER(DISPATCH_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    if (Queue != NULL)
        *Queue = NULL;
    if (Config->Size != sizeof(*Config))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->DispatchType <= WdfIoQueueDispatchInvalid ||
        Config->DispatchType >= WdfIoQueueDispatchMax)
        return STATUS_INVALID_PARAMETER;
    if (Config->DispatchType == WdfIoQueueDispatchManual
            ? Config->EvtIoDefault != NULL || Config->EvtIoRead != NULL ||
                  Config->EvtIoWrite != NULL || Config->EvtIoDeviceControl != NULL ||
                  Config->EvtIoInternalDeviceControl != NULL
            : Config->EvtIoDefault == NULL && Config->EvtIoRead == NULL &&
                  Config->EvtIoWrite == NULL && Config->EvtIoDeviceControl == NULL &&
                  Config->EvtIoInternalDeviceControl == NULL)
        return Config->DispatchType == WdfIoQueueDispatchManual ? STATUS_INVALID_PARAMETER
                                                                : STATUS_WDF_NO_CALLBACK;
    if (Config->DispatchType == WdfIoQueueDispatchParallel &&
        Config->Settings.Parallel.NumberOfPresentedRequests == 0)
        return STATUS_INVALID_PARAMETER;
    if (Config->DefaultQueue && device->DefaultQueue != NULL)
        return STATUS_UNSUCCESSFUL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;

    status = FxObjectAllocate(globals, &FxQueueClass, QueueAttributes, &device->Object, &object);
    if (!NT_SUCCESS(status))
        return status;
    queue = (FX_QUEUE *)object;
    queue->Device = device;
    queue->Config = *Config;
    KeInitializeSpinLock(&queue->QueueLock);
    InitializeListHead(&queue->Waiting);
    InitializeListHead(&queue->Owned);
    InitializeListHead(&queue->Canceled);
    InitializeListHead(&queue->Dispatchers);
    InitializeListHead(&queue->Watchers);
    InitializeListHead(&queue->DeviceLink);
    queue->Accepting = queue->Dispatching = TRUE;
    FxCallbackInherit(QueueAttributes, device->Level, device->Scope, &queue->Level, &scope);
    FxCallbackLockInitialize(&queue->OwnCallbackLock, queue->Level == WdfExecutionLevelPassive);
    if (scope == WdfSynchronizationScopeQueue)
        queue->CallbackLock = &queue->OwnCallbackLock;
    else if (scope == WdfSynchronizationScopeDevice)
        queue->CallbackLock = &device->CallbackLock;
    status = queue->Level == WdfExecutionLevelPassive
                 ? FxErrandCreate(object, RunPassive, &queue->Errand)
                 : STATUS_SUCCESS;
    if (NT_SUCCESS(status))
        status = FxObjectPublish(object, QueueAttributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    KeAcquireSpinLock(&device->Object.Lock, &irql);
    InsertTailList(&device->QueueList, &queue->DeviceLink);
    KeReleaseSpinLock(&device->Object.Lock, irql);
    if (Config->DefaultQueue)
        device->DefaultQueue = queue;
    if (Queue != NULL)
        *Queue = FX_HANDLE(queue);
    return STATUS_SUCCESS;
}

/* QueueLock is held. */
static void Notify(FX_QUEUE *Queue)
{
    PLIST_ENTRY link;

    for (link = Queue->Watchers.Flink; link != &Queue->Watchers; link = link->Flink)
        KeSetEvent(&CONTAINING_RECORD(link, FX_WATCHER, Link)->Changed, IO_NO_INCREMENT, FALSE);
}

/* A waiting request was cancelled. */
static VOID CancelWaiting(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    FX_REQUEST *request = Irp->Tail.Overlay.DriverContext[0];
    FX_QUEUE *queue = request->Queue;
    BOOLEAN show;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DeviceObject);
    FxObjectReference(&queue->Object);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    RemoveEntryList(&request->QueueLink);
    show = request->Presented && queue->Config.EvtIoCanceledOnQueue != NULL;
    if (show) {
        InsertTailList(&queue->Canceled, &request->QueueLink);
    } else {
        InitializeListHead(&request->QueueLink);
        queue->WaitingCount--;
        request->Owner = FxOwnerFramework;
    }
    KeReleaseSpinLock(&queue->QueueLock, irql);
    if (!show)
        FxRequestFinish(request, STATUS_CANCELLED, 0, IO_NO_INCREMENT);
    FxQueueDispatch(queue);
    FxObjectDereference(&queue->Object);
}

BOOLEAN FxQueuePut(FX_QUEUE *Queue, FX_REQUEST *Request, BOOLEAN First)
{
    PIRP irp = Request->Irp;

    if (Queue->WaitingCount == 0)
        Queue->BecameReady = TRUE;
    if (First)
        InsertHeadList(&Queue->Waiting, &Request->QueueLink);
    else
        InsertTailList(&Queue->Waiting, &Request->QueueLink);
    Queue->WaitingCount++;
    Request->Owner = FxOwnerQueue;
    irp->Tail.Overlay.DriverContext[0] = Request;
    IoSetCancelRoutine(irp, CancelWaiting);
    if (!irp->Cancel || IoSetCancelRoutine(irp, NULL) == NULL)
        return TRUE;
    RemoveEntryList(&Request->QueueLink);
    InitializeListHead(&Request->QueueLink);
    Queue->WaitingCount--;
    Request->Owner = FxOwnerFramework;
    return FALSE;
}

BOOLEAN FxQueueTake(FX_QUEUE *Queue, FX_REQUEST *Request)
{
    if (IoSetCancelRoutine(Request->Irp, NULL) == NULL)
        return FALSE; /* the cancel routine waits for QueueLock, and takes it */
    RemoveEntryList(&Request->QueueLink);
    InitializeListHead(&Request->QueueLink);
    Queue->WaitingCount--;
    Request->Owner = FxOwnerFramework;
    return TRUE;
}

VOID FxQueueGive(FX_QUEUE *Queue, FX_REQUEST *Request)
{
    Request->Owner = FxOwnerDriver;
    Request->Presented = TRUE;
    Request->Cancelable = FX_CANCEL_NO;
    InsertTailList(&Queue->Owned, &Request->QueueLink);
    Queue->OwnedCount++;
}

VOID FxQueueReleaseOwned(FX_QUEUE *Queue)
{
    KIRQL irql;

    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    Queue->OwnedCount--;
    Notify(Queue);
    KeReleaseSpinLock(&Queue->QueueLock, irql);
    FxQueueDispatch(Queue);
}

VOID FxQueueInsert(FX_QUEUE *Queue, FX_REQUEST *Request)
{
    BOOLEAN accepted, waits = FALSE;
    KIRQL irql;

    FxObjectReference(&Queue->Object);
    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    accepted = Queue->Accepting;
    if (accepted) {
        FxObjectReference(&Queue->Object);
        Request->Queue = Queue;
        waits = FxQueuePut(Queue, Request, FALSE);
    }
    KeReleaseSpinLock(&Queue->QueueLock, irql);
    if (!waits)
        FxRequestFinish(Request, accepted ? STATUS_CANCELLED : STATUS_INVALID_DEVICE_STATE, 0,
                        IO_NO_INCREMENT);
    else
        FxQueueDispatch(Queue);
    FxObjectDereference(&Queue->Object);
}

/* Calls the callback for the request's type, or answers for it. */
static void Present(FX_QUEUE *Queue, FX_REQUEST *Request)
{
    const WDF_IO_QUEUE_CONFIG *config = &Queue->Config;
    const IO_STACK_LOCATION *stack = FxStack(Request);
    WDFQUEUE queue = FX_HANDLE(Queue);
    WDFREQUEST request = FX_HANDLE(Request);
    UCHAR major = stack->MajorFunction;
    ULONG length = 0, output = 0, input = 0, code = 0;

    if (major == IRP_MJ_READ || major == IRP_MJ_WRITE) {
        length =
            major == IRP_MJ_READ ? stack->Parameters.Read.Length : stack->Parameters.Write.Length;
        if (length == 0 && !config->AllowZeroLengthRequests) {
            FxRequestFinish(Request, STATUS_SUCCESS, 0, IO_NO_INCREMENT);
            return;
        }
    } else if (major == IRP_MJ_DEVICE_CONTROL || major == IRP_MJ_INTERNAL_DEVICE_CONTROL) {
        output = stack->Parameters.DeviceIoControl.OutputBufferLength;
        input = stack->Parameters.DeviceIoControl.InputBufferLength;
        code = stack->Parameters.DeviceIoControl.IoControlCode;
    }
    FxCallbackLockAcquire(Queue->CallbackLock);
    if (major == IRP_MJ_READ && config->EvtIoRead != NULL)
        FX_CALL("EvtIoRead", config->EvtIoRead(queue, request, length));
    else if (major == IRP_MJ_WRITE && config->EvtIoWrite != NULL)
        FX_CALL("EvtIoWrite", config->EvtIoWrite(queue, request, length));
    else if (major == IRP_MJ_DEVICE_CONTROL && config->EvtIoDeviceControl != NULL)
        FX_CALL("EvtIoDeviceControl",
                config->EvtIoDeviceControl(queue, request, output, input, code));
    else if (major == IRP_MJ_INTERNAL_DEVICE_CONTROL && config->EvtIoInternalDeviceControl != NULL)
        FX_CALL("EvtIoInternalDeviceControl",
                config->EvtIoInternalDeviceControl(queue, request, output, input, code));
    else if (config->EvtIoDefault != NULL)
        FX_CALL("EvtIoDefault", config->EvtIoDefault(queue, request));
    else
        FxRequestFinish(Request, STATUS_INVALID_DEVICE_REQUEST, 0, IO_NO_INCREMENT);
    FxCallbackLockRelease(Queue->CallbackLock);
}

/* The next request that may be handed out now, the driver's already, or NULL. */
static FX_REQUEST *NextToPresent(FX_QUEUE *Queue)
{
    PLIST_ENTRY link;

    if (!Queue->Dispatching || Queue->Config.DispatchType == WdfIoQueueDispatchManual ||
        (Queue->Config.DispatchType == WdfIoQueueDispatchSequential && Queue->OwnedCount != 0) ||
        (Queue->Config.DispatchType == WdfIoQueueDispatchParallel &&
         Queue->OwnedCount >= Queue->Config.Settings.Parallel.NumberOfPresentedRequests))
        return NULL;
    for (link = Queue->Waiting.Flink; link != &Queue->Waiting; link = link->Flink) {
        FX_REQUEST *request = CONTAINING_RECORD(link, FX_REQUEST, QueueLink);
        if (FxQueueTake(Queue, request)) {
            FxQueueGive(Queue, request);
            return request;
        }
    }
    return NULL;
}

VOID FxQueueDispatch(FX_QUEUE *Queue)
{
    PKTHREAD self = KeGetCurrentThread();
    FX_DISPATCHER frame;
    FX_REQUEST *request;
    PLIST_ENTRY link;
    KIRQL irql;

    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    for (link = Queue->Dispatchers.Flink; link != &Queue->Dispatchers; link = link->Flink)
        if (CONTAINING_RECORD(link, FX_DISPATCHER, Link)->Thread == self) {
            KeReleaseSpinLock(&Queue->QueueLock, irql);
            return;
        }
    if (Queue->Level == WdfExecutionLevelPassive && irql > PASSIVE_LEVEL) {
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        FxErrandBegin(Queue->Errand);
        return;
    }
    frame.Thread = self;
    InsertTailList(&Queue->Dispatchers, &frame.Link);
    for (;;) {
        if (FxQueueEvents(Queue, &irql))
            continue;
        request = NextToPresent(Queue);
        if (request == NULL)
            break;
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        Present(Queue, request);
        KeAcquireSpinLock(&Queue->QueueLock, &irql);
    }
    RemoveEntryList(&frame.Link);
    Notify(Queue);
    KeReleaseSpinLock(&Queue->QueueLock, irql);
}

/* Takes out and cancels what is there, or what came by one file; not what the driver has. */
static void CancelWhere(FX_QUEUE *Queue, PFILE_OBJECT FileObject)
{
    for (;;) {
        FX_REQUEST *request = NULL;
        PLIST_ENTRY link;
        BOOLEAN show = FALSE;
        KIRQL irql;
        KeAcquireSpinLock(&Queue->QueueLock, &irql);
        for (link = Queue->Waiting.Flink; link != &Queue->Waiting; link = link->Flink) {
            FX_REQUEST *candidate = CONTAINING_RECORD(link, FX_REQUEST, QueueLink);
            if ((FileObject == NULL || FxStack(candidate)->FileObject == FileObject) &&
                FxQueueTake(Queue, candidate)) {
                request = candidate;
                break;
            }
        }
        if (request != NULL) {
            show = request->Presented && Queue->Config.EvtIoCanceledOnQueue != NULL;
            if (show) {
                request->Owner = FxOwnerQueue;
                InsertTailList(&Queue->Canceled, &request->QueueLink);
                Queue->WaitingCount++;
            }
        }
        KeReleaseSpinLock(&Queue->QueueLock, irql);
        if (request == NULL)
            break;
        if (!show)
            FxRequestFinish(request, STATUS_CANCELLED, 0, IO_NO_INCREMENT);
    }
    FxQueueDispatch(Queue);
}

VOID FxQueueCancelFile(FX_QUEUE *Queue, PFILE_OBJECT FileObject)
{
    CancelWhere(Queue, FileObject);
}

VOID FxQueueCancelWaiting(FX_QUEUE *Queue)
{
    CancelWhere(Queue, NULL);
}
