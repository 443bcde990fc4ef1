/* The I/O manager's rules: requests, MDLs, devices, objects, handles. */
#include "cases.h"
#include <nthost/client.h>

#define IOCTL_BAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

/* One IOCTL from a client. */
static void control(PDRIVER_OBJECT driver)
{
    char output[32];
    ULONG_PTR information;
    io_handle handle;
    UNREFERENCED_PARAMETER(driver);
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 1000);
    need(client != NULL);
    need(NT_SUCCESS(io_open(client, "\\\\.\\NtswiftBad", GENERIC_READ | GENERIC_WRITE, &handle)));
    is_status(io_ioctl(client, handle, IOCTL_BAD, "abc", 3, output, sizeof output, &information),
              STATUS_SUCCESS);
    is_status(io_close(client, handle), STATUS_SUCCESS);
    io_client_destroy(client);
}

VF_CASE(IrpDoubleCompletion, IrpDoubleCompletion, .exercise = control);
VF_CASE(IrpTouchedAfterCompletion, IrpTouchedAfterCompletion, .exercise = control);
VF_CASE(IrpPendingMismatch, IrpPendingMismatch, .exercise = control);
VF_CASE(IrpCancelRoutineSet, IrpCancelRoutineSet, .exercise = control);
VF_CASE(IrpInformation, IrpInformation, .exercise = control);
VF_CASE(DeviceLeak, DeviceLeak);
VF_CASE(MdlLeak, MdlLeak);
VF_CASE(MdlMisuse, MdlMisuse);
VF_CASE(HandleLeak, HandleLeak);
VF_CASE(ObjectLeak, ObjectLeak);
