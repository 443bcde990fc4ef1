#include "scene.h"

#include "account.h"
#include "frames.h"
#include "load.h"

#include <nthost/filters.h>
#include <nthost/verifier.h>

#include <stdlib.h>
#include <string.h>

#define ALL(n)  ((1ull << (n)) - 1)
#define MEMBERS 4

struct scene {
    struct node node;
    struct ndis_adapter_config adapter;
    struct account account;
};

/* An operation that may fail once, if the fault strikes in it; then the same again succeeds. */
#define AGAIN(operation)                                                                           \
    ({                                                                                             \
        bool struck_ = vf_fault_struck();                                                          \
        NTSTATUS status_ = (operation);                                                            \
        if (!NT_SUCCESS(status_) &&                                                                \
            ok(vf_fault_struck() && !struck_, "0x%08x without a cause", (unsigned)status_))        \
            status_ = (operation);                                                                 \
        is_status(status_, STATUS_SUCCESS);                                                        \
        NT_SUCCESS(status_);                                                                       \
    })

static NTSTATUS start_driver(void)
{
    struct setup_error error;

    return setup_start(NODE_SERVICE, &error);
}

static NTSTATUS stop_driver(void)
{
    struct setup_error error;

    return setup_stop(NODE_SERVICE, &error);
}

static bool ioctl(struct scene *scene, ULONG code, const void *input, ULONG input_bytes,
                  void *output, ULONG output_bytes)
{
    return AGAIN(node_ioctl(&scene->node, code, input, input_bytes, output, output_bytes, NULL));
}

static ONEIP_STATUS status_of(struct scene *scene)
{
    struct {
        ONEIP_STATUS status;
        ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];
    } output = {0};

    ioctl(scene, ONEIP_IOCTL_GET_STATUS, NULL, 0, &output, sizeof output);
    return output.status;
}

static ONEIP_STATS stats_of(struct scene *scene)
{
    ONEIP_STATS stats = {0};

    ioctl(scene, ONEIP_IOCTL_GET_STATS, NULL, 0, &stats, sizeof stats);
    return stats;
}

static void configure(struct scene *scene, struct cluster *cluster)
{
    cluster->header.Generation++;
    AGAIN(node_configure(&scene->node, cluster));
    is_int(status_of(scene).Generation, cluster->header.Generation);
}

/* Attached and running, after what may have gone wrong: as an administrator would, by binding. */
static void attached(struct scene *scene)
{
    if (status_of(scene).AdapterState == OneIpAdapterRunning)
        return;
    ok(vf_fault_struck(), "not attached, without a cause");
    ok(filters_bind(NODE_SERVICE, "test0", false));
    ok(filters_bind(NODE_SERVICE, "test0", true));
    is_int(status_of(scene).AdapterState, OneIpAdapterRunning);
}

/* Until this node dispatches. */
static void promoted(struct scene *scene)
{
    attached(scene);
    for (unsigned i = 0; i < 100 && !tap_failing(); i++) {
        if (status_of(scene).Role == OneIpRoleDispatcher) {
            node_run(&scene->node, 20 * MS, ALL(MEMBERS)); /* its beacons are out: it acts */
            return;
        }
        node_run(&scene->node, 20 * MS, ALL(MEMBERS));
    }
    fail("not promoted: role %u", status_of(scene).Role);
}

/* Traffic */

static void settle(struct scene *scene)
{
    for (unsigned i = 0; i < 100 && test_edge_outstanding(scene->node.edge); i++)
        sched_run_for(1 * MS);
    is_int(test_edge_outstanding(scene->node.edge), 0, "NBLs are out");
}

static void phase_begin(struct scene *scene)
{
    ONEIP_STATS stats;

    settle(scene);
    node_drain(&scene->node);
    stats = stats_of(scene);
    account_begin(&scene->account, &stats);
}

static void phase_end(struct scene *scene)
{
    ONEIP_STATS stats;

    settle(scene);
    account_take(&scene->account, &scene->node);
    stats = stats_of(scene);
    account_check(&scene->account, &stats);
}

