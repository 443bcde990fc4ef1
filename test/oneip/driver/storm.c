/*
 * A storm: pause and restart, detach and attach, unload and load, configure and clear, in random
 * order under continuous load, while another thread controls the driver. Nothing is leaked, which
 * the verifier sees to at each unload, and every frame is accounted for.
 *
 * --steps=N: so many (300 in the tests, 1,000 and more in the soak).
 */
#include "controller.h"
#include "load.h"

#include <nthost/filters.h>

#include <stdlib.h>
#include <string.h>

#define MEMBERS CONTROLLER_MEMBERS

struct storm {
    struct node node;
    struct ndis_adapter_config config;
    struct ndis_adapter *adapter;
    struct load load;
    struct account account;
    bool accountable; /* the counters and the frames begin at the same moment */
    bool paused, bound, powered, connected;
    struct controller controller;
    unsigned done[16];
    unsigned accounts;
    uint64_t forwarded, passed, dropped; /* where it was accounted for */
};

static ONEIP_STATS stats_now(struct storm *storm)
{
    return node_stats(&storm->node);
}

/* Standing still: the counters are read, and the frames that they count are all there. */

static void rest(struct storm *storm)
{
    storm->controller.rest = 1;
    load_rest(&storm->load);
    for (unsigned i = 0; i < 10000 && !storm->controller.resting; i++)
        load_time(1 * MS / 2);
    ok(storm->controller.resting, "the controller is at rest");
}

static void resume(struct storm *storm)
{
    storm->controller.rest = 0;
    load_resume(&storm->load);
}

static void account_start(struct storm *storm)
{
    ONEIP_STATS stats = stats_now(storm);

    account_begin(&storm->account, &stats);
    storm->accountable = true;
}

static void account_now(struct storm *storm)
{
    rest(storm);
    account_take(&storm->account, &storm->node);
    ONEIP_STATS stats = stats_now(storm);
    if (storm->accountable)
        account_sent(&storm->account, &stats);
    else {
        account_begin(&storm->account, &(ONEIP_STATS){0}); /* all since it was loaded */
        account_counters(&storm->account, &stats);
    }
    storm->accounts++;
    storm->forwarded += stats.FramesForwarded - storm->account.before.FramesForwarded;
    storm->passed += stats.FramesPassed - storm->account.before.FramesPassed;
    storm->dropped += account_drops(&storm->account, &stats);
    account_start(storm);
}

/* Steps. Each returns whether it could be made. */

static bool step_pause(struct storm *storm)
{
    if (storm->paused || !storm->powered)
        return false;
    ndis_adapter_pause(storm->adapter);
    storm->paused = true;
    return true;
}

static bool step_restart(struct storm *storm)
{
    if (!storm->paused)
        return false;
    ndis_adapter_restart(storm->adapter);
    storm->paused = false;
    return true;
}

static bool step_bind(struct storm *storm)
{
    if (storm->paused)
        step_restart(storm);
    storm->bound = !storm->bound;
    return ok(filters_bind(NODE_SERVICE, "test0", storm->bound));
}

static bool open_device(struct storm *storm)
{
    return is_status(io_open(storm->node.client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE,
                             &storm->node.device),
                     STATUS_SUCCESS);
}

static bool step_reload(struct storm *storm)
{
    struct setup_error error;

    if (storm->paused)
        step_restart(storm);
    if (sched_choose(2)) {
        account_now(storm);
        resume(storm);
    }
    io_close(storm->node.client, storm->node.device);
    /* The controller may have it open: then it is unloaded when that closes it. */
    NTSTATUS status = setup_stop(NODE_SERVICE, &error);
    for (unsigned i = 0; i < 1000 && !NT_SUCCESS(status); i++) {
        load_time(1 * MS);
        status = setup_stop(NODE_SERVICE, &error);
    }
    is_status(status, STATUS_SUCCESS, "%s", error.message);
    status = setup_start(NODE_SERVICE, &error);
    for (unsigned i = 0; i < 1000 && !NT_SUCCESS(status); i++) {
        load_time(1 * MS);
        status = setup_start(NODE_SERVICE, &error);
    }
    storm->accountable = false;
    return is_status(status, STATUS_SUCCESS, "%s", error.message) && open_device(storm);
}

