/* Loading, registration and unloading. */

#include "pass.h"

PASS_GLOBALS PassGlobals;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, PassUnload)
#endif

static VOID PassFillCharacteristics(_Out_ PNDIS_FILTER_DRIVER_CHARACTERISTICS Characteristics)
{
    static const NDIS_STRING friendlyName = RTL_CONSTANT_STRING(L"Pass-through filter");
    static const NDIS_STRING uniqueName =
        RTL_CONSTANT_STRING(L"{0f4f8a5b-5d1a-4c57-9d0e-6d1e2f3a4b5c}");
    static const NDIS_STRING serviceName = RTL_CONSTANT_STRING(L"ndispass");

    RtlZeroMemory(Characteristics, sizeof(*Characteristics));
    Characteristics->Header.Type = NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS;
    Characteristics->Header.Revision = NDIS_FILTER_CHARACTERISTICS_REVISION_2;
    Characteristics->Header.Size = NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2;
    Characteristics->MajorNdisVersion = NDIS_FILTER_MAJOR_VERSION;
    Characteristics->MinorNdisVersion = NDIS_FILTER_MINOR_VERSION;
    Characteristics->MajorDriverVersion = 1;
    Characteristics->FriendlyName = friendlyName;
    Characteristics->UniqueName = uniqueName;
    Characteristics->ServiceName = serviceName;

    Characteristics->AttachHandler = PassAttach;
    Characteristics->DetachHandler = PassDetach;
    Characteristics->RestartHandler = PassRestart;
    Characteristics->PauseHandler = PassPause;
    Characteristics->StatusHandler = PassStatus;
    Characteristics->NetPnPEventHandler = PassNetPnPEvent;
    Characteristics->DevicePnPEventNotifyHandler = PassDevicePnPEventNotify;

    Characteristics->SendNetBufferListsHandler = PassSendNetBufferLists;
    Characteristics->SendNetBufferListsCompleteHandler = PassSendNetBufferListsComplete;
    Characteristics->CancelSendNetBufferListsHandler = PassCancelSendNetBufferLists;
    Characteristics->ReceiveNetBufferListsHandler = PassReceiveNetBufferLists;
    Characteristics->ReturnNetBufferListsHandler = PassReturnNetBufferLists;

    Characteristics->OidRequestHandler = PassOidRequest;
    Characteristics->OidRequestCompleteHandler = PassOidRequestComplete;
    Characteristics->CancelOidRequestHandler = PassCancelOidRequest;
}

_Use_decl_annotations_ NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject,
                                            PUNICODE_STRING RegistryPath)
{
    NDIS_FILTER_DRIVER_CHARACTERISTICS characteristics;
    NDIS_STATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);

    KeInitializeSpinLock(&PassGlobals.ModulesLock);
    InitializeListHead(&PassGlobals.Modules);
    PassGlobals.ProcessorCount = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    PassGlobals.Processors =
        ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED,
                        PassGlobals.ProcessorCount * sizeof(PASS_PROCESSOR), PASS_TAG);
    if (PassGlobals.Processors == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    DriverObject->DriverUnload = PassUnload;

    /* From here on modules may attach. */
    PassFillCharacteristics(&characteristics);
    status = NdisFRegisterFilterDriver(DriverObject, (NDIS_HANDLE)DriverObject, &characteristics,
                                       &PassGlobals.DriverHandle);
    if (status == NDIS_STATUS_SUCCESS) {
        status = PassCreateDevice();
        if (status != NDIS_STATUS_SUCCESS) {
            NdisFDeregisterFilterDriver(PassGlobals.DriverHandle);
        }
    }
    if (status != NDIS_STATUS_SUCCESS) {
        ExFreePoolWithTag(PassGlobals.Processors, PASS_TAG);
    }
    return status;
}

_Use_decl_annotations_ VOID PassUnload(PDRIVER_OBJECT DriverObject)
{
    PAGED_CODE();
    UNREFERENCED_PARAMETER(DriverObject);

    PassDeleteDevice();
    NdisFDeregisterFilterDriver(PassGlobals.DriverHandle);
    ExFreePoolWithTag(PassGlobals.Processors, PASS_TAG);
}
