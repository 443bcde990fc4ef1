/* Registration, instances, the control device. */
#include "probe.h"

PROBE_GLOBALS Probe;

DRIVER_INITIALIZE DriverEntry;
static DRIVER_DISPATCH ProbeOpenClose;
static DRIVER_DISPATCH ProbeControl;

PROBE_RULE *ProbeRule(ULONG Major)
{
    return Probe.Shared != NULL ? &Probe.Shared->Rules[Probe.Index][Major] : &Probe.None;
}

PROBE_EVENT *ProbeLog(ULONG What, ULONG Major)
{
    static PROBE_EVENT spare;
    PROBE_EVENT *event = &spare;

    if (Probe.Shared != NULL) {
        LONG at = InterlockedIncrement((LONG *)&Probe.Shared->Logged) - 1;

        if (at < PROBE_EVENTS) {
            event = &Probe.Shared->Events[at];
        }
        RtlZeroMemory(event, sizeof(*event));
        event->Order = (UINT32)at;
    }
    event->What = What;
    event->Major = Major;
    event->Filter = Probe.Index;
    event->Irql = KeGetCurrentIrql();
    event->Thread = (UINT64)(ULONG_PTR)PsGetCurrentThread();
    return event;
}

static NTSTATUS NTAPI ProbeInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                         _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                                         _In_ DEVICE_TYPE VolumeDeviceType,
                                         _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    ProbeLog(ProbeSetup, VolumeDeviceType)->CallFlags = Flags;
    if (VolumeFilesystemType != FLT_FSTYPE_NTFS && Probe.Shared != NULL) {
        Probe.Shared->Failed++;
    }
    if (Probe.Shared != NULL) {
        Probe.Shared->Instance[Probe.Index] = (UINT64)(ULONG_PTR)FltObjects->Instance;
        return Probe.Shared->SetupStatus[Probe.Index];
    }
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI ProbeInstanceQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                 _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    ProbeLog(ProbeQueryTeardown, 0)->CallFlags = Flags;
    return Probe.Shared != NULL ? Probe.Shared->TeardownStatus[Probe.Index] : STATUS_SUCCESS;
}

static VOID NTAPI ProbeInstanceTeardownStart(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                             _In_ FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    PFLT_CALLBACK_DATA held = InterlockedExchangePointer((PVOID *)&Probe.Held, NULL);

    UNREFERENCED_PARAMETER(FltObjects);
    ProbeLog(ProbeTeardownStart, 0)->CallFlags = Reason;
    if (held != NULL && Probe.Shared->HeldData != 0) {
        held->IoStatus.Status = STATUS_CANCELLED;
        held->IoStatus.Information = 0;
        FltCompletePendedPreOperation(held, FLT_PREOP_COMPLETE, NULL);
    }
}

static VOID NTAPI ProbeInstanceTeardownComplete(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                _In_ FLT_INSTANCE_TEARDOWN_FLAGS Reason)
{
    UNREFERENCED_PARAMETER(FltObjects);
    ProbeLog(ProbeTeardownComplete, 0)->CallFlags = Reason;
}

static NTSTATUS NTAPI ProbeFilterUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags)
{
    ProbeLog(ProbeUnload, 0)->CallFlags = Flags;
    if (Probe.Shared != NULL && !(Flags & FLTFL_FILTER_UNLOAD_MANDATORY) &&
        !NT_SUCCESS(Probe.Shared->UnloadStatus[Probe.Index])) {
        return Probe.Shared->UnloadStatus[Probe.Index];
    }
    IoDeleteDevice(Probe.Device);
    FltUnregisterFilter(Probe.Filter);
    return STATUS_SUCCESS;
}

VOID NTAPI ProbeContextCleanup(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE Type)
{
    PPROBE_CONTEXT context = Context;

    ProbeLog(ProbeCleanedUp, Type)->Context = context->Number;
    if (Probe.Shared != NULL) {
        InterlockedDecrement((LONG *)&Probe.Shared->Contexts);
        if (context->Type != Type) {
            Probe.Shared->Failed++;
        }
    }
}

#define BOTH(major)                                                                                \
    {.MajorFunction = (major),                                                                     \
     .PreOperation = ProbePreOperation,                                                            \
     .PostOperation = ProbePostOperation}
