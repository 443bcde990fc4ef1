/*
 * Consecutive TCP frames of one stream as one super-frame: the opposite of gso.h. What leaves the
 * interface in the end are the very same frames, since the kernel or the network adapter cuts the
 * super-frame up where it was put together, and counts sequence numbers and IPv4 identifications
 * as they were counted here.
 *
 * Only frames whose TCP checksum is to be computed by the interface may be given to it: a wrong
 * checksum that came from elsewhere must not become a right one.
 */
#pragma once
#include "frame.h"
#include <linux/virtio_net.h>

/* Linux segments longer ones by itself before it hands them on. */
#define TRAIN_MAX_FRAME 65535
/* Shorter ones are not looked at: there is little to win, and they rarely come in trains. */
#define TRAIN_MIN_FIRST 600

struct train {
    const uint8_t *first; /* its first frame; not written to */
    struct frame_layers layers;
    uint32_t mss;   /* data of each but the last */
    uint32_t data;  /* of all */
    uint32_t count; /* frames */
    bool pushes;    /* the last one does */
    bool closed;    /* it does, or was shorter */
};

/* Starts with a frame of which all bytes lie at `frame`. False: it can have no followers. */
bool train_start(struct train *train, const uint8_t *frame, uint32_t bytes);
/* Takes a frame, if it is the next one. Its data begins at train->layers.payload. */
bool train_take(struct train *train, const uint8_t *frame, uint32_t bytes);
/* Writes the headers of the whole (layers.payload bytes, at most FRAME_MAX_HEADERS), with the sum
 * of the pseudo header in the checksum field, and what Linux is to be told. */
void train_headers(const struct train *train, uint8_t *head, struct virtio_net_hdr *vnet);
