/* Port rules and draining. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

enum { SYN = 2, ACK = 0x18 };

static unsigned serve(struct node *node, unsigned protocol, unsigned port, unsigned client,
                      unsigned client_port, unsigned flags)
{
    struct packet packet = packet_standard(ip4(10, 6, client >> 8, client & 255));

    packet.protocol = protocol;
    packet.target_port = port;
    packet.source_port = client_port;
    packet.tcp_flags = flags;
    return node_serve(node, &packet);
}

static void set_rules(struct cluster *cluster)
{
    static const ONEIP_RULE rules[] = {
        {6, 80, 89, OneIpRuleShared, OneIpAffinityNetwork, 0, 0},
        {6, 443, 443, OneIpRuleShared, OneIpAffinityFiveTuple, 0, 0},
        {0, 500, 600, OneIpRuleSingle, 0, 3, 0},
        {17, 1000, 65535, OneIpRuleBlocked, 0, 0, 0},
    };

    memcpy(cluster->rules, rules, sizeof rules);
    cluster->header.RuleCount = sizeof rules / sizeof *rules;
}

NT_TEST(port_rules_say_who_serves)
{
    struct node node;
    struct cluster cluster;
    unsigned by[5] = {0};

    need(node_dispatcher(&node, &cluster, 4));
    set_rules(&cluster);
    node_apply(&node, &cluster);
    for (unsigned network = 0; network < 40; network++) {
        unsigned first = serve(&node, 6, 85, network << 8, 5000, SYN);
        for (unsigned host = 1; host < 5; host++)
            is_int(serve(&node, 6, 85, network << 8 | host, 5000 + host, SYN), first,
                   "a network has one server");
        by[first]++;
    }
    for (unsigned n = 1; n <= 4; n++)
        ok(by[n] > 2, "networks spread: node %u has %u", n, by[n]);
    memset(by, 0, sizeof by);
    for (unsigned i = 0; i < 200; i++)
        by[serve(&node, 6, 443, 1, 6000 + i, SYN)]++;
    for (unsigned n = 1; n <= 4; n++)
        ok(by[n] > 20, "connections of one client spread: node %u has %u", n, by[n]);
    for (unsigned i = 0; i < 20; i++) {
        is_int(serve(&node, 6, 500, i, 5000, SYN), 3);
        is_int(serve(&node, 17, 600, i, 5000, 0), 3);
        is_int(serve(&node, 17, 1000, i, 5000, 0), 0, "blocked");
        ok(serve(&node, 17, 999, i, 5000, 0) != 0);
        is_int(serve(&node, 6, 601, i, 5000, SYN), serve(&node, 6, 79, i, 5001, SYN),
               "no rule: by client");
    }
    is_int(node_stats(&node).Drops[OneIpDropBlocked], 20);

    ONEIP_RULE_STATUS status[5];
    is_status(node_ioctl(&node, ONEIP_IOCTL_GET_RULES, NULL, 0, status, sizeof status, NULL),
              STATUS_SUCCESS);
    is_int(status[0].Frames, 200);
    is_int(status[0].Flows, 200);
    is_int(status[1].Flows, 200);
    is_int(status[2].NodeId, 3);
    is_int(status[2].Frames, 40);
    is_int(status[3].Dropped, 20);
    is_int(status[3].Frames, 0);
    is_int(status[4].Frames, 60);
    is_int(status[4].Rule.Affinity, OneIpAffinityClient);
    is_mem(&status[2].Rule, &cluster.rules[2], sizeof(ONEIP_RULE));

    /* The owner dies: the best rank, and the owner again when it returns, for new flows. */
    node_run(&node, 200 * MS, 0xb);
    node_drain(&node);
    is_int(serve(&node, 6, 500, 50, 5000, SYN), 1);
    node_run(&node, 100 * MS, ALL(4));
    node_drain(&node);
    is_int(serve(&node, 6, 500, 50, 5000, ACK), 1);
    is_int(serve(&node, 6, 500, 51, 5000, SYN), 3);

    /* Rules that stay keep their counters wherever they stand; a block hits known flows. */
    ONEIP_RULE first = cluster.rules[0];
    cluster.rules[0] = cluster.rules[2];
    cluster.rules[2] = first;
    cluster.rules[1].Mode = OneIpRuleBlocked;
    cluster.rules[1].Affinity = 0;
    node_apply(&node, &cluster);
    is_status(node_ioctl(&node, ONEIP_IOCTL_GET_RULES, NULL, 0, status, sizeof status, NULL),
              STATUS_SUCCESS);
    is_int(status[2].Frames, 200);
    is_int(status[0].Frames, 43);
    is_int(status[1].Frames, 0);
    is_int(serve(&node, 6, 443, 1, 6000, ACK), 0);
    node_stop(&node);
}

