/* Long random runs: see random.h. */
#include "random.h"

#include <stdio.h>
#include <string.h>

#include "check.h"
#include "world.h"

const char *const profile_names[PROFILES] = {"calm",      "crashes", "stalls",
                                             "partition", "links",   "hostile"};

enum fault {
    FAULT_NEXT,     /* a random one, and post the next */
    FAULT_END,      /* everything is repaired */
    FAULT_HEAL_CUT, /* the network is whole */
    FAULT_REPAIR,   /* + node << 8: its adapter works again */
    FAULT_UPDATE    /* + node << 8: it gets the newest configuration */
};

/* The environment of the run; constant while it runs but for `over`. */
static struct {
    uint64_t state;
    enum profile profile;
    struct setup setup;
    uint64_t delay_least, delay_spread;
    unsigned late_percent;
    uint64_t late_most;
    unsigned loss_permille, slow_permille;
    unsigned stall_per_100k, crash_per_100k; /* at each place where a node can be interrupted */
    uint64_t stall_most;
    uint64_t fault_pause; /* mean time between faults */
    unsigned flush_most_ms;
    bool over; /* no more faults */
    int deaf;  /* PROFILE_LINKS: the node that hears nobody; -1 none */
} env;

static struct world world;

static uint64_t next_random(void)
{
    uint64_t value = env.state += 0x9E3779B97F4A7C15ull;

    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ull;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBull;
    return value ^ (value >> 31);
}

static uint64_t below(uint64_t limit)
{
    return limit == 0 ? 0 : next_random() % limit;
}

static bool chance(unsigned in, unsigned of)
{
    return below(of) < in;
}

static uint64_t random_delay(struct world *w, unsigned from, unsigned to)
{
    (void)w, (void)from, (void)to;
    if (!env.over) {
        if (chance(env.loss_permille, 1000))
            return NEVER;
        if (chance(env.slow_permille, 1000))
            return below(20 * world_interval());
    }
    return env.delay_least + below(env.delay_spread);
}

static uint64_t random_lateness(struct world *w, unsigned node)
{
    (void)w, (void)node;
    return chance(env.late_percent, 100) ? below(env.late_most) : below(MS / 20);
}

static void random_interrupt(struct world *w, unsigned node, enum place place)
{
    /* Between the steps of an action list is where it matters, and they are quickly over. */
    unsigned weight = place < AT_SEND ? 1 : 4;

    if (env.over)
        return;
    if (chance(env.stall_per_100k * weight, 100000))
        world_freeze(w, node, below(env.stall_most), false);
    if (chance(env.crash_per_100k * weight, 100000))
        world_crash(w, node, below(30 * world_interval()));
}

static uint64_t random_flush(struct world *w, unsigned node)
{
    (void)w, (void)node;
    return below(env.flush_most_ms * MS);
}

static unsigned random_pick(struct world *w, unsigned n)
{
    (void)w;
    return (unsigned)below(n);
}

static unsigned dispatcher(const struct world *w)
{
    for (unsigned i = 0; i < w->count; i++)
        if (world_acts(w, i))
            return i;
    return (unsigned)below(w->count);
}

static void cut_in_two(struct world *w)
{
    uint64_t side = below(1u << w->count);

    w->calm = false;
    for (unsigned a = 0; a < w->count; a++)
        for (unsigned b = 0; b < w->count; b++)
            w->cut[a][b] = (side >> a & 1) != (side >> b & 1);
    world_log(w, 0, "cut in two: %02llx", (unsigned long long)side);
}

static void heal_cuts(struct world *w)
{
    memset(w->cut, 0, sizeof w->cut);
    world_log(w, 0, "the network is whole");
}

