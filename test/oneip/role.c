/*
 * The role, rule by rule (role.h), one node at a time: beacons of the others are made here. What
 * several nodes do together is the explorer's.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "role.h"

#define MS 10000ull

static OIP_ROLE role;
static OIP_ROLE_ACTIONS actions;
static uint64_t now, next_tick;
static uint64_t sequence[65]; /* of each peer's beacons */
static ONEIP_CONFIG config;
static ONEIP_MEMBER members[64];

/* A cluster of `count`, of which this node is `local` (1 ..); ranks in order of the nodes. */
static void configure(unsigned count, unsigned local)
{
    memset(&config, 0, sizeof config);
    memset(members, 0, sizeof members);
    config.Generation = 1;
    config.LocalNode = local;
    config.BeaconMilliseconds = 10;
    config.SilenceBeacons = 3;
    config.AnnounceSeconds = 60;
    config.MemberCount = count;
    for (unsigned i = 0; i < count; i++) {
        members[i].NodeId = i + 1;
        members[i].Rank = i;
        members[i].Weight = 1;
    }
}

static void put_config(bool reset)
{
    OipRoleConfigure(&role, now, &config, members, 0x7AB1E, reset, &actions);
}

static void begin(unsigned count, unsigned local)
{
    memset(&actions, 0xCC, sizeof actions);
    memset(sequence, 0, sizeof sequence);
    now = 5000 * MS;
    configure(count, local);
    OipRoleInitialize(&role, 1000, 40);
    put_config(false);
    OipRoleCounterDurable(&role, now, actions.Reserve, &actions);
    OipRoleStart(&role, now, &actions);
    next_tick = now + 10 * MS;
}

/* Carries out what a call wanted, as the driver does. */
static void carry_out(void)
{
    if (actions.Sent != 0)
        OipRoleSent(&role, now, actions.Sent);
}

static void tick_at(uint64_t time)
{
    now = time;
    OipRoleTick(&role, now, &actions);
    carry_out();
}

/* Ticks on time until then, last one's actions are kept. */
static void run_until(uint64_t time)
{
    for (; next_tick <= time; next_tick += 10 * MS)
        tick_at(next_tick);
    now = time;
}

static OIP_BEACON from(unsigned node, unsigned kind, uint64_t counter, unsigned epoch_node)
{
    OIP_BEACON beacon;

    memset(&beacon, 0, sizeof beacon);
    beacon.Sender = node;
    beacon.Kind = (UINT8)kind;
    beacon.MemberCount = (UINT8)role.MemberCount;
    beacon.IntervalMicroseconds = 10000;
    beacon.Boot = 500 + node;
    beacon.Sequence = ++sequence[node];
    beacon.Epoch.Counter = counter;
    beacon.Epoch.NodeId = epoch_node;
    beacon.Generation = role.Generation;
    beacon.TableDigest = role.TableDigest;
    beacon.MembersDigest = role.MembersDigest;
    beacon.Alive = OipMemberSet(role.MemberCount);
    if (kind == OipBeaconPresence)
        beacon.HeardAgo = OIP_BEACON_UNHEARD;
    return beacon;
}

static bool hear(OIP_BEACON beacon)
{
    bool accepted = OipRoleBeacon(&role, now, &beacon, &actions);

    carry_out();
    return accepted;
}

static bool hear_dispatcher(unsigned node, uint64_t counter)
{
    return hear(from(node, OipBeaconDispatcher, counter, node));
}

static bool hear_presence(unsigned node)
{
    return hear(from(node, OipBeaconPresence, 0, 0));
}

/* The dispatcher's beacons come every 10 ms until then. */
static void follow_until(unsigned node, uint64_t counter, uint64_t time)
{
    for (uint64_t at = now; at <= time; at += 10 * MS) {
        run_until(at);
        hear_dispatcher(node, counter);
    }
}

static void says_alive(OIP_BEACON *beacon, uint64_t alive)
{
    beacon->Alive = alive;
    beacon->Liveness.Length = 0;
    for (unsigned i = 0; i < beacon->MemberCount; i++)
        if (!(alive >> i & 1)) {
            beacon->Liveness.Log[beacon->Liveness.Length] =
                (UINT8)(i | (beacon->Liveness.Length != 0 ? OIP_LIVENESS_JOINED : 0));
            beacon->Liveness.Length++;
        }
}

static const OIP_ROLE_EVENT *event(unsigned kind)
{
    for (unsigned i = 0; i < actions.EventCount; i++)
        if (actions.Events[i].Kind == kind)
            return &actions.Events[i];
    return NULL;
}

static bool acts(void)
{
    return OipRoleIsActing(&role, now);
}

