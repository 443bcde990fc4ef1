/*
 * Change under load: hash key, members, weights and addresses change live, thousands of times,
 * while frames come in. Each change is in force when its IOCTL completes; every frame that was
 * indicated is forwarded, passed up or dropped for a reason; and each frame that was sent went to
 * the member that the configuration says by whose generation it is stamped.
 *
 * What a configuration says about a client is asked by LOOKUP, twice: at once, and after beacons of
 * all members have come, since a member that is new serves nobody until it is heard.
 *
 * --changes=N: so many. In real time the load is 80 % of what this machine takes without loss,
 * which is found out first.
 */
#include "frames.h"
#include "load.h"

#include "forward.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS     32
#define MEMBERS     6
#define MIN_MEMBERS 3

/* What one generation says: the member's node, 0 for none, by client; at once and later. */
struct word {
    UINT8 member[CLIENTS][2];
};

struct change {
    struct node node;
    struct load load;
    struct account account;
    struct cluster cluster;
    struct word *words; /* by generation */
    unsigned rounds;
    uint64_t sent, stamped, old; /* frames; of these, stamped; by an older generation */
    uint64_t by_table;           /* of the stamped, sent by the table and not by a flow */
    unsigned probe;              /* the next client that nothing knows of */
    unsigned missed;
};

/* The client that load_frame() makes of a number. */
static ONEIP_LOOKUP lookup_of(unsigned client)
{
    struct address source =
        client % 2 ? ip4(10, 1, client >> 8 & 255, client & 255) : ip6(0x10000 + client);
    ONEIP_LOOKUP lookup = {.Client = {source.family, 0, {0}},
                           .Cluster = {source.family, 0, {10, 0, 0, 100}},
                           .Protocol = client % 3 == 2 ? 17 : 6,
                           .ClientPort = RtlUshortByteSwap(40000), /* as in the frame */
                           .ClusterPort = RtlUshortByteSwap(80)};

    memcpy(lookup.Client.Address, source.bytes, 16);
    if (source.family == 6)
        memcpy(lookup.Cluster.Address, ip6(0x100).bytes, 16);
    return lookup;
}

/* 0: nobody, or the address is none of the cluster's. */
static UINT8 ask(struct change *change, unsigned client)
{
    const ONEIP_LOOKUP lookup = lookup_of(client);
    ONEIP_LOOKUP_RESULT result = {0};

    node_ioctl(&change->node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result,
               NULL);
    return (UINT8)result.NodeId;
}

static void learn(struct change *change, unsigned which)
{
    struct word *word = &change->words[change->cluster.header.Generation];

    for (unsigned i = 0; i < CLIENTS; i++)
        word->member[i][which] = ask(change, i);
}

static void beat(struct change *change)
{
    for (unsigned i = 1; i < change->node.cluster.header.MemberCount; i++)
        peer_beacon(&change->node, i, OipBeaconPresence, 0);
}

/* Until all members are heard, and the table is what it should be. */
static void heard(struct change *change)
{
    ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS];

    for (unsigned i = 0; i < 1000; i++) {
        unsigned alive = 0, count = node_status(&change->node, members).MemberCount;
        for (unsigned n = 0; n < count; n++)
            alive += members[n].Alive;
        if (alive == count)
            return;
        beat(change);
        load_time(1 * MS);
    }
    fail("not all members are heard");
}

/* Frames that were sent */

static bool says(const struct change *change, uint64_t generation, unsigned client, unsigned node)
{
    const UINT8 *member = change->words[generation].member[client];

    return member[0] == node || member[1] == node;
}

/* 0: the driver stamps nothing. */
static uint64_t stamp_of(const struct test_frame *frame)
{
    return ok(frame->context_bytes >= sizeof(OIP_SEND_CONTEXT))
               ? ((const OIP_SEND_CONTEXT *)frame->context)->Generation
               : 0;
}

static OIP_DECISION decision_of(const struct test_frame *frame)
{
    return ((const OIP_SEND_CONTEXT *)frame->context)->Decision;
}

static bool client_of(const struct test_frame *frame, unsigned *client)
{
    if (frame->bytes >= 54 && frame_ether_type(frame) == 0x0800 && frame->data[33] == 100)
        *client = (unsigned)frame->data[28] << 8 | frame->data[29];
    else if (frame->bytes >= 54 && frame_ether_type(frame) == 0x86dd && frame->data[20] != 58)
        *client = (unsigned)frame->data[36] << 8 | frame->data[37];
    else
        return false;
    return true;
}

