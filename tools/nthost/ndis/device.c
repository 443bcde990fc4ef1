/*
 * Devices of NDIS drivers. WDK: NdisRegisterDeviceEx, NdisDeregisterDeviceEx,
 * NdisGetDeviceReservedExtension, NDIS_DEVICE_OBJECT_ATTRIBUTES.
 *
 * The device stands on the driver's own driver object. NDIS takes over that object's dispatch table
 * and calls, for its devices, what was registered with them, for others, what the driver had there.
 * DeviceExtension is NDIS's; the driver's lies behind it.
 */
#include "stack.h"
#include <nthost/io.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE_MAGIC 0x76654464u
#define MAJORS       (IRP_MJ_MAXIMUM_FUNCTION + 1)

struct ndis_device {
    ULONG magic;
    PDEVICE_OBJECT object;
    PDRIVER_DISPATCH majors[MAJORS];
    UNICODE_STRING link; /* symbolic; Buffer NULL: none */
    struct track_entry *track;
    _Alignas(16) UCHAR extension[];
};

/* Driver objects whose dispatch table is ours, with what they had there. */
struct hooked {
    struct hooked *next;
    PDRIVER_OBJECT driver;
    PDRIVER_DISPATCH majors[MAJORS];
};
static struct hooked *hooks;

static struct ndis_device *device_of(PDEVICE_OBJECT object)
{
    struct ndis_device *device = object->DeviceExtension;
    return device && object->Size >= sizeof(*object) + sizeof(*device) &&
                   device->magic == DEVICE_MAGIC && device->object == object
               ? device
               : NULL;
}

static struct hooked *find_hook(PDRIVER_OBJECT driver)
{
    struct hooked *hook = hooks;
    while (hook && hook->driver != driver)
        hook = hook->next;
    return hook;
}

static DRIVER_DISPATCH dispatch;

static NTSTATUS NTAPI dispatch(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UCHAR major = IoGetCurrentIrpStackLocation(Irp)->MajorFunction;
    struct ndis_device *device = device_of(DeviceObject);
    struct hooked *hook = device ? NULL : find_hook(DeviceObject->DriverObject);
    PDRIVER_DISPATCH handler = device ? device->majors[major] : hook ? hook->majors[major] : NULL;
    if (handler)
        return handler(DeviceObject, Irp);
    Irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

/* For good: opens may outlive the device, and the driver object goes after the last of them. */
static bool hook_driver(PDRIVER_OBJECT driver)
{
    struct hooked *hook = find_hook(driver);
    if (hook && driver->MajorFunction[IRP_MJ_CREATE] == dispatch)
        return true;
    if (!hook) {
        hook = calloc(1, sizeof(*hook));
        if (!hook)
            return false;
        hook->driver = driver;
        hook->next = hooks;
        hooks = hook;
    }
    memcpy(hook->majors, driver->MajorFunction, sizeof(hook->majors));
    for (unsigned i = 0; i < MAJORS; i++)
        driver->MajorFunction[i] = dispatch;
    return true;
}

void device_stop(void)
{
    while (hooks) {
        struct hooked *next = hooks->next;
        free(hooks);
        hooks = next;
    }
}

static NDIS_STATUS make_link(struct ndis_device *device, PNDIS_STRING symbolic, PNDIS_STRING name)
{
    if (!symbolic || !symbolic->Length)
        return NDIS_STATUS_SUCCESS;
    device->link.Buffer = malloc(symbolic->Length);
    if (!device->link.Buffer)
        return NDIS_STATUS_RESOURCES;
    memcpy(device->link.Buffer, symbolic->Buffer, symbolic->Length);
    device->link.Length = device->link.MaximumLength = symbolic->Length;
    NTSTATUS status = IoCreateSymbolicLink(&device->link, name);
    if (NT_SUCCESS(status))
        return NDIS_STATUS_SUCCESS;
    free(device->link.Buffer);
    device->link.Buffer = NULL;
    return status;
}

NDIS_STATUS NTAPI NdisRegisterDeviceEx(NDIS_HANDLE NdisHandle,
                                       PNDIS_DEVICE_OBJECT_ATTRIBUTES DeviceObjectAttributes,
                                       PDEVICE_OBJECT *pDeviceObject, PNDIS_HANDLE NdisDeviceHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    *pDeviceObject = NULL;
    *NdisDeviceHandle = NULL;
    const NDIS_DEVICE_OBJECT_ATTRIBUTES *a = DeviceObjectAttributes;
    if (a->Header.Type != NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES ||
        a->Header.Size < NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1)
        return NDIS_STATUS_INVALID_PARAMETER;
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    struct ndis_driver *driver = driver_of(NdisHandle);
    if (!driver)
        return NDIS_STATUS_NOT_SUPPORTED;
    PDEVICE_OBJECT object;
    NTSTATUS status = io_create_device_secure(
        driver->object, (ULONG)sizeof(struct ndis_device) + a->ExtensionSize, a->DeviceName,
        FILE_DEVICE_NETWORK, FILE_DEVICE_SECURE_OPEN, FALSE, a->DefaultSDDLString, &object);
    if (!NT_SUCCESS(status))
        return status;
    struct ndis_device *device = object->DeviceExtension;
    device->magic = DEVICE_MAGIC;
    device->object = object;
    memcpy(device->majors, a->MajorFunctions, sizeof(device->majors));
    status = make_link(device, a->SymbolicName, a->DeviceName);
    if (status == NDIS_STATUS_SUCCESS && !hook_driver(driver->object)) {
        if (device->link.Buffer)
            IoDeleteSymbolicLink(&device->link);
        free(device->link.Buffer);
        status = NDIS_STATUS_RESOURCES;
    }
    if (status != NDIS_STATUS_SUCCESS) {
        IoDeleteDevice(object);
        return status;
    }
    device->track = track_add(TrackDevice, device, __builtin_return_address(0));
    object->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    *pDeviceObject = object;
    *NdisDeviceHandle = device;
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisRegisterDeviceEx);

VOID NTAPI NdisDeregisterDeviceEx(NDIS_HANDLE NdisDeviceHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct ndis_device *device = NdisDeviceHandle;
    if (!device || device->magic != DEVICE_MAGIC)
        vf_violation(VfBadParameter, "NdisDeregisterDeviceEx: %p is no device of NDIS",
                     NdisDeviceHandle);
    PDEVICE_OBJECT object = device->object;
    if (device->link.Buffer)
        IoDeleteSymbolicLink(&device->link);
    free(device->link.Buffer);
    device->link.Buffer = NULL;
    track_remove(device->track);
    IoDeleteDevice(object);
}
NT_EXPORT(NDIS, NdisDeregisterDeviceEx);

PVOID NTAPI NdisGetDeviceReservedExtension(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(HIGH_LEVEL);
    struct ndis_device *device = device_of(DeviceObject);
    return device ? device->extension : NULL;
}
NT_EXPORT(NDIS, NdisGetDeviceReservedExtension);
