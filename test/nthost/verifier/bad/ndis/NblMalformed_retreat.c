/* Advances the data of what it sends on and does not undo it. */
#define BAD_SEND          Send
#define BAD_SEND_COMPLETE SendComplete
#include "ndisbad.h"

static VOID Send(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Flags)
{
    PNET_BUFFER_LIST nbl;

    for (nbl = Lists; nbl != NULL; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        NdisAdvanceNetBufferListDataStart(nbl, 4, FALSE, NULL);
    }
    BadSend(Context, Lists, Port, Flags);
}

static VOID SendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    PNET_BUFFER_LIST nbl;

    for (nbl = Lists; nbl != NULL && !Bad; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        NdisRetreatNetBufferListDataStart(nbl, 4, 0, NULL, NULL);
    }
    BadSendComplete(Context, Lists, Flags);
}
