/* The control device: who may open it, what it refuses and why, and that a refusal changes nothing.
 */
#include "fixture.h"

#include <stdlib.h>
#include <string.h>

NT_TEST(device_opens_for_administrators_only)
{
    struct node node;
    io_handle handle;

    need(node_start(&node, tap_seed()));
    struct io_client *user = io_client_create(IO_TOKEN_USER, 4712);
    is_status(io_open(user, "\\\\.\\NtsOneIp", GENERIC_READ, &handle), STATUS_ACCESS_DENIED);
    is_status(io_open(user, "\\\\.\\NtsOneIp", 0, &handle), STATUS_ACCESS_DENIED);
    io_client_destroy(user);
    struct io_client *system = io_client_create(IO_TOKEN_SYSTEM, 4);
    is_status(io_open(system, "\\\\.\\NtsOneIp", GENERIC_READ, &handle), STATUS_SUCCESS);
    is_status(io_ioctl(system, handle, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, &(ULONG_PTR){0}),
              STATUS_ACCESS_DENIED, "writing needs write access");
    io_client_destroy(system);
    node_stop(&node);
}

NT_TEST(version_says_the_contract)
{
    struct node node;
    ONEIP_VERSION version = {0};
    ULONG_PTR information;

    need(node_start(&node, tap_seed()));
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_GET_VERSION, NULL, 0, &version, sizeof version, &information),
        STATUS_SUCCESS);
    is_int(information, sizeof version);
    is_int(version.Contract, ONEIP_CONTRACT_VERSION);
    is_int(version.TableSlots, ONEIP_TABLE_SLOTS);
    is_int(version.MaxMembers, ONEIP_MAX_MEMBERS);
    node_stop(&node);
}

NT_TEST(lengths_and_codes_are_checked_for_every_ioctl)
{
    static const struct {
        ULONG code, min_input, min_output;
        bool exact;
    } calls[] = {
        {ONEIP_IOCTL_GET_VERSION, 0, sizeof(ONEIP_VERSION), true},
        {ONEIP_IOCTL_SET_CONFIG, sizeof(ONEIP_CONFIG), 0, false},
        {ONEIP_IOCTL_CLEAR_CONFIG, 0, 0, true},
        {ONEIP_IOCTL_GET_CONFIG, 0, sizeof(ONEIP_CONFIG), true},
        {ONEIP_IOCTL_GET_STATUS, 0, sizeof(ONEIP_STATUS), true},
        {ONEIP_IOCTL_GET_STATS, 0, sizeof(ONEIP_STATS), true},
        {ONEIP_IOCTL_WAIT_EVENT, sizeof(ONEIP_WAIT_EVENT), sizeof(ONEIP_EVENT), true},
        {ONEIP_IOCTL_SET_PRIMARY, 0, 0, true},
        {ONEIP_IOCTL_SET_VETO, sizeof(ONEIP_VETO), 0, true},
        {ONEIP_IOCTL_LOOKUP, sizeof(ONEIP_LOOKUP), sizeof(ONEIP_LOOKUP_RESULT), true},
        {ONEIP_IOCTL_GET_REFUSAL, 0, sizeof(ONEIP_REFUSAL), true},
        {ONEIP_IOCTL_SET_DRAIN, sizeof(ONEIP_DRAIN), 0, true},
        {ONEIP_IOCTL_GET_FLOWS, sizeof(ONEIP_FLOW_QUERY),
         sizeof(ONEIP_FLOW_PAGE) + 7 * sizeof(ONEIP_FLOW), true},
        {ONEIP_IOCTL_IMPORT_FLOWS, sizeof(ONEIP_FLOW_IMPORT), sizeof(ONEIP_FLOW_IMPORTED), false},
        {ONEIP_IOCTL_COUNT_FLOWS, 0, sizeof(ONEIP_FLOW_COUNTS), true},
        {ONEIP_IOCTL_GET_RULES, 0, sizeof(ONEIP_RULE_STATUS), true},
    };
    struct node node;
    UINT8 input[256] = {0}, output[512];

    need(node_start(&node, tap_seed()));
    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        tap_at("function %#x", calls[i].code >> 2 & 0xfff);
        if (calls[i].min_input) {
            is_status(node_ioctl(&node, calls[i].code, input, calls[i].min_input - 1, output,
                                 sizeof output, NULL),
                      STATUS_INFO_LENGTH_MISMATCH);
            is_int(node_refusal(&node, NULL), OneIpReasonInputTooShort);
        }
        if (calls[i].min_output) {
            is_status(node_ioctl(&node, calls[i].code, input, calls[i].min_input, output,
                                 calls[i].min_output - 1, NULL),
                      STATUS_BUFFER_TOO_SMALL);
            if (calls[i].code != ONEIP_IOCTL_GET_REFUSAL)
                is_int(node_refusal(&node, NULL), OneIpReasonOutputTooShort);
        }
        if (calls[i].exact) {
            is_status(node_ioctl(&node, calls[i].code, input, calls[i].min_input + 1, output,
                                 sizeof output, NULL),
                      STATUS_INFO_LENGTH_MISMATCH);
            is_int(node_refusal(&node, NULL), OneIpReasonSize);
        }
    }
    tap_at(NULL);
    is_status(node_ioctl(&node, CTL_CODE(0x12, 0x9ff, 0, 0), NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_REQUEST);
    is_int(node_refusal(&node, NULL), OneIpReasonUnknownIoctl);
    node_stop(&node);
}

