/*
 * Where every frame went: by the driver's counters, and by what left the adapter and what reached
 * the stack. The two must agree, whatever failed on the way.
 */
#pragma once

#include "fixture.h"

struct account {
    ONEIP_STATS before;
    uint64_t wire;  /* frames for a cluster address that left, parts of a super-frame as one */
    uint64_t stack; /* frames for a cluster address that reached the stack */
    uint64_t segments;
};

/* Since these counters. */
void account_begin(struct account *account, const ONEIP_STATS *stats);
/* Takes what is out, or counts one frame. */
void account_take(struct account *account, struct node *node);
void account_wire(struct account *account, const struct test_frame *frame);
void account_stack(struct account *account, const struct test_frame *frame);
/* Does every frame that was indicated since add up? For the receive path: nothing of the cluster
 * may have been sent by the stack meanwhile. With nothing on its way. */
bool account_check(const struct account *account, const ONEIP_STATS *now);
/* The same where frames of the cluster may also have gone up uncounted: the driver was not there,
 * or not configured. */
bool account_check_passing(const struct account *account, const ONEIP_STATS *now);
/* The same where the stack may have been paused, and refused what was passed up. */
bool account_sent(const struct account *account, const ONEIP_STATS *now);
/* The counters alone. */
bool account_counters(const struct account *account, const ONEIP_STATS *now);
/* The drops since, on the receive path. */
uint64_t account_drops(const struct account *account, const ONEIP_STATS *now);
