/*
 * ARP (RFC 826, 5227) and NDP (RFC 4861) for the cluster's addresses.
 *
 * Every member's stack holds the addresses, and must neither answer for them nor learn that others
 * hold them: Windows disables an address on which it sees a conflict. So
 *
 *  - nothing that concerns a cluster address reaches a stack: requests, replies, announcements,
 *    probes and duplicate address detection end here;
 *  - the acting dispatcher answers requests, with its own MAC, from here;
 *  - of what a stack sends, announcements, replies and probes of a cluster address end here;
 *  - a request whose sender is a cluster address (the stack resolves a client for a connection
 *    that came to it) would teach the client the wrong MAC. It leaves with the node's own address
 *    as the sender; the answer comes to the same MAC and resolves the same neighbour.
 *
 * The stack is told nothing of this: a swallowed request is to it one that nobody answers.
 */
#include "neighbor.h"

#include "event.h"
#include "stats.h"

/* ARP over Ethernet for IPv4: offsets in a frame without tags; OipUntagged finds its beginning. */
#define ARP_BYTES      42
#define ARP_FIXED      14
#define ARP_OPERATION  20
#define ARP_SENDER_MAC 22
#define ARP_SENDER_IP  28
#define ARP_TARGET_MAC 32
#define ARP_TARGET_IP  38
#define ARP_REQUEST    1
#define ARP_REPLY      2

/* NDP: offsets from the ICMPv6 header. RFC 4861, section 4. */
#define ND_ROUTER_SOLICITATION    133
#define ND_NEIGHBOR_SOLICITATION  135
#define ND_NEIGHBOR_ADVERTISEMENT 136
#define ND_TARGET                 8
#define ND_NEIGHBOR_BYTES         24
#define ND_TARGET_LINK_ADDRESS    2
#define ND_FLAG_SOLICITED         0x40
#define ND_FLAG_OVERRIDE          0x20
#define ND_ADVERTISEMENT_BYTES    (ND_NEIGHBOR_BYTES + 8)

#define OIP_CONFLICT_INTERVAL 10000000LL /* at most one event a second */

static const UCHAR ArpFixed[6] = {0x00, 0x01, 0x08, 0x00, 6, 4};
static const UCHAR Broadcast[6] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
static const UCHAR AllNodesMac[6] = {0x33, 0x33, 0x00, 0x00, 0x00, 0x01};
static const UCHAR AllNodes[16] = {0xFF, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

static BOOLEAN OipIsZero(_In_reads_bytes_(Bytes) const UCHAR *Data, _In_ ULONG Bytes)
{
    UCHAR any = 0;

    for (ULONG i = 0; i < Bytes; i++)
    {
        any |= Data[i];
    }
    return any == 0;
}

/* The 802.1Q tags that an answer takes from its question. */
typedef struct OIP_TAGS
{
    const UCHAR *Data; /* in the frame */
    ULONG Bytes;
    PVOID OutOfBand; /* Ieee8021QNetBufferListInfo */
} OIP_TAGS;

static const OIP_TAGS Untagged;

static VOID OipTagsOf(_In_ const OIP_FRAME *Frame, _In_ PNET_BUFFER_LIST Nbl, _Out_ OIP_TAGS *Tags)
{
    Tags->Data = Frame->Head + 12;
    Tags->Bytes = Frame->LinkBytes - (ULONG)OIP_ETHERNET_BYTES;
    Tags->OutOfBand = NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo);
}

/* Where the frame would begin if it had no tags. */
static const UCHAR *OipUntagged(_In_ const OIP_FRAME *Frame)
{
    return Frame->Head + Frame->LinkBytes - OIP_ETHERNET_BYTES;
}

/* An own frame of Bytes and its tags. *Data: where it would begin without tags. NULL: no memory, or
 * the filter pauses. */
