/* Passes a received NBL on and returns it too. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    BadReceive(Context, Lists, Port, Count, Flags);
    if (Bad && NDIS_TEST_RECEIVE_CAN_PEND(Flags)) {
        NdisFReturnNetBufferLists(BadModule.Handle, Lists, 0);
    }
}
