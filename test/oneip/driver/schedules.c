/*
 * The data path and control at once, under many schedules: two processors receive, one sends, a
 * process controls, timers expire, and the adapter is paused, unbound, powered down or changed
 * meanwhile. Nothing may be leaked, deadlock or go uncounted, whatever the schedule.
 *
 * A schedule is a seed: the driver's whole life is in it, so --seed=N --schedules=1 is that one
 * again. With ELF every access of the driver to memory is a switch point (points.h), with PE every
 * call of the kernel.
 */
#include "load.h"
#include "points.h"

#include <nthost/filters.h>
#include <nthost/loader.h>

#include <stdlib.h>
#include <string.h>

#define ALL(n)  ((1ull << (n)) - 1)
#define MEMBERS 3

struct schedule {
    struct node node;
    struct ndis_adapter_config config;
    struct ndis_adapter *adapter;
    PDRIVER_OBJECT driver;
    struct account account;
    struct cluster cluster;
};

static const char *image(void)
{
    return tap_drivers_pe() ? driver_path("oneip") : NTS_DRIVER_DIR "/points/oneip.so";
}

/* Quicker than by setup, and in memory alone. */
static bool begin(struct schedule *schedule, uint64_t seed)
{
    static const struct filter_install install = {.service = NODE_SERVICE,
                                                  .component = "nts_oneip",
                                                  .unique_name =
                                                      "{eb6ab5bd-257b-4853-b661-d6c49f85a3ac}",
                                                  .filter_class = "failover",
                                                  .media = "ethernet",
                                                  .type = FILTER_TYPE_MODIFYING,
                                                  .run_type = FILTER_RUN_OPTIONAL};
    const struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = seed, .processors = 2, .verifier = true};
    struct node *node = &schedule->node;
    char error[512] = "";

    memset(schedule, 0, sizeof *schedule);
    node_adapter_config(&schedule->config);
    schedule->config.offload.Rsc.IPv4.Enabled = schedule->config.offload.Rsc.IPv6.Enabled = TRUE;
    cluster_standard(&schedule->cluster, MEMBERS);
    schedule->cluster.header.BeaconMilliseconds = 1;
    nt_start(&options);
    filters_install(&install);
    if (!is_status(driver_load(NODE_SERVICE, image(), &schedule->driver, error, sizeof error),
                   STATUS_SUCCESS, "%s", error))
        return false;
    node->edge = test_edge_create(&schedule->config);
    schedule->adapter = test_edge_adapter(node->edge);
    ndis_adapter_start(schedule->adapter);
    node_packet_filter(node, PACKET_FILTER_USUAL);
    node->client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
    if (!is_status(
            io_open(node->client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE, &node->device),
            STATUS_SUCCESS) ||
        !is_status(node_configure(node, &schedule->cluster), STATUS_SUCCESS))
        return false;
    /* In some schedules it dispatches already, in others it is about to. */
    if (sched_choose(4) && !node_promote(node, ALL(MEMBERS)))
        return false;
    node_drain(node);
    ONEIP_STATS stats = node_stats(node);
    account_begin(&schedule->account, &stats);
    return true;
}

static void end(struct schedule *schedule)
{
    struct node *node = &schedule->node;

    io_client_destroy(node->client);
    ndis_adapter_stop(schedule->adapter);
    is_status(driver_unload(schedule->driver), STATUS_SUCCESS);
    points_enable(false);
    is_int(test_edge_outstanding(node->edge), 0, "NBLs come home");
    test_edge_destroy(node->edge);
    nt_stop();
}

/* Who takes part */

static void receives(void *context)
{
    struct schedule *schedule = context;
    struct test_frame *frames[3];

    for (unsigned i = 0; i < 3; i++) {
        unsigned count = 1 + sched_choose(RTL_NUMBER_OF(frames));
        for (unsigned n = 0; n < count; n++) {
            bool super = !sched_choose(6);
            frames[n] = load_frame(sched_choose(8), super ? 4000 : 100, super ? 3 : 1);
        }
        test_edge_wire(schedule->node.edge, (const struct test_frame *const *)frames, count);
        for (unsigned n = 0; n < count; n++)
            free(frames[n]);
    }
}

static void hears(void *context)
{
    struct schedule *schedule = context;

    for (unsigned i = 1; i < MEMBERS; i++)
        peer_beacon(&schedule->node, i, sched_choose(8) ? OipBeaconPresence : OipBeaconDispatcher,
                    sched_choose(8) ? 0 : 100);
}

