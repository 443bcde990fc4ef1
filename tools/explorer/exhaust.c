/* All short schedules: see exhaust.h. */
#include "exhaust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "canon.h"
#include "check.h"
#include "world.h"

enum { MAX_DEPTH = 4096, MAX_CHOICES = 24 };

/* The choices within one step, in the order in which they come up. */
struct path {
    unsigned count, position;
    uint8_t picked[MAX_CHOICES], of[MAX_CHOICES];
};

/* Visited states: open addressing. Value: how much of the future was explored from there. */
struct table {
    struct entry {
        struct canon key;
        uint64_t value;
    } *entries;
    uint64_t size, used;
};

enum fault { FAULT_HEAR = 1, FAULT_SPEAK, FAULT_ALLOW };

static struct {
    struct exhaust_options options;
    struct exhaust_stats *stats;
    struct path *path; /* of the step in progress; NULL: choose nothing */
    struct path schedule[MAX_DEPTH];
    struct world *worlds[MAX_DEPTH];
    unsigned depth;
    struct table visited, finished;
    uint64_t start, end;
    struct timespec began;
    bool stopped;
} search;

static unsigned choose(unsigned n)
{
    struct path *path = search.path;
    unsigned position;

    if (path == NULL || n < 2)
        return 0;
    position = path->position++;
    if (position == path->count) {
        if (path->count == MAX_CHOICES) {
            fprintf(stderr, "explorer: more than %d choices in a step\n", MAX_CHOICES);
            abort();
        }
        path->picked[position] = 0;
        path->of[position] = (uint8_t)n;
        path->count++;
    }
    return path->picked[position];
}

/* The next sequence of choices, in lexicographic order; false: there is none. */
static bool advance(struct path *path)
{
    while (path->count > 0) {
        unsigned last = path->count - 1;

        if (path->picked[last] + 1u < path->of[last]) {
            path->picked[last]++;
            path->position = 0;
            return true;
        }
        path->count--;
    }
    return false;
}

static uint64_t tenths(unsigned n)
{
    return n * world_interval() / 10;
}

static bool may_fail(const struct world *world)
{
    return search.path != NULL && world->budget > 0 && world->now < search.end;
}

static uint64_t choose_delay(struct world *world, unsigned from, unsigned to)
{
    (void)from, (void)to;
    if (!may_fail(world))
        return tenths(1);
    switch (choose(3)) {
    case 1:
        world->budget--;
        return NEVER;
    case 2:
        world->budget--;
        return tenths(33);
    default:
        return tenths(1);
    }
}

static uint64_t no_lateness(struct world *world, unsigned node)
{
    (void)world, (void)node;
    return 0;
}

static uint64_t short_flush(struct world *world, unsigned node)
{
    (void)world, (void)node;
    return tenths(4);
}

static unsigned choose_order(struct world *world, unsigned n)
{
    (void)world;
    return choose(n);
}

/* Just beyond the limits of a late tick, of a stall, of the lease, of silence; and long. */
static const unsigned freezes[] = {17, 23, 32, 38, 80};
static const unsigned downtimes[] = {13, 90};

enum { FREEZES = sizeof freezes / sizeof *freezes, CRASHES = sizeof downtimes / sizeof *downtimes };

static void choose_interrupt(struct world *world, unsigned node, enum place place)
{
    unsigned pick;

    if (!may_fail(world) || place == AT_ANNOUNCE || place == AT_DISK ||
        (place == AT_RECEIVE && !search.options.deep))
        return;
    pick = choose(1 + FREEZES + CRASHES + (place == AT_TICK ? 4 : 0));
    if (pick == 0)
        return;
    world->budget--;
    pick--;
    if (pick < FREEZES) {
        world_freeze(world, node, tenths(freezes[pick]), freezes[pick] > 20 && choose(2) == 1);
        return;
    }
    pick -= FREEZES;
    if (pick < CRASHES) {
        world_crash(world, node, tenths(downtimes[pick]));
        return;
    }
    switch (pick - CRASHES) {
    case 0:
    case 1:
        world->calm = false;
        for (unsigned i = 0; i < world->count; i++)
            *(pick == CRASHES ? &world->cut[i][node] : &world->cut[node][i]) = true;
        world_log(world, node, pick == CRASHES ? "is deaf" : "is mute");
        world_post_fault(world, world->now + tenths(70), FAULT_HEAR | (uint64_t)node << 8);
        break;
    case 2:
        world_primary(world, node);
        break;
    default:
        world_veto(world, node, true);
        world_post_fault(world, world->now + tenths(55), FAULT_ALLOW | (uint64_t)node << 8);
        break;
    }
}

