/* The data path. */

#include "probe.h"

#define ENCAPSULATION 8

/* What this driver has put before the data is noted in the list's context. */
typedef struct _PROBE_CONTEXT {
    PPROBE_MODULE Module;
    PVOID Reserved; /* the size is a multiple of MEMORY_ALLOCATION_ALIGNMENT */
} PROBE_CONTEXT, *PPROBE_CONTEXT;

VOID ProbeQueueInit(PPROBE_QUEUE Queue)
{
    Queue->First = NULL;
    Queue->Last = &Queue->First;
}

VOID ProbeQueueAppend(PPROBE_QUEUE Queue, PNET_BUFFER_LIST NetBufferLists)
{
    *Queue->Last = NetBufferLists;
    while (*Queue->Last != NULL) {
        Queue->Last = &NET_BUFFER_LIST_NEXT_NBL(*Queue->Last);
    }
}

static ULONG ProbeCountLists(_In_opt_ PNET_BUFFER_LIST NetBufferLists)
{
    ULONG n = 0;

    for (; NetBufferLists != NULL; NetBufferLists = NET_BUFFER_LIST_NEXT_NBL(NetBufferLists)) {
        n++;
    }
    return n;
}

static VOID ProbeSetStatus(_In_opt_ PNET_BUFFER_LIST NetBufferLists, NDIS_STATUS Status)
{
    for (; NetBufferLists != NULL; NetBufferLists = NET_BUFFER_LIST_NEXT_NBL(NetBufferLists)) {
        NET_BUFFER_LIST_STATUS(NetBufferLists) = Status;
    }
}

/* What is queued goes on its way, or, pausing, back to whose it is. */
VOID ProbeFlush(PPROBE_MODULE Module, BOOLEAN Pausing)
{
    PNET_BUFFER_LIST sends, receives;
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    sends = Module->Sends.First;
    receives = Module->Receives.First;
    ProbeQueueInit(&Module->Sends);
    ProbeQueueInit(&Module->Receives);
    Probe.State.Queued = 0;
    KeReleaseSpinLock(&Module->Lock, irql);
    if (sends != NULL && Pausing) {
        ProbeSetStatus(sends, NDIS_STATUS_PAUSED);
        NdisFSendNetBufferListsComplete(Module->FilterHandle, sends, 0);
    } else if (sends != NULL) {
        NdisFSendNetBufferLists(Module->FilterHandle, sends, NDIS_DEFAULT_PORT_NUMBER, 0);
    }
    if (receives != NULL && Pausing) {
        NdisFReturnNetBufferLists(Module->FilterHandle, receives, 0);
    } else if (receives != NULL) {
        NdisFIndicateReceiveNetBufferLists(Module->FilterHandle, receives, NDIS_DEFAULT_PORT_NUMBER,
                                           ProbeCountLists(receives), 0);
    }
}

/* True: queued. */
static BOOLEAN ProbeTryQueue(_Inout_ PPROBE_MODULE Module, _Inout_ PPROBE_QUEUE Queue,
                             _In_ PNET_BUFFER_LIST Lists)
{
    LARGE_INTEGER due;
    BOOLEAN queued = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    if (Module->Running) {
        if (Module->Sends.First == NULL && Module->Receives.First == NULL) {
            due.QuadPart = -10 * 10000;
            NdisSetTimerObject(Module->Timer, due, 0, NULL);
        }
        Probe.State.Queued += ProbeCountLists(Lists);
        ProbeQueueAppend(Queue, Lists);
        queued = TRUE;
    }
    KeReleaseSpinLock(&Module->Lock, irql);
    return queued;
}

/* Sends */

static VOID ProbeSendCopies(_In_ PPROBE_MODULE Module, _In_ PNET_BUFFER_LIST Lists, ULONG SendFlags)
{
    PROBE_QUEUE copies;
    PNET_BUFFER_LIST nbl, copy;
    PNET_BUFFER nb;

    ProbeQueueInit(&copies);
    for (nbl = Lists; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
        for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
            copy = ProbeCopy(Module, nb);
            if (copy != NULL) {
                NdisCopySendNetBufferListInfo(copy, nbl);
                ProbeEnter(Module);
                ProbeQueueAppend(&copies, copy);
            }
        }
    }
    if (copies.First != NULL) {
        NdisFSendNetBufferLists(Module->FilterHandle, copies.First, NDIS_DEFAULT_PORT_NUMBER,
                                SendFlags);
    }
    NdisFSendNetBufferListsComplete(
        Module->FilterHandle, Lists,
        NDIS_TEST_SEND_AT_DISPATCH_LEVEL(SendFlags) ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL : 0);
}

