/* Returns STATUS_PENDING for a request that it did not mark so. */
#include "device.h"

static DRIVER_DISPATCH Control;

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    if (!Bad)
        IoMarkIrpPending(Irp);
    CompleteIrp(Irp, STATUS_SUCCESS, 0);
    return STATUS_PENDING;
}

BAD_DEVICE_DRIVER(Control)
