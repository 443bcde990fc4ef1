/* The data path as a dispatcher, and as a server. */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>
#include <string.h>

static unsigned mac_node(const struct test_frame *frame)
{
    return frame->data[5];
}

NT_TEST(every_client_has_its_server_by_any_protocol)
{
    static const unsigned protocols4[] = {6, 17, 1}, protocols6[] = {6, 17, 58};
    struct node node;
    struct cluster cluster;
    unsigned served[5] = {0};

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned i = 0; i < 400; i++) {
        struct packet packet =
            packet_standard(i % 2 ? ip4(10, 1, i >> 8, i & 255) : ip6(0x10000 + i));
        unsigned first = node_serve(&node, &packet);

        if (!ok(first >= 1 && first <= 4, "client %u served by %u", i, first))
            break;
        served[first]++;
        for (unsigned p = 0; p < 3; p++) {
            packet.protocol = i % 2 ? protocols4[p] : protocols6[p];
            packet.source_port = 1024 + i * 7 + p;
            is_int(node_serve(&node, &packet), first,
                   "the same server for every connection of a client");
        }
        ONEIP_LOOKUP lookup = {.Client = {packet.source.family, 0, {0}},
                               .Cluster = cluster.addresses[i % 2 ? 0 : 1],
                               .Protocol = packet.protocol};
        ONEIP_LOOKUP_RESULT result = {0};
        memcpy(lookup.Client.Address, packet.source.bytes, 16);
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL);
        is_int(result.NodeId, first, "LOOKUP agrees with the data path");
    }
    for (unsigned n = 1; n <= 4; n++)
        ok(served[n] > 60, "node %u serves %u of 400", n, served[n]);
    node_stop(&node);
}

NT_TEST(shares_follow_the_weights_within_three_percent)
{
    static const unsigned weights[] = {1, 2, 3, 4};
    enum { CLIENTS = 100000 };
    struct node node;
    struct cluster cluster;
    unsigned served[5] = {0};
    struct test_frame *batch[64];

    cluster_standard(&cluster, 4);
    for (unsigned i = 0; i < 4; i++)
        cluster.members[i].Weight = weights[i];
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(4)));
    for (unsigned i = 0; i < CLIENTS; i += 64) {
        for (unsigned j = 0; j < 64; j++) {
            struct packet packet =
                packet_standard(ip4(10, 64 + ((i + j) >> 16), (i + j) >> 8 & 255, (i + j) & 255));
            batch[j] = packet_frame(&packet);
        }
        test_edge_wire(node.edge, (const struct test_frame *const *)batch, 64);
        for (unsigned j = 0; j < 64; j++)
            free(batch[j]);
        struct test_frame *frame;
        while ((frame = node_wire(&node))) {
            served[mac_node(frame)]++;
            free(frame);
        }
        while ((frame = node_stack(&node))) {
            served[1]++;
            free(frame);
        }
        if (i % 6400 == 0)
            node_run(&node, 1 * MS, ALL(4));
    }
    unsigned total = served[1] + served[2] + served[3] + served[4];
    is_int(total, (CLIENTS + 63) / 64 * 64, "every frame went somewhere");
    for (unsigned n = 1; n <= 4; n++) {
        double share = (double)served[n] / total / (weights[n - 1] / 10.0);
        ok(share > 0.97 && share < 1.03, "node %u: %.4f of its share", n, share);
    }
    ONEIP_STATS stats = node_stats(&node);
    ok(stats.FramesForwarded >= served[2] + served[3] + served[4]);
    UINT64 drops = 0;
    for (unsigned i = 0; i < 16; i++)
        drops += stats.Drops[i];
    is_int(stats.FramesIndicated,
           stats.FramesPassed + stats.FramesForwarded + stats.FramesConsumed + drops,
           "every frame is accounted for");
    node_stop(&node);
}

NT_TEST(five_tuple_affinity_spreads_the_connections_of_one_client)
{
    struct node node;
    struct cluster cluster;
    unsigned seen = 0;

    cluster_standard(&cluster, 4);
    cluster.header.Affinity = OneIpAffinityFiveTuple;
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(4)));
    struct packet packet = packet_standard(ip4(10, 1, 1, 1));
    for (unsigned port = 2000; port < 2100; port++) {
        packet.source_port = port;
        unsigned first = node_serve(&node, &packet);
        seen |= 1u << first;
        is_int(node_serve(&node, &packet), first, "a connection stays");
    }
    is_hex(seen, 0x1e, "all four");
    packet.protocol = 1;
    unsigned first = node_serve(&node, &packet);
    packet.source_port = 77;
    is_int(node_serve(&node, &packet), first, "echo has no ports");
    node_stop(&node);
}

NT_TEST(modulo_dispatch_is_the_papers)
{
    struct node node;
    struct cluster cluster;
    unsigned served[5] = {0};

    cluster_standard(&cluster, 4);
    cluster.header.Dispatch = OneIpDispatchModulo;
    cluster.members[0].Weight = 100;
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(4)));
    for (unsigned i = 0; i < 400; i++) {
        struct packet packet = packet_standard(ip4(10, 1, i >> 8, i & 255));
        served[node_serve(&node, &packet)]++;
    }
    is_int(served[0], 0);
    for (unsigned n = 1; n <= 4; n++)
        ok(served[n] > 60 && served[n] < 140, "weights are ignored: %u of 400", served[n]);
    node_stop(&node);
}

