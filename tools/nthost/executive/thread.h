/*
 * Threads and virtual processors, as the executive and both schedulers see them.
 *
 * Invariants
 * - A thread at DISPATCH_LEVEL or above owns the dispatch lock of its processor (vp->dispatch holds
 *   its id) and stays on it. Below, it owns none.
 * - A thread in driver context (depth > 0) below DISPATCH_LEVEL owns the passive slot of its
 *   processor (vp->passive), except while it is parked or, deterministic only, preempted.
 * - A thread outside driver context has a home processor too, so that it can raise; it needs no
 * slot.
 * - irql and what follows it are written by the thread itself only.
 */
#pragma once
#include "futex.h"
#include <nthost/nthost.h>
#include <nthost/sched.h>
#include <pthread.h>
#include <setjmp.h>
#include <stddef.h>

enum { PASSIVE = 0, APC = 1, DISPATCH = 2 };
enum { MAX_PROCESSORS = 64, VF_HELD_MAX = 32 };

struct vp;

/* What a thread holds, for the verifier. */
struct vf_held {
    const volatile void *lock;
    const char *kind;
    uint32_t node; /* in the lock order graph */
};

struct nt_thread {
    uint64_t header[3]; /* DISPATCHER_HEADER: a thread is a waitable object */

    uint32_t id; /* what it writes into lock words */
    uint8_t irql;
    bool is_vp;            /* a processor's own timer and DPC thread */
    bool in_driver_thread; /* PsCreateSystemThread's */
    uint8_t in_dpc;        /* depth of DPC routines under way on it */
    struct vp *vp;         /* where it is, or was last */
    unsigned depth;        /* of nt_enter */
    unsigned critical;     /* KeEnterCriticalRegion */
    unsigned guarded;      /* KeEnterGuardedRegion */
    uint64_t affinity;     /* processors it may be on */
    bool affinity_set;     /* by KeSetSystemAffinityThreadEx: else it is all of them */
    int priority, base_increment;
    uint32_t unique_id;   /* PsGetThreadId */
    void *ndis_adapter;   /* whose data path it is in, and is counted in (ndis/data.c) */
    void *process;        /* whose work it does (io/process.c); NULL: the system process */
    void *top_level_irp;  /* IoSetTopLevelIrp: a file system's word about what it is in */
    struct vp *vp_before; /* nt_enter_dispatch: where it came from */

    /* park and unpark, under the dispatcher lock */
    bool parked, woken;
    volatile uint32_t wake; /* real time: what it sleeps on */
    uint64_t deadline;
    bool work_promised; /* an idle worker: there is an item for it */

    /* what it is waiting for, for reports: a word about it, the object, who called */
    const char *wait_what;
    const volatile void *wait_object;
    const void *wait_caller;

    /* life */
    char name[32];
    void (*run)(void *);
    void *run_context;
    bool ended;
    bool detached; /* nobody joins it */
    struct nt_thread *joiner;
    struct nt_thread *next, **link; /* all threads, under threads_lock */
    jmp_buf exit;                   /* PsTerminateSystemThread */
    int32_t exit_status;
    const void *owner; /* an address in the driver that created it */
    void *start_routine;
    void *mutants[2]; /* LIST_ENTRY of the mutexes that it owns */

    /* real time */
    pthread_t pthread;
    void *alternate_stack; /* of the fault handler */

    /* deterministic */
    void *sp;    /* saved stack pointer; NULL: running or never ran */
    void *stack; /* lowest usable byte */
    size_t stack_size;
    void *fake_stack;                   /* of AddressSanitizer */
    bool slot;                          /* owns vp->passive */
    int ready_index;                    /* in the ready array; -1 */
    const volatile uint32_t *wait_word; /* runnable again once *wait_word != wait_value */
    uint32_t wait_value;

    /* verifier */
    unsigned spin_locks; /* held: spin locks only */
    unsigned held_count;
    struct vf_held held[VF_HELD_MAX];
    unsigned vf_nesting; /* the verifier itself is at work: it does not check itself */
};

/* One processor. Its three parts are written by different threads: a cache line each. */
struct vp {
    _Alignas(64) volatile uint32_t dispatch; /* lock word */
    unsigned number;
    void *volatile dpc_head; /* pending DPCs, KDPC.DpcListEntry; under dpc_lock */
    void *dpc_tail;
    volatile uint32_t dpc_lock;
    volatile uint32_t dpc_running; /* its DPC thread is at work: passive threads are held */
    void *dpc_current;             /* KDPC whose routine runs: its address only, it may be gone */
    void *dpc_routine;

    _Alignas(64) struct nt_thread *volatile passive;

    _Alignas(64) struct nt_thread *thread; /* its timer and DPC thread */
    volatile uint32_t signal;              /* real time: it sleeps on this */
    volatile uint32_t sleeping;
    volatile uint64_t next_due; /* of its timers; under the dispatcher lock */
    void *heap;                 /* of timers, see timerq.c; likewise */
    unsigned heap_count, heap_room;
};

extern struct vp vps[MAX_PROCESSORS];
extern unsigned vp_count;

/* The calling thread; a stand-in, never NULL, where the host does not know it. */
extern __thread struct nt_thread *nt_self;
extern struct nt_thread nt_nobody;

