/* What the deterministic scheduler chooses by; see choice.c. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

void choice_start(uint64_t seed);
/* Seeded: may the running fiber go on without a look at the others? */
bool choice_stay(void);
/* Which fiber goes on: 0 .. fibers-1; or `fibers`, that time slips, where slip is not 0: then once
 * in that many times. */
unsigned choice_switch(unsigned fibers, unsigned slip);
