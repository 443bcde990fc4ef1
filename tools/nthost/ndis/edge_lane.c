/*
 * Buffers as messages of sendmmsg: a frame each, or the frames of a train (train.h) together.
 *
 * A frame goes out of where it lies if it can. Its headers are copied to the lane if they are to be
 * rewritten or lie in pieces, and a frame in too many pieces is gathered.
 */
#include "edge_real.h"
#include "vnet.h"
#include <stdlib.h>
#include <string.h>

#define GATHER_BYTES (EDGE_BATCH * 2048 + 2 * 70000)

bool lane_open(struct tx_lane *lane)
{
    lane->gather = malloc(GATHER_BYTES);
    return lane->gather != NULL;
}

void lane_close(struct tx_lane *lane)
{
    free(lane->gather);
}

void lane_clear(struct tx_lane *lane)
{
    lane->count = lane->buffers = lane->pieces = 0;
    lane->gather_used = 0;
    lane->coupled = false;
    lane->head = NULL;
}

bool lane_has_room(const struct tx_lane *lane)
{
    return lane->count < EDGE_BATCH && lane->pieces + LANE_PIECES <= ARRAYSIZE(lane->iov);
}

/* The pieces of a frame from `skip` on, after those that the header took. -1: too many. */
static int pieces(PNET_BUFFER nb, uint32_t skip, struct iovec *iov, int room)
{
    PMDL mdl = nb->CurrentMdl;
    uint32_t at = nb->CurrentMdlOffset + skip, left = nb->DataLength - skip;
    int count = 0;
    while (left) {
        if (at >= mdl->ByteCount) {
            at -= mdl->ByteCount;
            mdl = mdl->Next;
            continue;
        }
        uint32_t here = mdl->ByteCount - at < left ? mdl->ByteCount - at : left;
        if (count == room)
            return -1;
        iov[count].iov_base = mdl_data(mdl) + at;
        iov[count++].iov_len = here;
        left -= here;
        at = 0;
        mdl = mdl->Next;
    }
    return count;
}

/* Inserts an 802.1Q tag behind the addresses: head holds `bytes` and room for four more. */
static uint32_t insert_tag(uint8_t *head, uint32_t bytes, uint16_t tci)
{
    memmove(head + 12 + 4, head + 12, bytes - 12);
    frame_put16(head + 12, FRAME_ETHERTYPE_VLAN);
    frame_put16(head + 14, tci);
    return bytes + 4;
}

static uint16_t tag_of(PNET_BUFFER_LIST nbl)
{
    NDIS_NET_BUFFER_LIST_8021Q_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
    return (uint16_t)(info.TagHeader.UserPriority << 13 | info.TagHeader.CanonicalFormatId << 12 |
                      info.TagHeader.VlanId);
}

/* Frames whose headers are rewritten on the way out, or lie in pieces: the first bytes are copied
 * to the lane's memory. Returns how many, or NO_FRAME. */
static uint32_t private_head(PNET_BUFFER_LIST nbl, PNET_BUFFER nb, struct tx_frame *frame)
{
    uint32_t bytes = netbuffer_read(nb, 0, frame->head, TX_HEADER - 8);
    struct vnet_out out;
    if (!vnet_from_send(nbl, frame->head, bytes, nb->DataLength, true, &out))
        return NO_FRAME;
    frame->vnet = out.header;
    uint16_t tci = tag_of(nbl);
    if (!tci || bytes < 14)
        return bytes;
    if (frame->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        frame->vnet.csum_start = (uint16_t)(frame->vnet.csum_start + 4);
    if (frame->vnet.gso_type)
        frame->vnet.hdr_len = (uint16_t)(frame->vnet.hdr_len + 4);
    return insert_tag(frame->head, bytes, tci);
}

/* Fills the next message with a buffer; false: it cannot be sent as it asks to be. */
static bool fill(struct tx_lane *lane, PNET_BUFFER_LIST nbl, PNET_BUFFER nb)
{
    struct tx_frame *frame = &lane->frames[lane->count];
    struct msghdr *message = &lane->messages[lane->count].msg_hdr;
    struct iovec *iov = &lane->iov[lane->pieces];
    uint32_t copied = 0, skip = 0;
    const void *offloads = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    bool plain = !offloads && !NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) &&
                 !NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
    memset(&frame->vnet, 0, sizeof(frame->vnet));
    if (!plain) {
        struct vnet_out out = {.copy_wanted = true};
        uint32_t bytes = nb->CurrentMdl->ByteCount - nb->CurrentMdlOffset;
        uint8_t *head = mdl_data(nb->CurrentMdl) + nb->CurrentMdlOffset;
        bool direct = !NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) &&
                      vnet_from_send(nbl, head, bytes < nb->DataLength ? bytes : nb->DataLength,
                                     nb->DataLength, false, &out) &&
                      !out.copy_wanted;
        if (direct) {
            frame->vnet = out.header;
        } else {
            copied = private_head(nbl, nb, frame);
            if (copied == NO_FRAME)
                return false;
            skip = nb->DataLength < TX_HEADER - 8 ? nb->DataLength : TX_HEADER - 8;
        }
    }
    iov[0].iov_base = &frame->vnet;
    iov[0].iov_len = sizeof(frame->vnet);
    int used = 1;
    if (copied) {
        iov[1].iov_base = frame->head;
        iov[1].iov_len = copied;
        used = 2;
    }
    int more = pieces(nb, skip, iov + used, LANE_PIECES - used);
    if (more < 0) {
        uint32_t bytes = nb->DataLength - skip;
        if (lane->gather_used + bytes > GATHER_BYTES)
            return false;
        uint8_t *to = lane->gather + lane->gather_used;
        netbuffer_read(nb, skip, to, bytes);
        lane->gather_used += bytes;
        iov[used].iov_base = to;
        iov[used].iov_len = bytes;
        more = 1;
    }
    message->msg_iov = iov;
    message->msg_iovlen = (size_t)used + (size_t)more;
    lane->pieces += (unsigned)(used + more);
    lane->end[lane->count++] = ++lane->buffers;
    return true;
}