static bool step_configure(struct storm *storm)
{
    NTSTATUS status =
        controller_set_config(&storm->controller, storm->node.client, storm->node.device);

    /* The controller may have been quicker with a higher generation. */
    return ok(NT_SUCCESS(status) || status == STATUS_REVISION_MISMATCH, "0x%08x", (unsigned)status);
}

static bool step_clear(struct storm *storm)
{
    NTSTATUS status = node_ioctl(&storm->node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL);

    return ok(NT_SUCCESS(status) || status == STATUS_INVALID_DEVICE_STATE);
}

static bool step_link(struct storm *storm)
{
    storm->connected = !storm->connected;
    ndis_lower_link(storm->adapter, storm->connected);
    return true;
}

static bool step_power(struct storm *storm)
{
    if (storm->paused)
        return false;
    storm->powered = !storm->powered;
    ndis_lower_power(storm->adapter, storm->powered);
    return true;
}

static bool step_offload(struct storm *storm)
{
    NDIS_OFFLOAD offload = storm->config.offload;

    offload.Rsc.IPv4.Enabled = sched_choose(2);
    offload.Rsc.IPv6.Enabled = sched_choose(2);
    ndis_lower_offload(storm->adapter, &offload);
    return true;
}

/* An inverted call that waits; it ends by an event, by cancelling, or with its handle. */
static void waited(void *context, NTSTATUS status, ULONG_PTR information)
{
    (void)context, (void)status, (void)information;
}

static bool step_wait(struct storm *storm)
{
    static ONEIP_EVENT events[64][2];
    static unsigned next;
    const ONEIP_WAIT_EVENT wait = {node_status(&storm->node, NULL).EventSequence};
    struct io_request *request;

    io_ioctl_start(storm->node.client, storm->node.device, ONEIP_IOCTL_WAIT_EVENT, &wait,
                   sizeof wait, events[next % 64], sizeof events[0], waited, NULL, &request);
    next++;
    if (sched_choose(2))
        io_cancel(storm->node.client, storm->node.device, request);
    if (next % 16 == 0)
        io_cancel(storm->node.client, storm->node.device, NULL);
    io_request_release(request);
    return true;
}

static const struct {
    const char *name;
    bool (*make)(struct storm *storm);
    unsigned weight;
} steps[] = {
    {"pause", step_pause, 6},   {"restart", step_restart, 8},     {"bind", step_bind, 4},
    {"reload", step_reload, 3}, {"configure", step_configure, 6}, {"clear", step_clear, 2},
    {"link", step_link, 2},     {"power", step_power, 2},         {"offload", step_offload, 2},
    {"wait", step_wait, 2},
};

static void step(struct storm *storm)
{
    unsigned sum = 0, at;

    for (unsigned i = 0; i < RTL_NUMBER_OF(steps); i++)
        sum += steps[i].weight;
    for (;;) {
        unsigned pick = sched_choose(sum);
        for (at = 0; pick >= steps[at].weight; at++)
            pick -= steps[at].weight;
        if (steps[at].make(storm))
            break;
    }
    storm->done[at]++;
}

static void beat(struct storm *storm)
{
    for (unsigned i = 1; i < MEMBERS; i++)
        peer_beacon(&storm->node, i, OipBeaconPresence, 0);
}

/* The others are heard for so many beacon intervals. */
static void live(struct storm *storm, unsigned intervals)
{
    for (unsigned i = 0; i < intervals; i++) {
        load_time(CONTROLLER_BEACON_MS * MS);
        beat(storm);
    }
}

