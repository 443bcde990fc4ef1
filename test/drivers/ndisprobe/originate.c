/* Frames of its own: a NET_BUFFER_LIST over a buffer from pool. */

#include "probe.h"

PNET_BUFFER_LIST ProbeMakeFrame(PPROBE_MODULE Module, const UCHAR *Frame, ULONG Bytes)
{
    PNET_BUFFER_LIST nbl = NULL;
    PUCHAR data;
    PMDL mdl = NULL;

    data = ExAllocatePool2(POOL_FLAG_NON_PAGED, Bytes, PROBE_TAG);
    if (data != NULL) {
        mdl = NdisAllocateMdl(Module->FilterHandle, data, Bytes);
    }
    if (mdl != NULL) {
        nbl = NdisAllocateNetBufferAndNetBufferList(Module->Pool, 0, 0, mdl, 0, Bytes);
    }
    if (nbl == NULL) {
        if (mdl != NULL) {
            NdisFreeMdl(mdl);
        }
        if (data != NULL) {
            ExFreePoolWithTag(data, PROBE_TAG);
        }
        return NULL;
    }
    if (Frame != NULL) {
        RtlCopyMemory(data, Frame, Bytes);
    }
    nbl->SourceHandle = Module->FilterHandle;
    return nbl;
}

VOID ProbeFreeFrame(PNET_BUFFER_LIST NetBufferList)
{
    PMDL mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(NetBufferList));
    PVOID data = MmGetMdlVirtualAddress(mdl);

    NdisFreeMdl(mdl);
    ExFreePoolWithTag(data, PROBE_TAG);
    NdisFreeNetBufferList(NetBufferList);
}

PNET_BUFFER_LIST ProbeCopy(PPROBE_MODULE Module, PNET_BUFFER NetBuffer)
{
    ULONG bytes = NET_BUFFER_DATA_LENGTH(NetBuffer), copied;
    PNET_BUFFER_LIST copy = ProbeMakeFrame(Module, NULL, bytes);

    if (copy == NULL) {
        return NULL;
    }
    if (NdisCopyFromNetBufferToNetBuffer(NET_BUFFER_LIST_FIRST_NB(copy), 0, bytes, NetBuffer, 0,
                                         &copied) != NDIS_STATUS_SUCCESS ||
        copied != bytes) {
        ProbeFreeFrame(copy);
        return NULL;
    }
    return copy;
}

/* Counts the frame as outstanding, unless the module is not running. */
static BOOLEAN ProbeBegin(_Inout_ PPROBE_MODULE Module)
{
    BOOLEAN running;
    KIRQL irql;

    KeAcquireSpinLock(&Module->Lock, &irql);
    running = Module->Running;
    if (running) {
        ProbeEnterLocked(Module);
    }
    KeReleaseSpinLock(&Module->Lock, irql);
    return running;
}

NTSTATUS ProbeSendFrame(PPROBE_MODULE Module, const UCHAR *Frame, ULONG Bytes)
{
    PNET_BUFFER_LIST nbl = ProbeMakeFrame(Module, Frame, Bytes);

    if (nbl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!ProbeBegin(Module)) {
        ProbeFreeFrame(nbl);
        return STATUS_DEVICE_NOT_READY;
    }
    NdisFSendNetBufferLists(Module->FilterHandle, nbl, NDIS_DEFAULT_PORT_NUMBER,
                            ProbeDoes(PROBE_LOOPBACK) ? NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK : 0);
    return STATUS_SUCCESS;
}

NTSTATUS ProbeIndicateFrame(PPROBE_MODULE Module, const UCHAR *Frame, ULONG Bytes)
{
    PNET_BUFFER_LIST nbl = ProbeMakeFrame(Module, Frame, Bytes);

    if (nbl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!ProbeBegin(Module)) {
        ProbeFreeFrame(nbl);
        return STATUS_DEVICE_NOT_READY;
    }
    NdisFIndicateReceiveNetBufferLists(Module->FilterHandle, nbl, NDIS_DEFAULT_PORT_NUMBER, 1, 0);
    return STATUS_SUCCESS;
}
