/*
 * What the fast paths cost, printed; bounds are generous, they catch a lock or a system call that
 * crept in.
 */
#include "common.h"
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* The best of several runs: what else this machine does is not what is measured. */
#define COST(what, bound, count, statement)                                                        \
    do {                                                                                           \
        double best = 1e18;                                                                        \
        for (int run = 0; run < 7; run++) {                                                        \
            double start = now_ns();                                                               \
            for (int i = 0; i < (count); i++) {                                                    \
                statement;                                                                         \
            }                                                                                      \
            double took = (now_ns() - start) / (count);                                            \
            best = took < best ? took : best;                                                      \
        }                                                                                          \
        diag("%-46s %8.1f ns", what, best);                                                        \
        ok(INSTRUMENTED || best < (bound), "%s: %.1f ns", what, best);                             \
    } while (0)

static volatile ULONG64 sink;

NT_TEST(fast_paths_are_fast)
{
    static KSPIN_LOCK lock;
    static SLIST_HEADER list;
    static struct {
        SLIST_ENTRY entry;
    } entry;
    const struct nt_options options = {.scheduler = NT_REALTIME, .processors = 2};
    KIRQL irql;
    KLOCK_QUEUE_HANDLE handle;
    EX_SPIN_LOCK rw = 0;
    ULONG64 qpc;
    KEVENT event;

    nt_start(&options);
    InitializeSListHead(&list);
    KeInitializeEvent(&event, NotificationEvent, FALSE);
    COST("nt_enter, nt_leave", 200, 100000, nt_enter(); nt_leave());
    nt_enter();
    COST("KeGetCurrentIrql", 50, 1000000, sink = KeGetCurrentIrql());
    COST("KeGetCurrentProcessorNumberEx", 50, 1000000, sink = KeGetCurrentProcessorNumberEx(NULL));
    COST("KeQueryInterruptTimePrecise", 200, 1000000, sink = KeQueryInterruptTimePrecise(&qpc));
    COST("KeRaiseIrql, KeLowerIrql", 100, 1000000, KeRaiseIrql(DISPATCH_LEVEL, &irql);
         KeLowerIrql(irql));
    COST("KeAcquireSpinLock, KeReleaseSpinLock", 200, 1000000, KeAcquireSpinLock(&lock, &irql);
         KeReleaseSpinLock(&lock, irql));
    COST("in-stack queued spin lock", 200, 1000000, KeAcquireInStackQueuedSpinLock(&lock, &handle);
         KeReleaseInStackQueuedSpinLock(&handle));
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    COST("KeAcquireSpinLockAtDpcLevel, release", 100, 1000000, KeAcquireSpinLockAtDpcLevel(&lock);
         KeReleaseSpinLockFromDpcLevel(&lock));
    COST("ExAcquireSpinLockSharedAtDpcLevel, release", 100, 1000000,
         ExAcquireSpinLockSharedAtDpcLevel(&rw);
         ExReleaseSpinLockSharedFromDpcLevel(&rw));
    KeLowerIrql(irql);
    COST("interlocked push, pop", 200, 1000000, InterlockedPushEntrySList(&list, &entry.entry);
         InterlockedPopEntrySList(&list));
    COST("KeSetEvent, KeResetEvent", 400, 1000000, KeSetEvent(&event, 0, FALSE);
         KeResetEvent(&event));
    COST("ExAllocatePool2 of 256 bytes, ExFreePool", 400, 1000000,
         ExFreePoolWithTag(ExAllocatePool2(POOL_FLAG_NON_PAGED, 256, 'tsoC'), 'tsoC'));
    nt_leave();
    nt_stop();
}

/* How late a high-resolution timer's callback begins, with this machine as busy as it happens to
 * be. */
static struct {
    ULONG64 late[500];
    ULONG64 due;
    volatile LONG count;
} lateness;

static VOID NTAPI late_routine(PEX_TIMER timer, PVOID context)
{
    UNREFERENCED_PARAMETER(timer);
    UNREFERENCED_PARAMETER(context);
    if (lateness.count < 500) {
        /* Since the last nominal time: a machine that stalls skips periods. */
        lateness.late[lateness.count] = (interrupt_time() - lateness.due) % MS;
        InterlockedIncrement(&lateness.count);
    }
}

static int by_size(const void *a, const void *b)
{
    ULONG64 x = *(const ULONG64 *)a, y = *(const ULONG64 *)b;
    return x < y ? -1 : x > y;
}

NT_TEST(timers_are_on_time)
{
    const struct nt_options options = {.scheduler = NT_REALTIME, .processors = 2};
    nt_start(&options);
    lateness.count = 0;
    PEX_TIMER timer = ExAllocateTimer(late_routine, NULL, EX_TIMER_HIGH_RESOLUTION);
    need(timer != NULL);
    lateness.due = interrupt_time() + MS;
    ExSetTimer(timer, -(LONGLONG)(lateness.due - interrupt_time()), MS, NULL);
    for (int i = 0; i < 10000 && lateness.count < 500; i++)
        pass(MS);
    ExDeleteTimer(timer, TRUE, TRUE, NULL);
    nt_stop();
    is_int(lateness.count, 500);
    qsort(lateness.late, 500, sizeof lateness.late[0], by_size);
    diag("high-resolution timer late by %.1f us (median), %.1f us (99%%), %.1f us (worst)",
         (double)lateness.late[250] / 10, (double)lateness.late[495] / 10,
         (double)lateness.late[499] / 10);
}

static void switch_body(void *context)
{
    for (int i = 0; i < (int)(intptr_t)context; i++)
        sched_point();
}

NT_TEST(deterministic_switches_are_cheap)
{
    double best = 1e18, best_start = 1e18;
    for (int run = 0; run < 5; run++) {
        struct worker workers[3];
        uint64_t switches;
        const struct nt_options options = {
            .scheduler = NT_DETERMINISTIC, .processors = 2, .seed = 6};
        double start = now_ns();
        for (int i = 0; i < 200; i++) {
            nt_start(&options);
            nt_stop();
        }
        double took = (now_ns() - start) / 200;
        best_start = took < best_start ? took : best_start;
        nt_start(&options);
        start = now_ns();
        for (int i = 0; i < 3; i++)
            worker_start(&workers[i], switch_body, (void *)(intptr_t)200000);
        for (int i = 0; i < 3; i++)
            worker_join(&workers[i]);
        switches = sched_switches();
        took = (now_ns() - start) / (double)switches;
        best = took < best ? took : best;
        nt_stop();
    }
    diag("%-46s %8.1f ns", "deterministic switch, choice included", best);
    diag("%-46s %8.1f us", "deterministic nt_start, nt_stop", best_start / 1000);
    ok(INSTRUMENTED || best < 1000);
}