/* Starts as dispatcher of `count`, having heard the others. */
static void begin_dispatching(unsigned count)
{
    begin(count, 1);
    while (role.State != OneIpRoleDispatcher && now < 6000 * MS) {
        run_until(next_tick);
        for (unsigned i = 2; i <= count && role.State != OneIpRoleDispatcher; i++)
            hear_presence(i);
    }
    is_int(role.State, OneIpRoleDispatcher);
}

NT_TEST(role_alone_promotes_after_the_startup_limit)
{
    uint64_t start;

    begin(1, 1);
    start = now;
    is_int(role.State, OneIpRoleListening);
    run_until(start + 119 * MS);
    is_int(role.State, OneIpRoleListening);
    ok(!acts());
    run_until(start + 120 * MS);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(role.Epoch.Counter, 41, "above what was on disk when it was loaded");
    is_int(role.Epoch.NodeId, 1);
    ok(actions.Announce && actions.RoleChanged);
    is_int(actions.Targets, 0, "there is nobody to send to");
    ok(event(OneIpEventRole) && event(OneIpEventRole)->Value == OneIpRoleDispatcher);
    ok(acts());
    is_int(role.Takeovers, 1);
}

/* R1. */
NT_TEST(role_needs_a_durable_counter)
{
    memset(sequence, 0, sizeof sequence);
    now = 5000 * MS;
    configure(1, 1);
    OipRoleInitialize(&role, 1000, 40);
    put_config(false);
    ok(actions.Reserve > 41, "asked for ahead of need");
    OipRoleStart(&role, now, &actions);
    next_tick = now + 10 * MS;
    run_until(now + 300 * MS);
    is_int(role.State, OneIpRoleListening, "the disk is slow");
    ok(actions.Reserve > 41, "asked for again");
    OipRoleCounterDurable(&role, now, 41, &actions);
    is_int(role.State, OneIpRoleDispatcher, "at once");
    is_int(role.Epoch.Counter, 41);
    ok(actions.Targets == 0 && actions.Sent == now);
}

NT_TEST(role_raises_the_reserve_ahead_of_need)
{
    begin(2, 2);
    is_int(role.ReservedCounter, 41 + 64);
    hear_dispatcher(1, 50);
    is_int(actions.Reserve, 0, "55 are left");
    hear_dispatcher(1, 98);
    is_int(actions.Reserve, 99 + 64, "7 are left");
    hear_dispatcher(1, 5000);
    is_int(actions.Reserve, 5001 + 64);
    OipRoleCounterDurable(&role, now, 5065, &actions);
    is_int(actions.Reserve, 0);
}

NT_TEST(role_takes_over_after_silence)
{
    uint64_t last;

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    is_int(role.State, OneIpRoleBackup);
    is_int(role.Dispatcher, 0);
    last = now;
    run_until(last + 39 * MS);
    is_int(role.State, OneIpRoleBackup, "35 ms have passed, but no tick since");
    run_until(last + 40 * MS);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(role.Epoch.Counter, 41, "above 7 and above the stored 40");
    is_hex(actions.Targets, 5, "beacons to all others");
    is_int(actions.Beacon.Kind, OipBeaconDispatcher);
    is_hex(role.Alive, 6, "the silent one is out");
    ok(actions.TableChanged);
    ok(event(OneIpEventMemberDown) && event(OneIpEventMemberDown)->Node == 1);
    is_int(event(OneIpEventMemberDown)->Value, 40);
}

NT_TEST(role_second_in_rank_waits_its_turn)
{
    uint64_t last;

    begin(3, 3);
    follow_until(1, 7, now + 100 * MS);
    last = now;
    run_until(last + 54 * MS);
    ok(role.State != OneIpRoleDispatcher, "node 2 goes first");
    run_until(last + 60 * MS);
    is_int(role.State, OneIpRoleDispatcher, "but it does not");
}

/* Beacons that are 19 ms late, or ticks, change nothing. */
NT_TEST(role_tolerates_lateness)
{
    begin(2, 2);
    follow_until(1, 7, now + 50 * MS);
    for (unsigned i = 0; i < 200; i++) {
        uint64_t base = now;

        tick_at(base + 10 * MS);
        tick_at(base + 20 * MS);
        tick_at(base + 34 * MS);
        hear_dispatcher(1, 7);
    }
    is_int(role.State, OneIpRoleBackup);

    begin_dispatching(2);
    for (unsigned i = 0; i < 200; i++) {
        tick_at(now + 29 * MS);
        is_int(role.State, OneIpRoleDispatcher);
        ok(acts());
        hear_presence(2);
    }
    is_int(role.Takeovers, 1);
}

