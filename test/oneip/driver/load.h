/*
 * Continuous load on a node, by threads of its own, under either scheduler: what clients send, as
 * single frames, batches and super-frames, to the cluster and to the node itself; and what its own
 * stack sends. Beacons of the other members are the test's own business.
 */
#pragma once

#include "account.h"

#include <stdatomic.h>

#define LOAD_MAX_THREADS 4
#define LOAD_SEGMENTS    5   /* of each super-frame */
#define LOAD_RING        512 /* frames that an adapter holds until they are fetched */

struct load {
    struct node *node;
    unsigned clients;     /* so many different ones, 0 .. clients - 1 */
    unsigned super;       /* one frame in so many is a super-frame; 0: none */
    unsigned payload;     /* at most; bytes */
    unsigned rate;        /* frames a second, of each receiving thread; 0: as the schedule has it */
    atomic_ullong frames; /* for the cluster, given to the adapter */
    atomic_ullong lost;   /* with a rate: what came while the adapter's ring was full */
    atomic_bool stop;
    atomic_uint rest, resting;
    unsigned count;
    struct nt_thread *threads[LOAD_MAX_THREADS];
};

/* `receiving` threads below, one above if `sending`. */
void load_start(struct load *load, unsigned receiving, bool sending);
void load_stop(struct load *load);
/* All threads stand still, and everything that was out has come home; until load_resume(). */
void load_rest(struct load *load);
void load_resume(struct load *load);

/* One of client number `client`, to one of the two standard cluster addresses. segments > 1: a
 * coalesced frame. */
struct test_frame *load_frame(unsigned client, unsigned payload, unsigned segments);

/* Time passes, virtual or real, 100 ns; other threads run. */
void load_time(uint64_t span);
