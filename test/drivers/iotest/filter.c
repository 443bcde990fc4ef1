/* A filter device above \Device\IoTest, of the three usual kinds. */
#include "iotest.h"

static IO_COMPLETION_ROUTINE FilterCompletion;

static NTSTATUS FilterCompletion(_In_ PDEVICE_OBJECT DeviceObject, _In_ PIRP Irp,
                                 _In_opt_ PVOID Context)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Context);
    InterlockedIncrement((LONG *)&Globals.Stats.Filtered);
    if (Irp->PendingReturned) {
        IoMarkIrpPending(Irp);
    }
    return STATUS_CONTINUE_COMPLETION;
}

NTSTATUS
IoTestFilterDispatch(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIOTEST_DEVICE_EXTENSION extension = DeviceObject->DeviceExtension;

    switch (extension->FilterMode) {
    case IOTEST_FILTER_COMPLETION:
        IoCopyCurrentIrpStackLocationToNext(Irp);
        IoSetCompletionRoutine(Irp, FilterCompletion, NULL, TRUE, TRUE, TRUE);
        return IoCallDriver(extension->Lower, Irp);
    case IOTEST_FILTER_HOLD: {
        if (!IoForwardIrpSynchronously(extension->Lower, Irp)) {
            return IoTestComplete(Irp, STATUS_UNSUCCESSFUL, 0);
        }
        InterlockedIncrement((LONG *)&Globals.Stats.Filtered);
        return IoTestComplete(Irp, Irp->IoStatus.Status, Irp->IoStatus.Information);
    }
    default:
        IoSkipCurrentIrpStackLocation(Irp);
        return IoCallDriver(extension->Lower, Irp);
    }
}

NTSTATUS
IoTestAttach(ULONG Mode)
{
    PDEVICE_OBJECT filter;

    if (Globals.Filter != NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    NTSTATUS status = IoCreateDevice(Globals.Driver, sizeof(IOTEST_DEVICE_EXTENSION), NULL,
                                     FILE_DEVICE_UNKNOWN, 0, FALSE, &filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    PIOTEST_DEVICE_EXTENSION extension = filter->DeviceExtension;
    extension->Role = IoTestFilter;
    extension->FilterMode = Mode;
    filter->Flags |= Globals.Main->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO);
    status = IoAttachDeviceToDeviceStackSafe(filter, Globals.Main, &extension->Lower);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(filter);
        return status;
    }
    filter->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    Globals.Filter = filter;
    return STATUS_SUCCESS;
}

NTSTATUS
IoTestDetach(VOID)
{
    PDEVICE_OBJECT filter = Globals.Filter;

    if (filter == NULL) {
        return STATUS_INVALID_DEVICE_STATE;
    }
    Globals.Filter = NULL;
    IoDetachDevice(((PIOTEST_DEVICE_EXTENSION)filter->DeviceExtension)->Lower);
    IoDeleteDevice(filter);
    return STATUS_SUCCESS;
}
