/* Connections stay with their servers: the flow table as the driver uses it. */
#include "fixture.h"

#include "claim.h"

#include <stdlib.h>
#include <string.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 0x18 };

static struct packet client_packet(unsigned n, unsigned flags)
{
    struct packet packet =
        packet_standard(n % 2 ? ip4(10, 5, n >> 8 & 255, n & 255) : ip6(0x50000 + n));

    packet.tcp_flags = flags;
    packet.source_port = 1024 + n;
    return packet;
}

static unsigned serve_client(struct node *node, unsigned n, unsigned flags)
{
    struct packet packet = client_packet(n, flags);
    return node_serve(node, &packet);
}

/* All clients are served by whom they were. */
static void still(struct node *node, const unsigned *served, unsigned clients, const char *after)
{
    for (unsigned n = 0; n < clients; n++)
        if (!is_int(serve_client(node, n, ACK), served[n], "client %u after %s", n, after))
            break;
}

NT_TEST(no_change_of_the_configuration_moves_a_known_flow)
{
    enum { CLIENTS = 400 };
    struct node node;
    struct cluster cluster, five;
    unsigned served[CLIENTS], moved = 0;

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned n = 0; n < CLIENTS; n++) {
        served[n] = serve_client(&node, n, SYN);
        is_int(serve_client(&node, n, ACK), served[n]);
    }
    cluster.members[1].Weight = 7;
    node_apply(&node, &cluster);
    still(&node, served, CLIENTS, "other weights");

    cluster_standard(&five, 5);
    five.header.Generation = cluster.header.Generation;
    node_apply(&node, &five);
    node_run(&node, 20 * MS, ALL(5));
    node_drain(&node);
    still(&node, served, CLIENTS, "a new member");

    five.header.HashKey[3] ^= 1;
    node_apply(&node, &five);
    still(&node, served, CLIENTS, "another hash");

    five.header.Affinity = OneIpAffinityFiveTuple;
    five.header.Dispatch = OneIpDispatchModulo;
    node_apply(&node, &five);
    still(&node, served, CLIENTS, "modulo by five-tuple");

    /* The same members in another order. */
    ONEIP_MEMBER last = five.members[4];
    five.members[4] = five.members[1];
    five.members[1] = last;
    node_apply(&node, &five);
    still(&node, served, CLIENTS, "another order of the members");

    five.header.FlowCapacity = 4 * ONEIP_MIN_FLOWS;
    node_apply(&node, &five);
    still(&node, served, CLIENTS, "another capacity");

    for (unsigned n = 0; n < CLIENTS; n++) {
        struct packet packet = client_packet(n, SYN);
        packet.source_port += 7000;
        moved += node_serve(&node, &packet) != served[n];
    }
    ok(moved > CLIENTS / 2, "new connections go by the new hash: %u", moved);
    ONEIP_STATS stats = node_stats(&node);
    ok(stats.FlowHits >= 7 * CLIENTS);
    is_int(stats.FlowsLearned, 2 * CLIENTS);
    node_stop(&node);
}

NT_TEST(a_flow_of_a_dead_member_is_chosen_anew_and_ends_are_followed)
{
    struct node node;
    struct cluster cluster;
    unsigned client = 0;

    need(node_dispatcher(&node, &cluster, 3));
    while (serve_client(&node, client, SYN) != 3)
        client++;
    node_run(&node, 200 * MS, 3); /* the third falls silent */
    node_drain(&node);
    is_int(serve_client(&node, client, ACK), 3, "it may only be held up");
    unsigned now = serve_client(&node, client, SYN);
    ok(now == 1 || now == 2, "%u", now);
    struct packet another = client_packet(client, ACK);
    another.source_port += 5000;
    node_run(&node, 2000 * MS, 3);
    node_drain(&node);
    ok(node_serve(&node, &another) != 3, "it is dead");
    node_run(&node, 200 * MS, ALL(3));
    node_drain(&node);
    is_int(serve_client(&node, client, ACK), now, "its new server keeps it");
    is_int(serve_client(&node, client, FIN | ACK), now);
    is_int(serve_client(&node, client, SYN), 3, "the ports again: a new connection");
    is_int(serve_client(&node, client, ACK), 3);

    ONEIP_LOOKUP lookup = {.Protocol = 6};
    ONEIP_LOOKUP_RESULT result = {0};
    struct packet packet = client_packet(client, ACK);
    lookup.Client.Family = packet.source.family;
    memcpy(lookup.Client.Address, packet.source.bytes, 16);
    lookup.Cluster = cluster.addresses[packet.source.family == 6];
    lookup.ClientPort = RtlUshortByteSwap((USHORT)packet.source_port);
    lookup.ClusterPort = RtlUshortByteSwap(80);
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_SUCCESS);
    is_int(result.Flow, 3);
    is_int(result.Rule, 0xffffffff);
    node_stop(&node);
}

