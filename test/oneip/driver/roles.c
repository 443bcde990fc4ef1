/* Roles through the real driver: promotion, takeover, resignation, persistence. */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

static bool backup(struct node *node, unsigned members, uint64_t counter)
{
    struct cluster cluster;

    cluster_standard(&cluster, members);
    if (!node_start(node, tap_seed()) || !is_status(node_configure(node, &cluster), STATUS_SUCCESS))
        return false;
    for (unsigned i = 0; i < 30; i++) {
        peer_beacon(node, 1, OipBeaconDispatcher, counter);
        sched_run_for(10 * MS);
    }
    node_drain(node);
    return is_int(node_status(node, NULL).Role, OneIpRoleBackup);
}

NT_TEST(silence_promotes_within_45_ms_with_a_higher_epoch_on_disk)
{
    struct node node;

    need(backup(&node, 3, 7));
    peer_beacon(&node, 1, OipBeaconDispatcher, 7);
    uint64_t silent = sched_interrupt_time(), took = 0;
    for (unsigned i = 0; i < 100 && !took; i++) {
        sched_run_for(1 * MS);
        if (node_status(&node, NULL).Role == OneIpRoleDispatcher)
            took = sched_interrupt_time() - silent;
    }
    ok(took >= 30 * MS && took <= 45 * MS, "after %ju ms", (uintmax_t)(took / MS));
    ONEIP_STATUS status = node_status(&node, NULL);
    ok(status.Epoch.Counter > 7);
    is_int(status.Epoch.NodeId, 1);
    ok(status.ReservedCounter >= status.Epoch.Counter);
    is_int(status.Takeovers, 1);
    is_int(status.Dispatcher, 1);
    node_stop(&node);
}

NT_TEST(a_dispatcher_steps_down_at_once_for_a_higher_epoch_and_answers_a_lower_one)
{
    struct node node;
    struct cluster cluster;
    OIP_BEACON beacon;
    UCHAR mac[6];

    cluster_standard(&cluster, 3);
    need(node_start(&node, tap_seed()));
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    need(node_promote(&node, ALL(3)));
    uint64_t counter = node_status(&node, NULL).Epoch.Counter;

    sched_run_for(30 * MS);
    while (node_beacon(&node, &beacon, mac))
        continue;
    if (counter > 1) {
        peer_beacon(&node, 1, OipBeaconDispatcher, counter - 1);
        is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher);
        if (ok(node_beacon(&node, &beacon, mac), "an answer at once")) {
            is_int(beacon.Kind, OipBeaconDispatcher);
            is_int(beacon.Epoch.Counter, counter);
        }
    }
    peer_beacon(&node, 1, OipBeaconDispatcher, counter + 1);
    ONEIP_STATUS status = node_status(&node, NULL);
    is_int(status.Role, OneIpRoleBackup);
    is_int(status.Dispatcher, 2);
    is_int(status.Epoch.Counter, counter + 1);
    node_stop(&node);
}

NT_TEST(the_role_is_resigned_before_an_orderly_pause_and_given_up_silently_otherwise)
{
    for (unsigned way = 0; way < 3; way++) {
        struct node node;
        struct cluster cluster;
        OIP_BEACON beacon;
        UCHAR mac[6];
        unsigned resigned = 0;

        tap_at("way %u", way);
        cluster_standard(&cluster, 3);
        need(node_start(&node, tap_seed()));
        need(NT_SUCCESS(node_configure(&node, &cluster)));
        need(node_promote(&node, ALL(3)));
        switch (way) {
        case 0:
            ndis_lower_power(test_edge_adapter(node.edge), false);
            break;
        case 1:
            is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL),
                      STATUS_SUCCESS);
            break;
        default:
            ndis_lower_link(test_edge_adapter(node.edge), false);
            break;
        }
        while (node_beacon(&node, &beacon, mac))
            resigned += beacon.Kind == OipBeaconResign;
        ok(way == 2 ? resigned == 0 : resigned > 0, "%u resignations", resigned);
        ok(node_status(&node, NULL).Role != OneIpRoleDispatcher);
        sched_run_for(500 * MS);
        ok(!test_edge_take_wire(node.edge), "and then silence");
        if (way == 0)
            ndis_lower_power(test_edge_adapter(node.edge), true);
        if (way == 2) {
            ndis_lower_link(test_edge_adapter(node.edge), true);
            is_int(node_status(&node, NULL).Role, OneIpRoleListening, "the role is not resumed");
            need(node_promote(&node, ALL(3)));
        }
        node_stop(&node);
    }
}

NT_TEST(a_resignation_promotes_the_next_without_waiting_for_silence)
{
    struct node node;

    need(backup(&node, 3, 7));
    peer_beacon(&node, 1, OipBeaconResign, 7);
    sched_run_for(11 * MS);
    is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher);
    node_stop(&node);
}

NT_TEST(set_primary_takes_the_role_and_a_veto_gives_it_up)
{
    struct node node;
    ONEIP_VETO veto = {1, 0};

    need(backup(&node, 3, 7));
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    sched_run_for(20 * MS);
    ONEIP_STATUS status = node_status(&node, NULL);
    is_int(status.Role, OneIpRoleDispatcher);
    ok(status.Epoch.Counter > 7);
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0, NULL),
              STATUS_SUCCESS);
    is_int(node_status(&node, NULL).Vetoed, 1);
    ok(node_status(&node, NULL).Role != OneIpRoleDispatcher);
    sched_run_for(3000 * MS);
    ok(node_status(&node, NULL).Role != OneIpRoleDispatcher, "not even when nobody else does");
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_STATE);
    is_int(node_refusal(&node, NULL), OneIpReasonVetoed);
    veto.Veto = 0;
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_VETO, &veto, sizeof veto, NULL, 0, NULL),
              STATUS_SUCCESS);
    sched_run_for(1000 * MS);
    is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher);
    node_stop(&node);
}

