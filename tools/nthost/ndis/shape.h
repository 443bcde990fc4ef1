/*
 * NET_BUFFER_LISTs of awkward shapes, for the test edge: data in several MDLs cut inside headers,
 * one-byte and zero-length MDLs, an MDL before the data that is not used, unused bytes before and
 * behind. All choices are sched_choose()'s. Every MDL's memory is an allocation of pool of its
 * exact size, so that with special pool a byte too far faults.
 */
#pragma once
#include <ndis.h>
#include <stdbool.h>

struct shapes {
    NDIS_HANDLE lists; /* with one NET_BUFFER each */
    NDIS_HANDLE buffers;
};

bool shapes_open(struct shapes *shapes);
void shapes_close(struct shapes *shapes);

/* A list with one buffer that holds the frame. `headers`: so many bytes at its start stay in one
 * MDL. NULL without memory. */
PNET_BUFFER_LIST shape_list(struct shapes *shapes, const UCHAR *frame, ULONG bytes, ULONG headers);
/* One more buffer for a list. */
bool shape_add(struct shapes *shapes, PNET_BUFFER_LIST nbl, const UCHAR *frame, ULONG bytes);
void shape_free(struct shapes *shapes, PNET_BUFFER_LIST nbl);
