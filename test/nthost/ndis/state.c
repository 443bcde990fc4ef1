/* Filter modules through their states: attaching, restarting, pausing, detaching, in stacks of two.
 */
#include "common.h"
#include <stdio.h>

static void to_utf8(const WCHAR *from, char *to)
{
    while ((*to++ = (char)*from++) != 0)
        ;
}

/* What ndis_adapters_json() says. */
static char *adapters(void)
{
    char *text = NULL;
    size_t size;
    FILE *json = open_memstream(&text, &size);
    ndis_adapters_json(json);
    fclose(json);
    return text;
}

#define ok_json(expected)                                                                          \
    do {                                                                                           \
        char *json_ = adapters();                                                                  \
        ok(strstr(json_, (expected)) != NULL, "%s has %s", json_, (expected));                     \
        free(json_);                                                                               \
    } while (0)

NT_TEST(attach_parameters_are_complete)
{
    struct bench bench;
    char text[128];
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    PROBE_STATE s = probe_state(&bench);
    is_int(s.MediaType, NdisMedium802_3);
    is_int(s.Physical, NdisPhysicalMedium802_3);
    is_int(s.LinkUp, 1);
    is_int(s.XmitLinkSpeed, 10000000000ull);
    is_int(s.Lso, 62000);
    is_mem(s.Mac, bench_mac, 6);
    is_int(s.Mac[6], 6);
    is_int(s.Mtu, 1500, "by the restart attributes");
    ok(s.BaseIfIndex != 0 && s.LowerIfIndex == s.BaseIfIndex, "the lowest filter");
    is_int(s.BaseLuid >> 48, IF_TYPE_ETHERNET_CSMACD);
    to_utf8(s.GuidName, text);
    is_str(text, "{4E545300-4E44-4953-8000-02005E100001}-"
                 "{7D2B0B9E-2F0C-4B45-8F0A-0D5F2B9C1E21}-0000");
    to_utf8(s.BaseName, text);
    is_str(text, "\\DEVICE\\{4E545300-4E44-4953-8000-02005E100001}");
    to_utf8(s.InstanceName, text);
    is_str(text, "nthost Ethernet Adapter eth0");
    bench_close(&bench);
}

NT_TEST(filters_stand_in_the_order_of_their_class)
{
    for (int first = 0; first < 2; first++) {
        struct bench bench;
        bench_open(&bench, tap_seed());
        if (first)
            need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        if (!first)
            need(bench_load_pass(&bench));
        ok_json("\"filters\":[{\"service\":\"ndispass\",\"class\":\"compression\","
                "\"state\":\"running\"},{\"service\":\"ndisprobe\",\"class\":\"custom\","
                "\"state\":\"running\"}]");
        bench_close(&bench);
    }
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    bench_install_probe(FILTER_RUN_OPTIONAL, "scheduler");
    need(bench_load_probe(&bench));
    ok_json("[{\"service\":\"ndisprobe\",\"class\":\"scheduler\",\"state\":\"running\"},"
            "{\"service\":\"ndispass\"");
    PROBE_STATE s = probe_state(&bench);
    ok(s.LowerIfIndex != s.BaseIfIndex, "another filter is below");
    bench_close(&bench);
}

NT_TEST(filters_come_and_go)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    for (int i = 0; i < 5; i++) {
        need(bench_load_pass(&bench));
        ok_json("\"service\":\"ndispass\"");
        struct test_frame *frame = frame_numbered(1, false);
        const struct test_frame *one = frame;
        test_edge_wire(bench.edge, &one, 1);
        settle();
        is_int(drain_stack(&bench), 1);
        is_int(pass_counters(&bench).ReceivedFrames, 1);
        bench_unload_pass(&bench);
        ok_json("\"filters\":[]");
        test_edge_wire(bench.edge, &one, 1);
        settle();
        is_int(drain_stack(&bench), 1, "without it, the stack goes on");
        free(frame);
    }
    bench_close(&bench);
}

NT_TEST(unbinding_by_hand)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    ok(!filters_bind("ndispass", "eth9", false), "no such adapter");
    ok(filters_bind("ndispass", "eth0", false));
    ok_json("\"filters\":[]");
    is_int(pass_counters(&bench).Modules, 0);
    ok(filters_bind("ndispass", "eth0", true));
    is_int(pass_counters(&bench).Running, 1);
    bench_close(&bench);
}

NT_TEST(other_media_are_not_bound)
{
    struct bench bench;
    struct ndis_adapter_config config = bench_config();
    config.physical = NdisPhysicalMediumNative802_11;
    bench_open_with(&bench, tap_seed(), &config);
    need(bench_load_pass(&bench));
    is_int(pass_counters(&bench).Modules, 0, "it asks for ethernet, this is wlan");
    bench_close(&bench);
}

