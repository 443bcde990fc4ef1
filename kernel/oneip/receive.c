/*
 * The data path: what the adapter received, and what the node's own stack sends.
 *
 * A batch is walked once under DataLock (shared), at DISPATCH_LEVEL. Each NBL is passed up as it
 * is, or taken: answered, forwarded, or dropped for a reason that is counted. What we send for the
 * batch is gathered and submitted after the lock is released, and so are beacons, which need
 * RoleLock.
 *
 * With NDIS_RECEIVE_FLAGS_RESOURCES the NBLs are the miniport's again when we return, in the
 * chain in which they came; so they are passed up in runs, each cut out of the chain and mended.
 */
#include "oneip.h"

#include "neighbor.h"
#include "stats.h"

/* Beacons of one batch; more are dropped, they are replaced by the next in milliseconds. */
#define OIP_BATCH_BEACONS 8

typedef struct OIP_BATCH
{
    OIP_FILTER *Filter;
    const OIP_CONFIGURATION *Config;
    OIP_COUNTERS *Counters;
    BOOLEAN Acting;
    BOOLEAN Resources;
    ULONG BeaconCount;
    OIP_SENDS Sends;
    struct
    {
        UCHAR SourceMac[8];
        UCHAR Payload[OIP_BEACON_BYTES];
    } Beacons[OIP_BATCH_BEACONS];
} OIP_BATCH;

/* FilterReceive runs on whatever stack the miniport has left. */
C_ASSERT(sizeof(OIP_BATCH) <= 2048);

_Use_decl_annotations_ ULONG OipChooseMember(const OIP_CONFIGURATION *Config, UCHAR Family,
                                             const UCHAR *Client, const UCHAR *Cluster,
                                             UCHAR Protocol, USHORT ClientPort, USHORT ClusterPort,
                                             ULONG *Slot)
{
    UINT64 hash;

    if (Config->Header.Affinity == OneIpAffinityFiveTuple)
    {
        hash = OipHashFiveTuple(&Config->HashKey, Family, Client, Cluster, Protocol, ClientPort,
                                ClusterPort);
    }
    else if (Family == OneIpFamilyIpv4)
    {
        hash = OipHashClientIpv4(&Config->HashKey, OipLoad32(Client));
    }
    else
    {
        hash = OipHashClient(&Config->HashKey, Family, Client);
    }

    if (Config->Header.Dispatch == OneIpDispatchModulo)
    {
        *Slot = MAXULONG;
        return Config->ListCount == 0 ? OIP_TABLE_NONE
                                      : Config->List[OipHashModulo(hash, Config->ListCount)];
    }
    *Slot = OipHashSlot(hash);
    return Config->Effective[*Slot];
}

static OIP_VERDICT OipReceiveBeacon(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER Nb,
                                    _In_ const OIP_FRAME *Frame, _Out_ ONEIP_DROP *Drop)
{
    UCHAR storage[OIP_ETHERNET_BYTES + OIP_BEACON_BYTES];
    const UCHAR *data;

    *Drop = OneIpDropMalformed;
    Batch->Counters->Stats.FramesIndicated++;
    if (Frame->Length < sizeof(storage))
    {
        Batch->Counters->Stats.BeaconsRejected++;
        return OipVerdictDrop;
    }
    data = NdisGetDataBuffer(Nb, sizeof(storage), storage, 1, 0);
    if (data == NULL || Batch->BeaconCount == OIP_BATCH_BEACONS)
    {
        *Drop = OneIpDropNoMemory;
        return OipVerdictDrop;
    }
    RtlCopyMemory(Batch->Beacons[Batch->BeaconCount].SourceMac, data + 6, 6);
    RtlCopyMemory(Batch->Beacons[Batch->BeaconCount].Payload, data + OIP_ETHERNET_BYTES,
                  OIP_BEACON_BYTES);
    Batch->BeaconCount++;
    return OipVerdictConsume;
}

