/*
 * Between Linux' virtio_net_hdr and the out-of-band data of NET_BUFFER_LISTs.
 *
 * Linux says of a frame: NEEDS_CSUM, the TCP/UDP checksum field holds the sum of the pseudo header
 * with the length, the rest is to be added; DATA_VALID, it was checked; gso, a super-frame. NDIS
 * says the same things at other places, and an LSO's pseudo header has length zero. What is
 * converted:
 *
 *   received   NEEDS_CSUM      Tcp/UdpChecksumSucceeded, for TCP with TcpChecksumValueInvalid
 *              DATA_VALID      Tcp/UdpChecksumSucceeded (and IpChecksumSucceeded over IPv4)
 *              gso TCP         the same, CoalescedSegCount
 *   delivered  ...Succeeded    NEEDS_CSUM where the field holds just the pseudo header's sum, which
 * makes the frame right again wherever it goes from there sent       Tcp/UdpChecksum NEEDS_CSUM LSO
 * v2          gso; the pseudo header's sum gets its length from above the opposite
 */
#pragma once
#include "frame.h"
#include <linux/virtio_net.h>
#include <ndis.h>
#include <stdbool.h>

/* The NDIS checksum word of a received frame; `head` is contiguous up to the TCP/UDP header. */
ULONG vnet_receive_checksum(const struct virtio_net_hdr *vnet, const uint8_t *head,
                            size_t head_bytes);

/* Of a frame from the stack above: sets checksum and LSO data, and makes the checksum field what
 * NDIS wants. False: it contradicts itself. */
bool vnet_to_send(const struct virtio_net_hdr *vnet, uint8_t *head, size_t head_bytes,
                  size_t frame_bytes, PNET_BUFFER_LIST nbl);

/*
 * A frame that leaves to Linux. `head` is a private copy of its first bytes if `copied`, else it
 * must not be written; *copy_wanted is set where it has to be. Offsets count from the start of the
 * frame as it is here: the caller adds an inserted VLAN tag. False: the request cannot be honoured.
 */
struct vnet_out {
    struct virtio_net_hdr header;
    bool copy_wanted; /* so many bytes of the head are to be written: copy and call again */
    uint16_t head_bytes;
};
bool vnet_from_send(PNET_BUFFER_LIST nbl, uint8_t *head, size_t head_bytes, size_t frame_bytes,
                    bool copied, struct vnet_out *out);
/* Likewise of a received frame that goes up. gso_size 0: not known better than by the count of
 * segments. */
void vnet_from_receive(PNET_BUFFER_LIST nbl, const uint8_t *head, size_t head_bytes,
                       size_t frame_bytes, uint16_t gso_size, struct virtio_net_hdr *vnet);