/* Node 1 serves under dispatcher node 2. */
static bool server(struct node *node, struct cluster *cluster, unsigned members)
{
    cluster_standard(cluster, members);
    if (!node_start(node, tap_seed()) || !is_status(node_configure(node, cluster), STATUS_SUCCESS))
        return false;
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(node, 1, OipBeaconDispatcher, 5);
        sched_run_for(10 * MS);
    }
    node_drain(node);
    return is_int(node_status(node, NULL).Role, OneIpRoleBackup);
}

static unsigned serve_from(struct node *node, unsigned n, unsigned flags, unsigned sender)
{
    struct packet packet = client_packet(n, flags);
    UCHAR mac[6] = NODE_MAC((UCHAR)sender);

    memcpy(packet.source_mac, mac, 6);
    return node_serve(node, &packet);
}

NT_TEST(a_server_gives_a_second_chance_to_what_it_does_not_know)
{
    static UINT8 table[ONEIP_TABLE_SLOTS], past[ONEIP_TABLE_SLOTS];
    struct node node;
    struct cluster cluster;

    need(server(&node, &cluster, 4));
    for (unsigned i = 0; i < ONEIP_TABLE_SLOTS; i++)
        table[i] = i % 4, past[i] = 2;
    need(is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL),
                   STATUS_SUCCESS));
    cluster.table = table;
    cluster.past = past;
    cluster.header.TableSlots = cluster.header.PastSlots = ONEIP_TABLE_SLOTS;
    node_apply(&node, &cluster);
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(&node, 1, OipBeaconDispatcher, 6);
        sched_run_for(10 * MS);
    }
    node_drain(&node);
    is_int(serve_from(&node, 1, ACK, 2), 3, "to who had the slot before");
    is_int(serve_from(&node, 1, ACK, 3), 1, "once: what was passed on stays");
    is_int(serve_from(&node, 2, SYN, 2), 1);
    is_int(serve_from(&node, 2, ACK, 2), 1, "known");
    is_int(node_stats(&node).SecondChances, 1);
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(&node, 2, OipBeaconDispatcher, 9);
        sched_run_for(10 * MS);
    }
    node_drain(&node);
    is_int(serve_from(&node, 1, ACK, 3), 0, "its server may be about to claim it");
    is_int(node_stats(&node).Drops[OneIpDropUnknown], 1);
    for (unsigned i = 0; i < 20; i++) {
        peer_beacon(&node, 2, OipBeaconDispatcher, 9);
        sched_run_for(10 * MS);
    }
    node_drain(&node);
    is_int(serve_from(&node, 1, ACK, 3), 1, "not back to the dispatcher that did not know it");
    node_stop(&node);
}

NT_TEST(a_dispatcher_without_flows_asks_who_had_the_slot_before)
{
    enum { CLIENTS = 200 };
    struct node node;
    struct cluster cluster;
    unsigned served[CLIENTS];

    need(node_dispatcher(&node, &cluster, 2));
    for (unsigned n = 0; n < CLIENTS; n++)
        served[n] = serve_client(&node, n, ACK); /* mid-connection: not learned */
    cluster.members[1].Weight = 0;
    node_apply(&node, &cluster);
    for (unsigned n = 0; n < CLIENTS; n++)
        if (!is_int(serve_client(&node, n, ACK), served[n], "client %u", n))
            break;
    ok(node_stats(&node).SecondChances > CLIENTS / 4);
    is_int(node_stats(&node).FlowsLearned, 0);
    node_stop(&node);
}

