/*
 * The dispatch table's invariants T1 to T5 (table.h) over random histories of joins, leaves,
 * changes of weight, deaths and returns, against oracles that know nothing of how the table works.
 * A failure names its seed: run again with --seed.
 */
#include "tap.h"

#include <ntddk.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "table.h"

#define SLOTS ONEIP_TABLE_SLOTS
#define MAX   ONEIP_MAX_MEMBERS

static uint64_t random_state;

static uint64_t next_random(void)
{
    uint64_t value = random_state += 0x9E3779B97F4A7C15ULL;

    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9ULL;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBULL;
    return value ^ (value >> 31);
}

static unsigned below(unsigned limit)
{
    return (unsigned)(next_random() % limit);
}

/* A cluster's tables, and a second scratch area so that leftovers in one would show. */
struct cluster {
    ONEIP_MEMBER members[MAX];
    unsigned count;
    uint32_t next_node;
    UINT8 base[SLOTS];
    UINT8 effective[SLOTS];
    OIP_LIVENESS log;
};

static struct cluster cluster;
static OIP_TABLE_SCRATCH scratch, other_scratch;
static UINT8 old_base[SLOTS], old_effective[SLOTS], other[SLOTS];

static void add_member(struct cluster *c, uint32_t node, uint32_t weight)
{
    ONEIP_MEMBER *member = &c->members[c->count++];

    memset(member, 0, sizeof *member);
    member->NodeId = node;
    member->Rank = node;
    member->Weight = weight;
}

static uint64_t weight_of(const struct cluster *c, uint64_t among)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < c->count; i++)
        if (among >> i & 1)
            sum += c->members[i].Weight;
    return sum;
}

static uint64_t alive(const struct cluster *c)
{
    return OipLivenessAlive(&c->log, c->count);
}

static void refresh(struct cluster *c)
{
    OipTableEffective(c->base, c->members, c->count, &c->log, c->effective, &scratch);
}

static void start_cluster(struct cluster *c, unsigned members, bool equal)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < members; i++)
        add_member(c, i + 1, equal ? 1 : 1 + below(20));
    c->next_node = members + 1;
    OipTableMove(NULL, NULL, c->members, c->count, c->base, &scratch);
    refresh(c);
}

/* T1: floor or ceiling of the exact share, and nothing without weight. */
static bool shares_exact(const struct cluster *c)
{
    uint32_t slots[MAX + 1];
    uint64_t weights = weight_of(c, ~0ULL);
    bool held = true;

    OipTableCount(c->base, slots);
    held &= ok(slots[MAX] == 0, "%u slots have nobody", slots[MAX]);
    for (unsigned i = 0; i < c->count; i++) {
        uint64_t product = (uint64_t)SLOTS * c->members[i].Weight;

        held &= ok(slots[i] == product / weights || slots[i] == (product + weights - 1) / weights,
                   "member %u of %u has %u slots, share %.2f", i, c->count, slots[i],
                   (double)product / (double)weights);
    }
    return held;
}

/* The least number of moves with which T1 can hold: fill everybody to the floor of its share; the
 * slots that are left cost a move each but where somebody has one above the floor already. */
static unsigned least_moves(const struct cluster *c, const UINT8 *before)
{
    uint32_t slots[MAX + 1];
    uint64_t weights = weight_of(c, ~0ULL);
    uint64_t floors = 0, growth = 0, free_extras = 0;

    OipTableCount(before, slots);
    for (unsigned i = 0; i < c->count; i++) {
        uint64_t product = (uint64_t)SLOTS * c->members[i].Weight;
        uint64_t floor_share = product / weights;

        floors += floor_share;
        if (floor_share > slots[i])
            growth += floor_share - slots[i];
        if (product % weights != 0 && slots[i] > floor_share)
            free_extras++;
    }
    return (unsigned)(growth + (SLOTS - floors > free_extras ? SLOTS - floors - free_extras : 0));
}

