#include "fixture.h"

#include <stdlib.h>
#include <string.h>

#include <ftw.h>
#include <unistd.h>

static const UINT8 cluster_id[16] = "test cluster 123";
static const UINT8 beacon_key[16] = "test beacon key";
static const UINT8 hash_key[16] = "test hash key 1";

void cluster_standard(struct cluster *cluster, unsigned members)
{
    memset(cluster, 0, sizeof *cluster);
    cluster->header = (ONEIP_CONFIG){
        .Version = ONEIP_CONTRACT_VERSION,
        .Generation = 1,
        .LocalNode = 1,
        .BeaconMilliseconds = 10,
        .SilenceBeacons = 3,
        .AnnounceSeconds = 60,
        .Affinity = OneIpAffinityClient,
        .Dispatch = OneIpDispatchTable,
        .AddressCount = 2,
        .MemberCount = members,
        .FlowCapacity = ONEIP_MIN_FLOWS,
        .TcpIdleSeconds = 7440,
        .UdpIdleSeconds = 300,
        .OpeningSeconds = 30,
        .ClosingSeconds = 60,
    };
    memcpy(cluster->header.ClusterId, cluster_id, 16);
    memcpy(cluster->header.BeaconKey, beacon_key, 16);
    memcpy(cluster->header.HashKey, hash_key, 16);
    cluster->addresses[0] = (ONEIP_ADDRESS){OneIpFamilyIpv4, 0, {10, 0, 0, 100}};
    cluster->addresses[1] = (ONEIP_ADDRESS){OneIpFamilyIpv6, 0, {0xfd, [14] = 1, [15] = 0}};
    for (unsigned i = 0; i < members; i++) {
        UINT8 n = (UINT8)(i + 1);
        cluster->members[i] = (ONEIP_MEMBER){.NodeId = n,
                                             .Rank = n,
                                             .Weight = 1,
                                             .Mac = NODE_MAC(n),
                                             .Ipv4 = {10, 0, 0, n},
                                             .Ipv6 = {0xfd, [15] = n}};
    }
}

void *cluster_bytes(const struct cluster *cluster, ULONG *bytes)
{
    const ONEIP_CONFIG *header = &cluster->header;
    size_t addresses = header->AddressCount * sizeof(ONEIP_ADDRESS);
    size_t members = header->MemberCount * sizeof(ONEIP_MEMBER);
    size_t rules = header->RuleCount * sizeof(ONEIP_RULE);
    size_t table = cluster->table ? (ONEIP_TABLE_SLOTS + 7) & ~7u : 0;
    size_t past = cluster->past ? (ONEIP_TABLE_SLOTS + 7) & ~7u : 0;
    size_t arrays = sizeof *header + addresses + members + rules;
    UINT8 *data = calloc(1, arrays + table + past);

    *bytes = (ULONG)(arrays + table + past);
    memcpy(data, header, sizeof *header);
    if (!header->Size)
        ((ONEIP_CONFIG *)data)->Size = *bytes;
    memcpy(data + sizeof *header, cluster->addresses, addresses);
    memcpy(data + sizeof *header + addresses, cluster->members, members);
    memcpy(data + arrays - rules, cluster->rules, rules);
    if (table)
        memcpy(data + arrays, cluster->table, ONEIP_TABLE_SLOTS);
    if (past)
        memcpy(data + arrays + table, cluster->past, ONEIP_TABLE_SLOTS);
    return data;
}

void node_adapter_config(struct ndis_adapter_config *config)
{
    *config = (struct ndis_adapter_config){
        .name = "test0",
        .mac = NODE_MAC(1),
        .mtu = 1500,
        .medium = NdisMedium802_3,
        .physical = NdisPhysicalMedium802_3,
        .link_speed = 10ull * 1000 * 1000 * 1000,
        .connected = true,
    };
    config->offload.Header.Type = NDIS_OBJECT_TYPE_OFFLOAD;
    config->offload.Header.Revision = NDIS_OFFLOAD_REVISION_3;
    config->offload.Header.Size = NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_3;
}

NDIS_STATUS packet_filter_set(struct ndis_adapter *adapter, ULONG filter)
{
    NDIS_OID_REQUEST request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = NdisRequestSetInformation,
        .DATA.SET_INFORMATION = {OID_GEN_CURRENT_PACKET_FILTER, &filter, sizeof filter, 0, 0}};

    return ndis_upper_oid(adapter, &request);
}

void node_packet_filter(struct node *node, ULONG filter)
{
    is_status(packet_filter_set(test_edge_adapter(node->edge), filter), NDIS_STATUS_SUCCESS);
}

bool node_start(struct node *node, uint64_t seed)
{
    struct ndis_adapter_config adapter;

    node_adapter_config(&adapter);
    return node_start_with(node, seed, &adapter);
}

