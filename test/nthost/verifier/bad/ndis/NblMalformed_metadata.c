/* Sends on what it has received with the metadata of the receive. */
#define BAD_RECEIVE Receive
#define BAD_SEND_COMPLETE SendComplete
#include "ndisbad.h"

static VOID SendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    PNET_BUFFER_LIST next, parent;

    for (; Lists != NULL && Lists->SourceHandle == BadModule.Handle; Lists = next)
    {
        next = NET_BUFFER_LIST_NEXT_NBL(Lists);
        parent = Lists->ParentNetBufferList;
        NdisFreeCloneNetBufferList(Lists, 0);
        NdisFReturnNetBufferLists(BadModule.Handle, parent, 0);
        BadSent(1);
    }
    if (Lists != NULL)
    {
        BadSendComplete(Context, Lists, Flags);
    }
}

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count, ULONG Flags)
{
    PNET_BUFFER_LIST nbl, next, clone;

    if (NDIS_TEST_RECEIVE_CANNOT_PEND(Flags))
    {
        BadReceive(Context, Lists, Port, Count, Flags);
        return;
    }
    for (nbl = Lists; nbl != NULL; nbl = next)
    {
        next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        clone = NdisAllocateCloneNetBufferList(nbl, BadModule.Pool, NULL, 0);
        clone->SourceHandle = BadModule.Handle;
        clone->ParentNetBufferList = nbl;
        if (Bad)
        {
            NdisCopyReceiveNetBufferListInfo(clone, nbl);
        }
        BadSendFrame(clone);
    }
}
