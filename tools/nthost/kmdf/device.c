/* Control devices. WDK: "Using Control Device Objects". */
#include "api.h"

static void DeviceDispose(FX_OBJECT *Object);
static void DeviceDestroy(FX_OBJECT *Object);

const FX_CLASS FxDeviceClass = {"WDFDEVICE", sizeof(FX_DEVICE), TRUE,
                                TRUE,        DeviceDispose,     DeviceDestroy};

/* Its queues, timers and files are gone already: they are its children. */
static void DeviceDispose(FX_OBJECT *Object)
{
    FX_DEVICE *device = (FX_DEVICE *)Object;

    if (device->Link.Buffer != NULL)
        IoDeleteSymbolicLink(&device->Link);
    FxStringFree(&device->Link);
    if (device->DeviceObject != NULL) {
        /* Open files keep the WDM device, and their last IRPs find nobody here. */
        ((FX_DEVICE_EXTENSION *)device->DeviceObject->DeviceExtension)->Device = NULL;
        IoDeleteDevice(device->DeviceObject);
    }
}

static void DeviceDestroy(FX_OBJECT *Object)
{
    FxDeviceConfigFree(&((FX_DEVICE *)Object)->Config);
}

VOID FxDeviceDelete(FX_DEVICE *Device)
{
    BOOLEAN now, again;
    KIRQL irql;

    if (KeGetCurrentIrql() > PASSIVE_LEVEL)
        FxViolation(FxRuleBadParameter,
                    "WdfObjectDelete: a device is deleted at PASSIVE_LEVEL only");
    KeAcquireSpinLock(&Device->Object.Lock, &irql);
    again = Device->DeletePending;
    Device->DeletePending = TRUE;
    now = Device->OpenFiles == 0;
    KeReleaseSpinLock(&Device->Object.Lock, irql);
    if (again)
        FxViolation(FxRuleBadHandle, "WdfObjectDelete: the WDFDEVICE %p is being deleted already",
                    FX_HANDLE(Device));
    /* Nobody is to find it while it waits for its files to be closed. */
    if (Device->Link.Buffer != NULL) {
        IoDeleteSymbolicLink(&Device->Link);
        FxStringFree(&Device->Link);
    }
    if (now)
        FxObjectDelete(&Device->Object);
}

VOID FxDeviceFileClosed(FX_DEVICE *Device)
{
    BOOLEAN last;
    KIRQL irql;

    KeAcquireSpinLock(&Device->Object.Lock, &irql);
    last = --Device->OpenFiles == 0 && Device->DeletePending;
    KeReleaseSpinLock(&Device->Object.Lock, irql);
    if (last)
        FxObjectDelete(&Device->Object);
}

/* Takes the settings over: what Init held of them it holds no more. */
static NTSTATUS MakeWdmDevice(FX_DEVICE *Device)
{
    FX_DEVICE_CONFIG *config = &Device->Config;
    FX_DEVICE_EXTENSION *extension;
    NTSTATUS status;

    status = FxCreateDevice(Device->Object.Globals->DriverObject, sizeof(*extension),
                            config->Name.Length != 0 ? &config->Name : NULL, config->Type,
                            config->Characteristics, config->Exclusive, &config->Sddl,
                            &Device->DeviceObject);
    if (!NT_SUCCESS(status))
        return status;
    extension = Device->DeviceObject->DeviceExtension;
    extension->Signature = FX_TAG;
    extension->Device = Device;
    if (config->ReadWriteIo == WdfDeviceIoBuffered)
        Device->DeviceObject->Flags |= DO_BUFFERED_IO;
    else if (config->ReadWriteIo == WdfDeviceIoDirect)
        Device->DeviceObject->Flags |= DO_DIRECT_IO;
    return status;
}

