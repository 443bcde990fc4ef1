/* Completes a request that still has a cancel routine. */
#include "device.h"

static DRIVER_DISPATCH Control;
static DRIVER_CANCEL Cancel;

static VOID Cancel(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoReleaseCancelSpinLock(Irp->CancelIrql);
    CompleteIrp(Irp, STATUS_CANCELLED, 0);
}

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    IoSetCancelRoutine(Irp, Cancel);
    if (!Bad)
        IoSetCancelRoutine(Irp, NULL);
    return CompleteIrp(Irp, STATUS_SUCCESS, 0);
}

BAD_DEVICE_DRIVER(Control)
