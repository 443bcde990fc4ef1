/* Modules: attaching, restarting, pausing, detaching, and what NDIS reports to them. */

#include "pass.h"

#ifdef ALLOC_PRAGMA
#pragma alloc_text(PAGE, PassAttach)
#pragma alloc_text(PAGE, PassDetach)
#pragma alloc_text(PAGE, PassRestart)
#pragma alloc_text(PAGE, PassPause)
#endif

static VOID PassLinkModule(_Inout_ PPASS_MODULE Module)
{
    KIRQL irql;

    KeAcquireSpinLock(&PassGlobals.ModulesLock, &irql);
    InsertTailList(&PassGlobals.Modules, &Module->Link);
    KeReleaseSpinLock(&PassGlobals.ModulesLock, irql);
}

static VOID PassUnlinkModule(_Inout_ PPASS_MODULE Module)
{
    KIRQL irql;

    KeAcquireSpinLock(&PassGlobals.ModulesLock, &irql);
    RemoveEntryList(&Module->Link);
    KeReleaseSpinLock(&PassGlobals.ModulesLock, irql);
}

_Use_decl_annotations_ NDIS_STATUS PassAttach(NDIS_HANDLE NdisFilterHandle,
                                              NDIS_HANDLE FilterDriverContext,
                                              PNDIS_FILTER_ATTACH_PARAMETERS AttachParameters)
{
    NDIS_FILTER_ATTRIBUTES attributes = {0};
    NDIS_STATUS status;
    PPASS_MODULE module;

    PAGED_CODE();
    UNREFERENCED_PARAMETER(FilterDriverContext);

    if (AttachParameters->MiniportMediaType != NdisMedium802_3) {
        return NDIS_STATUS_NOT_SUPPORTED;
    }
    module = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*module), PASS_TAG);
    if (module == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    module->FilterHandle = NdisFilterHandle;
    KeInitializeSpinLock(&module->OidLock);

    attributes.Header.Type = NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES;
    attributes.Header.Revision = NDIS_FILTER_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1;
    status = NdisFSetAttributes(NdisFilterHandle, module, &attributes);
    if (status != NDIS_STATUS_SUCCESS) {
        ExFreePoolWithTag(module, PASS_TAG);
        return status;
    }
    PassLinkModule(module);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID PassDetach(NDIS_HANDLE FilterModuleContext)
{
    PPASS_MODULE module = FilterModuleContext;

    PAGED_CODE();

    PassUnlinkModule(module);
    ExFreePoolWithTag(module, PASS_TAG);
}

_Use_decl_annotations_ NDIS_STATUS PassRestart(NDIS_HANDLE FilterModuleContext,
                                               PNDIS_FILTER_RESTART_PARAMETERS RestartParameters)
{
    PPASS_MODULE module = FilterModuleContext;

    PAGED_CODE();
    UNREFERENCED_PARAMETER(RestartParameters);

    InterlockedExchange(&module->Running, 1);
    InterlockedIncrement64(&PassGlobals.Restarts);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ NDIS_STATUS PassPause(NDIS_HANDLE FilterModuleContext,
                                             PNDIS_FILTER_PAUSE_PARAMETERS PauseParameters)
{
    PPASS_MODULE module = FilterModuleContext;

    PAGED_CODE();
    UNREFERENCED_PARAMETER(PauseParameters);

    InterlockedExchange(&module->Running, 0);
    InterlockedIncrement64(&PassGlobals.Pauses);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID PassStatus(NDIS_HANDLE FilterModuleContext,
                                       PNDIS_STATUS_INDICATION StatusIndication)
{
    PPASS_MODULE module = FilterModuleContext;

    InterlockedIncrement64(&PassGlobals.StatusIndications);
    NdisFIndicateStatus(module->FilterHandle, StatusIndication);
}

_Use_decl_annotations_ NDIS_STATUS PassNetPnPEvent(
    NDIS_HANDLE FilterModuleContext, PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification)
{
    PPASS_MODULE module = FilterModuleContext;

    InterlockedIncrement64(&PassGlobals.PnPEvents);
    return NdisFNetPnPEvent(module->FilterHandle, NetPnPEventNotification);
}

_Use_decl_annotations_ VOID PassDevicePnPEventNotify(NDIS_HANDLE FilterModuleContext,
                                                     PNET_DEVICE_PNP_EVENT NetDevicePnPEvent)
{
    PPASS_MODULE module = FilterModuleContext;

    InterlockedIncrement64(&PassGlobals.PnPEvents);
    NdisFDevicePnPEventNotify(module->FilterHandle, NetDevicePnPEvent);
}