/* What clients send: small, by all protocols, in batches; and super-frames. */
static void dispatch_traffic(struct scene *scene)
{
    struct test_frame *batch[16];

    phase_begin(scene);
    for (unsigned i = 0; i < 24; i++)
        node_receive(&scene->node, load_frame(i, 20 + i * 55, 1));
    for (unsigned i = 0; i < 16; i++)
        batch[i] = load_frame(100 + i, 600, 1);
    test_edge_wire(scene->node.edge, (const struct test_frame *const *)batch, 16);
    for (unsigned i = 0; i < 16; i++)
        free(batch[i]);
    for (unsigned i = 0; i < 16; i++)
        node_receive(&scene->node, load_frame(i, 7000, 5));
    struct test_frame *dispatched = load_frame(1, 10, 1);
    dispatched->data[10] = 0;
    dispatched->data[11] = 2; /* member 2 sent it to us */
    node_receive(&scene->node, dispatched);
    struct packet datagram = packet_standard(ip4(10, 1, 9, 9));
    datagram.protocol = 17;
    datagram.payload = 5000;
    for (unsigned i = 0; i < 12; i++) /* the first one last, and two that wait for theirs */
        node_receive(&scene->node,
                     packet_fragment(&datagram, i / 4, i < 8 ? 3 - i % 4 : 1 + i % 2));
    struct test_frame *cut = load_frame(1, 10, 1);
    cut->bytes = 30;
    node_receive(&scene->node, cut);
    phase_end(scene);
}

static void neighbor_traffic(struct scene *scene)
{
    static const UCHAR own[6] = NODE_MAC(1), client[6] = CLIENT_MAC;
    static const UCHAR broadcast[6] = {255, 255, 255, 255, 255, 255}, zero[6];
    static const UCHAR solicited_mac[6] = {0x33, 0x33, 0xff, 0, 1, 0};
    struct address cluster4 = ip4(10, 0, 0, 100), cluster6 = ip6(0x100);
    struct address solicited = {6, {0xff, 2, [11] = 1, 0xff, 0, 1, 0}};

    phase_begin(scene);
    node_receive(&scene->node,
                 arp_frame(broadcast, client, 1, client, ip4(10, 1, 1, 1), zero, cluster4));
    node_receive(&scene->node, arp_frame(broadcast, client, 1, client, cluster4, zero, cluster4));
    node_receive(&scene->node,
                 nd_frame(solicited_mac, client, 135, ip6(0x99), solicited, &cluster6, 0, client));
    node_receive(&scene->node, nd_frame(solicited_mac, client, 135, (struct address){.family = 6},
                                        solicited, &cluster6, 0, NULL));
    node_run(&scene->node, 30 * MS, ALL(MEMBERS));
    phase_end(scene);
    /* The stack's own: rewritten, kept back, passed. */
    node_send(&scene->node, arp_frame(broadcast, own, 1, own, cluster4, zero, ip4(10, 0, 9, 9)));
    node_send(&scene->node, arp_frame(broadcast, own, 1, own, cluster4, zero, cluster4));
    node_send(&scene->node,
              nd_frame(solicited_mac, own, 135, cluster6, solicited, &cluster6, 0, own));
    node_send(&scene->node, nd_frame(solicited_mac, own, 135, cluster6, solicited,
                                     &(struct address){6, {0xfd}}, 0, own));
    node_send(&scene->node, load_frame(3, 700, 1));
    settle(scene);
    /* Whatever failed: nothing of the stack's says that the cluster's address is here. */
    struct test_frame *frame;
    while ((frame = node_wire(&scene->node))) {
        if (frame_ether_type(frame) == 0x0806)
            ok(memcmp(frame->data + 28, cluster4.bytes, 4), "ARP from the cluster's address");
        else if (frame->data[20] == 58 && frame->data[54] == 135)
            ok(memcmp(frame->data + 22, cluster6.bytes, 16), "NS from the cluster's address");
        free(frame);
    }
}

/* Control */

static void waiter_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    *(bool *)context = true;
    (void)status, (void)information;
}

static void wait_start(struct scene *scene, ONEIP_EVENT *events, ULONG bytes, bool *done,
                       struct io_request **request)
{
    const ONEIP_WAIT_EVENT wait = {status_of(scene).EventSequence};

    *done = false;
    is_status(io_ioctl_start(scene->node.client, scene->node.device, ONEIP_IOCTL_WAIT_EVENT, &wait,
                             sizeof wait, events, bytes, waiter_done, done, request),
              STATUS_PENDING);
}

static void events(struct scene *scene, struct cluster *cluster)
{
    ONEIP_EVENT answered[2], cancelled[2];
    struct io_request *first, *second;
    bool first_done, second_done;

    wait_start(scene, cancelled, sizeof cancelled, &second_done, &second);
    io_cancel(scene->node.client, scene->node.device, second);
    sched_run_for(1 * MS);
    ok(second_done);
    io_request_release(second);
    wait_start(scene, answered, sizeof answered, &first_done, &first);
    configure(scene, cluster);
    sched_run_for(1 * MS);
    ok(first_done);
    io_request_release(first);
}