FX_API(NTSTATUS, WdfDeviceCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDFDEVICE_INIT *DeviceInit,
                                  PWDF_OBJECT_ATTRIBUTES DeviceAttributes, WDFDEVICE *Device)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    PWDFDEVICE_INIT init = *DeviceInit;
    FX_DRIVER *driver = init->Driver;
    FX_OBJECT *object;
    FX_DEVICE *device;
    NTSTATUS status;

    FX_ENTER(PASSIVE_LEVEL);
    *Device = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    if (DeviceAttributes != NULL && DeviceAttributes->ParentObject != NULL)
        return STATUS_WDF_PARENT_ASSIGNMENT_NOT_ALLOWED;
    status = FxObjectAllocate(globals, &FxDeviceClass, DeviceAttributes, &driver->Object, &object);
    if (!NT_SUCCESS(status))
        return status;
    device = (FX_DEVICE *)object;
    InitializeListHead(&device->QueueList);
    InitializeListHead(&device->FileList);
    FxCallbackInherit(DeviceAttributes, driver->Level, driver->Scope, &device->Level,
                      &device->Scope);
    FxCallbackLockInitialize(&device->CallbackLock, device->Level == WdfExecutionLevelPassive);
    device->Config = init->Config;
    status = MakeWdmDevice(device);
    if (NT_SUCCESS(status))
        status = FxObjectPublish(object, DeviceAttributes);
    if (!NT_SUCCESS(status)) {
        /* The caller still has its Init, with all that is in it, to free. */
        DeviceDispose(object);
        RtlZeroMemory(&device->Config, sizeof(device->Config));
        FxObjectDiscard(object);
        return status;
    }
    RtlZeroMemory(&init->Config, sizeof(init->Config));
    FxDeviceInitRelease(init);
    *DeviceInit = NULL;
    *Device = FX_HANDLE(device);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfDeviceCreateSymbolicLink)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                              PCUNICODE_STRING SymbolicLinkName)
{
    FX_DEVICE *device;
    UNICODE_STRING link;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    if (device->Link.Buffer != NULL)
        return STATUS_INVALID_DEVICE_STATE;
    if (device->Config.Name.Length == 0)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxStringDuplicate(&link, SymbolicLinkName);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&link, &device->Config.Name);
    if (!NT_SUCCESS(status)) {
        FxStringFree(&link);
        return status;
    }
    device->Link = link;
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfControlFinishInitializing)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device)
{
    FX_DEVICE *device;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    device->Finished = TRUE;
    device->DeviceObject->Flags &= ~DO_DEVICE_INITIALIZING;
}

FX_API(WDFDRIVER, WdfDeviceGetDriver)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass)->Object.Parent);
}

FX_API(WDFQUEUE, WdfDeviceGetDefaultQueue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device)
{
    FX_DEVICE *device;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    return device->DefaultQueue != NULL ? FX_HANDLE(device->DefaultQueue) : NULL;
}

FX_API(PDEVICE_OBJECT, WdfDeviceWdmGetDeviceObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass)->DeviceObject;
}

/* A control device stands alone. */
FX_API(PDEVICE_OBJECT, WdfDeviceWdmGetAttachedDevice)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFDEVICE Device)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    return NULL;
}

FX_API(WDFDEVICE, WdfWdmDeviceGetWdfDeviceHandle)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  PDEVICE_OBJECT DeviceObject)
{
    FX_DEVICE_EXTENSION *extension = DeviceObject->DeviceExtension;

    FX_ENTER(DISPATCH_LEVEL);
    if (DeviceObject->DriverObject != FxGlobals(DriverGlobals)->DriverObject || extension == NULL ||
        extension->Signature != FX_TAG || extension->Device == NULL)
        return NULL;
    return FX_HANDLE(extension->Device);
}

FX_API(WDFFILEOBJECT, WdfDeviceGetFileObject)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDEVICE Device,
                                              PFILE_OBJECT FileObject)
{
    FX_FILE *file;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    file = FxFileFind(FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass), FileObject);
    return file != NULL ? FX_HANDLE(file) : NULL;
}

FX_API(NTSTATUS, WdfDeviceConfigureRequestDispatching)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                       WDFDEVICE Device, WDFQUEUE Queue,
                                                       ULONG RequestType)
{
    FX_DEVICE *device;
    FX_QUEUE *queue;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    device = FX_OBJECT_OF(Device, FX_DEVICE, FxDeviceClass);
    queue = FX_OBJECT_OF(Queue, FX_QUEUE, FxQueueClass);
    switch (RequestType) {
    case WdfRequestTypeCreate:
    case WdfRequestTypeRead:
    case WdfRequestTypeWrite:
    case WdfRequestTypeDeviceControl:
    case WdfRequestTypeDeviceControlInternal:
        break;
    default:
        return STATUS_INVALID_PARAMETER;
    }
    if (queue->Device != device)
        return STATUS_INVALID_DEVICE_REQUEST;
    /* The request types have the numbers of their major functions. */
    if (device->Queues[RequestType] != NULL)
        return STATUS_WDF_BUSY;
    device->Queues[RequestType] = queue;
    return STATUS_SUCCESS;
}
