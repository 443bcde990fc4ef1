/*
 * The rest of what a service does for the stream: it follows it through ring and journal, and
 * synchronises what brackets ask for, no more of it than the driver says.
 */
#pragma once
#include "node.h"

/* Applies all there is by now to the model, wherever it lies. False and a failed assertion: it
 * cannot. */
bool node_follow(struct node *node);

/*
 * One try at closing all open brackets. False: something of it failed, as status says; the next
 * try does it again.
 */
bool node_resync(struct node *node, NTSTATUS *status);

/* Follows and synchronises until nothing is left to do. A failed assertion if that is never. */
bool node_settle(struct node *node);
