/*
 * Events and waits by handle.
 *
 * WDK: ZwCreateEvent, ZwSetEvent, ZwWaitForSingleObject.
 */
#include "ob.h"
#include <nthost/export.h>
#include <nthost/verifier.h>

/* A name lasts as long as somebody has the event open. */
static void event_close(void *object, ULONG left_in_process, ULONG left)
{
    UNREFERENCED_PARAMETER(left_in_process);
    if (left == 0)
        ob_remove_name(object);
}

const struct ob_type ob_event_type = {.name = "Event", .close = event_close};
OB_EXPORT_TYPE(ExEventObjectType, ob_event_type);

NTSTATUS NTAPI ZwCreateEvent(PHANDLE EventHandle, ACCESS_MASK DesiredAccess,
                             POBJECT_ATTRIBUTES ObjectAttributes, EVENT_TYPE EventType,
                             BOOLEAN InitialState)
{
    ULONG attributes = ObjectAttributes ? ObjectAttributes->Attributes : 0;
    NTSTATUS status = STATUS_SUCCESS, opened = STATUS_SUCCESS;
    void *existing = NULL;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    PKEVENT event = ob_create(&ob_event_type, sizeof(*event));
    if (event == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    KeInitializeEvent(event, EventType, InitialState);
    if (ObjectAttributes != NULL && ObjectAttributes->ObjectName != NULL)
        status = ob_insert(ObjectAttributes->ObjectName, event, (attributes & OBJ_OPENIF) != 0,
                           &existing);
    if (NT_SUCCESS(status))
        opened = ob_handle_open(ob_handles_for(attributes), existing ? existing : event,
                                DesiredAccess, EventHandle);
    if (existing != NULL)
        ob_dereference(existing);
    ob_dereference(event);
    return NT_SUCCESS(opened) ? status : opened;
}
NT_EXPORT(NTOSKRNL, ZwCreateEvent);

NTSTATUS NTAPI ZwSetEvent(HANDLE EventHandle, PLONG PreviousState)
{
    void *event;
    VF_ENTRY(PASSIVE_LEVEL);
    NTSTATUS status = ob_lookup_handle(EventHandle, &ob_event_type, &event, NULL);
    if (!NT_SUCCESS(status))
        return status;
    LONG previous = KeSetEvent(event, EVENT_INCREMENT, FALSE);
    if (PreviousState != NULL)
        *PreviousState = previous;
    ob_dereference(event);
    return STATUS_SUCCESS;
}
NT_EXPORT(NTOSKRNL, ZwSetEvent);

/* What the object is waited on by: a file by its event, a thread or an event by itself. */
NTSTATUS NTAPI ZwWaitForSingleObject(HANDLE Handle, BOOLEAN Alertable, PLARGE_INTEGER Timeout)
{
    void *object;
    VF_ENTRY(PASSIVE_LEVEL);
    NTSTATUS status = ob_lookup_handle(Handle, NULL, &object, NULL);
    if (!NT_SUCCESS(status))
        return status;
    const struct ob_type *type = ob_type_of(object);
    void *waitable = object;
    if (type == &ob_file_type)
        waitable = &((PFILE_OBJECT)object)->Event;
    if (type == &ob_device_type || type == &ob_driver_type || type == &ob_key_type ||
        type == &ob_link_type || type == &ob_directory_type)
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        status = KeWaitForSingleObject(waitable, UserRequest, KernelMode, Alertable, Timeout);
    ob_dereference(object);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwWaitForSingleObject);