static void hostile_fault(struct world *w)
{
    unsigned node = chance(1, 2) ? dispatcher(w) : (unsigned)below(w->count);
    unsigned other = (unsigned)below(w->count);
    uint64_t later = w->now + below(40 * world_interval());

    switch (below(10)) {
    case 0:
        world_crash(w, node, below(60 * world_interval()));
        break;
    case 1:
        world_freeze(w, node, below(env.stall_most), chance(1, 2));
        break;
    case 2: /* one way */
        w->calm = false;
        w->cut[node][other] = true;
        world_log(w, node, "cannot reach node %u", other + 1);
        world_post_fault(w, later, FAULT_HEAL_CUT);
        break;
    case 3: /* deaf or mute */
        w->calm = false;
        for (unsigned i = 0; i < w->count; i++)
            *(other % 2 ? &w->cut[i][node] : &w->cut[node][i]) = true;
        world_log(w, node, other % 2 ? "is deaf" : "is mute");
        world_post_fault(w, later, FAULT_HEAL_CUT);
        break;
    case 4:
        cut_in_two(w);
        world_post_fault(w, later, FAULT_HEAL_CUT);
        break;
    case 5:
        if (!world_frozen(w, node))
            world_veto(w, node, chance(1, 2));
        break;
    case 6:
        if (!world_frozen(w, node))
            world_primary(w, node);
        break;
    case 7:
        if (!world_frozen(w, node))
            world_media(w, node, false);
        world_post_fault(w, later, FAULT_REPAIR | (uint64_t)node << 8);
        break;
    case 8:
        if (!world_frozen(w, node))
            world_pause(w, node, true, chance(1, 2));
        world_post_fault(w, later, FAULT_REPAIR | (uint64_t)node << 8);
        break;
    default:
        w->generation++;
        for (unsigned i = 0; i < w->count; i++)
            world_post_fault(w, w->now + below(10 * world_interval()),
                             FAULT_UPDATE | (uint64_t)i << 8);
        break;
    }
}

static void next_fault(struct world *w)
{
    switch (env.profile) {
    case PROFILE_CRASHES:
        world_crash(w, chance(2, 3) ? dispatcher(w) : (unsigned)below(w->count),
                    below(80 * world_interval()));
        break;
    case PROFILE_STALLS:
        world_freeze(w, chance(2, 3) ? dispatcher(w) : (unsigned)below(w->count),
                     below(env.stall_most), chance(1, 2));
        break;
    case PROFILE_PARTITION:
        cut_in_two(w);
        world_post_fault(w, w->now + (10 + below(60)) * world_interval(), FAULT_HEAL_CUT);
        break;
    case PROFILE_HOSTILE:
        hostile_fault(w);
        break;
    default: /* none: check_links has been */
        return;
    }
    world_post_fault(w, w->now + below(2 * env.fault_pause), FAULT_NEXT);
}

static void repair(struct world *w, unsigned node)
{
    if (!w->nodes[node].media)
        world_media(w, node, true);
    if (w->nodes[node].paused)
        world_pause(w, node, false, false);
}

static void random_fault(struct world *w, uint64_t value)
{
    unsigned node = (unsigned)(value >> 8);

    if (env.over && (value & 0xFF) != FAULT_UPDATE)
        return;
    switch (value & 0xFF) {
    case FAULT_NEXT:
        next_fault(w);
        break;
    case FAULT_HEAL_CUT:
        heal_cuts(w);
        break;
    case FAULT_REPAIR:
        repair(w, node);
        break;
    case FAULT_UPDATE:
        if (!world_frozen(w, node))
            world_configure(w, node);
        break;
    default:
        break;
    }
}

static const struct policy random_policy = {
    random_delay, random_lateness, random_interrupt, random_flush, random_pick, random_fault, NULL};

/* All that is broken is whole; who is frozen comes back by itself, who crashed boots by then. Some
 * stay dead, as long as somebody can dispatch. */
static void end_faults(struct world *w)
{
    unsigned dead = 0;

    env.over = true;
    heal_cuts(w);
    for (unsigned i = 0; i < w->count; i++) {
        repair(w, i);
        world_veto(w, i, false);
        world_configure(w, i);
    }
    if (env.profile == PROFILE_CRASHES || env.profile == PROFILE_HOSTILE)
        for (unsigned i = 0; i < w->count; i++)
            if (chance(1, 4) && dead + 1 < w->count && w->nodes[i].up) {
                world_crash(w, i, NEVER);
                dead++;
            }
    world_log(w, 0, "no more faults");
}

