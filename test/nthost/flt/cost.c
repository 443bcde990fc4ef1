/*
 * What the filter manager costs an operation: a device below that completes at once, IRPs that are
 * sent to it directly, through a volume's device without filters, and with one and two that watch
 * writes. CPU time of the calling thread, the best of several rounds, real time, no verifier.
 */
#include "bench.h"
#include <nthost/io.h>
#include <stdlib.h>
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

#define ROUNDS 9
#define IRPS   20000

static PDRIVER_OBJECT driver;
static PDEVICE_OBJECT device;

static NTSTATUS NTAPI complete(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = IoGetCurrentIrpStackLocation(Irp)->Parameters.Write.Length;
    IofCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

static BOOLEAN NTAPI fast(PFILE_OBJECT file, PLARGE_INTEGER offset, ULONG length, BOOLEAN wait,
                          ULONG key, PVOID buffer, PIO_STATUS_BLOCK iosb, PDEVICE_OBJECT at)
{
    (void)file, (void)offset, (void)wait, (void)key, (void)buffer, (void)at;
    iosb->Status = STATUS_SUCCESS;
    iosb->Information = length;
    return TRUE;
}

static NTSTATUS NTAPI keep(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);
    UNREFERENCED_PARAMETER(Context);
    return STATUS_MORE_PROCESSING_REQUIRED;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ns an IRP; the same IRP again and again. */
static double irps(PDEVICE_OBJECT to)
{
    double best = 1e12;
    char data[16];
    FILE_OBJECT file = {.Type = IO_TYPE_FILE, .DeviceObject = device};
    PIRP irp = IoAllocateIrp(to->StackSize, FALSE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = now();
        for (unsigned i = 0; i < IRPS; i++) {
            IoReuseIrp(irp, STATUS_SUCCESS);
            PIO_STACK_LOCATION stack = IoGetNextIrpStackLocation(irp);
            stack->MajorFunction = IRP_MJ_WRITE;
            stack->FileObject = &file;
            stack->Parameters.Write.Length = sizeof(data);
            irp->UserBuffer = data;
            irp->Flags = IRP_WRITE_OPERATION;
            IoSetCompletionRoutine(irp, keep, NULL, TRUE, TRUE, TRUE);
            IofCallDriver(to, irp);
        }
        double spent = (now() - start) / IRPS;
        best = spent < best ? spent : best;
    }
    ok(irp->IoStatus.Information == sizeof(data));
    IoFreeIrp(irp);
    return best;
}

static double fast_writes(PDEVICE_OBJECT to)
{
    double best = 1e12;
    char data[16];
    IO_STATUS_BLOCK iosb = {.Information = 0};
    LARGE_INTEGER offset = {.QuadPart = 0};
    FILE_OBJECT file = {.Type = IO_TYPE_FILE, .DeviceObject = device};
    for (unsigned round = 0; round < ROUNDS; round++) {
        double start = now();
        for (unsigned i = 0; i < IRPS; i++)
            to->DriverObject->FastIoDispatch->FastIoWrite(&file, &offset, sizeof(data), TRUE, 0,
                                                          data, &iosb, to);
        double spent = (now() - start) / IRPS;
        best = spent < best ? spent : best;
    }
    ok(iosb.Information == sizeof(data));
    return best;
}

static NTSTATUS load(const char *name, const char *altitude, PDRIVER_OBJECT *loaded)
{
    char error[512] = "";
    bench_register(name, "Instances", altitude, 0);
    NTSTATUS status = driver_load(name, driver_path(name), loaded, error, sizeof(error));
    if (!NT_SUCCESS(status))
        diag("%s", error);
    return status;
}

NT_TEST(cost_of_an_operation)
{
    static FAST_IO_DISPATCH fast_io = {.SizeOfFastIoDispatch = sizeof(fast_io),
                                       .FastIoWrite = fast};
    const struct nt_options options = {.scheduler = NT_REALTIME, .processors = 2};
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\CostVolume");
    PDRIVER_OBJECT pass, lower;
    nt_start(&options);
    nt_enter();
    driver = io_create_driver("cost");
    driver->MajorFunction[IRP_MJ_WRITE] = complete;
    driver->FastIoDispatch = &fast_io;
    is_status(io_create_device_secure(driver, 0, &name, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE,
                                      NULL, &device),
              STATUS_SUCCESS);
    device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    double direct = irps(device), fast_direct = fast_writes(device);
    is_status(flt_volume_attach(device, &name), STATUS_SUCCESS);
    PDEVICE_OBJECT top = device->AttachedDevice;
    double empty = irps(top), fast_empty = fast_writes(top);
    need(NT_SUCCESS(load("fltpass", "370010", &pass)));
    double one = irps(top), fast_one = fast_writes(top);
    need(NT_SUCCESS(load("fltlower", "140000", &lower)));
    /* fltlower without rules passes, too: SUCCESS_NO_CALLBACK. */
    double two = irps(top), fast_two = fast_writes(top);
    is_status(driver_unload(lower), STATUS_SUCCESS);
    is_status(driver_unload(pass), STATUS_SUCCESS);
    flt_volume_detach(device);
    io_delete_driver(driver);
    nt_leave();
    nt_stop();
    diag("ns an IRP: direct %.0f, no filter +%.0f, one filter +%.0f, two +%.0f", direct,
         empty - direct, one - direct, two - direct);
    diag("ns a fast write: direct %.0f, no filter +%.0f, one filter +%.0f, two +%.0f", fast_direct,
         fast_empty - fast_direct, fast_one - fast_direct, fast_two - fast_direct);
    ok(INSTRUMENTED || empty - direct < 150, "no filter: next to nothing");
    ok(INSTRUMENTED || (one - direct < 1000 && fast_one - fast_direct < 1000),
       "one filter: well below 1 us");
}
