/* Loading, registration, unloading. */

#include "probe.h"

PROBE_GLOBALS Probe;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, ProbeUnload)
#endif

static VOID ProbeCharacteristics(_Out_ PNDIS_FILTER_DRIVER_CHARACTERISTICS C)
{
    static const NDIS_STRING friendly = RTL_CONSTANT_STRING(L"Probe filter");
    static const NDIS_STRING unique =
        RTL_CONSTANT_STRING(L"{7d2b0b9e-2f0c-4b45-8f0a-0d5f2b9c1e21}");
    static const NDIS_STRING service = RTL_CONSTANT_STRING(L"ndisprobe");

    RtlZeroMemory(C, sizeof(*C));
    C->Header.Type = NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS;
    C->Header.Revision = NDIS_FILTER_CHARACTERISTICS_REVISION_3;
    C->Header.Size = NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3;
    C->MajorNdisVersion = NDIS_FILTER_MAJOR_VERSION;
    C->MinorNdisVersion = NDIS_FILTER_MINOR_VERSION;
    C->FriendlyName = friendly;
    C->UniqueName = unique;
    C->ServiceName = service;
    C->AttachHandler = ProbeAttach;
    C->DetachHandler = ProbeDetach;
    C->RestartHandler = ProbeRestart;
    C->PauseHandler = ProbePause;
    C->SetFilterModuleOptionsHandler = ProbeSetModuleOptions;
    C->StatusHandler = ProbeStatus;
    C->NetPnPEventHandler = ProbeNetPnPEvent;
    C->DevicePnPEventNotifyHandler = ProbeDevicePnPEvent;
    C->SendNetBufferListsHandler = ProbeSend;
    C->SendNetBufferListsCompleteHandler = ProbeSendComplete;
    C->CancelSendNetBufferListsHandler = ProbeCancelSend;
    C->ReceiveNetBufferListsHandler = ProbeReceive;
    C->ReturnNetBufferListsHandler = ProbeReturn;
    C->OidRequestHandler = ProbeOidRequest;
    C->OidRequestCompleteHandler = ProbeOidRequestComplete;
    C->CancelOidRequestHandler = ProbeCancelOid;
    C->DirectOidRequestHandler = ProbeDirectOid;
    C->DirectOidRequestCompleteHandler = ProbeDirectOidComplete;
    C->SynchronousOidRequestHandler = ProbeSyncOid;
    C->SynchronousOidRequestCompleteHandler = ProbeSyncOidComplete;
}

_Use_decl_annotations_ NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject,
                                            PUNICODE_STRING RegistryPath)
{
    NDIS_FILTER_DRIVER_CHARACTERISTICS characteristics;
    NDIS_STATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);

    RtlZeroMemory(&Probe, sizeof(Probe));
    KeInitializeSpinLock(&Probe.Lock);
    InitializeListHead(&Probe.Modules);
    DriverObject->DriverUnload = ProbeUnload;
    ProbeCharacteristics(&characteristics);
    status = NdisFRegisterFilterDriver(DriverObject, (NDIS_HANDLE)&Probe, &characteristics,
                                       &Probe.DriverHandle);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    status = ProbeCreateDevice();
    if (status != NDIS_STATUS_SUCCESS) {
        NdisFDeregisterFilterDriver(Probe.DriverHandle);
    }
    return status;
}

_Use_decl_annotations_ VOID ProbeUnload(PDRIVER_OBJECT DriverObject)
{
    PAGED_CODE();
    UNREFERENCED_PARAMETER(DriverObject);

    NdisDeregisterDeviceEx(Probe.DeviceHandle);
    NdisFDeregisterFilterDriver(Probe.DriverHandle);
}
