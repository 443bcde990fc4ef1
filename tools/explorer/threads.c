/* The role on the deterministic scheduler: see threads.h. */
#include "threads.h"

#include <nthost/nthost.h>
#include <nthost/sched.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "world.h"

enum { MAX_QUEUE = 64 };

struct frame {
    uint64_t due, posted;
    unsigned from;
    UINT8 payload[OIP_BEACON_BYTES];
};

/* What surrounds world.nodes[i].role. */
struct machine {
    unsigned index;
    KSPIN_LOCK lock; /* the role, and what world says of the node */
    PEX_TIMER timer;
    OIP_ROLE_ACTIONS actions;
    struct nt_thread *nic, *disk;
    /* Dispatcher lock. */
    struct frame queue[MAX_QUEUE];
    unsigned queued;
    uint64_t in_hand; /* when the frame that the nic has taken was sent; 0: none */
    uint64_t wanted;  /* by the disk; 0: nothing */
    uint64_t epoch;   /* incarnation of that wish */
};

/* What is left to do after the lock is released. */
struct job {
    uint64_t targets, sent;
    bool announce;
    UINT8 payload[OIP_BEACON_BYTES];
};

static struct world world;
static struct machine machines[MAX_NODES];
static volatile bool ending;
static bool quiet; /* no more loss */

static uint64_t clock_now(void)
{
    ULONG64 qpc;

    return KeQueryInterruptTimePrecise(&qpc);
}

/* Has a frame been on its way for so long that its receiver may be wrong, whoever was slow? (Not
 * while the receiver had no processor: that it notices.) */
static bool is_overdue(const struct machine *machine)
{
    uint64_t ran_from = world.nodes[machine->index].frozen_until;
    uint64_t since = world.now - world_interval() / 2;

    if (ran_from > since)
        return false;
    for (unsigned i = 0; i < machine->queued; i++)
        if (machine->queue[i].posted <= since)
            return true;
    return machine->in_hand != 0 && machine->in_hand <= since;
}

static void look(void)
{
    world.now = sched_interrupt_time();
    for (unsigned i = 0; i < world.count; i++)
        if (is_overdue(&machines[i]))
            world_excuse(&world);
    check_world(&world);
}

static void transmit(unsigned from, unsigned to, const UINT8 *payload)
{
    struct machine *target = &machines[to];
    struct frame *frame;

    sched_point();
    if (world.cut[from][to] || (!quiet && sched_choose(40) == 1)) {
        world_excuse(&world);
        world.calm = false;
        return;
    }
    sched_lock();
    if (target->queued < MAX_QUEUE) {
        frame = &target->queue[target->queued++];
        frame->posted = sched_interrupt_time();
        frame->due = frame->posted + MS / 10 + sched_choose(4) * MS;
        frame->from = from;
        memcpy(frame->payload, payload, sizeof frame->payload);
        sched_unpark(target->nic);
    } else {
        world_excuse(&world);
    }
    sched_unlock();
}

/* Under the lock, after a call of the role. */
static void collect(struct machine *machine, bool by_command, struct job *job)
{
    struct node *node = &world.nodes[machine->index];
    const OIP_ROLE_ACTIONS *actions = &machine->actions;

    world.now = sched_interrupt_time();
    for (unsigned i = 0; i < actions->EventCount; i++)
        world_log(&world, machine->index, "event %u: node %u, value %llu, epoch (%llu, %u)",
                  actions->Events[i].Kind, actions->Events[i].Node,
                  (unsigned long long)actions->Events[i].Value,
                  (unsigned long long)actions->Events[i].Epoch.Counter,
                  actions->Events[i].Epoch.NodeId);
    if (actions->RoleChanged)
        check_role(&world, machine->index, by_command);
    job->targets = actions->Targets;
    job->sent = actions->Sent;
    job->announce = actions->Announce;
    if (actions->Targets != 0)
        world_encode(&actions->Beacon, job->payload);
    if (actions->Reserve != 0) {
        sched_lock();
        machine->wanted = actions->Reserve;
        machine->epoch = node->incarnation;
        sched_unpark(machine->disk);
        sched_unlock();
    }
    look();
}

/* After the lock is released, at DISPATCH_LEVEL. */
static void carry_out(struct machine *machine, const struct job *job)
{
    struct node *node = &world.nodes[machine->index];
    uint32_t incarnation = node->incarnation;

    for (uint64_t targets = job->targets; targets != 0; targets &= targets - 1)
        transmit(machine->index, (unsigned)__builtin_ctzll(targets), job->payload);
    if (job->sent != 0) {
        KeAcquireSpinLockAtDpcLevel(&machine->lock);
        if (node->up && node->incarnation == incarnation)
            OipRoleSent(&node->role, clock_now(), job->sent);
        look();
        KeReleaseSpinLockFromDpcLevel(&machine->lock);
    }
    if (job->announce) {
        sched_point();
        world.now = sched_interrupt_time();
        if (world_acts(&world, machine->index))
            node->announced = world.now;
    }
}

