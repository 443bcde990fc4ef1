/* OID requests: from above, cloned; its own, waited for. */

#include "probe.h"

typedef struct _PROBE_REQUEST {
    NDIS_OID_REQUEST Request;
    KEVENT Done;
    NDIS_STATUS Status;
} PROBE_REQUEST, *PPROBE_REQUEST;

/* SourceReserved[0] of a clone: the request from above; of an own request: NULL. */
static PNDIS_OID_REQUEST *ProbeOriginal(_In_ PNDIS_OID_REQUEST Request)
{
    return (PNDIS_OID_REQUEST *)Request->SourceReserved;
}

static VOID ProbeNoteRequest(_In_ PPROBE_MODULE Module, _In_ const NDIS_OID_REQUEST *Request)
{
    InterlockedIncrement((PLONG)&Probe.State.OidRequests);
    if (Request->RequestType == NdisRequestSetInformation &&
        Request->DATA.SET_INFORMATION.Oid == OID_PNP_SET_POWER) {
        Probe.State.SetPower = *(PULONG)Request->DATA.SET_INFORMATION.InformationBuffer;
        Probe.State.PausedAtSetPower = !Module->Running;
    }
}

static PNDIS_OID_REQUEST ProbeFinish(_In_ PPROBE_MODULE Module, _In_ PNDIS_OID_REQUEST Clone)
{
    PNDIS_OID_REQUEST request = *ProbeOriginal(Clone);

    request->DATA = Clone->DATA;
    request->SupportedRevision = Clone->SupportedRevision;
    NdisFreeCloneOidRequest(Module->FilterHandle, Clone);
    return request;
}

static NDIS_STATUS ProbeForward(_In_ PPROBE_MODULE Module, _In_ PNDIS_OID_REQUEST Request,
                                BOOLEAN Direct)
{
    PNDIS_OID_REQUEST clone;
    NDIS_STATUS status;

    status = NdisAllocateCloneOidRequest(Module->FilterHandle, Request, PROBE_TAG, &clone);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    *ProbeOriginal(clone) = Request;
    status = Direct ? NdisFDirectOidRequest(Module->FilterHandle, clone)
                    : NdisFOidRequest(Module->FilterHandle, clone);
    if (status != NDIS_STATUS_PENDING) {
        ProbeFinish(Module, clone);
    }
    return status;
}

_Use_decl_annotations_ VOID ProbeOidWork(PVOID WorkItemContext, NDIS_HANDLE NdisIoWorkItemHandle)
{
    PPROBE_MODULE module = WorkItemContext;
    PNDIS_OID_REQUEST request;
    NDIS_STATUS status;
    KIRQL irql;

    UNREFERENCED_PARAMETER(NdisIoWorkItemHandle);
    KeAcquireSpinLock(&module->Lock, &irql);
    module->OidQueued = FALSE;
    request = module->HeldOid;
    module->HeldOid = NULL;
    KeReleaseSpinLock(&module->Lock, irql);
    if (request != NULL) {
        status = ProbeForward(module, request, FALSE);
        if (status != NDIS_STATUS_PENDING) {
            NdisFOidRequestComplete(module->FilterHandle, request, status);
        }
    }
    ProbeLeave(module);
}

_Use_decl_annotations_ NDIS_STATUS ProbeOidRequest(NDIS_HANDLE FilterModuleContext,
                                                   PNDIS_OID_REQUEST OidRequest)
{
    PPROBE_MODULE module = FilterModuleContext;
    BOOLEAN hold = ProbeDoes(PROBE_HOLD_OIDS), queue;
    KIRQL irql;

    ProbeNoteRequest(module, OidRequest);
    if (!hold && !ProbeDoes(PROBE_ASYNC_OIDS)) {
        return ProbeForward(module, OidRequest, FALSE);
    }
    KeAcquireSpinLock(&module->Lock, &irql);
    module->HeldOid = OidRequest;
    queue = !hold && !module->OidQueued; /* it may still be, for a request that was cancelled */
    module->OidQueued |= queue;
    KeReleaseSpinLock(&module->Lock, irql);
    if (queue) {
        ProbeEnter(module);
        NdisQueueIoWorkItem(module->OidWork, ProbeOidWork, module);
    }
    return NDIS_STATUS_PENDING;
}

_Use_decl_annotations_ VOID ProbeOidRequestComplete(NDIS_HANDLE FilterModuleContext,
                                                    PNDIS_OID_REQUEST OidRequest,
                                                    NDIS_STATUS Status)
{
    PPROBE_MODULE module = FilterModuleContext;

    if (*ProbeOriginal(OidRequest) == NULL) {
        PPROBE_REQUEST own = CONTAINING_RECORD(OidRequest, PROBE_REQUEST, Request);

        own->Status = Status;
        KeSetEvent(&own->Done, IO_NO_INCREMENT, FALSE);
        return;
    }
    OidRequest = ProbeFinish(module, OidRequest);
    NdisFOidRequestComplete(module->FilterHandle, OidRequest, Status);
}

