/*
 * What must hold in every world, and what must hold once faults have ended.
 *
 * Always:
 *   C1 epochs: a node's epoch counters increase strictly, over crashes, too, and are durable before
 * use C2 one acting node per epoch, ever; an epoch in which its node has ceased to act is over C3
 * no vetoed and no stopped node dispatches C4 no two nodes act at once while nothing excuses it
 * (world_excuse: of late, no frame was lost or took half an interval): not beside one whose beacons
 * the other had heard before it was promoted; two concurrent candidates for less than an interval
 *   C5 calm: after the first, no takeover without a cause (world.calm)
 *   C6 every beacon that is sent decodes
 *   C7 an announcement of whoever acts follows when another one has ceased to
 */
#pragma once
#include "world.h"

/* After every event. */
void check_world(struct world *world);

/* A node was promoted or ceased to be dispatcher. */
void check_role(struct world *world, unsigned node, bool by_command);

/* Exactly one acts, all who run follow it, and agree on who is alive. NULL, or what is missing. */
const char *check_converged(const struct world *world);
