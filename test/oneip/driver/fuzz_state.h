/* What can be read back of the driver: a refused IOCTL changes nothing of it. */
#pragma once

#include "fixture.h"

struct fuzz_state {
    ULONG_PTR config_bytes;
    ULONG_PTR status_bytes;
    UINT8 config[80000];
    UINT8 status[sizeof(ONEIP_STATUS) + ONEIP_MAX_MEMBERS * sizeof(ONEIP_MEMBER_STATUS)];
};

void fuzz_state_read(struct node *node, struct fuzz_state *state);
/* Asserts that they are the same. */
void fuzz_state_same(const struct fuzz_state *before, const struct fuzz_state *after);

/* Makes version, size and counts of a configuration agree with the input's length, so that the
 * rules behind them are reached; returns the bytes that are left of it. */
size_t fuzz_repair(uint8_t *input, size_t bytes);
