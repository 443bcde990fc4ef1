/* OID requests, status indications, PnP events, power. */
#include "common.h"

NT_TEST(oids_pass_through_two_filters)
{
    for (unsigned i = 0; i < 16; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        probe_behave(&bench, i & 1 ? PROBE_ASYNC_OIDS : 0);
        UCHAR mac[6];
        ULONG value = 0, written = 0;
        is_status(oid_query(&bench, OID_802_3_CURRENT_ADDRESS, mac, 6, &written),
                  NDIS_STATUS_SUCCESS);
        is_int(written, 6);
        is_mem(mac, bench_mac, 6);
        is_status(oid_query(&bench, OID_GEN_MAXIMUM_TOTAL_SIZE, &value, 4, NULL),
                  NDIS_STATUS_SUCCESS);
        is_int(value, 1514);
        is_status(oid_query(&bench, OID_802_3_CURRENT_ADDRESS, mac, 5, NULL),
                  NDIS_STATUS_BUFFER_TOO_SHORT);
        is_status(oid_query(&bench, 0x12345678, &value, 4, NULL), NDIS_STATUS_NOT_SUPPORTED);
        ULONG filter = NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST;
        is_status(oid_set(&bench, OID_GEN_CURRENT_PACKET_FILTER, &filter, 4), NDIS_STATUS_SUCCESS);
        is_status(oid_query(&bench, OID_GEN_CURRENT_PACKET_FILTER, &value, 4, NULL),
                  NDIS_STATUS_SUCCESS);
        is_hex(value, filter);
        is_int(probe_state(&bench).OidRequests, 6);
        is_int(pass_counters(&bench).OidRequests, 6);
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

struct oid_call {
    struct bench *bench;
    NDIS_OID_REQUEST request;
    ULONG value;
    NDIS_STATUS status;
    bool direct;
};

static void oid_thread(void *context)
{
    struct oid_call *call = context;
    call->status = call->direct ? ndis_upper_direct_oid(call->bench->adapter, &call->request)
                                : ndis_upper_oid(call->bench->adapter, &call->request);
}

static void make_call(struct oid_call *call, struct bench *bench, PVOID id)
{
    memset(call, 0, sizeof(*call));
    call->bench = bench;
    call->request.Header =
        (NDIS_OBJECT_HEADER){NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                             NDIS_SIZEOF_OID_REQUEST_REVISION_1};
    call->request.RequestType = NdisRequestQueryInformation;
    call->request.RequestId = id;
    call->request.DATA.QUERY_INFORMATION.Oid = OID_GEN_MAXIMUM_FRAME_SIZE;
    call->request.DATA.QUERY_INFORMATION.InformationBuffer = &call->value;
    call->request.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(call->value);
}

NT_TEST(an_oid_is_cancelled)
{
    for (unsigned i = 0; i < 24; i++) {
        struct bench bench;
        tap_at("seed %u", (unsigned)tap_seed() + i);
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        probe_behave(&bench, PROBE_HOLD_OIDS);
        struct oid_call one, two;
        make_call(&one, &bench, (PVOID)1);
        make_call(&two, &bench, (PVOID)2);
        struct nt_thread *first = nt_spawn("oid 1", oid_thread, &one);
        sched_run_for(0);
        struct nt_thread *second = nt_spawn("oid 2", oid_thread, &two);
        settle();
        is_int(probe_state(&bench).OidRequests, 1, "one at a time; the other waits");
        ndis_upper_cancel_oid(bench.adapter, (PVOID)2); /* still queued before the upper filter */
        settle();
        nt_join(second);
        is_status(two.status, NDIS_STATUS_REQUEST_ABORTED);
        is_int(probe_state(&bench).OidCancels, 0);
        ndis_upper_cancel_oid(bench.adapter, (PVOID)1); /* through ndispass to who holds it */
        settle();
        nt_join(first);
        is_status(one.status, NDIS_STATUS_REQUEST_ABORTED);
        is_int(probe_state(&bench).OidCancels, 1);
        bench_close(&bench);
        if (tap_failing())
            return;
    }
}

NT_TEST(direct_oids_are_not_queued)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench)); /* has no direct handler: left out */
    need(bench_load_probe(&bench));
    probe_behave(&bench, PROBE_HOLD_OIDS);
    struct oid_call held, direct;
    make_call(&held, &bench, (PVOID)1);
    make_call(&direct, &bench, (PVOID)2);
    direct.direct = true;
    struct nt_thread *first = nt_spawn("oid", oid_thread, &held);
    settle();
    struct nt_thread *second = nt_spawn("direct", oid_thread, &direct);
    settle();
    nt_join(second);
    is_status(direct.status, NDIS_STATUS_SUCCESS, "while another one is held");
    is_int(direct.value, 1500);
    ndis_upper_cancel_oid(bench.adapter, (PVOID)1);
    settle();
    nt_join(first);
    bench_close(&bench);
}