static PNET_BUFFER_LIST OipMakeEthernet(_In_ OIP_FILTER *Filter, _In_ ULONG Bytes,
                                        _In_ const UCHAR *TargetMac, _In_ USHORT EtherType,
                                        _In_ const OIP_TAGS *Tags, _Inout_ OIP_SENDS *Sends,
                                        _Out_ UCHAR **Data)
{
    PNET_BUFFER_LIST nbl;
    UCHAR *frame;

    if (!OipSendsReserve(Filter, 1, Sends))
    {
        return NULL;
    }
    nbl = OipAllocateSend(Filter, Bytes + Tags->Bytes, &frame);
    if (nbl == NULL)
    {
        return NULL;
    }
    RtlCopyMemory(frame, TargetMac, 6);
    RtlCopyMemory(frame + 6, Filter->Mac, 6);
    RtlCopyMemory(frame + 12, Tags->Data, Tags->Bytes);
    NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = Tags->OutOfBand;
    *Data = frame + Tags->Bytes;
    OipWrite16(*Data + 12, EtherType);
    return nbl;
}

static BOOLEAN OipAppendArp(_In_ OIP_FILTER *Filter, _In_ USHORT Operation,
                            _In_ const UCHAR *EthernetTarget, _In_ const UCHAR *SenderIp,
                            _In_ const UCHAR *TargetMac, _In_ const UCHAR *TargetIp,
                            _In_ const OIP_TAGS *Tags, _Inout_ OIP_SENDS *Sends)
{
    UCHAR *data;
    PNET_BUFFER_LIST nbl =
        OipMakeEthernet(Filter, ARP_BYTES, EthernetTarget, OIP_ETHERTYPE_ARP, Tags, Sends, &data);

    if (nbl == NULL)
    {
        return FALSE;
    }
    RtlCopyMemory(data + ARP_FIXED, ArpFixed, sizeof(ArpFixed));
    OipWrite16(data + ARP_OPERATION, Operation);
    RtlCopyMemory(data + ARP_SENDER_MAC, Filter->Mac, 6);
    RtlCopyMemory(data + ARP_SENDER_IP, SenderIp, 4);
    RtlCopyMemory(data + ARP_TARGET_MAC, TargetMac, 6);
    RtlCopyMemory(data + ARP_TARGET_IP, TargetIp, 4);
    OipSendsAppend(Sends, nbl);
    return TRUE;
}

/* Writes the checksum of an ICMPv6 message of IcmpBytes. */
static VOID OipSumIcmpv6(_In_ const UCHAR *Ip, _Inout_ UCHAR *Icmp, _In_ ULONG IcmpBytes)
{
    OipWrite16(Icmp + 2, 0);
    OipWrite16(Icmp + 2,
               (USHORT)~OipSumFold(OipSumPseudoHeader(OneIpFamilyIpv6, Ip + OIP_IPV6_SOURCE,
                                                      Ip + OIP_IPV6_DESTINATION,
                                                      OIP_PROTOCOL_ICMPV6, IcmpBytes) +
                                   OipSum(Icmp, IcmpBytes)));
}

static BOOLEAN OipAppendAdvertisement(_In_ OIP_FILTER *Filter, _In_ const UCHAR *EthernetTarget,
                                      _In_ const UCHAR *Destination, _In_ const UCHAR *Address,
                                      _In_ UCHAR Flags, _In_ const OIP_TAGS *Tags,
                                      _Inout_ OIP_SENDS *Sends)
{
    UCHAR *data;
    UCHAR *ip;
    UCHAR *icmp;
    PNET_BUFFER_LIST nbl =
        OipMakeEthernet(Filter, OIP_ETHERNET_BYTES + OIP_IPV6_BYTES + ND_ADVERTISEMENT_BYTES,
                        EthernetTarget, OIP_ETHERTYPE_IPV6, Tags, Sends, &data);

    if (nbl == NULL)
    {
        return FALSE;
    }
    ip = data + OIP_ETHERNET_BYTES;
    RtlZeroMemory(ip, OIP_IPV6_BYTES + ND_ADVERTISEMENT_BYTES);
    ip[0] = 0x60;
    OipWrite16(ip + OIP_IPV6_PAYLOAD_LENGTH, ND_ADVERTISEMENT_BYTES);
    ip[OIP_IPV6_NEXT_HEADER] = OIP_PROTOCOL_ICMPV6;
    ip[OIP_IPV6_HOP_LIMIT] = 255;
    RtlCopyMemory(ip + OIP_IPV6_SOURCE, Address, 16);
    RtlCopyMemory(ip + OIP_IPV6_DESTINATION, Destination, 16);
    icmp = ip + OIP_IPV6_BYTES;
    icmp[0] = ND_NEIGHBOR_ADVERTISEMENT;
    icmp[4] = Flags;
    RtlCopyMemory(icmp + ND_TARGET, Address, 16);
    icmp[ND_NEIGHBOR_BYTES] = ND_TARGET_LINK_ADDRESS;
    icmp[ND_NEIGHBOR_BYTES + 1] = 1; /* in units of 8 bytes */
    RtlCopyMemory(icmp + ND_NEIGHBOR_BYTES + 2, Filter->Mac, 6);
    OipSumIcmpv6(ip, icmp, ND_ADVERTISEMENT_BYTES);
    OipSendsAppend(Sends, nbl);
    return TRUE;
}

