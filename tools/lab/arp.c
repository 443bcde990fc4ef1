/*
 * Who says by ARP that it has an address?
 *
 *   lab-arp IF ADDRESS
 *
 * Prints every ARP frame whose sender claims ADDRESS, one a line: milliseconds of CLOCK_MONOTONIC,
 * "reply" or "announcement", the MAC address. Each line on standard input sends a request for
 * ADDRESS, from the interface's own IPv4 address.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct packet {
    struct ether_header eth;
    struct ether_arp arp;
};

static struct packet request;

static void die(const char *what)
{
    fprintf(stderr, "lab-arp: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void prepare(int s, const char *interface, const unsigned char address[4])
{
    struct ifreq mac = {0}, ip = {.ifr_addr.sa_family = AF_INET};
    int u = socket(AF_INET, SOCK_DGRAM, 0);

    snprintf(mac.ifr_name, sizeof mac.ifr_name, "%s", interface);
    snprintf(ip.ifr_name, sizeof ip.ifr_name, "%s", interface);
    if (u < 0 || ioctl(s, SIOCGIFHWADDR, &mac) || ioctl(u, SIOCGIFADDR, &ip))
        die(interface);
    close(u);
    memset(request.eth.ether_dhost, 0xff, 6);
    memcpy(request.eth.ether_shost, mac.ifr_hwaddr.sa_data, 6);
    request.eth.ether_type = htons(ETHERTYPE_ARP);
    request.arp.ea_hdr = (struct arphdr){.ar_hrd = htons(ARPHRD_ETHER),
                                         .ar_pro = htons(ETHERTYPE_IP),
                                         .ar_hln = 6,
                                         .ar_pln = 4,
                                         .ar_op = htons(ARPOP_REQUEST)};
    memcpy(request.arp.arp_sha, mac.ifr_hwaddr.sa_data, 6);
    memcpy(request.arp.arp_spa, &((struct sockaddr_in *)&ip.ifr_addr)->sin_addr, 4);
    memcpy(request.arp.arp_tpa, address, 4);
}

static void show(const struct packet *p, const unsigned char address[4])
{
    struct timespec t;
    const unsigned char *m = p->arp.arp_sha;

    if (memcmp(p->arp.arp_spa, address, 4) != 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &t);
    /* An answer is for the asker alone; whatever goes to all tells it to all. */
    printf(
        "%.3f %s %02x:%02x:%02x:%02x:%02x:%02x\n", (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6,
        p->eth.ether_dhost[0] & 1 ? "announcement" : "reply", m[0], m[1], m[2], m[3], m[4], m[5]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned char address[4];
    char line[64];
    struct packet p;

    if (argc != 3 || inet_pton(AF_INET, argv[2], address) != 1) {
        fprintf(stderr, "usage: lab-arp IF ADDRESS\n");
        return 2;
    }
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(ETH_P_ARP),
                             .sll_ifindex = (int)if_nametoindex(argv[1])};
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (s < 0 || !at.sll_ifindex || bind(s, (struct sockaddr *)&at, sizeof at))
        die(argv[1]);
    prepare(s, argv[1], address);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct pollfd fds[2] = {{.fd = s, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            die("poll");
        if (fds[1].revents) {
            if (read(0, line, sizeof line) <= 0)
                return 0;
            if (send(s, &request, sizeof request, 0) < 0)
                die("send");
        }
        if (fds[0].revents && recv(s, &p, sizeof p, 0) >= (ssize_t)sizeof p)
            show(&p, address);
    }
}
