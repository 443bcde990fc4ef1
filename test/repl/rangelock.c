/*
 * Range locks: exclusion, fairness and no lost wake-ups on many schedules; gaps against a map of
 * bytes; what a lock costs beside 64 writers.
 */
#include "tap.h"

#include <nthost/sched.h>
#include <ntddk.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rangelock.h"

#define MS      10000ll
#define BLOCKS  16
#define SEEDS   60
#define WRITERS 6
#define ROUNDS  20

/* Without waiting. */
static BOOLEAN try_acquire(RPL_RANGES *of, RPL_RANGE *range, UINT64 start, UINT64 end)
{
    const LARGE_INTEGER now = {.QuadPart = 0};

    return RplRangeAcquire(of, range, start, end, &now);
}

static RPL_RANGES ranges;
static uint64_t seed; /* of the run */

static uint64_t any(uint64_t *word, unsigned n)
{
    *word ^= *word << 13, *word ^= *word >> 7, *word ^= *word << 17;
    return *word % n;
}

static void each_seed(void (*body)(void))
{
    for (uint64_t i = 0; i < SEEDS && !tap_failing(); i++) {
        tap_at("seed %lu", tap_seed() + i);
        seed = tap_seed() + i;
        tap_start(NT_DETERMINISTIC, seed);
        RplRangesInitialize(&ranges);
        body();
        nt_stop();
    }
    tap_at(NULL);
}

/* Who is inside of each block; a writer finds nobody else there. */
static struct {
    volatile LONG inside[BLOCKS];
    volatile LONG timeouts, waits, refused;
    KDPC dpc[WRITERS];
} shared;

struct writer {
    unsigned number;
    uint64_t word;
    RPL_RANGE range;
    KEVENT released;
    struct nt_thread *thread;
};

static VOID NTAPI release_in_dpc(PRKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    struct writer *writer = Context;

    (void)Dpc, (void)Argument1, (void)Argument2;
    RplRangeRelease(&ranges, &writer->range);
    KeSetEvent(&writer->released, IO_NO_INCREMENT, FALSE);
}

static void use(struct writer *writer, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++)
        is_int(InterlockedIncrement(&shared.inside[i]), 1, "block %u", i);
    if (any(&writer->word, 4) == 0) {
        LARGE_INTEGER span = {.QuadPart = -(LONGLONG)any(&writer->word, 40) * MS};

        KeDelayExecutionThread(KernelMode, FALSE, &span);
    } else {
        sched_point();
    }
    for (unsigned i = from; i < to; i++)
        InterlockedDecrement(&shared.inside[i]);
    if (any(&writer->word, 3) == 0) {
        KeClearEvent(&writer->released);
        KeInsertQueueDpc(&shared.dpc[writer->number], NULL, NULL);
        KeWaitForSingleObject(&writer->released, Executive, KernelMode, FALSE, NULL);
    } else {
        RplRangeRelease(&ranges, &writer->range);
    }
}

static void write_often(void *context)
{
    struct writer *writer = context;

    nt_enter();
    KeInitializeEvent(&writer->released, SynchronizationEvent, FALSE);
    KeInitializeDpc(&shared.dpc[writer->number], release_in_dpc, writer);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned from = (unsigned)any(&writer->word, BLOCKS);
        unsigned to = from + 1 + (unsigned)any(&writer->word, BLOCKS - from);
        bool append = any(&writer->word, 5) == 0;
        LARGE_INTEGER timeout = {.QuadPart = -(LONGLONG)any(&writer->word, 60) * MS};
        UINT64 end = append ? RPL_RANGE_INFINITY : to;
        BOOLEAN held;

        if (append)
            to = BLOCKS;
        switch (any(&writer->word, 3)) {
        case 0:
            held = try_acquire(&ranges, &writer->range, from, end);
            InterlockedAdd(&shared.refused, !held);
            break;
        case 1:
            held = RplRangeAcquire(&ranges, &writer->range, from, end, &timeout);
            InterlockedAdd(&shared.timeouts, !held);
            break;
        default:
            held = RplRangeAcquire(&ranges, &writer->range, from, end, NULL);
            InterlockedAdd(&shared.waits, writer->range.Waited);
            ok(held);
        }
        if (held)
            use(writer, from, to);
    }
    nt_leave();
}

