/* Modules and their states; what NDIS reports. */

#include "probe.h"

static NDIS_TIMER_FUNCTION ProbeTimer;
static NDIS_IO_WORKITEM_FUNCTION ProbePauseWork;

/* The lock is held. */
VOID ProbeEnterLocked(PPROBE_MODULE Module)
{
    if (Module->Outstanding++ == 0) {
        KeClearEvent(&Module->Idle);
    }
}

VOID ProbeEnter(PPROBE_MODULE Module)
{
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    ProbeEnterLocked(Module);
    KeReleaseSpinLock(&Module->Lock, irql);
}

VOID ProbeLeave(PPROBE_MODULE Module)
{
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    if (--Module->Outstanding == 0) {
        KeSetEvent(&Module->Idle, IO_NO_INCREMENT, FALSE);
    }
    KeReleaseSpinLock(&Module->Lock, irql);
}

static VOID ProbeFreeModule(_In_ PPROBE_MODULE Module)
{
    if (Module->Timer != NULL) {
        NdisCancelTimerObject(Module->Timer);
        NdisFreeTimerObject(Module->Timer);
    }
    if (Module->PauseWork != NULL) {
        NdisFreeIoWorkItem(Module->PauseWork);
    }
    if (Module->OidWork != NULL) {
        NdisFreeIoWorkItem(Module->OidWork);
    }
    if (Module->Pool != NULL) {
        NdisFreeNetBufferListPool(Module->Pool);
    }
    ExFreePoolWithTag(Module, PROBE_TAG);
}

static NDIS_STATUS ProbeAllocate(_In_ NDIS_HANDLE FilterHandle, _Outptr_ PPROBE_MODULE *Result)
{
    NET_BUFFER_LIST_POOL_PARAMETERS pool = {0};
    NDIS_TIMER_CHARACTERISTICS timer = {0};
    PPROBE_MODULE module;

    *Result = NULL;
    module = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*module), PROBE_TAG);
    if (module == NULL) {
        return NDIS_STATUS_RESOURCES;
    }
    module->FilterHandle = FilterHandle;
    KeInitializeSpinLock(&module->Lock);
    KeInitializeEvent(&module->Idle, NotificationEvent, TRUE);
    ProbeQueueInit(&module->Sends);
    ProbeQueueInit(&module->Receives);

    pool.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    pool.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    pool.fAllocateNetBuffer = TRUE;
    pool.PoolTag = PROBE_TAG;
    module->Pool = NdisAllocateNetBufferListPool(FilterHandle, &pool);
    module->PauseWork = NdisAllocateIoWorkItem(FilterHandle);
    module->OidWork = NdisAllocateIoWorkItem(FilterHandle);
    timer.Header.Type = NDIS_OBJECT_TYPE_TIMER_CHARACTERISTICS;
    timer.Header.Revision = NDIS_TIMER_CHARACTERISTICS_REVISION_1;
    timer.Header.Size = NDIS_SIZEOF_TIMER_CHARACTERISTICS_REVISION_1;
    timer.AllocationTag = PROBE_TAG;
    timer.TimerFunction = ProbeTimer;
    timer.FunctionContext = module;
    if (module->Pool == NULL || module->PauseWork == NULL || module->OidWork == NULL ||
        NdisAllocateTimerObject(FilterHandle, &timer, &module->Timer) != NDIS_STATUS_SUCCESS) {
        ProbeFreeModule(module);
        return NDIS_STATUS_RESOURCES;
    }
    *Result = module;
    return NDIS_STATUS_SUCCESS;
}

static VOID ProbeCopyName(_Out_writes_(Chars) PWCHAR To, ULONG Chars, _In_ PNDIS_STRING From)
{
    ULONG n = From->Length / sizeof(WCHAR);

    if (n >= Chars) {
        n = Chars - 1;
    }
    RtlCopyMemory(To, From->Buffer, n * sizeof(WCHAR));
    To[n] = UNICODE_NULL;
}

static VOID ProbeNoteAttach(_In_ PNDIS_FILTER_ATTACH_PARAMETERS P)
{
    PPROBE_STATE s = &Probe.State;

    s->MediaType = P->MiniportMediaType;
    s->Physical = P->MiniportPhysicalMediaType;
    s->LinkUp = P->MediaConnectState == MediaConnectStateConnected;
    s->XmitLinkSpeed = P->XmitLinkSpeed;
    s->BaseIfIndex = P->BaseMiniportIfIndex;
    s->LowerIfIndex = P->LowerIfIndex;
    s->BaseLuid = P->BaseMiniportNetLuid.Value;
    s->Lso = P->DefaultOffloadConfiguration->LsoV2.IPv4.MaxOffLoadSize;
    RtlCopyMemory(s->Mac, P->CurrentMacAddress, 6);
    s->Mac[6] = (UCHAR)P->MacAddressLength;
    ProbeCopyName(s->GuidName, RTL_NUMBER_OF(s->GuidName), P->FilterModuleGuidName);
    ProbeCopyName(s->BaseName, RTL_NUMBER_OF(s->BaseName), P->BaseMiniportName);
    ProbeCopyName(s->InstanceName, RTL_NUMBER_OF(s->InstanceName), P->BaseMiniportInstanceName);
}

