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

#include "claim.h"
#include "fast.h"
#include "flows.h"
#include "fragment.h"
#include "neighbor.h"
#include "steer.h"

/* Beacons of one batch; more are dropped, they are replaced by the next in milliseconds. */
#define OIP_BATCH_BEACONS 8

/* Flows that a batch claims; whoever is asked out of turn again claims again. */
#define OIP_BATCH_CLAIMS 4

typedef struct OIP_BATCH
{
    OIP_FILTER *Filter;
    const OIP_CONFIGURATION *Config;
    OIP_COUNTERS *Counters;
    OIP_STEERING Steering;
    UINT64 Now;
    BOOLEAN Acting; /* dispatches, answers for the addresses */
    BOOLEAN Relays; /* dispatches what still comes, as the former dispatcher */
    BOOLEAN Resources;
    ULONG BeaconCount;
    ULONG ClaimCount;
    OIP_SENDS Sends;
    PNET_BUFFER_LIST Held; /* fragments that waited, to be passed up */
    PNET_BUFFER_LIST *HeldLast;
    ULONG HeldCount;
    OIP_FLOW_KEY Claims[OIP_BATCH_CLAIMS];
    struct
    {
        UCHAR SourceMac[8];
        UCHAR Payload[OIP_BEACON_BYTES];
    } Beacons[OIP_BATCH_BEACONS];
} OIP_BATCH;

/* FilterReceive runs on whatever stack the miniport has left. */
C_ASSERT(sizeof(OIP_BATCH) <= 2304);

/* Apart, so that its storage is on no other path's stack. */
static DECLSPEC_NOINLINE OIP_VERDICT OipReceiveClaims(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER Nb,
                                                      _In_ const OIP_FRAME *Frame,
                                                      _Out_ ONEIP_DROP *Drop)
{
    UCHAR storage[OIP_ETHERNET_BYTES + OIP_CLAIM_MAX_BYTES];
    const UCHAR *data = NULL;

    *Drop = OneIpDropMalformed;
    if (Frame->Length <= sizeof(storage))
    {
        data = NdisGetDataBuffer(Nb, Frame->Length, storage, 1, 0);
    }
    if (data == NULL || !OipClaimsReceive(Batch->Config, data + OIP_ETHERNET_BYTES,
                                          Frame->Length - OIP_ETHERNET_BYTES))
    {
        Batch->Counters->Stats.BeaconsRejected++;
        return OipVerdictDrop;
    }
    return OipVerdictConsume;
}

static OIP_VERDICT OipReceiveBeacon(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER Nb,
                                    _In_ const OIP_FRAME *Frame, _Out_ ONEIP_DROP *Drop)
{
    UCHAR storage[OIP_ETHERNET_BYTES + OIP_BEACON_BYTES];
    const UCHAR *data;

    *Drop = OneIpDropMalformed;
    Batch->Counters->Stats.FramesIndicated++;
    if (Frame->HeadBytes > OIP_ETHERNET_BYTES + 4 &&
        Frame->Head[OIP_ETHERNET_BYTES + 4] == OIP_CLAIM_KIND)
    {
        return OipReceiveClaims(Batch, Nb, Frame, Drop);
    }
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

static VOID OipCountRule(_Inout_ OIP_COUNTERS *Counters, _In_ ULONG Rule, _In_ ULONG Bytes)
{
    OIP_RULE_COUNTERS *rule = &Counters->Rules[OipRulePlace(Rule)];

    rule->Frames++;
    rule->Bytes += Bytes;
}

/* Remembers that a flow is to be claimed, if the table gives it to somebody else. */
static VOID OipWantClaim(_Inout_ OIP_BATCH *Batch, _In_ const OIP_SUBJECT *Subject)
{
    OIP_CHOICE choice;

    if (Batch->ClaimCount == OIP_BATCH_CLAIMS)
    {
        return;
    }
    OipChoose(Batch->Config, Subject, &choice);
    if (choice.Member != Batch->Config->Local)
    {
        OipFlowKey(&Batch->Claims[Batch->ClaimCount++], Subject->Family, Subject->Client,
                   Subject->Cluster, Subject->Protocol,
                   Subject->ClientPort | ((UINT32)Subject->ClusterPort << 16));
    }
}

/* Fragments that waited for their first go where that goes. */
static VOID OipReleaseHeld(_Inout_ OIP_BATCH *Batch, _In_opt_ PNET_BUFFER_LIST Held,
                           _In_ ULONG Member)
{
    const OIP_CONFIGURATION *config = Batch->Config;
    ONEIP_STATS *stats = &Batch->Counters->Stats;

    while (Held != NULL)
    {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(Held);
        ULONG bytes = NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(Held));

        NET_BUFFER_LIST_NEXT_NBL(Held) = NULL;
        Batch->Counters->Members[Member].Frames++;
        Batch->Counters->Members[Member].Bytes += bytes;
        if (Member == config->Local)
        {
            *Batch->HeldLast = Held;
            Batch->HeldLast = &NET_BUFFER_LIST_NEXT_NBL(Held);
            Batch->HeldCount++;
            stats->FramesPassed++;
        }
        else
        {
            OipForwardHeld(Batch->Filter, Held, config->Members[Member].Mac, &Batch->Sends);
            stats->FramesForwarded++;
            stats->BytesForwarded += bytes;
        }
        Held = next;
    }
}