/* The next claim that left, to the node with this number. */
static bool take_claim(struct node *node, unsigned to, OIP_CLAIM *claim, OIP_FLOW_KEY *keys)
{
    struct test_frame *frame;
    OIP_SIP_KEY key;
    const UINT8 *flows;
    bool found = false;

    OipSipKey(&key, node->cluster.header.BeaconKey);
    while (!found && (frame = test_edge_take_wire(node->edge))) {
        if (frame->data[12] == OIP_BEACON_ETHERTYPE >> 8 && frame->data[18] == OIP_CLAIM_KIND) {
            found = true;
            is_int(frame->data[5], to);
            is_int(OipClaimDecode(frame->data + 14, frame->bytes - 14,
                                  node->cluster.header.ClusterId, &key, claim, &flows),
                   OipBeaconOk);
            memcpy(keys, flows, claim->Count * sizeof *keys);
        }
        free(frame);
    }
    return found;
}

NT_TEST(a_server_claims_its_exceptions)
{
    struct node node;
    struct cluster cluster;
    OIP_CLAIM claim;
    OIP_FLOW_KEY keys[OIP_CLAIM_FLOWS];
    unsigned claimed = 0;

    need(server(&node, &cluster, 4));
    for (unsigned n = 0; n < 100; n++)
        is_int(serve_from(&node, n, SYN, 2), 1);
    cluster.members[0].Weight = 0; /* nothing is node 1's by the table any more */
    node_apply(&node, &cluster);
    for (unsigned i = 0; i < 3; i++) {
        peer_beacon(&node, 1, OipBeaconDispatcher, 5);
        sched_run_for(10 * MS);
    }
    while (take_claim(&node, 2, &claim, keys)) {
        is_int(claim.Sender, 1);
        claimed += claim.Count;
    }
    is_int(claimed, 100);
    is_int(node_stats(&node).ClaimsSent, 100);

    /* Asked out of turn for one of them: it says so at once. */
    is_int(serve_from(&node, 7, ACK, 3), 1);
    is_int(node_stats(&node).ClaimsSent, 101);

    /* Another dispatcher hears of all. */
    for (unsigned i = 0; i < 3; i++) {
        peer_beacon(&node, 2, OipBeaconDispatcher, 7);
        sched_run_for(10 * MS);
    }
    claimed = 0;
    while (take_claim(&node, 3, &claim, keys))
        claimed += claim.Count;
    is_int(claimed, 100);
    node_stop(&node);
}

static void send_claim(struct node *node, unsigned from, uint64_t sequence,
                       const struct packet *packet)
{
    OIP_CLAIM claim = {from, 1000, sequence, 1};
    struct test_frame *frame = calloc(1, sizeof *frame + 14 + OIP_CLAIM_BYTES(1));
    UCHAR own[6] = NODE_MAC(1), mac[6] = NODE_MAC((UCHAR)from);
    OIP_FLOW_KEY key;
    OIP_SIP_KEY secret;

    OipFlowKey(&key, (UCHAR)packet->source.family, packet->source.bytes, packet->target.bytes, 6,
               RtlUshortByteSwap((USHORT)packet->source_port) |
                   (UINT32)RtlUshortByteSwap((USHORT)packet->target_port) << 16);
    frame->bytes = 14 + OIP_CLAIM_BYTES(1);
    memcpy(frame->data, own, 6);
    memcpy(frame->data + 6, mac, 6);
    frame->data[12] = OIP_BEACON_ETHERTYPE >> 8;
    frame->data[13] = OIP_BEACON_ETHERTYPE & 0xff;
    OipSipKey(&secret, node->cluster.header.BeaconKey);
    OipClaimEncode(&claim, &key, node->cluster.header.ClusterId, &secret, frame->data + 14);
    node_receive(node, frame);
}

NT_TEST(a_dispatcher_believes_claims_once)
{
    struct node node;
    struct cluster cluster;
    unsigned client = 0;

    need(node_dispatcher(&node, &cluster, 4));
    while (serve_client(&node, client, ACK) == 3)
        client++;
    struct packet packet = client_packet(client, ACK);
    unsigned before = node_serve(&node, &packet);
    ONEIP_STATS stats = node_stats(&node);

    send_claim(&node, 9, 1, &packet); /* no member */
    is_int(node_serve(&node, &packet), before);
    send_claim(&node, 3, 1, &packet);
    is_int(node_serve(&node, &packet), 3);
    is_int(node_stats(&node).ClaimsReceived, stats.ClaimsReceived + 1);
    packet.source_port++;
    before = node_serve(&node, &packet);
    send_claim(&node, before == 3 ? 2 : 3, 1, &packet);
    if (before != 3)
        is_int(node_serve(&node, &packet), before, "a sequence that was used");
    packet.target = ip4(10, 9, 9, 9);
    send_claim(&node, 3, 2, &packet);
    ONEIP_FLOW_COUNTS counts[8];
    is_status(node_ioctl(&node, ONEIP_IOCTL_COUNT_FLOWS, NULL, 0, counts, sizeof counts, NULL),
              STATUS_SUCCESS);
    is_int(counts[0].All.Established, 1, "not of other addresses");
    stats = node_stats(&node);
    ok(stats.BeaconsRejected > 0);
    is_int(stats.FramesIndicated, stats.FramesPassed + stats.FramesForwarded +
                                      stats.FramesConsumed + stats.Drops[OneIpDropMalformed]);
    node_stop(&node);
}

