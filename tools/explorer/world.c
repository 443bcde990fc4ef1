/* The cluster in a box: see world.h. */
#include "world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

const struct policy *world_policy;
bool world_trace;

static struct setup setup;
static const UINT8 cluster_id[16] = "explorer";
static const OIP_SIP_KEY beacon_key = {0x0706050403020100ull, 0x0F0E0D0C0B0A0908ull};

/* Of the call in progress; too large for a stack, and dead after it. */
static OIP_ROLE_ACTIONS actions;

uint64_t world_interval(void)
{
    return setup.interval_ms * MS;
}

unsigned world_silence(void)
{
    return setup.silence;
}

bool world_decode(const UINT8 *payload, OIP_BEACON *beacon)
{
    UINT32 sender;

    return OipBeaconDecode(payload, OIP_BEACON_BYTES, cluster_id, &beacon_key, beacon, &sender) ==
           OipBeaconOk;
}

void world_encode(const OIP_BEACON *beacon, UINT8 *payload)
{
    OipBeaconEncode(beacon, cluster_id, &beacon_key, payload);
}

bool world_frozen(const struct world *world, unsigned node)
{
    return world->nodes[node].frozen_until > world->now;
}

void world_excuse(struct world *world)
{
    world->excused_until = world->now + (2 * setup.silence + 6) * world_interval();
}

void world_judge_way(struct world *world, unsigned node, uint64_t sent, uint64_t arrived)
{
    const OIP_ROLE *role = &world->nodes[node].role;
    uint64_t late = world_interval() * 3 / 2;
    bool noticed = role->TickGap > late || world_clock(world, node) - role->LastTick > late;

    if (arrived - sent >= world_interval() / 2 ||
        (world->now - sent >= world_interval() / 2 && !noticed)) {
        world_excuse(world);
        world->calm = false;
    }
}

uint64_t world_clock(const struct world *world, unsigned node)
{
    const struct node *n = &world->nodes[node];

    return n->clock_base + world->now + (uint64_t)((int64_t)world->now * n->drift_ppm / 1000000);
}

bool world_acts(const struct world *world, unsigned node)
{
    const struct node *n = &world->nodes[node];

    return n->up && n->started && !world_frozen(world, node) &&
           OipRoleIsActing(&n->role, world_clock(world, node));
}

void world_log(const struct world *world, unsigned node, const char *format, ...)
{
    va_list arguments;

    if (!world_trace)
        return;
    printf("%10.4f ms  node %u  ", (double)(world->now % (3600000 * MS)) / MS,
           world->nodes[node].role.LocalNode);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list arguments;

    if (world->failed)
        return;
    world->failed = true;
    va_start(arguments, format);
    vsnprintf(world->why, sizeof world->why, format, arguments);
    va_end(arguments);
    if (world_trace)
        printf("%10.4f ms  VIOLATION %s\n", (double)(world->now % (3600000 * MS)) / MS, world->why);
}

static struct event *post(struct world *world, uint64_t at, enum event_kind kind, unsigned node)
{
    struct event *event;

    if (world->event_count == MAX_EVENTS) {
        fprintf(stderr, "explorer: more than %d events\n", MAX_EVENTS);
        abort();
    }
    event = &world->events[world->event_count++];
    memset(event, 0, sizeof *event);
    event->at = at;
    event->order = world->next_order++;
    event->kind = (uint8_t)kind;
    event->node = (uint8_t)node;
    event->incarnation = world->nodes[node].incarnation;
    return event;
}

void world_post_fault(struct world *world, uint64_t at, uint64_t value)
{
    post(world, at, EV_FAULT, 0)->value = value;
}

/* Real time that passes while the node's clock advances by `ticks`. */
static uint64_t by_clock(const struct node *node, uint64_t ticks)
{
    return (uint64_t)((int64_t)ticks * 1000000 / (1000000 + node->drift_ppm));
}

/* The next point of the timer's grid after now, and then as late as the policy likes. */
static void post_tick(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];
    uint64_t period = by_clock(n, world_interval());

    while (n->next_tick <= world->now)
        n->next_tick += period;
    post(world, n->next_tick + world_policy->lateness(world, node), EV_TICK, node);
    n->next_tick += period;
}

static const char *const state_names[] = {"None", "Listening", "Backup", "Dispatcher"};