/* A new configuration, from `previous` members; checks T1, T2, T3. */
static void change_config(struct cluster *c, const ONEIP_MEMBER *previous, unsigned previous_count)
{
    UINT8 map[MAX];
    uint32_t had[MAX + 1], has[MAX + 1];
    bool lost[MAX] = {false}, gained[MAX] = {false};
    unsigned moves, changed = 0, least;

    OipTableMap(previous, previous_count, c->members, c->count, map);
    memcpy(old_base, c->base, SLOTS);
    moves = OipTableMove(old_base, map, c->members, c->count, c->base, &scratch);

    /* The old table in terms of the new members. */
    for (unsigned s = 0; s < SLOTS; s++)
        old_base[s] = map[old_base[s]];
    least = least_moves(c, old_base);
    OipTableCount(old_base, had);
    OipTableCount(c->base, has);
    for (unsigned s = 0; s < SLOTS; s++) {
        if (c->base[s] == old_base[s])
            continue;
        changed++;
        gained[c->base[s]] = true;
        if (old_base[s] != OIP_TABLE_NONE)
            lost[old_base[s]] = true;
    }
    is_int(moves, changed, "moves as returned");
    is_int(changed, least, "moves at least necessary");
    for (unsigned i = 0; i < c->count; i++)
        ok(!(lost[i] && gained[i]), "member %u lost and gained: %u -> %u", i, had[i], has[i]);
    shares_exact(c);

    /* The same again, in place and from dirty scratch. */
    {
        ULONG index;

        ok(OipTableValidate(c->base, c->members, c->count, &index), "refuses its own, %u", index);
    }
    OipLivenessRemap(&c->log, map, c->count);
    ok(OipLivenessValid(&c->log, c->count), "log after the change");
    refresh(c);
}

struct worst {
    double over;       /* max of slots / share - 1, for shares of at least 100 slots */
    double over_slots; /* max of slots - share */
    double under;
    unsigned changes, compactions, needless;
};

/* T4, and the shares of the live. */
static void check_effective(const struct cluster *c, struct worst *worst)
{
    uint32_t slots[MAX + 1];
    uint64_t live = alive(c), weights = weight_of(c, live);

    OipTableCount(c->effective, slots);
    if (weights == 0) {
        is_int(slots[MAX], SLOTS, "nobody is there");
        return;
    }
    is_int(slots[MAX], 0);
    for (unsigned s = 0; s < SLOTS; s++) {
        if (live >> c->base[s] & 1 ? c->effective[s] != c->base[s]
                                   : !(live >> c->effective[s] & 1)) {
            ok(false, "slot %u: base %u, effective %u, alive %llx", s, c->base[s], c->effective[s],
               (unsigned long long)live);
            return;
        }
    }
    for (unsigned i = 0; i < c->count; i++) {
        double share = (double)SLOTS * c->members[i].Weight / (double)weights;
        double off = slots[i] - share;

        if (!(live >> i & 1))
            continue;
        worst->over_slots = fmax(worst->over_slots, off);
        if (share >= 200) {
            worst->over = fmax(worst->over, off / share);
            worst->under = fmax(worst->under, -off / share);
        }
        ok(fabs(off) <= fmax(share * 0.01, 2.0), "member %u of %u: %u slots, share %.2f", i,
           c->count, slots[i], share);
    }
}

