#include "load.h"

#include "frames.h"

#include <stdlib.h>

void load_time(uint64_t span)
{
    if (sched_is_deterministic()) {
        sched_run_for(span);
        return;
    }
    uint64_t end = sched_interrupt_time() + span;
    while (sched_interrupt_time() < end) {
        sched_lock();
        sched_park(end);
        sched_unlock();
    }
}

/* The same for a thread of the load's own. */
static void nap(uint64_t span)
{
    sched_lock();
    sched_park(sched_interrupt_time() + span);
    sched_unlock();
}

struct test_frame *load_frame(unsigned client, unsigned payload, unsigned segments)
{
    struct packet packet = packet_standard(client % 2 ? ip4(10, 1, client >> 8 & 255, client & 255)
                                                      : ip6(0x10000 + client));
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {0};

    packet.payload = payload;
    if (segments < 2 && client % 3 == 2)
        packet.protocol = 17;
    struct test_frame *frame = packet_frame(&packet);
    if (segments > 1) {
        frame->segments = segments;
        frame->mss = (payload + segments - 1) / segments;
    }
    if (segments > 1 || client % 4 == 3) {
        info.Receive.IpChecksumSucceeded = client % 2;
        info.Receive.TcpChecksumSucceeded = packet.protocol == 6;
        info.Receive.UdpChecksumSucceeded = packet.protocol == 17;
        frame->checksum_flags = (ULONG)(ULONG_PTR)info.Value;
    }
    return frame;
}

#define BATCH 32

struct pace {
    uint64_t start, fetched;
};

static void batch(struct load *load, bool sending, unsigned count)
{
    struct test_frame *frames[BATCH];

    for (unsigned i = 0; i < count; i++) {
        bool super = !sending && load->super && !sched_choose(load->super);
        frames[i] =
            load_frame(sched_choose(load->clients), super ? 7000 : 1 + sched_choose(load->payload),
                       super ? LOAD_SEGMENTS : 1);
        if (sending) { /* to a client, from the cluster's address: an answer */
            struct packet packet = packet_standard(ip4(10, 0, 0, 100));
            packet.target = ip4(10, 1, 0, 1);
            packet.payload = 1 + sched_choose(load->payload);
            free(frames[i]);
            frames[i] = packet_frame(&packet);
        }
    }
    if (sending)
        test_edge_stack(load->node->edge, (const struct test_frame *const *)frames, count);
    else
        test_edge_wire(load->node->edge, (const struct test_frame *const *)frames, count);
    if (!sending)
        load->frames += count;
    for (unsigned i = 0; i < count; i++)
        free(frames[i]);
}

/*
 * As an adapter's ring is polled: what came since the last time is fetched, in batches; what found
 * the ring full is lost.
 */
static void paced(struct load *load, struct pace *pace)
{
    uint64_t now = sched_interrupt_time();
    uint64_t came = (now - pace->start) * load->rate / 10000000;
    uint64_t waiting = came - pace->fetched;

    if (waiting > LOAD_RING) {
        load->lost += waiting - LOAD_RING;
        pace->fetched += waiting - LOAD_RING;
        waiting = LOAD_RING;
    }
    if (!waiting) {
        nap(MS / 20);
        return;
    }
    unsigned count = waiting < BATCH ? (unsigned)waiting : BATCH;
    batch(load, false, count);
    pace->fetched += count;
}

static void run(struct load *load, bool sending)
{
    struct pace pace = {sched_interrupt_time(), 0};

    while (!load->stop) {
        if (load->rest) {
            load->resting++;
            while (load->rest && !load->stop)
                nap(1 * MS);
            load->resting--;
            pace = (struct pace){sched_interrupt_time(), 0};
            continue;
        }
        if (load->rate && !sending) {
            paced(load, &pace);
            continue;
        }
        batch(load, sending, 1 + sched_choose(8));
        if (load->rate || sched_choose(2))
            nap(sched_choose(4 * MS));
        else
            sched_point();
    }
}

static void receive_run(void *context)
{
    run(context, false);
}

static void send_run(void *context)
{
    run(context, true);
}

void load_start(struct load *load, unsigned receiving, bool sending)
{
    for (unsigned i = 0; i < receiving; i++)
        load->threads[load->count++] = nt_spawn("receives", receive_run, load);
    if (sending)
        load->threads[load->count++] = nt_spawn("sends", send_run, load);
}

void load_stop(struct load *load)
{
    load->stop = true;
    for (unsigned i = 0; i < load->count; i++)
        nt_join(load->threads[i]);
    load->count = 0;
}

void load_rest(struct load *load)
{
    load->rest = 1;
    for (unsigned i = 0; i < 10000 && load->resting != load->count; i++)
        load_time(1 * MS);
    for (unsigned i = 0; i < 10000 && test_edge_outstanding(load->node->edge); i++)
        load_time(1 * MS);
    is_int(load->resting, load->count, "threads at rest");
    is_int(test_edge_outstanding(load->node->edge), 0, "NBLs are out");
}

void load_resume(struct load *load)
{
    load->rest = 0;
}
