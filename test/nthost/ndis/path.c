/* Frames through the stack: with no filter, one, and two, whatever the filter does with them. */
#include "common.h"

#define FRAMES 24

/* Sends and receives numbered frames; all must arrive, in order, unchanged. */
static void check_traffic(struct bench *bench, unsigned base)
{
    struct test_frame *in[FRAMES], *out[FRAMES], *frame;
    for (unsigned i = 0; i < FRAMES; i++) {
        struct frame_spec spec = {.ip = i & 1 ? 6 : 4,
                                  .protocol = i & 2 ? 17 : 6,
                                  .payload = i * 61 % 1400,
                                  .number = base + i};
        in[i] = frame_make(&spec);
        spec.from_us = true;
        out[i] = frame_make(&spec);
    }
    test_edge_wire(bench->edge, (const struct test_frame *const *)in, FRAMES);
    test_edge_stack(bench->edge, (const struct test_frame *const *)out, FRAMES);
    settle();
    for (unsigned i = 0; i < FRAMES; i++) {
        frame = test_edge_take_stack(bench->edge);
        ok(frame && frame_same(frame, in[i]), "received frame %u", i);
        free(frame);
        frame = test_edge_take_wire(bench->edge);
        ok(frame && frame_same(frame, out[i]), "sent frame %u", i);
        free(frame);
        free(in[i]);
        free(out[i]);
    }
    is_int(drain_stack(bench), 0);
    is_int(drain_wire(bench), 0);
    is_int(test_edge_outstanding(bench->edge), 0);
}

