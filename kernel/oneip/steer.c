/*
 * Where a frame goes: see steer.h.
 */
#include "steer.h"

#define OIP_ICMP_UNREACHABLE   3
#define OIP_ICMP_QUENCH        4
#define OIP_ICMP_REDIRECT      5
#define OIP_ICMP_TIME_EXCEEDED 11
#define OIP_ICMP_PARAMETER     12
#define OIP_ICMPV6_QUERIES     128 /* types from here on are no errors */
#define OIP_ICMP_BYTES         8   /* before the quoted packet */

/* Room for a quoted header with a few extension headers. */
#define OIP_QUOTE_EXTENSIONS 4

static BOOLEAN OipIsIcmpError(_In_ const OIP_FRAME *Frame)
{
    UCHAR type;

    if (Frame->Fragment || Frame->TransportBytes < OIP_ICMP_BYTES)
    {
        return FALSE;
    }
    type = Frame->Transport[0];
    if (Frame->Family == OneIpFamilyIpv6)
    {
        return Frame->Protocol == OIP_PROTOCOL_ICMPV6 && type < OIP_ICMPV6_QUERIES;
    }
    return Frame->Protocol == OIP_PROTOCOL_ICMP &&
           (type == OIP_ICMP_UNREACHABLE || type == OIP_ICMP_QUENCH || type == OIP_ICMP_REDIRECT ||
            type == OIP_ICMP_TIME_EXCEEDED || type == OIP_ICMP_PARAMETER);
}

/* The quoted packet went from the cluster to a client, so its source is our destination. */
static BOOLEAN OipQuoteIpv4(_In_ const OIP_CONFIGURATION *Config, _In_ PNET_BUFFER Nb,
                            _In_ ULONG Offset, _Inout_ OIP_QUESTION *Question)
{
    OIP_SUBJECT *subject = &Question->Subject;
    UCHAR ip[OIP_IPV4_BYTES];
    UCHAR ports[4];

    if (!OipReadAt(Nb, Offset, sizeof(ip), ip) || ip[0] >> 4 != 4 ||
        !OipIsClusterIpv4(Config, ip + OIP_IPV4_SOURCE))
    {
        return FALSE;
    }
    RtlCopyMemory(Question->Quoted[0], ip + OIP_IPV4_DESTINATION, 4);
    RtlCopyMemory(Question->Quoted[1], ip + OIP_IPV4_SOURCE, 4);
    subject->Protocol = ip[OIP_IPV4_PROTOCOL];
    if ((OipRead16(ip + OIP_IPV4_FRAGMENT) & 0x1FFF) == 0 &&
        (subject->Protocol == OIP_PROTOCOL_TCP || subject->Protocol == OIP_PROTOCOL_UDP) &&
        OipReadAt(Nb, Offset + (ip[0] & 0x0FUL) * 4, sizeof(ports), ports))
    {
        subject->HasPorts = TRUE;
        subject->ClusterPort = OipLoad16(ports);
        subject->ClientPort = OipLoad16(ports + 2);
    }
    return TRUE;
}

static BOOLEAN OipQuoteIpv6(_In_ const OIP_CONFIGURATION *Config, _In_ PNET_BUFFER Nb,
                            _In_ ULONG Offset, _Inout_ OIP_QUESTION *Question)
{
    OIP_SUBJECT *subject = &Question->Subject;
    UCHAR ip[OIP_IPV6_BYTES];
    UCHAR bytes[8];

    if (!OipReadAt(Nb, Offset, sizeof(ip), ip) || ip[0] >> 4 != 6 ||
        !OipIsClusterIpv6(Config, ip + OIP_IPV6_SOURCE))
    {
        return FALSE;
    }
    RtlCopyMemory(Question->Quoted[0], ip + OIP_IPV6_DESTINATION, 16);
    RtlCopyMemory(Question->Quoted[1], ip + OIP_IPV6_SOURCE, 16);
    subject->Protocol = ip[OIP_IPV6_NEXT_HEADER];
    Offset += sizeof(ip);
    for (ULONG count = 0; count < OIP_QUOTE_EXTENSIONS; count++)
    {
        if (!OipReadAt(Nb, Offset, sizeof(bytes), bytes))
        {
            return TRUE;
        }
        if (subject->Protocol == OIP_PROTOCOL_TCP || subject->Protocol == OIP_PROTOCOL_UDP)
        {
            subject->HasPorts = TRUE;
            subject->ClusterPort = OipLoad16(bytes);
            subject->ClientPort = OipLoad16(bytes + 2);
            return TRUE;
        }
        if (!OipIsExtension(subject->Protocol) ||
            (subject->Protocol == OIP_EXTENSION_FRAGMENT && (OipRead16(bytes + 2) & 0xFFF8) != 0))
        {
            return TRUE;
        }
        Offset += OipExtensionBytes(subject->Protocol, bytes);
        subject->Protocol = bytes[0];
    }
    return TRUE;
}

