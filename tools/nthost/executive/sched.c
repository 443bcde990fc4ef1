/*
 * The part of the schedulers that both share: thread objects, driver context, processors, time.
 * sched_realtime.c and sched_deterministic.c do the rest; thread.h has the invariants.
 *
 * The dispatcher lock (sched_lock) is one lock word for all waitable objects, as in Windows up
 * to 7. The data paths of drivers do not touch it. Order: spin locks and the dispatch lock of a
 * processor come before it; nothing is taken under it but a processor's DPC queue lock.
 */
#include "thread.h"
#include "timerq.h"
#include <nthost/module.h>
#include <nthost/object.h>
#include <nthost/verifier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct vp vps[MAX_PROCESSORS];
unsigned vp_count;

/* Raising on a thread that the host does not know contends for a lock that is never free. */
static struct vp nobody_vp = {.dispatch = WORD_OWNER_MASK};
struct nt_thread nt_nobody = {.vp = &nobody_vp, .name = "(not attached)"};
__thread struct nt_thread *nt_self = &nt_nobody;

const struct sched_backend *sched;
bool sched_det;
struct nt_thread *threads;
pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;

static volatile uint32_t dispatcher_lock;
static unsigned next_home;
static uint32_t next_unique_id;
static uint64_t system_time_base;

void nt_fatal(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "nthost: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    abort();
}

struct nt_thread *nt_current(void)
{
    return nt_self == &nt_nobody ? NULL : nt_self;
}

/* Threads */

struct nt_thread *thread_create(const char *name)
{
    struct nt_thread *thread = ob_create(&ob_thread_type, sizeof *thread);
    if (!thread)
        return NULL;
    thread->vp = &vps[__atomic_fetch_add(&next_home, 1, __ATOMIC_RELAXED) % vp_count];
    thread->affinity = vp_count == 64 ? UINT64_MAX : (1ull << vp_count) - 1;
    thread->unique_id = 4 * __atomic_add_fetch(&next_unique_id, 1, __ATOMIC_RELAXED);
    thread->priority = 8;
    thread->ready_index = -1;
    snprintf(thread->name, sizeof thread->name, "%s", name);
    thread_init_header(thread);

    pthread_mutex_lock(&threads_lock);
    thread->next = threads;
    thread->link = &threads;
    if (threads)
        threads->link = &thread->next;
    threads = thread;
    pthread_mutex_unlock(&threads_lock);
    return thread;
}

/* Out of the list of all; the object lives as long as it is referenced. */
static void thread_forget(struct nt_thread *thread)
{
    pthread_mutex_lock(&threads_lock);
    *thread->link = thread->next;
    if (thread->next)
        thread->next->link = thread->link;
    pthread_mutex_unlock(&threads_lock);
}

void thread_discard(struct nt_thread *thread)
{
    thread_forget(thread);
    ob_dereference(thread);
}

static void thread_end(struct nt_thread *self)
{
    sched_lock();
    self->ended = true;
    thread_signal_end(self);
    if (self->joiner)
        sched_unpark(self->joiner);
    thread_forget(self);
    sched_unlock();
}

void thread_main(struct nt_thread *self)
{
    if (!setjmp(self->exit))
        self->run(self->run_context);
    if (self->in_driver_thread)
        thread_check_end(self);
    while (self->depth)
        nt_leave();
    thread_end(self);
    sched->finished(self);
}

struct nt_thread *nt_spawn(const char *name, void (*run)(void *), void *context)
{
    struct nt_thread *thread = thread_create(name);
    if (!thread)
        nt_fatal("no memory for thread %s", name);
    thread->run = run;
    thread->run_context = context;
    ob_reference(thread); /* the running thread's own, given back by the scheduler */
    sched->spawn(thread);
    return thread;
}

void nt_join(struct nt_thread *thread)
{
    struct nt_thread *self = nt_self;
    sched_lock();
    self->wait_what = "the end of thread";
    self->wait_object = thread;
    while (!thread->ended) {
        thread->joiner = self;
        sched_park(UINT64_MAX);
    }
    self->wait_what = NULL;
    sched_unlock();
    sched->reap(thread);
    ob_dereference(thread);
}

struct nt_thread *nt_attach(const char *name)
{
    if (sched_det)
        nt_fatal("nt_attach(%s): the deterministic scheduler has one thread; use nt_spawn", name);
    if (nt_self != &nt_nobody)
        nt_fatal("nt_attach(%s): already attached as %s", name, nt_self->name);
    struct nt_thread *self = thread_create(name);
    if (!self)
        nt_fatal("no memory for thread %s", name);
    self->id = (uint32_t)gettid();
    nt_self = self;
    crash_thread_start();
    return self;
}

void nt_detach(void)
{
    struct nt_thread *self = nt_self;
    if (self->depth || self->irql)
        nt_fatal("nt_detach: %s is still in driver context", self->name);
    thread_end(self);
    crash_thread_end();
    nt_self = &nt_nobody;
    ob_dereference(self);
}

