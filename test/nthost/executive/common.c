#include "common.h"

/* ThreadSanitizer knows nothing of our fibers; it is for the real-time scheduler. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBERS false
#endif
#endif
#ifndef FIBERS
#define FIBERS true
#endif

void each_seed(unsigned count, void (*body)(void))
{
    count = FIBERS ? count : 0;
    for (unsigned i = 0; i < count && !tap_failing(); i++) {
        unsigned long long seed = tap_seed() + i;
        tap_at("seed %llu", seed);
        tap_start(NT_DETERMINISTIC, seed);
        body();
        nt_stop();
    }
    tap_at(NULL);
}

void each_scheduler(void (*body)(void))
{
    tap_at("real time");
    tap_start(NT_REALTIME, 0);
    body();
    nt_stop();
    each_seed(300, body);
}

static void worker_main(void *context)
{
    struct worker *worker = context;
    nt_enter();
    worker->run(worker->context);
    nt_leave();
}

void worker_start(struct worker *worker, void (*run)(void *), void *context)
{
    worker->run = run;
    worker->context = context;
    worker->thread = nt_spawn("test worker", worker_main, worker);
}

void worker_join(struct worker *worker)
{
    nt_join(worker->thread);
}

void pass(LONGLONG span)
{
    if (sched_is_deterministic()) {
        sched_run_for((uint64_t)span);
    } else {
        LARGE_INTEGER interval = relative(span);
        KeDelayExecutionThread(KernelMode, FALSE, &interval);
    }
}