/* Carries out what the last call wanted, but for its steps, which come as events of their own. */
static void perform(struct world *world, unsigned node, bool farewell, bool by_command)
{
    struct node *n = &world->nodes[node];

    if (actions.EventCount == OIP_ROLE_MAX_EVENTS)
        world_fail(world, "node %u: events may have been lost", node + 1);
    for (unsigned i = 0; i < actions.EventCount; i++) {
        const OIP_ROLE_EVENT *event = &actions.Events[i];

        if (event->Kind == OneIpEventRole)
            world_log(world, node, "is %s, epoch (%llu, %u)", state_names[event->Value],
                      (unsigned long long)event->Epoch.Counter, event->Epoch.NodeId);
        else
            world_log(world, node, "event %u: node %u, value %llu", event->Kind, event->Node,
                      (unsigned long long)event->Value);
    }
    if (actions.RoleChanged)
        check_role(world, node, by_command);
    if (actions.Reserve != 0 && !n->flushing) {
        n->flushing = true;
        post(world, world->now + world_policy->flush(world, node), EV_DURABLE, node)->value =
            actions.Reserve;
    }
    if (actions.Targets != 0 || actions.Sent != 0 || actions.Announce) {
        struct event *step = post(world, world->now, EV_STEP, node);

        step->targets = actions.Targets;
        step->value = actions.Sent;
        step->announce = actions.Announce;
        step->farewell = farewell;
        if (actions.Targets != 0)
            world_encode(&actions.Beacon, step->payload);
    }
}

static void update_started(struct world *world, unsigned node, bool orderly)
{
    struct node *n = &world->nodes[node];
    bool started = n->up && n->media && !n->paused;

    if (!n->up || started == n->started)
        return;
    n->started = started;
    if (started) {
        OipRoleStart(&n->role, world_clock(world, node), &actions);
        n->next_tick = world->now + by_clock(n, world_interval());
        post_tick(world, node);
    } else {
        OipRoleStop(&n->role, world_clock(world, node), orderly, &actions);
    }
    perform(world, node, orderly, false);
}

void world_configuration(uint64_t generation, unsigned node, ONEIP_CONFIG *config,
                         ONEIP_MEMBER *members)
{
    memset(config, 0, sizeof *config);
    memset(members, 0, setup.nodes * sizeof *members);
    config->Generation = generation;
    config->LocalNode = node + 1;
    config->BeaconMilliseconds = setup.interval_ms;
    config->SilenceBeacons = setup.silence;
    config->AnnounceSeconds = 60;
    config->MemberCount = setup.nodes;
    for (unsigned i = 0; i < setup.nodes; i++) {
        members[i].NodeId = i + 1;
        members[i].Rank = (uint32_t)((i + generation - 1) % setup.nodes);
        members[i].Weight = (uint32_t)(1 + (i * generation) % 3);
    }
}

void world_configure(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];
    ONEIP_CONFIG config;
    ONEIP_MEMBER members[MAX_NODES];

    n->generation = world->generation;
    if (!n->up)
        return;
    world_configuration(n->generation, node, &config, members);
    OipRoleConfigure(&n->role, world_clock(world, node), &config, members, n->generation * 17,
                     FALSE, &actions);
    perform(world, node, false, false);
}

/* Power on: nothing but the disk is known. */
static void boot(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];

    n->up = true;
    n->started = false;
    n->flushing = false;
    n->frozen_until = 0;
    n->incarnation++;
    n->stint.active = false;
    n->commanded = false;
    memset(n->heard, 0, sizeof n->heard);
    OipRoleInitialize(&n->role, n->incarnation, n->durable);
    world_configure(world, node);
    OipRoleSetVeto(&n->role, world_clock(world, node), n->wants_veto, &actions);
    perform(world, node, false, false);
    world_log(world, node, "boots, counter %llu on disk", (unsigned long long)n->durable);
    update_started(world, node, false);
}

void world_init(struct world *world, const struct setup *chosen)
{
    setup = *chosen;
    memset(world, 0, sizeof *world);
    world->count = setup.nodes;
    world->now = 36000 * 1000 * MS;
    world->generation = 1;
    world->calm = true;
    for (unsigned i = 0; i < setup.nodes; i++) {
        struct node *n = &world->nodes[i];

        n->media = true;
        n->generation = 1;
        n->clock_base = i * 7777777ull * MS;
        n->drift_ppm = setup.drift_ppm[i];
        n->role.LocalNode = i + 1;
        post(world, world->now + setup.phase[i], EV_BOOT, i);
    }
}

/* A clock that runs slow sees less of a freeze. */
static uint64_t stall_limit(void)
{
    unsigned silence = setup.silence;

    return (silence > 2 ? world_interval() * (silence - 1) : world_interval() * 5 / 4) * 101 / 100;
}

