/*
 * Opening and closing the real edges: the interface, its sockets, the TAP, the threads.
 */
#include "edge_real.h"
#include "ingress.h"
#include "netlink.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
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

/* The thread has been told to stop; a system call that it blocks in is interrupted until it hears.
 */
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

/* Opening and closing */

/* In bits a second; what does not say has 10 Gbit/s. */
static uint64_t ask_speed(int fd, const char *nic)
{
    struct ethtool_cmd command = {.cmd = ETHTOOL_GSET};
    struct ifreq request = {.ifr_data = (char *)&command};
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", nic);
    uint32_t megabits = ioctl(fd, SIOCETHTOOL, &request) ? 0 : ethtool_cmd_speed(&command);
    return megabits && megabits != (uint32_t)SPEED_UNKNOWN ? megabits * 1000000ull : 10000000000ull;
}

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
    edge->link_speed = ask_speed(fd, edge->nic);
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
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = edge->ifindex};
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
    edge->guard_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (edge->monitor < 0 || edge->stop_event < 0 || edge->guard_event < 0)
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
        .link_speed = edge->link_speed,
        .vlan = true,
    };
    memcpy(config.mac, edge->mac, 6);
    offer_offloads(&config.offload);
    packet_set_offloads(edge, &config.offload);
    edge->adapter = ndis_adapter_create(&config, &packet_ops, edge, &tap_ops, edge);
    if (!edge->adapter ||
        !slots_open(&edge->rx_slots, RX_SLOTS, ndis_lower_handle(edge->adapter)) ||
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
    edge->rx = edge->tx = edge->tap_fd = edge->monitor = edge->stop_event = edge->guard_event = -1;
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
    edge_start_thread(edge, &edge->receive, "edge-receive", packet_receive_thread);
    edge_start_thread(edge, &edge->tap_reader, "edge-tap", tap_thread);
    edge_start_thread(edge, &edge->link, "edge-link", link_thread);
    edge_start_thread(edge, &edge->guard, "edge-guard", edge_guard_thread);
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
    edge_stop_thread(&edge->guard);
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
    const int fds[] = {edge->rx, edge->tap_fd, edge->monitor, edge->stop_event, edge->guard_event};
    for (unsigned i = 0; i < ARRAYSIZE(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(edge);
}
