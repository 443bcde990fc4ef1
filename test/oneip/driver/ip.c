/* All of IP: fragments, extension headers, options, ICMP errors, 802.1Q tags. */
#include "account.h"
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

enum { SYN = 2, ACK = 0x18 };

static void put16(UCHAR *at, unsigned value)
{
    at[0] = (UCHAR)(value >> 8);
    at[1] = (UCHAR)value;
}

/* A frame with `extra` bytes put in at `offset`. */
static struct test_frame *widen(struct test_frame *frame, unsigned offset, unsigned extra)
{
    struct test_frame *wide = calloc(1, sizeof *wide + frame->bytes + extra);

    wide->bytes = frame->bytes + extra;
    memcpy(wide->data, frame->data, offset);
    memcpy(wide->data + offset + extra, frame->data + offset, frame->bytes - offset);
    free(frame);
    return wide;
}

static struct packet datagram(unsigned client, unsigned payload)
{
    struct packet packet =
        packet_standard(client % 2 ? ip4(10, 8, client >> 8, client & 255) : ip6(0x80000 + client));

    packet.protocol = 17;
    packet.source_port = 3000 + client;
    packet.payload = payload;
    return packet;
}

static void accounted(struct node *node)
{
    static const struct account since_the_start;
    ONEIP_STATS stats = node_stats(node);

    account_counters(&since_the_start, &stats);
}

NT_TEST(fragments_in_any_order_go_to_the_server_of_their_flow)
{
    enum { CLIENTS = 40, MOST = 48 };
    struct node node;
    struct cluster cluster;
    unsigned seen[5] = {0};

    need(node_dispatcher(&node, &cluster, 4));
    cluster.header.Affinity = OneIpAffinityFiveTuple; /* so that addresses alone are not enough */
    node_apply(&node, &cluster);
    for (unsigned client = 0; client < CLIENTS; client++) {
        struct packet small = datagram(client, 100), large = datagram(client, 60000);
        unsigned server = node_serve(&node, &small), order[MOST], parts = 0, got = 0;
        bool came[MOST] = {false};
        struct test_frame *frame;

        seen[server]++;
        if (client % 4 == 1) { /* pinned by its flow only */
            cluster.header.HashKey[client % 16] ^= 1;
            node_apply(&node, &cluster);
        }
        while ((frame = packet_fragment(&large, client, parts))) {
            free(frame);
            order[parts] = parts, parts++;
        }
        for (unsigned i = 0; i < parts; i++) {
            unsigned j = i + sched_choose(parts - i), k = order[i];
            order[i] = order[j], order[j] = k;
        }
        for (unsigned i = 0; i < parts; i++)
            node_receive(&node, packet_fragment(&large, client, order[i]));
        while ((frame = node_wire(&node)) || (frame = node_stack(&node))) {
            bool up = !memcmp(frame->data, (UCHAR[6])NODE_MAC(1), 6);
            const UCHAR *ip = frame->data + 14;
            unsigned start = large.source.family == 4 ? ((ip[6] & 0x1f) << 8 | ip[7]) * 8
                                                      : (ip[42] << 8 | (ip[43] & 0xf8));

            is_int(up ? 1 : frame->data[5], server, "client %u, from byte %u", client, start);
            ok(!came[start / 1400]);
            came[start / 1400] = true;
            struct test_frame *sent = packet_fragment(&large, client, start / 1400);
            is_mem(frame->data + 12, sent->data + 12, sent->bytes - 12, "unchanged");
            free(sent);
            free(frame);
            got++;
        }
        is_int(got, parts, "all of a datagram");
    }
    for (unsigned n = 1; n <= 4; n++)
        ok(seen[n] > 0, "node %u", n);
    is_int(node_stats(&node).FragmentsHeld, 0);
    accounted(&node);
    node_stop(&node);
}

NT_TEST(fragments_without_a_first_are_dropped_in_time_and_bounded)
{
    struct node node;
    struct cluster cluster;
    struct packet large = datagram(1, 60000);

    need(node_dispatcher(&node, &cluster, 4));
    node_receive(&node, packet_fragment(&large, 77, 3));
    node_receive(&node, packet_fragment(&large, 77, 4));
    is_int(node_stats(&node).FragmentsHeld, 2);
    accounted(&node);
    node_run(&node, 1900 * MS, ALL(4));
    node_drain(&node);
    is_int(node_stats(&node).FragmentsHeld, 2);
    node_run(&node, 200 * MS, ALL(4));
    node_drain(&node);
    is_int(node_stats(&node).FragmentsHeld, 0);
    is_int(node_stats(&node).Drops[OneIpDropFragment], 2);

    for (unsigned id = 0; id < 3000; id++)
        node_receive(&node, packet_fragment(&large, id, 1 + id % 40));
    ok(node_stats(&node).FragmentsHeld <= 1024);
    ok(node_stats(&node).FragmentsHeld > 100);
    accounted(&node);
    ndis_adapter_pause(test_edge_adapter(node.edge));
    is_int(node_stats(&node).FragmentsHeld, 0, "a pause lets go of them");
    accounted(&node);
    ndis_adapter_restart(test_edge_adapter(node.edge));
    need(node_promote(&node, ALL(4)));
    node_receive(&node, packet_fragment(&large, 5, 1));
    is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    accounted(&node);
    node_stop(&node);
}