static void end_fault(struct world *world, uint64_t value)
{
    unsigned node = (unsigned)(value >> 8);

    if ((value & 0xFF) == FAULT_ALLOW) {
        world_veto(world, node, false);
        return;
    }
    for (unsigned i = 0; i < world->count; i++)
        world->cut[i][node] = world->cut[node][i] = false;
    world_log(world, node, "hears and is heard again");
}

static const struct policy exhaustive_policy = {
    choose_delay, no_lateness, choose_interrupt, short_flush, choose_order, end_fault, NULL};

/* Where the key is or belongs. */
static struct entry *find(struct table *table, struct canon key)
{
    uint64_t slot = key.low & (table->size - 1);

    while ((table->entries[slot].key.low | table->entries[slot].key.high) != 0 &&
           (table->entries[slot].key.low != key.low || table->entries[slot].key.high != key.high))
        slot = (slot + 1) & (table->size - 1);
    return &table->entries[slot];
}

static void *need_memory(void *memory)
{
    if (memory == NULL) {
        fprintf(stderr, "explorer: out of memory\n");
        abort();
    }
    return memory;
}

static void grow(struct table *table)
{
    struct table old = *table;

    table->size = old.size == 0 ? 1u << 16 : old.size * 2;
    table->entries = need_memory(calloc(table->size, sizeof *table->entries));
    for (uint64_t i = 0; i < old.size; i++)
        if ((old.entries[i].key.low | old.entries[i].key.high) != 0)
            *find(table, old.entries[i].key) = old.entries[i];
    free(old.entries);
}

/* Was this state visited with at least as much to come? Else it is noted. */
static bool is_known(struct table *table, struct canon key, uint64_t value)
{
    struct entry *entry;

    if (table->used * 2 >= table->size)
        grow(table);
    entry = find(table, key);
    if ((entry->key.low | entry->key.high) == 0) {
        entry->key = key;
        entry->value = value;
        table->used++;
        search.stats->states++;
        return false;
    }
    if (entry->value >= value)
        return true;
    entry->value = value;
    return false;
}

/* What is in use of a world. */
static void copy_world(struct world *to, const struct world *from)
{
    memcpy(to, from, offsetof(struct world, nodes) + from->count * sizeof from->nodes[0]);
    memcpy(&to->cut, &from->cut,
           offsetof(struct world, events) - offsetof(struct world, cut) +
               from->event_count * sizeof from->events[0]);
}

/* From the last fault until all must agree: the longest freeze, downtime or deafness, startup, the
 * silences of members and of a deaf dispatcher. */
enum { PATIENCE = 75, STABLE = 40 };

/* No more faults: all must agree in time, and stay so. */
static void finish(struct world *world)
{
    struct path *path = search.path;
    const char *missing = NULL;
    unsigned settled = 0;

    search.path = NULL;
    search.stats->schedules++;
    for (unsigned i = 0; i < PATIENCE + STABLE && !world->failed; i++) {
        if (i == PATIENCE) {
            settled = world->takeovers;
            if ((missing = check_converged(world)) != NULL)
                world_fail(world, "after the last fault: %s", missing);
        }
        if (i % 4 == 0 && i < PATIENCE &&
            is_known(&search.finished, canon_hash(world), PATIENCE - i))
            break;
        for (uint64_t until = world->now + world_interval(); !world->failed;) {
            search.stats->steps++;
            if (!world_step(world, until))
                break;
        }
        if (i == PATIENCE + STABLE - 1 && !world->failed &&
            ((missing = check_converged(world)) != NULL || world->takeovers != settled))
            world_fail(world, "C5: no peace after the last fault: %s",
                       missing != NULL ? missing : "a takeover");
    }
    search.path = path;
}

