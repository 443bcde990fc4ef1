/*
 * The fast path: see fast.h. It does what packet.c, steer.c, dispatch.c and forward.c do, for one
 * shape of frame; the tests of those run through it, too, and the bench of the driver alone
 * (docs/performance.md) says what it is worth.
 */
#include "fast.h"

#include "flow_inline.h"

/* Offsets in such a frame. */
#define FAST_ETHERTYPE 12
#define FAST_IP        14
#define FAST_FRAGMENT  (FAST_IP + OIP_IPV4_FRAGMENT)
#define FAST_PROTOCOL  (FAST_IP + OIP_IPV4_PROTOCOL)
#define FAST_SOURCE    (FAST_IP + OIP_IPV4_SOURCE)
#define FAST_TRANSPORT (FAST_IP + OIP_IPV4_BYTES)
#define FAST_TCP_FLAGS (FAST_TRANSPORT + OIP_TCP_FLAGS)
#define FAST_BYTES     (FAST_TRANSPORT + OIP_TCP_BYTES) /* UDP's is shorter and padded behind */

/* EtherType IPv4, version 4, five words of header, as a little-endian load gives them. */
#define FAST_KIND      0x450008U
#define FAST_KIND_MASK 0xFFFFFFU
#define FAST_FRAGMENTS 0xFF3FU /* MF and the offset, in network byte order */

C_ASSERT(OIP_PROTOCOL_TCP == 6 && OIP_PROTOCOL_UDP == 17);

/* The frame if all of it is in one piece that is mapped. */
FORCEINLINE const UCHAR *OipFastData(_In_ PNET_BUFFER Nb)
{
    PMDL mdl = NET_BUFFER_CURRENT_MDL(Nb);
    ULONG offset = NET_BUFFER_CURRENT_MDL_OFFSET(Nb);

    if ((mdl->MdlFlags & (MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL)) == 0 ||
        MmGetMdlByteCount(mdl) - offset < NET_BUFFER_DATA_LENGTH(Nb))
    {
        return NULL;
    }
    return (const UCHAR *)mdl->MappedSystemVa + offset;
}

/* Is it such a frame, for us and the cluster? */
FORCEINLINE BOOLEAN OipFastShape(_In_ const OIP_CONFIGURATION *Config,
                                 _In_ const OIP_FILTER *Filter, _In_ const UCHAR *Data,
                                 _In_ ULONG Length)
{
    ULONG bytes = OipRead16(Data + FAST_IP + OIP_IPV4_TOTAL_LENGTH);

    return (OipLoad32(Data + FAST_ETHERTYPE) & FAST_KIND_MASK) == FAST_KIND &&
           OipLoad32(Data) == OipLoad32(Filter->Mac) &&
           OipLoad16(Data + 4) == OipLoad16(Filter->Mac + 4) &&
           (OipLoad16(Data + FAST_FRAGMENT) & FAST_FRAGMENTS) == 0 &&
           (Data[FAST_PROTOCOL] == OIP_PROTOCOL_TCP || Data[FAST_PROTOCOL] == OIP_PROTOCOL_UDP) &&
           bytes <= Length - FAST_IP && bytes >= FAST_BYTES - FAST_IP &&
           OipIsClusterIpv4(Config, Data + FAST_IP + OIP_IPV4_DESTINATION) &&
           OipMemberByMac(Config, Data + 6) == OIP_TABLE_NONE;
}

/* Where an IPv4 flow is, if it is not over. */
FORCEINLINE BOOLEAN OipFastFind(_In_ OIP_FLOW_TABLE *Table, _In_ UINT64 Word0, _In_ UINT64 Word4,
                                _In_ UINT64 Hash, _In_ UINT32 Time, _Out_ OIP_FLOW *Flow)
{
    UINT16 tag = OipFlowTag(Hash);
    OIP_FLOW_BUCKET *bucket = OipFlowFirst(Table, Hash);
    UINT32 seen = 0;
    UINT8 owner = 0;
    UINT8 state = 0;
    ULONG way =
        OipFlowLookIpv4(bucket, Word0, Word4, tag, &owner, &state, &seen, &Flow->Sequences[0]);

    if (way == OIP_FLOW_WAYS)
    {
        bucket = OipFlowSecond(Table, Hash);
        way =
            OipFlowLookIpv4(bucket, Word0, Word4, tag, &owner, &state, &seen, &Flow->Sequences[1]);
    }
    Flow->Over = FALSE;
    if (way == OIP_FLOW_WAYS)
    {
        return FALSE;
    }
    Flow->Bucket = bucket;
    Flow->Way = way;
    Flow->Owner = owner;
    Flow->State = state & (UINT8)~OIP_FLOW_DATAGRAM;
    Flow->Seen = seen;
    if (seen != Time && (LONG)(Time - seen) > 0 && Time - seen > OipFlowTimeout(Table, state))
    {
        Flow->Over = TRUE;
        return FALSE;
    }
    return TRUE;
}

