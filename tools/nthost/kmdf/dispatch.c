/*
 * The way of an IRP: preprocessing, open and close, EvtIoInCallerContext, a queue.
 * WDK: "Request Handlers", "Framework Handling of I/O Requests".
 *
 * Every IRP that becomes a request is marked pending before anyone can complete it, so that
 * STATUS_PENDING is the right thing to return whatever happens to it meanwhile.
 */
#include "api.h"

static NTSTATUS CompleteIrp(PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

/* Holds the device against deletion while a file is open, and while it is being opened. */
static BOOLEAN BeginOpen(FX_DEVICE *Device)
{
    BOOLEAN begin;
    KIRQL irql;

    KeAcquireSpinLock(&Device->Object.Lock, &irql);
    begin = Device->Finished && !Device->DeletePending;
    if (begin)
        Device->OpenFiles++;
    KeReleaseSpinLock(&Device->Object.Lock, irql);
    return begin;
}

static NTSTATUS DispatchCreate(FX_DEVICE *Device, PIRP Irp)
{
    PFILE_OBJECT fileObject = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    FX_REQUEST *request;
    FX_FILE *file;
    NTSTATUS status;

    if (!BeginOpen(Device))
        return CompleteIrp(Irp, STATUS_NO_SUCH_DEVICE);
    status = FxFileCreate(Device, fileObject, &file);
    if (!NT_SUCCESS(status)) {
        FxDeviceFileClosed(Device);
        return CompleteIrp(Irp, status);
    }
    if (Device->Config.File.EvtDeviceFileCreate == NULL && Device->Queues[IRP_MJ_CREATE] == NULL)
        return CompleteIrp(Irp, STATUS_SUCCESS);

    status = FxRequestCreateFor(Device, Irp, file, &request);
    if (!NT_SUCCESS(status)) {
        if (file != NULL)
            FxFileForget(file);
        FxDeviceFileClosed(Device);
        return CompleteIrp(Irp, status);
    }
    IoMarkIrpPending(Irp);
    if (Device->Queues[IRP_MJ_CREATE] != NULL) {
        FxQueueInsert(Device->Queues[IRP_MJ_CREATE], request);
    } else {
        FX_CALLBACK_LOCK *lock =
            Device->Scope == WdfSynchronizationScopeDevice ? &Device->CallbackLock : NULL;
        request->Owner = FxOwnerDriver;
        request->Presented = TRUE;
        FxCallbackLockAcquire(lock);
        FX_CALL("EvtDeviceFileCreate",
                Device->Config.File.EvtDeviceFileCreate(FX_HANDLE(Device), FX_HANDLE(request),
                                                        file != NULL ? FX_HANDLE(file) : NULL));
        FxCallbackLockRelease(lock);
    }
    return STATUS_PENDING;
}

/* The last handle is closed: the driver is told, and what still waits in queues is cancelled. */
static NTSTATUS DispatchCleanup(FX_DEVICE *Device, PIRP Irp)
{
    PFILE_OBJECT fileObject = IoGetCurrentIrpStackLocation(Irp)->FileObject;
    FX_FILE *file = FxFileFind(Device, fileObject);
    ULONG index;

    if (Device->Config.File.EvtFileCleanup != NULL)
        FX_CALL("EvtFileCleanup",
                Device->Config.File.EvtFileCleanup(file != NULL ? FX_HANDLE(file) : NULL));
    for (index = 0; fileObject != NULL; index++) {
        /* Queues may come and go meanwhile: by number, not by link. */
        FX_QUEUE *queue = NULL;
        PLIST_ENTRY link;
        ULONG at = 0;
        KIRQL irql;
        KeAcquireSpinLock(&Device->Object.Lock, &irql);
        for (link = Device->QueueList.Flink; link != &Device->QueueList; link = link->Flink)
            if (at++ == index) {
                queue = CONTAINING_RECORD(link, FX_QUEUE, DeviceLink);
                FxObjectReference(&queue->Object);
                break;
            }
        KeReleaseSpinLock(&Device->Object.Lock, irql);
        if (queue == NULL)
            break;
        FxQueueCancelFile(queue, fileObject);
        FxObjectDereference(&queue->Object);
    }
    return CompleteIrp(Irp, STATUS_SUCCESS);
}

static NTSTATUS DispatchClose(FX_DEVICE *Device, PIRP Irp)
{
    FX_FILE *file = FxFileFind(Device, IoGetCurrentIrpStackLocation(Irp)->FileObject);

    if (Device->Config.File.EvtFileClose != NULL)
        FX_CALL("EvtFileClose",
                Device->Config.File.EvtFileClose(file != NULL ? FX_HANDLE(file) : NULL));
    if (file != NULL)
        FxFileForget(file);
    CompleteIrp(Irp, STATUS_SUCCESS);
    FxDeviceFileClosed(Device);
    return STATUS_SUCCESS;
}

static NTSTATUS Enqueue(FX_DEVICE *Device, FX_REQUEST *Request)
{
    UCHAR major = FxStack(Request)->MajorFunction;
    FX_QUEUE *queue = Device->Queues[major] != NULL ? Device->Queues[major] : Device->DefaultQueue;

    if (queue == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    FxQueueInsert(queue, Request);
    return STATUS_PENDING;
}

static NTSTATUS DispatchRequest(FX_DEVICE *Device, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    FX_REQUEST *request;
    NTSTATUS status;

    if (Device->Queues[stack->MajorFunction] == NULL && Device->DefaultQueue == NULL &&
        Device->Config.EvtInCallerContext == NULL)
        return CompleteIrp(Irp, STATUS_INVALID_DEVICE_REQUEST);
    status = FxRequestCreateFor(Device, Irp, FxFileFind(Device, stack->FileObject), &request);
    if (!NT_SUCCESS(status))
        return CompleteIrp(Irp, status);
    IoMarkIrpPending(Irp);
    if (Device->Config.EvtInCallerContext != NULL) {
        request->Owner = FxOwnerDriver;
        FX_CALL("EvtIoInCallerContext",
                Device->Config.EvtInCallerContext(FX_HANDLE(Device), FX_HANDLE(request)));
    } else {
        Enqueue(Device, request);
    }
    return STATUS_PENDING;
}

/* WDK: WdfDeviceEnqueueRequest, from EvtIoInCallerContext. */
FX_API(NTSTATUS, WdfDeviceEnqueueRequest)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                          WDFREQUEST Request)
{
    FX_REQUEST *request;
    FX_DEVICE *device;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(APC_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    request = FxRequestOwned(__func__, Request);
    if (request->Queue != NULL || request->Device != device)
        FxViolation(FxRuleRequestMisuse,
                    "WdfDeviceEnqueueRequest: the request %p is not from EvtIoInCallerContext of "
                    "this device",
                    (PVOID)Request);
    request->Owner = FxOwnerFramework;
    status = Enqueue(device, request);
    if (status == STATUS_PENDING)
        return STATUS_SUCCESS;
    request->Owner = FxOwnerDriver; /* which completes it */
    return status;
}

NTSTATUS FxDispatchIrp(FX_DEVICE *Device, PIRP Irp)
{
    switch (IoGetCurrentIrpStackLocation(Irp)->MajorFunction) {
    case IRP_MJ_CREATE:
        return DispatchCreate(Device, Irp);
    case IRP_MJ_CLEANUP:
        return DispatchCleanup(Device, Irp);
    case IRP_MJ_CLOSE:
        return DispatchClose(Device, Irp);
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
    case IRP_MJ_DEVICE_CONTROL:
    case IRP_MJ_INTERNAL_DEVICE_CONTROL:
        return DispatchRequest(Device, Irp);
    default:
        return CompleteIrp(Irp, STATUS_INVALID_DEVICE_REQUEST);
    }
}

static BOOLEAN IsPreprocessed(const FX_DEVICE *Device, const IO_STACK_LOCATION *Stack)
{
    UCHAR major = Stack->MajorFunction;
    ULONG i;

    if (major >= FX_MAJOR_FUNCTIONS || Device->Config.Preprocess[major] == NULL)
        return FALSE;
    for (i = 0; i < Device->Config.PreprocessMinorCount[major]; i++)
        if (Device->Config.PreprocessMinors[major][i] == Stack->MinorFunction)
            return TRUE;
    return Device->Config.PreprocessMinorCount[major] == 0;
}

NTSTATUS NTAPI FxDispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    FX_DEVICE_EXTENSION *extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    FX_DEVICE *device;
    NTSTATUS status;

    if (extension == NULL || extension->Signature != FX_TAG || extension->Device == NULL)
        return CompleteIrp(Irp, STATUS_INVALID_DEVICE_REQUEST);
    device = extension->Device;
    FxObjectReference(&device->Object);
    if (IsPreprocessed(device, stack)) {
        /* The callback hands it back by WdfDeviceWdmDispatchPreprocessedIrp, having skipped this
         * stack location: one more than there is. */
        FX_CALL("EvtDeviceWdmIrpPreprocess",
                status = device->Config.Preprocess[stack->MajorFunction](FX_HANDLE(device), Irp));
    } else {
        status = FxDispatchIrp(device, Irp);
    }
    FxObjectDereference(&device->Object);
    return status;
}

FX_API(NTSTATUS, WdfDeviceWdmDispatchPreprocessedIrp)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFDEVICE Device, PIRP Irp)
{
    FX_DEVICE *device;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    /* WDK: the callback calls IoSkipCurrentIrpStackLocation first. */
    IoSetNextIrpStackLocation(Irp);
    return FxDispatchIrp(device, Irp);
}