static bool begin(struct storm *storm, enum nt_scheduler scheduler, uint64_t seed)
{
    const struct nt_options options = {
        .scheduler = scheduler, .seed = seed, .processors = 2, .verifier = true};

    node_adapter_config(&storm->config);
    if (!node_install(&storm->node, &options) || !node_run_driver(&storm->node, &storm->config))
        return false;
    storm->adapter = test_edge_adapter(storm->node.edge);
    storm->bound = storm->powered = storm->connected = true;
    cluster_standard(&storm->node.cluster, MEMBERS); /* what the peers know of it */
    for (unsigned i = 0; i < MEMBERS; i++)
        storm->node.peers[i] = (struct peer){i + 1, 1000, 0};
    step_configure(storm);
    storm->load = (struct load){.node = &storm->node, .clients = 4096, .super = 6, .payload = 1400};
    account_start(storm);
    load_start(&storm->load, 2, true);
    controller_start(&storm->controller);
    return true;
}

/* Between the gusts the node comes to itself. */
static void heal(struct storm *storm)
{
    if (storm->paused)
        step_restart(storm);
    if (!storm->powered)
        step_power(storm);
    if (!storm->connected)
        step_link(storm);
    if (!storm->bound)
        step_bind(storm);
    if (!node_status(&storm->node, NULL).Generation)
        step_configure(storm);
}

static void end(struct storm *storm)
{
    heal(storm);
    account_now(storm);
    controller_stop(&storm->controller);
    load_stop(&storm->load);
    node_stop(&storm->node);
}

static void storm(enum nt_scheduler scheduler, uint64_t seed, unsigned count)
{
    struct storm storm = {0};
    char made[256] = "";
    size_t length = 0;

    tap_at("%s, seed %ju", scheduler == NT_REALTIME ? "real time" : "deterministic",
           (uintmax_t)seed);
    if (!begin(&storm, scheduler, seed))
        return;
    for (unsigned i = 0; i < count && !tap_failing(); i++) {
        if (scheduler == NT_DETERMINISTIC)
            sched_set_time_slip(sched_choose(2) ? 40 : 0);
        step(&storm);
        beat(&storm);
        if (scheduler == NT_DETERMINISTIC)
            sched_set_time_slip(0);
        live(&storm, sched_choose(6));
        if (sched_choose(3)) {
            heal(&storm);
            live(&storm, scheduler == NT_DETERMINISTIC ? 20 : 8);
        }
        account_take(&storm.account, &storm.node);
        if (i % 16 == 15) {
            account_now(&storm);
            resume(&storm);
        }
    }
    end(&storm);
    for (unsigned i = 0; i < RTL_NUMBER_OF(steps); i++)
        length += (size_t)snprintf(made + length, sizeof made - length, "%s%u %s", i ? ", " : "",
                                   storm.done[i], steps[i].name);
    diag("%u steps (%s), %u control calls, %ju frames", count, made, storm.controller.calls,
         (uintmax_t)storm.load.frames);
    diag("%u accounts: %ju forwarded, %ju passed, %ju dropped", storm.accounts,
         (uintmax_t)storm.forwarded, (uintmax_t)storm.passed, (uintmax_t)storm.dropped);
    ok(storm.forwarded && storm.passed && storm.dropped);
    tap_at(NULL);
}

static unsigned count_of(unsigned usual)
{
    const char *option = tap_option("steps");

    return option ? (unsigned)atoi(option) : usual;
}

NT_TEST(a_storm_of_changes_under_load_loses_and_leaks_nothing)
{
    unsigned count = count_of(300);

    /* Several schedules, each with its own pace of preemption. */
    for (unsigned i = 0; i < 6 && !tap_failing(); i++)
        storm(NT_DETERMINISTIC, tap_seed() + i, (count + 5) / 6);
}

NT_TEST(a_storm_in_real_time)
{
    storm(NT_REALTIME, tap_seed(), count_of(150));
}
