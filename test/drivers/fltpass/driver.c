/*
 * fltpass: a minifilter that attaches to every volume, lets every operation pass and counts it; its
 * communication port tells the counters.
 */
#include <fltKernel.h>
#include "fltpass.h"

DRIVER_INITIALIZE DriverEntry;

static PFLT_FILTER Filter;
static PFLT_PORT ServerPort, ClientPort;
static FLTPASS_COUNTERS Counters;

static NTSTATUS NTAPI PassUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltCloseCommunicationPort(ServerPort);
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}

static NTSTATUS NTAPI PassInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects,
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

static ULONG PassSlot(_In_ PFLT_CALLBACK_DATA Data)
{
    return Data->Iopb->MajorFunction < 31 ? Data->Iopb->MajorFunction : 31;
}

static FLT_PREOP_CALLBACK_STATUS NTAPI
PassPreOperation(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                 _Outptr_result_maybenull_ PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    InterlockedIncrement64((LONG64 *)&Counters.Pre[PassSlot(Data)]);
    *CompletionContext = NULL;
    return Data->Iopb->MajorFunction == IRP_MJ_CLOSE ? FLT_PREOP_SUCCESS_NO_CALLBACK
                                                     : FLT_PREOP_SUCCESS_WITH_CALLBACK;
}

static FLT_POSTOP_CALLBACK_STATUS NTAPI PassPostOperation(_Inout_ PFLT_CALLBACK_DATA Data,
                                                          _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                                          _In_opt_ PVOID CompletionContext,
                                                          _In_ FLT_POST_OPERATION_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(CompletionContext);
    UNREFERENCED_PARAMETER(Flags);
    InterlockedIncrement64((LONG64 *)&Counters.Post[PassSlot(Data)]);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static VOID NTAPI PassAsk(_In_ PFLT_GENERIC_WORKITEM Item, _In_ PVOID FltObject,
                          _In_opt_ PVOID Context)
{
    UINT32 question = 41, answer = 0;
    ULONG length = sizeof(answer);
    LARGE_INTEGER timeout = {.QuadPart = -10 * 10000000ll};

    UNREFERENCED_PARAMETER(FltObject);
    UNREFERENCED_PARAMETER(Context);
    FltFreeGenericWorkItem(Item);
    Counters.LastStatus = FltSendMessage(Filter, &ClientPort, &question, sizeof(question), &answer,
                                         &length, &timeout);
    if (Counters.LastStatus == STATUS_SUCCESS && length == sizeof(answer) &&
        answer == question + 1) {
        Counters.Replied++;
    }
    Counters.Asked++;
}

static NTSTATUS NTAPI PassConnect(_In_ PFLT_PORT Port, _In_opt_ PVOID ServerPortCookie,
                                  _In_reads_bytes_opt_(SizeOfContext) PVOID ConnectionContext,
                                  _In_ ULONG SizeOfContext,
                                  _Outptr_result_maybenull_ PVOID *ConnectionPortCookie)
{
    UNREFERENCED_PARAMETER(ServerPortCookie);
    UNREFERENCED_PARAMETER(ConnectionContext);
    *ConnectionPortCookie = NULL;
    if (SizeOfContext != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    ClientPort = Port;
    Counters.Connections++;
    return STATUS_SUCCESS;
}

static VOID NTAPI PassDisconnect(_In_opt_ PVOID ConnectionCookie)
{
    UNREFERENCED_PARAMETER(ConnectionCookie);
    FltCloseClientPort(Filter, &ClientPort);
}

static NTSTATUS NTAPI PassMessage(_In_opt_ PVOID PortCookie,
                                  _In_reads_bytes_opt_(InputBufferLength) PVOID InputBuffer,
                                  _In_ ULONG InputBufferLength, _Out_opt_ PVOID OutputBuffer,
                                  _In_ ULONG OutputBufferLength, _Out_ PULONG ReturnLength)
{
    PFLT_GENERIC_WORKITEM item;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(PortCookie);
    *ReturnLength = 0;
    if (InputBuffer == NULL || InputBufferLength != sizeof(UINT32)) {
        return STATUS_INVALID_PARAMETER;
    }
    switch (*(UINT32 *)InputBuffer) {
    case FltPassCounters:
        if (OutputBuffer == NULL || OutputBufferLength < sizeof(Counters)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        RtlCopyMemory(OutputBuffer, &Counters, sizeof(Counters));
        *ReturnLength = sizeof(Counters);
        return STATUS_SUCCESS;
    case FltPassAsk:
        item = FltAllocateGenericWorkItem();
        if (item == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        status = FltQueueGenericWorkItem(item, Filter, PassAsk, DelayedWorkQueue, NULL);
        if (!NT_SUCCESS(status)) {
            FltFreeGenericWorkItem(item);
        }
        return status;
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

#define PASS(major)                                                                                \
    {.MajorFunction = (major), .PreOperation = PassPreOperation, .PostOperation = PassPostOperation}
static const FLT_OPERATION_REGISTRATION Operations[] = {
    PASS(IRP_MJ_CREATE),
    PASS(IRP_MJ_READ),
    {.MajorFunction = IRP_MJ_WRITE,
     .Flags = FLTFL_OPERATION_REGISTRATION_SKIP_PAGING_IO,
     .PreOperation = PassPreOperation,
     .PostOperation = PassPostOperation},
    PASS(IRP_MJ_SET_INFORMATION),
    PASS(IRP_MJ_FILE_SYSTEM_CONTROL),
    PASS(IRP_MJ_ACQUIRE_FOR_SECTION_SYNCHRONIZATION),
    PASS(IRP_MJ_CLEANUP),
    PASS(IRP_MJ_CLOSE),
    {.MajorFunction = IRP_MJ_OPERATION_END},
};

static const FLT_REGISTRATION Registration = {
    .Size = sizeof(FLT_REGISTRATION),
    .Version = FLT_REGISTRATION_VERSION,
    .OperationRegistration = Operations,
    .FilterUnloadCallback = PassUnload,
    .InstanceSetupCallback = PassInstanceSetup,
};

static NTSTATUS PassCreatePort(VOID)
{
    UNICODE_STRING name = RTL_CONSTANT_STRING(FLTPASS_PORT);
    OBJECT_ATTRIBUTES attributes;
    PSECURITY_DESCRIPTOR security;
    NTSTATUS status = FltBuildDefaultSecurityDescriptor(&security, FLT_PORT_ALL_ACCESS);

    if (!NT_SUCCESS(status)) {
        return status;
    }
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               security);
    status = FltCreateCommunicationPort(Filter, &ServerPort, &attributes, NULL, PassConnect,
                                        PassDisconnect, PassMessage, 1);
    FltFreeSecurityDescriptor(security);
    return status;
}

NTSTATUS DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = PassCreatePort();
    if (NT_SUCCESS(status)) {
        status = FltStartFiltering(Filter);
        if (!NT_SUCCESS(status)) {
            FltCloseCommunicationPort(ServerPort);
        }
    }
    if (!NT_SUCCESS(status)) {
        FltUnregisterFilter(Filter);
    }
    return status;
}