static VOID NTAPI tick(PEX_TIMER timer, PVOID context)
{
    struct machine *machine = context;
    struct node *node = &world.nodes[machine->index];
    struct job job = {0};

    (void)timer;
    KeAcquireSpinLockAtDpcLevel(&machine->lock);
    if (node->started) {
        OipRoleTick(&node->role, clock_now(), &machine->actions);
        collect(machine, false, &job);
    }
    KeReleaseSpinLockFromDpcLevel(&machine->lock);
    carry_out(machine, &job);
}

static void receive(struct machine *machine, const struct frame *frame)
{
    struct node *node = &world.nodes[machine->index];
    struct job job = {0};
    OIP_BEACON beacon;

    nt_enter_dispatch(machine->index);
    KeAcquireSpinLockAtDpcLevel(&machine->lock);
    if (node->started) {
        uint64_t now = clock_now();

        world.now = now;
        world_judge_way(&world, machine->index, frame->posted, frame->due);
        if (!world_decode(frame->payload, &beacon))
            world_fail(&world, "C6: a beacon of node %u does not decode", frame->from + 1);
        else if (OipRoleBeacon(&node->role, now, &beacon, &machine->actions) &&
                 beacon.Kind == OipBeaconDispatcher)
            node->heard[frame->from] = beacon.Epoch;
        collect(machine, false, &job);
    }
    KeReleaseSpinLockFromDpcLevel(&machine->lock);
    carry_out(machine, &job);
    nt_leave_dispatch();
}

static void run_nic(void *context)
{
    struct machine *machine = context;

    sched_lock();
    while (!ending) {
        unsigned first = 0;
        struct frame frame;

        for (unsigned i = 1; i < machine->queued; i++)
            if (machine->queue[i].due < machine->queue[first].due)
                first = i;
        if (machine->queued == 0 || machine->queue[first].due > sched_interrupt_time()) {
            sched_park(machine->queued == 0 ? NEVER : machine->queue[first].due);
            continue;
        }
        frame = machine->queue[first];
        machine->queue[first] = machine->queue[--machine->queued];
        machine->in_hand = frame.posted;
        sched_unlock();
        receive(machine, &frame);
        sched_lock();
        machine->in_hand = 0;
    }
    sched_unlock();
}

static void run_disk(void *context)
{
    struct machine *machine = context;
    struct node *node = &world.nodes[machine->index];

    sched_lock();
    while (!ending) {
        uint64_t counter = machine->wanted, incarnation = machine->epoch;
        uint64_t until = sched_interrupt_time() + (2 + sched_choose(20)) * MS;
        struct job job = {0};

        if (counter == 0) {
            sched_park(NEVER);
            continue;
        }
        while (!ending && sched_interrupt_time() < until)
            sched_park(until);
        machine->wanted = 0;
        sched_unlock();

        nt_enter_dispatch(machine->index);
        KeAcquireSpinLockAtDpcLevel(&machine->lock);
        if (node->up && node->incarnation == incarnation) {
            node->durable = counter > node->durable ? counter : node->durable;
            OipRoleCounterDurable(&node->role, clock_now(), node->durable, &machine->actions);
            collect(machine, false, &job);
        }
        KeReleaseSpinLockFromDpcLevel(&machine->lock);
        carry_out(machine, &job);
        nt_leave_dispatch();
        sched_lock();
    }
    sched_unlock();
}

static void boot(struct machine *machine)
{
    struct node *node = &world.nodes[machine->index];
    ONEIP_CONFIG config;
    ONEIP_MEMBER members[MAX_NODES];
    LONGLONG period = (LONGLONG)world_interval();
    struct job job = {0};

    nt_enter_dispatch(machine->index);
    KeAcquireSpinLockAtDpcLevel(&machine->lock);
    node->up = true;
    node->started = true;
    node->incarnation++;
    node->stint.active = false;
    node->commanded = false;
    memset(node->heard, 0, sizeof node->heard);
    world_configuration(1, machine->index, &config, members);
    OipRoleInitialize(&node->role, node->incarnation, node->durable);
    OipRoleConfigure(&node->role, clock_now(), &config, members, 1, FALSE, &machine->actions);
    OipRoleStart(&node->role, clock_now(), &machine->actions);
    collect(machine, false, &job);
    ExSetTimer(machine->timer, -period - (LONGLONG)(machine->index * 2 * MS), period, NULL);
    KeReleaseSpinLockFromDpcLevel(&machine->lock);
    carry_out(machine, &job);
    nt_leave_dispatch();
}