NT_TEST(epochs_rise_across_a_restart_of_the_driver)
{
    struct node node;
    struct cluster cluster;
    struct setup_error error;
    uint64_t counter = 0;

    cluster_standard(&cluster, 2);
    need(node_start(&node, tap_seed()));
    for (unsigned i = 0; i < 3; i++) {
        need(NT_SUCCESS(node_configure(&node, &cluster)));
        need(node_promote(&node, ALL(2)));
        ONEIP_STATUS status = node_status(&node, NULL);
        ok(status.Epoch.Counter > counter, "%ju after %ju", (uintmax_t)status.Epoch.Counter,
           (uintmax_t)counter);
        ok(status.ReservedCounter >= status.Epoch.Counter);
        counter = status.Epoch.Counter;
        io_client_destroy(node.client);
        is_status(setup_stop("NtsOneIp", &error), STATUS_SUCCESS);
        is_status(setup_start("NtsOneIp", &error), STATUS_SUCCESS);
        node.client = io_client_create(IO_TOKEN_ADMINISTRATOR, 4711);
        is_status(
            io_open(node.client, "\\\\.\\NtsOneIp", GENERIC_READ | GENERIC_WRITE, &node.device),
            STATUS_SUCCESS);
        is_int(node_status(&node, NULL).Generation, 0);
    }
    node_stop(&node);
}

NT_TEST(beacons_of_strangers_and_recordings_are_rejected)
{
    struct node node;

    need(backup(&node, 3, 7));
    ONEIP_STATS before = node_stats(&node);
    struct cluster other = node.cluster;
    memcpy(node.cluster.header.BeaconKey, "another key 1234", 16);
    peer_beacon(&node, 2, OipBeaconDispatcher, 99);
    is_int(node_stats(&node).BeaconsRejected, before.BeaconsRejected + 1);
    node.cluster = other;
    node.peers[1].sequence -= 5; /* a recording of the dispatcher's beacons */
    for (unsigned i = 0; i < 5; i++) {
        peer_beacon(&node, 1, OipBeaconDispatcher, 7);
        sched_run_for(10 * MS);
    }
    is_int(node_stats(&node).BeaconsRejected, before.BeaconsRejected + 6);
    is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher, "they do not count as life");
    memcpy(node.cluster.header.ClusterId, "another cluster!", 16);
    peer_beacon(&node, 2, OipBeaconDispatcher, 99);
    is_int(node_stats(&node).BeaconsRejected, before.BeaconsRejected + 6,
           "another cluster is none of our business");
    is_int(node_status(&node, NULL).Role, OneIpRoleDispatcher);
    node.cluster = other;
    node_stop(&node);
}

NT_TEST(a_member_with_a_newer_configuration_is_told)
{
    struct node node;

    need(backup(&node, 3, 7));
    is_int(node_status(&node, NULL).Behind, 1,
           "the peers' table is not ours: their digest is zero");
    node.cluster.header.Generation = 9;
    peer_beacon(&node, 1, OipBeaconDispatcher, 7);
    ONEIP_STATUS status = node_status(&node, NULL);
    is_int(status.Behind, 1);
    is_int(status.ClusterGeneration, 9);
    node.cluster.header.Generation = 1;
    node_stop(&node);
}

static void refused(unsigned expected, void (*change)(struct ndis_adapter_config *adapter))
{
    struct node node;
    struct ndis_adapter_config adapter;
    struct cluster cluster;
    ONEIP_EVENT events[8] = {0};
    ULONG_PTR bytes = 0;

    node_adapter_config(&adapter);
    change(&adapter);
    if (!node_start_with(&node, tap_seed(), &adapter))
        return;
    cluster_standard(&cluster, 2);
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    sched_run_for(1000 * MS);
    ONEIP_STATUS status = node_status(&node, NULL);
    is_int(status.Role, OneIpRoleNone);
    is_int(status.AdapterState, OneIpAdapterAbsent);
    is_status(node_ioctl(&node, ONEIP_IOCTL_WAIT_EVENT, &(ONEIP_WAIT_EVENT){0},
                         sizeof(ONEIP_WAIT_EVENT), events, sizeof events, &bytes),
              STATUS_SUCCESS);
    if (expected) {
        is_int(events[0].Kind, OneIpEventBindRefused);
        is_int(events[0].Value, expected);
    } else {
        is_int(events[0].Kind, OneIpEventConfig, "not even offered to the filter");
    }
    node_stop(&node);
}

static void wifi(struct ndis_adapter_config *adapter)
{
    adapter->physical = NdisPhysicalMediumNative802_11;
}

static void team(struct ndis_adapter_config *adapter)
{
    adapter->bindings = "ms_tcpip,ms_implat";
}

static void virtual_switch(struct ndis_adapter_config *adapter)
{
    adapter->bindings = "vms_pp";
}

static void nlb(struct ndis_adapter_config *adapter)
{
    adapter->bindings = "nlb";
}

NT_TEST(adapters_that_will_not_do_are_refused)
{
    refused(0, wifi); /* the INF names Ethernet alone */
    refused(OneIpBindTeamMember, team);
    refused(OneIpBindVirtualSwitch, virtual_switch);
    refused(OneIpBindNlb, nlb);
}
