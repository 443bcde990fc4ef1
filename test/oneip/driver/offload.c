/* Coalesced frames, checksums in hardware, and what leaves of them. */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>
#include <string.h>

struct offers {
    bool checksum;
    bool lso;
};

/* Node 1 dispatches, with weight 0, so every frame is forwarded. */
static bool forwarder(struct node *node, struct offers offers)
{
    struct ndis_adapter_config adapter;
    struct cluster cluster;

    node_adapter_config(&adapter);
    if (offers.checksum) {
        adapter.offload.Checksum.IPv4Transmit = (__typeof__(adapter.offload.Checksum.IPv4Transmit)){
            .Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
            .IpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
            .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
            .TcpChecksum = NDIS_OFFLOAD_SUPPORTED,
            .UdpChecksum = NDIS_OFFLOAD_SUPPORTED,
            .IpChecksum = NDIS_OFFLOAD_SUPPORTED};
        adapter.offload.Checksum.IPv6Transmit = (__typeof__(adapter.offload.Checksum.IPv6Transmit)){
            .Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
            .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
            .TcpChecksum = NDIS_OFFLOAD_SUPPORTED,
            .UdpChecksum = NDIS_OFFLOAD_SUPPORTED};
    }
    if (offers.lso) {
        adapter.offload.LsoV2.IPv4 =
            (__typeof__(adapter.offload.LsoV2.IPv4)){NDIS_ENCAPSULATION_IEEE_802_3, 65000, 2};
        adapter.offload.LsoV2.IPv6 =
            (__typeof__(adapter.offload.LsoV2.IPv6)){.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
                                                     .MaxOffLoadSize = 65000,
                                                     .MinSegmentCount = 2,
                                                     .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED};
    }
    cluster_standard(&cluster, 2);
    cluster.members[0].Weight = 0;
    return node_start_with(node, tap_seed(), &adapter) &&
           is_status(node_configure(node, &cluster), STATUS_SUCCESS) && node_promote(node, ALL(2));
}

static ULONG succeeded(bool ipv4, unsigned protocol)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {0};

    info.Receive.IpChecksumSucceeded = ipv4;
    info.Receive.TcpChecksumSucceeded = protocol == 6;
    info.Receive.UdpChecksumSucceeded = protocol == 17;
    return (ULONG)(ULONG_PTR)info.Value;
}

static unsigned transport_at(const struct test_frame *frame)
{
    return frame_ether_type(frame) == 0x0800 ? 34 : 54;
}

static unsigned checksum_at(const struct test_frame *frame, unsigned protocol)
{
    return transport_at(frame) + (protocol == 6 ? 16 : 6);
}

NT_TEST(a_checksum_that_hardware_vouched_for_is_right_when_the_frame_leaves)
{
    for (unsigned variant = 0; variant < 8; variant++) {
        struct node node;
        unsigned protocol = variant & 1 ? 17 : 6;
        bool ipv4 = variant & 2, offered = variant & 4;

        tap_at("protocol %u, IPv%u, offload %s", protocol, ipv4 ? 4 : 6,
               offered ? "offered" : "not offered");
        need(forwarder(&node, (struct offers){offered, false}));
        struct packet packet = packet_standard(ipv4 ? ip4(10, 1, 0, 1) : ip6(0x10001));
        packet.protocol = protocol;
        packet.payload = 501;
        struct test_frame *whole = packet_frame(&packet);
        struct test_frame *frame = packet_frame(&packet);
        frame->checksum_flags = succeeded(ipv4, protocol);
        memset(frame->data + checksum_at(frame, protocol), 0x55,
               2); /* as a virtual switch leaves it */
        node_receive(&node, frame);
        struct test_frame *out = node_wire(&node);
        need(out);
        NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {
            .Value = (PVOID)(ULONG_PTR)out->checksum_flags};
        if (offered) {
            is_int(info.Transmit.IsIPv4, ipv4);
            is_int(info.Transmit.IsIPv6, !ipv4);
            is_int(info.Transmit.TcpChecksum, protocol == 6);
            is_int(info.Transmit.UdpChecksum, protocol == 17);
            is_int(info.Transmit.TcpHeaderOffset, transport_at(out));
            /* The field holds the pseudo-header's sum: the hardware adds the rest. */
            unsigned at = checksum_at(out, protocol);
            unsigned pseudo = (unsigned)out->data[at] << 8 | out->data[at + 1];
            out->data[at] = out->data[at + 1] = 0;
            unsigned sum = pseudo;
            for (unsigned i = transport_at(out); i < out->bytes; i++)
                sum += (unsigned)out->data[i] << ((i - transport_at(out)) % 2 ? 0 : 8);
            while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
            sum = ~sum & 0xffff;
            out->data[at] = (UCHAR)(sum >> 8);
            out->data[at + 1] = (UCHAR)sum;
        } else {
            is_int(out->checksum_flags, 0);
        }
        ok(frame_checksums_right(out));
        is_mem(out->data + 12, whole->data + 12, whole->bytes - 12);
        free(out);
        free(whole);
        node_stop(&node);
    }
}