/* Members die and return; checks T3, T4, T5. */
static void change_liveness(struct cluster *c, uint64_t toggle, struct worst *worst)
{
    uint64_t before = alive(c), after;
    uint32_t had[MAX + 1], has[MAX + 1];
    unsigned moved = 0, needless = 0, length = c->log.Length;
    bool compacted;
    OIP_LIVENESS wire;

    memcpy(old_effective, c->effective, SLOTS);
    OipLivenessToggle(&c->log, c->count, toggle);
    after = alive(c);
    is_hex(after, before ^ toggle, "the log says who is alive");
    ok(OipLivenessValid(&c->log, c->count), "log");
    compacted = c->log.Length < length && after != OipMemberSet(c->count) &&
                length + __builtin_popcountll(toggle) > OIP_LIVENESS_LOG;
    worst->compactions += compacted;
    worst->changes++;
    refresh(c);

    /* Another node, which has only the log's bytes. */
    memset(&wire, 0xEE, sizeof wire);
    wire.Length = c->log.Length;
    memcpy(wire.Log, c->log.Log, c->log.Length);
    memset(&other_scratch, 0xCC, sizeof other_scratch);
    OipTableEffective(c->base, c->members, c->count, &wire, other, &other_scratch);
    ok(memcmp(other, c->effective, SLOTS) == 0, "another node has another table");

    if (after == OipMemberSet(c->count))
        ok(memcmp(c->effective, c->base, SLOTS) == 0, "all are back, but not the table");

    OipTableCount(old_effective, had);
    OipTableCount(c->effective, has);
    for (unsigned s = 0; s < SLOTS; s++) {
        unsigned from = old_effective[s], to = c->effective[s];

        if (from == to)
            continue;
        moved++;
        /* From one that stays alive to one that was alive already. */
        needless += from != OIP_TABLE_NONE && (after >> from & 1) &&
                    (to == OIP_TABLE_NONE || (before >> to & 1));
    }
    if (compacted)
        worst->needless += needless;
    else
        is_int(needless, 0, "%u slots moved, of these needlessly", moved);
    for (unsigned i = 0; i < c->count; i++)
        if (before >> i & ~(after >> i) & 1)
            ok(has[i] == 0, "dead member %u has %u", i, has[i]);
    check_effective(c, worst);
}

NT_TEST(table_first_is_even)
{
    for (unsigned members = 1; members <= MAX; members++) {
        random_state = tap_seed() + members;
        tap_at("%u members", members);
        start_cluster(&cluster, members, members % 2);
        shares_exact(&cluster);
        ok(memcmp(cluster.base, cluster.effective, SLOTS) == 0);
    }
}

NT_TEST(table_extreme_weights)
{
    uint32_t slots[MAX + 1];
    ULONG index;

    memset(&cluster, 0, sizeof cluster);
    add_member(&cluster, 1, 1);
    for (unsigned i = 2; i <= MAX; i++)
        add_member(&cluster, i, ONEIP_MAX_WEIGHT);
    OipTableMove(NULL, NULL, cluster.members, MAX, cluster.base, &scratch);
    shares_exact(&cluster);
    OipTableCount(cluster.base, slots);
    ok(slots[0] >= 1, "the least possible share is still a slot");
    ok(OipTableValidate(cluster.base, cluster.members, MAX, &index));
}

NT_TEST(table_in_place)
{
    UINT8 map[MAX];
    ONEIP_MEMBER previous[MAX];

    random_state = tap_seed();
    start_cluster(&cluster, 5, false);
    memcpy(previous, cluster.members, sizeof previous);
    add_member(&cluster, 6, 7);
    OipTableMap(previous, 5, cluster.members, 6, map);
    OipTableMove(cluster.base, map, cluster.members, 6, other, &other_scratch);
    OipTableMove(cluster.base, map, cluster.members, 6, cluster.base, &scratch);
    ok(memcmp(other, cluster.base, SLOTS) == 0);
}

/* Nothing changes when nothing changes, also if the members stand in another order. */
NT_TEST(table_reordered_members_move_nothing)
{
    UINT8 map[MAX];
    ONEIP_MEMBER previous[MAX];

    random_state = tap_seed();
    start_cluster(&cluster, 9, false);
    memcpy(previous, cluster.members, sizeof previous);
    for (unsigned i = 0; i < 9; i++)
        cluster.members[i] = previous[8 - i];
    OipTableMap(previous, 9, cluster.members, 9, map);
    is_int(OipTableMove(cluster.base, map, cluster.members, 9, other, &scratch), 0);
    for (unsigned s = 0; s < SLOTS; s++)
        need(other[s] == 8 - cluster.base[s], "slot %u", s);
}

