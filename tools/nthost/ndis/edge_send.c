/*
 * Sending to the interface: chains of NBLs become batches of sendmmsg on a packet socket.
 *
 * An NBL is complete when all of its buffers have been handed over. MiniportReserved[1] of an NBL
 * that waits is its next buffer.
 */
#include "edge_real.h"
#include "vnet.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_BUFFER  (4 << 20)
#define GATHER_BYTES (EDGE_BATCH * 2048 + 2 * 70000)

bool packet_send_open(struct edge_pair *edge, char *error, size_t error_size)
{
    int one = 1, bytes = SEND_BUFFER;
    edge->tx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = edge->ifindex};
    if (edge->tx < 0 || setsockopt(edge->tx, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
        bind(edge->tx, (struct sockaddr *)&address, sizeof(address))) {
        snprintf(error, error_size, "packet socket for %s: %s", edge->nic, strerror(errno));
        return false;
    }
    if (setsockopt(edge->tx, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)))
        setsockopt(edge->tx, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    KeInitializeSpinLock(&edge->pending_lock);
    KeInitializeEvent(&edge->pending_event, SynchronizationEvent, FALSE);
    edge->pending_last = &edge->pending;
    edge->lanes = aligned_alloc(64, sched_processors() * sizeof(*edge->lanes));
    if (!edge->lanes) {
        snprintf(error, error_size, "no memory");
        return false;
    }
    memset(edge->lanes, 0, sched_processors() * sizeof(*edge->lanes));
    for (unsigned i = 0; i < sched_processors(); i++) {
        edge->lanes[i].last = &edge->lanes[i].first;
        edge->lanes[i].gather = malloc(GATHER_BYTES);
        if (!edge->lanes[i].gather)
            return false;
    }
    return true;
}

void packet_send_close(struct edge_pair *edge)
{
    for (unsigned i = 0; edge->lanes && i < sched_processors(); i++)
        free(edge->lanes[i].gather);
    free(edge->lanes);
    if (edge->tx >= 0)
        close(edge->tx);
}

/* One buffer as a message */

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

/* Fills a message with a buffer; false: it cannot be sent as it asks to be. */
static bool fill(struct tx_lane *lane, PNET_BUFFER_LIST nbl, PNET_BUFFER nb, unsigned at)
{
    struct tx_frame *frame = &lane->frames[at];
    struct msghdr *message = &lane->messages[at].msg_hdr;
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
    frame->iov[0].iov_base = &frame->vnet;
    frame->iov[0].iov_len = sizeof(frame->vnet);
    int used = 1;
    if (copied) {
        frame->iov[1].iov_base = frame->head;
        frame->iov[1].iov_len = copied;
        used = 2;
    }
    int more = pieces(nb, skip, frame->iov + used, TX_PIECES - used);
    if (more < 0) {
        uint32_t bytes = nb->DataLength - skip;
        if (lane->gather_used + bytes > GATHER_BYTES)
            return false;
        uint8_t *to = lane->gather + lane->gather_used;
        netbuffer_read(nb, skip, to, bytes);
        lane->gather_used += bytes;
        frame->iov[used].iov_base = to;
        frame->iov[used].iov_len = bytes;
        more = 1;
    }
    message->msg_iov = frame->iov;
    message->msg_iovlen = (size_t)used + (size_t)more;
    return true;
}

/* A chain, as far as it goes. Complete ones are appended to *done. Returns what did not fit into
 * the socket's buffer, with where to go on in MiniportReserved[1]. */
static PNET_BUFFER_LIST transmit(struct edge_pair *edge, struct tx_lane *lane,
                                 PNET_BUFFER_LIST nbls, PNET_BUFFER_LIST **done)
{
    PNET_BUFFER_LIST owner[EDGE_BATCH];
    PNET_BUFFER buffer[EDGE_BATCH];
    PNET_BUFFER_LIST nbl = nbls;
    PNET_BUFFER nb = nbl ? NET_BUFFER_LIST_MINIPORT_RESERVED(nbl)[1] : NULL;
    while (nbl) {
        /* Gather a batch. */
        unsigned count = 0;
        lane->gather_used = 0;
        PNET_BUFFER_LIST scan = nbl;
        PNET_BUFFER next = nb;
        while (scan && count < EDGE_BATCH) {
            if (!next)
                next = NET_BUFFER_LIST_FIRST_NB(scan);
            for (; next && count < EDGE_BATCH; next = NET_BUFFER_NEXT_NB(next)) {
                if (!fill(lane, scan, next, count)) {
                    NET_BUFFER_LIST_STATUS(scan) = NDIS_STATUS_FAILURE;
                    continue;
                }
                owner[count] = scan;
                buffer[count++] = next;
            }
            if (next)
                break;
            scan = NET_BUFFER_LIST_NEXT_NBL(scan);
        }
        /* Send it. */
        unsigned sent = 0;
        while (sent < count) {
            int n = sendmmsg(edge->tx, lane->messages + sent, count - sent, MSG_DONTWAIT);
            if (n > 0) {
                sent += (unsigned)n;
                continue;
            }
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                break;
            /* This one is wrong, dropped by the queue discipline, or the interface is down. */
            NET_BUFFER_LIST_STATUS(owner[sent]) = errno == EMSGSIZE  ? NDIS_STATUS_INVALID_LENGTH
                                                  : errno == ENOBUFS ? NDIS_STATUS_RESOURCES
                                                                     : NDIS_STATUS_FAILURE;
            sent++;
        }
        /* What is before `stop` is complete. */
        PNET_BUFFER_LIST stop = sent < count ? owner[sent] : scan;
        PNET_BUFFER stop_nb = sent < count ? buffer[sent] : next;
        while (nbl != stop) {
            PNET_BUFFER_LIST after = NET_BUFFER_LIST_NEXT_NBL(nbl);
            **done = nbl;
            *done = &NET_BUFFER_LIST_NEXT_NBL(nbl);
            nbl = after;
        }
        nb = stop_nb;
        if (sent < count)
            break;
    }
    if (nbl)
        NET_BUFFER_LIST_MINIPORT_RESERVED(nbl)[1] = nb;
    return nbl;
}

