/* The control device: reads the counters. */

#include "pass.h"

static DRIVER_DISPATCH PassDispatchOpenClose;
static DRIVER_DISPATCH PassDispatchDeviceControl;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(PAGE, PassCreateDevice)
#pragma alloc_text(PAGE, PassDeleteDevice)
#pragma alloc_text(PAGE, PassDispatchOpenClose)
#endif

static NTSTATUS PassComplete(_Inout_ PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static VOID PassCountModules(_Inout_ PNDISPASS_COUNTERS Counters)
{
    PLIST_ENTRY entry;
    KIRQL irql;

    KeAcquireSpinLock(&PassGlobals.ModulesLock, &irql);
    for (entry = PassGlobals.Modules.Flink; entry != &PassGlobals.Modules; entry = entry->Flink) {
        PPASS_MODULE module = CONTAINING_RECORD(entry, PASS_MODULE, Link);

        Counters->Modules++;
        Counters->Running += (ULONG)module->Running;
    }
    KeReleaseSpinLock(&PassGlobals.ModulesLock, irql);
}

static VOID PassReadCounters(_Out_ PNDISPASS_COUNTERS Counters)
{
    ULONG i;

    RtlZeroMemory(Counters, sizeof(*Counters));
    for (i = 0; i < PassGlobals.ProcessorCount; i++) {
        PPASS_PROCESSOR processor = &PassGlobals.Processors[i];

        Counters->SentFrames += (ULONG64)processor->SentFrames;
        Counters->SentBytes += (ULONG64)processor->SentBytes;
        Counters->ReceivedFrames += (ULONG64)processor->ReceivedFrames;
        Counters->ReceivedBytes += (ULONG64)processor->ReceivedBytes;
        Counters->CompletedFrames += (ULONG64)processor->CompletedFrames;
        Counters->ReturnedFrames += (ULONG64)processor->ReturnedFrames;
    }
    Counters->OidRequests = (ULONG64)PassGlobals.OidRequests;
    Counters->StatusIndications = (ULONG64)PassGlobals.StatusIndications;
    Counters->PnPEvents = (ULONG64)PassGlobals.PnPEvents;
    Counters->Restarts = (ULONG64)PassGlobals.Restarts;
    Counters->Pauses = (ULONG64)PassGlobals.Pauses;
    PassCountModules(Counters);
}

_Use_decl_annotations_ static NTSTATUS PassDispatchOpenClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PAGED_CODE();
    UNREFERENCED_PARAMETER(DeviceObject);
    return PassComplete(Irp, STATUS_SUCCESS, 0);
}

_Use_decl_annotations_ static NTSTATUS PassDispatchDeviceControl(PDEVICE_OBJECT DeviceObject,
                                                                 PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_NDISPASS_GET_COUNTERS) {
        return PassComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
    if (stack->Parameters.DeviceIoControl.OutputBufferLength < sizeof(NDISPASS_COUNTERS)) {
        return PassComplete(Irp, STATUS_BUFFER_TOO_SMALL, 0);
    }
    PassReadCounters(Irp->AssociatedIrp.SystemBuffer);
    return PassComplete(Irp, STATUS_SUCCESS, sizeof(NDISPASS_COUNTERS));
}

NDIS_STATUS PassCreateDevice(VOID)
{
    static PDRIVER_DISPATCH dispatch[IRP_MJ_MAXIMUM_FUNCTION + 1];
    NDIS_STRING deviceName = RTL_CONSTANT_STRING(NDISPASS_DEVICE_NAME);
    NDIS_STRING linkName = RTL_CONSTANT_STRING(NDISPASS_LINK_NAME);
    NDIS_DEVICE_OBJECT_ATTRIBUTES attributes = {0};

    PAGED_CODE();

    dispatch[IRP_MJ_CREATE] = PassDispatchOpenClose;
    dispatch[IRP_MJ_CLEANUP] = PassDispatchOpenClose;
    dispatch[IRP_MJ_CLOSE] = PassDispatchOpenClose;
    dispatch[IRP_MJ_DEVICE_CONTROL] = PassDispatchDeviceControl;

    attributes.Header.Type = NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES;
    attributes.Header.Revision = NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.DeviceName = &deviceName;
    attributes.SymbolicName = &linkName;
    attributes.MajorFunctions = dispatch;
    attributes.DefaultSDDLString = &SDDL_DEVOBJ_SYS_ALL_ADM_ALL;
    return NdisRegisterDeviceEx(PassGlobals.DriverHandle, &attributes, &PassGlobals.DeviceObject,
                                &PassGlobals.DeviceHandle);
}

VOID PassDeleteDevice(VOID)
{
    PAGED_CODE();
    NdisDeregisterDeviceEx(PassGlobals.DeviceHandle);
}