void thread_describe(const struct nt_thread *thread, char *text, size_t size)
{
    int length = snprintf(text, size, "%s (thread %u, processor %u, IRQL %u%s)", thread->name,
                          thread->unique_id, thread->vp->number, thread->irql,
                          thread->depth ? "" : ", outside drivers");
    if (length < 0 || (size_t)length >= size)
        return;
    const char *driver = vf_owner(thread->wait_caller);
    if (thread->wait_what)
        snprintf(text + length, size - (size_t)length, ": waits for %s %p%s%s%s", thread->wait_what,
                 (const void *)thread->wait_object, *driver ? ", called by " : "", driver,
                 thread->deadline != UINT64_MAX && thread->parked ? ", with a time-out" : "");
    else
        snprintf(text + length, size - (size_t)length, ": %s",
                 thread->parked ? "sleeps" : "could run");
}

/* Slow halves (thread.h) */

void SLOW word_lock_slow(struct nt_thread *self, volatile uint32_t *word)
{
    sched->contended(self, word);
}

void SLOW word_unlock_slow(struct nt_thread *self, volatile uint32_t *word)
{
    sched->wake_next(self, word);
}

void SLOW thread_drain_slow(struct nt_thread *self, struct vp *vp)
{
    vp_drain_dpcs(self, vp);
}

void SLOW thread_point_slow(struct nt_thread *self)
{
    sched->point(self);
}

/* Driver context */

void nt_enter(void)
{
    struct nt_thread *self = nt_self;
    if (self->irql >= DISPATCH || self->depth++)
        return;
    sched->take_slot(self);
}

void nt_leave(void)
{
    struct nt_thread *self = nt_self;
    if (self->irql >= DISPATCH)
        return;
    if (!self->depth)
        nt_fatal("nt_leave without nt_enter");
    if (!--self->depth)
        sched->drop_slot(self);
}

void nt_enter_dispatch(unsigned processor)
{
    struct nt_thread *self = nt_self;
    if (self->depth || self->irql >= DISPATCH)
        nt_fatal("nt_enter_dispatch: %s is in driver context already", self->name);
    self->vp_before = self->vp;
    self->vp = &vps[processor % vp_count];
    irql_raise(self, DISPATCH);
}

void nt_leave_dispatch(void)
{
    struct nt_thread *self = nt_self;
    irql_lower(self, PASSIVE);
    self->vp = self->vp_before;
    thread_point(self);
}

/* Blocking */

void sched_lock(void)
{
    word_lock(nt_self, &dispatcher_lock);
}

void sched_unlock(void)
{
    word_unlock(nt_self, &dispatcher_lock);
}

bool sched_park(uint64_t deadline)
{
    return sched->park(nt_self, deadline);
}

void sched_unpark(struct nt_thread *thread)
{
    sched->unpark(thread);
}

void sched_point(void)
{
    thread_point(nt_self);
}

/* Processors and time */

unsigned sched_processors(void)
{
    return vp_count;
}

unsigned sched_processor(void)
{
    return nt_self->vp->number;
}

uint64_t sched_interrupt_time(void)
{
    return sched->now();
}

uint64_t sched_system_time(void)
{
    return system_time_base + sched->now();
}

bool sched_is_deterministic(void)
{
    return sched_det;
}

bool vp_has_work(const struct vp *vp, uint64_t now)
{
    return SHARED_READ(vp->dpc_head) || SHARED_READ(vp->next_due) <= now;
}

void vp_work(struct nt_thread *self, struct vp *vp)
{
    if (SHARED_READ(vp->next_due) <= sched->now()) {
        sched_lock();
        timerq_expire(vp, sched->now());
        sched_unlock();
    }
    vp_drain_dpcs(self, vp);
}

/* Start and stop */

/* 2024-01-01 00:00 UTC in 100 ns since 1601: what a deterministic host's clock shows at first. */
#define DETERMINISTIC_EPOCH 133485408000000000ull
#define UNIX_EPOCH          116444736000000000ull

void sched_start(const struct nt_options *options)
{
    if (nt_self != &nt_nobody)
        nt_fatal("nt_start: the host runs already");
    sched_det = options->scheduler == NT_DETERMINISTIC;
    sched = sched_det ? &sched_deterministic : &sched_realtime;
    vp_count = options->processors;
    if (!vp_count) {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        vp_count = online < 1 ? 1 : online > 4 ? 4 : (unsigned)online;
    }
    if (vp_count > MAX_PROCESSORS)
        vp_count = MAX_PROCESSORS;
    timerq_reset();
    next_home = next_unique_id = 0;
    threads = NULL;
    for (unsigned i = 0; i < vp_count; i++) {
        vps[i].number = i;
        vps[i].dispatch = vps[i].dpc_lock = vps[i].dpc_running = 0;
        vps[i].dpc_head = vps[i].dpc_tail = vps[i].dpc_current = NULL;
        vps[i].passive = NULL;
        vps[i].signal = vps[i].sleeping = 0;
    }

    struct nt_thread *self = thread_create("main");
    if (!self)
        nt_fatal("no memory");
    self->id = (uint32_t)gettid();
    nt_self = self;
    sched->start(options, self);
    if (sched_det) {
        system_time_base = DETERMINISTIC_EPOCH;
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        system_time_base = UNIX_EPOCH + (uint64_t)now.tv_sec * 10000000 +
                           (uint64_t)now.tv_nsec / 100 - sched->now();
    }
}

void sched_stop(void)
{
    struct nt_thread *self = nt_self;
    if (self->depth || self->irql)
        nt_fatal("nt_stop: %s is still in driver context", self->name);
    sched->stop(self);
    thread_forget(self);
    nt_self = &nt_nobody;
    ob_dereference(self);
    timerq_reset();
}
