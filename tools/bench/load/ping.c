/* ICMP echo over IPv4 (RFC 792), from up to 16 source addresses in turn. */
#include "load.h"

#include <errno.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PINGS = 1 << 20, MAX_SOCKETS = 16, PAYLOAD = 56 };

static double rtts[MAX_PINGS]; /* us */

static uint16_t checksum(const unsigned char *data, size_t bytes)
{
    uint32_t sum = 0;

    for (size_t i = 0; i + 1 < bytes; i += 2) {
        uint16_t word;
        memcpy(&word, data + i, 2);
        sum += word;
    }
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* True: answered within the socket's time. */
static bool ping(int s, const struct address *target, uint16_t sequence, double *us)
{
    struct icmphdr header = {.type = ICMP_ECHO,
                             .un.echo = {htons((uint16_t)getpid()), htons(sequence)}};
    unsigned char request[sizeof header + PAYLOAD] = {0};
    char answer[512];

    memcpy(request, &header, sizeof header);
    header.checksum = checksum(request, sizeof request);
    memcpy(request, &header, sizeof header);
    uint64_t sent = now();
    if (sendto(s, request, sizeof request, 0, (const struct sockaddr *)&target->at, target->bytes) <
        0)
        die("sendto");
    for (;;) {
        ssize_t n = recv(s, answer, sizeof answer, 0);
        uint64_t came = now();
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        const struct ip *ip = (const struct ip *)answer;
        const struct icmphdr *icmp = (const struct icmphdr *)(answer + ip->ip_hl * 4);
        if (icmp->type == ICMP_ECHOREPLY && !memcmp(&icmp->un.echo, &header.un.echo, 4)) {
            *us = (double)(came - sent) / 1e3;
            return true;
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void run_ping(const struct address *target, double seconds, unsigned interval_us)
{
    int sockets[MAX_SOCKETS];
    unsigned count = sources() < MAX_SOCKETS ? sources() : MAX_SOCKETS;
    unsigned answered = 0, lost = 0, sequence = 0;
    struct timeval patience = {0, 200000};

    for (unsigned i = 0; i < count; i++) {
        sockets[i] = open_from(SOCK_RAW, IPPROTO_ICMP);
        setsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9);
    while (count && now() < end && answered < MAX_PINGS) {
        struct timespec nap = {0, interval_us * 1000l};
        if (ping(sockets[sequence % count], target, (uint16_t)sequence, &rtts[answered]))
            answered++;
        else
            lost++;
        sequence++;
        nanosleep(&nap, NULL);
    }
    double took = (double)(now() - begun) / 1e9;
    if (!answered) {
        fprintf(stderr, "bench-load: no answer to %u echo requests\n", lost);
        exit(1);
    }
    qsort(rtts, answered, sizeof rtts[0], compare);
    printf("{\"answered\":%u,\"lost\":%u,\"p50Us\":%.2f,\"p99Us\":%.2f,\"seconds\":%.6f,"
           "\"cpuMs\":%.3f}\n",
           answered, lost, rtts[answered / 2], rtts[answered * 99ull / 100], took, cpu_ms());
}
