/*
 * An interface of a VLAN, for kernels that have none.
 *
 *   lab-vlan IF ID NAME
 *
 * Makes the TAP interface NAME, with IF's MAC address: what it sends leaves by IF with an 802.1Q
 * tag, and what IF receives with that tag arrives there. Frames travel with their virtio-net
 * header, so that super-frames and partial checksums arrive as they were sent; NAME itself sends
 * neither. Prints "ready".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { ADDRESSES = 12, TAG = 4, MAX_FRAME = 14 + TAG + 65536 };

static uint16_t vlan;

static void die(const char *what)
{
    fprintf(stderr, "lab-vlan: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_lower(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    int one = 1, room = 16 << 20;
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (!address.sll_ifindex || s < 0)
        die(name);
    if (setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) ||
        setsockopt(s, SOL_PACKET, PACKET_AUXDATA, &one, sizeof one) ||
        setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) ||
        bind(s, (struct sockaddr *)&address, sizeof address))
        die(name);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return s;
}

static int open_upper(const char *name, int lower, const char *lower_name)
{
    struct ifreq tap = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR}, mac = {0};
    int bytes = sizeof(struct virtio_net_hdr);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(tap.ifr_name, sizeof tap.ifr_name, "%s", name);
    snprintf(mac.ifr_name, sizeof mac.ifr_name, "%s", lower_name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &tap) || ioctl(fd, TUNSETVNETHDRSZ, &bytes) ||
        ioctl(lower, SIOCGIFHWADDR, &mac))
        die(name);
    snprintf(mac.ifr_name, sizeof mac.ifr_name, "%s", name);
    mac.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    if (ioctl(lower, SIOCSIFHWADDR, &mac))
        die(name);
    return fd;
}

static bool is_ours(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA)
            continue;
        const struct tpacket_auxdata *aux = (const struct tpacket_auxdata *)CMSG_DATA(c);
        return (aux->tp_status & TP_STATUS_VLAN_VALID) && (aux->tp_vlan_tci & 0xfff) == vlan;
    }
    return false;
}

/* The kernel takes the tag out of the frame and tells it beside. */
static void upwards(int lower, int upper)
{
    static unsigned char frame[sizeof(struct virtio_net_hdr) + MAX_FRAME];
    union {
        char bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
        struct cmsghdr align;
    } control;

    for (;;) {
        struct iovec piece = {frame, sizeof frame};
        struct msghdr message = {.msg_iov = &piece,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof control.bytes};
        ssize_t n = recvmsg(lower, &message, 0);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == ENETDOWN)
                return;
            die("recvmsg");
        }
        /* What the interface refuses, because it is down, is lost. */
        if (is_ours(&message))
            (void)!write(upper, frame, (size_t)n);
    }
}

static void downwards(int lower, int upper)
{
    static unsigned char frame[sizeof(struct virtio_net_hdr) + MAX_FRAME];
    unsigned char tag[TAG] = {0x81, 0x00, (unsigned char)(vlan >> 8), (unsigned char)vlan};
    const size_t head = sizeof(struct virtio_net_hdr) + ADDRESSES;

    for (;;) {
        ssize_t n = read(upper, frame, sizeof frame);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR || errno == EIO)
                return;
            die("read");
        }
        if ((size_t)n < head)
            continue;
        struct iovec pieces[] = {
            {frame, head}, {tag, sizeof tag}, {frame + head, (size_t)n - head}};
        (void)!writev(lower, pieces, 3);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 || !(vlan = (uint16_t)atoi(argv[2])) || vlan > 4094) {
        fprintf(stderr, "usage: lab-vlan IF ID NAME\n");
        return 2;
    }
    int lower = open_lower(argv[1]), upper = open_upper(argv[3], lower, argv[1]);

    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{.fd = lower, .events = POLLIN}, {.fd = upper, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            die("poll");
        upwards(lower, upper);
        downwards(lower, upper);
    }
}
