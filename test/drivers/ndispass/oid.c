/*
 * OID requests: each is passed on as a clone. NDIS hands a module one request at a time, so there
 * is at most one clone on its way.
 */

#include "pass.h"

/* The request that a clone stands for. */
static PNDIS_OID_REQUEST *PassOriginal(_In_ PNDIS_OID_REQUEST Clone)
{
    return (PNDIS_OID_REQUEST *)Clone->SourceReserved;
}

static VOID PassCopyResult(_Inout_ PNDIS_OID_REQUEST Request, _In_ const NDIS_OID_REQUEST *Clone)
{
    Request->SupportedRevision = Clone->SupportedRevision;
    switch (Request->RequestType) {
    case NdisRequestMethod:
        Request->DATA.METHOD_INFORMATION.OutputBufferLength =
            Clone->DATA.METHOD_INFORMATION.OutputBufferLength;
        Request->DATA.METHOD_INFORMATION.BytesRead = Clone->DATA.METHOD_INFORMATION.BytesRead;
        Request->DATA.METHOD_INFORMATION.BytesNeeded = Clone->DATA.METHOD_INFORMATION.BytesNeeded;
        Request->DATA.METHOD_INFORMATION.BytesWritten = Clone->DATA.METHOD_INFORMATION.BytesWritten;
        break;

    case NdisRequestSetInformation:
        Request->DATA.SET_INFORMATION.BytesRead = Clone->DATA.SET_INFORMATION.BytesRead;
        Request->DATA.SET_INFORMATION.BytesNeeded = Clone->DATA.SET_INFORMATION.BytesNeeded;
        break;

    default:
        Request->DATA.QUERY_INFORMATION.BytesWritten = Clone->DATA.QUERY_INFORMATION.BytesWritten;
        Request->DATA.QUERY_INFORMATION.BytesNeeded = Clone->DATA.QUERY_INFORMATION.BytesNeeded;
        break;
    }
}

static VOID PassSetPending(_Inout_ PPASS_MODULE Module, _In_opt_ PNDIS_OID_REQUEST Clone,
                           _In_opt_ PVOID RequestId)
{
    KIRQL irql;

    KeAcquireSpinLock(&Module->OidLock, &irql);
    Module->PendingClone = Clone;
    Module->PendingRequestId = RequestId;
    KeReleaseSpinLock(&Module->OidLock, irql);
}

/* Ends a clone's trip; the original has its result. */
static PNDIS_OID_REQUEST PassFinishClone(_Inout_ PPASS_MODULE Module, _In_ PNDIS_OID_REQUEST Clone)
{
    PNDIS_OID_REQUEST request = *PassOriginal(Clone);

    PassSetPending(Module, NULL, NULL);
    PassCopyResult(request, Clone);
    NdisFreeCloneOidRequest(Module->FilterHandle, Clone);
    return request;
}

_Use_decl_annotations_ NDIS_STATUS PassOidRequest(NDIS_HANDLE FilterModuleContext,
                                                  PNDIS_OID_REQUEST OidRequest)
{
    PPASS_MODULE module = FilterModuleContext;
    PNDIS_OID_REQUEST clone;
    NDIS_STATUS status;

    InterlockedIncrement64(&PassGlobals.OidRequests);
    status = NdisAllocateCloneOidRequest(module->FilterHandle, OidRequest, PASS_TAG, &clone);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    *PassOriginal(clone) = OidRequest;
    clone->RequestId = OidRequest->RequestId;
    PassSetPending(module, clone, OidRequest->RequestId);

    /* Pending, the completion may already have come, and the clone be gone. */
    status = NdisFOidRequest(module->FilterHandle, clone);
    if (status != NDIS_STATUS_PENDING) {
        PassFinishClone(module, clone);
    }
    return status;
}

_Use_decl_annotations_ VOID PassOidRequestComplete(NDIS_HANDLE FilterModuleContext,
                                                   PNDIS_OID_REQUEST OidRequest, NDIS_STATUS Status)
{
    PPASS_MODULE module = FilterModuleContext;
    PNDIS_OID_REQUEST request = PassFinishClone(module, OidRequest);

    NdisFOidRequestComplete(module->FilterHandle, request, Status);
}

_Use_decl_annotations_ VOID PassCancelOidRequest(NDIS_HANDLE FilterModuleContext, PVOID RequestId)
{
    PPASS_MODULE module = FilterModuleContext;
    BOOLEAN ours;
    KIRQL irql;

    KeAcquireSpinLock(&module->OidLock, &irql);
    ours = module->PendingClone != NULL && module->PendingRequestId == RequestId;
    KeReleaseSpinLock(&module->OidLock, irql);
    if (ours) {
        NdisFCancelOidRequest(module->FilterHandle, RequestId);
    }
}
