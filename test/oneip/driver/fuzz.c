/*
 * Many fuzzed frames and IOCTLs, quickly and in all flavours: mutations of what is valid, without
 * coverage to guide them (fuzz_frames.c and fuzz_ioctl.c have that). Nothing may crash or leak,
 * every frame is accounted for, and what is refused changes nothing.
 *
 * A round is a life of the driver of some thousand inputs, from a seed of its own; a failing
 * round is run again by --seed=N --inputs=1. --inputs=N: so many in all.
 */
#include "account.h"
#include "frames.h"
#include "fuzz_state.h"
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define ALL(n)       ((1ull << (n)) - 1)
#define MEMBERS      4
#define BATCH        32
#define ROUND_FRAMES 6000
#define ROUND_IOCTLS 500
#define MAX_FRAME    9000

struct fuzz {
    struct node node;
    struct cluster cluster;
    ONEIP_STATS before;
    uint64_t frames, ioctls, accepted, refused, forwarded, drops[16];
};

/* Frames */

static const unsigned interesting[] = {0,    1,     4,      5,      6,      0x0f,   0x11,
                                       0x2c, 0x3a,  0x3c,   0x45,   0x46,   0x4f,   0x60,
                                       0x7f, 0x80,  0xff,   0x100,  0x2000, 0x1fff, 0x7fff,
                                       8000, 0x800, 0x86dd, 0x8100, 0x806,  0x88b5, 0xffff};

static struct test_frame *grow(struct test_frame *frame, unsigned bytes)
{
    struct test_frame *grown = calloc(1, sizeof *grown + bytes);

    memcpy(grown, frame, sizeof *frame + (frame->bytes < bytes ? frame->bytes : bytes));
    grown->bytes = bytes;
    free(frame);
    return grown;
}

/* A frame that means something, for the cluster more often than not. */
static struct test_frame *valid_frame(struct fuzz *fuzz)
{
    static const UCHAR own[6] = NODE_MAC(1), client[6] = CLIENT_MAC;
    static const UCHAR broadcast[6] = {255, 255, 255, 255, 255, 255}, zero[6];
    static const UCHAR solicited_mac[6] = {0x33, 0x33, 0xff, 0, 1, 0};
    static const unsigned protocols[] = {6, 17, 1, 58, 0, 43, 44, 50, 60};
    struct address cluster6 = ip6(0x100);
    unsigned number = sched_choose(1 << 16);
    struct packet packet =
        packet_standard(number % 2 ? ip4(10, 1, number >> 8, number & 255) : ip6(number));

    switch (sched_choose(8)) {
    case 0:
        return arp_frame(sched_choose(2) ? broadcast : own, client, 1 + sched_choose(2), client,
                         sched_choose(4) ? ip4(10, 1, 1, 1) : ip4(10, 0, 0, 100), zero,
                         sched_choose(4) ? ip4(10, 0, 0, 100) : ip4(10, 0, 0, 1));
    case 1:
        return nd_frame(
            solicited_mac, client, 133 + sched_choose(5), ip6(0x99),
            sched_choose(2) ? cluster6 : (struct address){6, {0xff, 2, [11] = 1, 0xff, 0, 1, 0}},
            sched_choose(4) ? &cluster6 : NULL, sched_choose(256), sched_choose(3) ? client : NULL);
    case 2:
    case 3:
        packet.payload = sched_choose(1400);
        packet.protocol = protocols[sched_choose(RTL_NUMBER_OF(protocols))];
        return packet_frame(&packet);
    case 4: {
        struct test_frame *super =
            load_frame(number, 1400 + sched_choose(6000), 2 + sched_choose(6));
        super->segments = sched_choose(8);
        return super;
    }
    case 5: {
        struct test_frame *noise = grow(calloc(1, sizeof *noise), 14 + sched_choose(200));
        for (unsigned i = 0; i < noise->bytes; i++)
            noise->data[i] = (UCHAR)sched_choose(256);
        if (sched_choose(2))
            memcpy(noise->data, own, 6);
        return noise;
    }
    default:
        packet.payload = sched_choose(64);
        (void)fuzz;
        return packet_frame(&packet);
    }
}

