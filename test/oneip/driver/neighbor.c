/* ARP and NDP for the cluster's addresses, from the wire and from the node's own stack. */
#include "fixture.h"
#include "frames.h"

#include <stdlib.h>
#include <string.h>

static const UCHAR broadcast[6] = {255, 255, 255, 255, 255, 255};
static const UCHAR own[6] = NODE_MAC(1);
static const UCHAR client_mac[6] = CLIENT_MAC;
static const UCHAR zero_mac[6];
static const UCHAR solicited_mac[6] = {0x33, 0x33, 0xff, 0, 1, 0};
static const UCHAR all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

static struct address vip4(void)
{
    return ip4(10, 0, 0, 100);
}

static struct address vip6(void)
{
    return ip6(0x100);
}

static struct address solicited(void)
{
    return (struct address){6, {0xff, 2, [11] = 1, [12] = 0xff, [14] = 1}};
}

static bool node_as(struct node *node, bool dispatcher)
{
    struct cluster cluster;

    cluster_standard(&cluster, 3);
    if (!node_start(node, tap_seed()) || !is_status(node_configure(node, &cluster), STATUS_SUCCESS))
        return false;
    if (dispatcher)
        return node_promote(node, ALL(3));
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(node, 1, OipBeaconDispatcher, 7);
        sched_run_for(10 * MS);
    }
    node_drain(node);
    return is_int(node_status(node, NULL).Role, OneIpRoleBackup);
}

/* Exactly one frame left below, and none came up; the caller frees it. */
static struct test_frame *one_reply(struct node *node)
{
    struct test_frame *reply = node_wire(node);
    struct test_frame *more = reply ? node_wire(node) : NULL;
    struct test_frame *up = node_stack(node);

    ok(reply != NULL, "an answer");
    ok(!more, "one answer");
    ok(!up, "nothing reaches the stack");
    free(more);
    free(up);
    return reply;
}

static void nothing(struct node *node)
{
    struct test_frame *reply = node_wire(node);
    struct test_frame *up = node_stack(node);

    ok(!reply, "no answer");
    ok(!up, "nothing reaches the stack");
    free(reply);
    free(up);
}

NT_TEST(the_dispatcher_answers_arp_and_nobody_else)
{
    for (unsigned dispatcher = 0; dispatcher < 2; dispatcher++) {
        struct node node;

        tap_at(dispatcher ? "dispatcher" : "backup");
        need(node_as(&node, dispatcher));
        node_receive(&node, arp_frame(broadcast, client_mac, 1, client_mac, ip4(10, 0, 9, 9),
                                      zero_mac, vip4()));
        if (dispatcher) {
            struct test_frame *reply = one_reply(&node);
            struct test_frame *expected =
                arp_frame(client_mac, own, 2, own, vip4(), client_mac, ip4(10, 0, 9, 9));
            if (reply) {
                is_int(reply->bytes, 42);
                is_mem(reply->data, expected->data, 42);
            }
            free(reply);
            free(expected);
        } else {
            nothing(&node);
        }
        /* For other addresses the stack answers itself. */
        node_receive(&node, arp_frame(broadcast, client_mac, 1, client_mac, ip4(10, 0, 9, 9),
                                      zero_mac, ip4(10, 0, 0, 1)));
        struct test_frame *up = node_stack(&node);
        ok(up);
        free(up);
        node_stop(&node);
    }
}

NT_TEST(the_dispatcher_answers_neighbor_solicitations_and_nobody_else)
{
    for (unsigned dispatcher = 0; dispatcher < 2; dispatcher++) {
        struct node node;
        struct address target = vip6();

        tap_at(dispatcher ? "dispatcher" : "backup");
        need(node_as(&node, dispatcher));
        node_receive(&node, nd_frame(solicited_mac, client_mac, 135, ip6(0x99), solicited(),
                                     &target, 0, client_mac));
        if (dispatcher) {
            struct test_frame *reply = one_reply(&node);
            struct test_frame *expected =
                nd_frame(client_mac, own, 136, vip6(), ip6(0x99), &target, 0x60, own);
            if (reply) {
                is_int(reply->bytes, expected->bytes);
                is_mem(reply->data, expected->data, expected->bytes);
                ok(frame_checksums_right(reply));
            }
            free(reply);
            free(expected);
        } else {
            nothing(&node);
        }
        struct test_frame *bad = nd_frame(solicited_mac, client_mac, 135, ip6(0x99), solicited(),
                                          &target, 0, client_mac);
        bad->data[60] ^= 1; /* checksum */
        node_receive(&node, bad);
        nothing(&node);
        node_stop(&node);
    }
}

