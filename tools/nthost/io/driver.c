/*
 * Driver objects: what DriverEntry gets and fills in.
 *
 * WDK: "Introduction to Driver Objects", IoAllocateDriverObjectExtension.
 */
#include "device.h"
#include <nthost/export.h>
#include <nthost/io.h>
#include <nthost/loader.h>
#include <nthost/utf.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*driver_last_close)(struct driver *driver);

static void driver_destroy(void *object)
{
    struct driver *driver = object;
    /* The image stays until nothing references the driver: a work item's device does. */
    if (driver->image != NULL)
        image_unload(driver->image);
    while (driver->blocks != NULL) {
        struct driver_extension_block *next = driver->blocks->next;
        free(driver->blocks);
        driver->blocks = next;
    }
    RtlFreeUnicodeString(&driver->object.DriverName);
    RtlFreeUnicodeString(&driver->extension.ServiceKeyName);
    RtlFreeUnicodeString(&driver->registry_path);
}

const struct ob_type ob_driver_type = {.name = "Driver", .destroy = driver_destroy};

/* What every entry of MajorFunction is before DriverEntry. */
static NTSTATUS NTAPI invalid_device_request(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    irp->IoStatus.Status = STATUS_INVALID_DEVICE_REQUEST;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_INVALID_DEVICE_REQUEST;
}

static NTSTATUS format(UNICODE_STRING *out, const char *prefix, const char *name)
{
    char text[256];
    unsigned chars;
    snprintf(text, sizeof(text), "%s%s", prefix, name);
    WCHAR *wide = utf16_from_utf8(text, strlen(text), &chars);
    NTSTATUS status = wide ? ob_copy_string(out, wide, chars) : STATUS_INSUFFICIENT_RESOURCES;
    free(wide);
    return status;
}

struct driver *driver_create(const char *service)
{
    struct driver *driver = ob_create(&ob_driver_type, sizeof(*driver));
    if (driver == NULL)
        return NULL;
    driver->object.Type = IO_TYPE_DRIVER;
    driver->object.Size = sizeof(driver->object);
    driver->object.DriverExtension = &driver->extension;
    driver->extension.DriverObject = &driver->object;
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        driver->object.MajorFunction[i] = invalid_device_request;
    snprintf(driver->service, sizeof(driver->service), "%s", service);
    static UNICODE_STRING hardware =
        RTL_CONSTANT_STRING(L"\\REGISTRY\\MACHINE\\HARDWARE\\DESCRIPTION\\SYSTEM");
    driver->object.HardwareDatabase = &hardware;
    if (NT_SUCCESS(format(&driver->object.DriverName, "\\Driver\\", service)) &&
        NT_SUCCESS(format(&driver->extension.ServiceKeyName, "", service)) &&
        NT_SUCCESS(format(&driver->registry_path,
                          "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\", service)) &&
        NT_SUCCESS(ob_insert(&driver->object.DriverName, driver, false, NULL)))
        return driver;
    ob_dereference(driver);
    return NULL;
}

PDRIVER_OBJECT io_create_driver(const char *name)
{
    struct driver *driver = driver_create(name);
    return driver ? &driver->object : NULL;
}

void io_delete_driver(PDRIVER_OBJECT object)
{
    driver_destroy_devices(driver_of(object));
    ob_remove_name(object);
    ob_dereference(object);
}

const char *io_driver_service(const DRIVER_OBJECT *driver)
{
    const struct driver *own = (const struct driver *)driver;
    return own->image ? own->service : "";
}

/* Exports */

NTSTATUS NTAPI IoAllocateDriverObjectExtension(PDRIVER_OBJECT DriverObject,
                                               PVOID ClientIdentificationAddress,
                                               ULONG DriverObjectExtensionSize,
                                               PVOID *DriverObjectExtension)
{
    VF_ENTRY(APC_LEVEL);
    *DriverObjectExtension = NULL;
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct driver *driver = driver_of(DriverObject);
    struct driver_extension_block *block = calloc(1, sizeof(*block) + DriverObjectExtensionSize);
    if (block == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    block->id = ClientIdentificationAddress;
    device_lock();
    const struct driver_extension_block *same = driver->blocks;
    while (same != NULL && same->id != block->id)
        same = same->next;
    if (same == NULL) {
        block->next = driver->blocks;
        driver->blocks = block;
    }
    device_unlock();
    if (same != NULL) {
        free(block);
        return STATUS_OBJECT_NAME_COLLISION;
    }
    *DriverObjectExtension = block->data;
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoAllocateDriverObjectExtension);

PVOID NTAPI IoGetDriverObjectExtension(PDRIVER_OBJECT DriverObject,
                                       PVOID ClientIdentificationAddress)
{
    VF_ENTRY(DISPATCH_LEVEL);
    device_lock();
    struct driver_extension_block *block = driver_of(DriverObject)->blocks;
    while (block != NULL && block->id != ClientIdentificationAddress)
        block = block->next;
    device_unlock();
    return block ? block->data : NULL;
}
NT_EXPORT(NTOSKRNL, IoGetDriverObjectExtension);