/* Whether the operator removes a dead member makes no difference to anybody's connections. */
NT_TEST(table_removing_the_dead_moves_nothing)
{
    for (unsigned members = 2; members <= MAX; members += 7) {
        ONEIP_MEMBER previous[MAX];
        unsigned dead = members / 2;
        UINT8 map[MAX];

        tap_at("%u members", members);
        random_state = tap_seed() + members;
        start_cluster(&cluster, members, false);
        OipLivenessToggle(&cluster.log, members, 1ULL << dead);
        refresh(&cluster);
        memcpy(previous, cluster.members, sizeof previous);
        memmove(&cluster.members[dead], &cluster.members[dead + 1],
                (members - dead - 1) * sizeof cluster.members[0]);
        OipTableMap(previous, members, cluster.members, members - 1, map);
        OipTableMove(cluster.base, map, cluster.members, members - 1, other, &scratch);
        for (unsigned s = 0; s < SLOTS; s++)
            need(other[s] == map[cluster.effective[s]], "slot %u", s);
    }
}

static void random_config(struct cluster *c)
{
    ONEIP_MEMBER previous[MAX];
    unsigned count = c->count;

    memcpy(previous, c->members, sizeof previous);
    switch (below(4)) {
    case 0: /* joins */
        for (unsigned n = 1 + below(3); n > 0 && c->count < MAX; n--)
            add_member(c, c->next_node++, 1 + below(20));
        break;
    case 1: /* leaves */
        for (unsigned n = 1 + below(3); n > 0 && c->count > 1; n--) {
            unsigned gone = below(c->count);

            memmove(&c->members[gone], &c->members[gone + 1],
                    (c->count - gone - 1) * sizeof c->members[0]);
            c->count--;
        }
        break;
    case 2: /* weights */
        for (unsigned n = 1 + below(3); n > 0; n--)
            c->members[below(c->count)].Weight = below(8) == 0 ? 0 : 1 + below(20);
        break;
    default: /* one leaves while another joins, and somebody's place changes */
        c->members[below(c->count)].NodeId = c->next_node++;
        if (c->count > 1) {
            unsigned a = below(c->count), b = below(c->count);
            ONEIP_MEMBER keep = c->members[a];

            c->members[a] = c->members[b];
            c->members[b] = keep;
        }
        break;
    }
    if (weight_of(c, ~0ULL) == 0)
        c->members[0].Weight = 1;
    change_config(c, previous, count);
}

NT_TEST(table_random_configurations)
{
    for (unsigned history = 0; history < 12; history++) {
        random_state = tap_seed() * 1000 + history;
        start_cluster(&cluster, 1 + below(MAX), false);
        for (unsigned step = 0; step < 16 && !tap_failing(); step++) {
            tap_at("seed %llu, history %u, step %u", (unsigned long long)tap_seed(), history, step);
            random_config(&cluster);
        }
    }
}

static void random_liveness(struct cluster *c, struct worst *worst)
{
    uint64_t live = alive(c), all = OipMemberSet(c->count), toggle = 0;
    unsigned kind = below(10);

    if (kind == 0) { /* all come back */
        toggle = live ^ all;
    } else if (kind == 1) { /* a rack goes, or comes */
        for (unsigned n = 1 + below(c->count); n > 0; n--)
            toggle |= 1ULL << below(c->count);
    } else {
        toggle = 1ULL << below(c->count);
    }
    if (toggle != 0)
        change_liveness(c, toggle, worst);
}

static void random_deaths(bool equal, unsigned histories, unsigned steps)
{
    struct worst worst = {0};

    for (unsigned history = 0; history < histories; history++) {
        random_state = tap_seed() * 1000 + history;
        start_cluster(&cluster, 1 + below(MAX), equal);
        for (unsigned step = 0; step < steps && !tap_failing(); step++) {
            tap_at("seed %llu, history %u, step %u", (unsigned long long)tap_seed(), history, step);
            random_liveness(&cluster, &worst);
        }
    }
    tap_at(NULL);
    diag("seed %llu: %u changes of liveness; shares at most %.2f%% above and %.2f%% below, %.1f "
         "slots above; %u compactions of the log moved %u slots needlessly",
         (unsigned long long)tap_seed(), worst.changes, worst.over * 100, worst.under * 100,
         worst.over_slots, worst.compactions, worst.needless);
    ok(worst.changes > histories, "the histories are not empty");
}

NT_TEST(table_random_deaths_of_equals)
{
    random_deaths(true, 8, 40);
}

NT_TEST(table_random_deaths_by_weight)
{
    random_deaths(false, 8, 40);
}