/* The dispatcher's table, by many lookups. */
static void table_of(struct node *node, UINT32 *nodes, unsigned clients)
{
    for (unsigned i = 0; i < clients; i++) {
        ONEIP_LOOKUP lookup = {.Client = {4, 0, {10, 6, (UINT8)(i >> 8), (UINT8)i}},
                               .Cluster = {4, 0, {10, 0, 0, 100}}};
        ONEIP_LOOKUP_RESULT result = {0};
        is_status(node_ioctl(node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result,
                             sizeof result, NULL),
                  STATUS_SUCCESS);
        nodes[i] = result.NodeId;
    }
}

NT_TEST(a_member_that_drains_serves_nobody_new_and_gets_its_slots_back)
{
    enum { CLIENTS = 200 };
    struct node node;
    struct cluster cluster;
    ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];
    UINT32 before[CLIENTS], during[CLIENTS], after[CLIENTS];
    unsigned served[CLIENTS];

    need(node_dispatcher(&node, &cluster, 4));
    table_of(&node, before, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        served[i] = serve(&node, 6, 80, i, 7000, SYN);
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned peer = 1; peer < 4; peer++)
            peer_says(&node, peer, OipBeaconPresence, 0, peer == 2 ? OIP_BEACON_DRAINS : 0);
        sched_run_for(10 * MS);
    }
    node_drain(&node);
    table_of(&node, during, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++) {
        ok(during[i] != 3);
        if (before[i] != 3)
            is_int(during[i], before[i], "others keep theirs");
        is_int(serve(&node, 6, 80, i, 7000, ACK), served[i], "flows stay");
        is_int(serve(&node, 6, 80, i, 7001, SYN), during[i]);
    }
    node_status(&node, members);
    is_int(members[2].Draining, 1);
    is_int(members[2].Slots, 0);
    is_int(members[2].Alive, 1);
    node_run(&node, 20 * MS, ALL(4));
    node_drain(&node);
    table_of(&node, after, CLIENTS);
    is_mem(after, before, sizeof before, "the same slots");

    /* Itself. */
    ONEIP_STATUS status = node_status(&node, NULL);
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_DRAIN, &(ONEIP_DRAIN){1, 0}, sizeof(ONEIP_DRAIN),
                         NULL, 0, NULL),
              STATUS_SUCCESS);
    OIP_BEACON beacon;
    UCHAR target[6];
    need(node_beacon(&node, &beacon, target));
    ok(beacon.Flags & OIP_BEACON_DRAINS);
    is_hex(beacon.Draining, 1);
    table_of(&node, during, CLIENTS);
    for (unsigned i = 0; i < CLIENTS; i++)
        ok(during[i] != 1);
    is_int(node_status(&node, NULL).Draining, 1);
    is_int(node_status(&node, NULL).EventSequence, status.EventSequence + 1);
    node_run(&node, 50 * MS, ALL(4));
    is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher, "it goes on dispatching");
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_DRAIN, &(ONEIP_DRAIN){0, 0}, sizeof(ONEIP_DRAIN),
                         NULL, 0, NULL),
              STATUS_SUCCESS);
    table_of(&node, after, CLIENTS);
    is_mem(after, before, sizeof before);
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_DRAIN, &(ONEIP_DRAIN){2, 0}, sizeof(ONEIP_DRAIN),
                         NULL, 0, NULL),
              STATUS_INVALID_PARAMETER);
    is_int(node_refusal(&node, NULL), OneIpReasonValue);
    node_stop(&node);
}
