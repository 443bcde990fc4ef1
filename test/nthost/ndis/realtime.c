/*
 * Real threads: traffic in both directions on each processor, while filters pause, restart, are
 * unbound and unloaded. What is looked for is a crash, a hang, a violation, a data race (this runs
 * under the address and the thread sanitizers too).
 */
#include "common.h"
#include <stdatomic.h>
#include <time.h>

static struct bench bench;
static atomic_bool stop;
static atomic_uint sent_in, sent_out;

static void traffic(bool from_us, atomic_uint *sent)
{
    struct test_frame *frames[8];
    for (unsigned n = 0; !atomic_load(&stop);) {
        unsigned count = 1 + sched_choose(8);
        for (unsigned i = 0; i < count; i++)
            frames[i] = frame_numbered(n++, from_us);
        if (from_us)
            test_edge_stack(bench.edge, (const struct test_frame *const *)frames, count);
        else
            test_edge_wire(bench.edge, (const struct test_frame *const *)frames, count);
        for (unsigned i = 0; i < count; i++)
            free(frames[i]);
        atomic_fetch_add(sent, count);
        drain_wire(&bench);
        drain_stack(&bench);
    }
}

static void traffic_in(void *context)
{
    (void)context;
    traffic(false, &sent_in);
}

static void traffic_out(void *context)
{
    (void)context;
    traffic(true, &sent_out);
}

static void rest(unsigned microseconds)
{
    struct timespec span = {0, (long)microseconds * 1000};
    nanosleep(&span, NULL);
}

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void restart_now_and_then(void *context)
{
    (void)context;
    while (!atomic_load(&stop)) {
        ndis_adapter_pause(bench.adapter);
        ndis_adapter_restart(bench.adapter);
        rest(500);
        ndis_lower_link(bench.adapter, false);
        ndis_lower_link(bench.adapter, true);
        UCHAR mac[6];
        oid_query(&bench, OID_802_3_CURRENT_ADDRESS, mac, 6, NULL);
        rest(500);
    }
}

static void run(ULONG flags, bool verifier, unsigned span)
{
    const struct nt_options options = {
        .scheduler = NT_REALTIME, .seed = tap_seed(), .processors = 2, .verifier = verifier};
    struct ndis_adapter_config config = bench_config();
    tap_at("flags 0x%x%s", flags, verifier ? ", verifier" : "");
    memset(&bench, 0, sizeof(bench));
    atomic_store(&stop, false);
    nt_start(&options);
    bench_install_pass();
    bench_install_probe(FILTER_RUN_OPTIONAL, "custom");
    bench.edge = test_edge_create(&config);
    bench.adapter = test_edge_adapter(bench.edge);
    bench.client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4242);
    ndis_adapter_start(bench.adapter);
    ok(bench_load_pass(&bench) && bench_load_probe(&bench));
    void (*const bodies[])(void *) = {traffic_in, traffic_out, traffic_in, restart_now_and_then};
    struct nt_thread *threads[ARRAYSIZE(bodies)];
    for (unsigned i = 0; i < ARRAYSIZE(bodies); i++)
        threads[i] = nt_spawn("stress", bodies[i], NULL);
    unsigned rounds = 0;
    for (uint64_t end = milliseconds() + span; milliseconds() < end; rounds++) {
        probe_behave(&bench, flags);
        rest(2000);
        if (rounds & 1) {
            bench_unload_probe(&bench);
            bench_load_probe(&bench);
        } else {
            filters_bind("ndispass", "eth0", false);
            filters_bind("ndispass", "eth0", true);
        }
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < ARRAYSIZE(bodies); i++)
        nt_join(threads[i]);
    for (unsigned i = 0; test_edge_outstanding(bench.edge) && i < 1000; i++)
        rest(1000);
    is_int(test_edge_outstanding(bench.edge), 0);
    diag("flags 0x%x%s: %u frames in, %u out, %u changes of the stack", flags,
         verifier ? ", verifier" : "", sent_in, sent_out, rounds);
    ok(sent_in > 0 && sent_out > 0 && rounds > 0);
    bench_close(&bench);
}

NT_TEST(stress_in_real_time)
{
    static const ULONG flags[] = {0, PROBE_ASYNC_PAUSE | PROBE_QUEUE_SENDS | PROBE_QUEUE_RECEIVES,
                                  PROBE_COPY_SENDS | PROBE_CLONE_RECEIVES | PROBE_ASYNC_OIDS,
                                  PROBE_SPLIT};
    const char *option = tap_option("span"); /* milliseconds of each run */
    unsigned span = option ? (unsigned)atoi(option) : 80;
    for (unsigned i = 0; i < ARRAYSIZE(flags) * 2 && !tap_failing(); i++)
        run(flags[i / 2], i & 1, span);
}
