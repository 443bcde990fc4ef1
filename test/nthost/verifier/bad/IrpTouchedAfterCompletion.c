/* Looks at a request that it has completed. */
#include "device.h"

static DRIVER_DISPATCH Control;

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    NTSTATUS status = STATUS_SUCCESS;

    UNREFERENCED_PARAMETER(Device);
    CompleteIrp(Irp, status, 0);
    if (Bad)
        status = *(volatile NTSTATUS *)&Irp->IoStatus.Status;
    return status;
}

BAD_DEVICE_DRIVER(Control)
