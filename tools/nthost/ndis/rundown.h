/*
 * Counting what is out, without a cache line that processors share: one counter a virtual
 * processor, summed only by who waits for zero. What is taken on one may be given back on another,
 * so a single counter may be negative.
 *
 * Closed, no new reference is granted; the sum then never grows but by attempts that undo
 * themselves on the same counter; they can make it too large only, so a sum of zero is final.
 */
#pragma once
#include <ntddk.h>
#include <nthost/sched.h>
#include "../executive/thread.h"
#include <stdatomic.h>
#include <stdbool.h>

struct rundown {
    atomic_bool closed;  /* no new references */
    atomic_bool waiting; /* someone waits for zero */
    KEVENT drained;
    struct {
        _Alignas(64) atomic_long count;
    } line[64];
};

void rundown_init(struct rundown *rundown); /* closed */
void rundown_open(struct rundown *rundown);
/* Waits until nothing is out. PASSIVE_LEVEL, in driver context. */
void rundown_close(struct rundown *rundown);
/* The same without closing: for what ends by itself. */
void rundown_wait(struct rundown *rundown);
/* Waits until all references are gone that were held when it was called; others may come and go.
 * Only for references that are dropped where they were taken (rundown_enter). */
void rundown_pass(struct rundown *rundown);
/* Before its memory goes: who gave back the last reference may still be at the end of
 * rundown_drop(). PASSIVE_LEVEL, in driver context. */
void rundown_end(void);
long rundown_sum(const struct rundown *rundown);
void rundown_wake(struct rundown *rundown);

/* The calling thread's processor; stable at DISPATCH_LEVEL, and any other is right too. */
static inline unsigned ndis_processor(void)
{
    return nt_self->vp->number;
}

static inline void rundown_add(struct rundown *rundown, long count)
{
    atomic_fetch_add(&rundown->line[ndis_processor()].count, count);
}

/* The last touch of the rundown's memory is at DISPATCH_LEVEL: who has waited for zero and then
 * been at DISPATCH_LEVEL once on every processor may free it. */
static inline void rundown_drop_at(struct rundown *rundown, unsigned line, long count)
{
    struct nt_thread *self = nt_self;
    uint8_t irql = irql_raise(self, self->irql < DISPATCH ? DISPATCH : self->irql);
    atomic_fetch_sub(&rundown->line[line].count, count);
    if (__builtin_expect(atomic_load_explicit(&rundown->waiting, memory_order_acquire), 0))
        rundown_wake(rundown);
    irql_lower(self, irql);
}

static inline void rundown_drop(struct rundown *rundown, long count)
{
    rundown_drop_at(rundown, ndis_processor(), count);
}

/* A reference for the time of a call; to be dropped on the line that it returns. */
static inline unsigned rundown_enter(struct rundown *rundown)
{
    unsigned line = ndis_processor();
    atomic_fetch_add(&rundown->line[line].count, 1);
    return line;
}

/* False: closed. */
static inline bool rundown_take(struct rundown *rundown, long count)
{
    /* The locked addition orders it before the load of `closed`; rundown_close() stores `closed`
     * before it sums. Either it sees this reference or this sees it closed. */
    unsigned line = ndis_processor();
    atomic_fetch_add(&rundown->line[line].count, count);
    if (__builtin_expect(!atomic_load_explicit(&rundown->closed, memory_order_acquire), 1))
        return true;
    rundown_drop_at(rundown, line, count);
    return false;
}