/* Another machine claims a cluster address. */
static VOID OipConflict(_In_ UINT32 Family, _In_ const UCHAR *Address, _In_ const UCHAR *Mac,
                        _In_ BOOLEAN Acting)
{
    LONG64 now = (LONG64)OipNow();
    LONG64 last = Oip.ConflictAt;
    ONEIP_EVENT event = {0};

    OipCount(AddressConflicts, 1);
    if ((last != 0 && now - last < OIP_CONFLICT_INTERVAL) ||
        InterlockedCompareExchange64(&Oip.ConflictAt, now, last) != last)
    {
        return;
    }

    event.Kind = OneIpEventConflict;
    event.Address.Family = Family;
    RtlCopyMemory(event.Address.Address, Address, OipAddressBytes(Family));
    RtlCopyMemory(event.Mac, Mac, sizeof(event.Mac));
    OipEventRaise(&event);
    if (Acting)
    {
        /* RFC 5227, 2.4 (c): defend. The next tick does it. */
        InterlockedExchange(&Oip.AnnounceWanted, 1);
    }
}

static OIP_VERDICT OipReceiveArp(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                                 _In_ const OIP_FRAME *Frame, _In_ const OIP_TAGS *Tags,
                                 _In_ BOOLEAN Acting, _Inout_ OIP_SENDS *Sends,
                                 _Out_ ONEIP_DROP *Drop)
{
    const UCHAR *arp = OipUntagged(Frame);
    BOOLEAN senderIsCluster;
    USHORT operation;

    *Drop = OneIpDropNeighbor;
    if (Frame->Head + Frame->HeadBytes < arp + ARP_BYTES ||
        !RtlEqualMemory(arp + ARP_FIXED, ArpFixed, sizeof(ArpFixed)))
    {
        return OipVerdictPass;
    }

    senderIsCluster = OipIsClusterIpv4(Config, arp + ARP_SENDER_IP);
    if (!senderIsCluster && !OipIsClusterIpv4(Config, arp + ARP_TARGET_IP))
    {
        return OipVerdictPass;
    }

    OipCount(FramesIndicated, 1);
    operation = OipRead16(arp + ARP_OPERATION);
    if (senderIsCluster || OipIsZero(arp + ARP_SENDER_IP, 4))
    {
        /* A claim or, without a sender, a probe; members' own are the dispatcher's announcements.
         */
        if (OipMemberByMac(Config, arp + ARP_SENDER_MAC) != OIP_TABLE_NONE)
        {
            return OipVerdictDrop;
        }
        OipConflict(OneIpFamilyIpv4, senderIsCluster ? arp + ARP_SENDER_IP : arp + ARP_TARGET_IP,
                    arp + ARP_SENDER_MAC, Acting);
    }
    if (operation != ARP_REQUEST || !OipIsClusterIpv4(Config, arp + ARP_TARGET_IP) || !Acting)
    {
        return OipVerdictDrop;
    }

    if (!OipAppendArp(Filter, ARP_REPLY, arp + ARP_SENDER_MAC, arp + ARP_TARGET_IP,
                      arp + ARP_SENDER_MAC, arp + ARP_SENDER_IP, Tags, Sends))
    {
        *Drop = OneIpDropNoMemory;
        return OipVerdictDrop;
    }
    OipCount(NeighborReplies, 1);
    return OipVerdictConsume;
}

