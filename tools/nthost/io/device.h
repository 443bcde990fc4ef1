/*
 * Device and driver objects.
 *
 * One lock (device_lock) guards the lists of devices, the attachments and the reference counts that
 * decide when a deleted device and an unloading driver really go. It is a host mutex; nothing is
 * called under it.
 *
 *     IoDeleteDevice: the name goes at once; the object itself after the last open file
 *     unload:         DriverUnload runs when no device of the driver is open; until then new opens
 *                     fail (DOE_UNLOAD_PENDING), as `sc stop` has it on Windows
 */
#pragma once
#include "ob.h"
#include <stdbool.h>

#define DOE_UNLOAD_PENDING 0x1
#define DOE_DELETE_PENDING 0x2

struct driver_extension_block {
    struct driver_extension_block *next;
    PVOID id;
    _Alignas(16) UCHAR data[];
};

/* Begins with what the driver sees. */
struct driver {
    DRIVER_OBJECT object;
    DRIVER_EXTENSION extension;
    struct nt_image *image; /* NULL: the host's own */
    char service[64];
    UNICODE_STRING registry_path;
    struct driver_extension_block *blocks;
    size_t image_bytes;
    bool unload_pending, unload_queued;
    WORK_QUEUE_ITEM unload_item;
    struct driver *next; /* loaded drivers, newest first; loader/driver.c */
};

void device_lock(void);
void device_unlock(void);

/* The name is \Driver\<service>. */
struct driver *driver_create(const char *service);
void driver_destroy_devices(struct driver *driver);
/* Does a file keep the driver from unloading? Then marks its devices so that no more are opened. */
bool driver_is_open(struct driver *driver);
/* Called when an open of one of the driver's devices ended. */
extern void (*driver_last_close)(struct driver *driver);

/* For opening: counts the open. STATUS_NO_SUCH_DEVICE, STATUS_ACCESS_DENIED (exclusive). */
NTSTATUS device_begin_open(PDEVICE_OBJECT device);
void device_end_open(PDEVICE_OBJECT device);
/* The top of the stack of devices on it. */
PDEVICE_OBJECT device_top(PDEVICE_OBJECT device);

/* startio.c: the device's timer stops and goes. */
void startio_forget_timer(PDEVICE_OBJECT device);

/* shutdown.c: IRP_MJ_SHUTDOWN to all that registered. Driver context, before drivers are unloaded.
 */
void shutdown_notify(void);

static inline struct driver *driver_of(PDRIVER_OBJECT object)
{
    return (struct driver *)object;
}
