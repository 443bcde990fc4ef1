/* Wants to be told of Plug and Play devices, of which the host has none. */
#include "wdfbad.h"

static EVT_WDF_DRIVER_DEVICE_ADD DeviceAdd;

static NTSTATUS DeviceAdd(WDFDRIVER Driver, PWDFDEVICE_INIT DeviceInit)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(DeviceInit);
    return STATUS_NOT_SUPPORTED;
}

static NTSTATUS Started(WDFDRIVER Driver)
{
    UNREFERENCED_PARAMETER(Driver);
    return STATUS_SUCCESS;
}

BAD_WDF_DRIVER(Started, Bad ? DeviceAdd : WDF_NO_EVENT_CALLBACK,
               Bad ? 0 : WdfDriverInitNonPnpDriver)