static bool over_limit(void)
{
    struct timespec now;

    if (search.options.limit != 0 && search.stats->schedules >= search.options.limit)
        return true;
    if (search.options.seconds == 0 || search.stats->schedules % 64 != 0)
        return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - search.began.tv_sec) +
               (double)(now.tv_nsec - search.began.tv_nsec) / 1e9 >=
           search.options.seconds;
}

/* All that can follow. False: a violation, in worlds[depth], by schedule[0 .. depth]. */
static bool explore(const struct world *from, unsigned depth)
{
    struct world *world;

    if (depth == MAX_DEPTH) {
        fprintf(stderr, "explorer: more than %d steps\n", MAX_DEPTH);
        abort();
    }
    if (search.worlds[depth] == NULL)
        search.worlds[depth] = need_memory(malloc(sizeof(struct world)));
    world = search.worlds[depth];
    search.schedule[depth].count = 0;
    do {
        struct path *path = &search.schedule[depth];
        bool more;

        copy_world(world, from);
        path->position = 0;
        search.path = path;
        search.depth = depth;
        search.stats->steps++;
        more = world_step(world, search.end);
        if (!world->failed && (!more || world->budget == 0))
            finish(world);
        else if (!world->failed &&
                 !is_known(&search.visited, canon_hash(world),
                           (uint64_t)world->budget << 48 | (search.end - world->now)) &&
                 !explore(world, depth + 1))
            return false;
        if (world->failed)
            return false;
        if (over_limit()) {
            search.stopped = true;
            return true;
        }
    } while (advance(&search.schedule[depth]));
    return true;
}

static void start_world(struct world *world)
{
    struct setup setup = {.nodes = search.options.nodes, .interval_ms = 10, .silence = 3};

    for (unsigned i = 0; i < setup.nodes; i++)
        setup.phase[i] = tenths(0) + i * 37 * MS / 10;
    world_policy = &exhaustive_policy;
    search.path = NULL;
    world_init(world, &setup);
    if (!search.options.cold)
        world_run(world, world->now + 300 * world_interval());
    world->budget = search.options.budget;
    search.start = world->now;
    search.end = world->now + search.options.horizon * world_interval();
    world->horizon = search.end;
}

/* The schedule that failed once more, with everything said. */
static void show_failure(struct world *world)
{
    unsigned depth = search.depth;

    start_world(world);
    world_trace = true;
    for (unsigned i = 0; i <= depth && !world->failed; i++) {
        search.schedule[i].position = 0;
        search.path = &search.schedule[i];
        world_step(world, search.end);
    }
    if (!world->failed) {
        search.finished.used = 0;
        memset(search.finished.entries, 0, search.finished.size * sizeof *search.finished.entries);
        finish(world);
    }
    world_trace = false;
}

static void release(void)
{
    for (unsigned i = 0; i < MAX_DEPTH; i++) {
        free(search.worlds[i]);
        search.worlds[i] = NULL;
    }
    free(search.visited.entries);
    free(search.finished.entries);
    memset(&search.visited, 0, sizeof search.visited);
    memset(&search.finished, 0, sizeof search.finished);
}

bool exhaust_run(const struct exhaust_options *options, struct exhaust_stats *stats, bool show,
                 char *why, unsigned why_bytes)
{
    static struct world first;
    bool passed;

    memset(stats, 0, sizeof *stats);
    search.options = *options;
    search.stats = stats;
    search.stopped = false;
    clock_gettime(CLOCK_MONOTONIC, &search.began);
    grow(&search.visited);
    grow(&search.finished);

    start_world(&first);
    passed = !first.failed && explore(&first, 0);
    stats->complete = passed && !search.stopped;
    if (!passed) {
        snprintf(why, why_bytes, "%u nodes, %s, %u faults in %u intervals: %s", options->nodes,
                 options->cold ? "cold start" : "settled", options->budget, options->horizon,
                 first.failed ? first.why : search.worlds[search.depth]->why);
        if (show && !first.failed)
            show_failure(&first);
    }
    release();
    return passed;
}