/* Hardware vouches for the checksum of a whole TCP or UDP header only. */
static bool may_vouch(const struct test_frame *frame)
{
    bool ipv4 = frame->bytes >= 54 && frame_ether_type(frame) == 0x0800;
    if (!ipv4 && (frame->bytes < 74 || frame_ether_type(frame) != 0x86dd))
        return false;
    const UCHAR *ip = frame->data + 14;
    unsigned header = ipv4 ? (ip[0] & 15) * 4u : 40;
    unsigned total = ipv4 ? (unsigned)ip[2] << 8 | ip[3] : 40 + ((unsigned)ip[4] << 8 | ip[5]);
    if (ip[0] >> 4 != (ipv4 ? 4 : 6) || header < 20 || total > frame->bytes - 14 ||
        header + 20 > total || (ipv4 && ((ip[6] & 0x3f) || ip[7])))
        return false;
    unsigned protocol = ip[ipv4 ? 9 : 6], tcp = (ip[header + 12] >> 4) * 4u;
    return protocol == 17 || (protocol == 6 && tcp >= 20 && header + tcp <= total);
}

static struct test_frame *mutate(struct test_frame *frame)
{
    unsigned times = sched_choose(5);

    for (unsigned i = 0; i < times; i++) {
        /* Headers more often than what is behind them. */
        unsigned reach = sched_choose(4) && frame->bytes > 90 ? 90 : frame->bytes;
        unsigned at = sched_choose(reach);
        switch (sched_choose(7)) {
        case 0:
            frame->data[at] ^= (UCHAR)(1 << sched_choose(8));
            break;
        case 1:
            frame->data[at] = (UCHAR)interesting[sched_choose(RTL_NUMBER_OF(interesting))];
            break;
        case 2:
            if (at + 1 < frame->bytes) {
                unsigned value = interesting[sched_choose(RTL_NUMBER_OF(interesting))];
                frame->data[at] = (UCHAR)(value >> 8);
                frame->data[at + 1] = (UCHAR)value;
            }
            break;
        case 3:
            frame = grow(frame, at < 14 ? 14 : at);
            break;
        case 4:
            frame = grow(frame, frame->bytes + sched_choose(64));
            break;
        case 5: { /* four bytes more in the middle: a tag, an option, an extension header */
            unsigned bytes = frame->bytes;
            if (bytes + 4 <= MAX_FRAME) {
                frame = grow(frame, bytes + 4);
                memmove(frame->data + at + 4, frame->data + at, bytes - at);
            }
            break;
        }
        default:
            frame->checksum_flags = sched_choose(256);
            break;
        }
    }
    if (!sched_choose(16))
        frame->segments = sched_choose(64);
    if (!may_vouch(frame))
        frame->checksum_flags = 0;
    return frame;
}

/* A beacon of a member, right but for what the mutation did to it before or after it was signed. */
static struct test_frame *fuzzed_beacon(struct fuzz *fuzz)
{
    struct cluster *cluster = &fuzz->cluster;
    unsigned index = 1 + sched_choose(MEMBERS - 1);
    struct peer *peer = &fuzz->node.peers[index];
    bool before = sched_choose(2);
    OIP_SIP_KEY key;
    OIP_BEACON beacon = {.Sender = peer->node,
                         .Kind = (UINT8)(sched_choose(8) ? OipBeaconPresence : sched_choose(5)),
                         .MemberCount = MEMBERS,
                         .HeardAgo = sched_choose(2) ? OIP_BEACON_UNHEARD : 0,
                         .IntervalMicroseconds = cluster->header.BeaconMilliseconds * 1000,
                         .Boot = peer->boot,
                         .Sequence = ++peer->sequence,
                         .Generation = cluster->header.Generation,
                         .Alive = OipMemberSet(MEMBERS)};
    struct test_frame *frame = grow(calloc(1, sizeof *frame), 14 + OIP_BEACON_BYTES);

    memcpy(frame->data, cluster->members[0].Mac, 6);
    memcpy(frame->data + 6, cluster->members[index].Mac, 6);
    frame->data[12] = OIP_BEACON_ETHERTYPE >> 8;
    frame->data[13] = OIP_BEACON_ETHERTYPE & 0xff;
    OipSipKey(&key, cluster->header.BeaconKey);
    OipBeaconEncode(&beacon, cluster->header.ClusterId, &key, frame->data + 14);
    unsigned at = 14 + sched_choose(OIP_BEACON_BYTES);
    frame->data[at] ^= (UCHAR)(1 << sched_choose(8));
    if (before)
        OipSipHash128(&key, frame->data + 14, OIP_BEACON_BYTES - 16,
                      frame->data + 14 + OIP_BEACON_BYTES - 16);
    return frame;
}

