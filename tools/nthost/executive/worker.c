/*
 * The system worker threads.
 *
 * WDK: ExQueueWorkItem, "System Worker Threads". One queue and a pool of threads, which grows by
 * one whenever an item is queued and no worker is free: an item may wait for another one. Items of
 * the several kinds of queue differ in priority only, which Linux is not told. An item's memory is
 * its owner's again when its routine is called. IoQueueWorkItem stands on this.
 */
#include "dispatcher.h"
#include <nthost/module.h>
#include <stdio.h>

#define MAX_WORKERS 64

static LIST_ENTRY queue = {
    &queue, &queue}; /* WORK_QUEUE_ITEM.List; under the dispatcher lock, as all here */
static struct nt_thread *workers[MAX_WORKERS];
static struct worker {
    PWORKER_THREAD_ROUTINE running; /* NULL: between items */
} states[MAX_WORKERS];
static struct nt_thread *idle[MAX_WORKERS];
static unsigned worker_count, idle_count;
static bool stopping;

static void run(PWORKER_THREAD_ROUTINE routine, PVOID parameter)
{
    struct nt_thread *self = nt_self;
    nt_enter();
    struct vf_call call = vf_call_begin_of("a work item", routine);
    routine(parameter);
    vf_call_end(&call);
    if (self->irql != PASSIVE)
        vf_violation(VfIrqlWrongOnReturn, "a work item returned at IRQL %u", self->irql);
    nt_leave();
}

static void worker_main(void *context)
{
    struct nt_thread *self = nt_self;
    struct worker *state = context;
    sched_lock();
    for (;;) {
        while (!IsListEmpty(&queue)) {
            PWORK_QUEUE_ITEM item =
                CONTAINING_RECORD(RemoveHeadList(&queue), WORK_QUEUE_ITEM, List);
            PWORKER_THREAD_ROUTINE routine = item->WorkerRoutine;
            PVOID parameter = item->Parameter;
            item->List.Flink = NULL;
            state->running = routine;
            sched_unlock();
            run(routine, parameter);
            sched_lock();
            state->running = NULL;
        }
        if (stopping)
            break;
        idle[idle_count++] = self;
        self->wait_what = "work";
        self->wait_object = NULL;
        while (!self->work_promised)
            sched_park(UINT64_MAX);
        self->work_promised = false;
        self->wait_what = NULL;
    }
    sched_unlock();
}

/* Under the lock. */
static void wake_idle(void)
{
    struct nt_thread *thread = idle[--idle_count];
    thread->work_promised = true;
    sched_unpark(thread);
}

VOID NTAPI ExQueueWorkItem(PWORK_QUEUE_ITEM WorkItem, WORK_QUEUE_TYPE QueueType)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)QueueType;
    unsigned spawn = MAX_WORKERS;
    sched_lock();
    if (vf_enabled && WorkItem->List.Flink) {
        sched_unlock();
        vf_violation(VfBadParameter,
                     "ExQueueWorkItem: work item %p is queued already, or not initialized",
                     (void *)WorkItem);
    }
    InsertTailList(&queue, &WorkItem->List);
    if (idle_count) {
        wake_idle();
    } else if (worker_count < MAX_WORKERS) {
        spawn = worker_count++;
    }
    sched_unlock();
    if (spawn < MAX_WORKERS) {
        char name[32];
        snprintf(name, sizeof name, "worker %u", spawn);
        states[spawn].running = NULL;
        workers[spawn] = nt_spawn(name, worker_main, &states[spawn]);
    }
    thread_point(nt_self);
}

/* A queued or running item of a driver that is gone; driver NULL: of memory that is freed. */
static void *find(const char *driver, const char *memory, size_t bytes)
{
    void *found = NULL;
    sched_lock();
    for (PLIST_ENTRY entry = queue.Flink; entry != &queue && !found; entry = entry->Flink) {
        PWORK_QUEUE_ITEM item = CONTAINING_RECORD(entry, WORK_QUEUE_ITEM, List);
        if (driver ? vf_is_owner((void *)item->WorkerRoutine, driver)
                   : (const char *)item >= memory && (const char *)item < memory + bytes)
            found = (void *)item->WorkerRoutine;
    }
    for (unsigned i = 0; driver && i < worker_count && !found; i++) {
        if (states[i].running && vf_is_owner((void *)states[i].running, driver))
            found = (void *)states[i].running;
    }
    sched_unlock();
    return found;
}

static void check_unload(const char *driver)
{
    void *routine = find(driver, NULL, 0);
    if (routine)
        vf_violation(VfWorkItemActive,
                     "driver %s was unloaded while its work item (routine %p) is queued or runs",
                     driver, routine);
}

static void check_freed(const void *memory, size_t bytes)
{
    void *routine = find(NULL, memory, bytes);
    if (routine)
        vf_violation(VfWorkItemActive,
                     "pool block %p is freed while a work item in it (routine %p) is queued",
                     memory, routine);
}

__attribute__((constructor)) static void register_checks(void)
{
    vf_at_unload(check_unload);
    vf_at_free(check_freed);
}

static void start(const struct nt_options *options)
{
    (void)options;
    InitializeListHead(&queue);
    worker_count = idle_count = 0;
    stopping = false;
}

static void stop(void)
{
    sched_lock();
    stopping = true;
    while (idle_count)
        wake_idle();
    sched_unlock();
    for (unsigned i = 0; i < worker_count; i++)
        nt_join(workers[i]);
    worker_count = 0;
}

NT_MODULE(workers, NT_ORDER_EXECUTIVE, start, stop);
NT_EXPORT(NTOSKRNL, ExQueueWorkItem);
