/* Timers, DPCs, work items, locks, synchronization of callbacks. */
#include "fixture.h"
#include <inttypes.h>

static volatile unsigned calls;
static KIRQL call_irql;
static uint64_t call_time;
static PKTHREAD call_thread;
static unsigned schedule; /* added to the seed */

static void called(void)
{
    calls++;
    call_irql = KeGetCurrentIrql();
    call_time = sched_interrupt_time();
    call_thread = KeGetCurrentThread();
}
static EVT_WDF_TIMER on_timer;
static void on_timer(WDFTIMER timer)
{
    (void)timer;
    called();
}
static EVT_WDF_DPC on_dpc;
static void on_dpc(WDFDPC dpc)
{
    (void)dpc;
    called();
}
static EVT_WDF_WORKITEM on_work;
static void on_work(WDFWORKITEM item)
{
    (void)item;
    called();
}

static WDFDEVICE start(WDF_OBJECT_ATTRIBUTES *attributes)
{
    struct fixture_device options = {0};
    calls = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed() + schedule);
    WDFDEVICE device = fixture_device(&options);
    WDF_OBJECT_ATTRIBUTES_INIT(attributes);
    attributes->ParentObject = device;
    return device;
}

NT_TEST(timers_expire_once_or_again_and_again)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    WDFTIMER timer, periodic;
    WDFDEVICE device = start(&attributes);
    WDF_TIMER_CONFIG_INIT(&config, on_timer);
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
    ok(WdfTimerGetParentObject(timer) == device);
    uint64_t from = sched_interrupt_time();
    ok(!WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(50)));
    ok(WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(100)), "it was set");
    fixture_run(80);
    is_int(calls, 0);
    fixture_run(80);
    is_int(calls, 1);
    is_int(call_irql, DISPATCH_LEVEL);
    ok(call_time - from >= 1000000 && call_time - from < 1000000 + 2 * SCHED_TICK, "at a tick");
    is_int(call_time % SCHED_TICK, 0);
    ok(!WdfTimerStop(timer, TRUE));
    WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(50));
    ok(WdfTimerStop(timer, FALSE));
    fixture_run(100);
    is_int(calls, 1);

    WDF_TIMER_CONFIG_INIT_PERIODIC(&config, on_timer, 100);
    is_status(WdfTimerCreate(&config, &attributes, &periodic), STATUS_SUCCESS);
    WdfTimerStart(periodic, WDF_REL_TIMEOUT_IN_MS(100));
    fixture_run(1050);
    ok(calls >= 10 && calls <= 12, "%u", calls);
    ok(WdfTimerStop(periodic, TRUE));
    unsigned before = calls;
    fixture_run(300);
    is_int(calls, before);
    fixture_stop();
}

NT_TEST(high_resolution_timers_do_not_wait_for_the_tick)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    WDFTIMER timer;
    start(&attributes);
    WDF_TIMER_CONFIG_INIT(&config, on_timer);
    config.UseHighResolutionTimer = TRUE;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
    uint64_t from = sched_interrupt_time();
    WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(3));
    fixture_run(5);
    is_int(calls, 1);
    ok(call_time - from >= 30000 && call_time - from < 35000, "%" PRIu64, (call_time - from));
    config.TolerableDelay = 10;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_INVALID_PARAMETER);
    fixture_stop();
}

NT_TEST(passive_timers_are_called_at_passive_level)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    WDFTIMER timer;
    start(&attributes);
    WDF_TIMER_CONFIG_INIT(&config, on_timer);
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
    WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(10));
    fixture_run(50);
    is_int(calls, 1);
    is_int(call_irql, PASSIVE_LEVEL);
    WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(1));
    WdfObjectDelete(timer); /* waits for what is under way */
    unsigned before = calls;
    fixture_run(50);
    is_int(calls, before);

    attributes.ParentObject = NULL;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_WDF_PARENT_NOT_SPECIFIED);
    fixture_stop();
}

static EVT_WDF_TIMER delete_timer;
static void delete_timer(WDFTIMER timer)
{
    called();
    WdfObjectDelete(timer);
}
static EVT_WDF_WORKITEM delete_work;
static void delete_work(WDFWORKITEM item)
{
    called();
    WdfObjectDelete(item);
}

NT_TEST(timers_and_work_items_may_delete_themselves)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_WORKITEM_CONFIG work;
    WDF_TIMER_CONFIG config;
    WDFWORKITEM item;
    WDFTIMER timer;
    for (schedule = 0; schedule < 30; schedule++) {
        tap_at("schedule %u", schedule);
        start(&attributes);
        WDF_TIMER_CONFIG_INIT(&config, delete_timer);
        for (unsigned kind = 0; kind < 4; kind++) {
            config.UseHighResolutionTimer = kind & 1;
            attributes.ExecutionLevel =
                kind & 2 ? WdfExecutionLevelPassive : WdfExecutionLevelInheritFromParent;
            is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
            WdfTimerStart(timer, WDF_REL_TIMEOUT_IN_MS(5));
            fixture_run(100);
        }
        is_int(calls, 4, "once each");
        attributes.ExecutionLevel = WdfExecutionLevelInheritFromParent;
        WDF_WORKITEM_CONFIG_INIT(&work, delete_work);
        is_status(WdfWorkItemCreate(&work, &attributes, &item), STATUS_SUCCESS);
        WdfWorkItemEnqueue(item);
        fixture_run(10);
        is_int(calls, 5);
        fixture_stop();
    }
    schedule = 0;
    tap_at(NULL);
}

