/*
 * Shutdown notifications: devices that want IRP_MJ_SHUTDOWN before the system, here the host,
 * stops.
 *
 * WDK: IoRegisterShutdownNotification, DispatchShutdown.
 */
#include "device.h"
#include "irp.h"
#include <nthost/export.h>
#include <nthost/nthost.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <stdlib.h>

struct registration {
    struct registration *next;
    PDEVICE_OBJECT device; /* referenced */
};

static struct registration *registrations; /* newest first, under the device lock */

NTSTATUS NTAPI IoRegisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    struct registration *registration = malloc(sizeof(*registration));
    if (registration == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    registration->device = DeviceObject;
    ob_reference(DeviceObject);
    device_lock();
    registration->next = registrations;
    registrations = registration;
    DeviceObject->Flags |= DO_SHUTDOWN_REGISTERED;
    device_unlock();
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, IoRegisterShutdownNotification);

/* Takes one out, of that device or (NULL) of any; its device is still referenced. */
static PDEVICE_OBJECT take(PDEVICE_OBJECT device)
{
    PDEVICE_OBJECT found = NULL;
    device_lock();
    for (struct registration **link = &registrations; *link != NULL; link = &(*link)->next)
        if (device == NULL || (*link)->device == device) {
            struct registration *registration = *link;
            *link = registration->next;
            found = registration->device;
            free(registration);
            break;
        }
    device_unlock();
    return found;
}

VOID NTAPI IoUnregisterShutdownNotification(PDEVICE_OBJECT DeviceObject)
{
    PDEVICE_OBJECT found;
    VF_ENTRY(PASSIVE_LEVEL);
    while ((found = take(DeviceObject)) != NULL)
        ob_dereference(found);
    DeviceObject->Flags &= ~(ULONG)DO_SHUTDOWN_REGISTERED;
}
NT_EXPORT(NTOSKRNL, IoUnregisterShutdownNotification);

void shutdown_notify(void)
{
    PDEVICE_OBJECT device;
    while ((device = take(NULL)) != NULL) {
        struct irp_packet *packet;
        IO_STATUS_BLOCK iosb;
        PDEVICE_OBJECT top = device_top(device);
        PIRP irp = irp_allocate(top->StackSize, &packet);
        if (irp != NULL) {
            IoGetNextIrpStackLocation(irp)->MajorFunction = IRP_MJ_SHUTDOWN;
            irp_send_and_wait(top, packet, &iosb);
        }
        device->Flags &= ~(ULONG)DO_SHUTDOWN_REGISTERED;
        ob_dereference(device);
    }
}

void nt_shutdown(void)
{
    nt_enter();
    shutdown_notify();
    nt_leave();
}