/* One defect each, and the reason and index that the driver must name. */
struct defect {
    const char *name;
    void (*make)(struct cluster *cluster);
    ONEIP_REASON reason;
    UINT32 index;
};

static UINT8 bad_table[ONEIP_TABLE_SLOTS];

#define DEFECT(name, statement)                                                                    \
    static void name(struct cluster *c)                                                            \
    {                                                                                              \
        statement;                                                                                 \
    }
DEFECT(version, c->header.Version = 1)
DEFECT(size_low, c->header.Size = sizeof(ONEIP_CONFIG))
DEFECT(size_high, c->header.Size = 1 << 30)
DEFECT(no_generation, c->header.Generation = 0)
DEFECT(no_key, memset(c->header.BeaconKey, 0, 16))
DEFECT(beacon_zero, c->header.BeaconMilliseconds = 0)
DEFECT(beacon_long, c->header.BeaconMilliseconds = 1001)
DEFECT(silence_one, c->header.SilenceBeacons = 1)
DEFECT(silence_many, c->header.SilenceBeacons = 101)
DEFECT(announce_zero, c->header.AnnounceSeconds = 0)
DEFECT(announce_long, c->header.AnnounceSeconds = 3601)
DEFECT(affinity, c->header.Affinity = 4)
DEFECT(dispatch, c->header.Dispatch = 0)
DEFECT(few_flows, c->header.FlowCapacity = ONEIP_MIN_FLOWS - 1)
DEFECT(many_flows, c->header.FlowCapacity = ONEIP_MAX_FLOWS + 1)
DEFECT(tcp_idle, c->header.TcpIdleSeconds = 0)
DEFECT(udp_idle, c->header.UdpIdleSeconds = ONEIP_MAX_IDLE_SECONDS + 1)
DEFECT(opening, c->header.OpeningSeconds = 0)
DEFECT(closing, c->header.ClosingSeconds = 0)
DEFECT(many_rules, c->header.RuleCount = ONEIP_MAX_RULES + 1)
DEFECT(past_alone, c->header.PastSlots = ONEIP_TABLE_SLOTS)

static void with_rule(struct cluster *c, ONEIP_RULE rule)
{
    c->header.RuleCount = 2;
    c->rules[0] = (ONEIP_RULE){6, 80, 90, OneIpRuleShared, OneIpAffinityNetwork, 0, 0};
    c->rules[1] = rule;
}
DEFECT(rule_protocol, with_rule(c, (ONEIP_RULE){1, 1, 1, OneIpRuleBlocked, 0, 0, 0}))
DEFECT(rule_ports, with_rule(c, (ONEIP_RULE){17, 2, 1, OneIpRuleBlocked, 0, 0, 0}))
DEFECT(rule_mode, with_rule(c, (ONEIP_RULE){17, 1, 2, 4, 0, 0, 0}))
DEFECT(rule_affinity, with_rule(c, (ONEIP_RULE){17, 1, 2, OneIpRuleShared, 0, 0, 0}))
DEFECT(rule_blocked_affinity,
       with_rule(c, (ONEIP_RULE){17, 1, 2, OneIpRuleBlocked, OneIpAffinityClient, 0, 0}))
DEFECT(rule_owner, with_rule(c, (ONEIP_RULE){17, 1, 2, OneIpRuleSingle, 0, 9, 0}))
DEFECT(rule_shared_owner,
       with_rule(c, (ONEIP_RULE){17, 1, 2, OneIpRuleShared, OneIpAffinityClient, 2, 0}))
