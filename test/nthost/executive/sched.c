/*
 * The schedulers themselves: driver context, processors, replay of schedules, virtual time, and
 * that the deterministic one finds a race that a real machine rarely shows.
 */
#include "common.h"
#include <sched.h>

/* A passive slot admits one thread at a time: with one processor, threads in driver context exclude
 * each other except where they block. (Real time: the deterministic scheduler preempts them.) */
static struct {
    volatile LONG inside, most;
} slots;

static void slot_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 200; i++) {
        nt_enter(); /* nests */
        LONG now = InterlockedIncrement(&slots.inside);
        if (now > slots.most)
            slots.most = now;
        for (volatile int spin = 0; spin < 1000; spin++)
            ;
        InterlockedDecrement(&slots.inside);
        nt_leave();
        nt_leave();
        sched_yield();
        nt_enter();
    }
}

NT_TEST(passive_slots_admit_one_thread_a_processor)
{
    struct worker workers[4];
    for (unsigned processors = 1; processors <= 3; processors++) {
        const struct nt_options options = {
            .scheduler = NT_REALTIME, .processors = processors, .verifier = true};
        nt_start(&options);
        slots.inside = slots.most = 0;
        for (int i = 0; i < 4; i++)
            worker_start(&workers[i], slot_body, NULL);
        for (int i = 0; i < 4; i++)
            worker_join(&workers[i]);
        ok(slots.most <= (LONG)processors, "%d threads inside with %u processors", slots.most,
           processors);
        is_int(slots.inside, 0);
        nt_stop();
    }
}

static KEVENT blocker;
static volatile LONG passed;

static void blocked_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    KeWaitForSingleObject(&blocker, Executive, KernelMode, FALSE, NULL);
    InterlockedIncrement(&passed);
}

static void release_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    KeSetEvent(&blocker, 0, FALSE);
}

/* A blocked thread gives up its slot: the one that wakes it gets in although there is one
 * processor. */
NT_TEST(blocking_releases_the_slot)
{
    for (int mode = 0; mode < 2; mode++) {
        struct worker a, b, c;
        const struct nt_options options = {
            .scheduler = mode ? NT_DETERMINISTIC : NT_REALTIME, .processors = 1, .verifier = true};
        nt_start(&options);
        KeInitializeEvent(&blocker, NotificationEvent, FALSE);
        passed = 0;
        worker_start(&a, blocked_body, NULL);
        worker_start(&b, blocked_body, NULL);
        worker_start(&c, release_body, NULL);
        worker_join(&a);
        worker_join(&b);
        worker_join(&c);
        is_int(passed, 2);
        nt_stop();
    }
}

/* A raised thread and another processor's raised thread run at the same time; two on one do not. */
static volatile LONG raised_here;

static void raised_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    static volatile LONG per_processor[64];
    for (int i = 0; i < 100; i++) {
        KIRQL old = KeRaiseIrqlToDpcLevel();
        ULONG processor = KeGetCurrentProcessorNumberEx(NULL);
        ok(InterlockedIncrement(&per_processor[processor]) == 1,
           "two raised threads on processor %u", processor);
        for (volatile int spin = 0; spin < 100; spin++)
            ;
        sched_point();
        is_int(KeGetCurrentProcessorNumberEx(NULL), processor);
        InterlockedDecrement(&per_processor[processor]);
        KeLowerIrql(old);
    }
    InterlockedIncrement(&raised_here);
}

static void raised_exclude(void)
{
    struct worker workers[3];
    raised_here = 0;
    for (int i = 0; i < 3; i++)
        worker_start(&workers[i], raised_body, NULL);
    for (int i = 0; i < 3; i++)
        worker_join(&workers[i]);
    is_int(raised_here, 3);
}

NT_TEST(raised_threads_exclude_each_other_on_a_processor)
{
    each_scheduler(raised_exclude);
}

/* Equal seeds, equal schedules; and another seed, another schedule. */
static char order[64];
static volatile LONG order_length;

static void trace_body(void *context)
{
    char name = *(const char *)context;
    for (int i = 0; i < 5; i++) {
        KeRaiseIrqlToDpcLevel();
        order[order_length++] = name;
        KeLowerIrql(PASSIVE_LEVEL);
    }
}

static uint64_t trace_run(uint64_t seed, char text[64])
{
    struct worker workers[3];
    tap_start(NT_DETERMINISTIC, seed);
    memset(order, 0, sizeof order);
    order_length = 0;
    for (int i = 0; i < 3; i++)
        worker_start(&workers[i], trace_body, (void *)(uintptr_t)&"abc"[i]);
    for (int i = 0; i < 3; i++)
        worker_join(&workers[i]);
    uint64_t hash = sched_trace_hash();
    nt_stop();
    memcpy(text, order, 64);
    return hash;
}

