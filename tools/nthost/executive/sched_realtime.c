/*
 * The real-time scheduler: NT threads are pthreads, time is CLOCK_MONOTONIC.
 *
 * A processor's passive slot is a pointer that is claimed by compare-and-swap; only when all slots
 * are taken do threads sleep on a common word (slot_word). Its dispatch lock and all other lock
 * words are priority-inheritance futexes after a short spin (futex.h says why). Each processor has
 * one thread for its timers and DPCs, under SCHED_FIFO where that is permitted. It sleeps on
 * vp->signal until the next timer is due; kick() wakes it. A thread that lowers its IRQL runs
 * pending DPCs itself, so that thread is only needed for what comes from timers and from other
 * processors.
 */
#include "thread.h"
#include <errno.h>
#include <nthost/object.h>
#include <nthost/verifier.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define SPINS        100 /* about 4 us: most locks are held for less */
#define DPC_PRIORITY 10  /* of SCHED_FIFO */
#define STACK_BYTES  (1024 * 1024)

static uint64_t base; /* CLOCK_MONOTONIC, ns, at interrupt time 0 */
static bool stopping;
static volatile uint32_t slot_word, slot_waiters;
static volatile uint32_t pthreads; /* that have not had their last word */

static uint64_t monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t rt_now(void)
{
    return (monotonic() - base) / 100;
}

static uint64_t to_monotonic(uint64_t interrupt_time)
{
    return interrupt_time >= UINT64_MAX / 100 - base ? UINT64_MAX : base + interrupt_time * 100;
}

static inline void pause_cpu(void)
{
    __builtin_ia32_pause();
}

/* Lock words */

static void rt_contended(struct nt_thread *self, volatile uint32_t *word)
{
    if (self == &nt_nobody)
        nt_fatal("a lock or an IRQL is wanted by a thread that the host does not know");
    if (word_owner(word) == self->id)
        vf_violation(VfSpinLockRecursive, "lock %p is acquired by the thread that holds it",
                     (const void *)word);
    for (int i = 0; i < SPINS; i++) {
        if (!SHARED_READ(*word) && word_try_lock(word, self->id))
            return;
        pause_cpu();
    }
    for (;;) {
        int error = futex_lock_pi(word);
        switch (error) {
        case 0:
            return;
        case EINTR:
        case EAGAIN: /* the owner is exiting */
            break;
        case EDEADLK:
            vf_violation(VfDeadlock,
                         "lock %p is held by a thread that waits, through others, for "
                         "one that this thread holds",
                         (const void *)word);
        default:
            vf_violation(VfBadParameter,
                         "lock %p holds 0x%08x, which is no lock's value: not "
                         "initialized, freed or overwritten",
                         (const void *)word, *word);
        }
    }
}

static void rt_wake_next(struct nt_thread *self, volatile uint32_t *word)
{
    if (word_owner(word) != self->id)
        vf_violation(VfSpinLockNotOwned, "lock %p is released by %s, but %s", (const void *)word,
                     self->name, *word ? "another thread holds it" : "it is not held");
    int error = futex_unlock_pi(word);
    if (error)
        nt_fatal("unlocking %p: %s", (void *)word, strerror(error));
}

/* For words that are no lock words (reader/writer spin locks): their holders are at DISPATCH_LEVEL
 * and brief, but may be preempted by Linux, so sleep rather than spin for long. */
static void rt_wait_change(struct nt_thread *self, const volatile uint32_t *word, uint32_t value)
{
    (void)self;
    for (int i = 0; i < SPINS; i++) {
        if (SHARED_READ(*word) != value)
            return;
        pause_cpu();
    }
    struct timespec briefly = {0, 50000};
    nanosleep(&briefly, NULL);
}

/* Passive slots */

static bool try_slot(struct nt_thread *self)
{
    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[(self->vp->number + i) % vp_count];
        struct nt_thread *none = NULL;
        if (!SHARED_READ(vp->passive) && (self->affinity >> vp->number & 1) &&
            __atomic_compare_exchange_n(&vp->passive, &none, self, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED)) {
            self->vp = vp;
            return true;
        }
    }
    return false;
}

static void rt_take_slot(struct nt_thread *self)
{
    if (try_slot(self))
        return;
    __atomic_add_fetch(&slot_waiters, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint32_t seen = __atomic_load_n(&slot_word, __ATOMIC_SEQ_CST);
        if (try_slot(self))
            break;
        futex_wait(&slot_word, seen, UINT64_MAX);
    }
    __atomic_sub_fetch(&slot_waiters, 1, __ATOMIC_SEQ_CST);
}

static void rt_drop_slot(struct nt_thread *self)
{
    __atomic_store_n(&self->vp->passive, NULL, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&slot_waiters, __ATOMIC_SEQ_CST)) {
        __atomic_add_fetch(&slot_word, 1, __ATOMIC_SEQ_CST);
        futex_wake(&slot_word, INT32_MAX); /* all: their affinities differ */
    }
}

/* Blocking */

static bool rt_park(struct nt_thread *self, uint64_t deadline)
{
    self->parked = true;
    self->woken = false;
    self->deadline = deadline;
    self->wake = 0;
    bool in_driver = self->depth != 0;
    if (in_driver)
        rt_drop_slot(self);
    sched_unlock();
    uint64_t until = deadline == UINT64_MAX ? UINT64_MAX : to_monotonic(deadline);
    while (!__atomic_load_n(&self->wake, __ATOMIC_ACQUIRE) && futex_wait(&self->wake, 0, until))
        ;
    if (in_driver)
        rt_take_slot(self);
    sched_lock();
    self->parked = false;
    return self->woken;
}