static NDIS_STATUS packet_filter(struct scene *scene)
{
    return packet_filter_set(test_edge_adapter(scene->node.edge), PACKET_FILTER_USUAL);
}

/* Flows, rules and draining. */
static void flows_control(struct scene *scene, struct cluster *cluster)
{
    union {
        ONEIP_FLOW_PAGE page;
        ONEIP_FLOW_COUNTS counts;
        ONEIP_RULE_STATUS rules[4];
        UINT8 bytes[4096];
    } output;
    ONEIP_FLOW_QUERY query = {0};
    ONEIP_FLOW_IMPORTED imported;
    struct {
        ONEIP_FLOW_IMPORT header;
        ONEIP_FLOW flow;
    } import = {{ONEIP_CONTRACT_VERSION, 1},
                {.Client = {10, 1, 4, 4},
                 .Cluster = {10, 0, 0, 100},
                 .ClientPort = 1,
                 .ClusterPort = 2,
                 .Family = OneIpFamilyIpv4,
                 .Protocol = 6,
                 .State = OneIpFlowEstablished,
                 .NodeId = 2}};

    cluster->header.RuleCount = 1;
    cluster->rules[0] = (ONEIP_RULE){6, 25, 25, OneIpRuleSingle, 0, 2, 0};
    cluster->header.FlowCapacity *= 2; /* the flows move into another table */
    configure(scene, cluster);
    ioctl(scene, ONEIP_IOCTL_GET_FLOWS, &query, sizeof query, &output, sizeof output);
    ioctl(scene, ONEIP_IOCTL_COUNT_FLOWS, NULL, 0, &output, sizeof output);
    ioctl(scene, ONEIP_IOCTL_GET_RULES, NULL, 0, &output, sizeof output);
    ioctl(scene, ONEIP_IOCTL_IMPORT_FLOWS, &import, sizeof import, &imported, sizeof imported);
    ioctl(scene, ONEIP_IOCTL_SET_DRAIN, &(ONEIP_DRAIN){1, 0}, sizeof(ONEIP_DRAIN), NULL, 0);
    dispatch_traffic(scene);
    ioctl(scene, ONEIP_IOCTL_SET_DRAIN, &(ONEIP_DRAIN){0, 0}, sizeof(ONEIP_DRAIN), NULL, 0);
    cluster->header.RuleCount = 0;
    cluster->header.FlowCapacity /= 2;
    configure(scene, cluster);
}

static void control(struct scene *scene, struct cluster *cluster)
{
    UINT8 config[4096];
    ONEIP_VERSION version;
    ONEIP_LOOKUP_RESULT result;
    ONEIP_LOOKUP lookup = {.Client = {OneIpFamilyIpv4, 0, {10, 1, 2, 3}},
                           .Cluster = cluster->addresses[0],
                           .Protocol = 6};
    UINT8 *whole = calloc(1, 1 << 18);
    struct cluster bad = *cluster;

    ioctl(scene, ONEIP_IOCTL_GET_VERSION, NULL, 0, &version, sizeof version);
    ioctl(scene, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result);
    ioctl(scene, ONEIP_IOCTL_GET_CONFIG, NULL, 0, whole, 1 << 18);
    ok(node_ioctl(&scene->node, ONEIP_IOCTL_GET_CONFIG, NULL, 0, config, 8, NULL) != 0);
    bad.header.Generation++;
    bad.members[1].Rank = bad.members[2].Rank;
    ok(!NT_SUCCESS(node_configure(&scene->node, &bad)));
    /* With a table of its own. */
    cluster->table =
        whole + sizeof(ONEIP_CONFIG) + 2 * sizeof(ONEIP_ADDRESS) + MEMBERS * sizeof(ONEIP_MEMBER);
    cluster->header.TableSlots = ONEIP_TABLE_SLOTS;
    configure(scene, cluster);
    cluster->table = NULL;
    cluster->header.TableSlots = 0;
    free(whole);
    /* By the paper's dispatch, by five-tuple, and back. */
    cluster->header.Dispatch = OneIpDispatchModulo;
    cluster->header.Affinity = OneIpAffinityFiveTuple;
    configure(scene, cluster);
    dispatch_traffic(scene);
    cluster->header.Dispatch = OneIpDispatchTable;
    cluster->header.Affinity = OneIpAffinityClient;
    events(scene, cluster);
    flows_control(scene, cluster);
}

/* A life */

