/*
 * The role on the driver host's deterministic scheduler: each node's tick is the DPC of a
 * high-resolution timer on the node's own virtual processor, frames come in at DISPATCH_LEVEL as
 * from a NIC, the disk is a thread, the role is under a spin lock, as in the driver. The scheduler
 * decides at every kernel call who goes on and, by time slip, that whoever called was slow there.
 * So what world.c takes for one step comes apart here wherever kernel code can be preempted.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct threads_stats {
    uint64_t runs, switches, takeovers;
};

/* One random run: faults by seed, then peace. False: a violation. Starts and stops the host. */
bool threads_run(uint64_t seed, struct threads_stats *stats, char *why, unsigned why_bytes);

/* What happens to a settled cluster. */
enum threads_scene { SCENE_PEACE, SCENE_CRASH, SCENE_RESTART, SCENE_PRIMARY, SCENES };

/*
 * All schedules of a scene that deviate so many times (1 or 2) from "whoever runs goes on, and is
 * quick", at any switch points within some intervals. False: a violation.
 */
bool threads_exhaust(enum threads_scene scene, unsigned nodes, unsigned deviations,
                     struct threads_stats *stats, char *why, unsigned why_bytes);