void world_freeze(struct world *world, unsigned node, uint64_t duration, bool overflow)
{
    struct node *n = &world->nodes[node];

    if (!n->up || world_frozen(world, node) || duration == 0)
        return;
    world->calm = false;
    if (overflow && duration <= stall_limit())
        world_excuse(world);
    n->frozen_until = world->now + duration;
    n->overflows = overflow;
    world_log(world, node, "freezes for %.2f ms%s", (double)duration / MS,
              overflow ? ", hearing nothing" : "");
    post(world, n->frozen_until, EV_THAW, node);
}

void world_crash(struct world *world, unsigned node, uint64_t downtime)
{
    struct node *n = &world->nodes[node];

    if (!n->up)
        return;
    world->calm = false;
    world_log(world, node, "crashes");
    n->up = false;
    n->started = false;
    n->stint.active = false;
    n->frozen_until = 0;
    if (downtime != NEVER)
        post(world, world->now + downtime, EV_BOOT, node);
}

void world_media(struct world *world, unsigned node, bool connected)
{
    world->calm = false;
    world_excuse(world); /* its frames are lost */
    world_log(world, node, "media %s", connected ? "connects" : "disconnects");
    world->nodes[node].media = connected;
    update_started(world, node, false);
}

void world_pause(struct world *world, unsigned node, bool paused, bool orderly)
{
    world->calm = false;
    world_log(world, node, "%s%s", paused ? "pauses" : "restarts", orderly ? ", orderly" : "");
    world->nodes[node].paused = paused;
    update_started(world, node, orderly);
}

void world_veto(struct world *world, unsigned node, bool veto)
{
    struct node *n = &world->nodes[node];

    world->calm = false;
    n->wants_veto = veto;
    if (!n->up)
        return;
    world_log(world, node, veto ? "is vetoed" : "is allowed again");
    OipRoleSetVeto(&n->role, world_clock(world, node), veto, &actions);
    perform(world, node, false, false);
}

OIP_PRIMARY_RESULT world_primary(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];
    OIP_PRIMARY_RESULT result;

    if (!n->up)
        return OipPrimaryStopped;
    world->calm = false;
    world_log(world, node, "SET_PRIMARY");
    result = OipRoleSetPrimary(&n->role, world_clock(world, node), &actions);
    n->commanded |= result == OipPrimaryPending || result == OipPrimaryNotDurable;
    perform(world, node, false, true);
    return result;
}

static void transmit(struct world *world, const struct event *step, unsigned to)
{
    unsigned from = step->node;
    uint64_t delay = world_policy->delay(world, from, to);
    struct event *frame;

    if (world->cut[from][to] || delay == NEVER) {
        world_excuse(world);
        world->calm = false;
        return;
    }
    if (delay >= world_interval() / 2) {
        world_excuse(world);
        world->calm = false;
    }
    frame = post(world, world->now + delay, EV_FRAME, to);
    frame->from = (uint8_t)from;
    frame->posted = world->now;
    frame->incarnation = 0;
    memcpy(frame->payload, step->payload, sizeof frame->payload);
}

/* The next step of an action list; the rest is posted again. */
static void take_step(struct world *world, const struct event *taken)
{
    struct event step = *taken;
    struct node *n = &world->nodes[step.node];
    enum place place = step.targets != 0 ? AT_SEND : step.value != 0 ? AT_CONFIRM : AT_ANNOUNCE;
    struct event *rest;

    world_policy->interrupt(world, step.node, place);
    if (!n->up)
        return;
    if (world_frozen(world, step.node)) {
        *post(world, world->now, EV_STEP, step.node) = step;
        return;
    }
    if (!n->started && !step.farewell)
        return;

    if (step.targets != 0) {
        unsigned to = (unsigned)__builtin_ctzll(step.targets);

        step.targets &= step.targets - 1;
        transmit(world, &step, to);
    } else if (step.value != 0) {
        OipRoleSent(&n->role, world_clock(world, step.node), step.value);
        step.value = 0;
    } else if (step.announce) {
        step.announce = false;
        if (world_acts(world, step.node)) {
            n->announced = world->now;
            world_log(world, step.node, "announces");
        }
    }
    if (step.targets != 0 || step.value != 0 || step.announce) {
        rest = post(world, world->now, EV_STEP, step.node);
        step.order = rest->order;
        *rest = step;
    }
}

static void receive(struct world *world, const struct event *frame)
{
    struct node *n = &world->nodes[frame->node];
    OIP_BEACON beacon;
    BOOLEAN accepted;

    if (!n->started)
        return;
    world_judge_way(world, frame->node, frame->posted, frame->at);
    if (!world_decode(frame->payload, &beacon)) {
        world_fail(world, "C6: a beacon of node %u does not decode", frame->from + 1);
        return;
    }
    accepted = OipRoleBeacon(&n->role, world_clock(world, frame->node), &beacon, &actions);
    if (accepted && beacon.Kind == OipBeaconDispatcher)
        n->heard[frame->from] = beacon.Epoch;
    perform(world, frame->node, false, false);
}