static void finish(struct edge_pair *edge, PNET_BUFFER_LIST done)
{
    ULONG64 failed = 0;
    for (PNET_BUFFER_LIST nbl = done; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
        failed += NET_BUFFER_LIST_STATUS(nbl) != NDIS_STATUS_SUCCESS;
    if (failed)
        ndis_lower_discards(edge->adapter, 0, failed);
    if (done)
        ndis_lower_send_complete(edge->adapter, done, NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL);
}

/* At DISPATCH_LEVEL. */
static void send_now(struct edge_pair *edge, struct tx_lane *lane, PNET_BUFFER_LIST nbls)
{
    PNET_BUFFER_LIST done = NULL, *done_last = &done, rest = nbls;
    if (!edge->tx_waiting)
        rest = transmit(edge, lane, nbls, &done_last);
    *done_last = NULL;
    if (rest) {
        KeAcquireSpinLockAtDpcLevel(&edge->pending_lock);
        edge->tx_waiting = true;
        *edge->pending_last = rest;
        while (*edge->pending_last)
            edge->pending_last = &NET_BUFFER_LIST_NEXT_NBL(*edge->pending_last);
        KeReleaseSpinLockFromDpcLevel(&edge->pending_lock);
        KeSetEvent(&edge->pending_event, IO_NO_INCREMENT, FALSE);
    }
    finish(edge, done);
}

void packet_send(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct edge_pair *edge = context;
    (void)flags;
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
        NET_BUFFER_LIST_MINIPORT_RESERVED(nbl)[1] = NULL;
    }
    struct nt_thread *self = nt_self;
    uint8_t irql = irql_raise(self, self->irql < DISPATCH ? DISPATCH : self->irql);
    struct tx_lane *lane = &edge->lanes[ndis_processor()];
    if (lane->plugged || lane->flushing) {
        *lane->last = nbls;
        while (*lane->last)
            lane->last = &NET_BUFFER_LIST_NEXT_NBL(*lane->last);
    } else {
        lane->flushing = true; /* sends from within completions queue up behind */
        send_now(edge, lane, nbls);
        lane->flushing = false;
        if (lane->first)
            packet_unplug(edge);
    }
    irql_lower(self, irql);
}

/* Both at DISPATCH_LEVEL: in between, what is sent from this processor waits to go out together. */
void packet_plug(struct edge_pair *edge)
{
    edge->lanes[ndis_processor()].plugged = true;
}

void packet_unplug(struct edge_pair *edge)
{
    struct tx_lane *lane = &edge->lanes[ndis_processor()];
    lane->plugged = false;
    lane->flushing = true;
    while (lane->first) {
        PNET_BUFFER_LIST nbls = lane->first;
        lane->first = NULL;
        lane->last = &lane->first;
        send_now(edge, lane, nbls);
    }
    lane->flushing = false;
}

/* Sends what waits; true: some is left. At DISPATCH_LEVEL. */
static bool drain(struct edge_pair *edge)
{
    struct tx_lane *lane = &edge->lanes[ndis_processor()];
    KeAcquireSpinLockAtDpcLevel(&edge->pending_lock);
    PNET_BUFFER_LIST nbls = edge->pending;
    edge->pending = NULL;
    edge->pending_last = &edge->pending;
    KeReleaseSpinLockFromDpcLevel(&edge->pending_lock);
    PNET_BUFFER_LIST done = NULL, *done_last = &done;
    lane->flushing = true;
    PNET_BUFFER_LIST rest = transmit(edge, lane, nbls, &done_last);
    *done_last = NULL;
    KeAcquireSpinLockAtDpcLevel(&edge->pending_lock);
    if (rest) {
        PNET_BUFFER_LIST *last = &NET_BUFFER_LIST_NEXT_NBL(rest);
        while (*last)
            last = &NET_BUFFER_LIST_NEXT_NBL(*last);
        if (edge->pending)
            *last = edge->pending;
        else
            edge->pending_last = last;
        edge->pending = rest;
    }
    bool more = edge->tx_waiting = edge->pending != NULL;
    KeReleaseSpinLockFromDpcLevel(&edge->pending_lock);
    finish(edge, done);
    lane->flushing = false;
    if (lane->first)
        packet_unplug(edge);
    return more;
}

void packet_drain_thread(void *context)
{
    struct edge_pair *edge = context;
    unsigned processor = 0;
    while (!edge->stop) {
        KeWaitForSingleObject(&edge->pending_event, Executive, KernelMode, FALSE, NULL);
        bool more = edge->tx_waiting;
        while (more && !edge->stop) {
            struct pollfd poll_fd = {.fd = edge->tx, .events = POLLOUT};
            poll(&poll_fd, 1, 100);
            nt_enter_dispatch(processor++ % sched_processors());
            more = drain(edge);
            nt_leave_dispatch();
        }
    }
}
