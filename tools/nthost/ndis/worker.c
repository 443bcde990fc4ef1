/*
 * NDIS's own threads, its PnP lock, and its start and stop with the host.
 *
 * A thread is made when it is first needed. The PnP lock is an event, not a mutex: callbacks of
 * drivers run under it at PASSIVE_LEVEL with APCs as they were.
 */
#include "stack.h"
#include "verify.h"
#include <nthost/module.h>
#include <stdlib.h>

struct work {
    LIST_ENTRY link;
    void (*run)(void *context);
    void *context;
};

static struct worker {
    const char *name;
    LIST_ENTRY queue;
    KEVENT wake;
    bool stop;
    struct nt_thread *thread;
} workers[2] = {{.name = "ndis-bind"}, {.name = "ndis-oid"}};

static KSPIN_LOCK workers_lock;
static KEVENT idle; /* both queues are empty and nothing runs */
static unsigned pending;

static KEVENT pnp_free;
static _Atomic(struct nt_thread *) pnp_owner;

void ndis_pnp_lock(void)
{
    if (pnp_owner == nt_current())
        vf_violation(VfDeadlock,
                     "a PnP callback of NDIS calls a function that waits for PnP to finish");
    KeWaitForSingleObject(&pnp_free, Executive, KernelMode, FALSE, NULL);
    pnp_owner = nt_current();
}

void ndis_pnp_unlock(void)
{
    pnp_owner = NULL;
    KeSetEvent(&pnp_free, IO_NO_INCREMENT, FALSE);
}

static struct work *next_work(struct worker *worker)
{
    struct work *work = NULL;
    KIRQL irql;
    KeAcquireSpinLock(&workers_lock, &irql);
    if (!IsListEmpty(&worker->queue))
        work = CONTAINING_RECORD(RemoveHeadList(&worker->queue), struct work, link);
    KeReleaseSpinLock(&workers_lock, irql);
    return work;
}

static void finish_work(struct work *work)
{
    free(work);
    KIRQL irql;
    KeAcquireSpinLock(&workers_lock, &irql);
    if (--pending == 0)
        KeSetEvent(&idle, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&workers_lock, irql);
}

static void worker_main(void *context)
{
    struct worker *worker = context;
    nt_enter();
    while (!worker->stop) {
        struct work *work = next_work(worker);
        if (!work) {
            KeWaitForSingleObject(&worker->wake, Executive, KernelMode, FALSE, NULL);
            continue;
        }
        work->run(work->context);
        finish_work(work);
    }
    nt_leave();
}

void ndis_queue(enum ndis_thread thread, void (*run)(void *context), void *context)
{
    struct worker *worker = &workers[thread];
    struct work *work = malloc(sizeof(*work));
    if (!work)
        abort();
    work->run = run;
    work->context = context;
    KIRQL irql;
    KeAcquireSpinLock(&workers_lock, &irql);
    InsertTailList(&worker->queue, &work->link);
    if (pending++ == 0)
        KeClearEvent(&idle);
    if (!worker->thread)
        worker->thread = nt_spawn(worker->name, worker_main, worker);
    KeReleaseSpinLock(&workers_lock, irql);
    KeSetEvent(&worker->wake, IO_NO_INCREMENT, FALSE);
}

void ndis_queue_settle(void)
{
    KeWaitForSingleObject(&idle, Executive, KernelMode, FALSE, NULL);
}

static void start(const struct nt_options *options)
{
    (void)options;
    filters_reset();
    KeInitializeSpinLock(&ndis_lock);
    KeInitializeSpinLock(&workers_lock);
    KeInitializeEvent(&idle, NotificationEvent, TRUE);
    KeInitializeEvent(&pnp_free, SynchronizationEvent, TRUE);
    pnp_owner = NULL;
    pending = 0;
    for (unsigned i = 0; i < ARRAYSIZE(workers); i++) {
        InitializeListHead(&workers[i].queue);
        KeInitializeEvent(&workers[i].wake, SynchronizationEvent, FALSE);
        workers[i].stop = false;
        workers[i].thread = NULL;
    }
    track_start();
}

static void stop(void)
{
    ndis_queue_settle();
    for (unsigned i = 0; i < ARRAYSIZE(workers); i++) {
        if (!workers[i].thread)
            continue;
        workers[i].stop = true;
        KeSetEvent(&workers[i].wake, IO_NO_INCREMENT, FALSE);
        nt_join(workers[i].thread);
        workers[i].thread = NULL;
    }
    derive_stop();
    device_stop();
    verify_blocks_stop();
    track_stop();
}

NT_MODULE(ndis, NT_ORDER_NDIS, start, stop);
