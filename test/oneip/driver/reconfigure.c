/* What a live change must not cost: frames of any size, and the role. */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>

/* Up to the last byte of the adapter's MTU, before and after that changes. */
NT_TEST(frames_of_every_size_are_forwarded_whole)
{
    static const ULONG mtus[] = {1500, 1400, 1280};
    struct node node;
    struct cluster cluster;

    cluster_standard(&cluster, 2);
    cluster.members[0].Weight = 0;
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    for (unsigned m = 0; m < RTL_NUMBER_OF(mtus); m++) {
        ndis_lower_mtu(test_edge_adapter(node.edge), mtus[m]);
        need(node_promote(&node, ALL(2)));
        node_run(&node, 20 * MS, ALL(2));
        node_drain(&node);
        for (unsigned bytes = mtus[m] - 100; bytes <= mtus[m]; bytes++) {
            bool ipv4 = bytes % 2;
            struct packet packet = packet_standard(ipv4 ? ip4(10, 1, 0, 1) : ip6(0x10001));
            packet.payload = bytes - (ipv4 ? 40 : 60);
            struct test_frame *whole = packet_frame(&packet);
            tap_at("MTU %u, %u bytes", mtus[m], bytes);
            node_receive(&node, packet_frame(&packet));
            struct test_frame *out = node_wire(&node);
            if (ok(out)) {
                is_int(out->bytes, whole->bytes);
                is_mem(out->data + 12, whole->data + 12, whole->bytes - 12);
            }
            free(out);
            free(whole);
        }
    }
    tap_at(NULL);
    node_stop(&node);
}

NT_TEST(another_beacon_interval_does_not_cost_the_role)
{
    static const UINT32 intervals[] = {10, 100, 1000, 5, 200, 1};
    struct node node;
    struct cluster cluster;

    cluster_standard(&cluster, 2);
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(2)));
    node_run(&node, 20 * MS, ALL(2));
    for (unsigned i = 0; i < RTL_NUMBER_OF(intervals); i++) {
        uint64_t takeovers = node_status(&node, NULL).Takeovers;
        tap_at("%u ms", intervals[i]);
        cluster.header.Generation++;
        cluster.header.BeaconMilliseconds = intervals[i];
        is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
        for (unsigned n = 0; n < 100; n++) {
            /* The other's beacons at the pace of the shortest interval: only ours is at issue. */
            peer_beacon(&node, 1, OipBeaconPresence, 0);
            sched_run_for(intervals[i] * MS / 10);
            if (node_status(&node, NULL).Role != OneIpRoleDispatcher) {
                fail("role %u after %u tenths of an interval", node_status(&node, NULL).Role, n);
                break;
            }
        }
        is_int(node_status(&node, NULL).Takeovers, takeovers);
        if (tap_failing())
            break;
        node_run(&node, 3 * (uint64_t)intervals[i] * MS, ALL(2));
        node_drain(&node);
    }
    tap_at(NULL);
    node_stop(&node);
}