bool node_install(struct node *node, const struct nt_options *options)
{
    struct nt_options host = *options;
    struct setup_error error = {0};
    char service[64];

    memset(node, 0, sizeof *node);
    strcpy(node->state_dir, "/tmp/oneip-test-XXXXXX");
    if (!ok(mkdtemp(node->state_dir) != NULL))
        return false;
    host.state_dir = node->state_dir;
    nt_start(&host);
    return is_status(setup_install(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", NTS_DRIVER_DIR,
                                   tap_drivers_pe() ? ".sys" : ".so", service, &error),
                     STATUS_SUCCESS, "%s:%u: %s", error.file, error.line, error.message);
}

bool node_start_with(struct node *node, uint64_t seed, const struct ndis_adapter_config *adapter)
{
    const struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = seed, .processors = 2, .verifier = true};

    return node_install(node, &options) && node_run_driver(node, adapter);
}

bool node_run_driver(struct node *node, const struct ndis_adapter_config *adapter)
{
    struct setup_error error = {0};

    if (!is_status(setup_start(NODE_SERVICE, &error), STATUS_SUCCESS, "%s", error.message))
        return false;
    node->edge = test_edge_create(adapter);
    ndis_adapter_start(test_edge_adapter(node->edge));
    node_packet_filter(node, PACKET_FILTER_USUAL);
    node->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
    return is_status(
        io_open(node->client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE, &node->device),
        STATUS_SUCCESS);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info, (void)kind, (void)position;
    return remove(path);
}

void node_stop(struct node *node)
{
    struct setup_error error;

    node_drain(node);
    io_client_destroy(node->client);
    ndis_adapter_stop(test_edge_adapter(node->edge));
    is_status(setup_stop(NODE_SERVICE, &error), STATUS_SUCCESS);
    is_int(test_edge_outstanding(node->edge), 0, "NBLs come home");
    test_edge_destroy(node->edge);
    node_uninstall(node);
}

void node_uninstall(struct node *node)
{
    nt_stop();
    nftw(node->state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

NTSTATUS node_ioctl(struct node *node, ULONG code, const void *input, ULONG input_bytes,
                    void *output, ULONG output_bytes, ULONG_PTR *information)
{
    ULONG_PTR ignored;
    return io_ioctl(node->client, node->device, code, input, input_bytes, output, output_bytes,
                    information ? information : &ignored);
}

NTSTATUS node_configure(struct node *node, const struct cluster *cluster)
{
    ULONG bytes;
    void *data = cluster_bytes(cluster, &bytes);
    NTSTATUS status = node_ioctl(node, ONEIP_IOCTL_SET_CONFIG, data, bytes, NULL, 0, NULL);

    free(data);
    if (NT_SUCCESS(status)) {
        node->cluster = *cluster;
        for (unsigned i = 0; i < cluster->header.MemberCount; i++)
            if (node->peers[i].node != cluster->members[i].NodeId)
                node->peers[i] = (struct peer){cluster->members[i].NodeId, 1000, 0};
    }
    return status;
}

ONEIP_REASON node_refusal(struct node *node, UINT32 *index)
{
    ONEIP_REFUSAL refusal = {0};

    is_status(node_ioctl(node, ONEIP_IOCTL_GET_REFUSAL, NULL, 0, &refusal, sizeof refusal, NULL),
              STATUS_SUCCESS);
    if (index)
        *index = refusal.Index;
    return refusal.Reason;
}

ONEIP_STATUS node_status(struct node *node, ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS])
{
    struct {
        ONEIP_STATUS status;
        ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];
    } output;
    ULONG_PTR information = 0;

    memset(&output, 0, sizeof output);
    is_status(
        node_ioctl(node, ONEIP_IOCTL_GET_STATUS, NULL, 0, &output, sizeof output, &information),
        STATUS_SUCCESS);
    is_int(information,
           sizeof(ONEIP_STATUS) + output.status.MemberCount * sizeof(ONEIP_MEMBER_STATUS));
    if (members)
        memcpy(members, output.members, sizeof output.members);
    return output.status;
}

ONEIP_STATS node_stats(struct node *node)
{
    ONEIP_STATS stats = {0};

    is_status(node_ioctl(node, ONEIP_IOCTL_GET_STATS, NULL, 0, &stats, sizeof stats, NULL),
              STATUS_SUCCESS);
    return stats;
}

void node_receive(struct node *node, struct test_frame *frame)
{
    test_edge_wire(node->edge, (const struct test_frame *const *)&frame, 1);
    free(frame);
}

void node_send(struct node *node, struct test_frame *frame)
{
    test_edge_stack(node->edge, (const struct test_frame *const *)&frame, 1);
    free(frame);
}

void peer_beacon(struct node *node, unsigned index, OIP_BEACON_KIND kind, uint64_t counter)
{
    peer_says(node, index, kind, counter, 0);
}

