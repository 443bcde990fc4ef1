#include "dispatcher.h"

#include <stdlib.h>
#include <string.h>

#define FLOW_CAPACITY 1250000 /* 86 MB; with a million flows in it, it is 64% full */

#include <ftw.h>
#include <unistd.h>

static unsigned never_switch(void *context, unsigned n)
{
    (void)context, (void)n;
    return 0;
}

static void presence(struct dispatcher *d, unsigned member)
{
    const ONEIP_CONFIG *config = &d->node.cluster.header;
    OIP_BEACON beacon = {
        .Sender = d->node.cluster.members[member].NodeId,
        .Kind = OipBeaconPresence,
        .MemberCount = (UINT8)config->MemberCount,
        .HeardAgo = OIP_BEACON_UNHEARD,
        .IntervalMicroseconds = config->BeaconMilliseconds * 1000,
        .Boot = 1000,
        .Sequence = ++d->node.peers[member].sequence,
        .Generation = config->Generation,
        .Alive = OipMemberSet(config->MemberCount),
    };
    struct test_frame *frame = calloc(1, sizeof *frame + 14 + OIP_BEACON_BYTES);
    OIP_SIP_KEY key;

    frame->bytes = 14 + OIP_BEACON_BYTES;
    memcpy(frame->data, d->node.cluster.members[0].Mac, 6);
    memcpy(frame->data + 6, d->node.cluster.members[member].Mac, 6);
    frame->data[12] = OIP_BEACON_ETHERTYPE >> 8;
    frame->data[13] = OIP_BEACON_ETHERTYPE & 0xff;
    OipSipKey(&key, config->BeaconKey);
    OipBeaconEncode(&beacon, config->ClusterId, &key, frame->data + 14);
    ok(plain_edge_indicate(&d->edge, (const struct test_frame *const *)&frame, 1));
    free(frame);
}

/* Dispatches, and hears all others? */
static bool settled(struct dispatcher *d)
{
    ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];
    ONEIP_STATUS status = node_status(&d->node, members);

    if (status.Role != OneIpRoleDispatcher)
        return false;
    for (unsigned i = 0; i < status.MemberCount; i++)
        if (!members[i].Alive)
            return false;
    return true;
}

static bool promote(struct dispatcher *d)
{
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned member = 1; member < d->node.cluster.header.MemberCount; member++)
            presence(d, member);
        if (settled(d))
            return true;
        sched_run_for(5 * MS);
    }
    fail("not the dispatcher of all members within a second");
    return false;
}

static bool install(const char *images)
{
    struct setup_error error = {0};
    char service[64];

    return is_status(setup_install(NTS_SOURCE_DIR "/kernel/inf/oneip.inf", images,
                                   tap_drivers_pe() ? ".sys" : ".so", service, &error),
                     STATUS_SUCCESS, "%s:%u: %s", error.file, error.line, error.message) &&
           is_status(setup_start(service, &error), STATUS_SUCCESS, "%s", error.message);
}

bool dispatcher_start(struct dispatcher *d, const char *images, unsigned members)
{
    struct ndis_adapter_config adapter;
    struct cluster cluster;

    memset(d, 0, sizeof *d);
    strcpy(d->node.state_dir, "/tmp/oneip-bench-XXXXXX");
    if (!ok(mkdtemp(d->node.state_dir) != NULL))
        return false;
    nt_start(&(struct nt_options){.scheduler = NT_DETERMINISTIC,
                                  .seed = tap_seed(),
                                  .processors = 1,
                                  .state_dir = d->node.state_dir});
    sched_set_chooser(never_switch, NULL);
    if (!install(images))
        return false;
    node_adapter_config(&adapter);
    if (!ok(plain_edge_create(&d->edge, &adapter)))
        return false;
    ndis_adapter_start(d->edge.adapter);
    d->node.client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
    if (!is_status(packet_filter_set(d->edge.adapter, PACKET_FILTER_USUAL), NDIS_STATUS_SUCCESS) ||
        !is_status(io_open(d->node.client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE,
                           &d->node.device),
                   STATUS_SUCCESS))
        return false;
    cluster_standard(&cluster, members);
    cluster.header.FlowCapacity = FLOW_CAPACITY;
    return is_status(node_configure(&d->node, &cluster), STATUS_SUCCESS) && promote(d);
}

/* The deterministic scheduler takes a driver that reads the clock for each batch, and does nothing
 * else that it sees, for one that waits busily, and lets a microsecond pass each time. Before so
 * many of them make a beacon interval, the others say that they are alive, and what is due is done.
 */
static void tick(struct dispatcher *d)
{
    uint64_t sent = d->edge.sent, received = d->edge.received;

    for (unsigned member = 1; member < d->node.cluster.header.MemberCount; member++)
        presence(d, member);
    sched_run_for(0);
    d->edge.sent = sent;
    d->edge.received = received;
}

bool dispatcher_receive(struct dispatcher *d, const struct test_frame *const *frames,
                        unsigned count)
{
    uint64_t out = d->edge.sent + d->edge.received;

    if (!plain_edge_indicate(&d->edge, frames, count)) {
        fail("%u of %u frames were not given back", d->edge.out, count);
        return false;
    }
    out = d->edge.sent + d->edge.received - out;
    if (out != count)
        fail("%u frames in, %llu out", count, (unsigned long long)out);
    return out == count;
}

void dispatcher_breathe(struct dispatcher *d)
{
    uint64_t now = sched_interrupt_time();

    if (now - d->ticked >= MS) {
        tick(d);
        d->ticked = now;
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info, (void)kind, (void)position;
    return remove(path);
}

void dispatcher_stop(struct dispatcher *d)
{
    struct setup_error error;

    io_client_destroy(d->node.client);
    ndis_adapter_stop(d->edge.adapter);
    is_status(setup_stop("NtsOneIp", &error), STATUS_SUCCESS);
    plain_edge_destroy(&d->edge);
    nt_stop();
    nftw(d->node.state_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}
