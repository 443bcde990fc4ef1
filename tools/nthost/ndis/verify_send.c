/*
 * What a filter sends, against what the adapter offers at this moment: length, large send offload,
 * UDP segmentation, checksums, VLAN tags. WDK: "Offloading the Segmentation of Large TCP Packets",
 * "Offloading Checksum Tasks", NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO.
 *
 * A real adapter would drop such a frame, send it with a wrong checksum, or hang. Metadata of a
 * received frame left in place reads as a request to the sender: several rules here catch that.
 */
#include "frame.h"
#include "pool.h"
#include "verify.h"
#include <string.h>

struct check {
    const struct ndis_module *module;
    struct ndis_adapter *adapter;
    PNET_BUFFER_LIST nbl;
    PNET_BUFFER nb;
    uint8_t head[FRAME_MAX_HEADERS];
    size_t head_bytes;
    struct frame_layers layers;
    bool parsed;
};

#define REFUSE(check, rule, format, ...)                                                           \
    vf_violation((rule), "%s sends NBL %p: " format, (check)->module->node.name,                   \
                 (void *)(check)->nbl, ##__VA_ARGS__)

static const char *ip_name(const struct check *c)
{
    return c->layers.ip == 6 ? "IPv6" : "IPv4";
}

/* The field must hold the pseudo header's sum when the adapter is to finish the checksum. */
static void check_pseudo(const struct check *c, uint32_t l4_bytes, const char *what)
{
    uint16_t at = frame_checksum_offset(&c->layers);
    if (at + 2u > c->head_bytes)
        return;
    uint16_t expected = sum_fold(frame_pseudo_sum(c->head, &c->layers, l4_bytes)), have;
    memcpy(&have, c->head + at, 2);
    if (have != expected && !(expected == 0xffff && have == 0) &&
        !(expected == 0 && have == 0xffff))
        REFUSE(c, VfNblMalformed,
               "%s is requested, but the checksum field holds 0x%04x and not the sum of the pseudo "
               "header 0x%04x",
               what, frame_get16(c->head + at), frame_get16((const uint8_t *)&expected));
}

static void check_checksum(const struct check *c)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(c->nbl, TcpIpChecksumNetBufferListInfo);
    if (!info.Value)
        return;
    if (!info.Transmit.IsIPv4 && !info.Transmit.IsIPv6)
        REFUSE(c, VfNblMalformed,
               "TcpIpChecksumNetBufferListInfo is 0x%llx without IsIPv4 or IsIPv6: metadata of a "
               "receive?",
               (unsigned long long)(ULONG_PTR)info.Value);
    if (info.Transmit.IsIPv4 && info.Transmit.IsIPv6)
        REFUSE(c, VfNblMalformed, "TcpIpChecksumNetBufferListInfo says both IPv4 and IPv6");
    if (!c->parsed || c->layers.ip != (info.Transmit.IsIPv6 ? 6 : 4))
        REFUSE(c, VfNblMalformed, "TcpIpChecksumNetBufferListInfo says IPv%d, and it is not",
               info.Transmit.IsIPv6 ? 6 : 4);
    const NDIS_TCP_IP_CHECKSUM_OFFLOAD *offer = &c->adapter->current.Checksum;
    bool six = info.Transmit.IsIPv6;
    if (info.Transmit.IpHeaderChecksum && (six || !offer->IPv4Transmit.IpChecksum))
        REFUSE(c, VfOffloadNotOffered, "IP header checksum offload is not on");
    if (info.Transmit.TcpChecksum &&
        !(six ? offer->IPv6Transmit.TcpChecksum : offer->IPv4Transmit.TcpChecksum))
        REFUSE(c, VfOffloadNotOffered, "TCP checksum offload for %s is not on", ip_name(c));
    if (info.Transmit.UdpChecksum &&
        !(six ? offer->IPv6Transmit.UdpChecksum : offer->IPv4Transmit.UdpChecksum))
        REFUSE(c, VfOffloadNotOffered, "UDP checksum offload for %s is not on", ip_name(c));
    if (!info.Transmit.TcpChecksum && !info.Transmit.UdpChecksum)
        return;
    if (!c->layers.l4 || (c->layers.protocol == 6) != info.Transmit.TcpChecksum ||
        (info.Transmit.TcpChecksum && info.Transmit.UdpChecksum))
        REFUSE(c, VfNblMalformed, "a TCP or UDP checksum is requested for what is no such segment");
    if (info.Transmit.TcpChecksum && info.Transmit.TcpHeaderOffset != c->layers.l4)
        REFUSE(c, VfNblMalformed, "TcpHeaderOffset is %u, the TCP header is at %u",
               info.Transmit.TcpHeaderOffset, c->layers.l4);
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso;
    lso.Value = NET_BUFFER_LIST_INFO(c->nbl, TcpLargeSendNetBufferListInfo);
    if (!lso.Value)
        check_pseudo(c, c->layers.l4_bytes, "checksum offload");
}