void peer_says(struct node *node, unsigned index, OIP_BEACON_KIND kind, uint64_t counter,
               UINT8 flags)
{
    struct cluster *cluster = &node->cluster;
    struct peer *peer = &node->peers[index];
    OIP_SIP_KEY key;
    OIP_BEACON beacon = {
        .Sender = peer->node,
        .Kind = (UINT8)kind,
        .Flags = flags,
        .MemberCount = (UINT8)cluster->header.MemberCount,
        .HeardAgo = kind == OipBeaconPresence ? OIP_BEACON_UNHEARD : 0,
        .IntervalMicroseconds = cluster->header.BeaconMilliseconds * 1000,
        .Boot = peer->boot,
        .Sequence = ++peer->sequence,
        .Generation = cluster->header.Generation,
        .Alive = OipMemberSet(cluster->header.MemberCount),
    };
    if (kind != OipBeaconPresence)
        beacon.Epoch = (ONEIP_EPOCH){counter, peer->node, 0};
    struct test_frame *frame = calloc(1, sizeof *frame + 14 + OIP_BEACON_BYTES);

    frame->bytes = 14 + OIP_BEACON_BYTES;
    memcpy(frame->data, cluster->members[0].Mac, 6);
    memcpy(frame->data + 6, cluster->members[index].Mac, 6);
    frame->data[12] = OIP_BEACON_ETHERTYPE >> 8;
    frame->data[13] = OIP_BEACON_ETHERTYPE & 0xff;
    OipSipKey(&key, cluster->header.BeaconKey);
    OipBeaconEncode(&beacon, cluster->header.ClusterId, &key, frame->data + 14);
    node_receive(node, frame);
}

void node_run(struct node *node, uint64_t span, uint64_t alive)
{
    uint64_t end = sched_interrupt_time() + span;
    uint64_t interval = node->cluster.header.BeaconMilliseconds * MS;

    while (sched_interrupt_time() < end) {
        for (unsigned i = 1; i < node->cluster.header.MemberCount; i++)
            if (alive >> i & 1)
                peer_beacon(node, i, OipBeaconPresence, 0);
        uint64_t next = sched_interrupt_time() + interval;
        sched_run_until(next < end ? next : end);
    }
}

bool node_promote(struct node *node, uint64_t alive)
{
    for (unsigned i = 0; i < 100; i++) {
        if (node_status(node, NULL).Role == OneIpRoleDispatcher) {
            node_drain(node);
            return true;
        }
        node_run(node, 20 * MS, alive);
    }
    fail("not promoted: role %u", node_status(node, NULL).Role);
    return false;
}

static bool is_beacon(const struct test_frame *frame)
{
    return frame->data[12] == OIP_BEACON_ETHERTYPE >> 8 &&
           frame->data[13] == (OIP_BEACON_ETHERTYPE & 0xff);
}

struct test_frame *node_wire(struct node *node)
{
    struct test_frame *frame;

    while ((frame = test_edge_take_wire(node->edge)) && is_beacon(frame))
        free(frame);
    return frame;
}

struct test_frame *node_stack(struct node *node)
{
    return test_edge_take_stack(node->edge);
}

void node_drain(struct node *node)
{
    struct test_frame *frame;

    while ((frame = node_wire(node)) || (frame = node_stack(node)))
        free(frame);
}

bool node_beacon(struct node *node, OIP_BEACON *beacon, UCHAR target_mac[6])
{
    struct test_frame *frame;
    OIP_SIP_KEY key;
    UINT32 sender;
    bool found = false;

    OipSipKey(&key, node->cluster.header.BeaconKey);
    while (!found && (frame = test_edge_take_wire(node->edge))) {
        if (is_beacon(frame)) {
            found = true;
            is_int(OipBeaconDecode(frame->data + 14, frame->bytes - 14,
                                   node->cluster.header.ClusterId, &key, beacon, &sender),
                   OipBeaconOk);
            memcpy(target_mac, frame->data, 6);
        }
        free(frame);
    }
    return found;
}

bool node_dispatcher(struct node *node, struct cluster *cluster, unsigned members)
{
    cluster_standard(cluster, members);
    return node_start(node, tap_seed()) &&
           is_status(node_configure(node, cluster), STATUS_SUCCESS) &&
           node_promote(node, ALL(members));
}

unsigned node_serve_frame(struct node *node, struct test_frame *sent)
{
    size_t size = sizeof *sent + sent->bytes;
    struct test_frame *copy = malloc(size);
    unsigned result = 0;

    memcpy(copy, sent, size);
    node_receive(node, sent);
    struct test_frame *out = node_wire(node);
    struct test_frame *up = node_stack(node);
    if (out) {
        static const UCHAR own[6] = NODE_MAC(1);
        result = out->data[5];
        is_mem(out->data + 6, own, 6, "forwarded from our own MAC");
        is_int(out->bytes, copy->bytes);
        is_mem(out->data + 12, copy->data + 12, copy->bytes - 12,
               "nothing but the MACs is rewritten");
        is_int(out->checksum_flags, 0, "no metadata that the receive side had");
        ok(!up, "not to two servers");
    } else if (up) {
        result = 1;
        is_mem(up->data, copy->data, copy->bytes, "passed up as it came");
    }
    free(out);
    free(up);
    free(copy);
    return result;
}

unsigned node_serve(struct node *node, const struct packet *packet)
{
    return node_serve_frame(node, packet_frame(packet));
}

void node_apply(struct node *node, struct cluster *cluster)
{
    cluster->header.Generation++;
    is_status(node_configure(node, cluster), STATUS_SUCCESS);
}
