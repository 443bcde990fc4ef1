/* The framework's rules. */
#include "cases.h"
#include <nthost/client.h>

#define IOCTL_BAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

static void control(PDRIVER_OBJECT driver)
{
    ULONG_PTR information;
    io_handle handle;
    UNREFERENCED_PARAMETER(driver);
    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 1000);
    need(client != NULL);
    need(NT_SUCCESS(io_open(client, "\\\\.\\NtswiftBad", GENERIC_READ | GENERIC_WRITE, &handle)));
    is_status(io_ioctl(client, handle, IOCTL_BAD, NULL, 0, NULL, 0, &information), STATUS_SUCCESS);
    is_status(io_close(client, handle), STATUS_SUCCESS);
    io_client_destroy(client);
}

VF_CASE(WdfRequestMisuse, WdfRequestMisuse, .exercise = control);
VF_CASE(WdfBadHandle, WdfBadHandle);
VF_CASE(WdfObjectLeak, WdfObjectLeak);
VF_CASE(WdfUnimplemented, WdfUnimplemented);
