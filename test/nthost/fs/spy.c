/* See spy.h. */
#include "spy.h"
#include <nthost/io.h>
#include <stdlib.h>

static struct spy *the_spy;

static void note_write(struct spy *spy, PIRP irp, PIO_STACK_LOCATION stack)
{
    const UCHAR *data = MmGetSystemAddressForMdlSafe(irp->MdlAddress, NormalPagePriority);
    LONGLONG offset = stack->Parameters.Write.ByteOffset.QuadPart;
    ULONG bytes = stack->Parameters.Write.Length;
    if (spy->paging_count < ARRAYSIZE(spy->paging))
        spy->paging[spy->paging_count++] = (struct spied){
            offset, bytes, irp->Flags, (stack->FileObject->Flags & FO_CLEANUP_COMPLETE) != 0,
            stack->FileObject};
    for (ULONG i = 0; i < bytes && offset + i < (LONGLONG)spy->image_bytes; i++)
        spy->image[offset + i] = data[i];
}

static NTSTATUS NTAPI spy_dispatch(PDEVICE_OBJECT device, PIRP irp)
{
    struct spy *spy = the_spy;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(irp);
    UNREFERENCED_PARAMETER(device);
    if (stack->MajorFunction == IRP_MJ_WRITE && irp->Flags & IRP_PAGING_IO) {
        if (spy->fail != STATUS_SUCCESS) {
            NTSTATUS status = spy->fail;
            irp->IoStatus.Status = status;
            irp->IoStatus.Information = 0;
            IoCompleteRequest(irp, IO_NO_INCREMENT);
            return status;
        }
        note_write(spy, irp, stack);
    }
    if (stack->MajorFunction == IRP_MJ_CREATE)
        spy->creator = IoGetRequestorProcessId(irp);
    spy->cleanups += stack->MajorFunction == IRP_MJ_CLEANUP;
    spy->closes += stack->MajorFunction == IRP_MJ_CLOSE;
    IoSkipCurrentIrpStackLocation(irp);
    return IoCallDriver(spy->below, irp);
}

static BOOLEAN NTAPI spy_write(PFILE_OBJECT FileObject, PLARGE_INTEGER FileOffset, ULONG Length,
                               BOOLEAN Wait, ULONG LockKey, PVOID Buffer, PIO_STATUS_BLOCK IoStatus,
                               PDEVICE_OBJECT DeviceObject)
{
    PDEVICE_OBJECT below = the_spy->below;
    UNREFERENCED_PARAMETER(DeviceObject);
    return the_spy->fast &&
           below->DriverObject->FastIoDispatch->FastIoWrite(FileObject, FileOffset, Length, Wait,
                                                            LockKey, Buffer, IoStatus, below);
}

static NTSTATUS NTAPI pre_section(PFS_FILTER_CALLBACK_DATA data, PVOID *context)
{
    UNREFERENCED_PARAMETER(context);
    the_spy->acquires_section++;
    the_spy->section_protection = data->Parameters.AcquireForSectionSynchronization.PageProtection;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI pre_flush(PFS_FILTER_CALLBACK_DATA data, PVOID *context)
{
    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    the_spy->acquires_flush++;
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI pre_mod(PFS_FILTER_CALLBACK_DATA data, PVOID *context)
{
    UNREFERENCED_PARAMETER(data);
    UNREFERENCED_PARAMETER(context);
    the_spy->acquires_mod++;
    return STATUS_SUCCESS;
}

bool spy_attach(struct spy *spy, struct fixture *f)
{
    static FAST_IO_DISPATCH fast = {.SizeOfFastIoDispatch = sizeof(fast), .FastIoWrite = spy_write};
    FS_FILTER_CALLBACKS callbacks = {.SizeOfFsFilterCallbacks = sizeof(callbacks),
                                     .PreAcquireForSectionSynchronization = pre_section,
                                     .PreAcquireForCcFlush = pre_flush,
                                     .PreAcquireForModifiedPageWriter = pre_mod};
    the_spy = spy;
    spy->driver = io_create_driver("spy");
    spy->image_bytes = 1 << 20;
    spy->image = calloc(1, spy->image_bytes);
    for (unsigned i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++)
        spy->driver->MajorFunction[i] = spy_dispatch;
    spy->driver->FastIoDispatch = &fast;
    if (!is_status(IoCreateDevice(spy->driver, 0, NULL, FILE_DEVICE_DISK_FILE_SYSTEM, 0, FALSE,
                                  &spy->device),
                   STATUS_SUCCESS))
        return false;
    spy->device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    is_status(IoAttachDeviceToDeviceStackSafe(spy->device, fs_device(f->volume), &spy->below),
              STATUS_SUCCESS);
    return is_status(FsRtlRegisterFileSystemFilterCallbacks(spy->driver, &callbacks),
                     STATUS_SUCCESS);
}

void spy_detach(struct spy *spy)
{
    IoDetachDevice(spy->below);
    IoDeleteDevice(spy->device);
    io_delete_driver(spy->driver);
    free(spy->image);
}