DEFECT(rule_reserved, with_rule(c, (ONEIP_RULE){17, 1, 2, OneIpRuleBlocked, 0, 0, 1}))
DEFECT(rule_overlap, with_rule(c, (ONEIP_RULE){0, 90, 95, OneIpRuleBlocked, 0, 0, 0}))
DEFECT(no_address, c->header.AddressCount = 0)
DEFECT(many_addresses, c->header.AddressCount = 17)
DEFECT(family, c->addresses[1].Family = 5)
DEFECT(address_reserved, c->addresses[1].Reserved = 1)
DEFECT(address_tail, c->addresses[0].Address[4] = 1)
DEFECT(address_multicast, c->addresses[0].Address[0] = 224)
DEFECT(address_loopback, c->addresses[0].Address[0] = 127)
DEFECT(address_zero, memset(c->addresses[0].Address, 0, 16))
DEFECT(address6_multicast, c->addresses[1].Address[0] = 0xff)
DEFECT(address_twice, c->addresses[1] = c->addresses[0])
DEFECT(no_member, c->header.MemberCount = 0)
DEFECT(many_members, c->header.MemberCount = 65)
DEFECT(node_zero, c->members[2].NodeId = 0)
DEFECT(node_reserved, c->members[2].NodeId = 0xffffffff)
DEFECT(node_twice, c->members[2].NodeId = 2)
DEFECT(rank_twice, c->members[2].Rank = 1)
DEFECT(weight, c->members[1].Weight = 1001)
DEFECT(mac_zero, memset(c->members[1].Mac, 0, 6))
DEFECT(mac_multicast, c->members[1].Mac[0] = 3)
DEFECT(mac_twice, memcpy(c->members[2].Mac, c->members[1].Mac, 6))
DEFECT(member_reserved, c->members[2].Reserved[1] = 1)
DEFECT(member_no_ipv4, memset(c->members[1].Ipv4, 0, 4))
DEFECT(member_no_ipv6, memset(c->members[1].Ipv6, 0, 16))
DEFECT(member_is_cluster, memcpy(c->members[1].Ipv4, c->addresses[0].Address, 4))
DEFECT(member_ip_twice, memcpy(c->members[2].Ipv4, c->members[1].Ipv4, 4))
DEFECT(member_ip_multicast, c->members[2].Ipv6[0] = 0xff)
DEFECT(local, c->header.LocalNode = 9)
DEFECT(no_weight, c->members[0].Weight = c->members[1].Weight = c->members[2].Weight = 0)
DEFECT(table_slots, c->header.TableSlots = 100;
       c->header.Size = sizeof(ONEIP_CONFIG) + 2 * sizeof(ONEIP_ADDRESS) + 3 * sizeof(ONEIP_MEMBER))
DEFECT(table_member, memset(bad_table, 0, sizeof bad_table);
       for (unsigned i = 0; i < ONEIP_TABLE_SLOTS; i++) bad_table[i] = i % 3; bad_table[77] = 3;
       c->table = bad_table; c->header.TableSlots = ONEIP_TABLE_SLOTS)
DEFECT(table_share, memset(bad_table, 0, sizeof bad_table);
       for (unsigned i = 0; i < ONEIP_TABLE_SLOTS; i++) bad_table[i] = i % 3;
       memset(bad_table, 1, 3000); c->table = bad_table; c->header.TableSlots = ONEIP_TABLE_SLOTS)

static UINT8 bad_past[ONEIP_TABLE_SLOTS];
DEFECT(past_member, for (unsigned i = 0; i < ONEIP_TABLE_SLOTS; i++) bad_table[i] = i % 3;
       memset(bad_past, 0xff, sizeof bad_past); bad_past[5] = 3; c->table = bad_table;
       c->past = bad_past; c->header.TableSlots = c->header.PastSlots = ONEIP_TABLE_SLOTS)

