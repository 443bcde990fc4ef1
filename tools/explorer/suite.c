/* See suite.h. */
#include "suite.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "threads.h"
#include "world.h"

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

bool suite_exhaustive(const struct exhaust_options *options)
{
    struct exhaust_stats stats;
    char why[512];
    double from = now();
    bool passed = exhaust_run(options, &stats, true, why, sizeof why);

    printf("# exhaustive, %u nodes, %s%s, %u faults in %u intervals: %" PRIu64
           " schedules, %" PRIu64 " states, %" PRIu64 " events, %.1f s\n",
           options->nodes, options->cold ? "cold start" : "settled", options->deep ? ", deep" : "",
           options->budget, options->horizon, stats.schedules, stats.states, stats.steps,
           now() - from);
    if (!passed)
        printf("VIOLATION %s\n  again: explorer --exhaustive=%u,%u,%u,%s%s\n", why, options->nodes,
               options->budget, options->horizon, options->cold ? "cold" : "settled",
               options->deep ? ",deep" : "");
    return passed;
}

bool suite_short(void)
{
    static const struct exhaust_options list[] = {
        {.nodes = 2, .budget = 1, .horizon = 12, .deep = true},
        {.nodes = 2, .budget = 2, .horizon = 12},
        {.nodes = 2, .budget = 2, .horizon = 16, .cold = true},
        {.nodes = 3, .budget = 1, .horizon = 12, .deep = true},
        {.nodes = 3, .budget = 1, .horizon = 24, .cold = true},
        {.nodes = 3, .budget = 2, .horizon = 8},
        {.nodes = 4, .budget = 1, .horizon = 12},
    };

    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        if (!suite_exhaustive(&list[i]))
            return false;
    return true;
}

bool suite_hunt(double seconds)
{
    static const struct exhaust_options first[] = {
        {.nodes = 2, .budget = 1, .horizon = 12, .deep = true},
        {.nodes = 2, .budget = 2, .horizon = 6},
    };
    static const struct exhaust_options last[] = {
        {.nodes = 2, .budget = 2, .horizon = 16, .cold = true},
        {.nodes = 3, .budget = 2, .horizon = 8},
    };
    double began = now();

    for (unsigned i = 0; i < sizeof first / sizeof *first; i++)
        if (!suite_exhaustive(&first[i]))
            return false;
    if (!suite_random(1, 2000, seconds, -1))
        return false;
    for (unsigned i = 0; i < sizeof last / sizeof *last && now() - began < seconds; i++)
        if (!suite_exhaustive(&last[i]))
            return false;
    return now() - began >= seconds ||
           suite_random(2001, UINT64_MAX, seconds - (now() - began), -1);
}

int suite_profile(const char *name)
{
    for (int i = 0; i < PROFILES; i++)
        if (strcmp(name, profile_names[i]) == 0)
            return i;
    return -1;
}

static void print_stats(const struct random_stats *stats)
{
    printf("# agreement after the last fault, worst, in intervals:");
    for (unsigned i = 0; i < PROFILES; i++)
        printf(" %s %" PRIu64, profile_names[i], stats->worst_convergence[i]);
    printf("; one dispatcher after healing: %" PRIu64 "\n", stats->worst_heal);
    if (stats->gaps == 0)
        return;
    printf("# nobody dispatched after a crash (10 ms, silence 3, late timers): %" PRIu64
           " times, mean %.1f ms, worst %.1f ms; by 10 ms:",
           stats->gaps, (double)stats->gap_sum / (double)stats->gaps / MS,
           (double)stats->gap_worst / MS);
    for (unsigned i = 0; i < 8; i++)
        printf(" %" PRIu64, stats->late_gaps[i]);
    printf("\n");
}

bool suite_random(uint64_t from, uint64_t runs, double seconds, int profile)
{
    static struct random_stats stats;
    double until = now() + seconds, began = now();
    char why[512];
    bool passed = true;
    uint64_t seed = from;

    memset(&stats, 0, sizeof stats);
    for (; passed && seed - from < runs && (seconds == 0 || now() < until); seed++)
        passed = random_run(seed, profile < 0 ? random_profile(seed) : (enum profile)profile,
                            &stats, why, sizeof why);
    printf("# random, seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64 " runs, %" PRIu64
           " events, %" PRIu64 " takeovers, %.1f s\n",
           from, seed - 1, stats.runs, stats.events, stats.takeovers, now() - began);
    print_stats(&stats);
    if (!passed)
        printf("VIOLATION %s\n  again: explorer --seed=%" PRIu64 " --profile=%s --trace\n", why,
               seed - 1,
               profile_names[profile < 0 ? random_profile(seed - 1) : (enum profile)profile]);
    return passed;
}

bool suite_threads(uint64_t from, uint64_t runs)
{
    struct threads_stats stats = {0};
    double began = now();
    char why[512];
    bool passed = true;
    uint64_t seed = from;

    for (; passed && seed - from < runs; seed++)
        passed = threads_run(seed, &stats, why, sizeof why);
    printf("# on the deterministic scheduler, seeds %" PRIu64 " to %" PRIu64 ": %" PRIu64
           " runs, %" PRIu64 " switches, %" PRIu64 " takeovers, %.1f s\n",
           from, seed - 1, stats.runs, stats.switches, stats.takeovers, now() - began);
    if (!passed)
        printf("VIOLATION %s\n  again: explorer --threads --seed=%" PRIu64 " --trace\n", why,
               seed - 1);
    return passed;
}

bool suite_scenes(unsigned nodes, unsigned deviations)
{
    static const char *const names[SCENES] = {"peace", "crash", "restart", "set primary"};

    for (int scene = 0; scene < SCENES; scene++) {
        struct threads_stats stats = {0};
        double began = now();
        char why[512];
        bool passed =
            threads_exhaust((enum threads_scene)scene, nodes, deviations, &stats, why, sizeof why);

        printf("# on the deterministic scheduler, %u nodes, %s, %u deviations: %" PRIu64
               " schedules, %" PRIu64 " switches, %" PRIu64 " takeovers, %.1f s\n",
               nodes, names[scene], deviations, stats.runs, stats.switches, stats.takeovers,
               now() - began);
        if (!passed) {
            printf("VIOLATION %s\n  again: explorer --scenes=%u,%u\n", why, nodes, deviations);
            return false;
        }
    }
    return true;
}
