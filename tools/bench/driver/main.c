/*
 * What the driver alone costs for a frame. IPv4 TCP to the cluster's address, batches of 64.
 *
 *   bench_driver [--drivers=elf|pe] [--images=FOLDER] [--flows=1000] [--members=4] [--batches=256]
 *                [--payload=10]
 *
 * Opens so many flows, each of a client of its own (SYN, then ACK with so many bytes of data), and
 * then measures
 *   hit    ACK with data of flows that are there, in random order
 *   miss   SYN of new flows
 * for so many batches each. Prints a line of JSON for each: frames, where they went, ns a frame in
 * NDIS and the driver, and where the driver's image lies.
 *
 * Under callgrind with --instr-atstart=no --collect-atstart=no only the measured batches are
 * counted, and their counts are dumped under the name of the scenario; who reads the dump counts
 * those of the image. Fails where a frame did not leave the driver.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nthost/loader.h>

#include <valgrind/callgrind.h>

#include "dispatcher.h"
#include "frames.h"

enum { SYN = 0x02, ACK = 0x18 };

static unsigned option(const char *name, unsigned otherwise)
{
    const char *text = tap_option(name);
    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static unsigned payload;

/* Client number n, from 11.0.0.1 on, by some port. */
static struct test_frame *flow_frame(unsigned n, unsigned flags)
{
    unsigned a = 0x0b000001u + n;
    struct packet packet = packet_standard(ip4(a >> 24, a >> 16 & 0xff, a >> 8 & 0xff, a & 0xff));

    packet.source_port = 1024 + n * 2654435761u % 60000;
    packet.tcp_flags = flags;
    packet.payload = flags == SYN ? 0 : payload;
    packet.sequence = flags == SYN ? 999 : 1000;
    return packet_frame(&packet);
}

/* A random order that is the same on each run (Numerical Recipes' constants). */
static unsigned draw(uint32_t *state, unsigned below)
{
    *state = *state * 1664525 + 1013904223;
    return (unsigned)((uint64_t)*state * below >> 32);
}

struct batch {
    struct test_frame *frames[PLAIN_BATCH];
    unsigned count;
};

static bool flush(struct dispatcher *d, struct batch *batch, bool measured)
{
    if (measured)
        CALLGRIND_TOGGLE_COLLECT;
    bool good =
        dispatcher_receive(d, (const struct test_frame *const *)batch->frames, batch->count);
    if (measured)
        CALLGRIND_TOGGLE_COLLECT;
    while (batch->count)
        free(batch->frames[--batch->count]);
    dispatcher_breathe(d);
    return good;
}

static bool add(struct dispatcher *d, struct batch *batch, struct test_frame *frame, bool measured)
{
    batch->frames[batch->count++] = frame;
    return batch->count < PLAIN_BATCH || flush(d, batch, measured);
}

/* Flows first .. first + count - 1. */
static bool open_flows(struct dispatcher *d, unsigned first, unsigned count)
{
    struct batch batch = {.count = 0};
    bool good = true;

    for (unsigned i = 0; good && i < count; i++)
        good = add(d, &batch, flow_frame(first + i, SYN), false) &&
               add(d, &batch, flow_frame(first + i, ACK), false);
    return good && (!batch.count || flush(d, &batch, false));
}

static bool hits(struct dispatcher *d, unsigned flows, unsigned batches)
{
    struct batch batch = {.count = 0};
    uint32_t random = 1;

    for (unsigned i = 0; i < batches * PLAIN_BATCH; i++)
        if (!add(d, &batch, flow_frame(draw(&random, flows), ACK), true))
            return false;
    return true;
}

static bool misses(struct dispatcher *d, unsigned first, unsigned batches)
{
    struct batch batch = {.count = 0};

    for (unsigned i = 0; i < batches * PLAIN_BATCH; i++)
        if (!add(d, &batch, flow_frame(first + i, SYN), true))
            return false;
    return true;
}

struct measurement {
    struct plain_edge edge;
    ONEIP_STATS stats;
};

static void begin(struct dispatcher *d, struct measurement *before)
{
    before->stats = node_stats(&d->node);
    before->edge = d->edge;
    CALLGRIND_ZERO_STATS;
}

static void print(struct dispatcher *d, const char *scenario, unsigned flows,
                  const struct measurement *before)
{
    const struct nt_image *image = image_of(d->edge.image);
    ONEIP_STATS stats = node_stats(&d->node);
    unsigned long long sent = d->edge.sent - before->edge.sent;
    unsigned long long passed = d->edge.received - before->edge.received;
    void *base = NULL;
    size_t bytes = 0;

    if (!ok(image && !strcmp(image_name(image), "oneip"), "no frame came out of oneip"))
        return;
    is_int(stats.FramesForwarded - before->stats.FramesForwarded, sent, "the driver's counter");
    is_int(stats.FramesPassed - before->stats.FramesPassed, passed, "the driver's counter");
    image_extent(image, &base, &bytes);
    printf("{\"scenario\":\"%s\",\"drivers\":\"%s\",\"flows\":%u,\"members\":%u,\"frames\":%llu,"
           "\"forwarded\":%llu,\"passed\":%llu,\"nsPerFrame\":%.1f,\"base\":%llu,\"bytes\":%zu}\n",
           scenario, tap_drivers_pe() ? "pe" : "elf", flows, d->node.cluster.header.MemberCount,
           sent + passed, sent, passed,
           (double)(d->edge.inside - before->edge.inside) / (double)(sent + passed),
           (unsigned long long)(uintptr_t)base, bytes);
}

NT_TEST(every_frame_of_known_and_new_flows_leaves_the_driver)
{
    static struct dispatcher d;
    static struct measurement before;
    const char *images = tap_option("images") ? tap_option("images") : NTS_DRIVER_DIR;
    unsigned flows = option("flows", 1000), batches = option("batches", 256);

    payload = option("payload", 10);
    need(flows && batches && payload <= 1460 && dispatcher_start(&d, images, option("members", 4)));
    need(open_flows(&d, 0, flows));
    CALLGRIND_START_INSTRUMENTATION;

    begin(&d, &before);
    need(hits(&d, flows, batches));
    CALLGRIND_DUMP_STATS_AT("hit");
    print(&d, "hit", flows, &before);

    begin(&d, &before);
    need(misses(&d, flows, batches));
    CALLGRIND_DUMP_STATS_AT("miss");
    print(&d, "miss", flows, &before);

    dispatcher_stop(&d);
}