static void fuzz_frames(struct fuzz *fuzz)
{
    struct test_frame *batch[BATCH];
    unsigned count = 1 + sched_choose(BATCH);
    bool up = !sched_choose(6);

    for (unsigned i = 0; i < count; i++) {
        batch[i] = !up && !sched_choose(8) ? fuzzed_beacon(fuzz) : mutate(valid_frame(fuzz));
        if (batch[i]->bytes > MAX_FRAME)
            batch[i] = grow(batch[i], MAX_FRAME);
        if (up) {
            memcpy(batch[i]->data + 6, fuzz->cluster.members[0].Mac, 6);
            batch[i]->segments = batch[i]->checksum_flags = 0;
            if (batch[i]->bytes > 1514)
                batch[i] = grow(batch[i], 1514);
        }
    }
    if (up)
        test_edge_stack(fuzz->node.edge, (const struct test_frame *const *)batch, count);
    else
        test_edge_wire(fuzz->node.edge, (const struct test_frame *const *)batch, count);
    for (unsigned i = 0; i < count; i++)
        free(batch[i]);
    fuzz->frames += count;
}

/* Sends of the stack share some of the counters, so the sum of what came may be less than its
 * parts, never more. */
static void check_frames(struct fuzz *fuzz)
{
    struct account account = {.before = fuzz->before};
    ONEIP_STATS stats;

    for (unsigned i = 0; i < 100 && test_edge_outstanding(fuzz->node.edge); i++)
        sched_run_for(1 * MS);
    is_int(test_edge_outstanding(fuzz->node.edge), 0, "NBLs are out");
    node_drain(&fuzz->node);
    stats = node_stats(&fuzz->node);
    ok(stats.FramesIndicated - fuzz->before.FramesIndicated <=
       stats.FramesPassed - fuzz->before.FramesPassed + stats.FramesForwarded -
           fuzz->before.FramesForwarded + stats.FramesConsumed - fuzz->before.FramesConsumed +
           account_drops(&account, &stats) + stats.FragmentsHeld);
    fuzz->forwarded += stats.FramesForwarded - fuzz->before.FramesForwarded;
    for (unsigned i = 0; i < RTL_NUMBER_OF(fuzz->drops); i++)
        fuzz->drops[i] += stats.Drops[i] - fuzz->before.Drops[i];
    fuzz->before = stats;
}

/* IOCTLs */

static void nothing(void *context, NTSTATUS status, ULONG_PTR information)
{
    (void)context, (void)status, (void)information;
}

static NTSTATUS call(struct fuzz *fuzz, ULONG code, const void *input, ULONG input_bytes,
                     ULONG output_bytes)
{
    static UINT8 output[4096], events[4096];
    struct io_request *request;

    if (code != ONEIP_IOCTL_WAIT_EVENT)
        return node_ioctl(&fuzz->node, code, input, input_bytes, output, output_bytes, NULL);
    /* It may wait for an event that does not come. */
    NTSTATUS status = io_ioctl_start(fuzz->node.client, fuzz->node.device, code, input, input_bytes,
                                     events, output_bytes, nothing, NULL, &request);
    io_cancel(fuzz->node.client, fuzz->node.device, request);
    io_request_release(request);
    return status == STATUS_PENDING ? STATUS_SUCCESS : status;
}

static void fuzz_ioctl(struct fuzz *fuzz)
{
    static struct fuzz_state before, after;
    ULONG bytes, code = CTL_CODE(0x12, 0x900 + sched_choose(20), 0, sched_choose(8) ? 0 : 3);
    struct cluster cluster = fuzz->cluster;
    bool check = !sched_choose(32);

    /* The access that the code's own function asks for, mostly. */
    static const UCHAR access[] = {1, 2, 2, 1, 1, 1, 1, 2, 2, 1, 1, 2, 1, 2, 1, 1};
    if (sched_choose(8))
        code = CTL_CODE(0x12, 0x900 + (code >> 2 & 0xff), 0,
                        (code >> 2 & 0xff) < sizeof access ? access[code >> 2 & 0xff] : 1);
    if (!sched_choose(4))
        code = ONEIP_IOCTL_SET_CONFIG;
    cluster.header.Generation = ++fuzz->cluster.header.Generation;
    UINT8 *input = cluster_bytes(&cluster, &bytes);
    for (unsigned i = sched_choose(6); i > 0; i--)
        input[sched_choose(bytes)] = (UCHAR)(sched_choose(2) ? sched_choose(256) : sched_choose(5));
    if (code != ONEIP_IOCTL_SET_CONFIG) {
        bytes = sched_choose(2) ? sched_choose(80) : sched_choose(bytes);
        for (unsigned i = 0; i < bytes && i < 80; i++)
            if (sched_choose(2))
                input[i] = (UCHAR)sched_choose(8);
    } else if (!sched_choose(4)) {
        bytes = sched_choose(bytes);
    }
    if (code == ONEIP_IOCTL_SET_CONFIG && sched_choose(2))
        bytes = (ULONG)fuzz_repair(input, bytes);

    if (check)
        fuzz_state_read(&fuzz->node, &before);
    if (NT_SUCCESS(call(fuzz, code, input, bytes, sched_choose(4096)))) {
        fuzz->accepted++;
    } else {
        fuzz->refused++;
        if (check) {
            fuzz_state_read(&fuzz->node, &after);
            fuzz_state_same(&before, &after);
        }
    }
    fuzz->ioctls++;
    free(input);
}

