/* The one file that touches user memory: METHOD_NEITHER. */
#include "iotest.h"

NTSTATUS
IoTestEchoNeither(_Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG bytes = stack->Parameters.DeviceIoControl.InputBufferLength;
    const UCHAR *input = stack->Parameters.DeviceIoControl.Type3InputBuffer;
    UCHAR *output = Irp->UserBuffer;

    if (bytes > stack->Parameters.DeviceIoControl.OutputBufferLength) {
        bytes = stack->Parameters.DeviceIoControl.OutputBufferLength;
    }
    if (Irp->AssociatedIrp.SystemBuffer != NULL || Irp->MdlAddress != NULL) {
        return IoTestComplete(Irp, STATUS_UNSUCCESSFUL, 0);
    }
    ProbeForRead(input, bytes, 1);
    ProbeForWrite(output, bytes, 1);
    for (ULONG i = 0; i < bytes; i++) {
        output[i] = (UCHAR)(input[i] + 1);
    }
    return IoTestComplete(Irp, STATUS_SUCCESS, bytes);
}
