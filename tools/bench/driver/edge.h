/*
 * An adapter whose edges do as little as possible: a miniport that indicates batches of frames,
 * each in one contiguous MDL, at DISPATCH_LEVEL, as most network cards do, and completes at once
 * what it is given to send; above it a protocol that returns at once what it receives. Both count.
 * The test edge (nthost/edge.h) is for the opposite: awkward shapes, chosen at random.
 *
 * One thread; the deterministic scheduler.
 */
#pragma once

#include <ntddk.h>

#include <stdint.h>

#include <nthost/edge.h>

enum { PLAIN_BATCH = 64, PLAIN_FRAME = 2048 };

struct plain_edge {
    struct ndis_adapter *adapter;
    NDIS_HANDLE pool;
    struct {
        PNET_BUFFER_LIST nbl;
        PMDL mdl;
        UCHAR data[PLAIN_FRAME];
    } slots[PLAIN_BATCH];
    unsigned out;               /* slots that are indicated and not back */
    uint64_t sent, received;    /* frames that left below, and that reached the stack */
    uint64_t inside, own_since; /* ns: see plain_edge_indicate() */
    const void *image;          /* an address within the image that sent or passed on last */
};

/* Halted, like what ndis_adapter_create() makes. False: no memory. */
bool plain_edge_create(struct plain_edge *edge, const struct ndis_adapter_config *config);
void plain_edge_destroy(struct plain_edge *edge);

/* Indicates up to PLAIN_BATCH frames as one chain. All must be back when it returns, else false.
 * Adds to `inside` the time from the call to its return, less what the edge itself took of it: that
 * is NDIS and the filters. */
bool plain_edge_indicate(struct plain_edge *edge, const struct test_frame *const *frames,
                         unsigned count);
