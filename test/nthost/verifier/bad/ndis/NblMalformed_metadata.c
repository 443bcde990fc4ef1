/* Sends on what it has received with the metadata of the receive. */
#define BAD_RECEIVE       Receive
#define BAD_SEND_COMPLETE SendComplete
#include "ndisbad.h"

static VOID SendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    PNET_BUFFER_LIST *link = &Lists;
    ULONG own = 0;

    while (*link != NULL) {
        PNET_BUFFER_LIST nbl = *link, parent = nbl->ParentNetBufferList;

        if (nbl->SourceHandle != BadModule.Handle) {
            link = &NET_BUFFER_LIST_NEXT_NBL(nbl);
            continue;
        }
        *link = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NdisFreeCloneNetBufferList(nbl, 0);
        NdisFReturnNetBufferLists(BadModule.Handle, parent, 0);
        own++;
    }
    if (Lists != NULL) {
        BadSendComplete(Context, Lists, Flags);
    }
    BadSent(own);
}

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    PNET_BUFFER_LIST nbl, next, clone;

    if (NDIS_TEST_RECEIVE_CANNOT_PEND(Flags)) {
        BadReceive(Context, Lists, Port, Count, Flags);
        return;
    }
    for (nbl = Lists; nbl != NULL; nbl = next) {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        clone = NdisAllocateCloneNetBufferList(nbl, BadModule.Pool, NULL, 0);
        clone->SourceHandle = BadModule.Handle;
        clone->ParentNetBufferList = nbl;
        if (Bad) {
            NdisCopyReceiveNetBufferListInfo(clone, nbl);
        }
        BadSendFrame(clone);
    }
}