_Use_decl_annotations_ NDIS_STATUS ProbeAttach(NDIS_HANDLE NdisFilterHandle,
                                               NDIS_HANDLE FilterDriverContext,
                                               PNDIS_FILTER_ATTACH_PARAMETERS AttachParameters)
{
    NDIS_FILTER_ATTRIBUTES attributes = {0};
    PPROBE_MODULE module;
    NDIS_STATUS status;
    KIRQL irql;

    UNREFERENCED_PARAMETER(FilterDriverContext);
    if (ProbeDoes(PROBE_FAIL_ATTACH)) {
        return NDIS_STATUS_FAILURE;
    }
    ProbeNoteAttach(AttachParameters);
    status = ProbeAllocate(NdisFilterHandle, &module);
    if (status != NDIS_STATUS_SUCCESS) {
        return status;
    }
    attributes.Header.Type = NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES;
    attributes.Header.Revision = NDIS_FILTER_ATTRIBUTES_REVISION_1;
    attributes.Header.Size = NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1;
    status = NdisFSetAttributes(NdisFilterHandle, module, &attributes);
    if (status != NDIS_STATUS_SUCCESS) {
        ProbeFreeModule(module);
        return status;
    }
    KeAcquireSpinLock(&Probe.Lock, &irql);
    InsertTailList(&Probe.Modules, &module->Link);
    Probe.State.Modules++;
    KeReleaseSpinLock(&Probe.Lock, irql);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID ProbeDetach(NDIS_HANDLE FilterModuleContext)
{
    PPROBE_MODULE module = FilterModuleContext;
    KIRQL irql;

    KeAcquireSpinLock(&Probe.Lock, &irql);
    RemoveEntryList(&module->Link);
    Probe.State.Modules--;
    KeReleaseSpinLock(&Probe.Lock, irql);
    KeWaitForSingleObject(&module->Idle, Executive, KernelMode, FALSE, NULL);
    /* Who set the event may still hold the lock. */
    KeAcquireSpinLock(&module->Lock, &irql);
    KeReleaseSpinLock(&module->Lock, irql);
    ProbeFreeModule(module);
}

_Use_decl_annotations_ NDIS_STATUS ProbeSetModuleOptions(NDIS_HANDLE FilterModuleContext)
{
    PPROBE_MODULE module = FilterModuleContext;
    NDIS_FILTER_PARTIAL_CHARACTERISTICS partial = {0};

    partial.Header.Type = NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS;
    partial.Header.Revision = NDIS_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1;
    partial.Header.Size = NDIS_SIZEOF_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1;
    if (!ProbeDoes(PROBE_BYPASS)) {
        partial.SendNetBufferListsHandler = ProbeSend;
        partial.SendNetBufferListsCompleteHandler = ProbeSendComplete;
        partial.CancelSendNetBufferListsHandler = ProbeCancelSend;
        partial.ReceiveNetBufferListsHandler = ProbeReceive;
        partial.ReturnNetBufferListsHandler = ProbeReturn;
    }
    return NdisSetOptionalHandlers(module->FilterHandle, (PNDIS_DRIVER_OPTIONAL_HANDLERS)&partial);
}

static VOID ProbeReadAttributes(_Inout_ PNDIS_FILTER_RESTART_PARAMETERS Parameters)
{
    PNDIS_RESTART_ATTRIBUTES a;

    for (a = Parameters->RestartAttributes; a != NULL; a = a->Next) {
        PNDIS_RESTART_GENERAL_ATTRIBUTES general = (PNDIS_RESTART_GENERAL_ATTRIBUTES)a->Data;

        if (a->Oid != OID_GEN_MINIPORT_RESTART_ATTRIBUTES) {
            continue;
        }
        Probe.State.Mtu = general->MtuSize;
        if (ProbeDoes(PROBE_LOWER_MTU)) {
            general->MtuSize -= 100;
        }
    }
}

static VOID ProbeSetRunning(_Inout_ PPROBE_MODULE Module, BOOLEAN Running)
{
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    Module->Running = Running;
    KeReleaseSpinLock(&Module->Lock, irql);
    InterlockedExchangeAdd((PLONG)&Probe.State.Running, Running ? 1 : -1);
}

_Use_decl_annotations_ NDIS_STATUS ProbeRestart(NDIS_HANDLE FilterModuleContext,
                                                PNDIS_FILTER_RESTART_PARAMETERS RestartParameters)
{
    PPROBE_MODULE module = FilterModuleContext;

    if (ProbeDoes(PROBE_FAIL_RESTART)) {
        return NDIS_STATUS_RESOURCES;
    }
    ProbeReadAttributes(RestartParameters);
    InterlockedIncrement((PLONG)&Probe.State.Restarts);
    if (ProbeDoes(PROBE_ASYNC_PAUSE)) {
        module->Restarting = TRUE;
        ProbeEnter(module);
        NdisQueueIoWorkItem(module->PauseWork, ProbePauseWork, module);
        return NDIS_STATUS_PENDING;
    }
    ProbeSetRunning(module, TRUE);
    return NDIS_STATUS_SUCCESS;
}

/* The module is not running any more; what it holds goes, what it has out comes home. */
static VOID ProbeDrain(_Inout_ PPROBE_MODULE Module)
{
    NdisCancelTimerObject(Module->Timer);
    KeFlushQueuedDpcs();
    ProbeFlush(Module, TRUE);
    KeWaitForSingleObject(&Module->Idle, Executive, KernelMode, FALSE, NULL);
}

_Use_decl_annotations_ static VOID ProbePauseWork(PVOID WorkItemContext,
                                                  NDIS_HANDLE NdisIoWorkItemHandle)
{
    PPROBE_MODULE module = WorkItemContext;

    UNREFERENCED_PARAMETER(NdisIoWorkItemHandle);
    if (module->Restarting) {
        module->Restarting = FALSE;
        ProbeSetRunning(module, TRUE);
        ProbeLeave(module);
        NdisFRestartComplete(module->FilterHandle, NDIS_STATUS_SUCCESS);
        return;
    }
    ProbeDrain(module);
    NdisFPauseComplete(module->FilterHandle);
}

_Use_decl_annotations_ NDIS_STATUS ProbePause(NDIS_HANDLE FilterModuleContext,
                                              PNDIS_FILTER_PAUSE_PARAMETERS PauseParameters)
{
    PPROBE_MODULE module = FilterModuleContext;

    Probe.State.PauseReason = PauseParameters->PauseReason;
    InterlockedIncrement((PLONG)&Probe.State.Pauses);
    ProbeSetRunning(module, FALSE);
    if (ProbeDoes(PROBE_ASYNC_PAUSE)) {
        NdisQueueIoWorkItem(module->PauseWork, ProbePauseWork, module);
        return NDIS_STATUS_PENDING;
    }
    ProbeDrain(module);
    return NDIS_STATUS_SUCCESS;
}

_Use_decl_annotations_ static VOID ProbeTimer(PVOID SystemSpecific1, PVOID FunctionContext,
                                              PVOID SystemSpecific2, PVOID SystemSpecific3)
{
    UNREFERENCED_PARAMETER(SystemSpecific1);
    UNREFERENCED_PARAMETER(SystemSpecific2);
    UNREFERENCED_PARAMETER(SystemSpecific3);
    ProbeFlush(FunctionContext, FALSE);
}

_Use_decl_annotations_ VOID ProbeStatus(NDIS_HANDLE FilterModuleContext,
                                        PNDIS_STATUS_INDICATION StatusIndication)
{
    PPROBE_MODULE module = FilterModuleContext;

    InterlockedIncrement((PLONG)&Probe.State.Statuses);
    InterlockedExchange((PLONG)&Probe.State.LastStatus, StatusIndication->StatusCode);
    if (StatusIndication->StatusCode == NDIS_STATUS_LINK_STATE) {
        PNDIS_LINK_STATE link = StatusIndication->StatusBuffer;

        InterlockedExchange((PLONG)&Probe.State.Connected,
                            link->MediaConnectState == MediaConnectStateConnected ? 1 : 2);
    }
    if (StatusIndication->StatusCode == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG) {
        PNDIS_OFFLOAD offload = StatusIndication->StatusBuffer;

        InterlockedExchange((PLONG)&Probe.State.OffloadRsc, offload->Rsc.IPv4.Enabled ? 1 : 2);
    }
    NdisFIndicateStatus(module->FilterHandle, StatusIndication);
}

_Use_decl_annotations_ NDIS_STATUS ProbeNetPnPEvent(
    NDIS_HANDLE FilterModuleContext, PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification)
{
    PPROBE_MODULE module = FilterModuleContext;
    PNET_PNP_EVENT event = &NetPnPEventNotification->NetPnPEvent;

    InterlockedOr((PLONG)&Probe.State.NetEvents, 1 << event->NetEvent);
    if (event->NetEvent == NetEventSetPower &&
        *(PNDIS_DEVICE_POWER_STATE)event->Buffer == NdisDeviceStateD3) {
        Probe.State.PowerWhileRunning = module->Running;
    }
    return NdisFNetPnPEvent(module->FilterHandle, NetPnPEventNotification);
}

_Use_decl_annotations_ VOID ProbeDevicePnPEvent(NDIS_HANDLE FilterModuleContext,
                                                PNET_DEVICE_PNP_EVENT NetDevicePnPEvent)
{
    PPROBE_MODULE module = FilterModuleContext;

    InterlockedOr((PLONG)&Probe.State.DeviceEvents, 1 << NetDevicePnPEvent->DevicePnPEvent);
    NdisFDevicePnPEventNotify(module->FilterHandle, NetDevicePnPEvent);
}