static void choose_environment(uint64_t seed, enum profile profile)
{
    static const unsigned intervals[] = {10, 10, 10, 1, 50};
    static const unsigned silences[] = {3, 3, 3, 2, 5, 10};
    uint64_t interval;
    bool rough = profile == PROFILE_HOSTILE;

    memset(&env, 0, sizeof env);
    env.state = seed * 0x2545F4914F6CDD1Dull + (uint64_t)profile;
    env.profile = profile;
    env.setup.nodes = 2 + (unsigned)below(MAX_NODES - 1);
    env.setup.interval_ms = intervals[below(sizeof intervals / sizeof *intervals)];
    env.setup.silence = silences[below(sizeof silences / sizeof *silences)];
    interval = env.setup.interval_ms * MS;
    for (unsigned i = 0; i < env.setup.nodes; i++) {
        env.setup.drift_ppm[i] = (int64_t)below(1001) - 500;
        env.setup.phase[i] = below(chance(1, 2) ? interval : 60 * interval);
    }
    /* Ways of less than half an interval, ticks late by less than S - 1 intervals: role.h's limits,
     * less what 500 ppm of drift and the timer's own resolution make of them. (With S = 2 later
     * ones are stalls, and a cluster of stalled nodes promotes nobody.) */
    env.delay_least = interval / 100;
    env.delay_spread = below(interval * 9 / 20);
    env.late_percent = (unsigned)below(4) * 15;
    env.late_most = below(
        (env.setup.silence > 2 ? interval * (env.setup.silence - 1) * 98 / 100 : interval / 5) -
        MS / 20);
    if (profile == PROFILE_LINKS && env.late_most > interval * 2 / 5)
        env.late_most = interval * 2 / 5; /* stalls put a judgement off, and it is to settle */
    env.flush_most_ms = rough ? 80 : 10;
    env.fault_pause = (rough ? 5 + below(60) : 80 + below(80)) * interval;
    env.stall_most = (uint64_t)(2 + below(20)) * interval;
    if (profile == PROFILE_STALLS) {
        env.stall_per_100k = (unsigned)below(400);
        env.fault_pause = (5 + below(60)) * interval;
    }
    if (rough) {
        env.loss_permille = (unsigned)below(4) * (unsigned)below(100);
        env.slow_permille = (unsigned)below(2) * (unsigned)below(100);
        env.stall_per_100k = (unsigned)below(2) * (unsigned)below(400);
        env.crash_per_100k = (unsigned)below(2) * (unsigned)below(60);
    }
}

/* How long after the last fault all must agree, in intervals. */
static uint64_t patience(void)
{
    unsigned silence = env.setup.silence, members = silence > 5 ? silence : 5;

    if (env.profile == PROFILE_PARTITION)
        return 7 + 3 * env.late_most / world_interval();
    /* The last stall, the startup of the last to boot, its counter on disk and its turn, the
     * silences of members and of a deaf dispatcher; lateness. */
    return env.stall_most / world_interval() + 60 + 4 * silence +
           env.flush_most_ms / env.setup.interval_ms + 2 * env.setup.nodes + 2 * members +
           3 * silence + 3 * env.late_most / world_interval();
}

/* Cuts one pair, or one node's ears or mouth. */
static void cut_links(struct world *w)
{
    unsigned node = chance(1, 2) ? dispatcher(w) : (unsigned)below(w->count);
    unsigned other = (node + 1 + (unsigned)below(w->count - 1)) % w->count;
    unsigned kind = (unsigned)below(5);

    w->calm = false;
    world_excuse(w);
    env.deaf = kind == 3 ? (int)node : -1;
    world_log(w, node, "%s node %u",
              (const char *[]){"does not reach", "does not hear", "is cut off from",
                               "is deaf, not to mention", "is mute, not to mention"}[kind],
              other + 1);
    for (unsigned i = 0; i < w->count; i++) {
        w->cut[node][i] = kind == 4 || (i == other && kind % 2 == 0);
        w->cut[i][node] = kind == 3 || (i == other && (kind == 1 || kind == 2));
    }
}

/*
 * With the links cut for good there is a new order soon, and it stays. Where others can still speak
 * for one that cannot be heard, one acts. A deaf one thinks that it does; another one must, too.
 */
static void check_links(void)
{
    uint64_t interval = world_interval();
    unsigned members = env.setup.silence > 5 ? env.setup.silence : 5;
    unsigned settled, acting = 0;

    cut_links(&world);
    world_run(&world, world.now + (3 * members + 2 * env.setup.silence + 2 * env.setup.nodes + 10 +
                                   6 * env.late_most / interval) *
                                      interval);
    settled = world.takeovers;
    world_run(&world, world.now + 300 * interval);
    if (world.failed)
        return;
    for (unsigned i = 0; i < world.count; i++)
        acting += world_acts(&world, i) && (int)i != env.deaf;
    if (world.takeovers != settled)
        world_fail(&world, "C5: takeovers go on while links are cut");
    else if (acting == 0)
        world_fail(&world, "nobody acts while links are cut");
    else if (acting > 1 && world.count > 2)
        world_fail(&world, "%u act while links are cut", acting);
}

