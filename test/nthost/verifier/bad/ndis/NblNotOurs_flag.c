/* Passes on without NDIS_RECEIVE_FLAGS_RESOURCES what came with it. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    if (Bad) {
        Flags &= ~(ULONG)NDIS_RECEIVE_FLAGS_RESOURCES;
    }
    BadReceive(Context, Lists, Port, Count, Flags);
}
