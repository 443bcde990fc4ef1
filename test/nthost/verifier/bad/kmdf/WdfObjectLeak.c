/* Keeps a reference on a framework object that it has deleted. */
#include "wdfbad.h"

static NTSTATUS Started(WDFDRIVER Driver)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT object;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Driver;
    status = WdfObjectCreate(&attributes, &object);
    if (!NT_SUCCESS(status))
        return status;
    WdfObjectReference(object);
    if (!Bad)
        WdfObjectDereference(object);
    WdfObjectDelete(object);
    return STATUS_SUCCESS;
}

BAD_WDF_DRIVER(Started, WDF_NO_EVENT_CALLBACK, WdfDriverInitNonPnpDriver)
