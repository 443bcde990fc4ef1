/* Stacks through the host, a driver, and the host again: names of functions where the host knows.
 */
#include <nthost/client.h>
#include <nthost/io.h>
#include <nthost/loader.h>
#include <nthost/sched.h>
#include "loadtest.h"
#include "tap.h"
#include <dlfcn.h>
#include <string.h>

static void *frames[64];
static unsigned frame_count;

/* The device that the driver calls: looks at the stack and says yes. */
static NTSTATUS NTAPI unwind_target(PDEVICE_OBJECT device, PIRP irp)
{
    UNREFERENCED_PARAMETER(device);
    if (IoGetCurrentIrpStackLocation(irp)->MajorFunction == IRP_MJ_INTERNAL_DEVICE_CONTROL)
        frame_count = image_backtrace(frames, 64);
    irp->IoStatus.Status = STATUS_SUCCESS;
    irp->IoStatus.Information = 0;
    IofCompleteRequest(irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static bool is_function(const void *address, const char *name)
{
    Dl_info info;
    return dladdr(address, &info) != 0 && info.dli_sname != NULL &&
           strcmp(info.dli_sname, name) == 0;
}

NT_TEST(stacks_are_walked_through_both_formats)
{
    static UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\LoadTestHost");
    char error[512];
    PDRIVER_OBJECT driver;
    PDEVICE_OBJECT device;
    io_handle handle;
    tap_start(NT_REALTIME, 0);
    need(NT_SUCCESS(driver_load("unwound", driver_path("loadtest"), &driver, error, sizeof(error))),
         "%s", error);
    nt_enter();
    PDRIVER_OBJECT target = io_create_driver("unwindtarget");
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        target->MajorFunction[i] = unwind_target;
    is_status(
        io_create_device_secure(target, 0, &name, FILE_DEVICE_UNKNOWN, 0, FALSE, NULL, &device),
        STATUS_SUCCESS);
    device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    nt_leave();

    struct io_client *client = io_client_create(IO_TOKEN_SYSTEM, 100);
    is_status(io_open(client, "\\Device\\unwound", GENERIC_READ, &handle), STATUS_SUCCESS);
    is_status(io_ioctl(client, handle, LOADTEST_IOCTL_CALL, NULL, 0, NULL, 0, NULL),
              STATUS_SUCCESS);
    io_client_destroy(client);

    /* host: unwind_target, irp_call..., IofCallDriver; driver: CallHost, BigFrame, FrameRegister,
     * (CallDeep,) LoadTestControl; host: irp_call, ..., io_ioctl, this test */
    unsigned first = 0, in_driver = 0;
    while (first < frame_count && image_of(frames[first]) == NULL)
        first++;
    while (first + in_driver < frame_count && image_of(frames[first + in_driver]) != NULL)
        in_driver++;
    ok(first >= 2, "%u frames of the host above the driver's", first);
    ok(in_driver >= 4 && in_driver <= 5, "%u frames of the driver", in_driver);
    unsigned at = first + in_driver, found = 0;
    static const char *const outer[] = {"io_ioctl_start", "io_ioctl"};
    for (; at < frame_count && found < 2; at++)
        found += is_function(frames[at], outer[found]);
    is_int(found, 2, "of %u frames", frame_count);
    ok(at < frame_count, "the test itself calls io_ioctl");

    nt_enter();
    io_delete_driver(target);
    nt_leave();
    is_status(driver_unload(driver), STATUS_SUCCESS);
    nt_stop();
}