NT_TEST(an_optional_filter_may_fail_to_attach)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    ok(filters_bind("ndisprobe", "eth0", false));
    probe_behave(&bench, PROBE_FAIL_ATTACH);
    ok(filters_bind("ndisprobe", "eth0", true));
    ok_json("\"state\":\"running\"");
    ok_json("\"filters\":[]");
    bench_close(&bench);
}

NT_TEST(a_mandatory_filter_that_does_not_attach_ends_the_adapter)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    bench_install_probe(FILTER_RUN_MANDATORY, "custom");
    need(bench_load_probe(&bench));
    ok(filters_bind("ndisprobe", "eth0", false));
    probe_behave(&bench, PROBE_FAIL_ATTACH);
    ok(filters_bind("ndisprobe", "eth0", true));
    ok_json("\"state\":\"failed\"");
    is_int(pass_counters(&bench).Modules, 0, "the others are detached");
    bench_close(&bench);
}

NT_TEST(a_filter_that_does_not_restart_is_detached)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_FAIL_RESTART);
    ndis_adapter_pause(bench.adapter);
    ndis_adapter_restart(bench.adapter);
    is_int(probe_state(&bench).Modules, 0);
    is_int(pass_counters(&bench).Running, 1, "the stack runs without it");
    bench_close(&bench);
}

NT_TEST(pause_and_restart)
{
    for (unsigned i = 0; i < 10; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        probe_behave(&bench, i & 1 ? PROBE_ASYNC_PAUSE : 0);
        ndis_adapter_pause(bench.adapter);
        PROBE_STATE s = probe_state(&bench);
        is_int(s.Running, 0);
        is_int(s.Pauses, 1);
        is_int(s.PauseReason, NDIS_PAUSE_NDIS_INTERNAL);
        ok(s.NetEvents & 1 << NetEventPause, "the protocol's pause event went through it");
        is_int(pass_counters(&bench).Running, 0);
        struct test_frame *in = frame_numbered(1, false), *out = frame_numbered(2, true);
        const struct test_frame *one = in, *two = out;
        test_edge_wire(bench.edge, &one, 1);
        test_edge_stack(bench.edge, &two, 1);
        settle();
        is_int(drain_stack(&bench) + drain_wire(&bench), 0, "nothing moves while paused");
        ndis_adapter_restart(bench.adapter);
        s = probe_state(&bench);
        is_int(s.Running, 1);
        is_int(s.Restarts, 2);
        ok(s.NetEvents & 1 << NetEventRestart);
        test_edge_wire(bench.edge, &one, 1);
        test_edge_stack(bench.edge, &two, 1);
        settle();
        is_int(drain_stack(&bench), 1);
        is_int(drain_wire(&bench), 1);
        free(in);
        free(out);
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

static void pause_thread(void *context)
{
    ndis_adapter_pause(context);
}

NT_TEST(pause_waits_for_sends)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    test_edge_hold_sends(bench.edge, true);
    struct test_frame *frame = frame_numbered(1, true);
    const struct test_frame *one = frame;
    test_edge_stack(bench.edge, &one, 1);
    settle();
    is_int(test_edge_outstanding(bench.edge), 1);
    struct nt_thread *thread = nt_spawn("pause", pause_thread, bench.adapter);
    settle();
    is_int(pass_counters(&bench).Running, 1, "the protocol still waits for its send");
    test_edge_hold_sends(bench.edge, false);
    settle();
    nt_join(thread);
    is_int(pass_counters(&bench).Running, 0);
    is_int(pass_counters(&bench).CompletedFrames, 1);
    free(frame);
    bench_close(&bench);
}

NT_TEST(pause_waits_for_receives)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_CLONE_RECEIVES); /* originates: must wait for its own */
    test_edge_hold_receives(bench.edge, true);
    struct test_frame *frame = frame_numbered(1, false);
    const struct test_frame *one = frame;
    while (test_edge_outstanding(bench.edge) == 0) { /* until one comes without RESOURCES */
        test_edge_wire(bench.edge, &one, 1);
        settle();
    }
    struct nt_thread *thread = nt_spawn("pause", pause_thread, bench.adapter);
    settle();
    is_int(probe_state(&bench).Pauses, 1, "pausing");
    ok_json("\"state\":\"running\"");
    test_edge_hold_receives(bench.edge, false);
    settle();
    nt_join(thread);
    ok_json("\"state\":\"paused\"");
    is_int(test_edge_outstanding(bench.edge), 0);
    free(frame);
    bench_close(&bench);
}

NT_TEST(a_pausing_filter_gives_back_what_it_holds)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_QUEUE_SENDS | PROBE_QUEUE_RECEIVES);
    struct test_frame *frame = frame_numbered(1, true), *in = frame_numbered(2, false);
    const struct test_frame *one = frame, *two = in;
    test_edge_stack(bench.edge, &one, 1);
    test_edge_wire(bench.edge, &two, 1);
    ndis_adapter_pause(bench.adapter);
    is_int(test_edge_outstanding(bench.edge), 0);
    is_int(probe_state(&bench).Running, 0);
    free(frame);
    free(in);
    bench_close(&bench);
}

