/* Says that it wrote more than there is room for. */
#include "device.h"

static DRIVER_DISPATCH Control;

static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp)
{
    ULONG room = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;

    UNREFERENCED_PARAMETER(Device);
    RtlZeroMemory(Irp->AssociatedIrp.SystemBuffer, room);
    return CompleteIrp(Irp, STATUS_SUCCESS, Bad ? room + 1 : room);
}

BAD_DEVICE_DRIVER(Control)