NT_TEST(a_former_dispatcher_relays_for_ten_seconds)
{
    enum { CLIENTS = 100 };
    struct node node;
    struct cluster cluster;
    unsigned served[CLIENTS];

    need(node_dispatcher(&node, &cluster, 3));
    for (unsigned n = 0; n < CLIENTS; n++)
        served[n] = serve_client(&node, n, SYN);
    peer_beacon(&node, 1, OipBeaconDispatcher, 100);
    is_int(node_status(&node, NULL).Role, OneIpRoleBackup);
    still(&node, served, CLIENTS, "another was promoted");
    ok(node_stats(&node).FramesRelayed > 0);
    for (unsigned i = 0; i < 1020; i++) {
        peer_beacon(&node, 1, OipBeaconDispatcher, 100);
        sched_run_for(10 * MS);
    }
    node_drain(&node);
    is_int(serve_client(&node, 0, ACK), 0, "it is over");
    is_int(node_stats(&node).Drops[OneIpDropNotDispatcher], 1);
    node_stop(&node);
}

/* Reads all flows that match. */
static unsigned list_flows(struct node *node, ONEIP_FLOW_QUERY query, ONEIP_FLOW *flows,
                           unsigned room)
{
    struct {
        ONEIP_FLOW_PAGE page;
        ONEIP_FLOW flows[16];
    } output;
    unsigned count = 0;

    do {
        if (!is_status(node_ioctl(node, ONEIP_IOCTL_GET_FLOWS, &query, sizeof query, &output,
                                  sizeof output, NULL),
                       STATUS_SUCCESS))
            break;
        for (unsigned i = 0; i < output.page.Count; i++, count++)
            if (flows && count < room)
                flows[count] = output.flows[i];
        query.Cursor = output.page.Cursor;
    } while (query.Cursor);
    return count;
}

