/*
 * Ethernet frames as bytes: where the headers are, and the Internet checksum.
 *
 * All functions work on the flat beginning of a frame ("head"); none touches NDIS structures.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_ETHERNET_HEADER 14
#define FRAME_VLAN_TAG        4
#define FRAME_MAX_HEADERS     256 /* what frame_parse() wants to see of a frame at most */

enum {
    FRAME_ETHERTYPE_IPV4 = 0x0800,
    FRAME_ETHERTYPE_ARP = 0x0806,
    FRAME_ETHERTYPE_VLAN = 0x8100,
    FRAME_ETHERTYPE_QINQ = 0x88a8,
    FRAME_ETHERTYPE_IPV6 = 0x86dd,
};

struct frame_layers {
    uint16_t ethertype; /* behind VLAN tags */
    uint16_t l3;        /* offset of the IP header; 0: not IP */
    uint16_t l4;        /* offset of the TCP or UDP header; 0: none to be seen here */
    uint16_t payload;   /* offset of what follows the TCP or UDP header; 0 with l4 */
    uint8_t ip;         /* 4, 6 or 0 */
    uint8_t protocol;   /* IP protocol where l3 is set; behind IPv6 extension headers */
    bool fragment;      /* an IP fragment, first or later: l4 is 0 */
    bool tagged;        /* carries a VLAN tag in the frame */
    bool extended;      /* IPv4 options or IPv6 extension headers */
    uint32_t l4_bytes;  /* TCP/UDP header and data according to the IP header; without padding */
};

/* False: the headers are cut short or contradict each other. `head` holds the first head_bytes of
 * frame_bytes; no more than FRAME_MAX_HEADERS are looked at. */
bool frame_parse(const uint8_t *head, size_t head_bytes, size_t frame_bytes,
                 struct frame_layers *layers);

static inline uint16_t frame_get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t frame_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline void frame_put16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void frame_put32(uint8_t *p, uint32_t v)
{
    frame_put16(p, (uint16_t)(v >> 16));
    frame_put16(p + 2, (uint16_t)v);
}

/* One's complement sum, unfolded, in the byte order of the memory. Pieces must have even lengths
 * except the last, or be joined with sum_join(). */
uint64_t sum_bytes(const void *data, size_t bytes, uint64_t sum);
/* Adds the sum of a piece that starts at an odd or even offset. */
uint64_t sum_join(uint64_t sum, uint64_t piece, size_t offset);
/* Copies and sums. */
uint64_t sum_copy(void *to, const void *from, size_t bytes, uint64_t sum);
/* 16 bits, host representation of the memory order: store with memcpy. Not inverted. */
uint16_t sum_fold(uint64_t sum);

/* The sum over the pseudo header of TCP or UDP, with an upper-layer length (0 for Windows' LSO). */
uint64_t frame_pseudo_sum(const uint8_t *head, const struct frame_layers *layers,
                          uint32_t l4_bytes);
/* Offset of the checksum field; layers->l4 is set. */
static inline uint16_t frame_checksum_offset(const struct frame_layers *layers)
{
    return (uint16_t)(layers->l4 + (layers->protocol == 6 ? 16 : 6));
}
