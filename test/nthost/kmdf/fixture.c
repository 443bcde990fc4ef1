/* See fixture.h. */
#include "fixture.h"
#include <nthost/io.h>
#include <nthost/registry.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_INITIALIZE FxDriverEntry;
static EVT_WDF_DRIVER_UNLOAD driver_unload;
static PDRIVER_OBJECT driver;

static void driver_unload(WDFDRIVER unloaded)
{
    (void)unloaded;
}

NTSTATUS DriverEntry(PDRIVER_OBJECT object, PUNICODE_STRING path)
{
    WDF_DRIVER_CONFIG config;
    WDF_DRIVER_CONFIG_INIT(&config, NULL);
    config.DriverInitFlags = WdfDriverInitNonPnpDriver;
    config.EvtDriverUnload = driver_unload;
    return WdfDriverCreate(object, path, WDF_NO_OBJECT_ATTRIBUTES, &config, NULL);
}

void fixture_start(enum nt_scheduler scheduler, uint64_t seed)
{
    UNICODE_STRING path =
        RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\Fixture");
    tap_start(scheduler, seed);
    ok(NT_SUCCESS(registry_create_key(REGISTRY_SERVICES "\\Fixture")));
    nt_enter();
    driver = io_create_driver("Fixture");
    is_status(FxDriverEntry(driver, &path), STATUS_SUCCESS);
}

void fixture_stop(void)
{
    driver->DriverUnload(driver);
    io_delete_driver(driver);
    nt_leave();
    nt_stop();
}

PDRIVER_OBJECT fixture_driver_object(void)
{
    return driver;
}

WDFDEVICE fixture_device(const struct fixture_device *options)
{
    DECLARE_CONST_UNICODE_STRING(sddl, L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    DECLARE_CONST_UNICODE_STRING(name, L"\\Device\\Fixture");
    DECLARE_CONST_UNICODE_STRING(link, L"\\DosDevices\\Fixture");
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(WdfGetDriver(), &sddl);
    WDFDEVICE device = NULL;
    ok(init != NULL);
    is_status(WdfDeviceInitAssignName(init, &name), STATUS_SUCCESS);
    if (options->file)
        WdfDeviceInitSetFileObjectConfig(init, options->file, options->file_attributes);
    if (options->request_attributes)
        WdfDeviceInitSetRequestAttributes(init, options->request_attributes);
    if (options->io_type)
        WdfDeviceInitSetIoType(init, options->io_type);
    if (options->in_caller)
        WdfDeviceInitSetIoInCallerContextCallback(init, options->in_caller);
    is_status(WdfDeviceCreate(&init, options->device_attributes, &device), STATUS_SUCCESS);
    ok(init == NULL);
    is_status(WdfDeviceCreateSymbolicLink(device, &link), STATUS_SUCCESS);
    if (options->queue) {
        options->queue->DefaultQueue = TRUE;
        is_status(WdfIoQueueCreate(device, options->queue, options->queue_attributes, NULL),
                  STATUS_SUCCESS);
    }
    WdfControlFinishInitializing(device);
    return device;
}

NTSTATUS fixture_open(struct fixture_file *file)
{
    static uint32_t process = 100;
    file->client = io_client_create(IO_TOKEN_SYSTEM, process++);
    file->handle = 0;
    nt_leave();
    NTSTATUS status =
        io_open(file->client, "\\\\.\\Fixture", GENERIC_READ | GENERIC_WRITE, &file->handle);
    nt_enter();
    return status;
}

void fixture_close(struct fixture_file *file)
{
    nt_leave();
    io_client_destroy(file->client);
    nt_enter();
    *file = (struct fixture_file){0};
}

static void request_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct fixture_request *request = context;
    request->status = status;
    request->information = information;
    request->times++;
    request->done = true;
}

void fixture_send(struct fixture_file *file, struct fixture_request *request, ULONG code,
                  const void *input, ULONG bytes)
{
    *request = (struct fixture_request){.status = STATUS_PENDING};
    nt_leave();
    NTSTATUS status =
        io_ioctl_start(file->client, file->handle, code, input, bytes, request->output,
                       sizeof(request->output), request_done, request, &request->request);
    nt_enter();
    is_status(status, STATUS_PENDING);
}

NTSTATUS fixture_cancel(struct fixture_file *file, struct fixture_request *request)
{
    nt_leave();
    NTSTATUS status = io_cancel(file->client, file->handle, request->request);
    nt_enter();
    return status;
}

void fixture_run(unsigned milliseconds)
{
    nt_leave();
    if (sched_is_deterministic()) {
        sched_run_for(milliseconds * 10000ull);
        nt_enter();
    } else {
        LARGE_INTEGER delay = {.QuadPart = milliseconds * -10000ll};
        nt_enter();
        KeDelayExecutionThread(KernelMode, FALSE, &delay);
    }
}

void fixture_wait(struct fixture_request *request)
{
    for (unsigned i = 0; i < 100 && !*(volatile bool *)&request->done; i++)
        fixture_run(10);
    ok(request->done, "the request is completed");
    is_int(request->times, 1);
}

void fixture_release(struct fixture_request *request)
{
    if (request->request)
        io_request_release(request->request);
    request->request = NULL;
}
