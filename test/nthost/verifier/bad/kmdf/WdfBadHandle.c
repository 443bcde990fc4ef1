/* Uses a framework object that it has deleted. */
#include "wdfbad.h"

static NTSTATUS Started(WDFDRIVER Driver)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFSPINLOCK lock;
    NTSTATUS status;

    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = Driver;
    status = WdfSpinLockCreate(&attributes, &lock);
    if (!NT_SUCCESS(status))
        return status;
    if (Bad)
        WdfObjectDelete(lock);
    WdfSpinLockAcquire(lock);
    WdfSpinLockRelease(lock);
    return STATUS_SUCCESS;
}

BAD_WDF_DRIVER(Started, WDF_NO_EVENT_CALLBACK, WdfDriverInitNonPnpDriver)
