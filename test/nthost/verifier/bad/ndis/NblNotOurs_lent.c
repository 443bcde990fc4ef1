/* Returns what was indicated with NDIS_RECEIVE_FLAGS_RESOURCES. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    if (Bad && NDIS_TEST_RECEIVE_CANNOT_PEND(Flags)) {
        NdisFReturnNetBufferLists(BadModule.Handle, Lists, 0);
        return;
    }
    BadReceive(Context, Lists, Port, Count, Flags);
}
