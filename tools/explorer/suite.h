/* What the explorer runs, for its executable and for the test. All print what they did. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "exhaust.h"
#include "random.h"

bool suite_exhaustive(const struct exhaust_options *options);
/* The short schedules that are always walked, some seconds in all. */
bool suite_short(void);
/* For a role with a defect: where most are found first. */
bool suite_hunt(double seconds);
/* Runs of consecutive seeds, at most `runs`, for about `seconds` (0: no limit). profile -1: a mix.
 */
bool suite_random(uint64_t from, uint64_t runs, double seconds, int profile);
/* Random runs on the deterministic scheduler of the driver host. */
bool suite_threads(uint64_t from, uint64_t runs);
/* All of them with so many deviations (1, 2), in every scene. */
bool suite_scenes(unsigned nodes, unsigned deviations);

/* The number of a profile, -1 if there is none of that name. */
int suite_profile(const char *name);
