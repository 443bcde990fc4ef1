/*
 * The deterministic scheduler: all NT threads are fibers of one OS thread, time is virtual, and
 * which fiber goes on is decided by sched_choose() at switch points (every export, every blocking).
 * Equal seeds give equal schedules; an explorer enumerates them through sched_set_chooser().
 *
 * What may run next, at a switch point:
 * - a fiber at DISPATCH_LEVEL, unless the spin lock that it wants is held by another;
 * - a fiber below it that has the passive slot of a processor whose dispatch lock is free: a DPC
 * that preempted it there holds it up, a thread elsewhere does not;
 * - a fiber below it without a slot, if some processor that it may run on has its dispatch lock
 * free: it preempts the thread there, which loses its slot;
 * - a processor's own fiber, if DPCs or timers are due there and its dispatch lock is free;
 * - a fiber outside driver context, always.
 * Alternative 0 is the running fiber where that may go on, so a chooser that answers 0 never
 * preempts.
 *
 * The clock stands still while anything can run. When all block it jumps to what is due next. Two
 * things more move it: a busy wait (a fiber that does nothing but read the clock), and, if a test
 * asks for it, time slip: a jump to what is due next while others could run, which is how a timer
 * comes to preempt a thread. If nothing is due and nothing can run, that is a deadlock, reported
 * with what each thread waits for; so is a day of virtual time in which only others made progress
 * while the main thread waits without a time-out.
 */
#include "choice.h"
#include "fiber.h"
#include "thread.h"
#include <nthost/object.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
void __sanitizer_start_switch_fiber(void **fake_stack, const void *bottom, size_t size);
void __sanitizer_finish_switch_fiber(void *fake_stack, const void **bottom, size_t *size);
#define SWITCH_BEGIN(save, bottom, size) __sanitizer_start_switch_fiber((save), (bottom), (size))
#define SWITCH_END(fake)                 __sanitizer_finish_switch_fiber((fake), NULL, NULL)
#endif
#endif
#ifndef SWITCH_BEGIN
#define SWITCH_BEGIN(save, bottom, size) ((void)0)
#define SWITCH_END(fake)                 ((void)(fake))
#endif

#define CLOCK_START     SCHED_TICK
#define DAY             864000000000ull
#define BUSY_WAIT_READS 64 /* clock readings in a row by one fiber, or by all since they last */
#define BUSY_WAIT_ALL_READS                                                                        \
    1024 /* blocked, that make a busy wait; from then on each takes 1 us                           \
          */
#define BUSY_WAIT_ADVANCE 10

static struct {
    uint64_t clock;
    struct nt_thread *main;
    uint32_t next_id;

    struct nt_thread **ready; /* fibers that are not parked, the running one included */
    unsigned ready_count, ready_room;
    struct nt_thread **candidates;
    struct nt_thread *dead; /* finished; its stack is freed by whoever runs next */

    struct nt_thread *until_thread; /* in sched_run_until */
    uint64_t until;
    uint64_t main_progress; /* clock when the main fiber last ran */

    struct nt_thread *clock_reader;
    uint64_t reader_switches;
    unsigned clock_reads; /* by that fiber in a row */
    unsigned all_reads;   /* by all since all blocked */

    unsigned slip;
    bool stopping;
    uint64_t switches;
} det;

void sched_set_time_slip(unsigned one_in)
{
    det.slip = one_in;
}

uint64_t sched_switches(void)
{
    return det.switches;
}

/* The ready array */

static void make_ready(struct nt_thread *thread)
{
    if (thread->ready_index >= 0)
        return;
    if (det.ready_count == det.ready_room) {
        det.ready_room = det.ready_room ? 2 * det.ready_room : 32;
        det.ready = realloc(det.ready, det.ready_room * sizeof *det.ready);
        det.candidates = realloc(det.candidates, (det.ready_room + 1) * sizeof *det.candidates);
        if (!det.ready || !det.candidates)
            nt_fatal("no memory for fibers");
    }
    thread->ready_index = (int)det.ready_count;
    det.ready[det.ready_count++] = thread;
}

static void make_unready(struct nt_thread *thread)
{
    if (thread->ready_index < 0)
        return;
    struct nt_thread *last = det.ready[--det.ready_count];
    det.ready[thread->ready_index] = last;
    last->ready_index = thread->ready_index;
    thread->ready_index = -1;
}

static bool may_run_on(const struct nt_thread *thread, const struct vp *vp)
{
    return thread->affinity >> vp->number & 1;
}

