/* The data path. */

#include "pass.h"

static PPASS_PROCESSOR PassProcessor(VOID)
{
    return &PassGlobals.Processors[KeGetCurrentProcessorNumberEx(NULL)];
}

static VOID PassCount(_In_opt_ PNET_BUFFER_LIST NetBufferLists, _Out_ PLONG64 Frames,
                      _Out_ PLONG64 Bytes)
{
    PNET_BUFFER_LIST nbl;
    PNET_BUFFER nb;
    LONG64 frames = 0, bytes = 0;

    for (nbl = NetBufferLists; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        for (nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb)) {
            frames++;
            bytes += NET_BUFFER_DATA_LENGTH(nb);
        }
    }
    *Frames = frames;
    *Bytes = bytes;
}

_Use_decl_annotations_ VOID PassSendNetBufferLists(NDIS_HANDLE FilterModuleContext,
                                                   PNET_BUFFER_LIST NetBufferList,
                                                   NDIS_PORT_NUMBER PortNumber, ULONG SendFlags)
{
    PPASS_MODULE module = FilterModuleContext;
    PPASS_PROCESSOR processor = PassProcessor();
    LONG64 frames, bytes;

    PassCount(NetBufferList, &frames, &bytes);
    InterlockedAdd64(&processor->SentFrames, frames);
    InterlockedAdd64(&processor->SentBytes, bytes);
    NdisFSendNetBufferLists(module->FilterHandle, NetBufferList, PortNumber, SendFlags);
}

_Use_decl_annotations_ VOID PassSendNetBufferListsComplete(NDIS_HANDLE FilterModuleContext,
                                                           PNET_BUFFER_LIST NetBufferList,
                                                           ULONG SendCompleteFlags)
{
    PPASS_MODULE module = FilterModuleContext;
    LONG64 frames, bytes;

    PassCount(NetBufferList, &frames, &bytes);
    InterlockedAdd64(&PassProcessor()->CompletedFrames, frames);
    NdisFSendNetBufferListsComplete(module->FilterHandle, NetBufferList, SendCompleteFlags);
}

_Use_decl_annotations_ VOID PassCancelSendNetBufferLists(NDIS_HANDLE FilterModuleContext,
                                                         PVOID CancelId)
{
    PPASS_MODULE module = FilterModuleContext;

    NdisFCancelSendNetBufferLists(module->FilterHandle, CancelId);
}

_Use_decl_annotations_ VOID PassReceiveNetBufferLists(NDIS_HANDLE FilterModuleContext,
                                                      PNET_BUFFER_LIST NetBufferLists,
                                                      NDIS_PORT_NUMBER PortNumber,
                                                      ULONG NumberOfNetBufferLists,
                                                      ULONG ReceiveFlags)
{
    PPASS_MODULE module = FilterModuleContext;
    PPASS_PROCESSOR processor = PassProcessor();
    LONG64 frames, bytes;

    PassCount(NetBufferLists, &frames, &bytes);
    InterlockedAdd64(&processor->ReceivedFrames, frames);
    InterlockedAdd64(&processor->ReceivedBytes, bytes);
    NdisFIndicateReceiveNetBufferLists(module->FilterHandle, NetBufferLists, PortNumber,
                                       NumberOfNetBufferLists, ReceiveFlags);
}

_Use_decl_annotations_ VOID PassReturnNetBufferLists(NDIS_HANDLE FilterModuleContext,
                                                     PNET_BUFFER_LIST NetBufferLists,
                                                     ULONG ReturnFlags)
{
    PPASS_MODULE module = FilterModuleContext;
    LONG64 frames, bytes;

    PassCount(NetBufferLists, &frames, &bytes);
    InterlockedAdd64(&PassProcessor()->ReturnedFrames, frames);
    NdisFReturnNetBufferLists(module->FilterHandle, NetBufferLists, ReturnFlags);
}
