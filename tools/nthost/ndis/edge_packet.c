/*
 * The lower real edge: a network interface by AF_PACKET with PACKET_VNET_HDR.
 *
 * The kernel's own stack must not answer what the adapter receives, nor speak for its MAC address:
 * edge_open() puts a tc ingress filter on the interface that drops everything (ingress.c; packet
 * sockets see frames before tc does), turns off IPv6 there, and takes both back at edge_close().
 * The interface keeps no address; the node's stack is the TAP's, which has the interface's MAC
 * address. PACKET_IGNORE_OUTGOING: what we send does not come back.
 *
 * A super-frame becomes an NBL with RSC metadata while RSC is on, else it is segmented here; one of
 * UDP always is, since NDIS has no word for it that a filter of today reads. Frames that the packet
 * filter does not let through are not indicated, as a network adapter's would not be.
 */
#include "edge_real.h"
#include "gso.h"
#include "vnet.h"
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Receiving */

struct batch {
    struct mmsghdr messages[EDGE_BATCH];
    struct iovec iov[EDGE_BATCH][2];
    struct slot *slots[EDGE_BATCH];
    union {
        char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
        struct cmsghdr align;
    } control[EDGE_BATCH];
    PNET_BUFFER_LIST first, *last;
    unsigned count;
};

static void post(struct edge_pair *edge, struct batch *batch)
{
    for (unsigned i = 0; i < EDGE_BATCH; i++) {
        if (!batch->slots[i]) {
            batch->slots[i] = slots_take(&edge->rx_slots);
            slot_iov(batch->slots[i], batch->iov[i]);
        }
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_iov = batch->iov[i],
            .msg_iovlen = 2,
            .msg_control = batch->control[i].bytes,
            .msg_controllen = sizeof(batch->control[i].bytes),
        };
    }
}

/* The tag that the kernel has taken out of the frame; 0: none. */
static uint32_t tag_of(struct msghdr *message)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (!c || c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
        return 0;
    const struct tpacket_auxdata *aux = (const struct tpacket_auxdata *)CMSG_DATA(c);
    return aux->tp_status & TP_STATUS_VLAN_VALID ? 0x10000u | aux->tp_vlan_tci : 0;
}

static void set_tag(PNET_BUFFER_LIST nbl, uint32_t tag)
{
    NDIS_NET_BUFFER_LIST_8021Q_INFO info = {.Value = NULL};
    info.TagHeader.UserPriority = tag >> 13 & 7;
    info.TagHeader.CanonicalFormatId = tag >> 12 & 1;
    info.TagHeader.VlanId = tag & 0xfff;
    NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = info.Value;
}

static void append(struct batch *batch, struct slot *slot)
{
    *batch->last = slot->nbl;
    batch->last = &NET_BUFFER_LIST_NEXT_NBL(slot->nbl);
    batch->count++;
}

/* A bit for each receive offload that is on. */
static unsigned rx_bit(bool rsc, int ip, int protocol)
{
    return 1u << ((rsc ? 4 : 0) + (ip == 6 ? 2 : 0) + (protocol == 6));
}

static bool rx_on(const struct edge_pair *edge, bool rsc, const struct frame_layers *layers)
{
    return atomic_load_explicit(&edge->rx_offloads, memory_order_relaxed) &
           rx_bit(rsc, layers->ip, layers->protocol);
}

/* A super-frame into frames of the wire, each in a slot of its own; what finds none is lost. */
static void segment(struct edge_pair *edge, struct batch *batch, struct slot *slot, uint32_t bytes,
                    const struct frame_layers *layers, uint32_t tag)
{
    uint8_t *frame = slot_frame(slot);
    struct iovec data[2] = {{frame + layers->payload, SLOT_SMALL - layers->payload},
                            {slot->large, SLOT_LARGE}};
    if (bytes <= SLOT_SMALL) {
        data[0].iov_len = bytes - layers->payload;
        data[1].iov_len = 0;
    } else {
        data[1].iov_len = bytes - SLOT_SMALL;
    }
    struct gso gso = {.head = frame,
                      .layers = layers,
                      .data = data,
                      .pieces = 2,
                      .mss = slot_vnet(slot)->gso_size,
                      .partial = layers->protocol == 6 && rx_on(edge, false, layers),
                      .left = bytes - layers->payload};
    struct virtio_net_hdr good = {.flags = gso.partial ? VIRTIO_NET_HDR_F_NEEDS_CSUM
                                                       : VIRTIO_NET_HDR_F_DATA_VALID};
    while (gso_count(&gso)) {
        struct slot *to = gso_frame_bytes(&gso) <= SLOT_SMALL ? slots_take(&edge->rx_slots) : NULL;
        if (!to) {
            ndis_lower_discards(edge->adapter, gso_count(&gso), 0);
            return;
        }
        uint32_t length = (uint32_t)gso_next(&gso, slot_frame(to));
        slot_set(to, length);
        NET_BUFFER_LIST_INFO(to->nbl, TcpIpChecksumNetBufferListInfo) =
            (PVOID)(ULONG_PTR)vnet_receive_checksum(&good, slot_frame(to), length);
        if (tag)
            set_tag(to->nbl, tag);
        append(batch, to);
    }
}

