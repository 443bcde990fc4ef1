/* Clones what it receives and forgets the clone. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    PNET_BUFFER_LIST clone = NdisAllocateCloneNetBufferList(Lists, BadModule.Pool, NULL, 0);

    if (!Bad) {
        NdisFreeCloneNetBufferList(clone, 0);
    }
    BadReceive(Context, Lists, Port, Count, Flags);
}
