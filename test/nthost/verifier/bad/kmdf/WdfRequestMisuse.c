/* Completes a framework request twice. */
#include "wdfbad.h"

static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL Control;

static VOID Control(WDFQUEUE Queue, WDFREQUEST Request, size_t OutputBytes, size_t InputBytes,
                    ULONG Code)
{
    UNREFERENCED_PARAMETER(Queue);
    UNREFERENCED_PARAMETER(OutputBytes);
    UNREFERENCED_PARAMETER(InputBytes);
    UNREFERENCED_PARAMETER(Code);
    WdfObjectReference(Request); /* so that the handle stays a handle */
    WdfRequestComplete(Request, STATUS_SUCCESS);
    if (Bad)
        WdfRequestComplete(Request, STATUS_SUCCESS);
    WdfObjectDereference(Request);
}

static NTSTATUS Started(WDFDRIVER Driver)
{
    return CreateBadWdfDevice(Driver, Control);
}

BAD_WDF_DRIVER(Started, WDF_NO_EVENT_CALLBACK, WdfDriverInitNonPnpDriver)
