/*
 * Receive buffers of an edge: an NBL with its NB, two MDLs and their memory each. Frames of up to
 * SLOT_SMALL bytes lie in the first; a longer one continues in the second, which is touched by such
 * frames only.
 *
 * The thread that fills slots takes and puts them without a lock; others give them back through a
 * stack that it empties when it runs short.
 */
#pragma once
#include "pool.h"
#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/uio.h>

#define SLOT_HEADROOM 66 /* leaves the IP header aligned, and room for a retreat */
#define SLOT_SMALL    1982
#define SLOT_LARGE    65536
#define SLOT_FRAME    (SLOT_SMALL + SLOT_LARGE)
#define VNET_BYTES    sizeof(struct virtio_net_hdr)

struct slot {
    struct slot *next;
    struct slots *home;
    PNET_BUFFER_LIST nbl;
    PNET_BUFFER nb;
    uint8_t *large;
    uint16_t gso_size; /* of the super-frame that it holds */
    _Alignas(16) MDL small_mdl;
    PFN_NUMBER small_pages[2];
    _Alignas(16) MDL large_mdl;
    PFN_NUMBER large_pages[SLOT_LARGE / PAGE_SIZE + 1];
    _Alignas(64) uint8_t memory[SLOT_HEADROOM + SLOT_SMALL];
};

struct slots {
    struct slot *all;
    unsigned count;
    uint8_t *large;
    NDIS_HANDLE pool;
    struct nt_thread *owner; /* who fills them */
    struct slot *free;       /* the owner's */
    unsigned free_count;
    _Alignas(64) _Atomic(struct slot *) returned; /* everyone else's */
    volatile bool wanted;                         /* the owner waits for `available` */
    KEVENT available;
};

bool slots_open(struct slots *slots, unsigned count, NDIS_HANDLE source);
void slots_close(struct slots *slots);
/* Owner only. NULL: all are out. */
struct slot *slots_take(struct slots *slots);
/* Waits until there is one. Not at DISPATCH_LEVEL. */
void slots_wait(struct slots *slots);
void slots_put(struct slot *slot);

static inline uint8_t *slot_frame(struct slot *slot)
{
    return slot->memory + SLOT_HEADROOM;
}

static inline struct slot *slot_of(PNET_BUFFER_LIST nbl)
{
    return (struct slot *)NET_BUFFER_LIST_MINIPORT_RESERVED(nbl)[0];
}

/* Where the kernel is to put the vnet header and the frame. */
static inline void slot_iov(struct slot *slot, struct iovec iov[2])
{
    iov[0].iov_base = slot_frame(slot) - VNET_BYTES;
    iov[0].iov_len = VNET_BYTES + SLOT_SMALL;
    iov[1].iov_base = slot->large;
    iov[1].iov_len = SLOT_LARGE;
}

static inline struct virtio_net_hdr *slot_vnet(struct slot *slot)
{
    return (struct virtio_net_hdr *)(slot_frame(slot) - VNET_BYTES);
}

/* Makes the NBL describe a frame of that length, without out-of-band data. */
void slot_set(struct slot *slot, uint32_t frame_bytes);
