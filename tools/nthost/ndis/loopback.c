/*
 * NDIS_SEND_FLAGS_CHECK_FOR_LOOPBACK: what is sent with it and the adapter would receive comes back
 * up as a copy of NDIS's own (WDK: NdisFSendNetBufferLists, "Sending Data from a Filter Driver").
 */
#include "frame.h"
#include "pool.h"
#include "stack.h"
#include <string.h>

/* One NBL with one NB that holds a flat copy of the frame; NULL without memory. */
static PNET_BUFFER_LIST copy_frame(struct ndis_adapter *adapter, PNET_BUFFER nb)
{
    ULONG bytes = NET_BUFFER_DATA_LENGTH(nb);
    PUCHAR data = ExAllocatePool2(POOL_FLAG_NON_PAGED, bytes, NDIS_POOL_TAG);
    PMDL mdl = data ? NdisAllocateMdl(adapter, data, bytes) : NULL;
    PNET_BUFFER_LIST copy =
        mdl ? NdisAllocateNetBufferAndNetBufferList(adapter->loopback_pool, 0, 0, mdl, 0, bytes)
            : NULL;
    if (!copy) {
        if (mdl)
            NdisFreeMdl(mdl);
        if (data)
            ExFreePoolWithTag(data, NDIS_POOL_TAG);
        return NULL;
    }
    netbuffer_read(nb, 0, data, bytes);
    NdisSetNblFlag(copy, NDIS_NBL_FLAGS_IS_LOOPBACK_PACKET);
    copy->SourceHandle = &adapter->lower_node;
    return copy;
}

static void free_copy(PNET_BUFFER_LIST copy)
{
    PMDL mdl = NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(copy));
    PVOID data = MmGetMdlVirtualAddress(mdl);
    NdisFreeMdl(mdl);
    ExFreePoolWithTag(data, NDIS_POOL_TAG);
    NdisFreeNetBufferList(copy);
}

/* Indicated with RESOURCES: they are ours again at once, and no one need be told to return them. */
void loopback_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls)
{
    for (; nbls; nbls = NET_BUFFER_LIST_NEXT_NBL(nbls)) {
        for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(nbls); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
            UCHAR destination[6];
            if (netbuffer_read(nb, 0, destination, 6) != 6 || !miniport_wants(adapter, destination))
                continue;
            PNET_BUFFER_LIST copy = copy_frame(adapter, nb);
            if (!copy)
                continue;
            ULONG flags = NDIS_RECEIVE_FLAGS_RESOURCES;
            if (KeGetCurrentIrql() == DISPATCH_LEVEL)
                flags |= NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL;
            ndis_lower_indicate(adapter, copy, 1, flags);
            free_copy(copy);
        }
    }
}