static void crash(struct machine *machine)
{
    struct node *node = &world.nodes[machine->index];

    nt_enter_dispatch(machine->index);
    KeAcquireSpinLockAtDpcLevel(&machine->lock);
    world.now = sched_interrupt_time();
    world_log(&world, machine->index, "crashes");
    world.calm = false;
    node->up = false;
    node->started = false;
    node->stint.active = false;
    ExCancelTimer(machine->timer, NULL);
    KeReleaseSpinLockFromDpcLevel(&machine->lock);
    nt_leave_dispatch();
    sched_lock();
    machine->queued = 0;
    sched_unlock();
}

static void primary(struct machine *machine)
{
    struct node *node = &world.nodes[machine->index];
    struct job job = {0};

    nt_enter_dispatch(machine->index);
    KeAcquireSpinLockAtDpcLevel(&machine->lock);
    world.calm = false;
    if (node->up) {
        OIP_PRIMARY_RESULT result = OipRoleSetPrimary(&node->role, clock_now(), &machine->actions);

        node->commanded |= result == OipPrimaryPending || result == OipPrimaryNotDurable;
        collect(machine, true, &job);
    }
    KeReleaseSpinLockFromDpcLevel(&machine->lock);
    carry_out(machine, &job);
    nt_leave_dispatch();
}

/* Something of higher priority has the node's processor: no DPC, no frame. */
static void steal(struct machine *machine, uint64_t duration)
{
    struct node *node = &world.nodes[machine->index];
    uint64_t until;

    nt_enter_dispatch(machine->index);
    world.now = sched_interrupt_time();
    world.calm = false;
    until = world.now + duration;
    node->frozen_until = until;
    world_log(&world, machine->index, "loses its processor for %.2f ms", (double)duration / MS);
    while (clock_now() < until)
        ;
    look(); /* the data path may be the first to run again */
    nt_leave_dispatch();
}

static unsigned acting_node(void)
{
    world.now = sched_interrupt_time();
    for (unsigned i = 0; i < world.count; i++)
        if (world_acts(&world, i))
            return i;
    return sched_choose(world.count);
}

static void cluster_up(unsigned nodes)
{
    struct setup setup = {.nodes = nodes, .interval_ms = 10, .silence = 3};

    world_init(&world, &setup);
    world.event_count = 0; /* the scheduler's, not the world's own */
    world.now = sched_interrupt_time();
    memset(machines, 0, sizeof machines);
    ending = false;
    for (unsigned i = 0; i < nodes; i++) {
        struct machine *machine = &machines[i];

        world.nodes[i].clock_base = 0;
        machine->index = i;
        KeInitializeSpinLock(&machine->lock);
        machine->timer = ExAllocateTimer(tick, machine, EX_TIMER_HIGH_RESOLUTION);
        machine->nic = nt_spawn("nic", run_nic, machine);
        machine->disk = nt_spawn("disk", run_disk, machine);
    }
    for (unsigned i = 0; i < nodes; i++)
        boot(&machines[i]);
}

static void cluster_down(void)
{
    sched_lock();
    ending = true;
    for (unsigned i = 0; i < world.count; i++) {
        sched_unpark(machines[i].nic);
        sched_unpark(machines[i].disk);
    }
    sched_unlock();
    for (unsigned i = 0; i < world.count; i++) {
        ExDeleteTimer(machines[i].timer, TRUE, TRUE, NULL);
        nt_join(machines[i].nic);
        nt_join(machines[i].disk);
    }
}

static void run_intervals(unsigned intervals)
{
    for (unsigned i = 0; i < intervals && !world.failed; i++) {
        sched_run_for(world_interval());
        look();
    }
}

static void adversity(unsigned faults)
{
    for (unsigned i = 0; i < faults && !world.failed; i++) {
        struct machine *machine =
            &machines[sched_choose(2) == 0 ? acting_node() : sched_choose(world.count)];
        unsigned other = sched_choose(world.count);

        switch (sched_choose(5)) {
        case 0:
            if (world.nodes[machine->index].up)
                crash(machine);
            break;
        case 1:
            primary(machine);
            break;
        case 2:
            world.calm = false;
            world.cut[machine->index][other] = !world.cut[machine->index][other];
            break;
        default:
            steal(machine, (10 + sched_choose(50)) * MS);
            break;
        }
        run_intervals(sched_choose(12));
        for (unsigned n = 0; n < world.count; n++)
            if (!world.nodes[n].up && sched_choose(2) == 0)
                boot(&machines[n]);
    }
}