NT_TEST(a_filter_asks_by_itself)
{
    for (unsigned i = 0; i < 8; i++) {
        struct bench bench;
        bench_open(&bench, tap_seed() + i);
        need(bench_load_probe(&bench));
        ULONG oid = OID_802_3_PERMANENT_ADDRESS;
        UCHAR mac[8];
        ULONG_PTR done = 0;
        is_status(
            io_ioctl(bench.client, bench.probe_device, IOCTL_PROBE_OID, &oid, 4, mac, 8, &done),
            STATUS_SUCCESS);
        is_int(done, 6);
        is_mem(mac, bench_mac, 6);
        struct {
            ULONG oid;
            UCHAR group[6];
        } __attribute__((packed)) add = {OID_802_3_ADD_MULTICAST_ADDRESS, {1, 0, 0x5e, 9, 9, 9}};
        is_status(probe_command(&bench, IOCTL_PROBE_OID, &add, 10), STATUS_SUCCESS);
        UCHAR list[32 * 6];
        ULONG written;
        is_status(oid_query(&bench, OID_802_3_MULTICAST_LIST, list, sizeof(list), &written),
                  NDIS_STATUS_SUCCESS);
        is_int(written, 6);
        is_mem(list, add.group, 6);
        bench_close(&bench);
    }
}

NT_TEST(offload_parameters_change_what_is_on)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    NDIS_OFFLOAD_PARAMETERS p = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_OFFLOAD_PARAMETERS_REVISION_3,
                   NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3},
        .RscIPv4 = NDIS_OFFLOAD_PARAMETERS_RSC_DISABLED,
        .TCPIPv4Checksum = NDIS_OFFLOAD_PARAMETERS_RX_ENABLED_TX_DISABLED,
        .LsoV2IPv6 = NDIS_OFFLOAD_PARAMETERS_LSOV2_DISABLED,
    };
    is_status(
        oid_set(&bench, OID_TCP_OFFLOAD_PARAMETERS, &p, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3),
        NDIS_STATUS_SUCCESS);
    PROBE_STATE s = probe_state(&bench);
    is_int(s.OffloadRsc, 2, "NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG said that RSC is off");
    is_status(s.LastStatus, NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG);
    NDIS_OFFLOAD now;
    is_status(oid_query(&bench, OID_TCP_OFFLOAD_CURRENT_CONFIG, &now, sizeof(now), NULL),
              NDIS_STATUS_SUCCESS);
    is_int(now.Rsc.IPv4.Enabled, 0);
    is_int(now.Rsc.IPv6.Enabled, 1, "not asked for");
    is_int(now.Checksum.IPv4Transmit.TcpChecksum, 0);
    is_int(now.Checksum.IPv4Receive.TcpChecksum, 1);
    is_int(now.Checksum.IPv4Transmit.UdpChecksum, 1);
    is_int(now.LsoV2.IPv4.MaxOffLoadSize, 62000);
    is_int(now.LsoV2.IPv6.MaxOffLoadSize, 0);
    p.RscIPv4 = NDIS_OFFLOAD_PARAMETERS_RSC_ENABLED;
    p.TCPIPv4Checksum = NDIS_OFFLOAD_PARAMETERS_TX_RX_ENABLED;
    oid_set(&bench, OID_TCP_OFFLOAD_PARAMETERS, &p, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3);
    is_int(probe_state(&bench).OffloadRsc, 1);
    oid_query(&bench, OID_TCP_OFFLOAD_CURRENT_CONFIG, &now, sizeof(now), NULL);
    is_int(now.Checksum.IPv4Transmit.TcpChecksum, 1);

    p.RscIPv4 = 9;
    is_status(
        oid_set(&bench, OID_TCP_OFFLOAD_PARAMETERS, &p, NDIS_SIZEOF_OFFLOAD_PARAMETERS_REVISION_3),
        NDIS_STATUS_INVALID_DATA);
    is_status(oid_set(&bench, OID_TCP_OFFLOAD_PARAMETERS, &p, 8), NDIS_STATUS_INVALID_LENGTH);
    bench_close(&bench);
}