NT_TEST(restarting_a_filter_changes_its_handlers)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_BYPASS);
    is_status(probe_command(&bench, IOCTL_PROBE_RESTART, NULL, 0), STATUS_SUCCESS);
    filters_settle();
    PROBE_STATE before = probe_state(&bench);
    is_int(before.PauseReason, NDIS_PAUSE_FILTER_RESTART_STACK);
    is_int(before.Restarts, 2);
    struct test_frame *in = frame_numbered(1, false), *out = frame_numbered(2, true);
    const struct test_frame *one = in, *two = out;
    test_edge_wire(bench.edge, &one, 1);
    test_edge_stack(bench.edge, &two, 1);
    settle();
    is_int(drain_stack(&bench), 1);
    is_int(drain_wire(&bench), 1);
    PROBE_STATE after = probe_state(&bench);
    is_int(after.Receives, before.Receives, "bypassed");
    is_int(after.Sends, before.Sends);
    is_int(pass_counters(&bench).SentFrames, 1, "the other filter is not");

    probe_behave(&bench, 0);
    probe_command(&bench, IOCTL_PROBE_RESTART, NULL, 0);
    filters_settle();
    test_edge_wire(bench.edge, &one, 1);
    settle();
    is_int(probe_state(&bench).Receives, 1);
    is_int(drain_stack(&bench), 1);
    free(in);
    free(out);
    bench_close(&bench);
}

NT_TEST(restart_attributes_can_be_changed)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    bench_install_probe(FILTER_RUN_OPTIONAL, "custom");
    probe_behave(&bench, PROBE_LOWER_MTU);
    ndis_lower_mtu(bench.adapter, 1400);
    PROBE_STATE s = probe_state(&bench);
    is_int(s.Mtu, 1400, "restarted with the new MTU");
    is_int(s.Restarts, 2);
    ULONG mtu = 0;
    is_status(oid_query(&bench, OID_GEN_MAXIMUM_FRAME_SIZE, &mtu, sizeof(mtu), NULL),
              NDIS_STATUS_SUCCESS);
    is_int(mtu, 1400);
    bench_close(&bench);
}

NT_TEST(registration_is_checked)
{
    static const NDIS_STRING name = RTL_CONSTANT_STRING(L"nobody");
    static const NDIS_STRING unique =
        RTL_CONSTANT_STRING(L"{00000000-0000-0000-0000-000000000001}");
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    nt_enter();
    NDIS_FILTER_DRIVER_CHARACTERISTICS c = {
        .Header = {NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS,
                   NDIS_FILTER_CHARACTERISTICS_REVISION_2,
                   NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2},
        .MajorNdisVersion = 6,
        .MinorNdisVersion = 85,
        .FriendlyName = name,
        .UniqueName = unique,
        .ServiceName = name,
        .AttachHandler = (void *)1,
        .DetachHandler = (void *)1,
        .RestartHandler = (void *)1,
        .PauseHandler = (void *)1,
    };
    NDIS_FILTER_DRIVER_CHARACTERISTICS bad;
    NDIS_HANDLE handle;
#define REFUSES(status, change)                                                                    \
    do {                                                                                           \
        bad = c;                                                                                   \
        change;                                                                                    \
        is_status(NdisFRegisterFilterDriver(bench.probe, NULL, &bad, &handle), status, #change);   \
        is_ptr(handle, NULL);                                                                      \
    } while (0)
    REFUSES(NDIS_STATUS_BAD_VERSION, bad.MajorNdisVersion = 5);
    REFUSES(NDIS_STATUS_BAD_VERSION, bad.MinorNdisVersion = 86);
    REFUSES(NDIS_STATUS_BAD_VERSION, bad.MinorNdisVersion = 2);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.Header.Type = NDIS_OBJECT_TYPE_DEFAULT);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.Header.Revision = 4);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.Header.Size--);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.AttachHandler = NULL);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.DetachHandler = NULL);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.RestartHandler = NULL);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.PauseHandler = NULL);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.ReceiveNetBufferListsHandler = (void *)1);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.OidRequestHandler = (void *)1);
    REFUSES(NDIS_STATUS_BAD_CHARACTERISTICS, bad.ServiceName.Length = 0);
    is_status(NdisFRegisterFilterDriver(NULL, NULL, &c, &handle), NDIS_STATUS_INVALID_PARAMETER);
    is_status(NdisFRegisterFilterDriver(bench.probe, NULL, &c, &handle), NDIS_STATUS_SUCCESS,
              "none installed: registered and bound to nothing");
    NdisFDeregisterFilterDriver(handle);
    nt_leave();
    bench_close(&bench);
}