/* A life */

static bool run(struct fuzz *fuzz, uint64_t seed)
{
    struct ndis_adapter_config adapter;

    node_adapter_config(&adapter);
    adapter.offload.LsoV2.IPv4 =
        (__typeof__(adapter.offload.LsoV2.IPv4)){NDIS_ENCAPSULATION_IEEE_802_3, 65000, 2};
    adapter.offload.Checksum.IPv4Transmit = (__typeof__(adapter.offload.Checksum.IPv4Transmit)){
        .Encapsulation = NDIS_ENCAPSULATION_IEEE_802_3,
        .TcpOptionsSupported = NDIS_OFFLOAD_SUPPORTED,
        .TcpChecksum = NDIS_OFFLOAD_SUPPORTED};
    cluster_standard(&fuzz->cluster, MEMBERS);
    if (!node_start_with(&fuzz->node, seed, &adapter) ||
        !is_status(node_configure(&fuzz->node, &fuzz->cluster), STATUS_SUCCESS) ||
        !node_promote(&fuzz->node, ALL(MEMBERS)))
        return false;
    fuzz->before = node_stats(&fuzz->node);
    for (uint64_t end = fuzz->frames + ROUND_FRAMES, i = 0; fuzz->frames < end && !tap_failing();
         i++) {
        fuzz_frames(fuzz);
        if (i % 8 == 7) {
            check_frames(fuzz);
            node_run(&fuzz->node, 10 * MS, ALL(MEMBERS));
        }
        /* A beacon may have taken the role away: it is taken back. */
        if (i % 64 == 63 && node_status(&fuzz->node, NULL).Role != OneIpRoleDispatcher)
            node_ioctl(&fuzz->node, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, NULL);
    }
    is_int(node_status(&fuzz->node, NULL).Generation, fuzz->cluster.header.Generation,
           "no frame changes the configuration");
    check_frames(fuzz);
    for (unsigned i = 0; i < ROUND_IOCTLS && !tap_failing(); i++) {
        fuzz_ioctl(fuzz);
        if (i % 16 == 15)
            fuzz_frames(fuzz);
    }
    node_drain(&fuzz->node);
    node_stop(&fuzz->node);
    return true;
}

NT_TEST(fuzzed_frames_and_ioctls_do_no_harm)
{
    const char *option = tap_option("inputs");
    uint64_t inputs = option ? strtoull(option, NULL, 0) : 30000, seed = tap_seed();
    struct fuzz *fuzz = calloc(1, sizeof *fuzz);

    while (fuzz->frames + fuzz->ioctls < inputs && !tap_failing()) {
        tap_at("seed %ju", (uintmax_t)seed);
        if (inputs > 1000000 && (seed - tap_seed()) % 64 == 0)
            diag("seed %ju, %ju inputs", (uintmax_t)seed, (uintmax_t)(fuzz->frames + fuzz->ioctls));
        if (!run(fuzz, seed++))
            break;
    }
    diag("%ju frames, %ju of them forwarded; %ju IOCTLs, %ju accepted, %ju refused",
         (uintmax_t)fuzz->frames, (uintmax_t)fuzz->forwarded, (uintmax_t)fuzz->ioctls,
         (uintmax_t)fuzz->accepted, (uintmax_t)fuzz->refused);
    for (unsigned i = 0; i < RTL_NUMBER_OF(fuzz->drops); i++)
        if (fuzz->drops[i])
            diag("dropped for reason %u: %ju", i, (uintmax_t)fuzz->drops[i]);
    ok(fuzz->forwarded && fuzz->accepted && fuzz->refused);
    free(fuzz);
}