static void writers(void)
{
    static struct writer all[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++) {
        all[i].number = i;
        all[i].word = 88172645463325252ull + seed * WRITERS + i;
        all[i].thread = nt_spawn("writer", write_often, &all[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        nt_join(all[i].thread);
    ok(IsListEmpty(&ranges.List));
}

NT_TEST(rangelock_excludes_and_wakes_everybody)
{
    memset(&shared, 0, sizeof shared);
    each_seed(writers);
    ok(shared.timeouts > 10, "%d timed out", shared.timeouts);
    ok(shared.waits > 100, "%d waited", shared.waits);
    ok(shared.refused > 10, "%d refused", shared.refused);
}

/* In the order of their coming, wherever two overlap, and only there. */
static struct {
    volatile LONG next;
    LONG order[3];
    RPL_RANGE range[3];
} line;

static void stand_in_line(void *context)
{
    unsigned i = (unsigned)(uintptr_t)context;
    static const UINT64 start[] = {5, 0, 0}, end[] = {15, 8, 3};

    nt_enter();
    ok(RplRangeAcquire(&ranges, &line.range[i], start[i], end[i], NULL));
    line.order[i] = InterlockedIncrement(&line.next);
    RplRangeRelease(&ranges, &line.range[i]);
    nt_leave();
}

static unsigned waiting(void)
{
    KIRQL irql;
    unsigned count = 0;

    KeAcquireSpinLock(&ranges.Lock, &irql);
    for (LIST_ENTRY *entry = ranges.List.Flink; entry != &ranges.List; entry = entry->Flink)
        count += CONTAINING_RECORD(entry, RPL_RANGE, Link)->Ahead != 0;
    KeReleaseSpinLock(&ranges.Lock, irql);
    return count;
}

static void first_come(void)
{
    struct nt_thread *threads[3];
    RPL_RANGE first, free_range;

    nt_enter();
    line.next = 0;
    ok(try_acquire(&ranges, &first, 10, 20));
    for (unsigned i = 0; i < 3; i++) {
        nt_leave();
        threads[i] = nt_spawn("waiter", stand_in_line, (void *)(uintptr_t)i);
        sched_run_for(0);
        nt_enter();
        is_int(waiting(), i + 1);
    }
    /* 5..15 waits for us; 0..8 for that; 0..3, free, for 0..8: none may overtake. */
    ok(!try_acquire(&ranges, &free_range, 0, 1), "somebody wants it");
    ok(try_acquire(&ranges, &free_range, 20, RPL_RANGE_INFINITY), "nobody wants it");
    RplRangeRelease(&ranges, &free_range);
    RplRangeRelease(&ranges, &first);
    nt_leave();
    for (unsigned i = 0; i < 3; i++)
        nt_join(threads[i]);
    for (unsigned i = 0; i < 3; i++)
        is_int(line.order[i], i + 1);
}

NT_TEST(rangelock_is_first_come_first_served)
{
    each_seed(first_come);
}

/* Who gives up no longer stands in the way. */
static void give_up(void *context)
{
    RPL_RANGE range;
    LARGE_INTEGER timeout = {.QuadPart = -20 * MS};

    (void)context;
    nt_enter();
    ok(!RplRangeAcquire(&ranges, &range, 0, 20, &timeout));
    ok(range.Waited);
    nt_leave();
}

static void waits_no_longer(void)
{
    RPL_RANGE first, second;
    struct nt_thread *thread;

    nt_enter();
    ok(try_acquire(&ranges, &first, 0, 10));
    nt_leave();
    thread = nt_spawn("patience", give_up, NULL);
    sched_run_for(0);
    nt_enter();
    is_int(waiting(), 1);
    ok(!try_acquire(&ranges, &second, 10, 20));
    nt_leave();
    nt_join(thread);
    nt_enter();
    ok(try_acquire(&ranges, &second, 10, 20));
    RplRangeRelease(&ranges, &second);
    RplRangeRelease(&ranges, &first);
    nt_leave();
}

NT_TEST(rangelock_who_gives_up_is_gone)
{
    each_seed(waits_no_longer);
}

NT_TEST(rangelock_touch)
{
    enum { BYTES = 40, COUNT = 6 };
    uint64_t word = 123456789 + tap_seed();

    tap_start(NT_DETERMINISTIC, tap_seed());
    nt_enter();
    for (unsigned round = 0; round < 20000; round++) {
        RPL_RANGE range[COUNT];
        bool held[COUNT];
        UINT64 from = any(&word, BYTES), to = any(&word, BYTES);
        unsigned wrong = 0;

        RplRangesInitialize(&ranges);
        for (unsigned i = 0; i < COUNT; i++) {
            UINT64 start = any(&word, BYTES), end = start + any(&word, 10);

            held[i] =
                try_acquire(&ranges, &range[i], start, any(&word, 4) ? end : RPL_RANGE_INFINITY);
        }
        RplRangesTouch(&ranges, from, to);
        for (unsigned i = 0; i < COUNT; i++) {
            if (!held[i])
                continue;
            wrong += range[i].Touched != (range[i].Start < to && from < range[i].End);
            RplRangeRelease(&ranges, &range[i]);
        }
        need(wrong == 0, "round %u", round);
    }
    nt_leave();
    nt_stop();
}

NT_TEST(rangelock_cost)
{
    static RPL_RANGE others[64];
    struct timespec before, after;
    RPL_RANGE range;

    enum { LOOPS = 200000 };

    tap_start(NT_REALTIME, 0);
    nt_enter();
    for (unsigned writers = 0; writers <= 64; writers += 16) {
        RplRangesInitialize(&ranges);
        for (unsigned i = 0; i < writers; i++)
            ok(try_acquire(&ranges, &others[i], 4096ull * i, 4096ull * i + 4096));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        for (unsigned i = 0; i < LOOPS; i++) {
            RplRangeAcquire(&ranges, &range, 1 << 30, (1 << 30) + 4096, NULL);
            RplRangeRelease(&ranges, &range);
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        diag("beside %u writers: %.0f ns to take and give back", writers,
             ((double)(after.tv_sec - before.tv_sec) * 1e9 +
              (double)(after.tv_nsec - before.tv_nsec)) /
                 LOOPS);
        for (unsigned i = 0; i < writers; i++)
            RplRangeRelease(&ranges, &others[i]);
        ok(IsListEmpty(&ranges.List));
    }
    nt_leave();
    nt_stop();
}
