/*
 * Dispatcher objects and waits, each property under both schedulers.
 */
#include "common.h"

static void event_states(void)
{
    KEVENT event;
    LARGE_INTEGER now = {.QuadPart = 0};
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    is_int(KeReadStateEvent(&event), 0);
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &now), STATUS_TIMEOUT);
    is_int(KeSetEvent(&event, 0, FALSE), 0);
    is_int(KeSetEvent(&event, 0, FALSE), 1, "the previous state");
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &now), STATUS_SUCCESS,
              "stays signaled");
    is_int(KeResetEvent(&event), 1);
    is_int(KeResetEvent(&event), 0);
    KeInitializeEvent(&event, SynchronizationEvent, TRUE);
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &now), STATUS_SUCCESS);
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &now), STATUS_TIMEOUT,
              "one wait only");
    KeSetEvent(&event, 0, FALSE);
    KeClearEvent(&event);
    is_int(KeReadStateEvent(&event), 0);
}

NT_TEST(events_have_their_states)
{
    each_scheduler(event_states);
}

/* N waiters; a synchronization event set k times lets k pass, a notification event all. */
static struct {
    KEVENT event;
    volatile LONG passed;
} gate;

static void gate_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    is_status(KeWaitForSingleObject(&gate.event, Executive, KernelMode, FALSE, NULL),
              STATUS_SUCCESS);
    InterlockedIncrement(&gate.passed);
}

static void wait_for_passed(LONG count)
{
    for (int i = 0; i < 2000 && gate.passed < count; i++)
        pass(MS);
    is_int(gate.passed, count);
}

static void event_wakes(void)
{
    struct worker workers[4];
    KeInitializeEvent(&gate.event, SynchronizationEvent, FALSE);
    gate.passed = 0;
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], gate_body, NULL);
    pass(30 * MS);
    is_int(gate.passed, 0);
    for (LONG i = 1; i <= 4; i++) {
        KeSetEvent(&gate.event, 0, FALSE);
        wait_for_passed(i);
        pass(20 * MS);
        is_int(gate.passed, i, "one for each time it is set");
    }
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    is_int(KeReadStateEvent(&gate.event), 0);

    KeInitializeEvent(&gate.event, NotificationEvent, FALSE);
    gate.passed = 0;
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], gate_body, NULL);
    pass(20 * MS);
    KeSetEvent(&gate.event, 0, FALSE);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    is_int(gate.passed, 4);
}

NT_TEST(events_wake_one_or_all)
{
    each_scheduler(event_wakes);
}

static void time_outs(void)
{
    KEVENT event;
    LARGE_INTEGER now, timeout = relative(5 * MS);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    ULONG64 start = interrupt_time();
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &timeout),
              STATUS_TIMEOUT);
    ULONG64 took = interrupt_time() - start;
    ok(took >= 5 * MS, "not early: %llu", (unsigned long long)took);
    if (sched_is_deterministic())
        ok(took < 5 * MS + SCHED_TICK && sched_interrupt_time() % SCHED_TICK == 0,
           "at a tick: %llu", (unsigned long long)took);

    KeQuerySystemTimePrecise(&now);
    timeout.QuadPart = now.QuadPart + 40 * MS;
    start = interrupt_time();
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, TRUE, &timeout), STATUS_TIMEOUT,
              "absolute");
    took = interrupt_time() - start;
    ok(took >= 39 * MS, "not early: %llu", (unsigned long long)took);
    timeout.QuadPart = now.QuadPart; /* has passed */
    is_status(KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, &timeout),
              STATUS_TIMEOUT);
}

NT_TEST(waits_time_out_at_ticks)
{
    each_scheduler(time_outs);
}

static struct {
    KEVENT a, b;
    KSEMAPHORE semaphore;
    NTSTATUS any, all;
    volatile LONG any_done, all_done;
} many;

static void any_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    PVOID objects[] = {&many.a, &many.b, &many.semaphore};
    many.any =
        KeWaitForMultipleObjects(3, objects, WaitAny, Executive, KernelMode, FALSE, NULL, NULL);
    InterlockedIncrement(&many.any_done);
}

static void all_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    PVOID objects[] = {&many.a, &many.b, &many.semaphore};
    many.all =
        KeWaitForMultipleObjects(3, objects, WaitAll, Executive, KernelMode, FALSE, NULL, NULL);
    InterlockedIncrement(&many.all_done);
}

