/*
 * Segmentation in software: a TCP or UDP super-frame into frames of at most MSS bytes of data, as
 * a network adapter does it (WDK: "Offloading the Segmentation of Large TCP Packets"), all
 * checksums complete, or TCP's left to whoever gets the frames.
 */
#pragma once
#include "frame.h"
#include <sys/uio.h>

struct gso {
    const uint8_t *head;               /* Ethernet .. end of the TCP/UDP header, contiguous */
    const struct frame_layers *layers; /* l4 is set */
    const struct iovec *data;          /* what follows the headers */
    unsigned pieces;
    uint32_t mss;
    bool partial;   /* the TCP checksum field is to hold the pseudo header's sum only */
    uint32_t left;  /* bytes of data to go; set to all of them */
    uint32_t index; /* of the next segment; 0 at first */
    size_t offset;  /* into data[0] */
};

/* Segments that are still to come; at least one at first. */
unsigned gso_count(const struct gso *gso);
/* Bytes of the longest frame that gso_next() writes. */
size_t gso_frame_bytes(const struct gso *gso);
/* Writes the next frame and returns its length; 0: there is none left. */
size_t gso_next(struct gso *gso, uint8_t *frame);