/* A frame for a cluster address. *Kept: the NBL is lent to a frame on its way. */
static OIP_VERDICT OipDispatch(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                               _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                               _Out_ ONEIP_DROP *Drop, _Out_ BOOLEAN *Kept)
{
    const OIP_CONFIGURATION *config = Batch->Config;
    OIP_COUNTERS *counters = Batch->Counters;
    const UCHAR *ports = Frame->Head + Frame->TransportOffset;
    ULONG member;
    ULONG slot;

    *Kept = FALSE;
    *Drop = OneIpDropMalformed;
    if (!RtlEqualMemory(Frame->Head, Batch->Filter->Mac, 6))
    {
        /* For somebody else: a monitor made the adapter promiscuous. By broadcast or multicast it
         * would reach every member's stack, and all would answer. */
        if ((Frame->Head[0] & 1) == 0)
        {
            return OipVerdictPass;
        }
        counters->Stats.FramesIndicated++;
        return OipVerdictDrop;
    }

    counters->Stats.FramesIndicated++;
    if (Frame->Malformed)
    {
        return OipVerdictDrop;
    }

    if (OipMemberByMac(config, Frame->Head + 6) != OIP_TABLE_NONE)
    {
        /* Dispatched already. Whoever did it decides; so no frame goes round in a circle. */
        member = config->Local;
    }
    else if (!Batch->Acting)
    {
        *Drop = OneIpDropNotDispatcher;
        return OipVerdictDrop;
    }
    else
    {
        member = OipChooseMember(config, Frame->Family, Frame->Source, Frame->Destination,
                                 Frame->Protocol, Frame->HasPorts ? OipLoad16(ports) : 0,
                                 Frame->HasPorts ? OipLoad16(ports + 2) : 0, &slot);
        if (member == OIP_TABLE_NONE)
        {
            *Drop = OneIpDropNoMember;
            return OipVerdictDrop;
        }
    }

    if (member == config->Local)
    {
        counters->Stats.FramesPassed++;
        counters->Members[member].Frames++;
        counters->Members[member].Bytes += Frame->Length;
        return OipVerdictPass;
    }

    *Drop = OipForward(Batch->Filter, Nbl, Nb, Frame, config->Members[member].Mac, Batch->Resources,
                       &Batch->Sends, Kept);
    if (*Drop != OneIpDropReasons)
    {
        return OipVerdictDrop;
    }
    counters->Stats.FramesForwarded++;
    counters->Stats.BytesForwarded += Frame->Length;
    counters->Members[member].Frames++;
    counters->Members[member].Bytes += Frame->Length;
    return OipVerdictConsume;
}

/* TRUE: pass up. */
static BOOLEAN OipReceiveFrame(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                               _In_ PNET_BUFFER Nb, _Out_ BOOLEAN *Kept)
{
    UCHAR storage[OIP_HEAD_BYTES];
    OIP_FRAME frame;
    OIP_VERDICT verdict;
    ONEIP_DROP drop = OneIpDropMalformed;
    BOOLEAN consumed = TRUE; /* if used up: by ourselves, not forwarded */

    *Kept = FALSE;
    OipParseFrame(Nb, storage, &frame);
    switch (frame.EtherType)
    {
    case OIP_ETHERTYPE_IPV4:
        if (frame.Destination == NULL || !OipIsClusterIpv4(Batch->Config, frame.Destination))
        {
            return TRUE;
        }
        consumed = FALSE;
        verdict = OipDispatch(Batch, Nbl, Nb, &frame, &drop, Kept);
        break;
    case OIP_ETHERTYPE_IPV6:
        if (frame.Destination == NULL)
        {
            return TRUE;
        }
        verdict = OipNeighborReceive(Batch->Filter, Batch->Config, &frame, Batch->Acting,
                                     &Batch->Sends, &drop);
        if (verdict == OipVerdictPass)
        {
            if (!OipIsClusterIpv6(Batch->Config, frame.Destination))
            {
                return TRUE;
            }
            consumed = FALSE;
            verdict = OipDispatch(Batch, Nbl, Nb, &frame, &drop, Kept);
        }
        break;
    case OIP_ETHERTYPE_ARP:
        verdict = OipNeighborReceive(Batch->Filter, Batch->Config, &frame, Batch->Acting,
                                     &Batch->Sends, &drop);
        break;
    case OIP_BEACON_ETHERTYPE:
        verdict = OipReceiveBeacon(Batch, Nb, &frame, &drop);
        break;
    default:
        return TRUE;
    }

    switch (verdict)
    {
    case OipVerdictPass:
        return TRUE;
    case OipVerdictConsume:
        Batch->Counters->Stats.FramesConsumed += consumed;
        return FALSE;
    default:
        Batch->Counters->Stats.Drops[drop]++;
        return FALSE;
    }
}

