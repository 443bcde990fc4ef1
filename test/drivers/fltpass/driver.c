/*
 * A minifilter that attaches to every volume and lets every operation pass.
 */
#include <fltKernel.h>

DRIVER_INITIALIZE DriverEntry;

static PFLT_FILTER Filter;

static NTSTATUS NTAPI Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI InstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects,
                                    _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                                    _In_ DEVICE_TYPE VolumeDeviceType,
                                    _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(VolumeDeviceType);
    UNREFERENCED_PARAMETER(VolumeFilesystemType);
    return STATUS_SUCCESS;
}

static FLT_PREOP_CALLBACK_STATUS NTAPI
PreOperation(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
             _Outptr_result_maybenull_ PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

static const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_CREATE, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_WRITE, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_SET_INFORMATION, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_FILE_SYSTEM_CONTROL, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_CLEANUP, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_CLOSE, .PreOperation = PreOperation},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = Unload,
    .InstanceSetupCallback = InstanceSetup,
};

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = FltStartFiltering(Filter);
    if (!NT_SUCCESS(status)) {
        FltUnregisterFilter(Filter);
    }
    return status;
}