NT_TEST(a_first_fragment_without_its_ports_is_dropped)
{
    struct node node;
    struct cluster cluster;

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned client = 0; client < 2; client++) {
        struct packet packet = datagram(client, 2000);
        struct test_frame *frame = packet_fragment(&packet, 9, 0);
        unsigned header = client % 2 ? 34 : 62;
        frame->data[client % 2 ? 23 : 54] = 6; /* TCP */
        frame->bytes = header + 16;
        if (client % 2) {
            put16(frame->data + 16, 36);
            frame_fix_ipv4(frame->data + 14);
        } else {
            put16(frame->data + 18, 24);
        }
        is_int(node_serve_frame(&node, frame), 0);
        is_int(node_stats(&node).Drops[OneIpDropMalformed], client + 1);
    }
    accounted(&node);
    node_stop(&node);
}

/* Options and extension headers before the transport header. */
static struct test_frame *with_headers(const struct packet *packet, unsigned kind)
{
    struct test_frame *frame = packet_frame(packet);

    if (packet->source.family == 4) {
        unsigned options = kind % 2 ? 40 : 8;
        frame = widen(frame, 34, options);
        memset(frame->data + 34, 1, options); /* NOPs */
        frame->data[14] = (UCHAR)(0x45 + options / 4);
        put16(frame->data + 16, frame->bytes - 14);
        frame_fix_ipv4(frame->data + 14);
        return frame;
    }
    /* Hop-by-hop, destination options (long ones, too), routing, an atomic fragment. */
    static const UCHAR chains[4][4] = {{0}, {0, 60}, {0, 60, 43, 44}, {60}};
    static const unsigned lengths[4][4] = {{8}, {8, 16}, {8, 24, 24, 8}, {1024}};
    unsigned at = 54, count = kind % 4 == 0 ? 1 : kind % 4 == 1 ? 2 : kind % 4 == 2 ? 4 : 1;
    for (unsigned i = 0; i < count; i++) {
        unsigned bytes = lengths[kind % 4][i];
        frame = widen(frame, at, bytes);
        frame->data[at] = i + 1 < count ? chains[kind % 4][i + 1] : (UCHAR)packet->protocol;
        frame->data[at + 1] = (UCHAR)(bytes / 8 - 1);
        if (chains[kind % 4][i] == 44)
            frame->data[at + 1] = 0, frame->data[at + 7] = 9;
        at += bytes;
    }
    frame->data[20] = chains[kind % 4][0];
    put16(frame->data + 18, frame->bytes - 54);
    return frame;
}

NT_TEST(options_and_extension_headers_hide_no_flow)
{
    struct node node;
    struct cluster cluster;

    need(node_dispatcher(&node, &cluster, 4));
    cluster.header.Affinity = OneIpAffinityFiveTuple;
    node_apply(&node, &cluster);
    for (unsigned client = 0; client < 80; client++) {
        struct packet packet =
            packet_standard(client % 2 ? ip4(10, 8, 1, client) : ip6(0x81000 + client));
        packet.protocol = client % 3 ? 6 : 17;
        packet.tcp_flags = SYN;
        unsigned server = node_serve(&node, &packet);
        packet.tcp_flags = ACK;
        is_int(node_serve_frame(&node, with_headers(&packet, client / 2)), server, "client %u",
               client);
    }
    is_int(node_stats(&node).FlowHits, 80);

    struct packet packet = packet_standard(ip6(0x82000));
    struct test_frame *broken = with_headers(&packet, 0);
    broken->data[55] = 200; /* longer than the packet */
    is_int(node_serve_frame(&node, broken), 0);
    is_int(node_stats(&node).Drops[OneIpDropMalformed], 1);
    accounted(&node);
    node_stop(&node);
}

/* An ICMP error of a router about a packet that the cluster sent to the client. */
static struct test_frame *icmp_error(const struct packet *packet, bool extension)
{
    bool ipv4 = packet->source.family == 4;
    struct packet back = *packet, error = {0};
    struct test_frame *frame, *quoted;

