/*
 * Long random runs. A run is made by its seed alone: the size of the cluster, the clocks, the
 * network, the kind of faults (a profile), each fault.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum profile {
    PROFILE_CALM,      /* late timers, slow frames, drift, within the limits: nothing may happen */
    PROFILE_CRASHES,   /* and crashes, for good or not: how long is a takeover? */
    PROFILE_STALLS,    /* and freezes anywhere: no two nodes act */
    PROFILE_PARTITION, /* healthy nodes, the network is cut in two and healed */
    PROFILE_LINKS,     /* one pair, or one node, cannot hear or be heard for long: no flapping */
    PROFILE_HOSTILE,   /* everything */
    PROFILES
};

extern const char *const profile_names[PROFILES];

struct random_stats {
    uint64_t runs, events, takeovers;
    /* From the crash of a dispatcher, with the other nodes running, until another acts. */
    uint64_t gaps, gap_sum, gap_worst;
    uint64_t late_gaps[8]; /* histogram by 10 ms */
    /* From the end of faults until all agree, in intervals. */
    uint64_t worst_convergence[PROFILES];
    /* From healing a partition until only one acts, in intervals, at S = 3. */
    uint64_t worst_heal;
};

/* False: a violation, described in `why`. */
bool random_run(uint64_t seed, enum profile profile, struct random_stats *stats, char *why,
                unsigned why_bytes);

/* The profile that a seed gets when none is asked for. */
enum profile random_profile(uint64_t seed);
