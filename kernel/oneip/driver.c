/*
 * ONE-IP: entry and exit. Only wiring.
 */
#include "oneip.h"

#include "cluster.h"
#include "control.h"
#include "event.h"
#include "stats.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD OipUnload;

#define OIP_FRIENDLY_NAME L"ntswift ONE-IP"
#define OIP_UNIQUE_NAME                                                                            \
    L"{eb6ab5bd-257b-4853-b661-d6c49f85a3ac}" /* NetCfgInstanceId in oneip.inf */
#define OIP_SERVICE_NAME L"NtsOneIp"

static NTSTATUS OipRegisterFilter(_In_ PDRIVER_OBJECT DriverObject)
{
    static const NDIS_STRING friendlyName = RTL_CONSTANT_STRING(OIP_FRIENDLY_NAME);
    static const NDIS_STRING uniqueName = RTL_CONSTANT_STRING(OIP_UNIQUE_NAME);
    static const NDIS_STRING serviceName = RTL_CONSTANT_STRING(OIP_SERVICE_NAME);
    NDIS_FILTER_DRIVER_CHARACTERISTICS filter = {0};

    filter.Header.Type = NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS;
    filter.Header.Revision = NDIS_FILTER_CHARACTERISTICS_REVISION_3;
    filter.Header.Size = NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3;
    filter.MajorNdisVersion = NDIS_FILTER_MAJOR_VERSION;
    filter.MinorNdisVersion = NDIS_FILTER_MINOR_VERSION;
    filter.MajorDriverVersion = OIP_DRIVER_VERSION >> 16;
    filter.MinorDriverVersion = OIP_DRIVER_VERSION & 0xFF;
    filter.FriendlyName = friendlyName;
    filter.UniqueName = uniqueName;
    filter.ServiceName = serviceName;
    filter.AttachHandler = OipFilterAttach;
    filter.DetachHandler = OipFilterDetach;
    filter.RestartHandler = OipFilterRestart;
    filter.PauseHandler = OipFilterPause;
    filter.StatusHandler = OipFilterStatus;
    filter.NetPnPEventHandler = OipFilterNetPnPEvent;
    filter.OidRequestHandler = OipFilterOidRequest;
    filter.CancelOidRequestHandler = OipFilterCancelOidRequest;
    filter.OidRequestCompleteHandler = OipFilterOidRequestComplete;
    filter.ReceiveNetBufferListsHandler = OipReceive;
    filter.ReturnNetBufferListsHandler = OipReturn;
    filter.SendNetBufferListsHandler = OipSend;
    filter.SendNetBufferListsCompleteHandler = OipSendComplete;
    return NdisFRegisterFilterDriver(DriverObject, (NDIS_HANDLE)DriverObject, &filter,
                                     &Oip.FilterDriver);
}

/* In the reverse order of DriverEntry; what was not made is passed over. */
static VOID OipDestroy(VOID)
{
    OipControlDestroy();
    if (Oip.FilterDriver != NULL)
    {
        NdisFDeregisterFilterDriver(Oip.FilterDriver);
    }
    OipClusterDestroy();
    if (Oip.DataLock != NULL)
    {
        NdisFreeRWLock(Oip.DataLock);
    }
    OipStatsDestroy();
}

_Use_decl_annotations_ NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject,
                                            PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    UNREFERENCED_PARAMETER(RegistryPath);
    RtlZeroMemory(&Oip, sizeof(Oip));
    Oip.DriverObject = DriverObject;
    InitializeListHead(&Oip.Filters);
    KeInitializeMutex(&Oip.ControlLock, 0);
    DriverObject->DriverUnload = OipUnload;
    status = OipStatsCreate();
    if (NT_SUCCESS(status))
    {
        status = OipEventsCreate();
    }
    if (NT_SUCCESS(status))
    {
        Oip.DataLock = NdisAllocateRWLock(NULL);
        status = Oip.DataLock == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
    }
    if (NT_SUCCESS(status))
    {
        status = OipClusterCreate();
    }
    if (NT_SUCCESS(status))
    {
        /* Adapters may be attached from here on. */
        status = OipRegisterFilter(DriverObject);
    }
    if (NT_SUCCESS(status))
    {
        status = OipControlCreate();
    }
    if (!NT_SUCCESS(status))
    {
        OipDestroy();
    }
    return status;
}

_Use_decl_annotations_ static VOID OipUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    OipEventCancel(NULL);
    OipDestroy();
}