static const struct defect defects[] = {
#define D(name, reason, index) {#name, name, OneIpReason##reason, index}
    D(version, Version, 0),
    D(size_low, Size, 0),
    D(size_high, Size, 0),
    D(no_generation, Generation, 0),
    D(no_key, BeaconKey, 0),
    D(beacon_zero, BeaconInterval, 0),
    D(beacon_long, BeaconInterval, 0),
    D(silence_one, Silence, 0),
    D(silence_many, Silence, 0),
    D(announce_zero, Announce, 0),
    D(announce_long, Announce, 0),
    D(affinity, Affinity, 0),
    D(dispatch, Dispatch, 0),
    D(few_flows, FlowCapacity, 0),
    D(many_flows, FlowCapacity, 0),
    D(tcp_idle, Idle, 0),
    D(udp_idle, Idle, 0),
    D(opening, Idle, 0),
    D(closing, Idle, 0),
    D(many_rules, RuleCount, 0),
    D(past_alone, PastTable, 0),
    D(past_member, PastTable, 5),
    D(rule_protocol, Rule, 1),
    D(rule_ports, Rule, 1),
    D(rule_mode, Rule, 1),
    D(rule_affinity, Rule, 1),
    D(rule_blocked_affinity, Rule, 1),
    D(rule_owner, RuleOwner, 1),
    D(rule_shared_owner, RuleOwner, 1),
    D(rule_reserved, Reserved, 1),
    D(rule_overlap, RuleOverlap, 1),
    D(no_address, AddressCount, 0),
    D(many_addresses, AddressCount, 0),
    D(family, Address, 1),
    D(address_reserved, Reserved, 1),
    D(address_tail, Reserved, 0),
    D(address_multicast, Address, 0),
    D(address_loopback, Address, 0),
    D(address_zero, Address, 0),
    D(address6_multicast, Address, 1),
    D(address_twice, AddressTwice, 1),
    D(no_member, MemberCount, 0),
    D(many_members, MemberCount, 0),
    D(node_zero, NodeId, 2),
    D(node_reserved, NodeId, 2),
    D(node_twice, NodeId, 2),
    D(rank_twice, Rank, 2),
    D(weight, Weight, 1),
    D(mac_zero, Mac, 1),
    D(mac_multicast, Mac, 1),
    D(mac_twice, Mac, 2),
    D(member_reserved, Reserved, 2),
    D(member_no_ipv4, MemberAddress, 1),
    D(member_no_ipv6, MemberAddress, 1),
    D(member_is_cluster, MemberAddress, 1),
    D(member_ip_twice, MemberAddress, 2),
    D(member_ip_multicast, MemberAddress, 2),
    D(local, LocalNode, 0),
    D(no_weight, NoWeight, 0),
    D(table_slots, Table, 0),
    D(table_member, Table, 77),
    D(table_share, Table, ONEIP_TABLE_SLOTS + 0),
};

static UINT8 *config_read(struct node *node, ULONG_PTR *bytes)
{
    ULONG room = 1 << 18;
    UINT8 *data = calloc(1, room);

    is_status(node_ioctl(node, ONEIP_IOCTL_GET_CONFIG, NULL, 0, data, room, bytes), STATUS_SUCCESS);
    return data;
}

NT_TEST(a_defective_configuration_is_refused_with_its_reason_and_changes_nothing)
{
    struct node node;
    struct cluster cluster;
    ULONG_PTR before_bytes, after_bytes;

    need(node_start(&node, tap_seed()));
    cluster_standard(&cluster, 3);
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    UINT8 *before = config_read(&node, &before_bytes);
    uint64_t sequence = node_status(&node, NULL).EventSequence;

    for (unsigned i = 0; i < sizeof defects / sizeof *defects; i++) {
        UINT32 index;

        tap_at("defect %s", defects[i].name);
        cluster_standard(&cluster, 3);
        cluster.header.Generation = 2;
        defects[i].make(&cluster);
        ok(!NT_SUCCESS(node_configure(&node, &cluster)));
        is_int(node_refusal(&node, &index), defects[i].reason);
        is_int(index, defects[i].index);
        UINT8 *after = config_read(&node, &after_bytes);
        is_int(after_bytes, before_bytes);
        is_mem(after, before, before_bytes);
        free(after);
    }
    tap_at(NULL);
    is_int(node_status(&node, NULL).EventSequence, sequence, "no event");
    free(before);
    node_stop(&node);
}

NT_TEST(input_cut_at_every_length_is_refused)
{
    struct node node;
    struct cluster cluster;
    ULONG bytes;

    need(node_start(&node, tap_seed()));
    cluster_standard(&cluster, 3);
    UINT8 *data = cluster_bytes(&cluster, &bytes);
    for (ULONG length = 0; length < bytes; length++)
        if (NT_SUCCESS(node_ioctl(&node, ONEIP_IOCTL_SET_CONFIG, data, length, NULL, 0, NULL)))
            fail("%u of %u bytes were accepted", length, bytes);
    is_int(node_status(&node, NULL).Generation, 0);
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_CONFIG, data, bytes, NULL, 0, NULL),
              STATUS_SUCCESS);
    is_int(node_status(&node, NULL).Generation, 1);
    free(data);
    node_stop(&node);
}