NT_TEST(a_member_that_falls_silent_serves_no_more_and_comes_back_to_its_clients)
{
    enum { CLIENTS = 200 };
    struct node node;
    struct cluster cluster;
    unsigned before[CLIENTS], moved = 0;

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct packet packet = packet_standard(ip4(10, 2, 0, i));
        before[i] = node_serve(&node, &packet);
    }
    node_run(&node, 200 * MS, ALL(4) & ~(1ull << 2)); /* node 3 is silent */
    node_drain(&node);
    ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];
    node_status(&node, members);
    is_int(members[2].Alive, 0);
    is_int(members[2].Slots, 0);
    ok(members[2].SilentMs >= 100);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct packet packet = packet_standard(ip4(10, 2, 0, i));
        unsigned now = node_serve(&node, &packet);
        ok(now != 3 && now != 0);
        if (before[i] != 3)
            is_int(now, before[i], "nobody else's client moves");
        else
            moved++;
    }
    ok(moved > 20);
    node_run(&node, 100 * MS, ALL(4));
    node_drain(&node);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct packet packet = packet_standard(ip4(10, 2, 0, i));
        is_int(node_serve(&node, &packet), before[i]);
    }
    node_stop(&node);
}

NT_TEST(a_new_table_is_in_force_when_its_ioctl_completes)
{
    struct node node;
    struct cluster cluster;

    need(node_dispatcher(&node, &cluster, 3));
    struct packet packet = packet_standard(ip4(10, 3, 0, 1));
    for (unsigned generation = 2; generation < 40; generation++) {
        unsigned only = generation % 3;
        for (unsigned i = 0; i < 3; i++)
            cluster.members[i].Weight = i == only;
        cluster.header.Generation = generation;
        is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
        packet.source_port = 2000 + generation; /* another connection: flows stay where they are */
        packet.tcp_flags = 2;                   /* SYN */
        is_int(node_serve(&node, &packet), only + 1);
        node_run(&node, 10 * MS, ALL(3));
        node_drain(&node);
    }
    node_stop(&node);
}

NT_TEST(what_is_not_the_clusters_passes_untouched)
{
    struct node node;
    struct cluster cluster;

    need(node_dispatcher(&node, &cluster, 4));
    ONEIP_STATS before = node_stats(&node);
    struct packet packet = packet_standard(ip4(10, 4, 0, 1));
    packet.target = ip4(10, 0, 0, 1); /* the node's own address */
    is_int(node_serve(&node, &packet), 1);
    packet.target = ip4(10, 0, 0, 100);
    node_packet_filter(&node, NDIS_PACKET_TYPE_PROMISCUOUS);
    packet.target_mac[5] = 9; /* somebody else's frame, seen in promiscuous mode */
    is_int(node_serve(&node, &packet), 1);
    struct test_frame *junk = calloc(1, sizeof *junk + 60);
    junk->bytes = 60;
    junk->data[12] = 0x90;
    node_receive(&node, junk);
    free(node_stack(&node));
    is_int(node_stats(&node).FramesIndicated, before.FramesIndicated, "none of it is counted");
    packet.target_mac[0] = 3; /* multicast at the link, the cluster's address in IP */
    packet.target_mac[5] = 1;
    is_int(node_serve(&node, &packet), 0);
    is_int(node_stats(&node).Drops[OneIpDropMalformed], before.Drops[OneIpDropMalformed] + 1);
    node_stop(&node);
}

NT_TEST(a_backup_takes_what_the_dispatcher_sends_and_nothing_else)
{
    struct node node;
    struct cluster cluster;

    cluster_standard(&cluster, 4);
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(&node, 1, OipBeaconDispatcher, 7);
        sched_run_for(10 * MS);
    }
    is_int(node_status(&node, NULL).Role, OneIpRoleBackup);
    is_int(node_status(&node, NULL).Dispatcher, 2);
    node_drain(&node);
    struct packet packet = packet_standard(ip4(10, 5, 0, 1));
    is_int(node_serve(&node, &packet), 0, "a client's frame, straight to a backup");
    is_int(node_stats(&node).Drops[OneIpDropNotDispatcher], 1);
    memcpy(packet.source_mac, (UCHAR[])NODE_MAC(2), 6);
    for (unsigned i = 0; i < 50; i++) {
        packet.source = ip4(10, 5, 1, i);
        is_int(node_serve(&node, &packet), 1, "dispatched to us, whoever the client is");
    }
    node_stop(&node);
}

NT_TEST(malformed_ip_for_the_cluster_is_dropped_and_counted)
{
    struct node node;
    struct cluster cluster;
    struct packet packet = packet_standard(ip4(10, 6, 0, 1));

    need(node_dispatcher(&node, &cluster, 4));
    UINT64 before = node_stats(&node).Drops[OneIpDropMalformed];
    struct test_frame *frame = packet_frame(&packet);
    frame->data[14] = 0x44; /* header of 16 bytes */
    node_receive(&node, frame);
    frame = packet_frame(&packet);
    frame->data[16] = 0xff; /* longer than the frame */
    node_receive(&node, frame);
    frame = packet_frame(&packet);
    frame->data[17] = 10; /* shorter than its header */
    frame->data[16] = 0;
    node_receive(&node, frame);
    packet = packet_standard(ip6(0x70001));
    frame = packet_frame(&packet);
    frame->data[18] = 0xff; /* payload length */
    node_receive(&node, frame);
    is_int(node_stats(&node).Drops[OneIpDropMalformed], before + 4);
    ok(!node_wire(&node) && !node_stack(&node));
    /* Cut at every length: whatever happens, nothing leaves and nobody crashes. */
    packet = packet_standard(ip4(10, 6, 0, 2));
    for (unsigned length = 14; length < 64; length++) {
        frame = packet_frame(&packet);
        frame->bytes = length < frame->bytes ? length : frame->bytes;
        bool whole = length >= frame->bytes && length >= 64;
        node_receive(&node, frame);
        struct test_frame *out = node_wire(&node);
        ok(whole || !out, "%u bytes", length);
        free(out);
        free(node_stack(&node));
    }
    node_stop(&node);
}