/* R3. */
NT_TEST(role_lease_counts_from_beacons_really_sent)
{
    uint64_t sent;

    begin_dispatching(2);
    run_until(now + 50 * MS);
    sent = next_tick - 10 * MS;
    ok(acts());
    now = sent + 30 * MS - 1;
    ok(acts(), "to the end of the lease");
    now = sent + 30 * MS;
    ok(!acts(), "and no longer");

    begin_dispatching(2);
    now = next_tick;
    OipRoleTick(&role, now, &actions);
    ok(actions.Sent == now && actions.Targets == 2);
    now += 21 * MS; /* frozen before the beacons left; the lease of those before is over */
    OipRoleSent(&role, now, actions.Sent);
    ok(!acts(), "what is sent late renews nothing");
    tick_at(now + 9 * MS);
    is_int(role.State, OneIpRoleListening, "R2");
}

NT_TEST(role_does_not_act_before_its_first_beacons)
{
    begin(2, 1);
    for (; role.State != OneIpRoleDispatcher; next_tick += 10 * MS) {
        now = next_tick;
        OipRoleTick(&role, now, &actions);
    }
    ok(!acts());
    OipRoleSent(&role, now, actions.Sent);
    ok(acts());

    begin(2, 1);
    for (; role.State != OneIpRoleDispatcher; next_tick += 10 * MS) {
        now = next_tick;
        OipRoleTick(&role, now, &actions);
    }
    now += 20 * MS; /* the next in line may have been promoted meanwhile */
    OipRoleSent(&role, now, actions.Sent);
    ok(!acts());
}

/* R4, R2. */
NT_TEST(role_stalled_dispatcher_gives_up_and_listens)
{
    begin_dispatching(2);
    run_until(now + 50 * MS);
    now += 200 * MS;
    ok(!acts(), "already before the tick");
    tick_at(now);
    is_int(role.State, OneIpRoleListening);
    ok(event(OneIpEventStall) != NULL);
    is_int(role.Stalls, 1);
    is_int(actions.Beacon.Kind, OipBeaconPresence);
    next_tick = now + 10 * MS;
    run_until(now + 34 * MS);
    is_int(role.State, OneIpRoleListening);
    run_until(now + 16 * MS);
    is_int(role.State, OneIpRoleDispatcher, "after a whole silence");
    is_int(role.Epoch.Counter, 42, "with a new epoch");
}

NT_TEST(role_stalled_backup_counts_silence_anew)
{
    uint64_t back;

    begin(2, 2);
    follow_until(1, 7, now + 100 * MS);
    back = now + 500 * MS;
    tick_at(back);
    is_int(role.State, OneIpRoleListening, "it has not heard anybody for long");
    next_tick = back + 10 * MS;
    run_until(back + 30 * MS);
    ok(role.State != OneIpRoleDispatcher);
    hear_dispatcher(1, 7);
    is_int(role.State, OneIpRoleBackup);

    follow_until(1, 7, now + 50 * MS);
    back = now + 500 * MS;
    tick_at(back);
    next_tick = back + 10 * MS;
    run_until(back + 40 * MS);
    is_int(role.State, OneIpRoleDispatcher, "really silent");
}