static void multiple(void)
{
    struct worker worker;
    memset(&many, 0, sizeof many);
    KeInitializeEvent(&many.a, SynchronizationEvent, FALSE);
    KeInitializeEvent(&many.b, SynchronizationEvent, FALSE);
    KeInitializeSemaphore(&many.semaphore, 0, 5);
    worker_start(&worker, any_body, NULL);
    pass(20 * MS);
    is_int(many.any_done, 0);
    KeSetEvent(&many.b, 0, FALSE);
    worker_join(&worker);
    is_status(many.any, STATUS_WAIT_1);
    is_int(KeReadStateEvent(&many.b), 0, "consumed");

    worker_start(&worker, all_body, NULL);
    KeSetEvent(&many.a, 0, FALSE);
    KeReleaseSemaphore(&many.semaphore, 0, 2, FALSE);
    pass(20 * MS);
    is_int(many.all_done, 0);
    is_int(KeReadStateEvent(&many.a), 1, "nothing is consumed before all are signaled");
    is_int(KeReadStateSemaphore(&many.semaphore), 2);
    KeSetEvent(&many.b, 0, FALSE);
    worker_join(&worker);
    is_status(many.all, STATUS_SUCCESS);
    is_int(KeReadStateEvent(&many.a), 0);
    is_int(KeReadStateEvent(&many.b), 0);
    is_int(KeReadStateSemaphore(&many.semaphore), 1);

    /* Time-outs leave nothing behind. */
    PVOID objects[] = {&many.a, &many.b, &many.a};
    LARGE_INTEGER timeout = relative(1);
    is_status(
        KeWaitForMultipleObjects(2, objects, WaitAll, Executive, KernelMode, FALSE, &timeout, NULL),
        STATUS_TIMEOUT);
    is_status(
        KeWaitForMultipleObjects(3, objects, WaitAny, Executive, KernelMode, FALSE, &timeout, NULL),
        STATUS_TIMEOUT);
    ok(IsListEmpty(&many.a.Header.WaitListHead) && IsListEmpty(&many.b.Header.WaitListHead));
    KeSetEvent(&many.a, 0, FALSE);
    is_status(
        KeWaitForMultipleObjects(3, objects, WaitAny, Executive, KernelMode, FALSE, &timeout, NULL),
        STATUS_WAIT_0);
}

NT_TEST(waits_for_any_and_for_all)
{
    each_scheduler(multiple);
}

/* A semaphore never admits more than its count, and loses none. */
static struct {
    KSEMAPHORE semaphore;
    volatile LONG inside, most, total;
} pool;

static void semaphore_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 20; i++) {
        KeWaitForSingleObject(&pool.semaphore, Executive, KernelMode, FALSE, NULL);
        LONG now = InterlockedIncrement(&pool.inside);
        if (now > pool.most)
            pool.most = now;
        sched_point();
        InterlockedDecrement(&pool.inside);
        InterlockedIncrement(&pool.total);
        KeReleaseSemaphore(&pool.semaphore, 0, 1, FALSE);
    }
}

static void semaphore_counts(void)
{
    struct worker workers[5];
    memset(&pool, 0, sizeof pool);
    KeInitializeSemaphore(&pool.semaphore, 2, 2);
    for (int i = 0; i < 5; i++)
        worker_start(&workers[i], semaphore_body, NULL);
    for (int i = 0; i < 5; i++)
        worker_join(&workers[i]);
    ok(pool.most <= 2, "%d inside", pool.most);
    is_int(pool.total, 100);
    is_int(KeReadStateSemaphore(&pool.semaphore), 2);
}

NT_TEST(semaphores_admit_their_count)
{
    each_scheduler(semaphore_counts);
}

static struct {
    KMUTEX mutex;
    volatile LONG value;
} guarded;

static void mutex_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 20; i++) {
        KeWaitForSingleObject(&guarded.mutex, Executive, KernelMode, FALSE, NULL);
        ok(KeAreApcsDisabled());
        LONG value = guarded.value;
        LARGE_INTEGER none = {.QuadPart = 0};
        is_status(KeWaitForSingleObject(&guarded.mutex, Executive, KernelMode, FALSE, &none),
                  STATUS_SUCCESS, "recursive");
        sched_point();
        KeReleaseMutex(&guarded.mutex, FALSE);
        guarded.value = value + 1;
        KeReleaseMutex(&guarded.mutex, FALSE);
        ok(!KeAreApcsDisabled());
    }
}