NT_TEST(a_checksum_that_nobody_vouched_for_goes_on_as_it_is)
{
    struct node node;

    need(forwarder(&node, (struct offers){true, true}));
    struct packet packet = packet_standard(ip4(10, 1, 0, 1));
    struct test_frame *frame = packet_frame(&packet);
    frame->data[50] ^= 0xff; /* a wrong one stays wrong: the server is to see it */
    struct test_frame *copy = malloc(sizeof *copy + frame->bytes);
    memcpy(copy, frame, sizeof *copy + frame->bytes);
    node_receive(&node, frame);
    struct test_frame *out = node_wire(&node);
    need(out);
    is_mem(out->data + 12, copy->data + 12, copy->bytes - 12);
    is_int(out->checksum_flags, 0);
    free(out);
    free(copy);
    /* UDP without a checksum stays without. */
    packet.protocol = 17;
    frame = packet_frame(&packet);
    frame->data[40] = frame->data[41] = 0;
    frame->checksum_flags = succeeded(true, 17);
    node_receive(&node, frame);
    out = node_wire(&node);
    need(out);
    is_int(out->data[40] | out->data[41], 0);
    is_int(out->checksum_flags, 0);
    free(out);
    node_stop(&node);
}

static struct test_frame *coalesced(struct packet *packet, unsigned segments)
{
    struct test_frame *frame = packet_frame(packet);

    frame->segments = segments;
    frame->mss = (packet->payload + segments - 1) / segments;
    frame->checksum_flags = succeeded(packet->source.family == 4, 6);
    return frame;
}

NT_TEST(a_coalesced_frame_leaves_by_lso_where_that_is_offered)
{
    for (unsigned ipv4 = 0; ipv4 < 2; ipv4++) {
        struct node node;

        tap_at("IPv%u", ipv4 ? 4 : 6);
        need(forwarder(&node, (struct offers){true, true}));
        unsigned by_lso = 0;
        for (unsigned i = 0; i < 40; i++) {
            struct packet packet = packet_standard(ipv4 ? ip4(10, 1, 0, 1) : ip6(0x10001));
            packet.payload = 14000;
            packet.tcp_options = 12;
            struct test_frame *whole = packet_frame(&packet);
            node_receive(&node, coalesced(&packet, 10));
            struct test_frame *out = node_wire(&node);
            need(out);
            if (out->mss) {
                by_lso++;
                is_int(out->mss, 1400);
                is_int(out->bytes, whole->bytes);
                is_int(out->segments, 0);
                unsigned at = checksum_at(out, 6);
                is_mem(out->data + 12, whole->data + 12, at - 12);
                is_mem(out->data + at + 2, whole->data + at + 2, whole->bytes - at - 2);
            } else {
                /* Indicated with NDIS_RECEIVE_FLAGS_RESOURCES: it cannot be kept, so it is cut up.
                 */
                unsigned payload = out->bytes - transport_at(out) - 32;
                struct test_frame *next;
                while ((next = node_wire(&node))) {
                    payload += next->bytes - transport_at(next) - 32;
                    free(next);
                }
                is_int(payload, 14000);
            }
            free(out);
            free(whole);
        }
        ok(by_lso > 0, "%u of 40", by_lso);
        node_stop(&node);
    }
}

