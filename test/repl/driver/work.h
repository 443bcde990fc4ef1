/*
 * What programs do to files: one random operation at a time, on few names, so that they meet.
 */
#pragma once
#include "node.h"

/* Which kinds of operations a workload has. */
#define WORK_DATA   1
#define WORK_NAMES  2
#define WORK_MAPPED 4
#define WORK_ALL    7

/* In driver context. Most fail with a status as they would for a program: names that are not there,
 * folders that are not empty. */
void work_operation(struct node *node, unsigned kinds);