    back.source = packet->target;
    back.target = packet->source;
    back.source_port = packet->target_port;
    back.target_port = packet->source_port;
    back.payload = 40;
    quoted = extension ? with_headers(&back, 1) : packet_frame(&back);
    error.source = ipv4 ? ip4(192, 0, 2, 1) : ip6(0x99999);
    error.target = packet->target;
    memcpy(error.target_mac, packet->target_mac, 6);
    memcpy(error.source_mac, packet->source_mac, 6);
    error.protocol = ipv4 ? 1 : 58;
    error.payload = quoted->bytes - 14;
    frame = packet_frame(&error);
    UCHAR *icmp = frame->data + (ipv4 ? 34 : 54);
    icmp[0] = ipv4 ? 3 : 2; /* fragmentation needed; packet too big */
    icmp[1] = ipv4 ? 4 : 0;
    put16(icmp + 6, 1280);
    memcpy(icmp + 8, quoted->data + 14, quoted->bytes - 14);
    free(quoted);
    return frame;
}

NT_TEST(icmp_errors_go_to_the_server_of_the_flow_that_they_quote)
{
    struct node node;
    struct cluster cluster;
    unsigned same = 0;

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned client = 0; client < 60; client++) {
        struct packet packet =
            packet_standard(client % 2 ? ip4(10, 8, 2, client) : ip6(0x83000 + client));
        packet.tcp_flags = SYN;
        unsigned server = node_serve(&node, &packet);
        cluster.header.HashKey[client % 16] ^= 1;
        node_apply(&node, &cluster);
        is_int(node_serve_frame(&node, icmp_error(&packet, client % 4 == 0)), server, "client %u",
               client);
        packet.source_port++;
        packet.tcp_flags = ACK;
        struct packet other = packet; /* a flow that is not known: like its frames, by the client */
        same += node_serve_frame(&node, icmp_error(&packet, false)) == node_serve(&node, &other);
    }
    is_int(same, 60);
    accounted(&node);
    node_stop(&node);
}

static struct test_frame *tagged(struct test_frame *frame, unsigned vid)
{
    frame = widen(frame, 12, 4);
    put16(frame->data + 12, 0x8100);
    put16(frame->data + 14, vid);
    return frame;
}

NT_TEST(vlan_tags_are_kept_in_the_frame_and_out_of_band)
{
    static const UCHAR broadcast[6] = {255, 255, 255, 255, 255, 255}, client[6] = CLIENT_MAC;
    static const UCHAR zero[6];
    struct node node;
    struct cluster cluster;
    struct test_frame *out;

    struct ndis_adapter_config adapter;
    node_adapter_config(&adapter);
    adapter.vlan = true;
    cluster_standard(&cluster, 4);
    need(node_start_with(&node, tap_seed(), &adapter));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(4)));
    for (unsigned n = 0; n < 40; n++) {
        struct packet packet = packet_standard(n % 2 ? ip4(10, 8, 3, n) : ip6(0x84000 + n));
        packet.tcp_flags = SYN;
        packet.payload = n % 5 ? 100 : 1440 - (packet.source.family == 4 ? 0 : 20);
        unsigned server = node_serve(&node, &packet);
        packet.tcp_flags = ACK;
        is_int(node_serve_frame(&node, tagged(packet_frame(&packet), 10)), server, "client %u", n);
        struct test_frame *band = packet_frame(&packet);
        band->vlan = 10 << 4;
        node_receive(&node, band);
        if ((out = node_wire(&node))) {
            is_int(out->data[5], server);
            is_hex(out->vlan, 10 << 4);
            free(out);
        } else {
            is_int(server, 1);
            free(node_stack(&node));
        }
    }
    node_receive(&node, tagged(arp_frame(broadcast, client, 1, client, ip4(10, 8, 3, 1), zero,
                                         ip4(10, 0, 0, 100)),
                               10));
    out = node_wire(&node);
    need(out != NULL);
    is_hex(out->data[12] << 8 | out->data[13], 0x8100);
    is_int(out->data[15], 10);
    is_hex(out->data[16] << 8 | out->data[17], 0x0806);
    is_mem(out->data + 32, ((UCHAR[4]){10, 0, 0, 100}), 4, "the sender's address");
    free(out);
    struct test_frame *ask =
        arp_frame(broadcast, client, 1, client, ip4(10, 8, 3, 1), zero, ip4(10, 0, 0, 100));
    ask->vlan = 20 << 4;
    node_receive(&node, ask);
    out = node_wire(&node);
    need(out != NULL);
    is_hex(out->vlan, 20 << 4);
    free(out);
    accounted(&node);

    /* Announcements on the VLANs that clients were seen on: both kinds, and untagged. */
    unsigned in_frame = 0, out_of_band = 0, untagged = 0;
    node_run(&node, 61000 * MS, ALL(4));
    while ((out = node_wire(&node))) {
        unsigned at = out->data[12] == 0x81 ? 4 : 0;
        if (out->data[12 + at] == 0x08 && out->data[13 + at] == 0x06) {
            in_frame += at && out->data[15] == 10;
            out_of_band += out->vlan == 10 << 4;
            untagged += !at && !out->vlan;
        }
        free(out);
    }
    is_int(in_frame, untagged);
    is_int(out_of_band, untagged);
    ok(untagged > 0);
    node_stop(&node);
}
