/*
 * Sending to the interface: chains of NBLs become batches of sendmmsg on a packet socket
 * (edge_lane.c says what a message is).
 *
 * An NBL is complete when all of its buffers have been handed over. MiniportReserved[1] of an NBL
 * that waits is its next buffer.
 */
#include "edge_real.h"
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEND_BUFFER (4 << 20)

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
        edge->lanes[i].trains = &edge->tx_trains;
        if (!lane_open(&edge->lanes[i]))
            return false;
    }
    return true;
}

void packet_send_close(struct edge_pair *edge)
{
    for (unsigned i = 0; edge->lanes && i < sched_processors(); i++)
        lane_close(&edge->lanes[i]);
    free(edge->lanes);
    if (edge->tx >= 0)
        close(edge->tx);
}

/* A chain, as far as it goes. Complete ones are appended to *done. Returns what did not fit into
 * the socket's buffer, with where to go on in MiniportReserved[1]. */
static PNET_BUFFER_LIST transmit(struct edge_pair *edge, struct tx_lane *lane,
                                 PNET_BUFFER_LIST nbls, PNET_BUFFER_LIST **done)
{
    PNET_BUFFER_LIST owner[LANE_BUFFERS];
    PNET_BUFFER buffer[LANE_BUFFERS];
    PNET_BUFFER_LIST nbl = nbls;
    PNET_BUFFER nb = nbl ? NET_BUFFER_LIST_MINIPORT_RESERVED(nbl)[1] : NULL;
    while (nbl) {
        /* Gather a batch. */
        unsigned count = 0;
        bool full = false;
        lane_clear(lane);
        PNET_BUFFER_LIST scan = nbl;
        PNET_BUFFER next = nb;
        while (scan && !full) {
            if (!next)
                next = NET_BUFFER_LIST_FIRST_NB(scan);
            while (next) {
                full = count == LANE_BUFFERS || !lane_has_room(lane);
                if (full)
                    break;
                if (lane_add(lane, scan, next)) {
                    owner[count] = scan;
                    buffer[count++] = next;
                } else {
                    NET_BUFFER_LIST_STATUS(scan) = NDIS_STATUS_FAILURE;
                }
                next = NET_BUFFER_NEXT_NB(next);
            }
            if (!full)
                scan = NET_BUFFER_LIST_NEXT_NBL(scan);
        }
        lane_seal(lane);
        /* Send it. */
        unsigned messages = 0, sent = 0; /* of these messages, so many buffers */
        while (messages < lane->count) {
            int n =
                sendmmsg(edge->tx, lane->messages + messages, lane->count - messages, MSG_DONTWAIT);
            if (n > 0) {
                messages += (unsigned)n;
                sent = lane->end[messages - 1];
                continue;
            }
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                break;
            /* This one is wrong, dropped by the queue discipline, or the interface is down. */
            NDIS_STATUS status = errno == EMSGSIZE  ? NDIS_STATUS_INVALID_LENGTH
                                 : errno == ENOBUFS ? NDIS_STATUS_RESOURCES
                                                    : NDIS_STATUS_FAILURE;
            for (; sent < lane->end[messages] && sent < count; sent++)
                NET_BUFFER_LIST_STATUS(owner[sent]) = status;
            messages++;
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