/* TRUE: pass the NBL up. *Kept: it comes back when what was made of it has been sent. */
static BOOLEAN OipReceiveNbl(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                             _Out_ BOOLEAN *Kept)
{
    PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(Nbl);
    BOOLEAN pass = OipReceiveFrame(Batch, Nbl, nb, Kept);

    /* Ethernet miniports indicate one NET_BUFFER an NBL (WDK: "Indicating Received Ethernet
     * Frames"). Should one indicate more, the NBL goes up only if all of it may. */
    for (nb = NET_BUFFER_NEXT_NB(nb); nb != NULL; nb = NET_BUFFER_NEXT_NB(nb))
    {
        BOOLEAN keptNb;
        BOOLEAN passNb = OipReceiveFrame(Batch, Nbl, nb, &keptNb);

        NT_ASSERT(!keptNb);
        if (passNb != pass)
        {
            Batch->Counters->Stats.Drops[OneIpDropMalformed]++;
            pass = FALSE;
        }
    }
    return pass;
}

static VOID OipIndicateRun(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST First,
                           _In_ PNET_BUFFER_LIST Last, _In_ NDIS_PORT_NUMBER Port, _In_ ULONG Count,
                           _In_ ULONG Flags)
{
    PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Last);

    NET_BUFFER_LIST_NEXT_NBL(Last) = NULL;
    NdisFIndicateReceiveNetBufferLists(Filter->Handle, First, Port, Count, Flags);
    if (NDIS_TEST_RECEIVE_CANNOT_PEND(Flags))
    {
        NET_BUFFER_LIST_NEXT_NBL(Last) = next;
    }
}

/* Without RESOURCES: NBLs that go on together. */
typedef struct OIP_PASS
{
    PNET_BUFFER_LIST First;
    PNET_BUFFER_LIST *Last;
    ULONG Count;
} OIP_PASS;

static VOID OipReceiveOwned(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbls,
                            _Out_ OIP_PASS *Pass, _Out_ OIP_PASS *Return)
{
    Pass->First = Return->First = NULL;
    Pass->Last = &Pass->First;
    Return->Last = &Return->First;
    Pass->Count = Return->Count = 0;
    while (Nbls != NULL)
    {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Nbls);
        BOOLEAN kept;
        OIP_PASS *to;

        NET_BUFFER_LIST_NEXT_NBL(Nbls) = NULL;
        to = OipReceiveNbl(Batch, Nbls, &kept) ? Pass : Return;
        if (!kept)
        {
            *to->Last = Nbls;
            to->Last = &NET_BUFFER_LIST_NEXT_NBL(Nbls);
            to->Count++;
        }
        Nbls = next;
    }
}

static VOID OipBatchBegin(_Out_ OIP_BATCH *Batch, _In_ OIP_FILTER *Filter, _In_ BOOLEAN Resources)
{
    Batch->Filter = Filter;
    Batch->Config = Oip.Config;
    Batch->Counters = OipCounters();
    Batch->Acting = OipRoleIsActing(&Oip.Role, OipNow());
    Batch->Resources = Resources;
    Batch->BeaconCount = 0;
    OipSendsBegin(&Batch->Sends);
}

static VOID OipBatchEnd(_Inout_ OIP_BATCH *Batch)
{
    OipSubmit(Batch->Filter, &Batch->Sends);
    for (ULONG i = 0; i < Batch->BeaconCount; i++)
    {
        OipClusterBeacon(Batch->Filter, Batch->Beacons[i].Payload, Batch->Beacons[i].SourceMac);
    }
}