static void configures(struct schedule *schedule)
{
    struct cluster cluster = schedule->cluster;
    ULONG bytes;

    cluster.header.Generation = ++schedule->cluster.header.Generation;
    for (unsigned i = 1; i < MEMBERS; i++)
        cluster.members[i].Weight = 1 + sched_choose(3);
    cluster.header.AddressCount = 1 + sched_choose(2);
    cluster.header.HashKey[0] = (UINT8)sched_choose(256);
    void *data = cluster_bytes(&cluster, &bytes);
    is_status(node_ioctl(&schedule->node, ONEIP_IOCTL_SET_CONFIG, data, bytes, NULL, 0, NULL),
              STATUS_SUCCESS);
    free(data);
}

static void controls(void *context)
{
    struct schedule *schedule = context;
    struct node *node = &schedule->node;
    ONEIP_VETO veto = {sched_choose(2), 0};

    for (unsigned i = 0; i < 2; i++) {
        switch (sched_choose(6)) {
        case 0:
        case 1:
            configures(schedule);
            break;
        case 2:
            node_status(node, NULL);
            break;
        case 3:
            node_stats(node);
            break;
        case 4:
            node_ioctl(node, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0, NULL);
            break;
        default:
            node_ioctl(node, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, NULL);
            break;
        }
    }
}

static void happens(struct schedule *schedule)
{
    NDIS_OFFLOAD offload = schedule->config.offload;

    switch (sched_choose(7)) {
    case 0:
    case 1:
        ndis_adapter_pause(schedule->adapter);
        ndis_adapter_restart(schedule->adapter);
        break;
    case 2:
        ok(filters_bind(NODE_SERVICE, "test0", false));
        ok(filters_bind(NODE_SERVICE, "test0", true));
        break;
    case 3:
        ndis_lower_power(schedule->adapter, false);
        ndis_lower_power(schedule->adapter, true);
        break;
    case 4:
        ndis_lower_link(schedule->adapter, false);
        ndis_lower_link(schedule->adapter, true);
        break;
    case 5:
        offload.Rsc.IPv4.Enabled = FALSE;
        ndis_lower_offload(schedule->adapter, &offload);
        break;
    default:
        sched_run_for(sched_choose(5) * MS);
        break;
    }
}

static void run(uint64_t seed)
{
    static void (*const bodies[])(void *) = {receives, receives, hears, controls};
    static const unsigned paces[] = {8, 64, 512, 4096};
    struct nt_thread *threads[RTL_NUMBER_OF(bodies)];
    struct schedule schedule;

    if (!begin(&schedule, seed))
        return;
    if (!tap_drivers_pe()) {
        sched_set_pace(paces[seed / 3 % 4]);
        points_enable(true);
    }
    sched_set_time_slip(seed % 3 ? tap_drivers_pe() ? 60 : 4000 : 0);
    for (unsigned i = 0; i < RTL_NUMBER_OF(bodies); i++)
        threads[i] = nt_spawn("thread", bodies[i], &schedule);
    happens(&schedule);
    for (unsigned i = 0; i < RTL_NUMBER_OF(bodies); i++)
        nt_join(threads[i]);
    sched_set_time_slip(0);
    for (unsigned i = 0; i < 100 && test_edge_outstanding(schedule.node.edge); i++)
        sched_run_for(1 * MS);
    account_take(&schedule.account, &schedule.node);
    ONEIP_STATS stats = node_stats(&schedule.node);
    account_sent(&schedule.account, &stats);
    end(&schedule);
}

NT_TEST(no_schedule_of_data_path_and_control_does_harm)
{
    const char *option = tap_option("schedules");
    unsigned count = option ? (unsigned)atoi(option) : 1000;
    uint64_t switches = 0;

    for (unsigned i = 0; i < count && !tap_failing(); i++) {
        uint64_t seed = tap_seed() + i;
        tap_at("seed %ju", (uintmax_t)seed);
        if (count > 10000 && i % 10000 == 0)
            diag("%u schedules, seed %ju", i, (uintmax_t)seed);
        run(seed);
        switches += sched_switches();
    }
    tap_at(NULL);
    diag("%u schedules, %ju switches, %ju points in the driver's own code", count,
         (uintmax_t)switches, (uintmax_t)points_passed());
}
