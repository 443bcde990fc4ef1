/*
 * Timers and DPCs.
 */
#include "common.h"

static struct {
    volatile LONG count;
    ULONG64 at[64];
    volatile LONG wrong_irql, overlap, inside;
} fired;

static VOID NTAPI timer_routine(PKDPC dpc, PVOID context, PVOID a, PVOID b)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    if (KeGetCurrentIrql() != DISPATCH_LEVEL)
        fired.wrong_irql = 1;
    if (fired.count < 64)
        fired.at[fired.count] = interrupt_time();
    InterlockedIncrement(&fired.count);
}

static void wait_for_count(LONG count)
{
    for (int i = 0; i < 3000 && fired.count < count; i++)
        pass(MS);
    ok(fired.count >= count, "%d of %d", fired.count, count);
}

static void one_shot(void)
{
    KTIMER timer;
    KDPC dpc;
    memset(&fired, 0, sizeof fired);
    KeInitializeTimer(&timer);
    KeInitializeDpc(&dpc, timer_routine, NULL);
    ULONG64 start = interrupt_time();
    ok(!KeSetTimer(&timer, relative(3 * MS), &dpc));
    ok(KeSetTimer(&timer, relative(5 * MS), &dpc), "it was set");
    ok(!KeReadStateTimer(&timer));
    wait_for_count(1);
    ok(KeReadStateTimer(&timer));
    ok(fired.at[0] >= start + 5 * MS);
    ok(!fired.wrong_irql);
    if (sched_is_deterministic())
        is_int(fired.at[0], sched_tick_ceil(start + 5 * MS),
               "at the first tick after its due time");
    else
        ok(fired.at[0] >= sched_tick_ceil(start + 5 * MS), "not before the tick");
    is_status(KeWaitForSingleObject(&timer, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    ok(!KeCancelTimer(&timer), "it has expired");
    is_int(fired.count, 1);

    KeSetTimer(&timer, relative(50 * MS), &dpc);
    ok(!KeReadStateTimer(&timer), "setting resets");
    ok(KeCancelTimer(&timer));
    pass(100 * MS);
    is_int(fired.count, 1, "cancelled");

    LARGE_INTEGER past;
    KeQuerySystemTimePrecise(&past);
    KeSetTimer(&timer, past, &dpc);
    ok(KeReadStateTimer(&timer), "a time that has passed: at once");
    wait_for_count(2);
}

NT_TEST(timers_expire_at_ticks)
{
    each_scheduler(one_shot);
}

static void periodic(void)
{
    KTIMER timer;
    KDPC dpc;
    memset(&fired, 0, sizeof fired);
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    KeInitializeDpc(&dpc, timer_routine, NULL);
    ULONG64 start = interrupt_time();
    KeSetTimerEx(&timer, relative(20 * MS), 20, &dpc);
    wait_for_count(10);
    KeCancelTimer(&timer);
    KeFlushQueuedDpcs();
    LONG count = fired.count;
    if (sched_is_deterministic()) {
        for (int i = 0; i < 10; i++)
            is_int(fired.at[i], sched_tick_ceil(start + (ULONG64)(20 * (i + 1)) * MS),
                   "expiry %d: no drift", i);
    } else {
        ULONG64 last = fired.at[9] - start;
        ok(last >= 200 * MS && last < 400 * MS, "ten periods of 20 ms took %llu",
           (unsigned long long)last / MS);
    }
    pass(100 * MS);
    is_int(fired.count, count, "no more after cancelling and flushing");
}

NT_TEST(periodic_timers_do_not_drift)
{
    each_scheduler(periodic);
}

static void sync_timer(void)
{
    KTIMER timer;
    LARGE_INTEGER none = {.QuadPart = 0};
    KeInitializeTimerEx(&timer, SynchronizationTimer);
    KeSetTimer(&timer, relative(MS), NULL);
    is_status(KeWaitForSingleObject(&timer, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS);
    is_status(KeWaitForSingleObject(&timer, Executive, KernelMode, FALSE, &none), STATUS_TIMEOUT);
    ok(!KeCancelTimer(&timer));
}

NT_TEST(synchronization_timers_release_one_wait)
{
    each_scheduler(sync_timer);
}

/* EX_TIMER */

static VOID NTAPI ex_routine(PEX_TIMER timer, PVOID context)
{
    UNREFERENCED_PARAMETER(timer);
    UNREFERENCED_PARAMETER(context);
    if (InterlockedIncrement(&fired.inside) != 1)
        fired.overlap = 1;
    timer_routine(NULL, NULL, NULL, NULL);
    sched_point();
    InterlockedDecrement(&fired.inside);
}

static void ex_precise(void)
{
    memset(&fired, 0, sizeof fired);
    PEX_TIMER timer = ExAllocateTimer(ex_routine, NULL, EX_TIMER_HIGH_RESOLUTION);
    need(timer != NULL);
    ULONG64 start = interrupt_time();
    ok(!ExSetTimer(timer, -(10 * MS + 7), 10 * MS, NULL));
    wait_for_count(20);
    ok(!fired.wrong_irql && !fired.overlap);
    if (sched_is_deterministic()) {
        for (int i = 0; i < 20; i++)
            is_int(fired.at[i] - start, 10 * MS * (i + 1) + 7, "exactly");
    } else {
        /* A machine that stalls skips periods, but none comes before its time. */
        for (int i = 0; i < 20; i++) {
            LONGLONG since = (LONGLONG)(fired.at[i] - start) - 7;
            ok(since >= (i + 1) * 10 * MS, "expiry %d at %lld", i, (long long)since);
        }
    }
    ok(ExCancelTimer(timer, NULL));
    ok(!ExCancelTimer(timer, NULL));
    LONG count = fired.count;
    pass(50 * MS);
    ok(fired.count <= count + 1);
    ok(!ExDeleteTimer(timer, TRUE, TRUE, NULL));
}

NT_TEST(high_resolution_timers_are_exact)
{
    each_scheduler(ex_precise);
}

static volatile LONG deleted;

static VOID NTAPI delete_callback(PVOID context)
{
    is_ptr(context, &deleted);
    InterlockedIncrement(&deleted);
}

static void ex_lifetime(void)
{
    EXT_DELETE_PARAMETERS parameters;
    memset(&fired, 0, sizeof fired);
    deleted = 0;
    ExInitializeDeleteTimerParameters(&parameters);
    parameters.DeleteCallback = delete_callback;
    parameters.DeleteContext = (PVOID)(ULONG_PTR)&deleted;

    PEX_TIMER timer = ExAllocateTimer(ex_routine, NULL, 0);
    ULONG64 start = interrupt_time();
    ExSetTimer(timer, -MS, 0, NULL);
    wait_for_count(1);
    if (sched_is_deterministic())
        is_int(fired.at[0], sched_tick_ceil(start + MS), "others at ticks");
    ExSetTimer(timer, -1000 * MS, 0, NULL);
    ok(ExSetTimer(timer, -2000 * MS, 0, NULL), "it was set");
    ok(ExDeleteTimer(timer, TRUE, TRUE, &parameters), "it was set");
    is_int(deleted, 1);
    is_int(fired.count, 1);

    timer = ExAllocateTimer(ex_routine, NULL, EX_TIMER_NOTIFICATION);
    ExSetTimer(timer, -20 * MS, 0, NULL);
    ok(!ExDeleteTimer(timer, FALSE, FALSE, &parameters), "not cancelled: dies when it has expired");
    is_int(deleted, 1);
    wait_for_count(2);
    for (int i = 0; i < 1000 && deleted < 2; i++)
        pass(MS);
    is_int(deleted, 2);

    timer = ExAllocateTimer(NULL, NULL, EX_TIMER_NOTIFICATION);
    ExSetTimer(timer, -MS, 0, NULL);
    is_status(KeWaitForSingleObject(timer, Executive, KernelMode, FALSE, NULL), STATUS_SUCCESS,
              "waitable");
    ExDeleteTimer(timer, TRUE, FALSE, &parameters);
    is_int(deleted, 3);
}

NT_TEST(ex_timers_die_when_they_may)
{
    each_scheduler(ex_lifetime);
}

/* After ExDeleteTimer with Wait, the callback does not run and does not begin to. */
static void ex_delete_body(void)
{
    memset(&fired, 0, sizeof fired);
    sched_set_time_slip(8);
    PEX_TIMER timer = ExAllocateTimer(ex_routine, NULL, EX_TIMER_HIGH_RESOLUTION);
    nt_enter();
    /* The callback runs on one processor, we are on the other: nothing else keeps them apart. */
    KeSetSystemAffinityThreadEx(1);
    ExSetTimer(timer, -10, 10, NULL);
    KeSetSystemAffinityThreadEx(2);
    for (unsigned i = sched_choose(20); i-- > 0;)
        sched_point();
    ExDeleteTimer(timer, TRUE, TRUE, NULL);
    is_int(fired.inside, 0);
    LONG count = fired.count;
    for (int i = 0; i < 20; i++)
        sched_point();
    is_int(fired.count, count);
    KeRevertToUserAffinityThreadEx(0);
    nt_leave();
}

NT_TEST(deleting_an_ex_timer_waits_for_its_callback)
{
    each_seed(2000, ex_delete_body);
}

/* DPCs */

static struct {
    KDPC dpc[4];
    volatile LONG ran[4];
    ULONG processor[4];
    volatile LONG raised, violations;
    int order[4], count;
} dpcs;

static VOID NTAPI dpc_routine(PKDPC dpc, PVOID context, PVOID a, PVOID b)
{
    int i = (int)(intptr_t)context;
    ok(dpc == &dpcs.dpc[i] && a == (PVOID)1 && b == (PVOID)2);
    is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
    dpcs.processor[i] = KeGetCurrentProcessorNumberEx(NULL);
    dpcs.order[dpcs.count++ % 4] = i;
    InterlockedIncrement(&dpcs.ran[i]);
}

static void dpc_basics(void)
{
    memset(&dpcs, 0, sizeof dpcs);
    for (int i = 0; i < 4; i++)
        KeInitializeDpc(&dpcs.dpc[i], dpc_routine, (PVOID)(intptr_t)i);
    nt_enter();
    /* Below DISPATCH_LEVEL, for this processor: runs before the call returns. */
    KeInsertQueueDpc(&dpcs.dpc[0], (PVOID)1, (PVOID)2);
    is_int(dpcs.ran[0], 1);
    /* Raised: when the IRQL is lowered, in order, high importance first; once however often queued.
     */
    KIRQL old = KeRaiseIrqlToDpcLevel();
    ULONG here = KeGetCurrentProcessorNumberEx(NULL);
    KeSetImportanceDpc(&dpcs.dpc[3], HighImportance);
    dpcs.count = 0;
    ok(KeInsertQueueDpc(&dpcs.dpc[1], (PVOID)1, (PVOID)2));
    ok(!KeInsertQueueDpc(&dpcs.dpc[1], (PVOID)7, (PVOID)7));
    ok(KeInsertQueueDpc(&dpcs.dpc[2], (PVOID)1, (PVOID)2));
    ok(KeInsertQueueDpc(&dpcs.dpc[3], (PVOID)1, (PVOID)2));
    ok(KeInsertQueueDpc(&dpcs.dpc[0], (PVOID)1, (PVOID)2));
    ok(KeRemoveQueueDpc(&dpcs.dpc[0]) && !KeRemoveQueueDpc(&dpcs.dpc[0]));
    is_int(dpcs.ran[1], 0, "raised threads are not interrupted");
    KeLowerIrql(old);
    ok(dpcs.order[0] == 3 && dpcs.order[1] == 1 && dpcs.order[2] == 2);
    is_int(dpcs.processor[1], here);
    is_int(dpcs.ran[0], 1);
    /* On another processor. */
    PROCESSOR_NUMBER number = {.Number = 1}, none = {.Number = 77};
    is_status(KeSetTargetProcessorDpcEx(&dpcs.dpc[1], &none), STATUS_INVALID_PARAMETER);
    is_status(KeSetTargetProcessorDpcEx(&dpcs.dpc[1], &number), STATUS_SUCCESS);
    KeInsertQueueDpc(&dpcs.dpc[1], (PVOID)1, (PVOID)2);
    KeFlushQueuedDpcs();
    is_int(dpcs.ran[1], 2);
    is_int(dpcs.processor[1], 1);
    nt_leave();
}

NT_TEST(dpcs_run_where_and_when_they_should)
{
    each_scheduler(dpc_basics);
}

/* A DPC never runs on a processor while a thread is raised there. */
static volatile LONG raised_on[64];

static VOID NTAPI exclusion_routine(PKDPC dpc, PVOID context, PVOID a, PVOID b)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    ok(!raised_on[KeGetCurrentProcessorNumberEx(NULL)], "DPC on processor %u under a raised thread",
       KeGetCurrentProcessorNumberEx(NULL));
    InterlockedIncrement(&dpcs.raised);
    sched_point();
    ok(!raised_on[KeGetCurrentProcessorNumberEx(NULL)]);
}

static void exclusion_body(void *context)
{
    PKDPC mine = context;
    for (int i = 0; i < 30; i++) {
        KeInsertQueueDpc(mine, NULL, NULL);
        KIRQL old = KeRaiseIrqlToDpcLevel();
        ULONG processor = KeGetCurrentProcessorNumberEx(NULL);
        raised_on[processor] = 1;
        sched_point();
        KeInsertQueueDpc(mine, NULL, NULL);
        sched_point();
        raised_on[processor] = 0;
        KeLowerIrql(old);
    }
}

static void exclusion(void)
{
    struct worker workers[3];
    dpcs.raised = 0;
    for (int i = 0; i < 3; i++) {
        KeInitializeDpc(&dpcs.dpc[i], exclusion_routine, NULL);
        if (i < 2)
            KeSetTargetProcessorDpc(&dpcs.dpc[i], (CCHAR)i);
        worker_start(&workers[i], exclusion_body, &dpcs.dpc[i]);
    }
    for (int i = 0; i < 3; i++)
        worker_join(&workers[i]);
    KeFlushQueuedDpcs();
    ok(dpcs.raised > 30, "%d DPCs ran", dpcs.raised);
}

NT_TEST(dpcs_exclude_raised_threads)
{
    each_scheduler(exclusion);
}

/* A passive thread does not get past a kernel call while DPCs run on its processor. */
static volatile LONG in_dpc, dpc_runs, holder_stop;

static VOID NTAPI long_routine(PKDPC dpc, PVOID context, PVOID a, PVOID b)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    ULONG64 until = interrupt_time() + 2 * MS;
    InterlockedExchange(&in_dpc, 1);
    while (interrupt_time() < until)
        sched_point();
    InterlockedExchange(&in_dpc, 0);
    InterlockedIncrement(&dpc_runs);
}

static void held_body(void *context)
{
    LONG *held = context;
    KEVENT event;
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeSetSystemAffinityThreadEx(2);
    while (!holder_stop) {
        LONG before = in_dpc, runs = dpc_runs;
        KeSetEvent(&event, 0, FALSE);
        if (before && in_dpc && dpc_runs == runs)
            fail("a kernel call went through under a DPC of the thread's processor");
        *held += before;
    }
    KeRevertToUserAffinityThreadEx(0);
}

static void holding(void)
{
    struct worker worker;
    LONG held = 0;
    KDPC dpc;
    in_dpc = dpc_runs = holder_stop = 0;
    KeInitializeDpc(&dpc, long_routine, NULL);
    KeSetTargetProcessorDpc(&dpc, 1);
    worker_start(&worker, held_body, &held);
    nt_enter();
    KeSetSystemAffinityThreadEx(1);
    for (LONG i = 0; i < (sched_is_deterministic() ? 3 : 20); i++) {
        KeInsertQueueDpc(&dpc, NULL, NULL);
        while (dpc_runs <= i)
            sched_point();
    }
    holder_stop = 1;
    KeRevertToUserAffinityThreadEx(0);
    nt_leave();
    worker_join(&worker);
}

NT_TEST(passive_threads_are_held_while_dpcs_run)
{
    tap_start(NT_REALTIME, 0);
    holding();
    nt_stop();
    each_seed(10, holding);
}

static volatile LONG generic[64], together;

static VOID NTAPI generic_routine(PKDPC dpc, PVOID context, PVOID done, PVOID synchronize)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    InterlockedIncrement(&generic[KeGetCurrentProcessorNumberEx(NULL)]);
    InterlockedIncrement(&together);
    KeSignalCallDpcSynchronize(synchronize);
    is_int(together, (LONG)sched_processors(), "all arrived");
    KeSignalCallDpcSynchronize(synchronize);
    KeSignalCallDpcDone(done);
}

static void generic_call(void)
{
    memset((void *)generic, 0, sizeof generic);
    together = 0;
    KeGenericCallDpc(generic_routine, NULL);
    for (unsigned i = 0; i < sched_processors(); i++)
        is_int(generic[i], 1);
}

NT_TEST(generic_dpcs_run_everywhere_at_once)
{
    each_scheduler(generic_call);
}