/* How long is nobody acting after the crash of the one who did? */
static void measure_gaps(struct random_stats *stats, uint64_t *lost)
{
    unsigned up = 0;
    bool acting = false, frozen = false;

    for (unsigned i = 0; i < world.count; i++) {
        up += world.nodes[i].up && world.nodes[i].started;
        acting |= world_acts(&world, i);
        frozen |= world_frozen(&world, i);
    }
    if (acting) {
        if (*lost != 0 && *lost != NEVER) {
            uint64_t gap = world.now - *lost;
            uint64_t bin = gap / (10 * MS);

            stats->gaps++;
            stats->gap_sum += gap;
            stats->gap_worst = gap > stats->gap_worst ? gap : stats->gap_worst;
            stats->late_gaps[bin < 8 ? bin : 7]++;
        }
        *lost = 0;
    } else if (up == 0 || frozen) {
        *lost = NEVER;
    } else if (*lost == 0) {
        *lost = world.now;
    }
}

static uint64_t last_announcement(void)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < world.count; i++)
        if (world_acts(&world, i))
            last = world.nodes[i].announced;
    return last;
}

bool random_run(uint64_t seed, enum profile profile, struct random_stats *stats, char *why,
                unsigned why_bytes)
{
    uint64_t interval, end, deadline, lost = NEVER, agreed = 0, rival = 0;
    unsigned settled;
    const char *missing = NULL;

    choose_environment(seed, profile);
    interval = env.setup.interval_ms * MS;
    world_policy = &random_policy;
    world_init(&world, &env.setup);
    if (world_trace)
        printf("seed %llu, %s: %u nodes, beacons every %u ms, silence %u\n",
               (unsigned long long)seed, profile_names[profile], env.setup.nodes,
               env.setup.interval_ms, env.setup.silence);

    /* Cold start, then faults. */
    world_run(&world, world.now + (60 + 4 * env.setup.silence + 20) * interval);
    if (!world.failed && (missing = check_converged(&world)) != NULL &&
        profile != PROFILE_HOSTILE && profile != PROFILE_STALLS)
        world_fail(&world, "not settled after the start: %s", missing);
    if (profile == PROFILE_LINKS && !world.failed)
        check_links();
    world_post_fault(&world, world.now + below(env.fault_pause), FAULT_NEXT);
    end = world.now + (200 + below(300)) * interval;
    while (!world.failed && world_step(&world, end)) {
        stats->events++;
        if (profile == PROFILE_CRASHES && env.setup.interval_ms == 10 && env.setup.silence == 3)
            measure_gaps(stats, &lost);
    }

    end_faults(&world);
    deadline = world.now + patience() * interval;
    end = world.now;
    while (!world.failed && world_step(&world, deadline)) {
        stats->events++;
        if (world.acting > 1)
            rival = world.now;
        if (check_converged(&world) != NULL)
            agreed = 0;
        else if (agreed == 0)
            agreed = world.now;
    }
    if (!world.failed && (missing = check_converged(&world)) != NULL)
        world_fail(&world, "after the last fault: %s", missing);
    if (rival != 0 && !world.failed && last_announcement() <= rival)
        world_fail(&world, "C7: no announcement after another one has ceased to act");
    if (profile == PROFILE_PARTITION && env.setup.silence == 3 && rival > end &&
        (rival - end) / interval > stats->worst_heal)
        stats->worst_heal = (rival - end) / interval;
    if (agreed != 0 && (agreed - end) / interval > stats->worst_convergence[profile])
        stats->worst_convergence[profile] = (agreed - end) / interval;

    /* And it stays so. */
    settled = world.takeovers;
    world_run(&world, world.now + 100 * interval);
    if (!world.failed && world.takeovers != settled)
        world_fail(&world, "C5: a takeover without a cause after the last fault");
    if (!world.failed && (missing = check_converged(&world)) != NULL)
        world_fail(&world, "some time after the last fault: %s", missing);

    stats->runs++;
    stats->takeovers += world.takeovers;
    if (world.failed)
        snprintf(why, why_bytes, "seed %llu, %s: %s", (unsigned long long)seed,
                 profile_names[profile], world.why);
    return !world.failed;
}

enum profile random_profile(uint64_t seed)
{
    /* Hostile worlds have most to find. */
    static const enum profile mix[] = {
        PROFILE_HOSTILE,   PROFILE_STALLS, PROFILE_HOSTILE, PROFILE_CRASHES, PROFILE_HOSTILE,
        PROFILE_PARTITION, PROFILE_STALLS, PROFILE_CALM,    PROFILE_HOSTILE, PROFILE_LINKS};

    return mix[seed % (sizeof mix / sizeof *mix)];
}