NT_TEST(link_state_is_indicated)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    ndis_lower_link(bench.adapter, false);
    is_int(probe_state(&bench).Connected, 2);
    is_int(pass_counters(&bench).StatusIndications, 1, "passed on upwards");
    ndis_lower_link(bench.adapter, true);
    is_int(probe_state(&bench).Connected, 1);
    ULONG code = (ULONG)NDIS_STATUS_NETWORK_CHANGE;
    probe_command(&bench, IOCTL_PROBE_STATUS, &code, 4);
    is_int(pass_counters(&bench).StatusIndications, 3);
    is_int(probe_state(&bench).Statuses, 2, "what it originates it does not get");
    bench_close(&bench);
}

NT_TEST(power_goes_down_and_up_in_order)
{
    for (int quick = 0; quick < 2; quick++) {
        struct bench bench;
        struct ndis_adapter_config config = bench_config();
        config.no_pause_on_suspend = quick;
        bench_open_with(&bench, tap_seed(), &config);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        ndis_lower_power(bench.adapter, false);
        PROBE_STATE s = probe_state(&bench);
        ok(s.NetEvents & 1 << NetEventSetPower);
        is_int(s.PowerWhileRunning, 1, "the event comes first");
        is_int(s.SetPower, NdisDeviceStateD3, "then OID_PNP_SET_POWER");
        is_int(s.PausedAtSetPower, !quick, "%s", quick ? "without a pause" : "after the pause");
        is_int(s.Running, quick);
        if (!quick)
            is_int(s.PauseReason, NDIS_PAUSE_LOW_POWER);
        ndis_lower_power(bench.adapter, true);
        s = probe_state(&bench);
        is_int(s.SetPower, NdisDeviceStateD0);
        is_int(s.Running, 1);
        bench_close(&bench);
    }
}

NT_TEST(pnp_events_reach_filters)
{
    struct bench bench;
    bench_open(&bench, tap_seed());
    need(bench_load_probe(&bench));
    need(bench_load_pass(&bench));
    ok(probe_state(&bench).DeviceEvents & 1 << NdisDevicePnPEventFilterListChanged,
       "another filter came");
    NET_DEVICE_PNP_EVENT event = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_DEVICE_PNP_EVENT_REVISION_1,
                   NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1},
        .DevicePnPEvent = NdisDevicePnPEventPowerProfileChanged,
    };
    ndis_device_pnp_event(bench.adapter, &event);
    ok(probe_state(&bench).DeviceEvents & 1 << NdisDevicePnPEventPowerProfileChanged);
    ok(filters_bind("ndisprobe", "eth0", false));
    ok(probe_state(&bench).NetEvents & 1 << NetEventFilterPreDetach, "told before it was detached");
    bench_close(&bench);
}

