/*
 * A driver takes requests out of a queue itself, or puts them into another.
 * WDK: "Obtaining I/O Requests from Queues", "Forwarding I/O Requests", "Requeuing I/O Requests".
 */
#include "api.h"

static NTSTATUS Retrieve(FX_QUEUE *Queue, FX_REQUEST *Wanted, PFILE_OBJECT FileObject,
                         WDFREQUEST *OutRequest)
{
    NTSTATUS status = Wanted != NULL ? STATUS_NOT_FOUND : STATUS_NO_MORE_ENTRIES;
    PLIST_ENTRY link;
    KIRQL irql;

    *OutRequest = NULL;
    KeAcquireSpinLock(&Queue->QueueLock, &irql);
    if (!Queue->Dispatching)
        status = STATUS_WDF_PAUSED;
    for (link = Queue->Waiting.Flink; Queue->Dispatching && link != &Queue->Waiting;
         link = link->Flink) {
        FX_REQUEST *request = CONTAINING_RECORD(link, FX_REQUEST, QueueLink);
        if ((Wanted != NULL && request != Wanted) ||
            (FileObject != NULL && FxStack(request)->FileObject != FileObject) ||
            !FxQueueTake(Queue, request))
            continue;
        FxQueueGive(Queue, request);
        *OutRequest = FX_HANDLE(request);
        status = STATUS_SUCCESS;
        break;
    }
    KeReleaseSpinLock(&Queue->QueueLock, irql);
    return status;
}

FX_API(NTSTATUS, WdfIoQueueRetrieveNextRequest)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                                WDFREQUEST *OutRequest)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return Retrieve(FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass), NULL, NULL, OutRequest);
}

FX_API(NTSTATUS, WdfIoQueueRetrieveRequestByFileObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        WDFQUEUE Queue, WDFFILEOBJECT FileObject,
                                                        WDFREQUEST *OutRequest)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return Retrieve(FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass), NULL,
                    FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->FileObject, OutRequest);
}

FX_API(NTSTATUS, WdfIoQueueFindRequest)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                        WDFREQUEST FoundRequest, WDFFILEOBJECT FileObject,
                                        PWDF_REQUEST_PARAMETERS Parameters, WDFREQUEST *OutRequest)
{
    FX_REQUEST *after = NULL;
    PFILE_OBJECT fileObject = NULL;
    NTSTATUS status;
    FX_QUEUE *queue;
    PLIST_ENTRY link;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    if (FoundRequest != NULL)
        after = FX_OBJECT_OF(FoundRequest, FX_REQUEST, FxRequestClass);
    if (FileObject != NULL)
        fileObject = FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->FileObject;
    if (Parameters != NULL && Parameters->Size != sizeof(*Parameters))
        return STATUS_INFO_LENGTH_MISMATCH;
    *OutRequest = NULL;
    /* It may have been cancelled meanwhile: then the driver begins again. */
    status = after != NULL ? STATUS_NOT_FOUND : STATUS_NO_MORE_ENTRIES;
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    if (!queue->Dispatching)
        status = STATUS_WDF_PAUSED;
    for (link = queue->Waiting.Flink; queue->Dispatching && link != &queue->Waiting;
         link = link->Flink) {
        FX_REQUEST *request = CONTAINING_RECORD(link, FX_REQUEST, QueueLink);
        if (after != NULL) {
            if (request == after) {
                after = NULL;
                status = STATUS_NO_MORE_ENTRIES;
            }
            continue;
        }
        if (fileObject != NULL && FxStack(request)->FileObject != fileObject)
            continue;
        FxObjectReference(&request->Object); /* the driver drops it */
        if (Parameters != NULL)
            FxRequestParameters(request, Parameters);
        *OutRequest = FX_HANDLE(request);
        status = STATUS_SUCCESS;
        break;
    }
    KeReleaseSpinLock(&queue->QueueLock, irql);
    return status;
}

FX_API(NTSTATUS, WdfIoQueueRetrieveFoundRequest)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFQUEUE Queue,
                                                 WDFREQUEST FoundRequest, WDFREQUEST *OutRequest)
{
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    return Retrieve(queue, FX_OBJECT_OF(FoundRequest, FX_REQUEST, FxRequestClass), NULL,
                    OutRequest);
}