/* The NDP message in a frame: NULL if it is none, or RFC 4861 forbids to look at it. */
static const UCHAR *OipNdp(_In_ const OIP_FRAME *Frame, _Out_ ULONG *Bytes)
{
    const UCHAR *icmp;

    *Bytes = 0;
    if (Frame->Family != OneIpFamilyIpv6 || Frame->Malformed ||
        Frame->Protocol != OIP_PROTOCOL_ICMPV6 || Frame->Fragment || /* RFC 6980 */
        Frame->Head[Frame->LinkBytes + OIP_IPV6_HOP_LIMIT] != 255 ||
        Frame->HeadBytes < Frame->TransportOffset + 8 || Frame->TransportBytes < 8)
    {
        return NULL;
    }
    icmp = Frame->Transport;
    *Bytes = Frame->TransportBytes;
    return icmp[0] >= ND_ROUTER_SOLICITATION && icmp[0] <= ND_NEIGHBOR_ADVERTISEMENT && icmp[1] == 0
               ? icmp
               : NULL;
}

static OIP_VERDICT OipReceiveNdp(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                                 _In_ const OIP_FRAME *Frame, _In_ const OIP_TAGS *Tags,
                                 _In_ BOOLEAN Acting, _Inout_ OIP_SENDS *Sends,
                                 _Out_ ONEIP_DROP *Drop)
{
    ULONG bytes;
    const UCHAR *icmp = OipNdp(Frame, &bytes);
    const UCHAR *sourceMac = Frame->Head + 6;
    const UCHAR *target;
    BOOLEAN solicitation;
    BOOLEAN probe;
    BOOLEAN appended;

    *Drop = OneIpDropNeighbor;
    if (icmp == NULL || bytes < ND_NEIGHBOR_BYTES ||
        (icmp[0] != ND_NEIGHBOR_SOLICITATION && icmp[0] != ND_NEIGHBOR_ADVERTISEMENT))
    {
        return OipVerdictPass;
    }
    target = icmp + ND_TARGET;
    if (!OipIsClusterIpv6(Config, target))
    {
        return OipVerdictPass;
    }

    OipCount(FramesIndicated, 1);
    /* A message that Head holds whole is checked; a longer one (RFC 3971's signatures) is trusted
     * as far as any ARP is. */
    if (bytes == Frame->LinkBytes + Frame->NetworkBytes - Frame->TransportOffset &&
        OipSumFold(OipSumPseudoHeader(OneIpFamilyIpv6, Frame->Source, Frame->Destination,
                                      OIP_PROTOCOL_ICMPV6, bytes) +
                   OipSum(icmp, bytes)) != 0xFFFF)
    {
        *Drop = OneIpDropMalformed;
        return OipVerdictDrop;
    }

    solicitation = icmp[0] == ND_NEIGHBOR_SOLICITATION;
    probe = solicitation && OipIsZero(Frame->Source, 16);
    if (!solicitation || probe || OipIsClusterIpv6(Config, Frame->Source))
    {
        if (OipMemberByMac(Config, sourceMac) != OIP_TABLE_NONE)
        {
            return OipVerdictDrop;
        }
        OipConflict(OneIpFamilyIpv6, target, sourceMac, Acting);
    }
    if (!solicitation || !Acting)
    {
        return OipVerdictDrop;
    }

    /* RFC 4861, 7.2.4: to all nodes, unsolicited, where the solicitation has no source. */
    appended = probe ? OipAppendAdvertisement(Filter, AllNodesMac, AllNodes, target,
                                              ND_FLAG_OVERRIDE, Tags, Sends)
                     : OipAppendAdvertisement(Filter, sourceMac, Frame->Source, target,
                                              ND_FLAG_SOLICITED | ND_FLAG_OVERRIDE, Tags, Sends);
    if (!appended)
    {
        *Drop = OneIpDropNoMemory;
        return OipVerdictDrop;
    }
    OipCount(NeighborReplies, 1);
    return OipVerdictConsume;
}