/* Notes a frame of a flow that is known. Returns its member; OIP_TABLE_NONE: something about it is
 * unusual. */
FORCEINLINE ULONG OipFastHit(_In_ const OIP_STEERING *Steering, _In_ OIP_FLOW *Flow,
                             _In_ UCHAR TcpFlags)
{
    const OIP_CONFIGURATION *config = Steering->Config;
    ULONG member = config->ByHandle[Flow->Owner];

    if (member == OIP_TABLE_NONE || (config->Alive >> member & 1) == 0)
    {
        return OIP_TABLE_NONE;
    }
    if (Flow->State != OipFlowEstablished ||
        (TcpFlags & (OIP_TCP_SYN | OIP_TCP_FIN | OIP_TCP_RST)) != 0)
    {
        if ((TcpFlags & OIP_TCP_SYN) != 0 && Flow->State >= OipFlowClosing)
        {
            return OIP_TABLE_NONE; /* perhaps a new connection */
        }
        OipFlowTouch(Flow, Steering->Time, OipFlowNext(Flow->State, TcpFlags));
    }
    else if (Flow->Seen != Steering->Time)
    {
        Flow->Bucket->Seen[Flow->Way] = Steering->Time;
    }
    return member;
}

/* The member for a flow that this frame opens, which is learned. OIP_TABLE_NONE: it opens none, or
 * there is nobody, or no room. */
FORCEINLINE ULONG OipFastMiss(_In_ const OIP_STEERING *Steering, _In_ const UCHAR *Data,
                              _In_ const OIP_FLOW_KEY *Key, _In_ UINT64 Hash,
                              _In_ const OIP_FLOW *Missed, _In_ UCHAR TcpFlags, _In_ ULONG Rule)
{
    const OIP_CONFIGURATION *config = Steering->Config;
    ONEIP_STATS *stats = &Steering->Counters->Stats;
    ULONG member;

    if (Data[FAST_PROTOCOL] == OIP_PROTOCOL_TCP && !OipTcpOpens(TcpFlags))
    {
        return OIP_TABLE_NONE;
    }
    if (Rule == OIP_RULE_NONE && config->Header.Affinity == OneIpAffinityClient &&
        config->Header.Dispatch == OneIpDispatchTable)
    {
        member = config->View->Table[OipHashSlot(
            OipHashClientIpv4(&config->HashKey, OipLoad32(Data + FAST_SOURCE)))];
    }
    else
    {
        OIP_SUBJECT subject;
        OIP_CHOICE choice;

        subject.Family = OneIpFamilyIpv4;
        subject.Protocol = Data[FAST_PROTOCOL];
        subject.HasPorts = TRUE;
        subject.Client = Data + FAST_SOURCE;
        subject.Cluster = Data + FAST_SOURCE + 4;
        subject.ClientPort = OipLoad16(Data + FAST_TRANSPORT);
        subject.ClusterPort = OipLoad16(Data + FAST_TRANSPORT + 2);
        OipChoose(config, &subject, &choice);
        member = choice.Member;
    }
    if (member == OIP_TABLE_NONE)
    {
        return OIP_TABLE_NONE;
    }
    switch (OipFlowInsertNew(Steering->Flows, Key, Hash, Missed, config->Handle[member],
                             OipFlowOpening, Steering->Time))
    {
    case OipFlowEvicted:
        stats->FlowsEvicted++;
        break;
    case OipFlowInserted:
    case OipFlowUpdated:
        break;
    default:
        stats->FlowsUnlearned++;
        return member;
    }
    stats->FlowsLearned++;
    Steering->Counters->Rules[OipRulePlace(Rule)].Flows++;
    return member;
}

/* A copy on its way to a member, without the checks that OipForward makes. FALSE: no memory. */
FORCEINLINE BOOLEAN OipFastForward(_In_ OIP_FILTER *Filter, _In_ PNET_BUFFER_LIST Nbl,
                                   _In_ const UCHAR *Data, _In_ ULONG Length,
                                   _In_ const UCHAR *TargetMac, _In_ OIP_DECISION Decision,
                                   _In_ UINT64 Generation, _Inout_ OIP_SENDS *Sends)
{
    PNET_BUFFER_LIST copy = NdisAllocateNetBufferList(Filter->Pool, sizeof(OIP_SEND_CONTEXT), 0);
    OIP_SEND_CONTEXT *context;
    PNET_BUFFER nb;
    UCHAR *data;

    if (copy == NULL)
    {
        return FALSE;
    }
    nb = NET_BUFFER_LIST_FIRST_NB(copy);
    if (NdisRetreatNetBufferDataStart(nb, Length, 0, NULL) != NDIS_STATUS_SUCCESS)
    {
        NdisFreeNetBufferList(copy);
        return FALSE;
    }
    data = OipSendData(nb);
    RtlCopyMemory(data, Data, Length);
    RtlCopyMemory(data, TargetMac, 6);
    RtlCopyMemory(data + 6, Filter->Mac, 6);

    copy->SourceHandle = Filter->Handle;
    context = (OIP_SEND_CONTEXT *)NET_BUFFER_LIST_CONTEXT_DATA_START(copy);
    context->Original = NULL;
    context->Partial = NULL;
    context->Forwarded = TRUE;
    context->Decision = (UINT8)Decision;
    context->Generation = Generation;
    if (NET_BUFFER_LIST_INFO(Nbl, TcpIpChecksumNetBufferListInfo) != NULL)
    {
        OipOffloadPlain(Nbl, copy, data);
    }
    OipSendsAppend(Sends, copy);
    return TRUE;
}

