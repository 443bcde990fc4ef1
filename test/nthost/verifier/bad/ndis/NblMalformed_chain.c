/* Takes a chain with NDIS_RECEIVE_FLAGS_RESOURCES apart and does not put it together again. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Lists);

    BadReceive(Context, Lists, Port, Count, Flags);
    if (Bad && NDIS_TEST_RECEIVE_CANNOT_PEND(Flags) && next != NULL) {
        NET_BUFFER_LIST_NEXT_NBL(Lists) = NULL;
    }
}
