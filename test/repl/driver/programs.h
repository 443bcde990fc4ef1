/*
 * What a program can do to files of a set, each kind of operation once, in a fixed order: scripts
 * for sweeps.
 */
#pragma once
#include "node.h"

struct program_step {
    const char *name;
    /* In driver context. The first status that is not success. */
    NTSTATUS (*run)(struct node *node);
};

extern const struct program_step program_steps[];
extern const unsigned program_step_count;
