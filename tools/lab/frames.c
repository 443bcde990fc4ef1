/*
 * Raw frames from more client addresses than any machine holds.
 *
 *   lab-frames IF DESTINATION_MAC TARGET COUNT PER_SECOND
 *
 * Sends COUNT UDP datagrams to port 9 of TARGET (IPv4 or IPv6), the n-th from the n-th address
 * of 11.0.0.0/8 or fd79::/64, spread by a multiplication so that neighbours in number are none in
 * address. Prints how many were sent.
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PAYLOAD = 18 };

static void die(const char *what)
{
    fprintf(stderr, "lab-frames: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The frame from the n-th client; returns its length. */
static size_t build(unsigned char *frame, const unsigned char mac[12], int family,
                    const void *target, uint32_t n)
{
    /* Odd multipliers permute the residues of a power of two: no two clients are alike. */
    uint32_t spread = (n * 2654435761u) & 0x00ffffff;
    struct udphdr *udp;
    size_t header;
    uint32_t pseudo;

    memcpy(frame, mac, 12);
    if (family == AF_INET) {
        struct iphdr *ip = (struct iphdr *)(frame + 14);
        header = sizeof *ip;
        *ip = (struct iphdr){.version = 4, .ihl = 5, .ttl = 60, .protocol = IPPROTO_UDP};
        ip->tot_len = htons((uint16_t)(header + sizeof *udp + PAYLOAD));
        ip->saddr = htonl(0x0b000000u | spread);
        memcpy(&ip->daddr, target, 4);
        ip->check = fold(sum(0, ip, header));
        frame[12] = 0x08;
        frame[13] = 0x00;
        pseudo = sum(0, &ip->saddr, 8);
    } else {
        struct ip6_hdr *ip = (struct ip6_hdr *)(frame + 14);
        header = sizeof *ip;
        memset(ip, 0, header);
        ip->ip6_vfc = 0x60;
        ip->ip6_hlim = 60;
        ip->ip6_nxt = IPPROTO_UDP;
        ip->ip6_plen = htons((uint16_t)(sizeof *udp + PAYLOAD));
        inet_pton(AF_INET6, "fd79::", &ip->ip6_src);
        uint32_t low = htonl(spread);
        memcpy((unsigned char *)&ip->ip6_src + 12, &low, 4);
        memcpy(&ip->ip6_dst, target, 16);
        frame[12] = 0x86;
        frame[13] = 0xdd;
        pseudo = sum(0, &ip->ip6_src, 32);
    }
    udp = (struct udphdr *)(frame + 14 + header);
    *udp = (struct udphdr){
        .source = htons(40000), .dest = htons(9), .len = htons(sizeof *udp + PAYLOAD)};
    memset(udp + 1, 'x', PAYLOAD);
    pseudo += IPPROTO_UDP + sizeof *udp + PAYLOAD;
    udp->check = fold(sum(pseudo, udp, sizeof *udp + PAYLOAD));
    if (!udp->check)
        udp->check = 0xffff;
    return 14 + header + sizeof *udp + PAYLOAD;
}

int main(int argc, char **argv)
{
    unsigned char mac[12], target[16], frame[128];

    if (argc != 6) {
        fprintf(stderr, "usage: lab-frames IF DESTINATION_MAC TARGET COUNT PER_SECOND\n");
        return 2;
    }
    int family = strchr(argv[3], ':') ? AF_INET6 : AF_INET;
    if (inet_pton(family, argv[3], target) != 1)
        die(argv[3]);
    if (sscanf(argv[2], "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", mac, mac + 1, mac + 2, mac + 3,
               mac + 4, mac + 5) != 6)
        die(argv[2]);
    uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10), refused = 0;
    double rate = strtod(argv[5], NULL);

    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(argv[1])};
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (s < 0 || !at.sll_ifindex || bind(s, (struct sockaddr *)&at, sizeof at))
        die(argv[1]);
    struct ifreq own = {0};
    snprintf(own.ifr_name, sizeof own.ifr_name, "%s", argv[1]);
    if (ioctl(s, SIOCGIFHWADDR, &own))
        die(argv[1]);
    memcpy(mac + 6, own.ifr_hwaddr.sa_data, 6);

    uint64_t begun = now();
    for (uint32_t n = 0; n < count; n++) {
        size_t bytes = build(frame, mac, family, target, n);
        while ((double)(now() - begun) * rate / 1e9 < n) {
            struct timespec nap = {0, 200000};
            nanosleep(&nap, NULL);
        }
        if (send(s, frame, bytes, 0) < 0)
            refused++;
    }
    printf("%u\n", count - refused);
    return 0;
}
