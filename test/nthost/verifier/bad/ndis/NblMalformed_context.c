/* Writes context of an NBL that it has not reserved: the pool has room for it, but the allocation
 * asks for none, so the start of the context data is the end of the room. */
#define BAD_RECEIVE Receive
#include "ndisbad.h"

#define CONTEXT_BYTES 32

static VOID Receive(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, NDIS_PORT_NUMBER Port, ULONG Count,
                    ULONG Flags)
{
    NET_BUFFER_LIST_POOL_PARAMETERS parameters = {0};
    PNET_BUFFER_LIST nbl;
    NDIS_HANDLE pool;

    parameters.Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    parameters.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.Header.Size = NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1;
    parameters.fAllocateNetBuffer = TRUE;
    parameters.ContextSize = CONTEXT_BYTES;
    parameters.PoolTag = BAD_TAG;
    parameters.DataSize = 64;
    pool = NdisAllocateNetBufferListPool(BadModule.Handle, &parameters);
    nbl = NdisAllocateNetBufferList(pool, Bad ? 0 : CONTEXT_BYTES, 0);
    RtlZeroMemory(NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), CONTEXT_BYTES);
    NdisFreeNetBufferList(nbl);
    NdisFreeNetBufferListPool(pool);
    BadReceive(Context, Lists, Port, Count, Flags);
}