NT_TEST(claims_of_others_are_events_and_never_reach_the_stack)
{
    for (unsigned dispatcher = 0; dispatcher < 2; dispatcher++) {
        struct node node;
        struct address target = vip6();
        static const UCHAR member[6] = NODE_MAC(2);
        ONEIP_EVENT events[64];
        ULONG_PTR bytes = 0;

        tap_at(dispatcher ? "dispatcher" : "backup");
        need(node_as(&node, dispatcher));
        uint64_t sequence = node_status(&node, NULL).EventSequence;
        UINT64 announcements = node_stats(&node).Announcements;

        /* A member's announcement is none. */
        node_receive(&node, arp_frame(broadcast, member, 1, member, vip4(), zero_mac, vip4()));
        nothing(&node);
        is_int(node_stats(&node).AddressConflicts, 0);
        node_receive(&node,
                     arp_frame(broadcast, client_mac, 1, client_mac, vip4(), zero_mac, vip4()));
        free(node_wire(&node)); /* the dispatcher defends it at once, too */
        ok(!node_stack(&node));
        is_int(node_stats(&node).AddressConflicts, 1);
        sched_run_for(1100 * MS);
        node_drain(&node);
        node_receive(&node,
                     arp_frame(own, client_mac, 2, client_mac, vip4(), own, ip4(10, 0, 0, 1)));
        nothing(&node);
        sched_run_for(1100 * MS);
        node_drain(&node);
        /* A probe (RFC 5227) and duplicate address detection (RFC 4862). */
        node_receive(&node, arp_frame(broadcast, client_mac, 1, client_mac, ip4(0, 0, 0, 0),
                                      zero_mac, vip4()));
        free(node_wire(&node));
        ok(!node_stack(&node));
        struct address unspecified = {6, {0}};
        sched_run_for(1100 * MS);
        node_drain(&node);
        node_receive(&node, nd_frame(solicited_mac, client_mac, 135, unspecified, solicited(),
                                     &target, 0, NULL));
        struct test_frame *defence = node_wire(&node);
        if (node_status(&node, NULL).Role == OneIpRoleDispatcher) {
            if (ok(defence)) {
                is_mem(defence->data, all_nodes_mac, 6);
                is_int(defence->data[58], 0x20, "override, not solicited");
            }
        }
        free(defence);
        ok(!node_stack(&node));
        node_receive(&node,
                     nd_frame(all_nodes_mac, client_mac, 136, vip6(),
                              (struct address){6, {0xff, 2, [15] = 1}}, &target, 0x20, client_mac));
        nothing(&node);
        is_int(node_stats(&node).AddressConflicts, 5);

        is_status(node_ioctl(&node, ONEIP_IOCTL_WAIT_EVENT, &(ONEIP_WAIT_EVENT){sequence},
                             sizeof(ONEIP_WAIT_EVENT), events, sizeof events, &bytes),
                  STATUS_SUCCESS);
        unsigned conflicts = 0;
        for (unsigned i = 0; i < bytes / sizeof *events; i++) {
            if (events[i].Kind != OneIpEventConflict)
                continue;
            conflicts++;
            is_mem(events[i].Mac, client_mac, 6);
            ok(events[i].Address.Family == 4
                   ? !memcmp(events[i].Address.Address, vip4().bytes, 4)
                   : !memcmp(events[i].Address.Address, vip6().bytes, 16));
        }
        is_int(conflicts, 4, "at most one a second");
        if (dispatcher)
            ok(node_stats(&node).Announcements > announcements,
               "the dispatcher announces in defence");
        node_stop(&node);
    }
}

/* What leaves is `expected`; the stack's frame is completed (node_stop checks that). */
static void leaves(struct node *node, struct test_frame *sent, struct test_frame *expected)
{
    node_send(node, sent);
    struct test_frame *out = node_wire(node);
    if (expected && ok(out, "it leaves")) {
        is_int(out->bytes, expected->bytes);
        is_mem(out->data, expected->data, expected->bytes);
    } else if (!expected) {
        ok(!out, "it does not leave");
    }
    free(out);
    free(expected);
}