static bool runnable(const struct nt_thread *thread)
{
    if (thread->wait_word && *thread->wait_word == thread->wait_value)
        return false;
    if (thread->irql >= DISPATCH)
        return true;
    if (thread->is_vp)
        return !thread->vp->dispatch && (det.stopping || vp_has_work(thread->vp, det.clock));
    if (!thread->depth)
        return true;
    if (thread->slot)
        return !thread->vp->dispatch;
    for (unsigned i = 0; i < vp_count; i++) {
        if (!vps[i].dispatch && may_run_on(thread, &vps[i]))
            return true;
    }
    return false;
}

/* A passive fiber that is about to run gets a slot: a free one, or that of a thread it preempts. */
static void grant_slot(struct nt_thread *thread)
{
    if (thread->slot || !thread->depth || thread->irql >= DISPATCH)
        return;
    struct vp *chosen = NULL;
    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[(thread->vp->number + i) % vp_count];
        if (vp->dispatch || !may_run_on(thread, vp))
            continue;
        if (!vp->passive) {
            chosen = vp;
            break;
        }
        if (!chosen)
            chosen = vp;
    }
    if (!chosen)
        nt_fatal("deterministic scheduler: no processor for %s", thread->name);
    if (chosen->passive)
        chosen->passive->slot = false;
    chosen->passive = thread;
    thread->vp = chosen;
    thread->slot = true;
}

static void lose_slot(struct nt_thread *thread)
{
    if (thread->slot) {
        thread->vp->passive = NULL;
        thread->slot = false;
    }
}

/* Time */

static uint64_t next_due(void)
{
    uint64_t due = UINT64_MAX;
    for (unsigned i = 0; i < vp_count; i++) {
        if (vps[i].next_due < due)
            due = vps[i].next_due;
    }
    for (const struct nt_thread *thread = threads; thread; thread = thread->next) {
        if (thread->parked && thread->ready_index < 0 && thread->deadline < due)
            due = thread->deadline;
    }
    return due;
}

static void advance(uint64_t to)
{
    if (to > det.clock)
        det.clock = to;
    for (unsigned i = 0; i < vp_count; i++) {
        if (vps[i].next_due <= det.clock && vps[i].thread)
            make_ready(vps[i].thread);
    }
    for (struct nt_thread *thread = threads; thread; thread = thread->next) {
        if (thread->parked && thread->ready_index < 0 && thread->deadline <= det.clock)
            make_ready(thread);
    }
}

static void report_deadlock(const char *why)
{
    char text[4096];
    size_t length = 0;
    text[0] = 0;
    for (const struct nt_thread *thread = threads; thread; thread = thread->next) {
        if (thread->is_vp && !thread->wait_word)
            continue;
        char line[320];
        thread_describe(thread, line, sizeof line);
        int more = snprintf(text + length, sizeof text - length, "\n    %s", line);
        if (more < 0 || (size_t)more >= sizeof text - length)
            break;
        length += (size_t)more;
    }
    vf_violation(VfDeadlock, "%s at %llu.%04llu ms:%s", why, (unsigned long long)det.clock / 10000,
                 (unsigned long long)det.clock % 10000, text);
}

/* Nothing can run. */
static void idle(void)
{
    uint64_t due = next_due();
    det.all_reads = 0;
    if (det.until_thread && due > det.until) {
        advance(det.until);
        make_ready(det.until_thread);
        det.until_thread = NULL;
        return;
    }
    if (due == UINT64_MAX)
        report_deadlock("nothing can run and nothing is due");
    if (!det.until_thread && det.main->parked && det.main->deadline == UINT64_MAX &&
        due > det.main_progress + DAY)
        report_deadlock("the main thread waited for a day");
    advance(due);
}

/* Switching */

static void after_switch(struct nt_thread *self)
{
    struct nt_thread *dead = det.dead;
    if (dead && dead != self) {
        det.dead = NULL;
        fiber_stack_put(dead->stack, dead->stack_size);
        dead->stack = NULL;
        ob_dereference(dead);
    }
    if (self == det.main)
        det.main_progress = det.clock;
}

static void switch_to(struct nt_thread *self, struct nt_thread *to)
{
    det.switches++;
    nt_self = to;
    SWITCH_BEGIN(self == det.dead ? NULL : &self->fake_stack, to->stack, to->stack_size);
    fiber_switch(&self->sp, to->sp);
    SWITCH_END(self->fake_stack);
    after_switch(self);
}

