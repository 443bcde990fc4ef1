/*
 * What the node's own stack sends: everything passes but ARP and NDP that speak for a cluster
 * address (neighbor.c). Such an NBL is replaced by copies of ours and completed at once.
 */
#include "oneip.h"

#include "neighbor.h"
#include "stats.h"

/* Does this frame need a look at all? */
static BOOLEAN OipIsNeighborFrame(_In_ const OIP_FRAME *Frame)
{
    return Frame->EtherType == OIP_ETHERTYPE_ARP ||
           (Frame->EtherType == OIP_ETHERTYPE_IPV6 && Frame->Protocol == OIP_PROTOCOL_ICMPV6);
}

/* Sends a copy of one NET_BUFFER, rewritten if it has to be. */
static VOID OipReplace(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                       _In_ PNET_BUFFER_LIST Nbl, _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                       _In_ BOOLEAN Rewrite, _Inout_ OIP_SENDS *Sends)
{
    ULONG bytes = NET_BUFFER_DATA_LENGTH(Nb);
    PNET_BUFFER_LIST copy = NULL;
    UCHAR *data;

    if (bytes <= Filter->BufferBytes && OipSendsReserve(Filter, 1, Sends))
    {
        copy = OipAllocateSend(Filter, bytes, &data);
    }
    if (copy == NULL)
    {
        OipCountDrop(OneIpDropNoMemory, 1);
        return;
    }
    if (!OipCopyFrame(Nb, bytes, data))
    {
        OipFreeSend(copy);
        OipCountDrop(OneIpDropNoMemory, 1);
        return;
    }
    if (Rewrite)
    {
        OipNeighborRewrite(Config, Frame, data);
        OipCount(NeighborRewritten, 1);
    }
    NET_BUFFER_LIST_INFO(copy, Ieee8021QNetBufferListInfo) =
        NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo);
    OipSendsAppend(Sends, copy);
}

/* TRUE: the NBL passes as it is. FALSE: what had to be sent of it is in Sends. */
static BOOLEAN OipSendNbl(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                          _In_ PNET_BUFFER_LIST Nbl, _Inout_ OIP_SENDS *Sends)
{
    UCHAR storage[OIP_HEAD_BYTES];
    OIP_FRAME frame;
    ONEIP_DROP drop;
    BOOLEAN pass = TRUE;

    for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(Nbl); nb != NULL && pass;
         nb = NET_BUFFER_NEXT_NB(nb))
    {
        OipParseFrame(nb, storage, &frame);
        if (frame.Unreadable)
        {
            pass = FALSE; /* it may be what must not leave */
            break;
        }
        if (!OipIsNeighborFrame(&frame))
        {
            /* All NET_BUFFERs of an NBL are of one kind (WDK: "NetBufferListFrameType"). */
            return TRUE;
        }
        pass = OipNeighborSend(Config, &frame, &drop) == OipVerdictPass;
    }
    if (pass)
    {
        return TRUE;
    }

    for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(Nbl); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb))
    {
        OIP_VERDICT verdict;

        OipParseFrame(nb, storage, &frame);
        if (frame.Unreadable)
        {
            OipCountDrop(OneIpDropNoMemory, 1);
            continue;
        }
        verdict = OipNeighborSend(Config, &frame, &drop);
        if (verdict == OipVerdictDrop)
        {
            OipCountDrop(drop, 1);
        }
        else
        {
            OipReplace(Filter, Config, Nbl, nb, &frame, verdict == OipVerdictConsume, Sends);
        }
    }
    return FALSE;
}

_Use_decl_annotations_ VOID OipSend(NDIS_HANDLE FilterModuleContext,
                                    PNET_BUFFER_LIST NetBufferLists, NDIS_PORT_NUMBER PortNumber,
                                    ULONG SendFlags)
{
    OIP_FILTER *filter = FilterModuleContext;
    PNET_BUFFER_LIST pass = NULL;
    PNET_BUFFER_LIST *passLast = &pass;
    PNET_BUFFER_LIST done = NULL;
    KIRQL irql = DISPATCH_LEVEL;
    LOCK_STATE_EX lockState;
    OIP_SENDS sends;

    if (!NDIS_TEST_SEND_AT_DISPATCH_LEVEL(SendFlags))
    {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
    }
    OipSendsBegin(&sends);
    NdisAcquireRWLockRead(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    if (Oip.Bound != filter || Oip.Config == NULL)
    {
        pass = NetBufferLists;
    }
    else
    {
        while (NetBufferLists != NULL)
        {
            PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(NetBufferLists);

            if (OipSendNbl(filter, Oip.Config, NetBufferLists, &sends))
            {
                *passLast = NetBufferLists;
                passLast = &NET_BUFFER_LIST_NEXT_NBL(NetBufferLists);
            }
            else
            {
                NET_BUFFER_LIST_STATUS(NetBufferLists) = NDIS_STATUS_SUCCESS;
                NET_BUFFER_LIST_NEXT_NBL(NetBufferLists) = done;
                done = NetBufferLists;
            }
            NetBufferLists = next;
        }
        *passLast = NULL;
    }
    NdisReleaseRWLock(Oip.DataLock, &lockState);

    OipSubmit(filter, &sends);
    if (done != NULL)
    {
        NdisFSendNetBufferListsComplete(filter->Handle, done,
                                        NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL);
    }
    if (pass != NULL)
    {
        NdisFSendNetBufferLists(filter->Handle, pass, PortNumber,
                                SendFlags | NDIS_SEND_FLAGS_DISPATCH_LEVEL);
    }
    if (irql != DISPATCH_LEVEL)
    {
        KeLowerIrql(irql);
    }
}

_Use_decl_annotations_ VOID OipSendComplete(NDIS_HANDLE FilterModuleContext,
                                            PNET_BUFFER_LIST NetBufferLists,
                                            ULONG SendCompleteFlags)
{
    OIP_FILTER *filter = FilterModuleContext;
    PNET_BUFFER_LIST own;

    OipSplitOwn(filter, &NetBufferLists, &own);
    if (NetBufferLists != NULL)
    {
        NdisFSendNetBufferListsComplete(filter->Handle, NetBufferLists, SendCompleteFlags);
    }
    if (own != NULL)
    {
        OipSendsCompleted(filter, own, SendCompleteFlags);
    }
}
