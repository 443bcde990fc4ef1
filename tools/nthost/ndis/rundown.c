/* Waiting for what is out. See rundown.h. */
#include "rundown.h"

void rundown_init(struct rundown *rundown)
{
    memset(rundown, 0, sizeof(*rundown));
    rundown->closed = true;
    KeInitializeEvent(&rundown->drained, SynchronizationEvent, FALSE);
}

void rundown_open(struct rundown *rundown)
{
    rundown->closed = false;
}

long rundown_sum(const struct rundown *rundown)
{
    long sum = 0;
    for (unsigned i = 0; i < sched_processors(); i++)
        sum += atomic_load(&rundown->line[i].count);
    return sum;
}

void rundown_wake(struct rundown *rundown)
{
    KeSetEvent(&rundown->drained, IO_NO_INCREMENT, FALSE);
}

void rundown_wait(struct rundown *rundown)
{
    rundown->waiting = true;
    atomic_thread_fence(memory_order_seq_cst);
    while (rundown_sum(rundown) != 0)
        KeWaitForSingleObject(&rundown->drained, Executive, KernelMode, FALSE, NULL);
    rundown->waiting = false;
}

void rundown_pass(struct rundown *rundown)
{
    rundown->waiting = true;
    atomic_thread_fence(memory_order_seq_cst);
    for (unsigned i = 0; i < sched_processors(); i++)
        while (atomic_load(&rundown->line[i].count) != 0)
            KeWaitForSingleObject(&rundown->drained, Executive, KernelMode, FALSE, NULL);
    rundown->waiting = false;
}

void rundown_end(void)
{
    KeFlushQueuedDpcs();
}

void rundown_close(struct rundown *rundown)
{
    rundown->closed = true;
    rundown_wait(rundown);
}
