/* Frames for tests: built by hand, checked by hand, independent of the driver's own code. */
#pragma once

#include <nthost/edge.h>

struct address {
    unsigned family; /* 4, 6 */
    UCHAR bytes[16];
};
struct address ip4(unsigned a, unsigned b, unsigned c, unsigned d);
/* fd00::x with the last 32 bits. */
struct address ip6(unsigned low);

struct packet {
    UCHAR target_mac[6];
    UCHAR source_mac[6];
    struct address source;
    struct address target;
    unsigned protocol; /* 6, 17, 1, 58 */
    unsigned source_port;
    unsigned target_port;
    unsigned payload; /* bytes, a pattern */
    unsigned tcp_flags;
    unsigned tcp_options; /* bytes, a multiple of 4, NOPs */
    ULONG sequence;
};

/* A client's packet to the cluster's IPv4 address (10.0.0.100) at node 1, TCP port 80. */
struct packet packet_standard(struct address client);
/* With right checksums. The caller frees it. */
struct test_frame *packet_frame(const struct packet *packet);

/* Fragment `index` of a UDP datagram, with 1,400 bytes of its payload; NULL behind its end. */
struct test_frame *packet_fragment(const struct packet *packet, unsigned id, unsigned index);
/* The checksum of an IPv4 header, anew. */
void frame_fix_ipv4(UCHAR *ip);

/* Are IPv4 header and transport checksums of the frame right? */
bool frame_checksums_right(const struct test_frame *frame);
struct address frame_source(const struct test_frame *frame);
unsigned frame_ether_type(const struct test_frame *frame);

struct test_frame *arp_frame(const UCHAR target_mac[6], const UCHAR source_mac[6],
                             unsigned operation, const UCHAR sender_mac[6], struct address sender,
                             const UCHAR arp_target_mac[6], struct address target);
/* type 133, 135, 136; a link-layer address option where `link` is not NULL. */
struct test_frame *nd_frame(const UCHAR target_mac[6], const UCHAR source_mac[6], unsigned type,
                            struct address source, struct address destination,
                            const struct address *nd_target, unsigned flags, const UCHAR *link);