/* All threads of the host, for reports. */
extern struct nt_thread *threads;
extern pthread_mutex_t threads_lock;

/* A scheduler. */
struct sched_backend {
    void (*start)(const struct nt_options *options, struct nt_thread *self);
    void (*stop)(struct nt_thread *self);
    void (*spawn)(struct nt_thread *thread);
    void (*finished)(
        struct nt_thread *self);            /* last act of a thread; may return only in real time */
    void (*reap)(struct nt_thread *thread); /* after its end, by nt_join */
    void (*take_slot)(struct nt_thread *self);
    void (*drop_slot)(struct nt_thread *self);
    void (*contended)(struct nt_thread *self, volatile uint32_t *word); /* returns owning it */
    void (*wake_next)(struct nt_thread *self, volatile uint32_t *word); /* unlock with waiters */
    void (*wait_change)(struct nt_thread *self, const volatile uint32_t *word, uint32_t value);
    bool (*park)(struct nt_thread *self, uint64_t deadline);
    void (*unpark)(struct nt_thread *thread);
    void (*point)(struct nt_thread *self);
    void (*kick)(struct vp *vp); /* it has DPCs, or its next timer changed */
    uint64_t (*now)(void);
    void (*stall)(struct nt_thread *self, uint64_t span);
    void (*time_was_read)(struct nt_thread *self);
};
extern const struct sched_backend *sched;
extern const struct sched_backend sched_realtime, sched_deterministic;
extern bool sched_det;

/* Everything that a processor has to do: expire timers, run DPCs. At DISPATCH_LEVEL on it. */
bool vp_has_work(const struct vp *vp, uint64_t now);
void vp_work(struct nt_thread *self, struct vp *vp);
/* DPCs only, at most a batch; what is left is its thread's. */
void vp_drain_dpcs(struct nt_thread *self, struct vp *vp);

/* A thread object with its defaults, in the list of all. */
struct nt_thread *thread_create(const char *name);
extern const struct ob_type ob_thread_type;
/* One that was never spawned. */
void thread_discard(struct nt_thread *thread);
/* psthread.c: a driver's thread that ends must have given everything back. */
void thread_check_end(struct nt_thread *self);
/* dispatcher.c: the thread as a waitable object. */
void thread_init_header(struct nt_thread *thread);
void thread_signal_end(struct nt_thread *thread);
/* Called by nt_start and nt_stop. */
void sched_start(const struct nt_options *options);
void sched_stop(void);
/* The body of every spawned thread. */
void thread_main(struct nt_thread *self);
void thread_describe(const struct nt_thread *thread, char *text, size_t size);

/* verifier/crash.c: each pthread of the host needs a stack for the fault handler. */
void crash_thread_start(void);
void crash_thread_end(void);

void __attribute__((noreturn, format(printf, 1, 2))) nt_fatal(const char *format, ...);

/* The slow halves of what follows. They preserve what the Microsoft convention preserves, so that
 * an export whose fast path is a few instructions need not save ten vector registers for them. */
#define SLOW __attribute__((ms_abi, noinline, cold))
void SLOW word_lock_slow(struct nt_thread *self, volatile uint32_t *word);
void SLOW word_unlock_slow(struct nt_thread *self, volatile uint32_t *word);
void SLOW thread_drain_slow(struct nt_thread *self, struct vp *vp);
void SLOW thread_point_slow(struct nt_thread *self);

static inline void word_lock(struct nt_thread *self, volatile uint32_t *word)
{
    if (__builtin_expect(!word_try_lock(word, self->id), 0))
        word_lock_slow(self, word);
}

static inline void word_unlock(struct nt_thread *self, volatile uint32_t *word)
{
    if (__builtin_expect(!word_try_unlock(word, self->id), 0))
        word_unlock_slow(self, word);
}

/* pool_special.c: paged blocks that are to become inaccessible at DISPATCH_LEVEL. */
extern volatile unsigned pool_paged_exposed;
void SLOW pool_hide_paged(void);

static inline uint8_t irql_raise(struct nt_thread *self, uint8_t irql)
{
    uint8_t old = self->irql;
    if (irql >= DISPATCH && old < DISPATCH) {
        word_lock(self, &self->vp->dispatch);
        if (__builtin_expect(SHARED_READ(pool_paged_exposed), 0))
            pool_hide_paged();
    }
    self->irql = irql;
    return old;
}

static inline void irql_lower(struct nt_thread *self, uint8_t irql)
{
    if (self->irql >= DISPATCH && irql < DISPATCH) {
        struct vp *vp = self->vp;
        if (__builtin_expect(SHARED_READ(vp->dpc_head) != NULL, 0)) {
            self->irql = DISPATCH;
            thread_drain_slow(self, vp);
        }
        self->irql = irql;
        word_unlock(self, &vp->dispatch);
        return;
    }
    self->irql = irql;
}

/* A switch point, for code that has no VF_ENTRY. */
static inline void thread_point(struct nt_thread *self)
{
    if (__builtin_expect(sched_det | SHARED_READ(self->vp->dpc_running), 0))
        thread_point_slow(self);
}