_Use_decl_annotations_ OIP_VERDICT OipNeighborReceive(OIP_FILTER *Filter,
                                                      const OIP_CONFIGURATION *Config,
                                                      PNET_BUFFER_LIST Nbl, const OIP_FRAME *Frame,
                                                      BOOLEAN Acting, OIP_SENDS *Sends,
                                                      ONEIP_DROP *Drop)
{
    OIP_TAGS tags;

    OipTagsOf(Frame, Nbl, &tags);
    return Frame->EtherType == OIP_ETHERTYPE_ARP
               ? OipReceiveArp(Filter, Config, Frame, &tags, Acting, Sends, Drop)
               : OipReceiveNdp(Filter, Config, Frame, &tags, Acting, Sends, Drop);
}

static OIP_VERDICT OipSendArp(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_FRAME *Frame)
{
    const UCHAR *arp = OipUntagged(Frame);
    USHORT operation;

    if (Frame->Head + Frame->HeadBytes < arp + ARP_BYTES ||
        !RtlEqualMemory(arp + ARP_FIXED, ArpFixed, sizeof(ArpFixed)))
    {
        return OipVerdictPass;
    }
    operation = OipRead16(arp + ARP_OPERATION);
    if (OipIsClusterIpv4(Config, arp + ARP_SENDER_IP))
    {
        return operation == ARP_REQUEST && !OipIsClusterIpv4(Config, arp + ARP_TARGET_IP)
                   ? OipVerdictConsume
                   : OipVerdictDrop;
    }
    return OipIsZero(arp + ARP_SENDER_IP, 4) && OipIsClusterIpv4(Config, arp + ARP_TARGET_IP)
               ? OipVerdictDrop
               : OipVerdictPass;
}

static OIP_VERDICT OipSendNdp(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_FRAME *Frame)
{
    ULONG bytes;
    const UCHAR *icmp = OipNdp(Frame, &bytes);

    if (icmp == NULL)
    {
        return OipVerdictPass;
    }
    switch (icmp[0])
    {
    case ND_NEIGHBOR_SOLICITATION:
        if (bytes < ND_NEIGHBOR_BYTES)
        {
            return OipVerdictPass;
        }
        if (OipIsClusterIpv6(Config, icmp + ND_TARGET))
        {
            return OipVerdictDrop;
        }
        return OipIsClusterIpv6(Config, Frame->Source) ? OipVerdictConsume : OipVerdictPass;
    case ND_ROUTER_SOLICITATION:
        /* Its source link-layer address option teaches the router as a solicitation would. */
        return OipIsClusterIpv6(Config, Frame->Source) ? OipVerdictConsume : OipVerdictPass;
    case ND_NEIGHBOR_ADVERTISEMENT:
        return bytes >= ND_NEIGHBOR_BYTES && OipIsClusterIpv6(Config, icmp + ND_TARGET)
                   ? OipVerdictDrop
                   : OipVerdictPass;
    default:
        return OipVerdictPass;
    }
}

_Use_decl_annotations_ OIP_VERDICT OipNeighborSend(const OIP_CONFIGURATION *Config,
                                                   const OIP_FRAME *Frame, ONEIP_DROP *Drop)
{
    *Drop = OneIpDropSpoofed;
    return Frame->EtherType == OIP_ETHERTYPE_ARP ? OipSendArp(Config, Frame)
                                                 : OipSendNdp(Config, Frame);
}