/* What a retreat gives may lie in several MDLs. */
static VOID ProbeFillStart(_In_ PNET_BUFFER NetBuffer, ULONG Bytes, UCHAR Value)
{
    PMDL mdl = NET_BUFFER_CURRENT_MDL(NetBuffer);
    ULONG at = NET_BUFFER_CURRENT_MDL_OFFSET(NetBuffer);

    while (Bytes != 0 && mdl != NULL) {
        ULONG here = MmGetMdlByteCount(mdl) - at;
        PUCHAR data = MmGetSystemAddressForMdlSafe(mdl, NormalPagePriority);

        if (data == NULL) {
            return;
        }
        if (here > Bytes) {
            here = Bytes;
        }
        RtlFillMemory(data + at, here, Value);
        Bytes -= here;
        at = 0;
        mdl = mdl->Next;
    }
}

static BOOLEAN ProbeTryEncapsulate(_In_ PPROBE_MODULE Module,
                                   _Inout_ PNET_BUFFER_LIST NetBufferList)
{
    if (NdisAllocateNetBufferListContext(NetBufferList, sizeof(PROBE_CONTEXT), 0, PROBE_TAG) !=
        NDIS_STATUS_SUCCESS) {
        return FALSE;
    }
    if (NdisRetreatNetBufferListDataStart(NetBufferList, ENCAPSULATION, 0, NULL, NULL) !=
        NDIS_STATUS_SUCCESS) {
        NdisFreeNetBufferListContext(NetBufferList, sizeof(PROBE_CONTEXT));
        return FALSE;
    }
    ((PPROBE_CONTEXT)NET_BUFFER_LIST_CONTEXT_DATA_START(NetBufferList))->Module = Module;
    return TRUE;
}

static VOID ProbeTakeOff(_In_ PPROBE_MODULE Module, _Inout_ PNET_BUFFER_LIST NetBufferList)
{
    if (NetBufferList->Context == NULL ||
        NetBufferList->Context->Size < NetBufferList->Context->Offset + sizeof(PROBE_CONTEXT) ||
        ((PPROBE_CONTEXT)NET_BUFFER_LIST_CONTEXT_DATA_START(NetBufferList))->Module != Module) {
        return;
    }
    NdisAdvanceNetBufferListDataStart(NetBufferList, ENCAPSULATION, TRUE, NULL);
    NdisFreeNetBufferListContext(NetBufferList, sizeof(PROBE_CONTEXT));
}

static VOID ProbeEncapsulate(_In_ PPROBE_MODULE Module, _In_ PNET_BUFFER_LIST Lists,
                             ULONG SendFlags)
{
    PNET_BUFFER_LIST nbl, next;
    PNET_BUFFER nb;

    for (nbl = Lists; nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        if (!ProbeTryEncapsulate(Module, nbl)) {
            NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_RESOURCES;
            NdisFSendNetBufferListsComplete(Module->FilterHandle, nbl, 0);
            continue;
        }
        for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
            ProbeFillStart(nb, ENCAPSULATION, 0x5a);
        }
        NdisFSendNetBufferLists(Module->FilterHandle, nbl, NDIS_DEFAULT_PORT_NUMBER, SendFlags);
    }
}

