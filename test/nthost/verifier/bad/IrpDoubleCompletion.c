/* Completes a request twice. */
#include "device.h"

static DRIVER_DISPATCH Control;

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    CompleteIrp(Irp, STATUS_SUCCESS, 0);
    if (Bad)
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

BAD_DEVICE_DRIVER(Control)
