/*
 * The lower real edge: a network interface by AF_PACKET with PACKET_VNET_HDR.
 *
 * The kernel's own stack must not answer what the adapter receives, nor speak for its MAC address:
 * edge_open() puts a tc ingress filter on the interface that drops everything (ingress.c; packet
 * sockets see frames before tc does), turns off IPv6 there, and takes both back at edge_close(). The
 * interface keeps no address; the node's stack is the TAP's, which has the interface's MAC address.
 * PACKET_IGNORE_OUTGOING: what we send does not come back.
 *
 * A super-frame becomes an NBL with RSC metadata while RSC is on, else it is segmented here; one of UDP
 * always is, since NDIS has no word for it that a filter of today reads. Frames that the packet filter
 * does not let through are not indicated, as a network adapter's would not be.
 */
#include "edge_real.h"
#include "gso.h"
#include "ingress.h"
#include "netlink.h"
#include "vnet.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RECEIVE_BUFFER (16 << 20)
#define WAKE_SIGNAL    SIGURG

/* Threads */

void edge_realtime(void)
{
    struct sched_param parameters = {.sched_priority = 1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameters); /* where it is permitted */
}

struct thread_start {
    struct edge_pair *edge;
    struct edge_thread *thread;
    void (*run)(void *);
};

static void on_wake(int signal)
{
    (void)signal;
}

static void thread_run(void *context)
{
    struct thread_start start = *(struct thread_start *)context;
    free(context);
    start.thread->pthread = pthread_self();
    start.thread->running = true;
    start.run(start.edge);
    start.thread->running = false;
}

bool edge_start_thread(struct edge_pair *edge, struct edge_thread *thread, const char *name,
                       void (*run)(void *))
{
    struct thread_start *start = malloc(sizeof(*start));
    if (!start)
        return false;
    *start = (struct thread_start){edge, thread, run};
    thread->thread = nt_spawn(name, thread_run, start);
    return thread->thread != NULL;
}

/* The thread has been told to stop; a system call that it blocks in is interrupted until it hears. */
void edge_stop_thread(struct edge_thread *thread)
{
    if (!thread->thread)
        return;
    while (thread->running) {
        pthread_kill(thread->pthread, WAKE_SIGNAL);
        usleep(200);
    }
    nt_join(thread->thread);
    thread->thread = NULL;
}

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
                      .left = bytes - layers->payload};
    struct virtio_net_hdr good = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
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

static bool rsc_on(const struct edge_pair *edge, const struct frame_layers *layers)
{
    const NDIS_TCP_RECV_SEG_COALESCE_OFFLOAD *rsc = &edge->adapter->current.Rsc;
    return layers->protocol == 6 && (layers->ip == 6 ? rsc->IPv6.Enabled : rsc->IPv4.Enabled);
}