NT_TEST(generations_only_rise)
{
    struct node node;
    struct cluster cluster;

    need(node_start(&node, tap_seed()));
    cluster_standard(&cluster, 3);
    cluster.header.Generation = 5;
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS, "the same again is no change");
    cluster.members[1].Weight = 2;
    is_status(node_configure(&node, &cluster), STATUS_REVISION_MISMATCH);
    is_int(node_refusal(&node, NULL), OneIpReasonGeneration);
    cluster.header.Generation = 4;
    is_status(node_configure(&node, &cluster), STATUS_REVISION_MISMATCH);
    cluster.header.Generation = 6;
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    is_int(node_status(&node, NULL).Generation, 6);
    node_stop(&node);
}

NT_TEST(a_configuration_is_read_back_whole_but_for_the_key_and_can_be_applied_elsewhere)
{
    struct node node;
    struct cluster cluster;
    ULONG_PTR bytes;

    need(node_start(&node, tap_seed()));
    cluster_standard(&cluster, 4);
    cluster.members[2].Weight = 3;
    need(NT_SUCCESS(node_configure(&node, &cluster)));
    UINT8 *data = config_read(&node, &bytes);
    ONEIP_CONFIG *header = (ONEIP_CONFIG *)data;
    static const UINT8 zero[16];
    is_mem(header->BeaconKey, zero, 16, "the key does not come out");
    is_mem(data + sizeof *header, cluster.addresses, 2 * sizeof(ONEIP_ADDRESS));
    is_mem(data + sizeof *header + 2 * sizeof(ONEIP_ADDRESS), cluster.members,
           4 * sizeof(ONEIP_MEMBER));
    const UINT8 *table =
        data + sizeof *header + 2 * sizeof(ONEIP_ADDRESS) + 4 * sizeof(ONEIP_MEMBER);
    uint64_t digest = node_status(&node, NULL).TableDigest;
    ok(digest != 0);

    /* With its table to a driver that knows nothing yet: the same table. */
    is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL), STATUS_SUCCESS);
    is_status(node_ioctl(&node, ONEIP_IOCTL_CLEAR_CONFIG, NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_STATE);
    is_int(node_refusal(&node, NULL), OneIpReasonNotConfigured);
    cluster.table = table;
    cluster.header.TableSlots = ONEIP_TABLE_SLOTS;
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    is_hex(node_status(&node, NULL).TableDigest, digest);
    free(data);
    node_stop(&node);
}

NT_TEST(small_requests_are_checked)
{
    struct node node;
    struct cluster cluster;
    ONEIP_LOOKUP_RESULT result;

    need(node_start(&node, tap_seed()));
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_PRIMARY, NULL, 0, NULL, 0, NULL),
              STATUS_INVALID_DEVICE_STATE);
    is_int(node_refusal(&node, NULL), OneIpReasonNotConfigured);
    cluster_standard(&cluster, 2);
    need(NT_SUCCESS(node_configure(&node, &cluster)));

    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_VETO, &(ONEIP_VETO){2, 0}, sizeof(ONEIP_VETO), NULL,
                         0, NULL),
              STATUS_INVALID_PARAMETER);
    is_int(node_refusal(&node, NULL), OneIpReasonValue);
    is_status(node_ioctl(&node, ONEIP_IOCTL_SET_VETO, &(ONEIP_VETO){1, 7}, sizeof(ONEIP_VETO), NULL,
                         0, NULL),
              STATUS_INVALID_PARAMETER);
    is_int(node_refusal(&node, NULL), OneIpReasonReserved);
    is_int(node_status(&node, NULL).Vetoed, 0);

    ONEIP_LOOKUP good = {.Client = {OneIpFamilyIpv4, 0, {10, 1, 2, 3}},
                         .Cluster = cluster.addresses[0],
                         .Protocol = 6};
    ONEIP_LOOKUP lookup = good;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_SUCCESS);
    ok(result.NodeId == 1 || result.NodeId == 2);
    ok(result.Slot < ONEIP_TABLE_SLOTS);
    lookup.Protocol = 256;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_INVALID_PARAMETER);
    lookup = good, lookup.Protocol = 1, lookup.ClientPort = 5;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_INVALID_PARAMETER);
    lookup = good, lookup.Cluster.Address[3] = 99;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_INVALID_PARAMETER);
    is_int(node_refusal(&node, NULL), OneIpReasonAddress);
    lookup = good, lookup.Client.Family = 6;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_INVALID_PARAMETER);
    lookup = good, lookup.Client.Reserved = 1;
    is_status(
        node_ioctl(&node, ONEIP_IOCTL_LOOKUP, &lookup, sizeof lookup, &result, sizeof result, NULL),
        STATUS_INVALID_PARAMETER);
    node_stop(&node);
}
