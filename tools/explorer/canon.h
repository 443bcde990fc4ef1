/*
 * A hash of what matters of a world: times relative to now, epochs relative to the highest. Two
 * worlds with the same hash have the same future (but for how far the reserve of counters
 * reaches beyond any short run, and times so long past that no limit of the role's is as long).
 */
#pragma once
#include "world.h"

struct canon {
    uint64_t low, high;
};

struct canon canon_hash(const struct world *world);
