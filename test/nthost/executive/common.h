/* What the executive's tests share: threads of drivers, both schedulers, virtual time. */
#pragma once
#include "tap.h"
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <stdlib.h>
#include <string.h>

#define MS 10000ll /* in 100 ns */

/* Runs the body under the real-time scheduler once, and the deterministic one with several seeds.
 */
void each_scheduler(void (*body)(void));
/* Under the deterministic scheduler with `count` seeds, beginning with --seed. */
void each_seed(unsigned count, void (*body)(void));

/* A host thread that works in driver context. */
struct worker {
    struct nt_thread *thread;
    void (*run)(void *);
    void *context;
};
void worker_start(struct worker *worker, void (*run)(void *), void *context);
void worker_join(struct worker *worker);

/* Lets `span` pass: virtually, or by waiting. */
void pass(LONGLONG span);

static inline ULONG64 interrupt_time(void)
{
    ULONG64 qpc;
    return KeQueryInterruptTimePrecise(&qpc);
}

static inline LARGE_INTEGER relative(LONGLONG span)
{
    return (LARGE_INTEGER){.QuadPart = -span};
}
