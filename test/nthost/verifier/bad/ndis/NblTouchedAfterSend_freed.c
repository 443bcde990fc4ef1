/* Writes to a NET_BUFFER_LIST that it has freed. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = NdisAllocateNetBufferAndNetBufferList(BadModule.Pool, 0, 0, NULL, 0, 0);

    NdisFreeNetBufferList(nbl);
    if (Bad) {
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_FAILURE;
    }
    BadStatus(Context, Indication);
}