/* Everything together, as it happens: what is at home moves by T2 only, also while members are
 * down, and after the last return the effective table is the base table. */
NT_TEST(table_random_everything)
{
    struct worst worst = {0};

    for (unsigned history = 0; history < 6; history++) {
        random_state = tap_seed() * 1000 + 500 + history;
        start_cluster(&cluster, 2 + below(MAX - 1), false);
        for (unsigned step = 0; step < 24 && !tap_failing(); step++) {
            tap_at("seed %llu, history %u, step %u", (unsigned long long)tap_seed(), history, step);
            if (below(3) == 0) {
                random_config(&cluster);
                check_effective(&cluster, &worst);
            } else {
                random_liveness(&cluster, &worst);
            }
        }
        if (alive(&cluster) != OipMemberSet(cluster.count))
            change_liveness(&cluster, alive(&cluster) ^ OipMemberSet(cluster.count), &worst);
        is_int(cluster.log.Length, 0);
    }
}

/* One member down, and the operator changes a weight: how much of what is lent is lent anew? Not a
 * matter of T1 to T5, but most of it should stay. */
NT_TEST(table_loans_survive_a_small_change)
{
    for (unsigned members = 4; members <= MAX; members *= 2) {
        ONEIP_MEMBER previous[MAX];
        unsigned moved = 0, lent = 0;

        random_state = tap_seed() + members;
        tap_at("%u members", members);
        start_cluster(&cluster, members, false);
        for (unsigned i = 0; i < members; i++)
            cluster.members[i].Weight = 100;
        OipTableMove(NULL, NULL, cluster.members, members, cluster.base, &scratch);
        OipLivenessToggle(&cluster.log, members, 1);
        refresh(&cluster);
        memcpy(old_effective, cluster.effective, SLOTS);
        memcpy(other, cluster.base, SLOTS);
        memcpy(previous, cluster.members, sizeof previous);
        cluster.members[members - 1].Weight = 110;
        change_config(&cluster, previous, members);
        for (unsigned s = 0; s < SLOTS; s++) {
            if (other[s] != 0 || cluster.base[s] != 0)
                continue;
            lent++;
            moved += cluster.effective[s] != old_effective[s];
        }
        diag("%u members: %u of %u loans moved", members, moved, lent);
        ok(moved * 4 < lent, "%u of %u", moved, lent);
    }
}

NT_TEST(table_validation_names_the_culprit)
{
    ULONG index;
    unsigned from = SLOTS;

    random_state = tap_seed();
    start_cluster(&cluster, 4, true);
    cluster.members[3].Weight = 0;
    ok(!OipTableValidate(cluster.base, cluster.members, 4, &index));
    need(index < SLOTS);
    is_int(cluster.base[index], 3, "the first slot of a member without weight");

    start_cluster(&cluster, 4, true);
    ok(OipTableValidate(cluster.base, cluster.members, 4, &index));
    cluster.base[777] = 4;
    ok(!OipTableValidate(cluster.base, cluster.members, 4, &index));
    is_int(index, 777, "no such member");
    cluster.base[777] = OIP_TABLE_NONE;
    ok(!OipTableValidate(cluster.base, cluster.members, 4, &index));
    is_int(index, 777, "nobody");

    /* A quarter is 16,384.25 slots: 163 more are within one in a hundred, 164 are not. */
    start_cluster(&cluster, 4, true);
    for (unsigned s = 0, taken = 0; s < SLOTS && taken < 163; s++) {
        if (cluster.base[s] == 1) {
            cluster.base[s] = 2;
            taken++;
            from = s;
        }
    }
    ok(OipTableValidate(cluster.base, cluster.members, 4, &index), "163 slots");
    while (from < SLOTS && cluster.base[from] != 1)
        from++;
    cluster.base[from] = 2;
    ok(!OipTableValidate(cluster.base, cluster.members, 4, &index), "164 slots");
    ok(index == SLOTS + 1 || index == SLOTS + 2, "%u", index);

    /* A member with a weight and without a slot, however small its weight. */
    memset(&cluster, 0, sizeof cluster);
    add_member(&cluster, 1, 1);
    for (unsigned i = 2; i <= MAX; i++)
        add_member(&cluster, i, ONEIP_MAX_WEIGHT);
    OipTableMove(NULL, NULL, cluster.members, MAX, cluster.base, &scratch);
    for (unsigned s = 0; s < SLOTS; s++)
        if (cluster.base[s] == 0)
            cluster.base[s] = 1;
    ok(!OipTableValidate(cluster.base, cluster.members, MAX, &index));
    is_int(index, SLOTS);
}