static void check_sent(struct change *change, const struct test_frame *frame)
{
    uint64_t now = change->cluster.header.Generation, stamp = stamp_of(frame);
    unsigned client, node = frame->data[5];

    if (!client_of(frame, &client) || client >= CLIENTS)
        return;
    change->sent++;
    if (!stamp) {
        ok(says(change, now, client, node) || says(change, now - 1, client, node),
           "client %u went to node %u, neither by generation %ju nor by the one before", client,
           node, (uintmax_t)now);
        return;
    }
    change->stamped++;
    change->old += stamp != now;
    if (decision_of(frame) == OipByFlow)
        return; /* it stays where it was, whatever the table says */
    change->by_table++;
    if (decision_of(frame) == OipByFormer)
        node = 1; /* the table says that it is served here, and here it is not known */
    ok(stamp <= now && says(change, stamp, client, node),
       "client %u went to node %u, stamped %ju; it is %ju", client, node, (uintmax_t)stamp,
       (uintmax_t)now);
}

/* All that is out; `probe`: the node that this client's frame went to, 1 if it came up. */
static unsigned take(struct change *change, unsigned probe)
{
    struct test_frame *frame;
    unsigned client, found = 0;

    while ((frame = test_edge_take_wire(change->node.edge))) {
        account_wire(&change->account, frame);
        check_sent(change, frame);
        if (client_of(frame, &client) && client == probe)
            found = decision_of(frame) == OipByFormer ? 1 : frame->data[5];
        free(frame);
    }
    while ((frame = test_edge_take_stack(change->node.edge))) {
        account_stack(&change->account, frame);
        if (client_of(frame, &client) && client == probe)
            found = 1;
        free(frame);
    }
    return found;
}

/* A change */

static void vary(struct change *change)
{
    struct cluster *cluster = &change->cluster;
    ONEIP_CONFIG *header = &cluster->header;

    header->Generation++;
    switch (sched_choose(5)) {
    case 0:
        for (unsigned i = 0; i < sizeof header->HashKey; i++)
            header->HashKey[i] = (UINT8)sched_choose(256);
        break;
    case 1:
        /* One at a time: so there is nothing between "not heard yet" and "heard". */
        if (header->MemberCount == MEMBERS ||
            (header->MemberCount > MIN_MEMBERS && sched_choose(2)))
            header->MemberCount--;
        else
            header->MemberCount++;
        break;
    case 2:
        for (unsigned i = 1; i < MEMBERS; i++)
            cluster->members[i].Weight = 1 + sched_choose(5);
        cluster->members[0].Weight = sched_choose(3);
        break;
    case 3: /* IPv4 alone, both, or one more that nobody uses */
        header->AddressCount = 1 + sched_choose(3);
        break;
    default:
        header->Affinity =
            header->Affinity == OneIpAffinityClient ? OneIpAffinityFiveTuple : OneIpAffinityClient;
        break;
    }
}

/* Does it dispatch? If not, it is given time to. */
static bool acts(struct change *change)
{
    if (node_status(&change->node, NULL).Role == OneIpRoleDispatcher)
        return true;
    for (unsigned i = 0; i < 1000 && node_status(&change->node, NULL).Role != OneIpRoleDispatcher;
         i++) {
        beat(change);
        load_time(20 * MS);
    }
    heard(change);
    return false;
}

/* In force when the IOCTL is complete: the next frame of somebody new goes by it. */
static void probe(struct change *change)
{
    unsigned client = CLIENTS + change->probe++ % 60000, expected = ask(change, client);

    if (!expected)
        return; /* IPv6, and it has no address now */
    node_receive(&change->node, load_frame(client, 100, 1));
    unsigned found = take(change, client);
    if (!found && !sched_is_deterministic() && !acts(change))
        change->missed++; /* this machine stood still, and its role lapsed */
    else
        is_int(found, expected, "client %u by generation %ju", client,
               (uintmax_t)change->cluster.header.Generation);
}

static void account_now(struct change *change)
{
    ONEIP_STATS stats;

    load_rest(&change->load);
    take(change, 0xffff);
    stats = node_stats(&change->node);
    account_check_passing(&change->account, &stats);
    account_begin(&change->account, &stats);
    load_resume(&change->load);
}