NT_TEST(role_does_not_promote_at_a_late_tick)
{
    uint64_t last;

    begin(2, 2);
    follow_until(1, 7, now + 100 * MS);
    last = now;
    tick_at(last + 10 * MS);
    tick_at(last + 20 * MS);
    tick_at(last + 38 * MS);
    is_int(role.State, OneIpRoleBackup, "8 ms late: there may be beacons in the queue");
    tick_at(last + 40 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

/* R5. */
NT_TEST(role_higher_epoch_steps_down_at_once)
{
    begin_dispatching(3);
    now += MS;
    hear_dispatcher(2, 41);
    is_int(role.State, OneIpRoleBackup, "(41, 2) is above (41, 1)");
    ok(!acts());
    is_hex(actions.Targets, 0);
    is_int(role.Dispatcher, 1);
    ok(event(OneIpEventDispatcher) && event(OneIpEventDispatcher)->Node == 2);
}

NT_TEST(role_lower_epoch_is_answered_and_announced_over)
{
    begin(3, 3);
    run_until(now + 200 * MS);
    is_int(role.State, OneIpRoleDispatcher);
    run_until(now + 2000 * MS);
    now += MS;
    hear_dispatcher(1, 3);
    is_int(role.State, OneIpRoleDispatcher);
    is_hex(actions.Targets, 1, "to that one, at once");
    is_int(actions.Beacon.Kind, OipBeaconDispatcher);
    ok(actions.Announce);
    ok(actions.Sent == 0, "this is no round of beacons and renews no lease");
    hear_dispatcher(1, 3);
    is_hex(actions.Targets, 0, "not for each of them");
    ok(!actions.Announce);
    now = next_tick - MS;
    hear_dispatcher(1, 3);
    is_hex(actions.Targets, 1);

    for (unsigned i = 0; i < 2; i++) {
        run_until(next_tick);
        ok(!actions.Announce, "while it is heard");
    }
    run_until(next_tick);
    ok(actions.Announce, "once more when it is quiet");
}

NT_TEST(role_hearsay_of_a_higher_epoch_steps_down)
{
    OIP_BEACON beacon;

    begin_dispatching(3);
    beacon = from(3, OipBeaconPresence, 60, 2);
    beacon.HeardAgo = 40000;
    hear(beacon);
    is_int(role.State, OneIpRoleDispatcher, "that was 40 ms ago");
    beacon = from(3, OipBeaconPresence, 60, 2);
    beacon.HeardAgo = 4000;
    hear(beacon);
    is_int(role.State, OneIpRoleListening);
    is_int(role.Epoch.Counter, 60);
    run_until(now + 33 * MS);
    ok(role.State != OneIpRoleDispatcher, "31 ms after node 2 was heard by node 3");
}

/* R8. */
NT_TEST(role_seeker_is_answered_and_counts_from_hearsay)
{
    OIP_BEACON beacon;
    uint64_t heard;

    begin(3, 3);
    follow_until(1, 7, now + 100 * MS);
    now += 2 * MS;
    beacon = from(2, OipBeaconPresence, 0, 0);
    beacon.Flags = OIP_BEACON_SEEKING;
    hear(beacon);
    is_hex(actions.Targets, 2);
    is_int(actions.Beacon.Kind, OipBeaconPresence);
    is_int(actions.Beacon.Epoch.Counter, 7);
    is_int(actions.Beacon.HeardAgo, 2000);

    begin(3, 2);
    run_until(now + 50 * MS);
    is_int(actions.Beacon.Flags, OIP_BEACON_SEEKING);
    is_hex(actions.Targets, 5, "seeking goes to all");
    run_until(now + 100 * MS); /* it dispatches by now, alone */
    now += 200 * MS;
    tick_at(now);
    next_tick = now + 10 * MS;
    is_int(role.State, OneIpRoleListening);
    heard = now;
    for (unsigned i = 0; i < 30; i++) {
        run_until(next_tick);
        beacon = from(3, OipBeaconPresence, 90, 1);
        beacon.HeardAgo = 5000;
        hear(beacon);
        heard = now - 5 * MS;
        is_int(role.State, OneIpRoleListening, "node 3 hears node 1");
    }
    run_until(heard + 34 * MS);
    is_int(role.State, OneIpRoleListening);
    run_until(heard + 75 * MS);
    is_int(role.State, OneIpRoleDispatcher, "nobody hears it any more");
    is_int(role.Epoch.Counter, 91);
}

/* R6. */
NT_TEST(role_better_rank_takes_nothing_away)
{
    begin(3, 1);
    run_until(now + 20 * MS);
    follow_until(3, 7, now + 1000 * MS);
    is_int(role.State, OneIpRoleBackup);
    is_int(role.Takeovers, 0);
}

static OIP_BEACON vetoed_resignation(unsigned node, uint64_t counter)
{
    OIP_BEACON beacon = from(node, OipBeaconResign, counter, node);

    beacon.Flags = OIP_BEACON_VETOED;
    beacon.Vetoed = 1ull << (node - 1);
    return beacon;
}

NT_TEST(role_resignation_promotes_the_next_at_once)
{
    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    hear(vetoed_resignation(1, 7));
    is_int(role.State, OneIpRoleDispatcher);
    is_hex(actions.Targets, 5);
    is_hex(role.Alive, 7, "it only resigned");

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    {
        OIP_BEACON beacon = from(1, OipBeaconResign, 7, 1);

        beacon.Flags = OIP_BEACON_LEAVING;
        hear(beacon);
    }
    is_int(role.State, OneIpRoleDispatcher);
    is_hex(role.Alive, 6, "it goes");

    begin(3, 3);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    hear(vetoed_resignation(1, 7));
    ok(role.State != OneIpRoleDispatcher);
    run_until(now + 19 * MS);
    ok(role.State != OneIpRoleDispatcher, "node 2 goes first");
    run_until(now + 11 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

/* R9. */
NT_TEST(role_presence_of_the_dispatcher_is_a_resignation)
{
    begin(2, 2);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    {
        OIP_BEACON beacon = from(1, OipBeaconPresence, 0, 0);

        beacon.Boot = 900; /* restarted */
        hear(beacon);
    }
    is_int(role.State, OneIpRoleDispatcher);

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    {
        OIP_BEACON beacon = from(1, OipBeaconPresence, 8, 3);

        beacon.HeardAgo = 1000;
        hear(beacon);
    }
    is_int(role.State, OneIpRoleListening, "it follows node 3, which we shall hear, too");
    hear_dispatcher(3, 8);
    is_int(role.State, OneIpRoleBackup);

    /* The one that we followed last was a loser, whose beacons came late. */
    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    now += MS;
    hear_dispatcher(3, 7);
    is_int(role.Dispatcher, 2);
    hear_presence(3);
    ok(role.State != OneIpRoleDispatcher, "node 1 was heard a moment ago");
    run_until(now + 10 * MS);
    hear_dispatcher(1, 7);
    is_int(role.State, OneIpRoleBackup);
    is_int(role.Dispatcher, 0, "it is followed again, lower or not");
}

/* R7. */
NT_TEST(role_deaf_dispatcher_is_replaced)
{
    uint64_t since;

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    since = now + 10 * MS;
    while (role.State != OneIpRoleDispatcher && now < since + 300 * MS) {
        OIP_BEACON beacon;

        run_until(now + 10 * MS);
        if (role.State == OneIpRoleDispatcher)
            break;
        beacon = from(1, OipBeaconDispatcher, 7, 1);
        says_alive(&beacon, 1);
        hear(beacon);
    }
    is_int(role.State, OneIpRoleDispatcher);
    ok(now - since >= 55 * MS && now - since <= 80 * MS, "after %u ms",
       (unsigned)((now - since) / MS));
    is_hex(role.Alive, 6, "the others get the benefit of the doubt, the deaf one does not");

    /* It keeps on speaking: no flapping, no place in the table. */
    for (unsigned i = 0; i < 100; i++) {
        OIP_BEACON beacon = from(1, OipBeaconDispatcher, 7, 1);

        says_alive(&beacon, 1);
        hear(beacon);
        hear_presence(3);
        run_until(now + 10 * MS);
    }
    is_int(role.State, OneIpRoleDispatcher);
    is_hex(role.Alive, 6);
    is_int(role.Takeovers, 1);
}

NT_TEST(role_mute_backup_blames_itself)
{
    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    for (unsigned i = 0; i < 100; i++) {
        OIP_BEACON beacon = from(1, OipBeaconDispatcher, 7, 1);

        says_alive(&beacon, 5);
        hear(beacon);
        run_until(now + 10 * MS);
    }
    is_int(role.State, OneIpRoleBackup);
    run_until(now + 44 * MS);
    ok(role.State != OneIpRoleDispatcher, "it lets node 3 go first");
    run_until(now + 10 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

/* R12. */
NT_TEST(role_veto)
{
    begin_dispatching(3);
    now += MS;
    OipRoleSetVeto(&role, now, TRUE, &actions);
    is_int(role.State, OneIpRoleListening);
    is_int(actions.Beacon.Kind, OipBeaconResign);
    is_int(actions.Beacon.Flags, OIP_BEACON_VETOED, "it stays in the cluster");
    is_hex(actions.Targets, 6);
    ok(!acts());
    run_until(now + 3000 * MS);
    is_int(role.State, OneIpRoleListening, "even if nobody else does");
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryVetoed);
    OipRoleSetVeto(&role, now, FALSE, &actions);
    run_until(now + 10 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

NT_TEST(role_vetoed_members_are_not_waited_for)
{
    begin(4, 4);
    follow_until(1, 7, now + 100 * MS);
    {
        OIP_BEACON beacon = from(1, OipBeaconDispatcher, 7, 1);

        beacon.Vetoed = 6;
        hear(beacon);
    }
    run_until(now + 45 * MS);
    is_int(role.State, OneIpRoleDispatcher, "nodes 2 and 3 do not stand for election");
}

NT_TEST(role_set_primary)
{
    begin(3, 3);
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryPending, "nothing is known yet");
    now += 3 * MS;
    hear_dispatcher(1, 90);
    is_int(role.State, OneIpRoleDispatcher, "as soon as there is an epoch to be above of");
    is_int(role.Epoch.Counter, 91);
    is_hex(role.Alive, 7, "the old one lives");
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryDone);

    begin(3, 3);
    follow_until(1, 7, now + 100 * MS);
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryDone);
    is_int(role.State, OneIpRoleDispatcher);
    is_hex(actions.Targets, 3);

    begin(3, 3);
    follow_until(1, 900, now + 100 * MS);
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryNotDurable);
    ok(actions.Reserve >= 901);
    OipRoleCounterDurable(&role, now, actions.Reserve, &actions);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryDone);

    OipRoleStop(&role, now, FALSE, &actions);
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryStopped);
}

/* R11. */
NT_TEST(role_stop_and_start)
{
    begin_dispatching(3);
    OipRoleStop(&role, now, TRUE, &actions);
    is_int(actions.Beacon.Kind, OipBeaconResign);
    is_int(actions.Beacon.Flags, OIP_BEACON_LEAVING);
    is_hex(actions.Targets, 6);
    is_int(role.State, OneIpRoleNone);
    ok(!acts());
    tick_at(now + 10 * MS);
    ok(actions.Targets == 0 && !actions.Announce && actions.Sent == 0, "nothing is sent");
    ok(hear_presence(2), "authentic, but of no effect");
    hear_dispatcher(2, 60);
    is_int(role.State, OneIpRoleNone);
    ok(actions.Targets == 0);

    OipRoleStart(&role, now, &actions);
    is_int(role.State, OneIpRoleListening);
    next_tick = now + 10 * MS;
    run_until(now + 110 * MS);
    is_int(role.State, OneIpRoleListening, "a whole startup limit");

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    OipRoleStop(&role, now, TRUE, &actions);
    is_int(actions.Beacon.Kind, OipBeaconPresence);
    is_int(actions.Beacon.Flags, OIP_BEACON_LEAVING);
    is_hex(actions.Targets, 5);

    begin_dispatching(3);
    OipRoleStop(&role, now, FALSE, &actions);
    is_hex(actions.Targets, 0, "in silence");
    OipRoleStop(&role, now, TRUE, &actions);
    is_hex(actions.Targets, 0, "there is nothing to stop");
    is_int(actions.EventCount, 0);
}

NT_TEST(role_dispatcher_keeps_the_roll)
{
    begin_dispatching(4);
    is_hex(role.Alive, 15);
    for (unsigned i = 0; i < 5; i++) {
        hear_presence(3);
        hear_presence(4);
        run_until(now + 10 * MS);
        is_hex(role.Alive, 15);
    }
    hear_presence(3);
    hear_presence(4);
    run_until(now + 10 * MS);
    is_hex(role.Alive, 13, "node 2 has not been heard for 55 ms");
    ok(actions.TableChanged);
    ok(event(OneIpEventMemberDown) && event(OneIpEventMemberDown)->Node == 2);
    is_int(actions.Beacon.Alive, 13);
    is_int(actions.Beacon.Liveness.Length, 1);

    hear_presence(2);
    ok(!actions.TableChanged, "with the next tick");
    hear_presence(3);
    run_until(now + 10 * MS);
    is_hex(role.Alive, 15);
    ok(event(OneIpEventMemberUp) && event(OneIpEventMemberUp)->Node == 2);
    is_int(role.Liveness.Length, 0);
    ok(actions.Announce, "R5: it may have followed another one elsewhere");

    {
        OIP_BEACON beacon = from(3, OipBeaconPresence, 0, 0);

        beacon.Flags = OIP_BEACON_LEAVING;
        hear(beacon);
    }
    hear_presence(2);
    hear_presence(4);
    run_until(now + 10 * MS);
    is_hex(role.Alive, 11, "who says farewell is not waited for");
}

/* A dispatcher that was itself held up for less than its lease blames nobody for the silence. */
NT_TEST(role_dispatcher_excuses_members)
{
    begin_dispatching(2);
    hear_presence(2);
    for (unsigned i = 0; i < 4; i++)
        tick_at(now + 29 * MS);
    is_hex(role.Alive, 3);
}

NT_TEST(role_backups_take_over_the_log)
{
    OIP_BEACON beacon;

    begin(4, 2);
    follow_until(1, 7, now + 50 * MS);
    beacon = from(1, OipBeaconDispatcher, 7, 1);
    beacon.Liveness.Length = 3;
    beacon.Liveness.Log[0] = 2;
    beacon.Liveness.Log[1] = 3;
    beacon.Liveness.Log[2] = 2;
    beacon.Alive = 7;
    hear(beacon);
    ok(actions.TableChanged);
    is_hex(role.Alive, 7);
    is_int(role.Liveness.Length, 3);
    ok(event(OneIpEventMemberDown) && event(OneIpEventMemberDown)->Node == 4);
    beacon.Sequence = ++sequence[1];
    hear(beacon);
    ok(!actions.TableChanged, "nothing new");

    run_until(now + 45 * MS);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(role.Liveness.Length, 4, "and its own finding is added");
    is_int(role.Liveness.Log[3], 0);
    is_hex(role.Alive, 6);

    begin(4, 2);
    beacon = from(1, OipBeaconDispatcher, 7, 1);
    says_alive(&beacon, 7);
    beacon.MembersDigest ^= 1;
    hear(beacon);
    is_int(role.State, OneIpRoleBackup);
    is_hex(role.Alive, 15, "indexes of another configuration mean nothing here");
}

/* Found by the beacon fuzzer: with its word no client would have had a server. */
NT_TEST(role_does_not_believe_a_dispatcher_that_calls_itself_dead)
{
    OIP_BEACON beacon;

    begin(4, 2);
    follow_until(1, 41, now + 50 * MS);
    for (uint64_t alive = 0; alive < 0x10; alive += 2) {
        beacon = from(1, OipBeaconDispatcher, 41, 1);
        says_alive(&beacon, alive);
        ok(hear(beacon));
        ok(!actions.TableChanged);
        is_hex(role.Alive, 0xF);
        is_int(role.State, OneIpRoleBackup);
    }
    beacon = from(1, OipBeaconResign, 41, 1);
    says_alive(&beacon, 0);
    ok(hear(beacon));
    is_hex(role.Alive & 2, 2);
}

NT_TEST(role_rejects_replays_and_strangers)
{
    OIP_BEACON beacon;

    begin(3, 2);
    beacon = from(1, OipBeaconDispatcher, 7, 1);
    ok(hear(beacon));
    ok(!hear(beacon), "again");
    beacon.Boot--;
    beacon.Sequence += 100;
    ok(!hear(beacon), "from before its restart");
    beacon = from(9, OipBeaconDispatcher, 7, 9);
    ok(!hear(beacon), "no member");
    beacon = from(2, OipBeaconPresence, 0, 0);
    beacon.Boot = role.Boot;
    ok(!hear(beacon), "our own");
    is_int(actions.EventCount, 0);

    config.Generation = 2;
    put_config(true);
    is_int(role.State, OneIpRoleListening, "another key: listen anew");
    beacon = from(1, OipBeaconDispatcher, 7, 1);
    beacon.Sequence = 1;
    ok(hear(beacon), "and the windows are open");
}

/* R10. */
NT_TEST(role_twin_nodes)
{
    OIP_BEACON beacon;

    begin_dispatching(2);
    beacon = from(1, OipBeaconDispatcher, 99, 1);
    beacon.Boot = role.Boot - 1;
    ok(!hear(beacon));
    is_int(role.State, OneIpRoleDispatcher, "the younger one stays");
    ok(event(OneIpEventConflict) && event(OneIpEventConflict)->Node == 1);
    beacon.Sequence++;
    hear(beacon);
    ok(event(OneIpEventConflict) == NULL, "one event a minute");
    ok(role.HighestCounter >= 99);

    begin_dispatching(2);
    beacon = from(1, OipBeaconDispatcher, 99, 1);
    beacon.Boot = role.Boot + 1;
    hear(beacon);
    is_int(role.State, OneIpRoleListening, "the elder one yields");
    ok(event(OneIpEventConflict) != NULL);
    ok(!acts());
    for (unsigned i = 0; i < 99; i++) {
        run_until(next_tick);
        ok(actions.Targets == 0, "silently");
    }
    is_int(OipRoleSetPrimary(&role, now, &actions), OipPrimaryYielding);
    run_until(now + 300 * MS);
    is_int(role.State, OneIpRoleDispatcher, "the twin is gone");
    is_int(role.Epoch.Counter, 100);
}

NT_TEST(role_behind)
{
    OIP_BEACON beacon;
    BOOLEAN behind;

    begin(3, 2);
    hear_dispatcher(1, 7);
    ok(event(OneIpEventBehind) == NULL);
    is_int(OipRoleClusterGeneration(&role, &behind), 1);
    ok(!behind);

    beacon = from(1, OipBeaconDispatcher, 7, 1);
    beacon.Generation = 5;
    hear(beacon);
    ok(event(OneIpEventBehind) && event(OneIpEventBehind)->Value == 5 &&
       event(OneIpEventBehind)->Node == 1);
    beacon.Sequence = ++sequence[1];
    hear(beacon);
    ok(event(OneIpEventBehind) == NULL, "said once");
    is_int(OipRoleClusterGeneration(&role, &behind), 5);
    ok(behind);

    config.Generation = 5;
    put_config(false);
    hear_dispatcher(1, 7);
    is_int(OipRoleClusterGeneration(&role, &behind), 5);
    ok(!behind, "caught up");

    beacon = from(3, OipBeaconPresence, 0, 0);
    beacon.TableDigest ^= 1;
    hear(beacon);
    ok(event(OneIpEventBehind) != NULL, "the same generation with another table");
    OipRoleClusterGeneration(&role, &behind);
    ok(behind);
}

NT_TEST(role_reconfigured_dispatcher_goes_on)
{
    begin_dispatching(3);
    for (unsigned i = 0; i < 8; i++) {
        run_until(now + 10 * MS);
        hear_presence(3);
    }
    is_hex(role.Alive, 5);

    /* Node 2 (down) leaves, node 4 joins, and the order changes. */
    config.Generation = 2;
    config.MemberCount = 3;
    members[0].NodeId = 4;
    members[1].NodeId = 3;
    members[2].NodeId = 1;
    for (unsigned i = 0; i < 3; i++)
        members[i].Rank = i;
    put_config(false);
    ok(actions.TableChanged);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(role.Local, 2);
    is_int(role.Dispatcher, 2);
    is_hex(role.Alive, 7, "the new one has its time to appear");
    ok(acts());
    for (unsigned i = 0; i < 8; i++) {
        run_until(now + 10 * MS);
        hear_presence(3);
    }
    is_hex(role.Alive, 6, "and did not");
    run_until(next_tick);
    is_hex(actions.Targets, 3);
    is_int(role.Takeovers, 1);
}

NT_TEST(role_dispatcher_that_left_the_configuration_is_not_followed)
{
    uint64_t changed;

    begin(3, 2);
    follow_until(1, 7, now + 100 * MS);
    config.Generation = 2;
    config.MemberCount = 2;
    members[0] = members[1];
    members[1] = members[2];
    put_config(false);
    changed = now;
    is_int(role.State, OneIpRoleListening);
    ok(!hear_dispatcher(1, 7), "a stranger");
    run_until(changed + 45 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

NT_TEST(role_renamed_node_starts_over)
{
    begin_dispatching(3);
    config.Generation = 2;
    config.LocalNode = 2;
    put_config(false);
    is_int(role.State, OneIpRoleListening, "the epoch was node 1's");
    ok(!acts());
}

NT_TEST(role_unconfigured_knows_nothing_but_counters)
{
    begin_dispatching(3);
    OipRoleUnconfigure(&role, now, &actions);
    is_int(role.State, OneIpRoleNone);
    ok(!acts());
    OipRoleStart(&role, now, &actions);
    is_int(role.State, OneIpRoleNone, "without a configuration");
    ok(!hear_presence(2));
    put_config(false);
    OipRoleStart(&role, now, &actions);
    next_tick = now + 10 * MS;
    run_until(now + 400 * MS);
    is_int(role.State, OneIpRoleDispatcher);
    is_int(role.Epoch.Counter, 42, "41 was used");
}

/* While a longer interval is rolled out, its dispatcher is awaited by its own. */
NT_TEST(role_waits_by_the_dispatchers_interval)
{
    OIP_BEACON beacon;
    uint64_t last;

    begin(2, 2);
    beacon = from(1, OipBeaconDispatcher, 7, 1);
    beacon.IntervalMicroseconds = 50000;
    hear(beacon);
    last = now;
    run_until(last + 170 * MS);
    is_int(role.State, OneIpRoleBackup);
    run_until(last + 180 * MS);
    is_int(role.State, OneIpRoleDispatcher);
}

NT_TEST(role_announces_again_and_again)
{
    uint64_t start;
    unsigned count = 0;

    begin_dispatching(1);
    start = now;
    config.AnnounceSeconds = 2;
    put_config(false);
    for (; now < start + 9500 * MS; run_until(next_tick))
        if (now > start && actions.Announce)
            count++;
    is_int(count, 7, "at 50, 200, 1000 ms, then every 2 s");
}

NT_TEST(role_64_members)
{
    unsigned up = 0;

    begin(64, 64);
    run_until(now + 50 * MS);
    is_hex(actions.Targets, ~0ull >> 1);
    for (uint64_t until = now + 2000 * MS; now < until && role.State != OneIpRoleDispatcher;) {
        run_until(next_tick);
        if (role.State != OneIpRoleDispatcher)
            for (unsigned i = 1; i < 64; i += 2)
                hear_presence(i);
    }
    is_int(role.State, OneIpRoleDispatcher);
    ok(now >= 5000 * MS + 760 * MS, "32 others went first");
    is_hex(role.Alive, 0x5555555555555555ull | 1ull << 63);
    is_int(role.Liveness.Length, 31);
    ok(OipLivenessValid(&role.Liveness, 64));
    ok(actions.EventCount <= OIP_ROLE_MAX_EVENTS);

    for (unsigned i = 1; i < 64; i++)
        hear_presence(i);
    run_until(next_tick);
    is_hex(role.Alive, ~0ull);
    is_int(role.Liveness.Length, 0);
    for (unsigned i = 0; i < actions.EventCount; i++)
        up += actions.Events[i].Kind == OneIpEventMemberUp;
    is_int(up, 31);
    run_until(now + 100 * MS);
    is_hex(role.Alive, 1ull << 63, "and all at once are gone");
    is_int(role.Liveness.Length, 63);
}

NT_TEST(role_silent_milliseconds)
{
    begin(3, 2);
    is_int(OipRoleSilentMs(&role, now, 0), 0xFFFFFFFF);
    is_int(OipRoleSilentMs(&role, now, 1), 0, "itself");
    hear_presence(1);
    is_int(OipRoleSilentMs(&role, now + 1234 * MS, 0), 1234);
    is_int(OipRoleIndex(&role, 3), 2);
    is_int(OipRoleIndex(&role, 4), OIP_TABLE_NONE);
}