_Use_decl_annotations_ VOID OipNeighborRewrite(const OIP_CONFIGURATION *Config,
                                               const OIP_FRAME *Frame, UCHAR *Data)
{
    const ONEIP_MEMBER *local = &Config->Members[Config->Local];
    UCHAR *ip = Data + Frame->LinkBytes;

    if (Frame->EtherType == OIP_ETHERTYPE_ARP)
    {
        RtlCopyMemory(ip - OIP_ETHERNET_BYTES + ARP_SENDER_IP, local->Ipv4, 4);
        return;
    }
    RtlCopyMemory(ip + OIP_IPV6_SOURCE, local->Ipv6, 16);
    OipSumIcmpv6(ip, Data + Frame->TransportOffset,
                 Frame->LinkBytes + Frame->NetworkBytes - Frame->TransportOffset);
}

_Use_decl_annotations_ VOID OipNeighborVlan(OIP_FILTER *Filter, PNET_BUFFER_LIST Nbl,
                                            const OIP_FRAME *Frame)
{
    NDIS_NET_BUFFER_LIST_8021Q_INFO info;
    LONG vlan;

    info.Value = NET_BUFFER_LIST_INFO(Nbl, Ieee8021QNetBufferListInfo);
    if (info.TagHeader.VlanId != 0)
    {
        vlan = (LONG)info.TagHeader.VlanId;
    }
    else if (Frame->LinkBytes == OIP_ETHERNET_BYTES + OIP_VLAN_TAG_BYTES &&
             OipRead16(Frame->Head + 12) == OIP_ETHERTYPE_VLAN &&
             (OipRead16(Frame->Head + 14) & 0xFFF) != 0)
    {
        vlan = OIP_VLAN_IN_FRAME | (OipRead16(Frame->Head + 14) & 0xFFF);
    }
    else
    {
        return;
    }
    for (ULONG i = 0; i < OIP_MAX_VLANS; i++)
    {
        LONG known = Filter->Vlans[i];

        if (known == 0)
        {
            known = InterlockedCompareExchange(&Filter->Vlans[i], vlan, 0);
        }
        if (known == 0 || known == vlan)
        {
            return;
        }
    }
}

static ULONG OipAnnounceOn(_In_ OIP_FILTER *Filter, _In_ const OIP_CONFIGURATION *Config,
                           _In_ const OIP_TAGS *Tags, _Inout_ OIP_SENDS *Sends)
{
    ULONG count = 0;

    for (ULONG i = 0; i < Config->Header.AddressCount; i++)
    {
        const ONEIP_ADDRESS *address = &Config->Addresses[i];

        if (address->Family == OneIpFamilyIpv4)
        {
            /* RFC 5227, 3: a request is understood more widely than a reply. */
            count += OipAppendArp(Filter, ARP_REQUEST, Broadcast, address->Address, Broadcast,
                                  address->Address, Tags, Sends);
        }
        else
        {
            count += OipAppendAdvertisement(Filter, AllNodesMac, AllNodes, address->Address,
                                            ND_FLAG_OVERRIDE, Tags, Sends);
        }
    }
    return count;
}

_Use_decl_annotations_ ULONG OipNeighborAnnounce(OIP_FILTER *Filter,
                                                 const OIP_CONFIGURATION *Config, OIP_SENDS *Sends)
{
    ULONG count = OipAnnounceOn(Filter, Config, &Untagged, Sends);

    for (ULONG i = 0; i < OIP_MAX_VLANS && Filter->Vlans[i] != 0; i++)
    {
        ULONG vlan = (ULONG)Filter->Vlans[i];
        UCHAR tag[OIP_VLAN_TAG_BYTES];
        OIP_TAGS tags = {tag, 0, NULL};

        if ((vlan & OIP_VLAN_IN_FRAME) != 0)
        {
            OipWrite16(tag, OIP_ETHERTYPE_VLAN);
            OipWrite16(tag + 2, vlan & 0xFFF);
            tags.Bytes = sizeof(tag);
        }
        else
        {
            NDIS_NET_BUFFER_LIST_8021Q_INFO info = {0};

            info.TagHeader.VlanId = vlan;
            tags.OutOfBand = info.Value;
        }
        count += OipAnnounceOn(Filter, Config, &tags, Sends);
    }
    return count;
}