NT_TEST(table_digest_sees_every_slot)
{
    uint64_t digest, first;

    random_state = tap_seed();
    start_cluster(&cluster, 4, true);
    first = OipTableDigest(cluster.base);
    for (unsigned i = 0; i < 64; i++) {
        unsigned slot = below(SLOTS);
        UINT8 keep = cluster.base[slot];

        cluster.base[slot] = (UINT8)((keep + 1) % 4);
        digest = OipTableDigest(cluster.base);
        ok(digest != first, "slot %u", slot);
        cluster.base[slot] = keep;
    }
    is_hex(OipTableDigest(cluster.base), first);
}

NT_TEST(table_nobody_has_a_weight)
{
    OIP_LIVENESS log = {0};
    uint32_t slots[MAX + 1];

    memset(&cluster, 0, sizeof cluster);
    add_member(&cluster, 1, 5);
    add_member(&cluster, 2, 0);
    OipTableMove(NULL, NULL, cluster.members, 2, cluster.base, &scratch);
    OipLivenessToggle(&log, 2, 1);
    OipTableEffective(cluster.base, cluster.members, 2, &log, cluster.effective, &scratch);
    OipTableCount(cluster.effective, slots);
    is_int(slots[MAX], SLOTS);
    OipLivenessToggle(&log, 2, 2);
    OipTableEffective(cluster.base, cluster.members, 2, &log, cluster.effective, &scratch);
    OipTableCount(cluster.effective, slots);
    is_int(slots[MAX], SLOTS, "nor with both dead");
    OipLivenessToggle(&log, 2, 1);
    OipTableEffective(cluster.base, cluster.members, 2, &log, cluster.effective, &scratch);
    OipTableCount(cluster.effective, slots);
    is_int(slots[0], SLOTS, "until it comes back");
}

NT_TEST(liveness_log_cancels)
{
    OIP_LIVENESS log = {0};

    OipLivenessToggle(&log, 8, 1ULL << 3);
    OipLivenessToggle(&log, 8, 1ULL << 5);
    is_int(log.Length, 2);
    OipLivenessToggle(&log, 8, 1ULL << 5);
    is_int(log.Length, 1, "the last one came back");
    OipLivenessToggle(&log, 8, 1ULL << 5 | 1ULL << 6);
    is_int(log.Length, 3);
    ok(!(log.Log[1] & OIP_LIVENESS_JOINED) && log.Log[2] == (6 | OIP_LIVENESS_JOINED));
    OipLivenessToggle(&log, 8, 1ULL << 5);
    is_int(log.Length, 4, "half of a batch does not cancel");
    is_hex(OipLivenessAlive(&log, 8), 0xFF & ~(1u << 3 | 1u << 6));
    OipLivenessToggle(&log, 8, 1ULL << 3 | 1ULL << 6);
    is_int(log.Length, 0, "all are back");
    OipLivenessToggle(&log, 8, 0);
    is_int(log.Length, 0);
    OipLivenessToggle(&log, 8, 1ULL << 8);
    is_int(log.Length, 0, "no such member");
}

