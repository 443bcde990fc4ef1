/*
 * Device objects: creation, stacks, deletion; see device.h.
 *
 * WDK: IoCreateDevice, IoCreateDeviceSecure, IoDeleteDevice, IoAttachDeviceToDeviceStack,
 * IoGetDeviceObjectPointer.
 */
#include "device.h"
#include "security.h"
#include <nthost/export.h>
#include <nthost/io.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t devices_mutex = PTHREAD_MUTEX_INITIALIZER;

void device_lock(void)
{
    pthread_mutex_lock(&devices_mutex);
}

void device_unlock(void)
{
    pthread_mutex_unlock(&devices_mutex);
}

static void device_destroy(void *object)
{
    PDEVICE_OBJECT device = object;
    if (device->SecurityDescriptor != NULL)
        ExFreePool(device->SecurityDescriptor);
    startio_forget_timer(device);
    free(device->DeviceObjectExtension);
    ob_dereference(device->DriverObject);
}

const struct ob_type ob_device_type = {.name = "Device", .destroy = device_destroy};

static PDEVICE_OBJECT allocate(PDRIVER_OBJECT driver, ULONG extension_bytes)
{
    PDEVICE_OBJECT device = ob_create(&ob_device_type, sizeof(*device) + extension_bytes);
    if (device == NULL)
        return NULL;
    device->DriverObject = driver;
    ob_reference(driver);
    device->DeviceObjectExtension = calloc(1, sizeof(*device->DeviceObjectExtension));
    if (device->DeviceObjectExtension == NULL) {
        ob_dereference(device);
        return NULL;
    }
    device->Type = IO_TYPE_DEVICE;
    device->Size = (USHORT)(sizeof(*device) + extension_bytes);
    device->DeviceObjectExtension->Type = IO_TYPE_DEVICE_OBJECT_EXTENSION;
    device->DeviceObjectExtension->DeviceObject = device;
    if (extension_bytes != 0)
        device->DeviceExtension = device + 1;
    device->StackSize = 1;
    KeInitializeDeviceQueue(&device->DeviceQueue);
    KeInitializeEvent(&device->DeviceLock, SynchronizationEvent, TRUE);
    return device;
}

/* Into the driver's list, which has its reference. */
static void link_device(PDRIVER_OBJECT driver, PDEVICE_OBJECT device)
{
    device_lock();
    device->NextDevice = driver->DeviceObject;
    driver->DeviceObject = device;
    device_unlock();
}

static void unlink_device(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT *link = &device->DriverObject->DeviceObject;
    while (*link != NULL && *link != device)
        link = &(*link)->NextDevice;
    if (*link != NULL)
        *link = device->NextDevice;
    device->NextDevice = NULL;
}

