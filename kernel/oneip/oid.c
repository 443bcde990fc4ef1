/*
 * OID requests: those of the stack above are handed down as clones, unchanged; our own switch
 * receive segment coalescing.
 *
 * A filter that makes requests of its own has to have the whole set of handlers (WDK:
 * "NDIS_FILTER_DRIVER_CHARACTERISTICS"), and what passes through must be cloned, since NDIS keeps
 * its state in the request. The clone remembers its original in SourceReserved; a request of our
 * own has NULL there. NDIS makes one request at a time of a module, so one pending clone is all
 * that a cancellation has to find.
 */
#include "oneip.h"

#include "cluster.h"

/* The original of a clone, or NULL. */
static PNDIS_OID_REQUEST *OipOidOriginal(_In_ PNDIS_OID_REQUEST Request)
{
    C_ASSERT(sizeof(Request->SourceReserved) >= sizeof(PNDIS_OID_REQUEST));
    return (PNDIS_OID_REQUEST *)&Request->SourceReserved[0];
}

/* Copies what the lower edge answered from the clone to the original, and frees the clone. */
static VOID OipFinishClone(_In_ OIP_FILTER *Filter, _In_ PNDIS_OID_REQUEST Clone)
{
    PNDIS_OID_REQUEST original = *OipOidOriginal(Clone);
    KIRQL irql;

    KeAcquireSpinLock(&Filter->OidLock, &irql);
    Filter->OidClone = NULL;
    KeReleaseSpinLock(&Filter->OidLock, irql);

    switch (Clone->RequestType)
    {
    case NdisRequestMethod:
        original->DATA.METHOD_INFORMATION.OutputBufferLength =
            Clone->DATA.METHOD_INFORMATION.OutputBufferLength;
        original->DATA.METHOD_INFORMATION.BytesRead = Clone->DATA.METHOD_INFORMATION.BytesRead;
        original->DATA.METHOD_INFORMATION.BytesWritten =
            Clone->DATA.METHOD_INFORMATION.BytesWritten;
        original->DATA.METHOD_INFORMATION.BytesNeeded = Clone->DATA.METHOD_INFORMATION.BytesNeeded;
        break;
    case NdisRequestSetInformation:
        original->DATA.SET_INFORMATION.BytesRead = Clone->DATA.SET_INFORMATION.BytesRead;
        original->DATA.SET_INFORMATION.BytesNeeded = Clone->DATA.SET_INFORMATION.BytesNeeded;
        break;
    default:
        original->DATA.QUERY_INFORMATION.BytesWritten = Clone->DATA.QUERY_INFORMATION.BytesWritten;
        original->DATA.QUERY_INFORMATION.BytesNeeded = Clone->DATA.QUERY_INFORMATION.BytesNeeded;
        break;
    }
    NdisFreeCloneOidRequest(Filter->Handle, Clone);
}

_Use_decl_annotations_ NDIS_STATUS OipFilterOidRequest(NDIS_HANDLE FilterModuleContext,
                                                       PNDIS_OID_REQUEST Request)
{
    OIP_FILTER *filter = FilterModuleContext;
    PNDIS_OID_REQUEST clone;
    NDIS_STATUS status;
    KIRQL irql;

    status = NdisAllocateCloneOidRequest(filter->Handle, Request, OIP_TAG_FILTER, &clone);
    if (status != NDIS_STATUS_SUCCESS)
    {
        return status;
    }
    *OipOidOriginal(clone) = Request;
    clone->RequestId = Request->RequestId;
    KeAcquireSpinLock(&filter->OidLock, &irql);
    filter->OidClone = clone;
    KeReleaseSpinLock(&filter->OidLock, irql);

    status = NdisFOidRequest(filter->Handle, clone);
    if (status != NDIS_STATUS_PENDING)
    {
        OipFinishClone(filter, clone);
    }
    return status;
}

_Use_decl_annotations_ VOID OipFilterCancelOidRequest(NDIS_HANDLE FilterModuleContext,
                                                      PVOID RequestId)
{
    OIP_FILTER *filter = FilterModuleContext;
    BOOLEAN ours;
    KIRQL irql;

    KeAcquireSpinLock(&filter->OidLock, &irql);
    ours = filter->OidClone != NULL && filter->OidClone->RequestId == RequestId;
    KeReleaseSpinLock(&filter->OidLock, irql);
    if (ours)
    {
        NdisFCancelOidRequest(filter->Handle, RequestId);
    }
}

_Use_decl_annotations_ VOID OipFilterOidRequestComplete(NDIS_HANDLE FilterModuleContext,
                                                        PNDIS_OID_REQUEST Request,
                                                        NDIS_STATUS Status)
{
    OIP_FILTER *filter = FilterModuleContext;

    if (Request != &filter->Oid)
    {
        PNDIS_OID_REQUEST original = *OipOidOriginal(Request);

        OipFinishClone(filter, Request);
        NdisFOidRequestComplete(filter->Handle, original, Status);
        return;
    }
    filter->OidStatus = Status;
    KeSetEvent(&filter->OidDone, IO_NETWORK_INCREMENT, FALSE);
}

_Use_decl_annotations_ VOID OipFilterSetRsc(OIP_FILTER *Filter, BOOLEAN Disable)
{
    NDIS_OFFLOAD_PARAMETERS parameters = {0};
    NDIS_OID_REQUEST *request = &Filter->Oid;
    UCHAR change =
        Disable ? NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED : NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED;
    /* Only what was on is switched off, and only that on again. */
    BOOLEAN change4 = Disable ? Filter->Offload.Rsc4 : Filter->Rsc4Off;
    BOOLEAN change6 = Disable ? Filter->Offload.Rsc6 : Filter->Rsc6Off;
    NDIS_STATUS status;

    if (!change4 && !change6)
    {
        return;
    }
    parameters.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    parameters.Header.Revision = NDIS_OFFLOAD_PARAMETERS_REVISION_3;
    parameters.Header.Size = NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3;
    parameters.RscIPv4 = change4 ? change : NDIS_OFFLOAD_PARAMETERS_NO_CHANGE;
    parameters.RscIPv6 = change6 ? change : NDIS_OFFLOAD_PARAMETERS_NO_CHANGE;

    RtlZeroMemory(request, sizeof(*request));
    request->Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
    request->Header.Revision = NDIS_OID_REQUEST_REVISION_1;
    request->Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
    request->RequestType = NdisRequestSetInformation;
    request->RequestId = (PVOID)Filter;
    request->DATA.SET_INFORMATION.Oid = OID_TCP_OFFLOAD_PARAMETERS;
    request->DATA.SET_INFORMATION.InformationBuffer = &parameters;
    request->DATA.SET_INFORMATION.InformationBufferLength = sizeof(parameters);
    status = NdisFOidRequest(Filter->Handle, request);
    if (status == NDIS_STATUS_PENDING)
    {
        KeWaitForSingleObject(&Filter->OidDone, Executive, KernelMode, FALSE, NULL);
        status = Filter->OidStatus;
    }
    /* An adapter that refuses goes on coalescing, and forward.c copes. */
    Filter->Rsc4Off = Disable && change4 && status == NDIS_STATUS_SUCCESS;
    Filter->Rsc6Off = Disable && change6 && status == NDIS_STATUS_SUCCESS;
}
