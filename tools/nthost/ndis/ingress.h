/*
 * Keeping the kernel's own stack from answering what the adapter receives: a tc ingress filter
 * that drops everything on the interface. Packet sockets see a frame before tc does, so ours still
 * gets it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Attaches clsact and a drop-all filter to the interface; false and a message on failure. */
bool ingress_block(int ifindex, char *error, size_t error_size);
/* Takes the filter away. clsact stays: alone it does nothing, and others may have filters in it. */
void ingress_unblock(int ifindex);