NT_TEST(dpcs_and_work_items)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_DPC_CONFIG dpc_config;
    WDF_WORKITEM_CONFIG work_config;
    WDFDPC dpc;
    WDFWORKITEM item;
    KIRQL irql;
    WDFDEVICE device = start(&attributes);
    WDF_DPC_CONFIG_INIT(&dpc_config, on_dpc);
    is_status(WdfDpcCreate(&dpc_config, &attributes, &dpc), STATUS_SUCCESS);
    ok(WdfDpcGetParentObject(dpc) == device);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ok(WdfDpcEnqueue(dpc));
    ok(!WdfDpcEnqueue(dpc), "it is queued already");
    ok(WdfDpcCancel(dpc, FALSE));
    ok(WdfDpcEnqueue(dpc));
    KeLowerIrql(irql);
    fixture_run(1);
    is_int(calls, 1);
    is_int(call_irql, DISPATCH_LEVEL);

    WDF_WORKITEM_CONFIG_INIT(&work_config, on_work);
    is_status(WdfWorkItemCreate(&work_config, &attributes, &item), STATUS_SUCCESS);
    ok(WdfWorkItemGetParentObject(item) == device);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfWorkItemEnqueue(item);
    WdfWorkItemEnqueue(item);
    KeLowerIrql(irql);
    WdfWorkItemFlush(item);
    ok(calls == 2 || calls == 3, "what is enqueued again before it runs, runs once");
    is_int(call_irql, PASSIVE_LEVEL);
    ok(call_thread != KeGetCurrentThread());
    WdfWorkItemEnqueue(item);
    WdfObjectDelete(item); /* waits for what is under way */
    unsigned before = calls;
    fixture_run(10);
    is_int(calls, before);
    fixture_stop();
}

NT_TEST(locks)
{
    LONGLONG none = 0;
    WDFSPINLOCK spin;
    WDFWAITLOCK wait;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    is_status(WdfSpinLockCreate(NULL, &spin), STATUS_SUCCESS);
    WdfSpinLockAcquire(spin);
    is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
    WdfSpinLockRelease(spin);
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    is_status(WdfWaitLockCreate(NULL, &wait), STATUS_SUCCESS);
    is_status(WdfWaitLockAcquire(wait, NULL), STATUS_SUCCESS);
    WdfWaitLockRelease(wait);
    is_status(WdfWaitLockAcquire(wait, &none), STATUS_SUCCESS);
    WdfWaitLockRelease(wait);
    fixture_stop();
}

struct taker {
    WDFWAITLOCK lock;
    NTSTATUS status;
};
static void take(void *context)
{
    struct taker *taker = context;
    LONGLONG timeout = WDF_REL_TIMEOUT_IN_MS(20);
    nt_enter();
    taker->status = WdfWaitLockAcquire(taker->lock, &timeout);
    if (taker->status == STATUS_SUCCESS)
        WdfWaitLockRelease(taker->lock);
    nt_leave();
}

NT_TEST(a_wait_lock_excludes_other_threads)
{
    struct taker taker = {0};
    fixture_start(NT_DETERMINISTIC, tap_seed());
    is_status(WdfWaitLockCreate(NULL, &taker.lock), STATUS_SUCCESS);
    for (int held = 1; held >= 0; held--) {
        if (held)
            WdfWaitLockAcquire(taker.lock, NULL);
        struct nt_thread *thread = nt_spawn("taker", take, &taker);
        fixture_run(100);
        nt_leave();
        nt_join(thread);
        nt_enter();
        is_status(taker.status, held ? STATUS_TIMEOUT : STATUS_SUCCESS);
        if (held)
            WdfWaitLockRelease(taker.lock);
    }
    fixture_stop();
}

/* Callbacks that must not overlap: each stays a while, and looks whether another is there. */
static volatile int inside;
static unsigned overlaps, visits;

static void stay(void)
{
    overlaps += inside != 0;
    inside++;
    for (int i = 0; i < 5; i++)
        sched_point();
    inside--;
    visits++;
}
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL stay_in_callback;
static void stay_in_callback(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input,
                             ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    stay();
    WdfRequestComplete(request, STATUS_SUCCESS);
}
static EVT_WDF_TIMER stay_in_timer;
static void stay_in_timer(WDFTIMER timer)
{
    (void)timer;
    stay();
}

