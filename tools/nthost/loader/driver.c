/*
 * Loading and unloading drivers: an image, a driver object, DriverEntry; DriverUnload, and what the
 * verifier finds left behind.
 *
 * A driver whose devices are open is unloaded when the last file on them is closed, as on Windows:
 * driver_unload then returns STATUS_PENDING.
 *
 * WDK: DriverEntry, "Writing an Unload Routine", ZwUnloadDriver.
 */
#include "image.h"
#include "../io/device.h"
#include "../io/process.h"
#include <nthost/module.h>
#include <nthost/nthost.h>
#include <nthost/registry.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

bool driver_announce;

static struct driver *loaded; /* newest first */
static pthread_mutex_t loaded_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Where a debugger finds symbols; for ELF modules gdb knows by itself. */
static void announce(const struct driver *driver)
{
    void *base;
    size_t bytes;
    image_extent(driver->image, &base, &bytes);
    if (driver_announce)
        fprintf(stderr, "nthost: driver %s: %s at %p, %zu bytes\n", driver->service,
                driver->image->path, base, bytes);
}

/* Out of the list; false: somebody else has taken it. */
static bool take(struct driver *driver)
{
    bool found = false;
    pthread_mutex_lock(&loaded_mutex);
    for (struct driver **link = &loaded; *link != NULL; link = &(*link)->next)
        if (*link == driver) {
            *link = driver->next;
            found = true;
            break;
        }
    pthread_mutex_unlock(&loaded_mutex);
    return found;
}

/* The end, after DriverUnload or a failed DriverEntry. Driver context. */
static void finish(struct driver *driver)
{
    if (vf_enabled && driver->object.DeviceObject != NULL)
        vf_violation(VfDeviceLeak, "device %p was not deleted by driver %s",
                     (void *)driver->object.DeviceObject, driver->service);
    driver_destroy_devices(driver);
    if (vf_enabled)
        vf_driver_unloaded(image_name(driver->image));
    ob_remove_name(driver);
    ob_dereference(driver);
}

static void unload_now(struct driver *driver)
{
    struct _EPROCESS *previous = process_switch(system_process);
    driver->object.Flags |= DRVO_UNLOAD_INVOKED;
    struct vf_call call = vf_call_begin_of("DriverUnload", driver->object.DriverUnload);
    driver->object.DriverUnload(&driver->object);
    vf_call_end(&call);
    finish(driver);
    process_switch(previous);
}

/* The last file on a driver that was to be unloaded is closed. */
static VOID NTAPI unload_pended(PVOID context)
{
    struct driver *driver = context;
    if (!driver_is_open(driver) && take(driver))
        unload_now(driver);
    ob_dereference(driver);
}

static void last_close(struct driver *driver)
{
    if (driver->unload_queued)
        return;
    driver->unload_queued = true;
    ob_reference(driver);
    ExInitializeWorkItem(&driver->unload_item, unload_pended, driver);
    ExQueueWorkItem(&driver->unload_item, DelayedWorkQueue);
}

static NTSTATUS call_entry(struct driver *driver)
{
    struct _EPROCESS *previous = process_switch(system_process);
    struct vf_call call = vf_call_begin_of("DriverEntry", driver->object.DriverInit);
    NTSTATUS status = driver->object.DriverInit(&driver->object, &driver->registry_path);
    vf_call_end(&call);
    if (NT_SUCCESS(status)) {
        driver->object.Flags |= DRVO_INITIALIZED;
        for (PDEVICE_OBJECT device = driver->object.DeviceObject; device != NULL;
             device = device->NextDevice)
            device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
        image_discard_init(driver->image);
    } else {
        finish(driver);
    }
    process_switch(previous);
    return status;
}

/* Unloading, but for files that are open. */
static bool is_leaving(const char *service)
{
    bool leaving = false;
    pthread_mutex_lock(&loaded_mutex);
    for (const struct driver *driver = loaded; driver != NULL; driver = driver->next)
        leaving = leaving || (strcmp(driver->service, service) == 0 && driver->unload_pending);
    pthread_mutex_unlock(&loaded_mutex);
    return leaving;
}

NTSTATUS driver_load(const char *service, const char *image_path, PDRIVER_OBJECT *out, char *error,
                     size_t error_size)
{
    char key[256];
    *out = NULL;
    struct nt_image *image = image_load(image_path, error, error_size);
    if (image == NULL)
        return STATUS_INVALID_IMAGE_FORMAT;
    nt_enter();
    struct driver *driver = driver_create(service);
    if (driver == NULL) {
        nt_leave();
        snprintf(error, error_size, "%s: %s", service,
                 is_leaving(service)
                     ? "the driver is still in use; it is unloaded when the last client has closed "
                       "its device"
                     : "a driver of that name is loaded already");
        image_unload(image);
        return STATUS_IMAGE_ALREADY_LOADED;
    }
    driver->image = image;
    image_extent(image, &driver->object.DriverStart, &driver->image_bytes);
    driver->object.DriverSize = (ULONG)driver->image_bytes;
    driver->object.DriverSection = image;
    driver->object.DriverInit = image_entry(image);
    snprintf(key, sizeof(key), REGISTRY_SERVICES "\\%s", service);
    registry_create_key(key);
    announce(driver);
    NTSTATUS status = call_entry(driver);
    if (NT_SUCCESS(status)) {
        driver_last_close = last_close;
        pthread_mutex_lock(&loaded_mutex);
        driver->next = loaded;
        loaded = driver;
        pthread_mutex_unlock(&loaded_mutex);
        *out = &driver->object;
    } else {
        snprintf(error, error_size, "%s: DriverEntry failed with 0x%08x", image_path, status);
    }
    nt_leave();
    return status;
}

NTSTATUS driver_unload(PDRIVER_OBJECT object)
{
    struct driver *driver = driver_of(object);
    NTSTATUS status = STATUS_SUCCESS;
    if (object->DriverUnload == NULL)
        return STATUS_INVALID_DEVICE_REQUEST;
    nt_enter();
    if (driver_is_open(driver))
        status = STATUS_PENDING;
    else if (take(driver))
        unload_now(driver);
    else
        status = STATUS_INVALID_PARAMETER;
    nt_leave();
    return status;
}

/* The newest first. One that cannot be unloaded is only forgotten. */
static void stop(void)
{
    nt_shutdown();
    for (;;) {
        pthread_mutex_lock(&loaded_mutex);
        struct driver *driver = loaded;
        pthread_mutex_unlock(&loaded_mutex);
        if (driver == NULL)
            break;
        if (driver_unload(&driver->object) == STATUS_SUCCESS)
            continue;
        fprintf(stderr, "nthost: driver %s cannot be unloaded%s\n", driver->service,
                driver->unload_pending ? ": its device is open" : "");
        if (!take(driver))
            continue;
        nt_enter();
        driver_destroy_devices(driver);
        ob_remove_name(driver);
        nt_leave();
    }
}

static void start(const struct nt_options *options)
{
    (void)options;
}

NT_MODULE(loader, NT_ORDER_LOADER, start, stop);
