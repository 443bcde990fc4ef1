/*
 * Races: the same scene under many schedules, with the verifier watching. Traffic goes both ways
 * while something happens to the stack; what comes out is in order and undamaged, nothing is left
 * outstanding, and in the end frames pass as at the beginning.
 */
#include "common.h"
#include <stdio.h>

struct race {
    struct bench bench;
    ULONG flags;     /* behaviours of ndisprobe */
    unsigned frames; /* by each of the two traffic threads */
};

static unsigned schedules(void)
{
    const char *count = tap_option("schedules");
    return count ? (unsigned)atoi(count) : 60;
}

/* Traffic */

static void send_batch(struct race *race, unsigned *number, bool from_us)
{
    struct test_frame *frames[4];
    unsigned count = 1 + sched_choose(4);
    for (unsigned i = 0; i < count; i++)
        frames[i] = frame_numbered((*number)++, from_us);
    if (from_us)
        test_edge_stack(race->bench.edge, (const struct test_frame *const *)frames, count);
    else
        test_edge_wire(race->bench.edge, (const struct test_frame *const *)frames, count);
    for (unsigned i = 0; i < count; i++)
        free(frames[i]);
}

static void traffic_in(void *context)
{
    struct race *race = context;
    for (unsigned number = 0; number < race->frames;)
        send_batch(race, &number, false);
}

static void traffic_out(void *context)
{
    struct race *race = context;
    for (unsigned number = 0; number < race->frames;)
        send_batch(race, &number, true);
}

/* Every frame is one that was sent, whole; none came twice. */
static void check_frames(struct race *race, bool wire, bool ordered)
{
    int last = -1;
    bool seen[256] = {false};
    struct test_frame *frame;
    while ((frame = wire ? test_edge_take_wire(race->bench.edge)
                         : test_edge_take_stack(race->bench.edge)) != NULL) {
        unsigned number = frame->bytes > 58
                              ? (unsigned)frame->data[54] << 24 | (unsigned)frame->data[55] << 16 |
                                    (unsigned)frame->data[56] << 8 | frame->data[57]
                              : 999;
        struct test_frame *expected = frame_numbered(number, wire);
        ok(number < ARRAYSIZE(seen) && frame_same(frame, expected), "frame %u is whole", number);
        ok(number >= ARRAYSIZE(seen) || !seen[number], "frame %u came once", number);
        ok(!ordered || (int)number > last, "frame %u after %d", number, last);
        if (number < ARRAYSIZE(seen))
            seen[number] = true;
        last = (int)number;
        free(expected);
        free(frame);
    }
}

static void check_passes(struct race *race)
{
    for (int way = 0; way < 2; way++) {
        struct test_frame *frame = frame_numbered(1, way);
        const struct test_frame *one = frame;
        if (way)
            test_edge_stack(race->bench.edge, &one, 1);
        else
            test_edge_wire(race->bench.edge, &one, 1);
        settle();
        is_int(way ? drain_wire(&race->bench) : drain_stack(&race->bench), 1, "%s afterwards",
               way ? "a send" : "a receive");
        free(frame);
    }
}

struct scene {
    ULONG flags;
    bool no_pass;
    void (*happens)(void *race); /* beside the traffic */
    void (*also)(void *race);    /* likewise, may be NULL */
};

static void run_scene(const struct scene *scene)
{
    for (unsigned i = 0; i < schedules(); i++) {
        struct race race = {.flags = scene->flags, .frames = 24};
        tap_at("flags 0x%x, seed %llu", scene->flags, (unsigned long long)tap_seed() + i);
        bench_open(&race.bench, tap_seed() + i);
        if (!scene->no_pass)
            need(bench_load_pass(&race.bench));
        need(bench_load_probe(&race.bench));
        probe_behave(&race.bench, race.flags);
        sched_set_time_slip(i % 3 ? 40 : 0);
        struct nt_thread *in = nt_spawn("in", traffic_in, &race);
        struct nt_thread *out = nt_spawn("out", traffic_out, &race);
        struct nt_thread *also = scene->also ? nt_spawn("also", scene->also, &race) : NULL;
        if (sched_choose(2))
            sched_run_for(sched_choose(3) * 5000);
        scene->happens(&race);
        if (also)
            nt_join(also);
        nt_join(in);
        nt_join(out);
        sched_set_time_slip(0);
        settle();
        check_frames(&race, true, false);
        check_frames(&race, false, false);
        is_int(test_edge_outstanding(race.bench.edge), 0, "outstanding");
        if (race.bench.probe) {
            is_int(probe_state(&race.bench).Queued, 0);
            probe_behave(&race.bench, 0);
        }
        check_passes(&race);
        bench_close(&race.bench);
        if (tap_failing())
            return;
    }
}