static void mutexes(void)
{
    struct worker workers[3];
    guarded.value = 0;
    KeInitializeMutex(&guarded.mutex, 0);
    is_int(KeReadStateMutex(&guarded.mutex), 1);
    for (int i = 0; i < 3; i++)
        worker_start(&workers[i], mutex_body, NULL);
    for (int i = 0; i < 3; i++)
        worker_join(&workers[i]);
    is_int(guarded.value, 60);
    is_int(KeReadStateMutex(&guarded.mutex), 1);
}

NT_TEST(mutexes_exclude_and_nest)
{
    each_scheduler(mutexes);
}

static void release_not_owned(void)
{
    KMUTEX mutex;
    tap_start(NT_DETERMINISTIC, 1);
    KeInitializeMutex(&mutex, 0);
    KeReleaseMutex(&mutex, FALSE);
}

static void semaphore_over_limit(void)
{
    KSEMAPHORE semaphore;
    tap_start(NT_DETERMINISTIC, 1);
    KeInitializeSemaphore(&semaphore, 1, 2);
    KeReleaseSemaphore(&semaphore, 0, 2, FALSE);
}

NT_TEST(misuse_raises)
{
    expect_bugcheck("0x0000001E", release_not_owned);
    expect_bugcheck("0x0000001E", semaphore_over_limit);
}

/* System threads: a waitable object that ends, by return or by PsTerminateSystemThread. */
static volatile LONG thread_ran;

static VOID NTAPI system_thread(PVOID context)
{
    InterlockedIncrement(&thread_ran);
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    ok(PsIsSystemThread(PsGetCurrentThread()));
    LARGE_INTEGER interval = relative(MS);
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
    if (context)
        PsTerminateSystemThread(STATUS_SUCCESS);
    InterlockedIncrement(&thread_ran);
}

static void system_threads(void)
{
    OBJECT_ATTRIBUTES attributes;
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    nt_enter();
    for (int terminate = 0; terminate < 2; terminate++) {
        HANDLE handle;
        CLIENT_ID id;
        PVOID thread;
        thread_ran = 0;
        need(NT_SUCCESS(PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, &id,
                                             system_thread, terminate ? &attributes : NULL)));
        need(NT_SUCCESS(ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType,
                                                  KernelMode, &thread, NULL)));
        ok(PsGetThreadId(thread) == id.UniqueThread);
        is_status(ZwClose(handle), STATUS_SUCCESS);
        is_status(KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL),
                  STATUS_SUCCESS);
        is_int(thread_ran, terminate ? 1 : 2);
        ok(PsIsThreadTerminating(thread));
        ObDereferenceObject(thread);
    }
    nt_leave();
}

NT_TEST(system_threads_signal_their_end)
{
    each_scheduler(system_threads);
}

/* Work items: all run, at PASSIVE_LEVEL, also where one waits for another. */
static struct {
    WORK_QUEUE_ITEM items[6];
    KEVENT done;
    volatile LONG left;
} work;

static VOID NTAPI work_routine(PVOID context)
{
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    if (context == &work.items[0])
        KeWaitForSingleObject(&work.done, Executive, KernelMode, FALSE, NULL);
    if (InterlockedDecrement(&work.left) == 1)
        KeSetEvent(&work.done, 0, FALSE);
}

static void work_items(void)
{
    work.left = 6;
    KeInitializeEvent(&work.done, NotificationEvent, FALSE);
    for (int i = 0; i < 6; i++) {
        ExInitializeWorkItem(&work.items[i], work_routine, &work.items[i]);
        KIRQL old = KeRaiseIrqlToDpcLevel();
        ExQueueWorkItem(&work.items[i], DelayedWorkQueue);
        KeLowerIrql(old);
    }
    for (int i = 0; i < 2000 && work.left; i++)
        pass(MS);
    is_int(work.left, 0);
}

NT_TEST(work_items_run)
{
    each_scheduler(work_items);
}