NT_TEST(schedules_replay_from_their_seed)
{
    char first[64], again[64], seen[100][64];
    unsigned different = 0;
    for (unsigned seed = 0; seed < 100; seed++) {
        uint64_t hash = trace_run(tap_seed() + seed, first);
        is_int(strlen(first), 15);
        is_hex(trace_run(tap_seed() + seed, again), hash, "seed %u", seed);
        is_str(again, first, "seed %u", seed);
        bool is_new = true;
        for (unsigned i = 0; i < different; i++)
            is_new = is_new && strcmp(seen[i], first);
        if (is_new)
            memcpy(seen[different++], first, 64);
    }
    ok(different > 50, "100 seeds gave %u orders", different);
}

/* A lost update: read, be preempted at a kernel call, write. */
static volatile LONG counter;
static KSPIN_LOCK counter_lock;

static void racy_body(void *context)
{
    bool locked = context != NULL;
    for (int i = 0; i < 3; i++) {
        KIRQL irql = 0;
        if (locked)
            KeAcquireSpinLock(&counter_lock, &irql);
        LONG value = counter;
        KeGetCurrentIrql();
        sched_point();
        counter = value + 1;
        if (locked)
            KeReleaseSpinLock(&counter_lock, irql);
    }
}

static LONG race(uint64_t seed, bool locked)
{
    struct worker a, b;
    tap_start(NT_DETERMINISTIC, seed);
    counter = 0;
    KeInitializeSpinLock(&counter_lock);
    worker_start(&a, racy_body, locked ? &counter_lock : NULL);
    worker_start(&b, racy_body, locked ? &counter_lock : NULL);
    worker_join(&a);
    worker_join(&b);
    nt_stop();
    return counter;
}

NT_TEST(a_race_is_found_and_replays)
{
    unsigned found = 0;
    uint64_t first_seed = 0;
    for (unsigned i = 0; i < 200; i++) {
        LONG result = race(tap_seed() + i, false);
        ok(result <= 6);
        if (result != 6 && !found++)
            first_seed = tap_seed() + i;
        is_int(race(tap_seed() + i, true), 6, "with the lock, seed %u", i);
    }
    ok(found > 10, "lost updates in %u of 200 schedules", found);
    for (int i = 0; i < 5; i++)
        ok(race(first_seed, false) != 6, "seed %llu replays", (unsigned long long)first_seed);
}

/* An explorer: depth first over all answers of sched_choose(). */
struct explorer {
    unsigned char choice[256], width[256];
    unsigned depth, length;
};

static unsigned explore(void *context, unsigned n)
{
    struct explorer *explorer = context;
    if (explorer->depth == explorer->length) {
        explorer->choice[explorer->length] = 0;
        explorer->width[explorer->length++] = (unsigned char)n;
    }
    is_int(explorer->width[explorer->depth], n, "choices replay");
    return explorer->choice[explorer->depth++];
}

static bool explore_next(struct explorer *explorer)
{
    while (explorer->length &&
           explorer->choice[explorer->length - 1] + 1 == explorer->width[explorer->length - 1])
        explorer->length--;
    if (explorer->length)
        explorer->choice[explorer->length - 1]++;
    explorer->depth = 0;
    return explorer->length != 0;
}

static void small_body(void *context)
{
    char name = *(const char *)context;
    order[InterlockedIncrement(&order_length) - 1] = name;
    sched_point();
    order[InterlockedIncrement(&order_length) - 1] = name;
}

NT_TEST(all_interleavings_can_be_enumerated)
{
    struct explorer explorer = {.depth = 0};
    char seen[64][8];
    unsigned runs = 0, different = 0;
    do {
        struct worker a, b;
        const struct nt_options options = {.scheduler = NT_DETERMINISTIC, .processors = 2};
        nt_start(&options);
        sched_set_chooser(explore, &explorer);
        memset(order, 0, sizeof order);
        order_length = 0;
        worker_start(&a, small_body, (void *)(uintptr_t)"a");
        worker_start(&b, small_body, (void *)(uintptr_t)"b");
        worker_join(&a);
        worker_join(&b);
        sched_set_chooser(NULL, NULL);
        nt_stop();
        runs++;
        bool is_new = true;
        for (unsigned i = 0; i < different; i++)
            is_new = is_new && strcmp(seen[i], order);
        if (is_new && different < 64)
            memcpy(seen[different++], order, 8);
    } while (explore_next(&explorer) && runs < 100000 && !tap_failing());
    ok(runs < 100000, "%u runs", runs);
    is_int(different, 6, "aabb abab abba baab baba bbaa");
    diag("%u runs", runs);
}

/* Virtual time stands still while anything runs, and jumps to what is due. */
NT_TEST(virtual_time_jumps_when_all_block)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    uint64_t start = sched_interrupt_time();
    for (volatile int spin = 0; spin < 1000000; spin++)
        ;
    is_int(sched_interrupt_time(), start);
    sched_run_for(3600 * 1000 * MS);
    is_int(sched_interrupt_time() - start, 3600 * 1000 * MS);
    LARGE_INTEGER interval = relative(20 * MS), before, after;
    KeQuerySystemTimePrecise(&before);
    KeDelayExecutionThread(KernelMode, FALSE, &interval);
    KeQuerySystemTimePrecise(&after);
    ok(sched_interrupt_time() % SCHED_TICK == 0, "a delay ends at a tick");
    ok(after.QuadPart - before.QuadPart >= 20 * MS &&
       after.QuadPart - before.QuadPart < 20 * MS + (LONGLONG)SCHED_TICK);
    nt_stop();
}