NT_TEST(liveness_log_from_outside)
{
    OIP_LIVENESS log = {0};

    ok(OipLivenessValid(&log, 1));
    ok(!OipLivenessValid(&log, 0));
    ok(!OipLivenessValid(&log, 65));
    log.Length = OIP_LIVENESS_LOG + 1;
    ok(!OipLivenessValid(&log, 64));
    log = (OIP_LIVENESS){1, {3}};
    ok(OipLivenessValid(&log, 4));
    ok(!OipLivenessValid(&log, 3), "no such member");
    log = (OIP_LIVENESS){1, {3 | OIP_LIVENESS_JOINED}};
    ok(!OipLivenessValid(&log, 4), "joined to nothing");
    log = (OIP_LIVENESS){2, {3, 3 | OIP_LIVENESS_JOINED}};
    ok(!OipLivenessValid(&log, 4), "twice in a batch");
    log = (OIP_LIVENESS){2, {3, 3}};
    ok(!OipLivenessValid(&log, 4), "all are alive, but the log is not empty");
    log = (OIP_LIVENESS){1, {0x40}};
    ok(!OipLivenessValid(&log, 64), "unknown bit");

    /* Any valid log makes a table: no crash, no slot of the dead. */
    random_state = tap_seed();
    start_cluster(&cluster, 7, false);
    for (unsigned i = 0; i < 40; i++) {
        struct worst worst = {0};

        do {
            cluster.log.Length = (UINT8)below(OIP_LIVENESS_LOG + 1);
            for (unsigned j = 0; j < cluster.log.Length; j++)
                cluster.log.Log[j] = (UINT8)(below(7) | (below(4) == 0 ? 0x80u : 0));
        } while (!OipLivenessValid(&cluster.log, 7));
        refresh(&cluster);
        tap_at("case %u", i);
        check_effective(&cluster, &worst);
    }
}

NT_TEST(modulo_list_is_ordered_by_node)
{
    UINT8 list[MAX];

    for (unsigned i = 0; i < 100; i++) {
        uint64_t live;
        unsigned count, expected = 0;

        random_state = tap_seed() + i;
        start_cluster(&cluster, 1 + below(MAX), true);
        for (unsigned j = 0; j < cluster.count; j++)
            cluster.members[j].NodeId = 1 + (j * 37 + 11) % 101;
        live = next_random() & OipMemberSet(cluster.count);
        count = OipModuloList(cluster.members, cluster.count, live, list);
        is_int(count, __builtin_popcountll(live));
        for (unsigned j = 0; j < count; j++) {
            ok(live >> list[j] & 1);
            ok(cluster.members[list[j]].NodeId > expected);
            expected = cluster.members[list[j]].NodeId;
        }
    }
}

/* What a change costs. Generous bounds: this runs under sanitizers and on loaded machines, too. */
NT_TEST(table_is_quick)
{
    static const unsigned sizes[] = {4, 64};

    for (unsigned i = 0; i < 2; i++) {
        struct timespec from, to;
        double first, death, half;
        OIP_LIVENESS log = {0};

        random_state = tap_seed();
        start_cluster(&cluster, sizes[i], true);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned n = 0; n < 10; n++)
            OipTableMove(NULL, NULL, cluster.members, cluster.count, cluster.base, &scratch);
        clock_gettime(CLOCK_MONOTONIC, &to);
        first = (double)(to.tv_sec - from.tv_sec) * 1e5 + (double)(to.tv_nsec - from.tv_nsec) / 1e4;

        OipLivenessToggle(&log, cluster.count, 1);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned n = 0; n < 10; n++)
            OipTableEffective(cluster.base, cluster.members, cluster.count, &log, other, &scratch);
        clock_gettime(CLOCK_MONOTONIC, &to);
        death = (double)(to.tv_sec - from.tv_sec) * 1e5 + (double)(to.tv_nsec - from.tv_nsec) / 1e4;

        OipLivenessToggle(&log, cluster.count, OipMemberSet(cluster.count / 2) & ~1ULL);
        clock_gettime(CLOCK_MONOTONIC, &from);
        for (unsigned n = 0; n < 10; n++)
            OipTableEffective(cluster.base, cluster.members, cluster.count, &log, other, &scratch);
        clock_gettime(CLOCK_MONOTONIC, &to);
        half = (double)(to.tv_sec - from.tv_sec) * 1e5 + (double)(to.tv_nsec - from.tv_nsec) / 1e4;
        diag("%u members: %.0f us for a table, %.0f after one death, %.0f after that of half",
             sizes[i], first, death, half);
        ok(first < 50000 && death < 50000 && half < 50000);
    }
}