/* Where a frame lies that may go in a train; NULL: it may not. */
static const uint8_t *trainable(const struct tx_lane *lane, PNET_BUFFER_LIST nbl, PNET_BUFFER nb)
{
    NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info;
    info.Value = NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    if (!info.Transmit.TcpChecksum || info.Transmit.IpHeaderChecksum ||
        !(atomic_load_explicit(lane->trains, memory_order_relaxed) &
          (info.Transmit.IsIPv6 ? TX_TRAINS_IPV6 : TX_TRAINS_IPV4)) ||
        NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) ||
        NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) ||
        nb->CurrentMdl->ByteCount - nb->CurrentMdlOffset < nb->DataLength)
        return NULL;
    return mdl_data(nb->CurrentMdl) + nb->CurrentMdlOffset;
}

/* Into the last message, if the frame follows its frames. */
static bool follow(struct tx_lane *lane, const uint8_t *frame, uint32_t bytes)
{
    struct train *train = &lane->train;
    struct msghdr *message = &lane->messages[lane->count - 1].msg_hdr;
    if (!lane->coupled) {
        if (!train_start(train, lane->head, lane->head_bytes) || !train_take(train, frame, bytes))
            return false;
        message->msg_iov[2].iov_base = (uint8_t *)lane->head + train->layers.payload;
        message->msg_iov[2].iov_len = lane->head_bytes - train->layers.payload;
        message->msg_iov[1].iov_base = lane->frames[lane->count - 1].head;
        message->msg_iov[1].iov_len = train->layers.payload;
        message->msg_iovlen = 3;
        lane->pieces++;
        lane->coupled = true;
    } else if (!train_take(train, frame, bytes)) {
        return false;
    }
    struct iovec *iov = &message->msg_iov[message->msg_iovlen++];
    iov->iov_base = (uint8_t *)frame + train->layers.payload;
    iov->iov_len = bytes - train->layers.payload;
    lane->pieces++;
    lane->end[lane->count - 1] = ++lane->buffers;
    return true;
}

void lane_seal(struct tx_lane *lane)
{
    if (lane->coupled) {
        struct tx_frame *frame = &lane->frames[lane->count - 1];
        train_headers(&lane->train, frame->head, &frame->vnet);
    }
    lane->coupled = false;
    lane->head = NULL;
}

bool lane_add(struct tx_lane *lane, PNET_BUFFER_LIST nbl, PNET_BUFFER nb)
{
    const uint8_t *frame = trainable(lane, nbl, nb);
    if (frame && lane->head && follow(lane, frame, nb->DataLength))
        return true;
    lane_seal(lane);
    if (!fill(lane, nbl, nb))
        return false;
    if (frame && nb->DataLength >= TRAIN_MIN_FIRST &&
        lane->messages[lane->count - 1].msg_hdr.msg_iovlen == 2) {
        lane->head = frame;
        lane->head_bytes = nb->DataLength;
    }
    return true;
}
