/*
 * explorer: looks for what is wrong with the role (kernel/oneip/role.c) by running it.
 *
 *   explorer                     the suite: short schedules exhaustively, then long random ones
 *     --seconds=N                for about so long (default 20); 0: the exhaustive part alone
 *     --from=SEED                the first random seed (default 1)
 *     --profile=NAME             random runs of this kind only
 *   explorer --hunt[=SECONDS]    quick checks first: for the mutants (default 60)
 *   explorer --seed=N            one random run; --trace prints all that happens in it
 *   explorer --exhaustive=NODES,FAULTS,INTERVALS,cold|settled[,deep]
 *   explorer --threads[=N]       N runs on the driver host's deterministic scheduler (default 200)
 *   explorer --threads --seed=N  one of them
 *   explorer --scenes=NODES,DEVIATIONS  all schedules there with 1 or 2 deviations (default 3,1)
 *
 * Exit code 0: no violation found. 1: one was found and is printed, with how to see it again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"
#include "threads.h"
#include "world.h"

static int arguments;
static char **argument;

/* --key=value or --key value; "" for a bare --key; NULL without it. */
static const char *option(const char *key)
{
    size_t length = strlen(key);

    for (int i = 1; i < arguments; i++) {
        const char *text = argument[i];

        if (strncmp(text, "--", 2) != 0 || strncmp(text + 2, key, length) != 0)
            continue;
        if (text[2 + length] == '=')
            return text + 3 + length;
        if (text[2 + length] == '\0')
            return i + 1 < arguments && argument[i + 1][0] != '-' ? argument[i + 1] : "";
    }
    return NULL;
}

static uint64_t number(const char *key, uint64_t otherwise)
{
    const char *text = option(key);

    return text == NULL || *text == '\0' ? otherwise : strtoull(text, NULL, 0);
}

static int usage(void)
{
    fprintf(stderr, "usage: explorer [--seconds=N] [--from=SEED] [--profile=NAME]\n"
                    "       explorer --hunt[=SECONDS]\n"
                    "       explorer --seed=N [--profile=NAME] [--trace]\n"
                    "       explorer --exhaustive=NODES,FAULTS,INTERVALS,cold|settled[,deep]\n"
                    "       explorer --threads[=RUNS] [--seed=N] [--trace]\n"
                    "       explorer --scenes[=NODES,DEVIATIONS]\n");
    return 2;
}

static int one_exhaustive(const char *text)
{
    struct exhaust_options options = {0};
    char rest[32] = "";

    if (sscanf(text, "%u,%u,%u,%31s", &options.nodes, &options.budget, &options.horizon, rest) !=
            4 ||
        options.nodes < 1 || options.nodes > MAX_NODES)
        return usage();
    options.cold = strncmp(rest, "cold", 4) == 0;
    options.deep = strstr(rest, "deep") != NULL;
    return suite_exhaustive(&options) ? 0 : 1;
}

static int scenes(const char *text)
{
    unsigned nodes = 3, deviations = 1;

    if (*text != '\0' && (sscanf(text, "%u,%u", &nodes, &deviations) != 2 || nodes < 2 ||
                          nodes > MAX_NODES || deviations < 1 || deviations > 2))
        return usage();
    return suite_scenes(nodes, deviations) ? 0 : 1;
}

int main(int count, char **vector)
{
    const char *name;
    int profile = -1;

    arguments = count;
    argument = vector;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (option("help") != NULL)
        return usage();
    world_trace = option("trace") != NULL;
    if ((name = option("profile")) != NULL && (profile = suite_profile(name)) < 0)
        return usage();

    if (option("threads") != NULL) {
        if (option("seed") != NULL)
            return suite_threads(number("seed", 1), 1) ? 0 : 1;
        return suite_threads(number("from", 1), number("threads", 200)) ? 0 : 1;
    }
    if (option("scenes") != NULL)
        return scenes(option("scenes"));
    if (option("exhaustive") != NULL)
        return one_exhaustive(option("exhaustive"));
    if (option("hunt") != NULL)
        return suite_hunt((double)number("hunt", 60)) ? 0 : 1;
    if (option("seed") != NULL)
        return suite_random(number("seed", 1), 1, 0, profile) ? 0 : 1;
    if (profile < 0 && !suite_short())
        return 1;
    if (number("seconds", 20) == 0)
        return 0;
    return suite_random(number("from", 1), UINT64_MAX, (double)number("seconds", 20), profile) ? 0
                                                                                               : 1;
}
