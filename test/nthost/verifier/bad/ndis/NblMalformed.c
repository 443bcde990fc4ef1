/* Indicates another number of NBLs than the chain has. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    BadReceive(Context, Lists, Port, Bad ? Count + 1 : Count, Flags);
}