/* No more faults: agreement, and it stays. */
static void peace(void)
{
    const char *missing = NULL;
    unsigned settled;

    quiet = true;
    sched_set_time_slip(0);
    memset(world.cut, 0, sizeof world.cut);
    for (unsigned i = 0; i < world.count; i++)
        if (!world.nodes[i].up)
            boot(&machines[i]);
    run_intervals(60);
    if (!world.failed && (missing = check_converged(&world)) != NULL)
        world_fail(&world, "after the last fault: %s", missing);
    settled = world.takeovers;
    run_intervals(40);
    if (!world.failed && (world.takeovers != settled || (missing = check_converged(&world))))
        world_fail(&world, "C5: no peace after the last fault: %s",
                   missing != NULL ? missing : "a takeover");
}

static void host_up(uint64_t seed, unsigned nodes)
{
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = seed, .processors = nodes, .verifier = true};

    nt_start(&options);
}

bool threads_run(uint64_t seed, struct threads_stats *stats, char *why, unsigned why_bytes)
{
    unsigned nodes = 2 + (unsigned)(seed % 3);

    host_up(seed, nodes);
    quiet = seed % 4 != 0;
    cluster_up(nodes);
    /* Slow code at one point in 20 to 2,000: what is due next comes first. */
    sched_set_time_slip((unsigned[]){20, 100, 500, 2000}[seed / 4 % 4]);
    run_intervals(20);
    adversity(4 + (unsigned)(seed % 9));
    peace();
    stats->runs++;
    stats->takeovers += world.takeovers;
    stats->switches += sched_switches();
    cluster_down();
    nt_stop();
    if (world.failed)
        snprintf(why, why_bytes, "threads, seed %llu: %s", (unsigned long long)seed, world.why);
    return !world.failed;
}

/* The deviations: at switch point `at` (counted while armed) alternative `pick`, else 0. */
static struct {
    bool armed;
    unsigned count;
    uint64_t point;
    struct {
        uint64_t at;
        unsigned pick, alternatives; /* 0: the point was not reached */
    } list[2];
} deviation;

static unsigned deviate(void *context, unsigned n)
{
    uint64_t point;

    (void)context;
    if (!deviation.armed)
        return 0;
    point = deviation.point++;
    for (unsigned i = 0; i < deviation.count; i++) {
        if (deviation.list[i].at != point)
            continue;
        deviation.list[i].alternatives = n;
        return deviation.list[i].pick < n ? deviation.list[i].pick : 0;
    }
    return 0;
}

static void play(enum threads_scene scene, unsigned nodes, struct threads_stats *stats)
{
    unsigned first;

    host_up(1, nodes);
    quiet = true;
    deviation.armed = false;
    deviation.point = 0;
    for (unsigned i = 0; i < deviation.count; i++)
        deviation.list[i].alternatives = 0;
    sched_set_chooser(deviate, NULL);
    cluster_up(nodes);
    run_intervals(40);
    first = acting_node();
    deviation.armed = true;
    sched_set_time_slip(1);
    if (scene == SCENE_CRASH || scene == SCENE_RESTART)
        crash(&machines[first]);
    if (scene == SCENE_PRIMARY)
        primary(&machines[(first + 1) % nodes]);
    run_intervals(2);
    if (scene == SCENE_RESTART)
        boot(&machines[first]);
    run_intervals(scene == SCENE_CRASH || scene == SCENE_RESTART ? 5 : 2);
    deviation.armed = false;
    peace();
    sched_set_chooser(NULL, NULL);
    stats->runs++;
    stats->takeovers += world.takeovers;
    stats->switches += sched_switches();
    cluster_down();
    nt_stop();
}

/* Every place and alternative of deviation `index`, beyond those of the ones before it. */
static bool deviate_everywhere(enum threads_scene scene, unsigned nodes, unsigned index,
                               unsigned deviations, struct threads_stats *stats)
{
    uint64_t at = index == 0 ? 0 : deviation.list[index - 1].at + 1;

    for (;; at++) {
        unsigned pick = 1, alternatives;

        do {
            deviation.count = index + 1;
            deviation.list[index].at = at;
            deviation.list[index].pick = pick;
            play(scene, nodes, stats);
            if (world.failed)
                return false;
            alternatives = deviation.list[index].alternatives;
            if (alternatives > 1 && index + 1 < deviations &&
                !deviate_everywhere(scene, nodes, index + 1, deviations, stats))
                return false;
            pick++;
        } while (pick < alternatives);
        if (alternatives == 0)
            return true; /* there is no such point any more */
    }
}

bool threads_exhaust(enum threads_scene scene, unsigned nodes, unsigned deviations,
                     struct threads_stats *stats, char *why, unsigned why_bytes)
{
    if (deviate_everywhere(scene, nodes, 0, deviations, stats))
        return true;
    snprintf(why, why_bytes, "scene %d, %u nodes, alternative %u at switch point %llu: %s",
             (int)scene, nodes, deviation.list[deviation.count - 1].pick,
             (unsigned long long)deviation.list[deviation.count - 1].at, world.why);
    return false;
}
