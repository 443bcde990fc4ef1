/*
 * All short schedules. From a cold start, or from a cluster that has settled, every combination of
 * at most `budget` faults within `horizon` intervals is tried: at each tick and at each step of an
 * action list the node may freeze for several times or crash, each frame may be lost or late, a
 * node may become deaf or mute for a while, be made primary or be vetoed; and what waited on a
 * frozen node may be handled in any order. After the last fault the world has to agree within a
 * bound, and stay so.
 *
 * States are hashed with all times and epochs relative, and not visited again with the same or
 * less of budget and time left, so what schedules have in common is walked once.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct exhaust_options {
    unsigned nodes;
    unsigned budget;  /* faults */
    unsigned horizon; /* intervals in which they can happen */
    bool deep;        /* faults also before each received frame */
    bool cold;        /* from the start of all nodes, else from a settled cluster */
    uint64_t limit;   /* stop after so many schedules; 0: never */
    double seconds;   /* stop after this time; 0: never */
};

struct exhaust_stats {
    uint64_t schedules; /* complete ones: runs to the end, or to a state that is known */
    uint64_t states;    /* different ones */
    uint64_t steps;     /* events handled */
    bool complete;      /* not stopped by a limit */
};

/* False: a violation, described in `why`, with the schedule that leads to it on stdout if `show`.
 */
bool exhaust_run(const struct exhaust_options *options, struct exhaust_stats *stats, bool show,
                 char *why, unsigned why_bytes);