static void fiber_entry(void)
{
    SWITCH_END(NULL);
    struct nt_thread *self = nt_self;
    after_switch(self);
    thread_main(self);
    __builtin_unreachable();
}

static unsigned find_candidates(struct nt_thread *self, bool may_stay)
{
    unsigned count = 0;
    if (may_stay)
        det.candidates[count++] = self;
    for (unsigned i = 0; i < det.ready_count; i++) {
        struct nt_thread *thread = det.ready[i];
        if ((thread != self || !may_stay) && runnable(thread))
            det.candidates[count++] = thread;
    }
    return count;
}

/* The running fiber cannot go on as it is: others run until it can and is chosen. */
static void block(struct nt_thread *self)
{
    unsigned count;
    while (!(count = find_candidates(self, false)))
        idle();
    struct nt_thread *to = det.candidates[count == 1 ? 0 : choice_switch(count, 0)];
    grant_slot(to);
    if (to != self)
        switch_to(self, to);
}

static void det_point(struct nt_thread *self)
{
    bool slip = det.slip && next_due() <= (det.until_thread ? det.until : UINT64_MAX - 1);
    if (det.ready_count == 1 && !slip)
        return;
    if (!slip && choice_stay())
        return;
    unsigned count = find_candidates(self, true);
    if (count + slip == 1)
        return;
    unsigned choice = choice_switch(count, slip ? det.slip : 0);
    if (choice == count) {
        advance(next_due());
    } else if (choice) {
        struct nt_thread *to = det.candidates[choice];
        grant_slot(to);
        switch_to(self, to);
    }
}

static void det_take_slot(struct nt_thread *self)
{
    for (unsigned i = 0; i < vp_count; i++) {
        struct vp *vp = &vps[(self->vp->number + i) % vp_count];
        if (!vp->passive && !vp->dispatch && may_run_on(self, vp)) {
            grant_slot(self);
            return;
        }
    }
    block(self);
}

static void det_drop_slot(struct nt_thread *self)
{
    lose_slot(self);
    det_point(self);
}

static void det_wait_change(struct nt_thread *self, const volatile uint32_t *word, uint32_t value)
{
    self->wait_word = word;
    self->wait_value = value;
    block(self);
    self->wait_word = NULL;
}

static void det_contended(struct nt_thread *self, volatile uint32_t *word)
{
    if (self == &nt_nobody)
        nt_fatal("a lock or an IRQL is wanted by a thread that the host does not know");
    const char *what = self->wait_what;
    const volatile void *object = self->wait_object;
    self->wait_what = "the lock";
    self->wait_object = word;
    do {
        if (word_owner(word) == self->id)
            vf_violation(VfSpinLockRecursive, "lock %p is acquired by the thread that holds it",
                         (const void *)word);
        det_wait_change(self, word, *word);
    } while (!word_try_lock(word, self->id));
    self->wait_what = what;
    self->wait_object = object;
}

static void det_wake_next(struct nt_thread *self, volatile uint32_t *word)
{
    vf_violation(VfSpinLockNotOwned, "lock %p is released by %s, but %s", (const void *)word,
                 self->name, *word ? "another thread holds it" : "it is not held");
}

static bool det_park(struct nt_thread *self, uint64_t deadline)
{
    self->parked = true;
    self->woken = false;
    self->deadline = deadline;
    if (deadline > det.clock)
        make_unready(self);
    lose_slot(self);
    sched_unlock();
    block(self);
    sched_lock();
    self->parked = false;
    return self->woken;
}

static void det_unpark(struct nt_thread *thread)
{
    if (thread->parked) {
        thread->woken = true;
        make_ready(thread);
    }
}

static void det_kick(struct vp *vp)
{
    if (vp->thread && vp_has_work(vp, det.clock))
        make_ready(vp->thread);
}

/* A processor's fiber. It is in the ready array only while it has work. */
static void vp_fiber(void *context)
{
    struct vp *vp = context;
    struct nt_thread *self = nt_self;
    while (!det.stopping) {
        if (!vp_has_work(vp, det.clock)) {
            make_unready(self);
            block(self);
            continue;
        }
        if (vp->dispatch) {
            block(self);
            continue;
        }
        irql_raise(self, DISPATCH);
        vp->dpc_running = 1;
        vp_work(self, vp);
        vp->dpc_running = 0;
        irql_lower(self, PASSIVE);
        det_point(self);
    }
    vp->thread = NULL; /* nobody makes it ready again */
}