static void rt_unpark(struct nt_thread *thread)
{
    if (thread->parked && !thread->woken) {
        thread->woken = true;
        __atomic_store_n(&thread->wake, 1, __ATOMIC_RELEASE);
        futex_wake(&thread->wake, 1);
    }
}

/* A passive thread is held while DPCs run on its processor. */
static void rt_point(struct nt_thread *self)
{
    if (self->irql < DISPATCH && !self->is_vp && self->depth &&
        SHARED_READ(self->vp->dpc_running)) {
        word_lock(self, &self->vp->dispatch);
        word_unlock(self, &self->vp->dispatch);
    }
}

/* Processors */

static void rt_kick(struct vp *vp)
{
    __atomic_add_fetch(&vp->signal, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&vp->sleeping, __ATOMIC_SEQ_CST))
        futex_wake(&vp->signal, 1);
}

static void vp_thread(void *context)
{
    struct vp *vp = context;
    struct nt_thread *self = nt_self;
    struct sched_param parameters = {.sched_priority = DPC_PRIORITY};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters); /* if permitted */
    prctl(PR_SET_TIMERSLACK, 1000);
    while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
        uint32_t seen = __atomic_load_n(&vp->signal, __ATOMIC_SEQ_CST);
        if (vp_has_work(vp, rt_now())) {
            /* Announced before the lock is taken: the passive thread is held from here on. */
            __atomic_store_n(&vp->dpc_running, 1, __ATOMIC_RELAXED);
            irql_raise(self, DISPATCH);
            vp_work(self, vp);
            __atomic_store_n(&vp->dpc_running, 0, __ATOMIC_RELAXED);
            self->irql = PASSIVE;
            word_unlock(self, &vp->dispatch);
            continue;
        }
        __atomic_store_n(&vp->sleeping, 1, __ATOMIC_SEQ_CST);
        uint64_t due = __atomic_load_n(&vp->next_due, __ATOMIC_ACQUIRE);
        if (!SHARED_READ(vp->dpc_head) && !SHARED_READ(stopping))
            futex_wait(&vp->signal, seen, due == UINT64_MAX ? UINT64_MAX : to_monotonic(due));
        __atomic_store_n(&vp->sleeping, 0, __ATOMIC_SEQ_CST);
    }
}

static void *pthread_entry(void *context)
{
    struct nt_thread *self = context;
    nt_self = self;
    self->id = (uint32_t)gettid();
    pthread_setname_np(pthread_self(), self->name[15] ? "nt thread" : self->name);
    crash_thread_start();
    thread_main(self);
    crash_thread_end();
    nt_self = &nt_nobody;
    ob_dereference(self);
    __atomic_sub_fetch(&pthreads, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void rt_spawn(struct nt_thread *thread)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (thread->detached)
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    __atomic_add_fetch(&pthreads, 1, __ATOMIC_RELAXED);
    int error = pthread_create(&thread->pthread, &attributes, pthread_entry, thread);
    pthread_attr_destroy(&attributes);
    if (error)
        nt_fatal("thread %s: %s", thread->name, strerror(error));
}

static void rt_finished(struct nt_thread *self)
{
    (void)self; /* pthread_entry does the rest */
}

static void rt_reap(struct nt_thread *thread)
{
    pthread_join(thread->pthread, NULL);
}

static void rt_stall(struct nt_thread *self, uint64_t span)
{
    (void)self;
    uint64_t until = monotonic() + span * 100;
    while (monotonic() < until)
        pause_cpu();
}

static void rt_time_was_read(struct nt_thread *self)
{
    (void)self;
}

static void rt_start(const struct nt_options *options, struct nt_thread *self)
{
    (void)options;
    (void)self;
    base = monotonic() - SCHED_TICK * 100;
    stopping = false;
    slot_word = slot_waiters = 0;
    for (unsigned i = 0; i < vp_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "processor %u", i);
        struct nt_thread *thread = thread_create(name);
        if (!thread)
            nt_fatal("no memory for processors");
        thread->is_vp = true;
        thread->vp = &vps[i];
        vps[i].thread = thread;
        thread->run = vp_thread;
        thread->run_context = &vps[i];
        ob_reference(thread);
        rt_spawn(thread);
    }
}

/* Threads that a driver left behind, and that nobody can end. */
static uint32_t abandoned(void)
{
    uint32_t count = 0;
    pthread_mutex_lock(&threads_lock);
    for (const struct nt_thread *thread = threads; thread; thread = thread->next)
        count += thread->detached;
    pthread_mutex_unlock(&threads_lock);
    return count;
}

static void rt_stop(struct nt_thread *self)
{
    (void)self;
    __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < vp_count; i++) {
        rt_kick(&vps[i]);
        nt_join(vps[i].thread);
        vps[i].thread = NULL;
    }
    /* A detached thread is seen to have ended a moment before it is gone; the next start changes
     * what it still uses. */
    const struct timespec moment = {0, 100000};
    while (__atomic_load_n(&pthreads, __ATOMIC_ACQUIRE) > abandoned())
        nanosleep(&moment, NULL);
}

const struct sched_backend sched_realtime = {
    .start = rt_start,
    .stop = rt_stop,
    .spawn = rt_spawn,
    .finished = rt_finished,
    .reap = rt_reap,
    .take_slot = rt_take_slot,
    .drop_slot = rt_drop_slot,
    .contended = rt_contended,
    .wake_next = rt_wake_next,
    .wait_change = rt_wait_change,
    .park = rt_park,
    .unpark = rt_unpark,
    .point = rt_point,
    .kick = rt_kick,
    .now = rt_now,
    .stall = rt_stall,
    .time_was_read = rt_time_was_read,
};