static bool begin(struct change *change, enum nt_scheduler scheduler, uint64_t seed,
                  unsigned changes)
{
    const struct nt_options options = {
        .scheduler = scheduler, .seed = seed, .processors = 2, .verifier = true};
    struct ndis_adapter_config adapter;

    change->words = calloc(changes + 2, sizeof *change->words);
    change->rounds = changes;
    node_adapter_config(&adapter);
    cluster_standard(&change->cluster, MEMBERS);
    /* So that the role and the members last where a machine is slow. */
    change->cluster.header.BeaconMilliseconds = 200;
    change->cluster.addresses[2] = (ONEIP_ADDRESS){OneIpFamilyIpv4, 0, {10, 0, 0, 101}};
    if (!node_install(&change->node, &options) || !node_run_driver(&change->node, &adapter) ||
        !is_status(node_configure(&change->node, &change->cluster), STATUS_SUCCESS))
        return false;
    for (unsigned i = 0; i < 300 && node_status(&change->node, NULL).Role != OneIpRoleDispatcher;
         i++) {
        beat(change);
        load_time(20 * MS);
    }
    load_time(20 * MS); /* its first beacons are out: it acts */
    if (!is_int(node_status(&change->node, NULL).Role, OneIpRoleDispatcher))
        return false;
    heard(change);
    node_drain(&change->node);
    learn(change, 0);
    learn(change, 1);
    ONEIP_STATS stats = node_stats(&change->node);
    account_begin(&change->account, &stats);
    change->load = (struct load){.node = &change->node, .clients = CLIENTS, .payload = 1200};
    return true;
}

static void end(struct change *change)
{
    node_stop(&change->node);
    free(change->words);
}

static void changes(struct change *change, bool slip)
{
    for (unsigned i = 0; i < change->rounds && !tap_failing(); i++) {
        tap_at("change %u, members %u, affinity %u, addresses %u", i,
               change->cluster.header.MemberCount, change->cluster.header.Affinity,
               change->cluster.header.AddressCount);
        vary(change);
        if (slip)
            sched_set_time_slip(sched_choose(2) ? 100 : 0);
        is_status(node_configure(&change->node, &change->cluster), STATUS_SUCCESS);
        if (slip)
            sched_set_time_slip(0);
        learn(change, 0);
        beat(change);
        heard(change);
        learn(change, 1);
        probe(change);
        take(change, 0xffff);
        if (slip && !sched_choose(4))
            load_time(sched_choose(10) * MS);
        if (i % 64 == 63)
            account_now(change);
    }
    account_now(change);
    ok(change->missed <= change->rounds / 10, "%u of %u changes unprobed", change->missed,
       change->rounds);
    diag("%u changes, %ju frames came, %ju were sent, %ju of them stamped, %ju by an older "
         "generation than the newest",
         change->rounds, (uintmax_t)change->load.frames, (uintmax_t)change->sent,
         (uintmax_t)change->stamped, (uintmax_t)change->old);
    ok(change->sent > 0);
    is_int(change->stamped, change->sent, "every frame that was sent is stamped");
    ok(change->by_table * 4 > change->stamped, "%ju by the table", (uintmax_t)change->by_table);
    tap_at(NULL);
}

static unsigned count_of(unsigned usual)
{
    const char *option = tap_option("changes");

    return option ? (unsigned)atoi(option) : usual;
}

NT_TEST(a_change_is_in_force_when_its_ioctl_completes_under_load)
{
    struct change change = {0};

    need(begin(&change, NT_DETERMINISTIC, tap_seed(), count_of(300)));
    load_start(&change.load, 2, false);
    changes(&change, true);
    load_stop(&change.load);
    end(&change);
}

/* In real time, near the limit */

static bool loss_free(struct change *change, unsigned rate, unsigned milliseconds)
{
    change->load.rate = rate;
    change->load.stop = false;
    change->load.lost = 0;
    load_start(&change->load, 1, false);
    for (unsigned i = 0; i < milliseconds; i += 10) {
        load_time(10 * MS);
        beat(change);
        take(change, 0xffff);
    }
    load_stop(&change->load);
    return !change->load.lost;
}

/* The highest rate without a loss, frames/s, to within 5 %. */
static unsigned highest_rate(struct change *change, unsigned milliseconds)
{
    unsigned low = 1000, high = 2000;

    while (high < 4000000 && loss_free(change, high, milliseconds)) {
        low = high;
        high *= 2;
    }
    while (high - low > low / 20) {
        unsigned middle = low + (high - low) / 2;
        if (loss_free(change, middle, milliseconds))
            low = middle;
        else
            high = middle;
    }
    return low;
}

NT_TEST(changes_in_real_time_at_80_percent_of_the_loss_free_rate)
{
    struct change change = {0};
    unsigned count = count_of(100), rate;

    need(begin(&change, NT_REALTIME, tap_seed(), count));
    rate = highest_rate(&change, count > 1000 ? 500 : 60);
    change.load.rate = rate * 8 / 10;
    change.load.stop = false;
    change.load.lost = 0;
    diag("%u frames/s without loss; the load is %u", rate, change.load.rate);
    load_start(&change.load, 1, false);
    changes(&change, false);
    load_stop(&change.load);
    diag("%ju frames were lost below, in a full ring", (uintmax_t)change.load.lost);
    end(&change);
}