NT_TEST(a_coalesced_frame_is_segmented_here_where_lso_is_not_offered)
{
    for (unsigned variant = 0; variant < 4; variant++) {
        struct node node;
        bool ipv4 = variant & 1, checksum = variant & 2;
        unsigned offset = 0, count = 0;
        struct test_frame *out;

        tap_at("IPv%u, checksum offload %s", ipv4 ? 4 : 6, checksum ? "offered" : "not offered");
        need(forwarder(&node, (struct offers){checksum, false}));
        struct packet packet = packet_standard(ipv4 ? ip4(10, 1, 0, 1) : ip6(0x10001));
        packet.payload = 5000;
        packet.tcp_options = 12;
        packet.tcp_flags = 0x99;      /* CWR, ACK, PSH, FIN */
        packet.sequence = 0xfffffff0; /* wraps within */
        struct test_frame *whole = packet_frame(&packet);
        unsigned header = transport_at(whole) + 32;
        node_receive(&node, coalesced(&packet, 4));
        while ((out = node_wire(&node))) {
            const UCHAR *tcp = out->data + transport_at(out);
            unsigned payload = out->bytes - header;
            ULONG sequence =
                (ULONG)tcp[4] << 24 | (ULONG)tcp[5] << 16 | (ULONG)tcp[6] << 8 | tcp[7];
            bool last = offset + payload == 5000;

            ok(out->bytes <= 1514, "%u bytes", out->bytes);
            is_hex(sequence, (ULONG)(0xfffffff0 + offset));
            is_mem(out->data + header, whole->data + header + offset, payload);
            is_hex(tcp[13], 0x10 | (count ? 0 : 0x80) | (last ? 9 : 0));
            is_mem(out->data + transport_at(out) + 20, whole->data + transport_at(whole) + 20, 12,
                   "options");
            is_int(out->mss, 0);
            if (ipv4)
                is_int((out->data[18] << 8 | out->data[19]), 0x1234 + count, "identification");
            if (checksum)
                ok(out->checksum_flags != 0);
            else
                ok(frame_checksums_right(out));
            offset += payload;
            count++;
            free(out);
        }
        is_int(offset, 5000);
        is_int(count, 4);
        is_int(node_stats(&node).FramesSegmented, 4);
        is_int(node_stats(&node).FramesForwarded, 1);
        free(whole);
        node_stop(&node);
    }
}

NT_TEST(what_is_too_long_and_cannot_be_segmented_is_dropped)
{
    struct node node;

    need(forwarder(&node, (struct offers){true, true}));
    struct packet packet = packet_standard(ip4(10, 1, 0, 1));
    packet.protocol = 17;
    packet.payload = 3000;
    node_receive(&node, packet_frame(&packet));
    ok(!node_wire(&node));
    is_int(node_stats(&node).Drops[OneIpDropTooLong], 1);
    packet.protocol = 6;
    struct test_frame *frame = packet_frame(&packet);
    frame->data[46] = 0x40; /* a TCP header of 16 bytes */
    node_receive(&node, frame);
    ok(!node_wire(&node));
    is_int(node_stats(&node).Drops[OneIpDropTooLong], 2);
    node_stop(&node);
}

/* 4 and 6: coalescing of IPv4 and of IPv6 is on. */
static unsigned rsc_on(struct node *node)
{
    NDIS_OFFLOAD now = {0};
    NDIS_OID_REQUEST request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = NdisRequestQueryInformation,
        .DATA.QUERY_INFORMATION = {OID_TCP_OFFLOAD_CURRENT_CONFIG, &now, sizeof now, 0, 0}};

    is_status(ndis_upper_oid(test_edge_adapter(node->edge), &request), NDIS_STATUS_SUCCESS);
    return (now.Rsc.IPv4.Enabled ? 4 : 0) + (now.Rsc.IPv6.Enabled ? 6 : 0);
}

NT_TEST(a_dispatching_adapter_does_not_coalesce)
{
    static const unsigned at_first[] = {0, 4, 6, 4 + 6};

    for (unsigned i = 0; i < RTL_NUMBER_OF(at_first); i++) {
        struct ndis_adapter_config adapter;
        struct cluster cluster;
        struct node node;
        ONEIP_VETO veto = {1, 0};

        tap_at("at first %u", at_first[i]);
        node_adapter_config(&adapter);
        adapter.offload.Rsc.IPv4.Enabled = at_first[i] == 4 || at_first[i] == 10;
        adapter.offload.Rsc.IPv6.Enabled = at_first[i] >= 6;
        cluster_standard(&cluster, 2);
        need(node_start_with(&node, tap_seed(), &adapter));
        is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
        node_run(&node, 20 * MS, ALL(2));
        is_int(rsc_on(&node), at_first[i], "a node that only serves is as it was");
        need(node_promote(&node, ALL(2)));
        node_run(&node, 20 * MS, ALL(2));
        is_int(rsc_on(&node), 0, "dispatcher");
        is_status(node_ioctl(&node, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0, NULL),
                  STATUS_SUCCESS);
        node_run(&node, 20 * MS, ALL(2));
        is_int(rsc_on(&node), at_first[i], "what was on is on again, and nothing else");
        node_stop(&node);
    }
}