void packet_set_offloads(void *context, const NDIS_OFFLOAD *current)
{
    struct edge_pair *edge = context;
    const NDIS_TCP_IP_CHECKSUM_OFFLOAD *c = &current->Checksum;
    edge->rx_offloads = (current->Rsc.IPv4.Enabled ? rx_bit(true, 4, 6) : 0) |
                        (current->Rsc.IPv6.Enabled ? rx_bit(true, 6, 6) : 0) |
                        (c->IPv4Receive.TcpChecksum ? rx_bit(false, 4, 6) : 0) |
                        (c->IPv4Receive.UdpChecksum ? rx_bit(false, 4, 17) : 0) |
                        (c->IPv6Receive.TcpChecksum ? rx_bit(false, 6, 6) : 0) |
                        (c->IPv6Receive.UdpChecksum ? rx_bit(false, 6, 17) : 0);
    edge->tx_trains = (current->LsoV2.IPv4.Encapsulation ? TX_TRAINS_IPV4 : 0) |
                      (current->LsoV2.IPv6.Encapsulation ? TX_TRAINS_IPV6 : 0);
}

/* Finishes a partial checksum: the stack above has turned receive checksums off. */
static void complete_checksum(struct slot *slot, uint32_t bytes, const struct frame_layers *layers)
{
    uint8_t *frame = slot_frame(slot);
    uint32_t here = bytes < SLOT_SMALL ? bytes : SLOT_SMALL;
    uint32_t end = layers->l4 + layers->l4_bytes;
    uint64_t sum = sum_bytes(frame + layers->l4, (end < here ? end : here) - layers->l4, 0);
    if (end > here)
        sum = sum_join(sum, sum_bytes(slot->large, end - here, 0), here - layers->l4);
    uint16_t check = (uint16_t)~sum_fold(sum);
    if (!check && layers->protocol != 6)
        check = 0xffff;
    memcpy(frame + frame_checksum_offset(layers), &check, 2);
}

/* True: the slot was used up. */
static bool receive_offloaded(struct edge_pair *edge, struct batch *batch, struct slot *slot,
                              uint32_t bytes, uint32_t tag)
{
    struct virtio_net_hdr *vnet = slot_vnet(slot);
    uint8_t *frame = slot_frame(slot);
    uint32_t seen = bytes < SLOT_SMALL ? bytes : SLOT_SMALL;
    struct frame_layers layers;
    bool parsed = frame_parse(frame, seen, bytes, &layers) && layers.l4;
    bool super = vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;
    if (super && !parsed) {
        ndis_lower_discards(edge->adapter, 1, 0);
        return false;
    }
    if (super && !rx_on(edge, true, &layers)) {
        segment(edge, batch, slot, bytes, &layers, tag);
        return false;
    }
    slot_set(slot, bytes);
    if (parsed && rx_on(edge, false, &layers))
        NET_BUFFER_LIST_INFO(slot->nbl, TcpIpChecksumNetBufferListInfo) =
            (PVOID)(ULONG_PTR)vnet_receive_checksum(vnet, frame, seen);
    else if (parsed && (vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
        complete_checksum(slot, bytes, &layers);
    if (super) {
        uint32_t data = bytes - layers.payload;
        slot->gso_size = vnet->gso_size;
        NET_BUFFER_LIST_COALESCED_SEG_COUNT(slot->nbl) =
            (USHORT)((data + vnet->gso_size - 1u) / vnet->gso_size);
    }
    if (tag)
        set_tag(slot->nbl, tag);
    append(batch, slot);
    return true;
}

static void receive_one(struct edge_pair *edge, struct batch *batch, unsigned i)
{
    struct slot *slot = batch->slots[i];
    struct mmsghdr *message = &batch->messages[i];
    uint32_t bytes = message->msg_len - (uint32_t)VNET_BYTES;
    uint8_t *frame = slot_frame(slot);
    if (message->msg_len < VNET_BYTES + FRAME_ETHERNET_HEADER || bytes > SLOT_FRAME ||
        (message->msg_hdr.msg_flags & MSG_TRUNC) || !miniport_wants(edge->adapter, frame))
        return;
    struct virtio_net_hdr *vnet = slot_vnet(slot);
    uint32_t tag = tag_of(&message->msg_hdr);
    if (vnet->flags | vnet->gso_type | tag) {
        if (receive_offloaded(edge, batch, slot, bytes, tag))
            batch->slots[i] = NULL;
        return;
    }
    slot_set(slot, bytes);
    append(batch, slot);
    batch->slots[i] = NULL;
}

static bool choose_resources(struct edge_pair *edge)
{
    /* Short of slots: they must come back at once. */
    if (edge->rx_slots.free_count < EDGE_BATCH &&
        !atomic_load_explicit(&edge->rx_slots.returned, memory_order_relaxed))
        return true;
    if (!edge->resources_random)
        return false;
    edge->random = edge->random * 1664525 + 1013904223;
    return edge->random >> 31;
}

static void give_back(PNET_BUFFER_LIST nbls)
{
    while (nbls) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbls);
        slots_put(slot_of(nbls));
        nbls = next;
    }
}