_Use_decl_annotations_ VOID ProbeSend(NDIS_HANDLE FilterModuleContext,
                                      PNET_BUFFER_LIST NetBufferList, NDIS_PORT_NUMBER PortNumber,
                                      ULONG SendFlags)
{
    PPROBE_MODULE module = FilterModuleContext;
    PNET_BUFFER_LIST next;

    InterlockedAdd((PLONG)&Probe.State.Sends, (LONG)ProbeCountLists(NetBufferList));
    if (ProbeDoes(PROBE_QUEUE_SENDS) && ProbeTryQueue(module, &module->Sends, NetBufferList)) {
        return;
    }
    if (ProbeDoes(PROBE_COPY_SENDS)) {
        ProbeSendCopies(module, NetBufferList, SendFlags);
        return;
    }
    if (ProbeDoes(PROBE_ENCAPSULATE)) {
        ProbeEncapsulate(module, NetBufferList, SendFlags);
        return;
    }
    while (ProbeDoes(PROBE_SPLIT) && NetBufferList != NULL) {
        next = NET_BUFFER_LIST_NEXT_NBL(NetBufferList);
        NET_BUFFER_LIST_NEXT_NBL(NetBufferList) = NULL;
        NdisFSendNetBufferLists(module->FilterHandle, NetBufferList, PortNumber, SendFlags);
        NetBufferList = next;
    }
    if (NetBufferList != NULL) {
        NdisFSendNetBufferLists(module->FilterHandle, NetBufferList, PortNumber, SendFlags);
    }
}

_Use_decl_annotations_ VOID ProbeSendComplete(NDIS_HANDLE FilterModuleContext,
                                              PNET_BUFFER_LIST NetBufferList,
                                              ULONG SendCompleteFlags)
{
    PPROBE_MODULE module = FilterModuleContext;
    PROBE_QUEUE others;
    PNET_BUFFER_LIST next;

    ProbeQueueInit(&others);
    for (; NetBufferList != NULL; NetBufferList = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(NetBufferList);
        NET_BUFFER_LIST_NEXT_NBL(NetBufferList) = NULL;
        if (NetBufferList->SourceHandle == module->FilterHandle) {
            InterlockedIncrement((PLONG)&Probe.State.Completions);
            if (NET_BUFFER_LIST_STATUS(NetBufferList) != NDIS_STATUS_SUCCESS) {
                InterlockedIncrement((PLONG)&Probe.State.Failures);
            }
            ProbeFreeFrame(NetBufferList);
            ProbeLeave(module);
            continue;
        }
        ProbeTakeOff(module, NetBufferList);
        ProbeQueueAppend(&others, NetBufferList);
    }
    if (others.First != NULL) {
        NdisFSendNetBufferListsComplete(module->FilterHandle, others.First, SendCompleteFlags);
    }
}

_Use_decl_annotations_ VOID ProbeCancelSend(NDIS_HANDLE FilterModuleContext, PVOID CancelId)
{
    PPROBE_MODULE module = FilterModuleContext;
    PROBE_QUEUE kept, cancelled;
    PNET_BUFFER_LIST nbl, next;
    KIRQL irql;

    ProbeQueueInit(&kept);
    ProbeQueueInit(&cancelled);
    KeAcquireSpinLock(&module->Lock, &irql);
    for (nbl = module->Sends.First; nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        ProbeQueueAppend(NDIS_GET_NET_BUFFER_LIST_CANCEL_ID(nbl) == CancelId ? &cancelled : &kept,
                         nbl);
    }
    ProbeQueueInit(&module->Sends);
    if (kept.First != NULL) {
        ProbeQueueAppend(&module->Sends, kept.First);
    }
    KeReleaseSpinLock(&module->Lock, irql);
    if (cancelled.First != NULL) {
        ProbeSetStatus(cancelled.First, NDIS_STATUS_SEND_ABORTED);
        NdisFSendNetBufferListsComplete(module->FilterHandle, cancelled.First, 0);
    }
    NdisFCancelSendNetBufferLists(module->FilterHandle, CancelId);
}

/* Receives */

/* One by one; with RESOURCES the chain is put together again before it goes back. */
static VOID ProbeReceiveSplit(_In_ PPROBE_MODULE Module, _In_ PNET_BUFFER_LIST Lists,
                              NDIS_PORT_NUMBER Port, ULONG Flags)
{
    PNET_BUFFER_LIST nbl, next;

    for (nbl = Lists; nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        NdisFIndicateReceiveNetBufferLists(Module->FilterHandle, nbl, Port, 1, Flags);
        if (NDIS_TEST_RECEIVE_CANNOT_PEND(Flags)) {
            NET_BUFFER_LIST_NEXT_NBL(nbl) = next;
        }
    }
}

