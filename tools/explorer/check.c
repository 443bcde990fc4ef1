/* What must hold: see check.h. */
#include "check.h"

#include <string.h>

static void begin_stint(struct world *world, unsigned node, bool by_command)
{
    struct node *n = &world->nodes[node];
    struct stint stint = {0};
    bool concurrent = false;

    stint.active = true;
    stint.by_command = by_command || n->commanded;
    n->commanded = false;
    stint.epoch = n->role.Epoch;
    stint.promoted = world->now;
    for (unsigned i = 0; i < world->count; i++) {
        const struct stint *other = &world->nodes[i].stint;

        if (i == node || !other->active)
            continue;
        if (OipEpochCompare(&n->heard[i], &other->epoch) == 0)
            stint.knew |= (uint8_t)(1u << i);
        else
            concurrent |= world->now - other->promoted <= (world_silence() + 1) * world_interval();
    }

    if (stint.epoch.NodeId != node + 1)
        world_fail(world, "C1: node %u promoted with an epoch of node %u", node + 1,
                   stint.epoch.NodeId);
    if (stint.epoch.Counter <= n->last_counter)
        world_fail(world, "C1: node %u promoted with counter %llu after %llu", node + 1,
                   (unsigned long long)stint.epoch.Counter, (unsigned long long)n->last_counter);
    if (stint.epoch.Counter > n->durable)
        world_fail(world, "C1: node %u promoted with counter %llu, %llu is durable", node + 1,
                   (unsigned long long)stint.epoch.Counter, (unsigned long long)n->durable);
    if (world->calm && world->takeovers > 0 && !concurrent)
        world_fail(world, "C5: node %u took over without a cause", node + 1);
    n->last_counter = stint.epoch.Counter;
    n->stint = stint;
    world->takeovers++;
}

void check_role(struct world *world, unsigned node, bool by_command)
{
    struct node *n = &world->nodes[node];
    bool dispatches = n->role.State == OneIpRoleDispatcher;

    if (dispatches && !(n->stint.active && OipEpochCompare(&n->stint.epoch, &n->role.Epoch) == 0))
        begin_stint(world, node, by_command);
    else if (!dispatches)
        n->stint.active = false;
}

/* C4 for two acting nodes. False: they are excused for now. */
static bool must_not_both_act(const struct world *world, unsigned a, unsigned b)
{
    const struct stint *sa = &world->nodes[a].stint, *sb = &world->nodes[b].stint;
    unsigned earlier = sa->promoted <= sb->promoted ? a : b;
    const struct stint *later = earlier == a ? sb : sa;

    return !later->by_command && (later->knew >> earlier & 1) != 0;
}

static void check_acting(struct world *world)
{
    bool overlap = false, excused = world->now < world->excused_until;

    world->acting = 0;
    for (unsigned a = 0; a < world->count; a++) {
        if (!world_acts(world, a))
            continue;
        world->acting++;
        for (unsigned b = a + 1; b < world->count; b++) {
            if (!world_acts(world, b))
                continue;
            if (OipEpochCompare(&world->nodes[a].role.Epoch, &world->nodes[b].role.Epoch) == 0)
                world_fail(world, "C2: nodes %u and %u act with one epoch", a + 1, b + 1);
            overlap = true;
            if (!excused && must_not_both_act(world, a, b))
                world_fail(world, "C4: nodes %u and %u act, and one had heard the other", a + 1,
                           b + 1);
        }
    }
    if (!overlap || excused) {
        world->overlap_since = 0;
    } else if (world->overlap_since == 0) {
        world->overlap_since = world->now;
    } else if (world->now - world->overlap_since > world_interval()) {
        world_fail(world, "C4: two candidates act together for more than an interval");
    }
}

static void check_node(struct world *world, unsigned node)
{
    struct node *n = &world->nodes[node];
    bool lease = n->started && OipRoleIsActing(&n->role, world_clock(world, node));

    if (n->role.State == OneIpRoleDispatcher && n->role.Vetoed)
        world_fail(world, "C3: vetoed node %u is dispatcher", node + 1);
    if (!n->started && (n->role.State != OneIpRoleNone || n->role.ActingUntil != 0))
        world_fail(world, "C3: stopped node %u is %u", node + 1, n->role.State);
    if (lease && n->role.State != OneIpRoleDispatcher)
        world_fail(world, "C2: node %u acts in state %u", node + 1, n->role.State);
    if (!n->stint.active)
        return;
    if (lease && n->stint.ceased)
        world_fail(world, "C2: node %u acts again with epoch counter %llu", node + 1,
                   (unsigned long long)n->stint.epoch.Counter);
    n->stint.acted |= lease;
    n->stint.ceased |= n->stint.acted && !lease;
}

void check_world(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        if (world->nodes[i].up)
            check_node(world, i);
    check_acting(world);
}

const char *check_converged(const struct world *world)
{
    const OIP_ROLE *leader = NULL;
    uint64_t running = 0;

    for (unsigned i = 0; i < world->count; i++) {
        if (world->nodes[i].up && world->nodes[i].started)
            running |= 1ull << i;
        if (!world_acts(world, i))
            continue;
        if (leader != NULL)
            return "two nodes act";
        leader = &world->nodes[i].role;
    }
    if (leader == NULL)
        return "nobody acts";
    if (leader->Alive != running)
        return "the dispatcher is wrong about who is alive";
    for (unsigned i = 0; i < world->count; i++) {
        const OIP_ROLE *role = &world->nodes[i].role;

        if (role == leader || !(running >> i & 1))
            continue;
        if (role->State != OneIpRoleBackup)
            return "a node is no backup";
        if (OipEpochCompare(&role->Epoch, &leader->Epoch) != 0 || role->Dispatcher != leader->Local)
            return "a backup follows another dispatcher";
        if (role->Liveness.Length != leader->Liveness.Length ||
            memcmp(role->Liveness.Log, leader->Liveness.Log, role->Liveness.Length) != 0 ||
            role->Alive != leader->Alive)
            return "a backup has another liveness log";
    }
    return NULL;
}