static void tick(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];

    if (!n->started)
        return;
    OipRoleTick(&n->role, world_clock(world, node), &actions);
    perform(world, node, false, false);
    post_tick(world, node);
}

static void durable(struct world *world, unsigned node, uint64_t counter)
{
    struct node *n = &world->nodes[node];

    n->flushing = false;
    n->durable = counter > n->durable ? counter : n->durable;
    OipRoleCounterDurable(&n->role, world_clock(world, node), n->durable, &actions);
    perform(world, node, false, false);
}

static void handle(struct world *world, const struct event *event)
{
    struct node *n = &world->nodes[event->node];

    if (event->kind == EV_FAULT) {
        world_policy->fault(world, event->value);
        return;
    }
    if (event->kind == EV_BOOT) {
        if (!n->up)
            boot(world, event->node);
        return;
    }
    /* A dead machine's events die with it; a frame on its way finds whoever is there. */
    if (!n->up || (event->incarnation != 0 && event->incarnation != n->incarnation))
        return;
    if (event->kind == EV_STEP) {
        take_step(world, event);
        return;
    }
    if (event->kind == EV_THAW) {
        world_log(world, event->node, "runs again");
        return;
    }
    world_policy->interrupt(world, event->node,
                            event->kind == EV_TICK    ? AT_TICK
                            : event->kind == EV_FRAME ? AT_RECEIVE
                                                      : AT_DISK);
    if (!n->up)
        return;
    if (event->kind == EV_FRAME && event->incarnation != 0 && n->overflows &&
        !world_frozen(world, event->node))
        return;
    if (world_frozen(world, event->node)) {
        struct event *held = post(world, world->now, (enum event_kind)event->kind, event->node);
        uint32_t order = held->order;

        *held = *event;
        held->order = order;
        held->incarnation = n->incarnation; /* it is in this machine's queue now */
        return;
    }
    switch (event->kind) {
    case EV_TICK:
        tick(world, event->node);
        break;
    case EV_FRAME:
        receive(world, event);
        break;
    default:
        durable(world, event->node, event->value);
        break;
    }
}

static bool waits(const struct world *world, const struct event *event)
{
    return event->kind != EV_FAULT && event->kind != EV_BOOT && event->kind != EV_THAW &&
           world->nodes[event->node].up && world_frozen(world, event->node);
}

/* When an event can be handled. */
static uint64_t due(const struct world *world, const struct event *event)
{
    uint64_t at = event->at > world->now ? event->at : world->now;

    if (waits(world, event) && world->nodes[event->node].frozen_until > at)
        at = world->nodes[event->node].frozen_until;
    return at;
}

/*
 * The next event. What waited on a frozen node is due when it runs again, all at the same time:
 * there the policy picks, but frames among themselves stay in order, and so do steps of one list.
 */
static int next_event(struct world *world, uint64_t until)
{
    int best = -1, late[MAX_EVENTS];
    unsigned late_count = 0;

    for (unsigned i = 0; i < world->event_count; i++) {
        uint64_t at = due(world, &world->events[i]);
        uint64_t best_at = best < 0 ? until : due(world, &world->events[best]);

        if (at < best_at || (at == best_at && best < 0) ||
            (at == best_at && world->events[i].order < world->events[best].order))
            best = (int)i;
    }
    if (best < 0)
        return -1;
    world->now = due(world, &world->events[best]);

    /* The candidates: overdue, of one node, and of each kind the first. */
    for (unsigned i = 0; i < world->event_count; i++) {
        const struct event *event = &world->events[i];
        bool first = true;

        if (event->kind == EV_FAULT || event->kind == EV_BOOT || event->at >= world->now ||
            waits(world, event) || event->node != world->events[best].node)
            continue;
        for (unsigned j = 0; j < world->event_count && first; j++) {
            const struct event *other = &world->events[j];

            first = other->node != event->node || other->kind != event->kind ||
                    other->at >= world->now || other->order >= event->order;
        }
        if (first)
            late[late_count++] = (int)i;
    }
    return late_count > 1 ? late[world_policy->pick(world, late_count)] : best;
}

bool world_step(struct world *world, uint64_t until)
{
    int index = next_event(world, until);
    struct event event;

    if (index < 0) {
        world->now = until;
        check_world(world);
        return false;
    }
    event = world->events[index];
    world->events[index] = world->events[--world->event_count];
    handle(world, &event);
    check_world(world);
    return true;
}

void world_run(struct world *world, uint64_t until)
{
    while (!world->failed && world_step(world, until))
        ;
}
