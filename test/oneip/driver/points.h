/*
 * Switch points inside the driver's own code: in the build of it that has a call before each of its
 * accesses to memory (nts_driver_points), the deterministic scheduler may switch there.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Not while the host starts or stops. */
void points_enable(bool enable);
/* How many were passed since the process began. */
uint64_t points_passed(void);