/* A busy wait on the clock ends. */
NT_TEST(busy_waits_on_virtual_time_end)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    nt_enter();
    ULONG64 until = interrupt_time() + 1000;
    while (interrupt_time() < until)
        ;
    ok(interrupt_time() < until + 1000);
    nt_leave();
    nt_stop();
}

/* With time slip a timer's DPC preempts a thread that computes. */
static volatile LONG slipped;

static VOID NTAPI slip_routine(PKDPC dpc, PVOID context, PVOID a, PVOID b)
{
    UNREFERENCED_PARAMETER(dpc);
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    slipped = 1;
}

NT_TEST(time_slips_under_running_threads)
{
    unsigned within = 0;
    for (unsigned i = 0; i < 50; i++) {
        KTIMER timer;
        KDPC dpc;
        tap_start(NT_DETERMINISTIC, tap_seed() + i);
        sched_set_time_slip(10);
        KeInitializeTimer(&timer);
        KeInitializeDpc(&dpc, slip_routine, NULL);
        slipped = 0;
        nt_enter();
        KeSetTimer(&timer, relative(30 * MS), &dpc);
        for (int k = 0; k < 100; k++)
            sched_point();
        within += slipped != 0;
        KeCancelTimer(&timer);
        KeFlushQueuedDpcs();
        nt_leave();
        nt_stop();
    }
    ok(within > 25, "in %u of 50", within);
}

static void deadlock_body(void *context)
{
    KSPIN_LOCK *locks = context;
    KIRQL irql;
    KeAcquireSpinLock(&locks[1], &irql);
    KeAcquireSpinLockAtDpcLevel(&locks[0]);
    KeReleaseSpinLockFromDpcLevel(&locks[0]);
    KeReleaseSpinLock(&locks[1], irql);
}

static void waits_for_ever(void)
{
    KEVENT event;
    tap_start(NT_DETERMINISTIC, tap_seed());
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    KeWaitForSingleObject(&event, Executive, KernelMode, FALSE, NULL);
}

/* Real deadlocks, with the lock order rule off so that they come about. */
static void spin_deadlock(void)
{
    for (unsigned i = 0; i < 1000; i++) {
        static KSPIN_LOCK locks[2];
        struct worker worker;
        KIRQL irql;
        const struct nt_options options = {
            .scheduler = NT_DETERMINISTIC, .processors = 2, .seed = tap_seed() + i};
        nt_start(&options);
        worker_start(&worker, deadlock_body, locks);
        nt_enter();
        KeAcquireSpinLock(&locks[0], &irql);
        KeAcquireSpinLockAtDpcLevel(&locks[1]);
        KeReleaseSpinLockFromDpcLevel(&locks[1]);
        KeReleaseSpinLock(&locks[0], irql);
        nt_leave();
        worker_join(&worker);
        nt_stop();
    }
}

NT_TEST(deadlocks_are_reported)
{
    expect_violation("Deadlock", waits_for_ever);
    ok(strstr(tap_child_output(), "main") && strstr(tap_child_output(), "waits for event"), "%s",
       tap_child_output());
    expect_violation("Deadlock", spin_deadlock);
    ok(strstr(tap_child_output(), "waits for the lock") != NULL, "%s", tap_child_output());
}

/* Affinity moves a thread, at once. */
static void affinity(void)
{
    PROCESSOR_NUMBER number;
    nt_enter();
    for (ULONG i = 0; i < KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS); i++) {
        KAFFINITY before = KeSetSystemAffinityThreadEx((KAFFINITY)1 << i);
        is_int(before, 0);
        is_int(KeGetCurrentProcessorNumberEx(&number), i);
        is_int(number.Number, i);
        KIRQL old = KeRaiseIrqlToDpcLevel();
        is_int(KeGetCurrentProcessorNumberEx(NULL), i);
        KeLowerIrql(old);
        KeRevertToUserAffinityThreadEx(before);
    }
    nt_leave();
}

NT_TEST(affinity_moves_threads)
{
    each_scheduler(affinity);
}

/* Host code at DISPATCH_LEVEL, as a NIC's DPC. */
static void dispatch_entry(void)
{
    for (unsigned processor = 0; processor < sched_processors(); processor++) {
        nt_enter_dispatch(processor);
        is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
        is_int(KeGetCurrentProcessorNumberEx(NULL), processor);
        nt_leave_dispatch();
        is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    }
}

NT_TEST(host_code_enters_at_dispatch)
{
    each_scheduler(dispatch_entry);
}

/* The host can be started and stopped at will. */
NT_TEST(starts_and_stops)
{
    for (int i = 0; i < 20; i++) {
        tap_start(NT_REALTIME, 0);
        nt_stop();
    }
    for (int i = 0; i < 2000; i++) {
        tap_start(NT_DETERMINISTIC, (uint64_t)i);
        nt_stop();
    }
    ok(nt_current() == NULL);
}
