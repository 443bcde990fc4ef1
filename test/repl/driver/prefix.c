/*
 * The promise, at the driver: the records up to any number say what the files were when all of up
 * to it had completed.
 *
 * Programs work on files, several at a time, while the cache manager writes behind them. Now and
 * then all stand still: then the records read so far, applied to a model, must give what the folder
 * has. With one program that is so after every single operation. A workload is a seed: --seed=N
 * --workloads=1 is that one again.
 */
#include "work.h"

#include <stdio.h>
#include <stdlib.h>

#define WORKERS 3

struct workload {
    struct node node;
    unsigned kinds;
    unsigned operations; /* of a worker between two checks */
};

static void work(void *context)
{
    struct workload *workload = context;

    nt_enter();
    for (unsigned i = 0; i < workload->operations; i++)
        work_operation(&workload->node, workload->kinds);
    nt_leave();
}

static bool run(uint64_t seed, unsigned workers, unsigned kinds, unsigned checks,
                unsigned operations)
{
    struct workload workload = {.kinds = kinds, .operations = operations};
    struct nt_thread *threads[WORKERS];
    struct node_options options = {.scheduler = NT_DETERMINISTIC, .seed = seed};
    bool held = node_start(&workload.node, &options);

    for (unsigned check = 0; held && check < checks; check++) {
        char when[64];
        snprintf(when, sizeof when, "check %u", check);
        for (unsigned i = 0; i < workers; i++)
            threads[i] = nt_spawn("program", work, &workload);
        for (unsigned i = 0; i < workers; i++)
            nt_join(threads[i]);
        if (kinds & WORK_MAPPED) {
            /* A store through a mapping counts once it is paged out. */
            nt_enter();
            fs_cache_drain(workload.node.volume);
            nt_leave();
        } else if (sched_choose(3) == 0) {
            sched_run_for(sched_choose(40) * 10000ull);
        }
        held = node_check(&workload.node, when);
    }
    node_stop(&workload.node);
    return held && !tap_failing();
}

static void workloads(unsigned count, unsigned workers, unsigned kinds, unsigned checks,
                      unsigned operations)
{
    const char *option = tap_option("workloads");
    uint64_t seed = tap_seed();

    if (option)
        count = (unsigned)atoi(option);
    for (unsigned i = 0; i < count; i++) {
        tap_at("seed %llu", (unsigned long long)seed + i);
        if (!run(seed + i, workers, kinds, checks, operations))
            break;
    }
    tap_at(NULL);
}

NT_TEST(after_every_operation_of_one_program)
{
    workloads(25, 1, WORK_DATA | WORK_NAMES, 60, 1);
}

NT_TEST(after_every_operation_with_mappings)
{
    workloads(25, 1, WORK_ALL, 40, 1);
}

NT_TEST(several_programs_writing)
{
    workloads(50, WORKERS, WORK_DATA, 4, 10);
}

NT_TEST(several_programs_naming_and_writing)
{
    workloads(50, WORKERS, WORK_DATA | WORK_NAMES, 4, 10);
}

NT_TEST(several_programs_with_mappings)
{
    workloads(50, WORKERS, WORK_ALL, 4, 10);
}