NT_TEST(flows_are_listed_counted_and_imported)
{
    enum { CLIENTS = 300 };
    struct node node;
    struct cluster cluster;
    unsigned served[CLIENTS], by[5] = {0};
    ONEIP_FLOW flows[CLIENTS];

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned n = 0; n < CLIENTS; n++) {
        by[served[n] = serve_client(&node, n, SYN)]++;
        if (n % 3 == 0)
            serve_client(&node, n, ACK);
    }
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){0}, flows, CLIENTS), CLIENTS);
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){.NodeId = 2}, NULL, 0), by[2]);
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){.State = OneIpFlowEstablished}, NULL, 0),
           CLIENTS / 3);
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){.Protocol = 17}, NULL, 0), 0);
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){.ClusterPort = RtlUshortByteSwap(80)}, NULL, 0),
           CLIENTS);
    is_int(
        list_flows(&node, (ONEIP_FLOW_QUERY){.ClientPort = RtlUshortByteSwap(1024 + 5)}, NULL, 0),
        1);
    is_int(list_flows(
               &node,
               (ONEIP_FLOW_QUERY){.Client = {OneIpFamilyIpv4, 0, {10, 5, 1}}, .ClientPrefix = 24},
               NULL, 0),
           22, "odd clients from 257 to 299");
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){.Client = {OneIpFamilyIpv6, 0, {0}}}, NULL, 0),
           CLIENTS / 2, "a prefix of no bits: the family");

    ONEIP_FLOW_QUERY bad = {.Cursor = 1 << 30};
    ONEIP_FLOW_PAGE page[64];
    is_status(node_ioctl(&node, ONEIP_IOCTL_GET_FLOWS, &bad, sizeof bad, page, sizeof page, NULL),
              STATUS_INVALID_PARAMETER);
    is_int(node_refusal(&node, NULL), OneIpReasonValue);

    union {
        ONEIP_FLOW_COUNTS counts;
        UINT8 bytes[sizeof(ONEIP_FLOW_COUNTS) + 5 * sizeof(ONEIP_FLOW_COUNT)];
    } output;
    is_status(node_ioctl(&node, ONEIP_IOCTL_COUNT_FLOWS, NULL, 0, &output, sizeof output, NULL),
              STATUS_SUCCESS);
    const ONEIP_FLOW_COUNT *members = (ONEIP_FLOW_COUNT *)(&output.counts + 1);
    is_int(output.counts.All.Established, CLIENTS / 3);
    is_int(output.counts.All.Opening, CLIENTS - CLIENTS / 3);
    ok(output.counts.Capacity >= ONEIP_MIN_FLOWS && output.counts.Capacity < 2 * ONEIP_MIN_FLOWS);
    for (unsigned i = 0; i < 4; i++)
        is_int(members[i].Opening + members[i].Established, by[i + 1]);
    is_int(members[4].Opening, CLIENTS - CLIENTS / 3, "by no rule");

    /* Into a node that knows nothing, with another hash. */
    is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    cluster.header.HashKey[0] ^= 1;
    node_apply(&node, &cluster);
    struct {
        ONEIP_FLOW_IMPORT header;
        ONEIP_FLOW flows[CLIENTS];
    } *import = calloc(1, sizeof *import);
    ONEIP_FLOW_IMPORTED imported;
    import->header = (ONEIP_FLOW_IMPORT){ONEIP_CONTRACT_VERSION, CLIENTS};
    memcpy(import->flows, flows, sizeof flows);
    import->flows[7].Protocol = 1;
    is_status(node_ioctl(&node, ONEIP_IOCTL_IMPORT_FLOWS, import, sizeof *import, &imported,
                         sizeof imported, NULL),
              STATUS_INVALID_PARAMETER);
    UINT32 index;
    is_int(node_refusal(&node, &index), OneIpReasonFlow);
    is_int(index, 7);
    is_int(list_flows(&node, (ONEIP_FLOW_QUERY){0}, NULL, 0), 0, "nothing of it");
    import->flows[7].Protocol = 6;
    import->flows[8].NodeId = 77;
    is_status(node_ioctl(&node, ONEIP_IOCTL_IMPORT_FLOWS, import, sizeof *import, &imported,
                         sizeof imported, NULL),
              STATUS_SUCCESS);
    is_int(imported.Imported, CLIENTS - 1);
    is_int(imported.Unknown, 1);
    free(import);
    need(node_promote(&node, ALL(4)));
    unsigned wrong = 0;
    for (unsigned n = 0; n < CLIENTS; n++)
        wrong += serve_client(&node, n, ACK) != served[n];
    ok(wrong <= 1, "%u", wrong);
    node_stop(&node);
}

NT_TEST(a_flood_of_syns_moves_nobody)
{
    enum { CLIENTS = 200, FLOOD = 100000, BATCH = 64 };
    struct node node;
    struct cluster cluster;
    unsigned served[CLIENTS];
    struct test_frame *batch[BATCH];

    need(node_dispatcher(&node, &cluster, 4));
    for (unsigned n = 0; n < CLIENTS; n++) {
        served[n] = serve_client(&node, n, SYN);
        serve_client(&node, n, ACK);
    }
    cluster.header.HashKey[3] ^= 1; /* so that only the flows know */
    node_apply(&node, &cluster);
    for (unsigned i = 0; i < FLOOD; i += BATCH) {
        for (unsigned j = 0; j < BATCH; j++) {
            struct packet packet =
                packet_standard(ip4(11, (i + j) >> 16 & 255, (i + j) >> 8 & 255, (i + j) & 255));
            packet.tcp_flags = SYN;
            batch[j] = packet_frame(&packet);
        }
        test_edge_wire(node.edge, (const struct test_frame *const *)batch, BATCH);
        for (unsigned j = 0; j < BATCH; j++)
            free(batch[j]);
        node_drain(&node);
    }
    still(&node, served, CLIENTS, "the flood");
    ONEIP_STATS stats = node_stats(&node);
    ok(stats.FlowsEvicted > FLOOD / 2, "%ju", (uintmax_t)stats.FlowsEvicted);
    node_stop(&node);
}