static VOID ProbeReceiveClones(_In_ PPROBE_MODULE Module, _In_ PNET_BUFFER_LIST Lists, ULONG Flags)
{
    PNET_BUFFER_LIST nbl, next, clone;
    BOOLEAN lent = NDIS_TEST_RECEIVE_CANNOT_PEND(Flags);

    for (nbl = Lists; nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        clone = NdisAllocateCloneNetBufferList(nbl, Module->Pool, NULL, 0);
        if (clone == NULL) {
            if (!lent) {
                NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
                NdisFReturnNetBufferLists(Module->FilterHandle, nbl, 0);
            }
            continue;
        }
        if (!lent) {
            NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        }
        clone->SourceHandle = Module->FilterHandle;
        clone->ParentNetBufferList = nbl;
        NdisCopyReceiveNetBufferListInfo(clone, nbl);
        ProbeEnter(Module);
        NdisFIndicateReceiveNetBufferLists(Module->FilterHandle, clone, NDIS_DEFAULT_PORT_NUMBER, 1,
                                           Flags);
        if (lent) {
            NdisFreeCloneNetBufferList(clone, 0);
            ProbeLeave(Module);
        }
    }
}

_Use_decl_annotations_ VOID ProbeReceive(NDIS_HANDLE FilterModuleContext,
                                         PNET_BUFFER_LIST NetBufferLists,
                                         NDIS_PORT_NUMBER PortNumber, ULONG NumberOfNetBufferLists,
                                         ULONG ReceiveFlags)
{
    PPROBE_MODULE module = FilterModuleContext;
    BOOLEAN lent = NDIS_TEST_RECEIVE_CANNOT_PEND(ReceiveFlags);
    BOOLEAN running;
    KIRQL irql;

    InterlockedAdd((PLONG)&Probe.State.Receives, (LONG)NumberOfNetBufferLists);
    if (!lent && ProbeDoes(PROBE_QUEUE_RECEIVES) &&
        ProbeTryQueue(module, &module->Receives, NetBufferLists)) {
        return;
    }
    /* A clone is an NBL of ours: only while running, and counted before a pause can look. */
    KeAcquireSpinLock(&module->Lock, &irql);
    running = module->Running;
    if (running) {
        ProbeEnterLocked(module);
    }
    KeReleaseSpinLock(&module->Lock, irql);
    if (running && ProbeDoes(PROBE_CLONE_RECEIVES)) {
        ProbeReceiveClones(module, NetBufferLists, ReceiveFlags);
    } else if (ProbeDoes(PROBE_SPLIT)) {
        ProbeReceiveSplit(module, NetBufferLists, PortNumber, ReceiveFlags);
    } else {
        NdisFIndicateReceiveNetBufferLists(module->FilterHandle, NetBufferLists, PortNumber,
                                           NumberOfNetBufferLists, ReceiveFlags);
    }
    if (running) {
        ProbeLeave(module);
    }
}

_Use_decl_annotations_ VOID ProbeReturn(NDIS_HANDLE FilterModuleContext,
                                        PNET_BUFFER_LIST NetBufferLists, ULONG ReturnFlags)
{
    PPROBE_MODULE module = FilterModuleContext;
    PROBE_QUEUE others;
    PNET_BUFFER_LIST next, parent;

    ProbeQueueInit(&others);
    for (; NetBufferLists != NULL; NetBufferLists = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(NetBufferLists);
        NET_BUFFER_LIST_NEXT_NBL(NetBufferLists) = NULL;
        if (NetBufferLists->SourceHandle != module->FilterHandle) {
            ProbeQueueAppend(&others, NetBufferLists);
            continue;
        }
        parent = NetBufferLists->ParentNetBufferList;
        if (parent == NULL) {
            ProbeFreeFrame(NetBufferLists);
        } else {
            NdisFreeCloneNetBufferList(NetBufferLists, 0);
            NdisFReturnNetBufferLists(module->FilterHandle, parent, ReturnFlags);
        }
        ProbeLeave(module);
    }
    if (others.First != NULL) {
        NdisFReturnNetBufferLists(module->FilterHandle, others.First, ReturnFlags);
    }
}
