/*
 * A whole life of the driver, in which one call may fail by injection: load, attach, configuration,
 * promotion, traffic of all kinds, control, pause, power, link, offloads, detach, unload. What
 * fails must fail cleanly and succeed when it is asked for again; each phase of traffic is
 * accounted for.
 */
#pragma once
#include <stdbool.h>

/* One round of a sweep (nthost/verifier.h). True: something failed by injection. */
bool scene_run(void);