/* Out of the driver's hands: it is no longer one of its queue's owned ones. */
static void Disown(FX_REQUEST *Request)
{
    RemoveEntryList(&Request->QueueLink);
    InitializeListHead(&Request->QueueLink);
    Request->Owner = FxOwnerFramework;
}

static FX_REQUEST *Movable(PCSTR Function, WDFREQUEST Handle)
{
    FX_REQUEST *request = FxRequestOwned(Function, Handle);

    if (request->Cancelable != FX_CANCEL_NO)
        FxViolation(
            FxRuleRequestMisuse,
            "%s: the request %p is marked cancelable; WdfRequestUnmarkCancelable comes first",
            Function + 2, (PVOID)Handle);
    return request;
}

FX_API(NTSTATUS, WdfRequestForwardToIoQueue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request,
                                             WDFQUEUE DestinationQueue)
{
    FX_QUEUE *from, *to;
    FX_REQUEST *request;
    BOOLEAN accepted, waits;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = Movable(__func__, Request);
    to = FX_OBJECT_OF(DestinationQueue, FX_QUEUE, FxQueueClass);
    from = request->Queue;
    if (to->Device != request->Device || to == from)
        return STATUS_INVALID_DEVICE_REQUEST;

    /* Two queues' locks are never held together: the request is nobody's in between. */
    KeAcquireSpinLock(&to->QueueLock, &irql);
    accepted = to->Accepting;
    KeReleaseSpinLock(&to->QueueLock, irql);
    if (!accepted)
        return STATUS_WDF_BUSY;
    if (from != NULL) {
        KeAcquireSpinLock(&from->QueueLock, &irql);
        Disown(request);
        KeReleaseSpinLock(&from->QueueLock, irql);
    }
    KeAcquireSpinLock(&to->QueueLock, &irql);
    accepted = to->Accepting;
    if (!accepted) {
        KeReleaseSpinLock(&to->QueueLock, irql);
        if (from != NULL) {
            KeAcquireSpinLock(&from->QueueLock, &irql);
            InsertTailList(&from->Owned, &request->QueueLink);
        }
        request->Owner = FxOwnerDriver;
        if (from != NULL)
            KeReleaseSpinLock(&from->QueueLock, irql);
        return STATUS_WDF_BUSY;
    }
    FxObjectReference(&to->Object); /* the request's */
    FxObjectReference(&to->Object); /* ours: it may be completed at once */
    request->Queue = to;
    waits = FxQueuePut(to, request, FALSE);
    KeReleaseSpinLock(&to->QueueLock, irql);
    if (!waits)
        FxRequestFinish(request, STATUS_CANCELLED, 0, IO_NO_INCREMENT);
    else
        FxQueueDispatch(to);
    if (from != NULL) {
        FxQueueReleaseOwned(from);
        FxObjectDereference(&from->Object); /* what the request held */
    }
    FxObjectDereference(&to->Object);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfRequestRequeue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFREQUEST Request)
{
    FX_REQUEST *request;
    FX_QUEUE *queue;
    BOOLEAN waits = FALSE, accepted;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    request = Movable(__func__, Request);
    queue = request->Queue;
    if (queue == NULL || queue->Config.DispatchType != WdfIoQueueDispatchManual)
        return STATUS_INVALID_DEVICE_REQUEST;
    FxObjectReference(&queue->Object);
    KeAcquireSpinLock(&queue->QueueLock, &irql);
    accepted = queue->Accepting;
    if (accepted) {
        Disown(request);
        waits = FxQueuePut(queue, request, TRUE);
    }
    KeReleaseSpinLock(&queue->QueueLock, irql);
    if (accepted && !waits)
        FxRequestFinish(request, STATUS_CANCELLED, 0, IO_NO_INCREMENT);
    if (accepted)
        FxQueueReleaseOwned(queue);
    FxObjectDereference(&queue->Object);
    return accepted ? STATUS_SUCCESS : STATUS_WDF_BUSY;
}