static const FLT_OPERATION_REGISTRATION Operations[] = {
    BOTH(IRP_MJ_CREATE),
    BOTH(IRP_MJ_CLOSE),
    BOTH(IRP_MJ_READ),
    BOTH(IRP_MJ_WRITE),
    BOTH(IRP_MJ_QUERY_INFORMATION),
    BOTH(IRP_MJ_SET_INFORMATION),
    BOTH(IRP_MJ_FLUSH_BUFFERS),
    BOTH(IRP_MJ_DIRECTORY_CONTROL),
    BOTH(IRP_MJ_FILE_SYSTEM_CONTROL),
    BOTH(IRP_MJ_CLEANUP),
    BOTH(IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION),
    BOTH(IRP_MJ_RELEASE_FOR_SECTION_SYNCHRONIZATION),
    BOTH(IRP_MJ_ACQUIRE_FOR_MOD_WRITE),
    BOTH(IRP_MJ_RELEASE_FOR_MOD_WRITE),
    BOTH(IRP_MJ_ACQUIRE_FOR_CC_FLUSH),
    BOTH(IRP_MJ_RELEASE_FOR_CC_FLUSH),
    BOTH(IRP_MJ_FAST_IO_CHECK_IF_POSSIBLE),
    BOTH(IRP_MJ_NETWORK_QUERY_OPEN),
    BOTH(IRP_MJ_PREPARE_MDL_WRITE),
    BOTH(IRP_MJ_MDL_WRITE_COMPLETE),
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

#define CONTEXT(type)                                                                              \
    {.ContextType = (type),                                                                        \
     .ContextCleanupCallback = ProbeContextCleanup,                                                \
     .Size = sizeof(PROBE_CONTEXT),                                                                \
     .PoolTag = PROBE_TAG}
static const FLT_CONTEXT_REGISTRATION Contexts[] = {
    CONTEXT(FLT_VOLUME_CONTEXT),       CONTEXT(FLT_INSTANCE_CONTEXT),
    CONTEXT(FLT_FILE_CONTEXT),         CONTEXT(FLT_STREAM_CONTEXT),
    CONTEXT(FLT_STREAMHANDLE_CONTEXT), {.ContextType = FLT_CONTEXT_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .ContextRegistration = Contexts,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = ProbeFilterUnload,
    .InstanceSetupCallback = ProbeInstanceSetup,
    .InstanceQueryTeardownCallback = ProbeInstanceQueryTeardown,
    .InstanceTeardownStartCallback = ProbeInstanceTeardownStart,
    .InstanceTeardownCompleteCallback = ProbeInstanceTeardownComplete,
};

static NTSTATUS ProbeEnd(_Inout_ PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS ProbeOpenClose(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);
    return ProbeEnd(Irp, STATUS_SUCCESS);
}

static NTSTATUS ProbeControl(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    UNREFERENCED_PARAMETER(DeviceObject);
    if (stack->Parameters.DeviceIoControl.IoControlCode != IOCTL_PROBE_SHARE ||
        stack->Parameters.DeviceIoControl.InputBufferLength != sizeof(UINT64)) {
        return ProbeEnd(Irp, STATUS_INVALID_DEVICE_REQUEST);
    }
    Probe.Shared = (PROBE_SHARED *)(ULONG_PTR) * (UINT64 *)Irp->AssociatedIrp.SystemBuffer;
    if (Probe.Shared != NULL) {
        Probe.Shared->Filter[Probe.Index] = (UINT64)(ULONG_PTR)Probe.Filter;
    }
    return ProbeEnd(Irp, STATUS_SUCCESS);
}

static NTSTATUS ProbeCreateDevice(_In_ PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"\\Device\\FltProbe");
    UNICODE_STRING lower = RTL_CONSTANT_STRING(L"\\Device\\FltLower");
    NTSTATUS status = IoCreateDevice(DriverObject, 0, Probe.Index ? &lower : &name,
                                     FILE_DEVICE_UNKNOWN, 0, FALSE, &Probe.Device);

    if (NT_SUCCESS(status)) {
        DriverObject->MajorFunction[IRP_MJ_CREATE] = ProbeOpenClose;
        DriverObject->MajorFunction[IRP_MJ_CLEANUP] = ProbeOpenClose;
        DriverObject->MajorFunction[IRP_MJ_CLOSE] = ProbeOpenClose;
        DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = ProbeControl;
    }
    return status;
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    /* "...\fltprobe" or "...\fltlower" */
    Probe.Index = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 1] == L'r';
    status = FltRegisterFilter(DriverObject, &Registration, &Probe.Filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = ProbeCreateDevice(DriverObject);
    if (!NT_SUCCESS(status)) {
        FltUnregisterFilter(Probe.Filter);
        return status;
    }
    status = FltStartFiltering(Probe.Filter);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(Probe.Device);
        FltUnregisterFilter(Probe.Filter);
    }
    return status;
}