/* With RESOURCES: NBLs one after the other, each decided under the lock, runs passed up outside. */
static VOID OipReceiveLent(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbls,
                           _In_ NDIS_PORT_NUMBER Port, _In_ ULONG Flags)
{
    PNET_BUFFER_LIST runFirst = NULL;
    PNET_BUFFER_LIST runLast = NULL;
    ULONG runCount = 0;

    while (Nbls != NULL)
    {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Nbls);
        LOCK_STATE_EX lockState;
        OIP_BATCH batch;
        BOOLEAN pass = TRUE;
        BOOLEAN kept;
        BOOLEAN ours;

        NdisAcquireRWLockRead(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
        ours = Oip.Bound == Filter && Oip.Config != NULL;
        if (ours)
        {
            OipBatchBegin(&batch, Filter, TRUE);
            pass = OipReceiveNbl(&batch, Nbls, &kept);
        }
        NdisReleaseRWLock(Oip.DataLock, &lockState);
        if (ours)
        {
            OipBatchEnd(&batch);
        }

        if (pass)
        {
            runFirst = runFirst == NULL ? Nbls : runFirst;
            runLast = Nbls;
            runCount++;
        }
        if (runFirst != NULL && (!pass || next == NULL))
        {
            OipIndicateRun(Filter, runFirst, runLast, Port, runCount, Flags);
            runFirst = NULL;
            runCount = 0;
        }
        Nbls = next;
    }
}

_Use_decl_annotations_ VOID OipReceive(NDIS_HANDLE FilterModuleContext,
                                       PNET_BUFFER_LIST NetBufferLists, NDIS_PORT_NUMBER PortNumber,
                                       ULONG NumberOfNetBufferLists, ULONG ReceiveFlags)
{
    OIP_FILTER *filter = FilterModuleContext;
    KIRQL irql = DISPATCH_LEVEL;
    LOCK_STATE_EX lockState;
    OIP_BATCH batch;
    OIP_PASS pass;
    OIP_PASS back;
    BOOLEAN ours;

    if (!NDIS_TEST_RECEIVE_AT_DISPATCH_LEVEL(ReceiveFlags))
    {
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
    }

    if (NDIS_TEST_RECEIVE_CANNOT_PEND(ReceiveFlags))
    {
        OipReceiveLent(filter, NetBufferLists, PortNumber,
                       ReceiveFlags | NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
    }
    else
    {
        NdisAcquireRWLockRead(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
        ours = Oip.Bound == filter && Oip.Config != NULL;
        if (ours)
        {
            OipBatchBegin(&batch, filter, FALSE);
            OipReceiveOwned(&batch, NetBufferLists, &pass, &back);
        }
        else
        {
            pass.First = NetBufferLists;
            pass.Count = NumberOfNetBufferLists;
            back.First = NULL;
        }
        NdisReleaseRWLock(Oip.DataLock, &lockState);

        if (ours)
        {
            OipBatchEnd(&batch);
        }
        if (back.First != NULL)
        {
            NdisFReturnNetBufferLists(filter->Handle, back.First, NDIS_RETURN_FLAGS_DISPATCH_LEVEL);
        }
        if (pass.First != NULL)
        {
            NdisFIndicateReceiveNetBufferLists(filter->Handle, pass.First, PortNumber, pass.Count,
                                               ReceiveFlags | NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
        }
    }

    if (irql != DISPATCH_LEVEL)
    {
        KeLowerIrql(irql);
    }
}

_Use_decl_annotations_ VOID OipReturn(NDIS_HANDLE FilterModuleContext,
                                      PNET_BUFFER_LIST NetBufferLists, ULONG ReturnFlags)
{
    /* We indicate nothing of our own, so all of these are the miniport's. */
    NdisFReturnNetBufferLists(((OIP_FILTER *)FilterModuleContext)->Handle, NetBufferLists,
                              ReturnFlags);
}