/* A client's frame at the dispatcher: which member serves it. OIP_TABLE_NONE: dropped, or held
 * (*Drop is OneIpDropReasons). */
static ULONG OipDispatchClient(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                               _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                               _Out_ OIP_DECISION *Decision, _Out_ ONEIP_DROP *Drop)
{
    const OIP_CONFIGURATION *config = Batch->Config;
    OIP_QUESTION question;
    ULONG member;
    ULONG rule;
    UINT8 handle;

    *Drop = OneIpDropReasons;
    *Decision = OipByFlow;
    if (!OipIsFirst(Frame))
    {
        switch (OipFragmentLater(Batch->Filter, Nbl, Nb, Frame, Batch->Now, &handle))
        {
        case OipFragmentKnown:
            member = config->ByHandle[handle];
            *Drop = member == OIP_TABLE_NONE ? OneIpDropFragment : OneIpDropReasons;
            return member;
        case OipFragmentHeld:
            return OIP_TABLE_NONE;
        default:
            *Drop = OneIpDropFragment;
            return OIP_TABLE_NONE;
        }
    }

    OipAsk(config, Nb, Frame, &question);
    member = OipSteerClient(&Batch->Steering, &question, &rule, Drop);
    *Decision = question.Decision;
    if (member == OIP_TABLE_NONE)
    {
        Batch->Counters->Rules[OipRulePlace(rule)].Dropped++;
        return OIP_TABLE_NONE;
    }
    OipCountRule(Batch->Counters, rule, Frame->Length);
    if (Frame->Fragment)
    {
        OipReleaseHeld(Batch,
                       OipFragmentFirst(Batch->Filter, Frame, config->Handle[member], Batch->Now),
                       member);
    }
    return member;
}

/* A frame that a member passed to this node. */
static ULONG OipDispatchServer(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER Nb,
                               _In_ const OIP_FRAME *Frame, _In_ ULONG Sender,
                               _Out_ OIP_DECISION *Decision, _Out_ ONEIP_DROP *Drop)
{
    OIP_QUESTION question;
    BOOLEAN claim;
    ULONG member;

    *Decision = OipBySender;
    *Drop = OneIpDropReasons;
    if (!OipIsFirst(Frame))
    {
        return Batch->Config->Local;
    }
    OipAsk(Batch->Config, Nb, Frame, &question);
    member = OipSteerServer(&Batch->Steering, &question, Sender, &claim, Drop);
    *Decision = question.Decision;
    if (claim)
    {
        OipWantClaim(Batch, &question.Subject);
    }
    return member;
}

/* A frame for a cluster address. *Kept: the NBL is lent to a frame on its way. */
static OIP_VERDICT OipDispatch(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                               _In_ PNET_BUFFER Nb, _In_ const OIP_FRAME *Frame,
                               _Out_ ONEIP_DROP *Drop, _Out_ BOOLEAN *Kept)
{
    const OIP_CONFIGURATION *config = Batch->Config;
    OIP_COUNTERS *counters = Batch->Counters;
    OIP_DECISION decision = OipByTable;
    BOOLEAN relayed = FALSE;
    ULONG sender;
    ULONG member;

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
    OipNeighborVlan(Batch->Filter, Nbl, Frame);

    sender = OipMemberByMac(config, Frame->Head + 6);
    if (sender != OIP_TABLE_NONE)
    {
        /* Dispatched already. Whoever did it decides, but for the second chance. */
        member = OipDispatchServer(Batch, Nb, Frame, sender, &decision, Drop);
        if (member == OIP_TABLE_NONE)
        {
            return OipVerdictDrop;
        }
    }
    else if (Batch->Acting || Batch->Relays)
    {
        relayed = !Batch->Acting;
        member = OipDispatchClient(Batch, Nbl, Nb, Frame, &decision, Drop);
        if (member == OIP_TABLE_NONE)
        {
            /* Held: counted when it is released. */
            return *Drop == OneIpDropReasons ? OipVerdictConsume : OipVerdictDrop;
        }
    }
    else
    {
        *Drop = OneIpDropNotDispatcher;
        return OipVerdictDrop;
    }

    if (member == config->Local)
    {
        counters->Stats.FramesPassed++;
        counters->Members[member].Frames++;
        counters->Members[member].Bytes += Frame->Length;
        return OipVerdictPass;
    }

    *Drop = OipForward(Batch->Filter, Nbl, Nb, Frame, config->Members[member].Mac, decision,
                       Batch->Resources, &Batch->Sends, Kept);
    if (*Drop != OneIpDropReasons)
    {
        return OipVerdictDrop;
    }
    counters->Stats.FramesForwarded++;
    counters->Stats.FramesRelayed += relayed;
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
    if (frame.Unreadable)
    {
        /* It may be what must not come up: an ARP request for a cluster address. */
        Batch->Counters->Stats.FramesIndicated++;
        Batch->Counters->Stats.Drops[OneIpDropNoMemory]++;
        return FALSE;
    }
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
        verdict = OipNeighborReceive(Batch->Filter, Batch->Config, Nbl, &frame, Batch->Acting,
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
        verdict = OipNeighborReceive(Batch->Filter, Batch->Config, Nbl, &frame, Batch->Acting,
                                     &Batch->Sends, &drop);
        break;
    case OIP_BEACON_ETHERTYPE:
        if (frame.LinkBytes != OIP_ETHERNET_BYTES)
        {
            return TRUE; /* on a VLAN: none of ours */
        }
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

/* TRUE: the fast path has decided; *Pass: the NBL goes up. */
FORCEINLINE BOOLEAN OipTryFast(_Inout_ OIP_BATCH *Batch, _In_ PNET_BUFFER_LIST Nbl,
                               _Out_ BOOLEAN *Pass)
{
    PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(Nbl);
    OIP_FAST fast;

    if (!Batch->Acting || NET_BUFFER_NEXT_NB(nb) != NULL)
    {
        return FALSE;
    }
    fast = OipFastReceive(&Batch->Steering, Batch->Filter, Nbl, nb, &Batch->Sends);
    *Pass = fast == OipFastPass;
    return fast != OipFastNo;
}

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
        BOOLEAN kept = FALSE;
        BOOLEAN pass;

        if (!OipTryFast(Batch, Nbls, &pass))
        {
            NET_BUFFER_LIST_NEXT_NBL(Nbls) = NULL;
            pass = OipReceiveNbl(Batch, Nbls, &kept);
        }
        if (!kept)
        {
            OIP_PASS *to = pass ? Pass : Return;

            *to->Last = Nbls;
            to->Last = &NET_BUFFER_LIST_NEXT_NBL(Nbls);
            to->Count++;
        }
        Nbls = next;
    }
    *Pass->Last = NULL;
    *Return->Last = NULL;
}