NT_TEST(sends_are_cancelled)
{
    for (unsigned i = 0; i < 10; i++) {
        struct bench bench;
        bench_open(&bench, tap_seed() + i);
        need(bench_load_pass(&bench));
        need(bench_load_probe(&bench));
        test_edge_hold_sends(bench.edge, true);
        struct test_frame *frame = frame_numbered(1, true);
        const struct test_frame *one = frame;
        test_edge_stack(bench.edge, &one, 1);
        settle();
        is_int(test_edge_outstanding(bench.edge), 1);
        ndis_upper_cancel_send(bench.adapter, (PVOID)77);
        is_int(test_edge_outstanding(bench.edge), 1, "of another ID");
        for (ULONG_PTR id = 1; id <= 4; id++)
            ndis_upper_cancel_send(bench.adapter, (PVOID)id);
        is_int(test_edge_outstanding(bench.edge), 0);
        free(frame);
        bench_close(&bench);
    }
}

NT_TEST(synchronous_oids_are_previewed)
{
    struct bench bench;
    struct oid_call call;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench)); /* has no handler for them: left out */
    need(bench_load_probe(&bench));
    make_call(&call, &bench, NULL);
    is_status(ndis_upper_synchronous_oid(bench.adapter, &call.request), NDIS_STATUS_NOT_SUPPORTED,
              "the miniport knows none");
    PROBE_STATE s = probe_state(&bench);
    is_int(s.SyncOids, 1);
    is_int(s.SyncEnds, 1);
    call.request.DATA.QUERY_INFORMATION.Oid = PROBE_OID_OURS;
    is_status(ndis_upper_synchronous_oid(bench.adapter, &call.request), NDIS_STATUS_SUCCESS,
              "answered half-way");
    s = probe_state(&bench);
    is_int(s.SyncOids, 2);
    is_int(s.SyncEnds, 1, "who has answered does not see the end");
    ULONG oid = PROBE_OID_OURS;
    is_status(probe_command(&bench, IOCTL_PROBE_SYNC_OID, &oid, sizeof(oid)),
              NDIS_STATUS_NOT_SUPPORTED, "its own goes to those below it");
    is_int(probe_state(&bench).SyncOids, 2);
    bench_close(&bench);
}

NT_TEST(filter_modules_are_enumerated)
{
    struct bench bench;
    UCHAR buffer[2048];
    ULONG_PTR bytes;
    bench_open(&bench, tap_seed());
    need(bench_load_pass(&bench));
    need(bench_load_probe(&bench));
    is_status(io_ioctl(bench.client, bench.probe_device, IOCTL_PROBE_MODULES, NULL, 0, buffer, 100,
                       &bytes),
              NDIS_STATUS_BUFFER_TOO_SHORT);
    is_status(io_ioctl(bench.client, bench.probe_device, IOCTL_PROBE_MODULES, NULL, 0, buffer,
                       sizeof(buffer), &bytes),
              STATUS_SUCCESS);
    const NDIS_ENUM_FILTERS *filters = (const NDIS_ENUM_FILTERS *)buffer;
    const NDIS_FILTER_INTERFACE *f =
        (const NDIS_FILTER_INTERFACE *)(buffer + filters->OffsetFirstFilter);
    need(filters->NumberOfFilters == 2);
    is_int(f[0].FilterClass.Length, 22, "compression, the topmost, first");
    is_int(f[1].FilterClass.Length, 12, "custom");
    is_int(f[1].FilterType, FILTER_TYPE_MODIFYING);
    is_int(f[1].FilterRunType, FILTER_RUN_OPTIONAL);
    is_int(f[1].Flags, NDIS_FILTER_INTERFACE_LW_FILTER);
    ok(f[0].IfIndex != f[1].IfIndex);
    ok(bytes > sizeof(*filters) + sizeof(*f));
    bench_close(&bench);
}