static void empty(struct batch *batch)
{
    batch->first = NULL;
    batch->last = &batch->first;
    batch->count = 0;
}

static void indicate(struct edge_pair *edge, struct batch *batch, unsigned processor)
{
    *batch->last = NULL;
    if (!rundown_take(&edge->indicating, 1)) {
        ndis_lower_discards(edge->adapter, batch->count, 0);
        give_back(batch->first);
        empty(batch);
        return;
    }
    bool resources = choose_resources(edge);
    PNET_BUFFER_LIST chain = batch->first;
    nt_enter_dispatch(processor);
    packet_plug(edge);
    ndis_lower_indicate(edge->adapter, chain, batch->count,
                        NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL |
                            (resources ? NDIS_RECEIVE_FLAGS_RESOURCES : 0));
    packet_unplug(edge);
    nt_leave_dispatch();
    rundown_drop(&edge->indicating, 1);
    if (resources)
        give_back(chain);
    empty(batch);
}

void packet_receive_thread(void *context)
{
    struct edge_pair *edge = context;
    struct batch *batch = calloc(1, sizeof(*batch));
    edge->rx_slots.owner = nt_current();
    edge_pace_start(&edge->receive_pace, edge->guard_event);
    if (batch)
        empty(batch);
    while (batch && !edge->stop) {
        post(edge, batch);
        int n = recvmmsg(edge->rx, batch->messages, EDGE_BATCH, MSG_WAITFORONE, NULL);
        if (n <= 0) {
            if (n < 0 && errno != EINTR && errno != EAGAIN) {
                /* The interface went down; the socket says so once. Gone for good: be still. */
                struct pollfd wait = {.fd = edge->stop_event, .events = POLLIN};
                if (errno != ENETDOWN)
                    poll(&wait, 1, -1);
            }
            continue;
        }
        /* Segments go up while they are in the cache, and before they have used up the slots. */
        for (int i = 0; i < n; i++) {
            receive_one(edge, batch, (unsigned)i);
            if (batch->count >= EDGE_BATCH)
                indicate(edge, batch, 0);
        }
        if (batch->count)
            indicate(edge, batch, 0);
        edge_pace_frames(&edge->receive_pace, (unsigned)n, n == EDGE_BATCH);
    }
    for (unsigned i = 0; batch && i < EDGE_BATCH; i++)
        if (batch->slots[i])
            slots_put(batch->slots[i]);
    free(batch);
}

/* The miniport's operations */

static void packet_return(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    (void)context;
    (void)flags;
    give_back(nbls);
}

static void packet_pause(void *context)
{
    struct edge_pair *edge = context;
    rundown_close(&edge->indicating);
}

static void packet_restart(void *context)
{
    struct edge_pair *edge = context;
    rundown_open(&edge->indicating);
}

static void membership(struct edge_pair *edge, int type, const UCHAR *address, int option)
{
    struct packet_mreq request = {
        .mr_ifindex = edge->ifindex, .mr_type = (unsigned short)type, .mr_alen = address ? 6 : 0};
    if (address)
        memcpy(request.mr_address, address, 6);
    setsockopt(edge->tx, SOL_PACKET, option, &request, sizeof(request));
}

/* The interface lets through what the packet filter says; dropping what is no longer wanted is
 * miniport_wants()'s. What was added ends with the socket. */
static void packet_set_filter(void *context, ULONG filter, const UCHAR (*multicast)[6], ULONG count)
{
    struct edge_pair *edge = context;
    ULONG changed = edge->asked_filter ^ filter;
    edge->asked_filter = filter; /* the socket counts: each is added once */
    if (changed & NDIS_PACKET_TYPE_PROMISCUOUS)
        membership(edge, PACKET_MR_PROMISC, NULL,
                   filter & NDIS_PACKET_TYPE_PROMISCUOUS ? PACKET_ADD_MEMBERSHIP
                                                         : PACKET_DROP_MEMBERSHIP);
    if (changed & NDIS_PACKET_TYPE_ALL_MULTICAST)
        membership(edge, PACKET_MR_ALLMULTI, NULL,
                   filter & NDIS_PACKET_TYPE_ALL_MULTICAST ? PACKET_ADD_MEMBERSHIP
                                                           : PACKET_DROP_MEMBERSHIP);
    for (ULONG i = 0; i < count; i++)
        membership(edge, PACKET_MR_MULTICAST, multicast[i], PACKET_ADD_MEMBERSHIP);
}

const struct ndis_lower_ops packet_ops = {
    .send = packet_send,
    .return_nbls = packet_return,
    .pause = packet_pause,
    .restart = packet_restart,
    .packet_filter = packet_set_filter,
    .offload = packet_set_offloads,
};