_Use_decl_annotations_ VOID ProbeCancelOid(NDIS_HANDLE FilterModuleContext, PVOID RequestId)
{
    PPROBE_MODULE module = FilterModuleContext;
    PNDIS_OID_REQUEST held = NULL;
    KIRQL irql;

    InterlockedIncrement((PLONG)&Probe.State.OidCancels);
    KeAcquireSpinLock(&module->Lock, &irql);
    if (module->HeldOid != NULL && module->HeldOid->RequestId == RequestId) {
        held = module->HeldOid;
        module->HeldOid = NULL;
    }
    KeReleaseSpinLock(&module->Lock, irql);
    if (held != NULL) {
        NdisFOidRequestComplete(module->FilterHandle, held, NDIS_STATUS_REQUEST_ABORTED);
    } else {
        NdisFCancelOidRequest(module->FilterHandle, RequestId);
    }
}

_Use_decl_annotations_ NDIS_STATUS ProbeDirectOid(NDIS_HANDLE FilterModuleContext,
                                                  PNDIS_OID_REQUEST OidRequest)
{
    return ProbeForward(FilterModuleContext, OidRequest, TRUE);
}

_Use_decl_annotations_ VOID ProbeDirectOidComplete(NDIS_HANDLE FilterModuleContext,
                                                   PNDIS_OID_REQUEST OidRequest, NDIS_STATUS Status)
{
    PPROBE_MODULE module = FilterModuleContext;

    NdisFDirectOidRequestComplete(module->FilterHandle, ProbeFinish(module, OidRequest), Status);
}

_Use_decl_annotations_ NDIS_STATUS ProbeSyncOid(NDIS_HANDLE FilterModuleContext,
                                                PNDIS_OID_REQUEST OidRequest, PVOID *CallContext)
{
    InterlockedIncrement((PLONG)&Probe.State.SyncOids);
    *CallContext = FilterModuleContext;
    return OidRequest->DATA.QUERY_INFORMATION.Oid == PROBE_OID_OURS ? NDIS_STATUS_ALREADY_COMPLETE
                                                                    : NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID ProbeSyncOidComplete(NDIS_HANDLE FilterModuleContext,
                                                 PNDIS_OID_REQUEST OidRequest, NDIS_STATUS *Status,
                                                 PVOID CallContext)
{
    UNREFERENCED_PARAMETER(OidRequest);
    if (CallContext == FilterModuleContext) {
        InterlockedIncrement((PLONG)&Probe.State.SyncEnds);
    } else {
        *Status = NDIS_STATUS_FAILURE;
    }
}

static VOID ProbeInitRequest(_Out_ PNDIS_OID_REQUEST Request, NDIS_REQUEST_TYPE Type, NDIS_OID Oid)
{
    RtlZeroMemory(Request, sizeof(*Request));
    Request->Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
    Request->Header.Revision = NDIS_OID_REQUEST_REVISION_1;
    Request->Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
    Request->RequestType = Type;
    Request->DATA.QUERY_INFORMATION.Oid = Oid;
}

NDIS_STATUS ProbeOwnSyncOid(PPROBE_MODULE Module, NDIS_OID Oid)
{
    NDIS_OID_REQUEST request;

    ProbeInitRequest(&request, NdisRequestQueryInformation, Oid);
    return NdisFSynchronousOidRequest(Module->FilterHandle, &request);
}

NDIS_STATUS ProbeOwnOid(PPROBE_MODULE Module, NDIS_REQUEST_TYPE Type, NDIS_OID Oid, PVOID Buffer,
                        ULONG Bytes, PULONG Done)
{
    PROBE_REQUEST own;
    NDIS_STATUS status;

    KeInitializeEvent(&own.Done, NotificationEvent, FALSE);
    ProbeInitRequest(&own.Request, Type, Oid);
    own.Request.DATA.QUERY_INFORMATION.InformationBuffer = Buffer;
    own.Request.DATA.QUERY_INFORMATION.InformationBufferLength = Bytes;
    status = NdisFOidRequest(Module->FilterHandle, &own.Request);
    if (status == NDIS_STATUS_PENDING) {
        KeWaitForSingleObject(&own.Done, Executive, KernelMode, FALSE, NULL);
        status = own.Status;
    }
    *Done = own.Request.DATA.QUERY_INFORMATION.BytesWritten;
    return status;
}