NT_TEST(frames_pass_an_empty_stack)
{
    for (unsigned i = 0; i < 20; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        check_traffic(&bench, 1);
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

NT_TEST(frames_pass_one_filter_and_are_counted)
{
    for (unsigned i = 0; i < 20; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        check_traffic(&bench, 1);
        NDISPASS_COUNTERS c = pass_counters(&bench);
        is_int(c.Modules, 1);
        is_int(c.Running, 1);
        is_int(c.SentFrames, FRAMES);
        is_int(c.CompletedFrames, FRAMES);
        is_int(c.ReceivedFrames, FRAMES);
        ok(c.ReturnedFrames <= FRAMES, "those with RESOURCES do not come back");
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

static void run_behaviour(ULONG flags, const char *name)
{
    for (unsigned i = 0; i < 12; i++) {
        struct bench bench;
        tap_at("%s, seed %u", name, (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        probe_behave(&bench, flags);
        check_traffic(&bench, 1);
        check_traffic(&bench, 1000);
        PROBE_STATE s = probe_state(&bench);
        is_int(s.Modules, 1);
        is_int(s.Running, 1);
        ok(s.Receives >= FRAMES && s.Sends > 0);
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

NT_TEST(two_filters_pass)
{
    run_behaviour(0, "plain");
}

NT_TEST(a_filter_splits_chains)
{
    run_behaviour(PROBE_SPLIT, "split");
}

NT_TEST(a_filter_indicates_clones)
{
    run_behaviour(PROBE_CLONE_RECEIVES, "clones");
}

NT_TEST(a_filter_sends_copies)
{
    run_behaviour(PROBE_COPY_SENDS, "copies");
}

NT_TEST(a_filter_queues)
{
    for (unsigned i = 0; i < 12; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_probe(&bench));
        probe_behave(&bench, PROBE_QUEUE_SENDS);
        struct test_frame *out[4];
        for (unsigned n = 0; n < 4; n++)
            out[n] = frame_numbered(n, true);
        test_edge_stack(bench.edge, (const struct test_frame *const *)out, 4);
        is_int(drain_wire(&bench), 0, "kept for the timer");
        settle();
        for (unsigned n = 0; n < 4; n++) {
            struct test_frame *frame = test_edge_take_wire(bench.edge);
            ok(frame && frame_same(frame, out[n]), "frame %u", n);
            free(frame);
            free(out[n]);
        }
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

NT_TEST(a_filter_prepends_and_takes_off_again)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_ENCAPSULATE);
    for (unsigned n = 0; n < 40; n++) {
        struct test_frame *out = frame_numbered(n, true);
        const struct test_frame *one = out;
        test_edge_stack(bench.edge, &one, 1);
        settle();
        struct test_frame *frame = test_edge_take_wire(bench.edge);
        ok(frame && frame->bytes == out->bytes + 8 && frame->data[0] == 0x5a &&
               !memcmp(frame->data + 8, out->data, out->bytes),
           "frame %u has 8 bytes in front", n);
        free(frame);
        free(out);
    }
    is_int(test_edge_outstanding(bench.edge), 0);
    bench_close(&bench);
}

NT_TEST(a_filter_originates)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench)); /* custom: below */
    need(bench_load_pass(&bench));  /* compression: above */
    struct test_frame *frame = frame_numbered(7, true);
    is_status(probe_command(&bench, IOCTL_PROBE_SEND, frame->data, frame->bytes), STATUS_SUCCESS);
    settle();
    struct test_frame *got = test_edge_take_wire(bench.edge);
    ok(got && frame_same(got, frame));
    free(got);
    PROBE_STATE s = probe_state(&bench);
    is_int(s.Completions, 1);
    is_int(s.Failures, 0);
    is_int(pass_counters(&bench).CompletedFrames, 0, "its completion ends with who has sent it");
    free(frame);

    frame = frame_numbered(8, false);
    is_status(probe_command(&bench, IOCTL_PROBE_INDICATE, frame->data, frame->bytes),
              STATUS_SUCCESS);
    settle();
    got = test_edge_take_stack(bench.edge);
    ok(got && frame_same(got, frame));
    free(got);
    free(frame);
    is_int(pass_counters(&bench).ReceivedFrames, 1, "the filter above saw it");
    is_int(test_edge_outstanding(bench.edge), 0);
    bench_close(&bench);
}

NT_TEST(loopback_comes_back_up)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_LOOPBACK);
    struct test_frame *frame = frame_numbered(9, true);
    memset(frame->data, 0xff, 6);
    is_status(probe_command(&bench, IOCTL_PROBE_SEND, frame->data, frame->bytes), STATUS_SUCCESS);
    settle();
    struct test_frame *got = test_edge_take_stack(bench.edge);
    ok(got && frame_same(got, frame), "a broadcast is looped back");
    free(got);
    memcpy(frame->data, peer_mac, 6);
    is_status(probe_command(&bench, IOCTL_PROBE_SEND, frame->data, frame->bytes), STATUS_SUCCESS);
    settle();
    is_int(drain_stack(&bench), 0, "what the adapter would not receive is not");
    is_int(drain_wire(&bench), 2);
    free(frame);
    bench_close(&bench);
}

NT_TEST(metadata_travels)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    struct frame_spec spec = {
        .ip = 4, .protocol = 6, .payload = 8000, .from_us = true, .number = 3};
    struct test_frame *large = frame_make(&spec);
    large->mss = 1448;
    const struct test_frame *one = large;
    test_edge_stack(bench.edge, &one, 1);
    settle();
    struct test_frame *got = test_edge_take_wire(bench.edge);
    ok(got && got->mss == 1448 && frame_same(got, large), "large send");
    free(got);
    free(large);

    spec.from_us = false;
    large = frame_make(&spec);
    large->segments = 6;
    large->checksum_flags = 0x28; /* TcpChecksumSucceeded, IpChecksumSucceeded */
    large->vlan = 5 << 4;
    one = large;
    test_edge_wire(bench.edge, &one, 1);
    settle();
    got = test_edge_take_stack(bench.edge);
    ok(got && got->segments == 6 && got->checksum_flags == 0x28 && got->vlan == 5 << 4 &&
           got->mss == 1334,
       "coalesced receive");
    free(got);
    free(large);
    bench_close(&bench);
}

NT_TEST(only_wanted_frames_are_received)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    UCHAR group[6] = {0x01, 0, 0x5e, 1, 2, 3};
    struct test_frame *frame = frame_numbered(1, false);
    const struct test_frame *one = frame;
    memcpy(frame->data, peer_mac, 6);
    test_edge_wire(bench.edge, &one, 1);
    is_int(drain_stack(&bench), 0, "another machine's");
    memcpy(frame->data, group, 6);
    test_edge_wire(bench.edge, &one, 1);
    settle();
    is_int(drain_stack(&bench), 0, "a group that nobody asked for");
    is_status(oid_set(&bench, OID_802_3_MULTICAST_LIST, group, 6), NDIS_STATUS_SUCCESS);
    test_edge_wire(bench.edge, &one, 1);
    settle();
    is_int(drain_stack(&bench), 1);
    memcpy(frame->data, peer_mac, 6);
    ULONG promiscuous = NDIS_PACKET_TYPE_PROMISCUOUS;
    is_status(oid_set(&bench, OID_GEN_CURRENT_PACKET_FILTER, &promiscuous, 4), NDIS_STATUS_SUCCESS);
    test_edge_wire(bench.edge, &one, 1);
    settle();
    is_int(drain_stack(&bench), 1);
    free(frame);
    bench_close(&bench);
}
