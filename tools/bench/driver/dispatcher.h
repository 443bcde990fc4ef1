/*
 * The real oneip driver as the dispatcher of a cluster, node 1, in the deterministic host, between
 * plain edges. The other members are kept alive by beacons. One virtual processor, no preemption,
 * no verifier; beacons, timers and what else takes its time happen in dispatcher_start() and
 * dispatcher_breathe() only, and so not in what is measured.
 */
#pragma once

#include "edge.h"
#include "fixture.h"

struct dispatcher {
    struct plain_edge edge;
    struct node node; /* of it: client, device, cluster, peers, state_dir */
    uint64_t ticked;  /* interrupt time when the others were last heard */
};

/* `images`: the folder of oneip.so and oneip.sys. Members have equal weights. False, with a failed
 * assertion: give up. */
bool dispatcher_start(struct dispatcher *d, const char *images, unsigned members);
/* All of a batch out and back, or a failed assertion and false. */
bool dispatcher_receive(struct dispatcher *d, const struct test_frame *const *frames,
                        unsigned count);
/* To be called between batches, at least every 1,000 of them. Most often it does nothing. */
void dispatcher_breathe(struct dispatcher *d);
void dispatcher_stop(struct dispatcher *d);