static VOID OipBatchBegin(_Out_ OIP_BATCH *Batch, _In_ OIP_FILTER *Filter, _In_ BOOLEAN Resources)
{
    Batch->Filter = Filter;
    Batch->Config = Oip.Config;
    Batch->Counters = OipCounters();
    Batch->Now = OipNow();
    Batch->Acting = OipRoleIsActing(&Oip.Role, Batch->Now);
    Batch->Relays = OipRoleMayRelay(&Oip.Role, Batch->Now,
                                    Oip.Config->Followed != OIP_TABLE_NONE &&
                                        Oip.Config->Followed != Oip.Config->Local);
    Batch->Resources = Resources;
    Batch->BeaconCount = 0;
    Batch->ClaimCount = 0;
    Batch->Held = NULL;
    Batch->HeldLast = &Batch->Held;
    Batch->HeldCount = 0;
    Batch->Steering.Config = Oip.Config;
    Batch->Steering.Flows = Oip.Flows;
    Batch->Steering.Counters = Batch->Counters;
    Batch->Steering.Time = OipFlowTime(Batch->Now);
    Batch->Steering.Early = Oip.TakeoverAt != 0 && Batch->Now - Oip.TakeoverAt < OIP_CLAIM_TIME;
    RtlZeroMemory(&Batch->Steering.Fast, sizeof(Batch->Steering.Fast));
    OipSendsBegin(&Batch->Sends);
}

/* Still under DataLock. */
static VOID OipBatchDecided(_Inout_ OIP_BATCH *Batch)
{
    OipFastCount(&Batch->Steering);
    OipClaimsAppend(Batch->Filter, Batch->Config, Batch->Claims, Batch->ClaimCount, &Batch->Sends);
}

/* Without locks. */
static VOID OipBatchEnd(_Inout_ OIP_BATCH *Batch)
{
    OipSubmit(Batch->Filter, &Batch->Sends);
    if (Batch->Held != NULL)
    {
        NdisFIndicateReceiveNetBufferLists(Batch->Filter->Handle, Batch->Held,
                                           NDIS_DEFAULT_PORT_NUMBER, Batch->HeldCount,
                                           NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL);
    }
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
            if (!OipTryFast(&batch, Nbls, &pass))
            {
                pass = OipReceiveNbl(&batch, Nbls, &kept);
            }
            OipBatchDecided(&batch);
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
            OipBatchDecided(&batch);
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
    OIP_FILTER *filter = FilterModuleContext;
    PNET_BUFFER_LIST own;

    /* Most are the miniport's; fragments that were held are ours. */
    OipSplitOwn(filter, &NetBufferLists, &own);
    if (NetBufferLists != NULL)
    {
        NdisFReturnNetBufferLists(filter->Handle, NetBufferLists, ReturnFlags);
    }
    if (own != NULL)
    {
        ExReleaseRundownProtectionCacheAwareEx(filter->Sends, OipFreeSends(own));
    }
}