static const ULONG behaviours[] = {
    0,
    PROBE_ASYNC_PAUSE,
    PROBE_ASYNC_PAUSE | PROBE_QUEUE_SENDS | PROBE_QUEUE_RECEIVES,
    PROBE_QUEUE_SENDS | PROBE_CLONE_RECEIVES,
    PROBE_ASYNC_PAUSE | PROBE_COPY_SENDS | PROBE_CLONE_RECEIVES,
    PROBE_SPLIT,
};

static void run_behaviours(struct scene scene)
{
    for (unsigned i = 0; i < ARRAYSIZE(behaviours) && !tap_failing(); i++) {
        scene.flags = behaviours[i];
        run_scene(&scene);
    }
}

/* What happens */

static void pause_and_restart(void *context)
{
    struct race *race = context;
    for (int i = 0; i < 3; i++) {
        ndis_adapter_pause(race->bench.adapter);
        if (sched_choose(2))
            sched_point();
        ndis_adapter_restart(race->bench.adapter);
    }
}

NT_TEST(pause_during_traffic)
{
    run_behaviours((struct scene){.happens = pause_and_restart});
}

static void restart_filter(void *context)
{
    struct race *race = context;
    for (int i = 0; i < 3; i++)
        is_status(probe_command(&race->bench, IOCTL_PROBE_RESTART, NULL, 0), STATUS_SUCCESS);
}

NT_TEST(a_filter_restarts_itself_during_traffic)
{
    run_behaviours((struct scene){.happens = restart_filter, .also = pause_and_restart});
}

static void reload_probe(void *context)
{
    struct race *race = context;
    bench_unload_probe(&race->bench);
    if (bench_load_probe(&race->bench))
        probe_behave(&race->bench, race->flags);
}

NT_TEST(a_driver_is_unloaded_during_traffic)
{
    run_behaviours((struct scene){.happens = reload_probe});
}

static void reload_pass(void *context)
{
    struct race *race = context;
    bench_unload_pass(&race->bench);
    bench_load_pass(&race->bench);
}

NT_TEST(two_drivers_are_unloaded_at_once)
{
    run_behaviours((struct scene){.happens = reload_probe, .also = reload_pass});
}

static void rebind(void *context)
{
    (void)context;
    for (int i = 0; i < 2; i++) {
        ok(filters_bind("ndisprobe", "eth0", false));
        ok(filters_bind("ndisprobe", "eth0", true));
    }
}

static void change_link(void *context)
{
    struct race *race = context;
    for (int i = 0; i < 2; i++) {
        ndis_lower_link(race->bench.adapter, false);
        ndis_lower_link(race->bench.adapter, true);
        ndis_lower_mtu(race->bench.adapter, 1400 + (ULONG)i * 100);
    }
}

NT_TEST(bindings_and_links_change_during_traffic)
{
    run_behaviours((struct scene){.happens = rebind, .also = change_link});
}

static void power(void *context)
{
    struct race *race = context;
    for (int i = 0; i < 2; i++) {
        ndis_lower_power(race->bench.adapter, false);
        ndis_lower_power(race->bench.adapter, true);
    }
}

NT_TEST(power_goes_during_traffic)
{
    run_behaviours((struct scene){.happens = power, .also = pause_and_restart});
}

/* Sends with a cancel ID; whoever holds them gives them back. */
static void cancel_sends(void *context)
{
    struct race *race = context;
    for (ULONG_PTR id = 1; id <= 4; id++)
        ndis_upper_cancel_send(race->bench.adapter, (PVOID)id);
}

NT_TEST(sends_are_cancelled_during_traffic)
{
    struct scene scene = {
        .happens = cancel_sends, .also = pause_and_restart, .flags = PROBE_QUEUE_SENDS};
    run_scene(&scene);
}

static void change_handlers(void *context)
{
    struct race *race = context;
    probe_behave(&race->bench, PROBE_BYPASS);
    restart_filter(context);
    probe_behave(&race->bench, race->flags);
    restart_filter(context);
}

NT_TEST(handlers_change_during_traffic)
{
    run_behaviours((struct scene){.happens = change_handlers, .no_pass = true});
}