static void offers(struct ndis_adapter_config *adapter)
{
    NDIS_OFFLOAD *offload = &adapter->offload;

    offload->Checksum.IPv4Transmit =
        (__typeof__(offload->Checksum.IPv4Transmit)){.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
                                                     .IpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
                                                     .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
                                                     .TcpChecksum = NDIS_OFFLOAD_SUPPORTED,
                                                     .UdpChecksum = NDIS_OFFLOAD_SUPPORTED,
                                                     .IpChecksum = NDIS_OFFLOAD_SUPPORTED};
    offload->Checksum.IPv6Transmit =
        (__typeof__(offload->Checksum.IPv6Transmit)){.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
                                                     .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
                                                     .TcpChecksum = NDIS_OFFLOAD_SUPPORTED,
                                                     .UdpChecksum = NDIS_OFFLOAD_SUPPORTED};
    offload->LsoV2.IPv4 =
        (__typeof__(offload->LsoV2.IPv4)){NDIS_ENCAPSULATION_IEEE_802_3, 65000, 2};
    offload->LsoV2.IPv6 =
        (__typeof__(offload->LsoV2.IPv6)){.Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
                                          .MaxOffLoadSize = 65000,
                                          .MinSegmentCount = 2,
                                          .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED};
    offload->Rsc.IPv4.Enabled = offload->Rsc.IPv6.Enabled = TRUE;
}

static void disturb(struct scene *scene)
{
    struct ndis_adapter *adapter = test_edge_adapter(scene->node.edge);
    NDIS_OFFLOAD without = scene->adapter.offload;

    ndis_adapter_pause(adapter);
    node_receive(&scene->node, load_frame(1, 10, 1)); /* lost below */
    ndis_adapter_restart(adapter);
    promoted(scene);
    dispatch_traffic(scene);
    /* Without LSO and checksums: super-frames are cut up here. */
    memset(&without.LsoV2, 0, sizeof without.LsoV2);
    memset(&without.Checksum, 0, sizeof without.Checksum);
    ndis_lower_offload(adapter, &without);
    dispatch_traffic(scene);
    ndis_lower_link(adapter, false);
    dispatch_traffic(scene);
    ndis_lower_link(adapter, true);
    promoted(scene);
    ndis_lower_power(adapter, false);
    ndis_lower_power(adapter, true);
    promoted(scene);
    ndis_lower_mtu(adapter, 1400);
    promoted(scene);
    dispatch_traffic(scene);
    ok(filters_bind(NODE_SERVICE, "test0", false));
    ok(filters_bind(NODE_SERVICE, "test0", true));
    promoted(scene);
}

static void live(struct scene *scene)
{
    struct cluster cluster;
    ONEIP_VETO veto = {1, 0};

    cluster_standard(&cluster, MEMBERS);
    cluster.header.Generation = 0;
    configure(scene, &cluster);
    promoted(scene);
    dispatch_traffic(scene);
    neighbor_traffic(scene);
    cluster.members[0].Weight = 0;
    configure(scene, &cluster);
    dispatch_traffic(scene);
    AGAIN(packet_filter(scene));
    control(scene, &cluster);
    disturb(scene);
    ioctl(scene, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0);
    dispatch_traffic(scene);
    veto.Veto = 0;
    ioctl(scene, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0);
    ioctl(scene, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0);
    promoted(scene);
    dispatch_traffic(scene);
    ioctl(scene, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0);
    configure(scene, &cluster);
    promoted(scene);
    dispatch_traffic(scene);
}

bool scene_run(void)
{
    struct scene whole = {0}, *scene = &whole;
    const struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .processors = 2, .verifier = true};
    struct node *node = &scene->node;
    bool more = false;

    node_adapter_config(&scene->adapter);
    offers(&scene->adapter);
    if (!node_install(node, &options))
        return false;
    vf_fault_round_begin();
    if (AGAIN(start_driver())) {
        node->edge = test_edge_create(&scene->adapter);
        ndis_adapter_start(test_edge_adapter(node->edge));
        AGAIN(packet_filter(scene));
        node->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
        if (AGAIN(io_open(node->client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE,
                          &node->device)))
            live(scene);
        io_client_destroy(node->client);
        ndis_adapter_stop(test_edge_adapter(node->edge));
        is_status(stop_driver(), STATUS_SUCCESS);
        more = vf_fault_round_end();
        is_int(test_edge_outstanding(node->edge), 0, "NBLs come home");
        test_edge_destroy(node->edge);
    }
    node_uninstall(node);
    return more;
}