static struct fixture_file shared_file;
static void send_some(void *unused)
{
    (void)unused;
    nt_enter();
    for (int i = 0; i < 4; i++) {
        struct fixture_request request;
        fixture_send(&shared_file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
        while (!*(volatile bool *)&request.done) {
            LARGE_INTEGER delay = {.QuadPart = -10000};
            KeDelayExecutionThread(KernelMode, FALSE, &delay);
        }
        fixture_release(&request);
    }
    nt_leave();
}

static void run_scope(WDF_SYNCHRONIZATION_SCOPE scope, WDF_EXECUTION_LEVEL level, uint64_t seed)
{
    WDF_OBJECT_ATTRIBUTES device_attributes, timer_attributes;
    WDF_IO_QUEUE_CONFIG queue;
    WDF_TIMER_CONFIG timer;
    struct fixture_device options = {.queue = &queue, .device_attributes = &device_attributes};
    struct nt_thread *threads[2];
    WDFTIMER handle = NULL;
    inside = 0;
    overlaps = visits = 0;
    fixture_start(NT_DETERMINISTIC, seed);
    WDF_OBJECT_ATTRIBUTES_INIT(&device_attributes);
    device_attributes.SynchronizationScope = scope;
    device_attributes.ExecutionLevel = level;
    WDF_IO_QUEUE_CONFIG_INIT(&queue, WdfIoQueueDispatchParallel);
    queue.EvtIoDeviceControl = stay_in_callback;
    WDFDEVICE device = fixture_device(&options);
    WDF_OBJECT_ATTRIBUTES_INIT(&timer_attributes);
    timer_attributes.ParentObject = scope == WdfSynchronizationScopeQueue
                                        ? (WDFOBJECT)WdfDeviceGetDefaultQueue(device)
                                        : (WDFOBJECT)device;
    timer_attributes.ExecutionLevel = level;
    WDF_TIMER_CONFIG_INIT_PERIODIC(&timer, stay_in_timer, 16);
    is_status(WdfTimerCreate(&timer, &timer_attributes, &handle), STATUS_SUCCESS);
    is_status(fixture_open(&shared_file), STATUS_SUCCESS);
    WdfTimerStart(handle, WDF_REL_TIMEOUT_IN_MS(1));
    for (int i = 0; i < 2; i++)
        threads[i] = nt_spawn("sender", send_some, NULL);
    fixture_run(500);
    nt_leave();
    for (int i = 0; i < 2; i++)
        nt_join(threads[i]);
    nt_enter();
    fixture_close(&shared_file);
    ok(visits > 20, "%u visits", visits);
    fixture_stop();
}

NT_TEST(callbacks_of_one_scope_do_not_overlap)
{
    static const WDF_SYNCHRONIZATION_SCOPE scopes[] = {WdfSynchronizationScopeDevice,
                                                       WdfSynchronizationScopeQueue};
    static const WDF_EXECUTION_LEVEL levels[] = {WdfExecutionLevelDispatch,
                                                 WdfExecutionLevelPassive};
    for (unsigned s = 0; s < 2; s++)
        for (unsigned l = 0; l < 2; l++)
            for (unsigned i = 0; i < 20; i++) {
                tap_at("scope %u, level %u, seed %" PRIu64, s, l, tap_seed() + i);
                run_scope(scopes[s], levels[l], tap_seed() + i);
                is_int(overlaps, 0);
            }
    unsigned found = 0;
    for (unsigned i = 0; i < 20; i++) {
        run_scope(WdfSynchronizationScopeNone, WdfExecutionLevelDispatch, tap_seed() + i);
        found += overlaps != 0;
    }
    tap_at(NULL);
    ok(found > 0, "without a scope they do, so that the test can tell");
}

static KIRQL handler_irql;
static PKTHREAD handler_thread;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL note_irql;
static WDFREQUEST noted[4];
static unsigned noted_count;
static void note_irql(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input, ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    handler_irql = KeGetCurrentIrql();
    handler_thread = KeGetCurrentThread();
    noted[noted_count++ % 4] = request;
}

NT_TEST(a_passive_queue_calls_at_passive_level)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_device options = {.queue = &queue, .queue_attributes = &attributes};
    struct fixture_request requests[2];
    struct fixture_file file;
    KIRQL irql;
    noted_count = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ExecutionLevel = WdfExecutionLevelPassive;
    WDF_IO_QUEUE_CONFIG_INIT(&queue, WdfIoQueueDispatchSequential);
    queue.EvtIoDeviceControl = note_irql;
    fixture_device(&options);
    is_status(fixture_open(&file), STATUS_SUCCESS);
    for (int i = 0; i < 2; i++)
        fixture_send(&file, &requests[i], FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    is_int(noted_count, 1);
    is_int(handler_irql, PASSIVE_LEVEL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfRequestComplete(noted[0], STATUS_SUCCESS);
    ok(noted_count == 1 || handler_thread != KeGetCurrentThread(), "not from here");
    KeLowerIrql(irql);
    fixture_run(10);
    is_int(noted_count, 2);
    is_int(handler_irql, PASSIVE_LEVEL);
    WdfRequestComplete(noted[1], STATUS_SUCCESS);
    for (int i = 0; i < 2; i++) {
        fixture_wait(&requests[i]);
        fixture_release(&requests[i]);
    }
    fixture_close(&file);
    fixture_stop();
}