/* OIDs */

struct oid_race {
    struct race *race;
    NDIS_OID_REQUEST request;
    ULONG value;
    bool ended;
    NDIS_STATUS status;
};

static void request_thread(void *context)
{
    struct oid_race *oid = context;
    oid->request.Header =
        (NDIS_OBJECT_HEADER){NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                             NDIS_SIZEOF_OID_REQUEST_REVISION_1};
    oid->request.RequestType = NdisRequestQueryInformation;
    oid->request.RequestId = oid;
    oid->request.DATA.QUERY_INFORMATION.Oid = OID_GEN_MAXIMUM_FRAME_SIZE;
    oid->request.DATA.QUERY_INFORMATION.InformationBuffer = &oid->value;
    oid->request.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(oid->value);
    oid->status = ndis_upper_oid(oid->race->bench.adapter, &oid->request);
    oid->ended = true;
}

static void request_and_cancel(void *context)
{
    struct race *race = context;
    for (int round = 0; round < 2; round++) {
        struct oid_race oids[3] = {{.race = race}, {.race = race}, {.race = race}};
        struct nt_thread *threads[3];
        for (int i = 0; i < 3; i++)
            threads[i] = nt_spawn("oid", request_thread, &oids[i]);
        bool hold = race->flags & PROBE_HOLD_OIDS;
        for (unsigned tries = 0; tries < (hold ? 100u : 2u); tries++) {
            for (int i = 0; i < 3; i++)
                if (!oids[i].ended && sched_choose(2))
                    ndis_upper_cancel_oid(race->bench.adapter, &oids[i]);
            sched_point();
        }
        for (int i = 0; i < 3; i++) {
            while (hold && !oids[i].ended) {
                ndis_upper_cancel_oid(race->bench.adapter, &oids[i]);
                sched_run_for(10000);
            }
            nt_join(threads[i]);
            ok(oids[i].status == NDIS_STATUS_SUCCESS
                   ? oids[i].value == 1500
                   : oids[i].status == NDIS_STATUS_REQUEST_ABORTED,
               "0x%08x, %u", (unsigned)oids[i].status, oids[i].value);
        }
    }
}

NT_TEST(oids_are_cancelled)
{
    static const ULONG flags[] = {0, PROBE_ASYNC_OIDS, PROBE_HOLD_OIDS};
    for (unsigned i = 0; i < ARRAYSIZE(flags) && !tap_failing(); i++) {
        struct scene scene = {.flags = flags[i], .happens = request_and_cancel};
        run_scene(&scene);
    }
}

static void ask(void *context)
{
    struct race *race = context;
    for (int i = 0; i < 6; i++) {
        ULONG value = 0;
        NDIS_STATUS status = oid_query(&race->bench, OID_GEN_MAXIMUM_FRAME_SIZE, &value, 4, NULL);
        ok(status == NDIS_STATUS_SUCCESS, "0x%08x", (unsigned)status);
    }
}

NT_TEST(oids_pass_while_drivers_come_and_go)
{
    struct scene scene = {.flags = PROBE_ASYNC_OIDS, .happens = reload_probe, .also = ask};
    run_scene(&scene);
    scene.happens = rebind;
    run_scene(&scene);
    scene.happens = power;
    run_scene(&scene);
}

/* The end of the adapter: nobody waits for ever, whatever is on its way. */
NT_TEST(the_adapter_stops_during_traffic)
{
    for (unsigned i = 0; i < schedules(); i++) {
        struct race race = {.frames = 24};
        tap_at("seed %llu", (unsigned long long)tap_seed() + i);
        bench_open(&race.bench, tap_seed() + i);
        need(bench_load_pass(&race.bench));
        need(bench_load_probe(&race.bench));
        probe_behave(&race.bench, behaviours[i % ARRAYSIZE(behaviours)]);
        struct nt_thread *in = nt_spawn("in", traffic_in, &race);
        struct nt_thread *out = nt_spawn("out", traffic_out, &race);
        sched_run_for(sched_choose(3) * 5000);
        ndis_adapter_stop(race.bench.adapter);
        is_int(probe_state(&race.bench).Modules, 0);
        nt_join(in);
        nt_join(out);
        is_int(test_edge_outstanding(race.bench.edge), 0);
        check_frames(&race, true, false);
        check_frames(&race, false, false);
        bench_close(&race.bench);
        if (tap_failing())
            return;
    }
}