static void prepare(struct nt_thread *thread)
{
    thread->id = ++det.next_id;
    thread->stack = fiber_stack_get(&thread->stack_size);
    thread->sp = fiber_prepare(thread->stack, thread->stack_size, fiber_entry);
}

static void det_spawn(struct nt_thread *thread)
{
    prepare(thread);
    make_ready(thread);
    det_point(nt_self);
}

static void det_finished(struct nt_thread *self)
{
    make_unready(self);
    lose_slot(self);
    det.dead = self;
    block(self);
    nt_fatal("a finished fiber ran");
}

static void det_reap(struct nt_thread *thread)
{
    (void)thread; /* its end was its last switch */
}

static uint64_t det_now(void)
{
    return det.clock;
}

static void det_stall(struct nt_thread *self, uint64_t span)
{
    advance(det.clock + span);
    det_point(self);
}

/* A fiber that does nothing but read the clock waits for it; so do several that take turns. */
static void det_time_was_read(struct nt_thread *self)
{
    if (det.clock_reader != self || det.reader_switches != det.switches) {
        det.clock_reader = self;
        det.clock_reads = 0;
        det.reader_switches = det.switches;
    }
    det.all_reads++;
    if (++det.clock_reads >= BUSY_WAIT_READS || det.all_reads >= BUSY_WAIT_ALL_READS)
        advance(det.clock + BUSY_WAIT_ADVANCE);
}

void sched_run_until(uint64_t until)
{
    struct nt_thread *self = nt_self;
    if (!sched_det || self->depth || self->irql || det.until_thread)
        nt_fatal("sched_run_until: only the deterministic scheduler's test thread, at "
                 "PASSIVE_LEVEL, outside driver context");
    det.until = until;
    det.until_thread = self;
    make_unready(self);
    block(self);
}

void sched_run_for(uint64_t span)
{
    sched_run_until(det.clock + span);
}

static void det_start(const struct nt_options *options, struct nt_thread *self)
{
    det.clock = CLOCK_START;
    det.main_progress = CLOCK_START;
    det.main = self;
    det.next_id = 1;
    det.ready_count = 0;
    det.until_thread = NULL;
    det.clock_reader = NULL;
    det.all_reads = 0;
    det.switches = 0;
    choice_start(options->seed);
    det.slip = 0;
    det.stopping = false;

    self->id = 1;
    pthread_attr_t attributes;
    if (!pthread_getattr_np(pthread_self(), &attributes)) {
        pthread_attr_getstack(&attributes, &self->stack, &self->stack_size);
        pthread_attr_destroy(&attributes);
    }
    make_ready(self);
    for (unsigned i = 0; i < vp_count; i++) {
        char name[32];
        snprintf(name, sizeof name, "processor %u", i);
        struct nt_thread *thread = thread_create(name);
        if (!thread)
            nt_fatal("no memory for processors");
        thread->is_vp = true;
        thread->vp = &vps[i];
        thread->run = vp_fiber;
        thread->run_context = &vps[i];
        ob_reference(thread);
        prepare(thread);
        vps[i].thread = thread;
    }
}

static void det_stop(struct nt_thread *self)
{
    struct nt_thread *processors[MAX_PROCESSORS] = {NULL};
    for (unsigned i = 0; i < vp_count; i++) {
        processors[i] = vps[i].thread;
        make_ready(processors[i]);
    }
    det.stopping = true;
    for (unsigned i = 0; i < vp_count; i++)
        nt_join(processors[i]);
    after_switch(self);
    make_unready(self);
    /* What a driver left behind: its stack is dropped as it is. */
    for (struct nt_thread *thread = threads, *next; thread; thread = next) {
        next = thread->next;
        if (thread == self)
            continue;
        make_unready(thread);
        *thread->link = next;
        if (next)
            next->link = thread->link;
        fiber_stack_put(thread->stack, thread->stack_size);
        thread->stack = NULL;
        ob_dereference(thread);
    }
    sched_set_chooser(NULL, NULL);
}

const struct sched_backend sched_deterministic = {
    .start = det_start,
    .stop = det_stop,
    .spawn = det_spawn,
    .finished = det_finished,
    .reap = det_reap,
    .take_slot = det_take_slot,
    .drop_slot = det_drop_slot,
    .contended = det_contended,
    .wake_next = det_wake_next,
    .wait_change = det_wait_change,
    .park = det_park,
    .unpark = det_unpark,
    .point = det_point,
    .kick = det_kick,
    .now = det_now,
    .stall = det_stall,
    .time_was_read = det_time_was_read,
};