/* True: the frame may be longer than the MTU. */
static bool check_lso(const struct check *c)
{
    NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(c->nbl, TcpLargeSendNetBufferListInfo);
    if (!info.Value)
        return false;
    if (info.Transmit.Type != NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE)
        REFUSE(c, VfOffloadNotOffered, "large send offload version 1 is not offered");
    bool six = info.LsoV2Transmit.IPVersion == NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6;
    const NDIS_TCP_LARGE_SEND_OFFLOAD_V2 *offer = &c->adapter->current.LsoV2;
    ULONG encapsulation = six ? offer->IPv6.Encapsulation : offer->IPv4.Encapsulation;
    ULONG most = six ? offer->IPv6.MaxOffLoadSize : offer->IPv4.MaxOffLoadSize;
    ULONG least = six ? offer->IPv6.MinSegmentCount : offer->IPv4.MinSegmentCount;
    if (!encapsulation)
        REFUSE(c, VfOffloadNotOffered, "large send offload for IPv%d is not on", six ? 6 : 4);
    if (NET_BUFFER_NEXT_NB(NET_BUFFER_LIST_FIRST_NB(c->nbl)))
        REFUSE(c, VfNblMalformed, "large send offload with more than one NET_BUFFER");
    if (!c->parsed || !c->layers.l4 || c->layers.protocol != 6 || c->layers.ip != (six ? 6 : 4))
        REFUSE(c, VfNblMalformed, "large send offload of what is no TCP segment over IPv%d",
               six ? 6 : 4);
    if (info.LsoV2Transmit.TcpHeaderOffset != c->layers.l4)
        REFUSE(c, VfNblMalformed, "LSO TcpHeaderOffset is %u, the TCP header is at %u",
               info.LsoV2Transmit.TcpHeaderOffset, c->layers.l4);
    ULONG mss = info.LsoV2Transmit.MSS, length = NET_BUFFER_DATA_LENGTH(c->nb);
    ULONG data = length - c->layers.payload;
    if (!mss || mss + c->layers.payload > c->adapter->mtu + FRAME_ETHERNET_HEADER)
        REFUSE(c, VfNblMalformed, "LSO MSS %u does not fit the MTU %u", mss, c->adapter->mtu);
    if (data > most)
        REFUSE(c, VfOffloadNotOffered, "large send of %u bytes, at most %u are offered", data,
               most);
    if ((data + mss - 1) / mss < least)
        REFUSE(c, VfOffloadNotOffered, "large send of %u segments, at least %u are wanted",
               (data + mss - 1) / mss, least);
    if (!netbuffer_at(c->nb, 0, c->layers.payload))
        REFUSE(c, VfNblMalformed, "large send offload with headers in more than one MDL");
    check_pseudo(c, 0, "large send offload");
    return true;
}

static bool check_uso(const struct check *c)
{
    NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(c->nbl, UdpSegmentationOffloadInfo);
    if (!info.Value)
        return false;
    bool udp = c->parsed && c->layers.l4 && c->layers.protocol == 17;
    if (!udp || info.Transmit.UdpHeaderOffset != c->layers.l4)
        REFUSE(c, VfNblMalformed,
               "UdpSegmentationOffloadInfo is 0x%llx: metadata of a receive (the slot is "
               "TcpRecvSegCoalesceInfo there)?",
               (unsigned long long)(ULONG_PTR)info.Value);
    const NDIS_UDP_SEGMENTATION_OFFLOAD *offer = &c->adapter->current.UdpSegmentation;
    bool six = info.Transmit.IPVersion == NDIS_UDP_SEGMENTATION_OFFLOAD_IPV6;
    if (!(six ? offer->IPv6.Encapsulation : offer->IPv4.Encapsulation))
        REFUSE(c, VfOffloadNotOffered, "UDP segmentation offload is not on");
    return true;
}

static void check_vlan(const struct check *c)
{
    NDIS_NET_BUFFER_LIST_8021Q_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(c->nbl, Ieee8021QNetBufferListInfo);
    if (info.Value && !c->adapter->config.vlan)
        REFUSE(c, VfOffloadNotOffered,
               "Ieee8021QNetBufferListInfo is set and the adapter takes no tags out of band");
    if (info.Value && c->layers.tagged)
        REFUSE(c, VfNblMalformed, "tagged both in the frame and in Ieee8021QNetBufferListInfo");
}

void verify_offload(const struct ndis_module *module, PNET_BUFFER_LIST nbl)
{
    struct check c = {.module = module, .adapter = module->node.adapter, .nbl = nbl};
    for (c.nb = NET_BUFFER_LIST_FIRST_NB(nbl); c.nb; c.nb = NET_BUFFER_NEXT_NB(c.nb)) {
        ULONG length = NET_BUFFER_DATA_LENGTH(c.nb);
        c.head_bytes = netbuffer_read(c.nb, 0, c.head, sizeof(c.head));
        c.parsed = frame_parse(c.head, c.head_bytes, length, &c.layers);
        if (length < FRAME_ETHERNET_HEADER)
            REFUSE(&c, VfNblMalformed, "a frame of %u bytes", length);
        bool large = check_lso(&c);
        large |= check_uso(&c);
        check_checksum(&c);
        check_vlan(&c);
        ULONG most =
            c.adapter->mtu + FRAME_ETHERNET_HEADER + (c.layers.tagged ? (ULONG)FRAME_VLAN_TAG : 0);
        if (!large && length > most)
            REFUSE(&c, VfOffloadNotOffered,
                   "a frame of %u bytes without large send offload, the MTU allows %u", length,
                   most);
    }
}