static bool checksums_on(const struct edge_pair *edge, const struct frame_layers *layers)
{
    const NDIS_TCP_IP_CHECKSUM_OFFLOAD *c = &edge->adapter->current.Checksum;
    if (layers->ip == 6)
        return layers->protocol == 6 ? c->IPv6Receive.TcpChecksum : c->IPv6Receive.UdpChecksum;
    return layers->protocol == 6 ? c->IPv4Receive.TcpChecksum : c->IPv4Receive.UdpChecksum;
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
    if (super && !rsc_on(edge, &layers)) {
        segment(edge, batch, slot, bytes, &layers, tag);
        return false;
    }
    slot_set(slot, bytes);
    if (parsed && checksums_on(edge, &layers))
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

static void indicate(struct edge_pair *edge, struct batch *batch, unsigned processor)
{
    *batch->last = NULL;
    if (!rundown_take(&edge->indicating, 1)) {
        ndis_lower_discards(edge->adapter, batch->count, 0);
        give_back(batch->first);
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
}

static void receive_thread(void *context)
{
    struct edge_pair *edge = context;
    struct batch *batch = calloc(1, sizeof(*batch));
    edge->rx_slots.owner = nt_current();
    edge_realtime();
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
        batch->first = NULL;
        batch->last = &batch->first;
        batch->count = 0;
        for (int i = 0; i < n; i++)
            receive_one(edge, batch, (unsigned)i);
        if (batch->count)
            indicate(edge, batch, 0);
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
 * miniport_wants()'s. */
static void packet_set_filter(void *context, ULONG filter, const UCHAR (*multicast)[6], ULONG count)
{
    struct edge_pair *edge = context;
    membership(edge, PACKET_MR_PROMISC, NULL,
               filter & NDIS_PACKET_TYPE_PROMISCUOUS ? PACKET_ADD_MEMBERSHIP
                                                     : PACKET_DROP_MEMBERSHIP);
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
};

/* Opening and closing */

static bool refuse(char *error, size_t size, const char *what, const char *name)
{
    snprintf(error, size, "%s %s: %s", what, name, strerror(errno));
    return false;
}

static bool read_interface(struct edge_pair *edge, char *error, size_t size)
{
    struct ifreq request = {0};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", edge->nic);
    bool ok = fd >= 0 && !ioctl(fd, SIOCGIFINDEX, &request);
    edge->ifindex = request.ifr_ifindex;
    ok = ok && !ioctl(fd, SIOCGIFHWADDR, &request);
    bool ethernet = request.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    memcpy(edge->mac, request.ifr_hwaddr.sa_data, 6);
    ok = ok && !ioctl(fd, SIOCGIFMTU, &request);
    edge->mtu = (unsigned)request.ifr_mtu;
    if (!ok)
        refuse(error, size, "interface", edge->nic);
    else if (!ethernet)
        snprintf(error, size, "interface %s is not Ethernet", edge->nic);
    if (fd >= 0)
        close(fd);
    return ok && ethernet;
}

static bool open_receive(struct edge_pair *edge, char *error, size_t size)
{
    int one = 1, bytes = RECEIVE_BUFFER;
    edge->rx = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = edge->ifindex};
    if (edge->rx < 0 || setsockopt(edge->rx, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
        setsockopt(edge->rx, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
        setsockopt(edge->rx, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)))
        return refuse(error, size, "packet socket for", edge->nic);
    if (setsockopt(edge->rx, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
        setsockopt(edge->rx, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (bind(edge->rx, (struct sockaddr *)&address, sizeof(address)))
        return refuse(error, size, "packet socket for", edge->nic);
    return true;
}

/* Of the interface itself: the stack's IPv6 is the TAP's. Returns what it was. */
static bool set_ipv6(const char *nic, bool on)
{
    char path[96], was = '1';
    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", nic);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, &was, 1);
    if (n == 1)
        n = pwrite(fd, on ? "0" : "1", 1, 0);
    close(fd);
    return n == 1 && was == '0';
}

/* What Linux does for any sender: checksums and segmentation, in software if need be. */
static void offer_offloads(NDIS_OFFLOAD *offload)
{
    offload_none(offload);
    NDIS_TCP_IP_CHECKSUM_OFFLOAD *c = &offload->Checksum;
    ULONG ethernet = NDIS_ENCAPSULATION_IEEE_802_3 | NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q |
                     NDIS_ENCAPSULATION_IEEE_802_3_P_AND_Q_IN_OOB;
    c->IPv4Transmit.Encapsulation = c->IPv4Receive.Encapsulation = ethernet;
    c->IPv6Transmit.Encapsulation = c->IPv6Receive.Encapsulation = ethernet;
    c->IPv4Transmit.IpOptionsSupported = c->IPv4Receive.IpOptionsSupported = 1;
    c->IPv4Transmit.TcpOptionsSupported = c->IPv4Receive.TcpOptionsSupported = 1;
    c->IPv4Transmit.TcpChecksum = c->IPv4Receive.TcpChecksum = 1;
    c->IPv4Transmit.UdpChecksum = c->IPv4Receive.UdpChecksum = 1;
    c->IPv4Transmit.IpChecksum = c->IPv4Receive.IpChecksum = 1;
    c->IPv6Transmit.IpExtensionHeadersSupported = c->IPv6Receive.IpExtensionHeadersSupported = 1;
    c->IPv6Transmit.TcpOptionsSupported = c->IPv6Receive.TcpOptionsSupported = 1;
    c->IPv6Transmit.TcpChecksum = c->IPv6Receive.TcpChecksum = 1;
    c->IPv6Transmit.UdpChecksum = c->IPv6Receive.UdpChecksum = 1;
    offload->LsoV2.IPv4.Encapsulation = offload->LsoV2.IPv6.Encapsulation = ethernet;
    offload->LsoV2.IPv4.MaxOffLoadSize = offload->LsoV2.IPv6.MaxOffLoadSize = 62000;
    offload->LsoV2.IPv4.MinSegmentCount = offload->LsoV2.IPv6.MinSegmentCount = 1;
    offload->LsoV2.IPv6.IpExtensionHeadersSupported = 1;
    offload->LsoV2.IPv6.TcpOptionsSupported = 1;
    offload->Rsc.IPv4.Enabled = offload->Rsc.IPv6.Enabled = TRUE;
}

static bool open_all(struct edge_pair *edge, char *error, size_t size)
{
    if (!read_interface(edge, error, size) || !open_receive(edge, error, size) ||
        !packet_send_open(edge, error, size) || !tap_open(edge, error, size))
        return false;
    edge->monitor = netlink_monitor(RTMGRP_LINK);
    edge->stop_event = eventfd(0, EFD_CLOEXEC);
    if (edge->monitor < 0 || edge->stop_event < 0)
        return refuse(error, size, "netlink for", edge->nic);
    if (!ingress_block(edge->ifindex, error, size))
        return false;
    edge->blocked = true;
    edge->ipv6_was_on = set_ipv6(edge->nic, false);

    struct ndis_adapter_config config = {
        .name = edge->nic,
        .mtu = edge->mtu,
        .medium = NdisMedium802_3,
        .physical = NdisPhysicalMedium802_3,
        .link_speed = 10000000000ull,
        .vlan = true,
    };
    memcpy(config.mac, edge->mac, 6);
    offer_offloads(&config.offload);
    edge->adapter = ndis_adapter_create(&config, &packet_ops, edge, &tap_ops, edge);
    if (!edge->adapter || !slots_open(&edge->rx_slots, RX_SLOTS, ndis_lower_handle(edge->adapter)) ||
        !slots_open(&edge->tap_slots, TAP_SLOTS, ndis_upper_handle(edge->adapter))) {
        snprintf(error, size, "no memory");
        return false;
    }
    return true;
}

struct edge_pair *edge_open(const struct edge_options *options, char *error, size_t error_size)
{
    struct edge_pair *edge = aligned_alloc(64, (sizeof(*edge) + 63) & ~63ul);
    if (!edge) {
        snprintf(error, error_size, "no memory");
        return NULL;
    }
    memset(edge, 0, sizeof(*edge));
    edge->rx = edge->tx = edge->tap_fd = edge->monitor = edge->stop_event = -1;
    edge->resources_random = options->resources_random;
    edge->random = 1;
    snprintf(edge->nic, sizeof(edge->nic), "%s", options->nic);
    snprintf(edge->tap, sizeof(edge->tap), "%s", options->tap);
    rundown_init(&edge->indicating);
    struct sigaction wake = {.sa_handler = on_wake};
    sigaction(WAKE_SIGNAL, &wake, NULL);
    if (!open_all(edge, error, error_size)) {
        edge_close(edge);
        return NULL;
    }
    ndis_adapter_start(edge->adapter);
    edge_start_thread(edge, &edge->drain, "edge-drain", packet_drain_thread);
    edge_start_thread(edge, &edge->receive, "edge-receive", receive_thread);
    edge_start_thread(edge, &edge->tap_reader, "edge-tap", tap_thread);
    edge_start_thread(edge, &edge->link, "edge-link", link_thread);
    return edge;
}

void edge_close(struct edge_pair *edge)
{
    edge->stop = true;
    uint64_t one = 1;
    if (edge->stop_event >= 0 && write(edge->stop_event, &one, sizeof(one)) < 0)
        abort();
    KeSetEvent(&edge->tap_slots.available, IO_NO_INCREMENT, FALSE);
    edge_stop_thread(&edge->link);
    edge_stop_thread(&edge->tap_reader);
    edge_stop_thread(&edge->receive);
    if (edge->adapter)
        ndis_adapter_stop(edge->adapter); /* the drain thread is still there for what waits */
    KeSetEvent(&edge->pending_event, IO_NO_INCREMENT, FALSE);
    edge_stop_thread(&edge->drain);
    if (edge->adapter)
        ndis_adapter_destroy(edge->adapter);
    slots_close(&edge->rx_slots);
    slots_close(&edge->tap_slots);
    packet_send_close(edge);
    if (edge->blocked)
        ingress_unblock(edge->ifindex);
    if (edge->ipv6_was_on)
        set_ipv6(edge->nic, true);
    const int fds[] = {edge->rx, edge->tap_fd, edge->monitor, edge->stop_event};
    for (unsigned i = 0; i < ARRAYSIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(edge);
}
