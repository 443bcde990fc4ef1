/* The control device. */

#include "probe.h"

static DRIVER_DISPATCH ProbeOpenClose;
static DRIVER_DISPATCH ProbeControl;

static PPROBE_MODULE ProbeFirstModule(VOID)
{
    PPROBE_MODULE module = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&Probe.Lock, &irql);
    if (!IsListEmpty(&Probe.Modules)) {
        module = CONTAINING_RECORD(Probe.Modules.Flink, PROBE_MODULE, Link);
    }
    KeReleaseSpinLock(&Probe.Lock, irql);
    return module;
}

static NTSTATUS ProbeDoOid(_In_ PPROBE_MODULE Module, _Inout_ PVOID Buffer, ULONG In, ULONG Out,
                           _Out_ PULONG_PTR Done)
{
    ULONG oid, written = 0;
    NDIS_STATUS status;

    *Done = 0;
    if (In < sizeof(oid)) {
        return STATUS_INVALID_PARAMETER;
    }
    RtlCopyMemory(&oid, Buffer, sizeof(oid));
    if (In > sizeof(oid)) {
        return ProbeOwnOid(Module, NdisRequestSetInformation, oid, (PUCHAR)Buffer + sizeof(oid),
                           In - sizeof(oid), &written);
    }
    status = ProbeOwnOid(Module, NdisRequestQueryInformation, oid, Buffer, Out, &written);
    *Done = written;
    return status;
}

static NTSTATUS ProbeDoStatus(_In_ PPROBE_MODULE Module, ULONG Code)
{
    NDIS_STATUS_INDICATION status = {0};

    status.Header.Type = NDIS_OBJECT_TYPE_STATUS_INDICATION;
    status.Header.Revision = NDIS_STATUS_INDICATION_REVISION_1;
    status.Header.Size = NDIS_SIZEOF_STATUS_INDICATION_REVISION_1;
    status.SourceHandle = Module->FilterHandle;
    status.StatusCode = (NDIS_STATUS)Code;
    NdisFIndicateStatus(Module->FilterHandle, &status);
    return STATUS_SUCCESS;
}

static NTSTATUS ProbeCommand(_In_ PPROBE_MODULE Module, ULONG Code, _Inout_ PVOID Buffer, ULONG In,
                             ULONG Out, _Out_ PULONG_PTR Done)
{
    ULONG needed, written;
    NTSTATUS status;

    *Done = 0;
    switch (Code) {
    case IOCTL_PROBE_SEND:
        return ProbeSendFrame(Module, Buffer, In);
    case IOCTL_PROBE_INDICATE:
        return ProbeIndicateFrame(Module, Buffer, In);
    case IOCTL_PROBE_OID:
        return ProbeDoOid(Module, Buffer, In, Out, Done);
    case IOCTL_PROBE_RESTART:
        return NdisFRestartFilter(Module->FilterHandle);
    case IOCTL_PROBE_STATUS:
        return In < sizeof(ULONG) ? STATUS_INVALID_PARAMETER
                                  : ProbeDoStatus(Module, *(PULONG)Buffer);
    case IOCTL_PROBE_FLUSH:
        ProbeFlush(Module, FALSE);
        return STATUS_SUCCESS;
    case IOCTL_PROBE_MODULES:
        status = NdisEnumerateFilterModules(Module->FilterHandle, Buffer, Out, &needed, &written);
        *Done = written;
        return status;
    case IOCTL_PROBE_SYNC_OID:
        return In < sizeof(ULONG) ? STATUS_INVALID_PARAMETER
                                  : ProbeOwnSyncOid(Module, *(PULONG)Buffer);
    default:
        return STATUS_INVALID_DEVICE_REQUEST;
    }
}

_Use_decl_annotations_ static NTSTATUS ProbeOpenClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ static NTSTATUS ProbeControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG in = stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG out = stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG code = stack->Parameters.DeviceIoControl.IoControlCode;
    PVOID buffer = Irp->AssociatedIrp.SystemBuffer;
    PPROBE_MODULE module = ProbeFirstModule();
    NTSTATUS status;
    ULONG_PTR done = 0;

    UNREFERENCED_PARAMETER(DeviceObject);
    if (code == IOCTL_PROBE_BEHAVE && in >= sizeof(LONG)) {
        InterlockedExchange(&Probe.Behaviour, *(PLONG)buffer);
        status = STATUS_SUCCESS;
    } else if (code == IOCTL_PROBE_STATE && out >= sizeof(PROBE_STATE)) {
        RtlCopyMemory(buffer, &Probe.State, sizeof(PROBE_STATE));
        done = sizeof(PROBE_STATE);
        status = STATUS_SUCCESS;
    } else {
        status = module == NULL ? STATUS_DEVICE_NOT_READY
                                : ProbeCommand(module, code, buffer, in, out, &done);
    }
    Irp->IoStatus.Status = status;
    Irp->IoStatus.Information = done;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return status;
}

NDIS_STATUS ProbeCreateDevice(VOID)
{
    static PDRIVER_DISPATCH dispatch[IRP_MJ_MAXIMUM_FUNCTION + 1];
    NDIS_STRING name = RTL_CONSTANT_STRING(NDISPROBE_DEVICE_NAME);
    NDIS_STRING link = RTL_CONSTANT_STRING(NDISPROBE_LINK_NAME);
    NDIS_DEVICE_OBJECT_ATTRIBUTES attributes = {0};

    dispatch[IRP_MJ_CREATE] = dispatch[IRP_MJ_CLEANUP] = dispatch[IRP_MJ_CLOSE] = ProbeOpenClose;
    dispatch[IRP_MJ_DEVICE_CONTROL] = ProbeControl;
    attributes.Header.Type = NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES;
    attributes.Header.Revision = NDIS_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_DEVICE_OBJECT_ATTRIBUTES_REVISION_1;
    attributes.DeviceName = &name;
    attributes.SymbolicName = &link;
    attributes.MajorFunctions = dispatch;
    attributes.ExtensionSize = 64;
    attributes.DefaultSDDLString = &SDDL_DEVOBJ_SYS_ALL_ADM_ALL;
    return NdisRegisterDeviceEx(Probe.DriverHandle, &attributes, &Probe.Device,
                                &Probe.DeviceHandle);
}
