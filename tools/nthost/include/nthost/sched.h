/*
 * Threads, virtual processors, IRQL and time: the seam between the executive and its two
 * schedulers. Real time: NT threads are pthreads. Deterministic: they are fibers of one OS thread
 * under a virtual clock, switched only where sched_choose() says so.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct nt_thread;

/* The NT thread of the calling thread or fiber; NULL if it has none. */
struct nt_thread *nt_current(void);

/* Lets a host thread (a client's connection, a NIC) call into drivers. Real time only; pairs. */
struct nt_thread *nt_attach(const char *name);
void nt_detach(void);

/* Starts an NT thread of the host's own at PASSIVE_LEVEL; nt_join waits for its end and forgets it.
 */
struct nt_thread *nt_spawn(const char *name, void (*run)(void *), void *context);
void nt_join(struct nt_thread *thread);

/* Every call of a driver from host code that stands outside driver context (PASSIVE_LEVEL) is
 * bracketed by these: they take and release the passive slot of a virtual processor. They nest.
 * A callback at DISPATCH_LEVEL needs none: KeRaiseIrql works outside them too. */
void nt_enter(void);
void nt_leave(void);

/* Enter at DISPATCH_LEVEL on a given processor, as a NIC's DPC does; not nested. */
void nt_enter_dispatch(unsigned processor);
void nt_leave_dispatch(void);

/* The dispatcher lock guards the state of waitable objects. Held across park() and unpark().
 * sched_park blocks the current thread until sched_unpark(thread) or the deadline (interrupt time,
 * 100 ns; UINT64_MAX: none); false: the deadline passed. It releases the passive slot meanwhile. */
void sched_lock(void);
void sched_unlock(void);
bool sched_park(uint64_t deadline);
void sched_unpark(struct nt_thread *thread);

/* Virtual processors, and the one that the caller is on: stable only at DISPATCH_LEVEL. */
unsigned sched_processors(void);
unsigned sched_processor(void);

/* 100 ns since the host started (interrupt time), and since 1601 (system time). Interrupt time is
 * never 0. */
uint64_t sched_interrupt_time(void);
uint64_t sched_system_time(void);

/* Ke timers, time-outs of waits and KeDelayExecutionThread happen at multiples of this interrupt
 * time. */
#define SCHED_TICK 156250ull
static inline uint64_t sched_tick_ceil(uint64_t time)
{
    return (time + SCHED_TICK - 1) / SCHED_TICK * SCHED_TICK;
}

/* A point where the deterministic scheduler may switch; every export is one. Real time: nothing,
 * or the passive thread yields to pending DPCs of its processor. */
void sched_point(void);

/* The single source of choice of the deterministic scheduler: 0 .. n-1. */
unsigned sched_choose(unsigned n);
/* Replace it (an explorer enumerates); NULL: the seeded generator. */
void sched_set_chooser(unsigned (*choose)(void *context, unsigned n), void *context);

/* Deterministic only: run other threads until all block and nothing is due at or before `until`
 * (interrupt time), then set the clock to it. Test bodies advance time with this. Outside driver
 * context and at PASSIVE_LEVEL. */
void sched_run_until(uint64_t until);
/* The same for a span of 100 ns units from now. */
void sched_run_for(uint64_t span);
bool sched_is_deterministic(void);

/* Deterministic only: at a switch point, once in `one_in` on average, time passes until the next
 * thing that is due, as if the running thread had been slow; 0 (the default): never, the clock
 * moves only when all block. With a chooser this is one more alternative, the last, at every
 * switch. */
void sched_set_time_slip(unsigned one_in);
/* Deterministic only: preempts once in so many switch points on average, until the next start; by
 * itself a run has a pace of its own, 1 to 64. For drivers with points between all their memory
 * accesses, which want a slower one. */
void sched_set_pace(unsigned one_in);
/* Deterministic only: switches so far, and a hash of all choices, equal for equal schedules. */
uint64_t sched_switches(void);
uint64_t sched_trace_hash(void);