NTSTATUS io_create_device_secure(PDRIVER_OBJECT driver, ULONG extension_bytes,
                                 PCUNICODE_STRING name, DEVICE_TYPE type, ULONG characteristics,
                                 BOOLEAN exclusive, PCUNICODE_STRING sddl, PDEVICE_OBJECT *out)
{
    static const struct {
        DEVICE_TYPE type;
        USHORT bytes;
    } sectors[] = {{FILE_DEVICE_DISK, 512}, {FILE_DEVICE_VIRTUAL_DISK, 512}};
    *out = NULL;
    if (extension_bytes > 0xffff - sizeof(DEVICE_OBJECT))
        return STATUS_INVALID_PARAMETER;
    PDEVICE_OBJECT device = allocate(driver, extension_bytes);
    if (device == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    device->DeviceType = type;
    device->Characteristics = characteristics;
    device->Flags = DO_DEVICE_INITIALIZING | (exclusive ? DO_EXCLUSIVE : 0);
    for (size_t i = 0; i < ARRAYSIZE(sectors); i++)
        if (sectors[i].type == type)
            device->SectorSize = sectors[i].bytes;
    NTSTATUS status = security_from_sddl(sddl ? sddl : &security_default_sddl,
                                         &security_file_mapping, &device->SecurityDescriptor);
    if (NT_SUCCESS(status) && name != NULL && name->Length != 0) {
        device->Flags |= DO_DEVICE_HAS_NAME;
        status = ob_insert(name, device, false, NULL);
    }
    if (!NT_SUCCESS(status)) {
        ob_dereference(device);
        return status;
    }
    link_device(driver, device);
    *out = device;
    return STATUS_SUCCESS;
}

NTSTATUS device_begin_open(PDEVICE_OBJECT device)
{
    NTSTATUS status = STATUS_SUCCESS;
    device_lock();
    if (device->DeviceObjectExtension->ExtensionFlags & (DOE_DELETE_PENDING | DOE_UNLOAD_PENDING) ||
        device->Flags & DO_DEVICE_INITIALIZING)
        status = STATUS_NO_SUCH_DEVICE;
    else if (device->Flags & DO_EXCLUSIVE && device->ReferenceCount != 0)
        status = STATUS_ACCESS_DENIED;
    else
        device->ReferenceCount++;
    device_unlock();
    if (NT_SUCCESS(status))
        ob_reference(device);
    return status;
}

void device_end_open(PDEVICE_OBJECT device)
{
    PDRIVER_OBJECT driver = device->DriverObject;
    device_lock();
    bool last = --device->ReferenceCount == 0;
    bool gone = last && device->DeviceObjectExtension->ExtensionFlags & DOE_DELETE_PENDING;
    if (gone)
        unlink_device(device);
    device_unlock();
    ob_reference(driver);
    if (gone)
        ob_dereference(device); /* the list's */
    ob_dereference(device);
    if (last && driver_of(driver)->unload_pending)
        driver_last_close(driver_of(driver));
    ob_dereference(driver);
}

/* The device lock is held. */
static PDEVICE_OBJECT top_of(PDEVICE_OBJECT device)
{
    while (device->AttachedDevice != NULL)
        device = device->AttachedDevice;
    return device;
}

/* Without the lock, since each request comes by: an attachment is published after its device is
 * made, and goes before it. */
PDEVICE_OBJECT device_top(PDEVICE_OBJECT device)
{
    for (;;) {
        PDEVICE_OBJECT above = __atomic_load_n(&device->AttachedDevice, __ATOMIC_ACQUIRE);
        if (above == NULL)
            return device;
        device = above;
    }
}

void driver_destroy_devices(struct driver *driver)
{
    while (driver->object.DeviceObject != NULL)
        IoDeleteDevice(driver->object.DeviceObject);
}

bool driver_is_open(struct driver *driver)
{
    bool open = false;
    device_lock();
    for (PDEVICE_OBJECT device = driver->object.DeviceObject; device; device = device->NextDevice)
        open = open || device->ReferenceCount != 0 || device->AttachedDevice != NULL;
    for (PDEVICE_OBJECT device = driver->object.DeviceObject; device; device = device->NextDevice)
        device->DeviceObjectExtension->ExtensionFlags |= DOE_UNLOAD_PENDING;
    driver->unload_pending = open;
    device_unlock();
    return open;
}

/* Exports */

NTSTATUS NTAPI IoCreateDevice(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
                              PUNICODE_STRING DeviceName, DEVICE_TYPE DeviceType,
                              ULONG DeviceCharacteristics, BOOLEAN Exclusive,
                              PDEVICE_OBJECT *DeviceObject)
{
    VF_ENTRY(APC_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return io_create_device_secure(DriverObject, DeviceExtensionSize, DeviceName, DeviceType,
                                   DeviceCharacteristics, Exclusive, NULL, DeviceObject);
}
NT_EXPORT(NTOSKRNL, IoCreateDevice);

/* On Windows out of wdmsec.lib, which is linked into the driver. */
NTSTATUS NTAPI WdmlibIoCreateDeviceSecure(PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize,
                                          PUNICODE_STRING DeviceName, DEVICE_TYPE DeviceType,
                                          ULONG DeviceCharacteristics, BOOLEAN Exclusive,
                                          PCUNICODE_STRING DefaultSDDLString,
                                          const GUID *DeviceClassGuid, PDEVICE_OBJECT *DeviceObject)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(DeviceClassGuid);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return io_create_device_secure(DriverObject, DeviceExtensionSize, DeviceName, DeviceType,
                                   DeviceCharacteristics, Exclusive, DefaultSDDLString,
                                   DeviceObject);
}
NT_EXPORT(NTOSKRNL, WdmlibIoCreateDeviceSecure);

VOID NTAPI IoDeleteDevice(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(APC_LEVEL);
    if (DeviceObject->Flags & DO_SHUTDOWN_REGISTERED)
        IoUnregisterShutdownNotification(DeviceObject);
    ob_remove_name(DeviceObject);
    device_lock();
    ULONG *flags = &DeviceObject->DeviceObjectExtension->ExtensionFlags;
    bool again = (*flags & DOE_DELETE_PENDING) != 0;
    bool attached = DeviceObject->AttachedDevice != NULL;
    *flags |= DOE_DELETE_PENDING;
    bool gone = !again && DeviceObject->ReferenceCount == 0;
    if (gone)
        unlink_device(DeviceObject);
    device_unlock();
    if (vf_enabled && again)
        vf_violation(VfBadParameter, "IoDeleteDevice: device %p is deleted already",
                     (void *)DeviceObject);
    if (vf_enabled && attached)
        vf_violation(VfBadParameter, "IoDeleteDevice: another device is attached to device %p",
                     (void *)DeviceObject);
    if (gone)
        ob_dereference(DeviceObject);
}
NT_EXPORT(NTOSKRNL, IoDeleteDevice);

NTSTATUS NTAPI IoAttachDeviceToDeviceStackSafe(PDEVICE_OBJECT SourceDevice,
                                               PDEVICE_OBJECT TargetDevice,
                                               PDEVICE_OBJECT *AttachedToDeviceObject)
{
    NTSTATUS status = STATUS_NO_SUCH_DEVICE;
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    device_lock();
    PDEVICE_OBJECT top = top_of(TargetDevice);
    if (!(top->DeviceObjectExtension->ExtensionFlags & (DOE_DELETE_PENDING | DOE_UNLOAD_PENDING)) &&
        !(top->Flags & DO_DEVICE_INITIALIZING)) {
        /* Published before the attachment is visible to requests. */
        *AttachedToDeviceObject = top;
        SourceDevice->StackSize = top->StackSize + 1;
        SourceDevice->AlignmentRequirement = top->AlignmentRequirement;
        SourceDevice->SectorSize = top->SectorSize;
        SourceDevice->DeviceObjectExtension->AttachedTo = top;
        __atomic_store_n(&top->AttachedDevice, SourceDevice, __ATOMIC_RELEASE);
        status = STATUS_SUCCESS;
    }
    device_unlock();
    return status;
}
NT_EXPORT(NTOSKRNL, IoAttachDeviceToDeviceStackSafe);

PDEVICE_OBJECT NTAPI IoAttachDeviceToDeviceStack(PDEVICE_OBJECT SourceDevice,
                                                 PDEVICE_OBJECT TargetDevice)
{
    PDEVICE_OBJECT below = NULL;
    if (vf_fault(VfFaultIo))
        return NULL;
    IoAttachDeviceToDeviceStackSafe(SourceDevice, TargetDevice, &below);
    return below;
}
NT_EXPORT(NTOSKRNL, IoAttachDeviceToDeviceStack);

VOID NTAPI IoDetachDevice(PDEVICE_OBJECT TargetDevice)
{
    VF_ENTRY(DISPATCH_LEVEL);
    device_lock();
    PDEVICE_OBJECT source = TargetDevice->AttachedDevice;
    __atomic_store_n(&TargetDevice->AttachedDevice, NULL, __ATOMIC_RELEASE);
    if (source != NULL)
        source->DeviceObjectExtension->AttachedTo = NULL;
    struct driver *driver = driver_of(TargetDevice->DriverObject);
    bool last = driver->unload_pending && TargetDevice->ReferenceCount == 0;
    device_unlock();
    if (vf_enabled && source == NULL)
        vf_violation(VfBadParameter, "IoDetachDevice: nothing is attached to device %p",
                     (void *)TargetDevice);
    if (last)
        driver_last_close(driver);
}
NT_EXPORT(NTOSKRNL, IoDetachDevice);

PDEVICE_OBJECT NTAPI IoGetAttachedDevice(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return device_top(DeviceObject);
}
NT_EXPORT(NTOSKRNL, IoGetAttachedDevice);

PDEVICE_OBJECT NTAPI IoGetAttachedDeviceReference(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    device_lock();
    PDEVICE_OBJECT top = top_of(DeviceObject);
    ob_reference(top);
    device_unlock();
    return top;
}
NT_EXPORT(NTOSKRNL, IoGetAttachedDeviceReference);

PDEVICE_OBJECT NTAPI IoGetLowerDeviceObject(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    device_lock();
    PDEVICE_OBJECT lower = DeviceObject->DeviceObjectExtension->AttachedTo;
    if (lower != NULL)
        ob_reference(lower);
    device_unlock();
    return lower;
}
NT_EXPORT(NTOSKRNL, IoGetLowerDeviceObject);

PDEVICE_OBJECT NTAPI IoGetRelatedDeviceObject(PFILE_OBJECT FileObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return device_top(FileObject->DeviceObject);
}
NT_EXPORT(NTOSKRNL, IoGetRelatedDeviceObject);

/* Security of named devices */

NTSTATUS NTAPI ObSetSecurityObjectByPointer(PVOID Object, SECURITY_INFORMATION SecurityInformation,
                                            PSECURITY_DESCRIPTOR SecurityDescriptor)
{
    PSECURITY_DESCRIPTOR copy, old;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (ob_type_of(Object) != &ob_device_type)
        return STATUS_OBJECT_TYPE_MISMATCH;
    if (!(SecurityInformation & DACL_SECURITY_INFORMATION))
        return STATUS_SUCCESS;
    NTSTATUS status = security_copy(SecurityDescriptor, &copy);
    if (!NT_SUCCESS(status))
        return status;
    PDEVICE_OBJECT device = Object;
    device_lock();
    old = device->SecurityDescriptor;
    device->SecurityDescriptor = copy;
    device_unlock();
    ExFreePool(old);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, ObSetSecurityObjectByPointer);

NTSTATUS NTAPI ObGetObjectSecurity(PVOID Object, PSECURITY_DESCRIPTOR *SecurityDescriptor,
                                   PBOOLEAN MemoryAllocated)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    *SecurityDescriptor = NULL;
    *MemoryAllocated = FALSE;
    if (ob_type_of(Object) != &ob_device_type)
        return STATUS_SUCCESS;
    NTSTATUS status =
        security_copy(((PDEVICE_OBJECT)Object)->SecurityDescriptor, SecurityDescriptor);
    *MemoryAllocated = NT_SUCCESS(status);
    return status;
}
NT_EXPORT(NTOSKRNL, ObGetObjectSecurity);

VOID NTAPI ObReleaseObjectSecurity(PSECURITY_DESCRIPTOR SecurityDescriptor, BOOLEAN MemoryAllocated)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (MemoryAllocated)
        ExFreePool(SecurityDescriptor);
}
NT_EXPORT(NTOSKRNL, ObReleaseObjectSecurity);