_Use_decl_annotations_ OIP_FAST OipFastReceive(OIP_STEERING *Steering, OIP_FILTER *Filter,
                                               PNET_BUFFER_LIST Nbl, PNET_BUFFER Nb,
                                               OIP_SENDS *Sends)
{
    const OIP_CONFIGURATION *config = Steering->Config;
    ULONG length = NET_BUFFER_DATA_LENGTH(Nb);
    OIP_DECISION decision;
    const UCHAR *data;
    OIP_FLOW flow;
    UCHAR tcpFlags;
    UINT64 word0;
    UINT64 word4;
    UINT64 hash;
    ULONG member;
    ULONG rule;

    if (length < FAST_BYTES || length > Filter->Mtu + OIP_ETHERNET_BYTES ||
        NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo) != NULL)
    {
        return OipFastNo;
    }
    data = OipFastData(Nb);
    if (data == NULL || !OipFastShape(config, Filter, data, length) ||
        (NET_BUFFER_LIST_INFO(Nbl, TcpIpChecksumNetBufferListInfo) != NULL &&
         !OipOffloadPlainReady(Filter, Nbl, data[FAST_PROTOCOL])) ||
        (Sends->Credit == Sends->Count && !OipSendsReserve(Filter, 1, Sends)))
    {
        return OipFastNo;
    }
    rule = config->RuleByPort[data[FAST_PROTOCOL] == OIP_PROTOCOL_UDP]
                             [OipLoad16(data + FAST_TRANSPORT + 2)];
    if (OipIsBlocked(config, rule))
    {
        return OipFastNo;
    }

    word0 = OipLoad64(data + FAST_SOURCE);
    word4 = OipLoad32(data + FAST_TRANSPORT) | ((UINT64)data[FAST_PROTOCOL] << 32) |
            ((UINT64)OneIpFamilyIpv4 << 40);
    tcpFlags = data[FAST_PROTOCOL] == OIP_PROTOCOL_TCP ? data[FAST_TCP_FLAGS] : 0;
    hash = OipFlowHashIpv4(Steering->Flows, word0, word4);
    if (OipFastFind(Steering->Flows, word0, word4, hash, Steering->Time, &flow))
    {
        member = OipFastHit(Steering, &flow, tcpFlags);
        Steering->Fast.Hits += member != OIP_TABLE_NONE;
        decision = OipByFlow;
    }
    else
    {
        OIP_FLOW_KEY key = {{word0, 0, 0, 0, word4}};

        member = OipFastMiss(Steering, data, &key, hash, &flow, tcpFlags, rule);
        decision = OipByTable;
    }
    if (member == OIP_TABLE_NONE)
    {
        return OipFastNo;
    }

    if (member != config->Local)
    {
        if (!OipFastForward(Filter, Nbl, data, length, config->Members[member].Mac, decision,
                            config->Header.Generation, Sends))
        {
            return OipFastNo; /* which counts it as lost */
        }
        Steering->Fast.Forwarded++;
        Steering->Fast.BytesForwarded += length;
    }
    Steering->Fast.Frames++;
    Steering->Fast.Bytes += length;
    Steering->Counters->Members[member].Frames++;
    Steering->Counters->Members[member].Bytes += length;
    if (rule != OIP_RULE_NONE)
    {
        Steering->Fast.Ruled++;
        Steering->Fast.BytesRuled += length;
        Steering->Counters->Rules[rule].Frames++;
        Steering->Counters->Rules[rule].Bytes += length;
    }
    return member == config->Local ? OipFastPass : OipFastSent;
}

_Use_decl_annotations_ VOID OipFastCount(const OIP_STEERING *Steering)
{
    const OIP_FAST_COUNTERS *fast = &Steering->Fast;
    OIP_COUNTERS *counters = Steering->Counters;

    counters->Stats.FramesIndicated += fast->Frames;
    counters->Stats.FramesForwarded += fast->Forwarded;
    counters->Stats.BytesForwarded += fast->BytesForwarded;
    counters->Stats.FramesPassed += fast->Frames - fast->Forwarded;
    counters->Stats.FlowHits += fast->Hits;
    counters->Rules[ONEIP_MAX_RULES].Frames += fast->Frames - fast->Ruled;
    counters->Rules[ONEIP_MAX_RULES].Bytes += fast->Bytes - fast->BytesRuled;
}