NT_TEST(requests_by_the_cluster_address_leave_with_the_nodes_own)
{
    for (unsigned dispatcher = 0; dispatcher < 2; dispatcher++) {
        struct node node;
        struct address target = ip6(0x99), own4 = ip4(10, 0, 0, 1), own6 = ip6(1);
        struct address routers = {6, {0xff, 2, [15] = 2}};
        static const UCHAR routers_mac[6] = {0x33, 0x33, 0, 0, 0, 2};

        tap_at(dispatcher ? "dispatcher" : "backup");
        need(node_as(&node, dispatcher));
        leaves(&node, arp_frame(broadcast, own, 1, own, vip4(), zero_mac, ip4(10, 0, 9, 9)),
               arp_frame(broadcast, own, 1, own, own4, zero_mac, ip4(10, 0, 9, 9)));
        leaves(&node, nd_frame(solicited_mac, own, 135, vip6(), solicited(), &target, 0, own),
               nd_frame(solicited_mac, own, 135, own6, solicited(), &target, 0, own));
        leaves(&node, nd_frame(routers_mac, own, 133, vip6(), routers, NULL, 0, own),
               nd_frame(routers_mac, own, 133, own6, routers, NULL, 0, own));
        is_int(node_stats(&node).NeighborRewritten, 3);
        /* The node's own pass. */
        leaves(&node, arp_frame(broadcast, own, 1, own, own4, zero_mac, ip4(10, 0, 9, 9)),
               arp_frame(broadcast, own, 1, own, own4, zero_mac, ip4(10, 0, 9, 9)));
        leaves(&node, nd_frame(client_mac, own, 136, own6, target, &own6, 0x60, own),
               nd_frame(client_mac, own, 136, own6, target, &own6, 0x60, own));
        node_stop(&node);
    }
}

NT_TEST(a_stack_announces_probes_and_answers_nothing_of_the_clusters)
{
    for (unsigned dispatcher = 0; dispatcher < 2; dispatcher++) {
        struct node node;
        struct address target = vip6(), unspecified = {6, {0}};

        tap_at(dispatcher ? "dispatcher" : "backup");
        need(node_as(&node, dispatcher));
        leaves(&node, arp_frame(broadcast, own, 1, own, vip4(), zero_mac, vip4()), NULL);
        leaves(&node, arp_frame(broadcast, own, 1, own, ip4(0, 0, 0, 0), zero_mac, vip4()), NULL);
        leaves(&node, arp_frame(client_mac, own, 2, own, vip4(), client_mac, ip4(10, 0, 9, 9)),
               NULL);
        leaves(&node, nd_frame(solicited_mac, own, 135, unspecified, solicited(), &target, 0, NULL),
               NULL);
        leaves(&node,
               nd_frame(all_nodes_mac, own, 136, vip6(), (struct address){6, {0xff, 2, [15] = 1}},
                        &target, 0x20, own),
               NULL);
        is_int(node_stats(&node).Drops[OneIpDropSpoofed], 5);
        node_stop(&node);
    }
}

NT_TEST(a_new_dispatcher_announces_every_address_and_goes_on_periodically)
{
    struct node node;
    struct cluster cluster;
    unsigned arps = 0, advertisements = 0;
    struct test_frame *frame;

    cluster_standard(&cluster, 3);
    cluster.header.AnnounceSeconds = 5;
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    for (unsigned i = 0; i < 100 && node_status(&node, NULL).Role != OneIpRoleDispatcher; i++)
        node_run(&node, 10 * MS, ALL(3));
    node_run(&node, 10 * MS, ALL(3));
    while ((frame = node_wire(&node))) {
        if (frame_ether_type(frame) == 0x0806) {
            struct test_frame *expected =
                arp_frame(broadcast, own, 1, own, vip4(), broadcast, vip4());
            is_mem(frame->data, expected->data, 32);
            is_mem(frame->data + 38, expected->data + 38, 4);
            arps++;
            free(expected);
        } else {
            struct address target = vip6();
            struct test_frame *expected =
                nd_frame(all_nodes_mac, own, 136, vip6(), (struct address){6, {0xff, 2, [15] = 1}},
                         &target, 0x20, own);
            is_int(frame->bytes, expected->bytes);
            is_mem(frame->data, expected->data, expected->bytes);
            advertisements++;
            free(expected);
        }
        free(frame);
    }
    ok(arps >= 1 && advertisements >= 1, "%u ARP, %u NA at takeover", arps, advertisements);
    node_run(&node, 3000 * MS, ALL(3));
    node_drain(&node);
    UINT64 before = node_stats(&node).Announcements;
    node_run(&node, 10000 * MS, ALL(3));
    UINT64 after = node_stats(&node).Announcements;
    is_int(after - before, 4, "two addresses, every five seconds");
    node_stop(&node);
}