_Use_decl_annotations_ VOID OipAsk(const OIP_CONFIGURATION *Config, PNET_BUFFER Nb,
                                   const OIP_FRAME *Frame, OIP_QUESTION *Question)
{
    OIP_SUBJECT *subject = &Question->Subject;

    subject->Family = Frame->Family;
    subject->Protocol = Frame->Protocol;
    subject->HasPorts = Frame->HasPorts;
    subject->Client = Frame->Source;
    subject->Cluster = Frame->Destination;
    Question->TcpFlags = 0;
    Question->Error = FALSE;
    Question->Opens = FALSE;
    if (Frame->HasPorts)
    {
        subject->ClientPort = OipLoad16(Frame->Transport);
        subject->ClusterPort = OipLoad16(Frame->Transport + 2);
        Question->Opens = TRUE;
        if (Frame->Protocol == OIP_PROTOCOL_TCP)
        {
            Question->TcpFlags = Frame->Transport[OIP_TCP_FLAGS];
            Question->Opens = OipTcpOpens(Question->TcpFlags);
        }
        return;
    }

    subject->ClientPort = 0;
    subject->ClusterPort = 0;
    if (OipIsIcmpError(Frame))
    {
        ULONG quote = Frame->TransportOffset + OIP_ICMP_BYTES;

        Question->Error = Frame->Family == OneIpFamilyIpv4
                              ? OipQuoteIpv4(Config, Nb, quote, Question)
                              : OipQuoteIpv6(Config, Nb, quote, Question);
        if (Question->Error)
        {
            subject->Client = Question->Quoted[0];
            subject->Cluster = Question->Quoted[1];
        }
        else
        {
            subject->Protocol = Frame->Protocol;
        }
    }
}

FORCEINLINE VOID OipSubjectKey(_In_ const OIP_SUBJECT *Subject, _Out_ OIP_FLOW_KEY *Key)
{
    UINT32 ports = Subject->ClientPort | ((UINT32)Subject->ClusterPort << 16);

    if (Subject->Family == OneIpFamilyIpv4)
    {
        OipFlowKeyIpv4(Key, OipLoad32(Subject->Client), OipLoad32(Subject->Cluster),
                       Subject->Protocol, ports);
    }
    else
    {
        OipFlowKey(Key, Subject->Family, Subject->Client, Subject->Cluster, Subject->Protocol,
                   ports);
    }
}

FORCEINLINE BOOLEAN OipIsAlive(_In_ const OIP_CONFIGURATION *Config, _In_ ULONG Member)
{
    return Member != OIP_TABLE_NONE && (Config->Alive >> Member & 1) != 0;
}

/* May a connection that this member has go on with it? */
FORCEINLINE BOOLEAN OipIsTrusted(_In_ const OIP_CONFIGURATION *Config, _In_ ULONG Member)
{
    return Member != OIP_TABLE_NONE && (Config->Trusted >> Member & 1) != 0;
}

static VOID OipLearn(_In_ const OIP_STEERING *Steering, _In_ const OIP_FLOW_KEY *Key,
                     _In_ UINT64 Hash, _In_ ULONG Member, _In_ ULONG Rule)
{
    ONEIP_STATS *stats = &Steering->Counters->Stats;

    switch (OipFlowInsert(Steering->Flows, Key, Hash, Steering->Config->Handle[Member],
                          OipFlowOpening, Steering->Time))
    {
    case OipFlowEvicted:
        stats->FlowsEvicted++;
        stats->FlowsLearned++;
        break;
    case OipFlowInserted:
    case OipFlowUpdated:
        stats->FlowsLearned++;
        break;
    default:
        stats->FlowsUnlearned++;
        return;
    }
    Steering->Counters->Rules[OipRulePlace(Rule)].Flows++;
}

/* Is this frame a SYN that reuses the ports of a connection which is over? */
FORCEINLINE BOOLEAN OipReopens(_In_ const OIP_QUESTION *Question, _In_ const OIP_FLOW *Flow)
{
    return Question->Opens && Question->TcpFlags != 0 &&
           (Flow->State == OipFlowClosing || Flow->State == OipFlowReset);
}

_Use_decl_annotations_ ULONG OipSteerClient(const OIP_STEERING *Steering, OIP_QUESTION *Question,
                                            ULONG *Rule, ONEIP_DROP *Drop)
{
    const OIP_CONFIGURATION *config = Steering->Config;
    const OIP_SUBJECT *subject = &Question->Subject;
    OIP_FLOW_KEY key;
    OIP_CHOICE choice;
    OIP_FLOW flow;
    UINT64 hash = 0;
    ULONG former;

    Question->Decision = OipByTable;
    *Rule = OipRuleOf(config, subject->Protocol, subject->ClusterPort);
    if (OipIsBlocked(config, *Rule))
    {
        *Drop = OneIpDropBlocked;
        return OIP_TABLE_NONE;
    }
    if (subject->HasPorts)
    {
        OipSubjectKey(subject, &key);
        hash = OipFlowHash(Steering->Flows, &key);
        if (OipFlowFind(Steering->Flows, &key, hash, Steering->Time, &flow) &&
            (Question->Opens ? OipIsAlive(config, config->ByHandle[flow.Owner])
                             : OipIsTrusted(config, config->ByHandle[flow.Owner])) &&
            !OipReopens(Question, &flow))
        {
            if (!Question->Error)
            {
                OipFlowTouch(&flow, Steering->Time, OipFlowNext(flow.State, Question->TcpFlags));
            }
            Steering->Counters->Stats.FlowHits++;
            Question->Decision = OipByFlow;
            return config->ByHandle[flow.Owner];
        }
    }

    OipChoose(config, subject, &choice);
    if (choice.Member == OIP_TABLE_NONE)
    {
        *Drop = OneIpDropNoMember;
        return OIP_TABLE_NONE;
    }
    if (!subject->HasPorts)
    {
        return choice.Member;
    }
    if (Question->Opens)
    {
        OipLearn(Steering, &key, hash, choice.Member, *Rule);
        return choice.Member;
    }
    if (choice.Member != config->Local)
    {
        return choice.Member; /* if it does not know it either, it gives the second chance */
    }
    former = OipChooseFormer(config, subject);
    if (former == config->Local || !OipIsTrusted(config, former))
    {
        if (Steering->Early && subject->Protocol == OIP_PROTOCOL_TCP)
        {
            *Drop = OneIpDropUnknown;
            return OIP_TABLE_NONE;
        }
        return choice.Member;
    }
    Steering->Counters->Stats.SecondChances++;
    Question->Decision = OipByFormer;
    return former;
}

_Use_decl_annotations_ ULONG OipSteerServer(const OIP_STEERING *Steering, OIP_QUESTION *Question,
                                            ULONG Sender, BOOLEAN *Claim, ONEIP_DROP *Drop)
{
    const OIP_CONFIGURATION *config = Steering->Config;
    const OIP_SUBJECT *subject = &Question->Subject;
    OIP_FLOW_KEY key;
    OIP_FLOW flow;
    UINT64 hash;
    ULONG other;

    *Claim = FALSE;
    *Drop = OneIpDropReasons;
    Question->Decision = OipBySender;
    if (!subject->HasPorts)
    {
        return config->Local;
    }
    OipSubjectKey(subject, &key);
    hash = OipFlowHash(Steering->Flows, &key);
    other = OIP_TABLE_NONE;
    if (OipFlowFind(Steering->Flows, &key, hash, Steering->Time, &flow))
    {
        other = config->ByHandle[flow.Owner];
        if (other == config->Local)
        {
            if (!Question->Error)
            {
                UINT8 state = OipReopens(Question, &flow)
                                  ? OipFlowOpening
                                  : OipFlowNext(flow.State, Question->TcpFlags);

                OipFlowTouch(&flow, Steering->Time, state);
            }
            Steering->Counters->Stats.FlowHits++;
            *Claim = Sender != config->Followed && !Question->Opens;
            return config->Local;
        }
    }
    if (Question->Opens)
    {
        /* The dispatcher decides; what we may know of the ports is of another connection. */
        OipLearn(Steering, &key, hash, config->Local,
                 OipRuleOf(config, subject->Protocol, subject->ClusterPort));
        return config->Local;
    }
    if (subject->Protocol != OIP_PROTOCOL_TCP || (Sender != config->Followed && !Steering->Early))
    {
        return config->Local;
    }
    if (Sender != config->Followed)
    {
        *Drop = OneIpDropUnknown; /* somebody else's second chance was wrong */
        return OIP_TABLE_NONE;
    }
    /* Known as another's from the time when this node dispatched; or not known at all. */
    if (!OipIsTrusted(config, other))
    {
        other = OipChooseFormer(config, subject);
    }
    if (other == config->Local || other == Sender || !OipIsTrusted(config, other))
    {
        if (Steering->Early)
        {
            *Drop = OneIpDropUnknown;
            return OIP_TABLE_NONE;
        }
        return config->Local;
    }
    Steering->Counters->Stats.SecondChances++;
    Question->Decision = OipByFormer;
    return other;
}
