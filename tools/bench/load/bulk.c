/*
 * What the server has acknowledged, or what has come from it. Payload is not looked at: it is
 * received without a copy, so that the bench costs less than what it measures.
 */
#include "load.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

static char block[256 << 10];

struct transfer {
    int epoll;
    bool up;
    uint64_t bytes, failed;
};

static void ready(struct transfer *t, int s, bool first)
{
    const char *request = t->up ? "POST /sink HTTP/1.1\r\n\r\n" : "GET /stream HTTP/1.1\r\n\r\n";

    if (first) {
        if (send(s, request, strlen(request), MSG_NOSIGNAL) < 0)
            t->failed++;
        epoll_ctl(t->epoll, EPOLL_CTL_MOD, s,
                  &(struct epoll_event){.events = t->up ? EPOLLOUT : EPOLLIN,
                                        .data.u64 = (uint64_t)s | 1ull << 32});
        return;
    }
    ssize_t n = t->up ? send(s, block, sizeof block, MSG_NOSIGNAL)
                      : recv(s, block, sizeof block, MSG_TRUNC);
    if (n > 0) {
        t->bytes += (uint64_t)n;
    } else if (!n || errno != EAGAIN) {
        t->failed++;
        epoll_ctl(t->epoll, EPOLL_CTL_DEL, s, NULL);
    }
}

void run_bulk(const struct address *target, double seconds, unsigned width, bool up)
{
    struct transfer t = {.epoll = epoll_create1(EPOLL_CLOEXEC), .up = up};
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9);
    struct epoll_event events[256];
    int sockets[256];

    if (width > 256)
        width = 256;
    for (unsigned i = 0; i < width; i++) {
        sockets[i] = connect_from(target);
        epoll_ctl(t.epoll, EPOLL_CTL_ADD, sockets[i],
                  &(struct epoll_event){.events = EPOLLOUT, .data.u64 = (uint64_t)sockets[i]});
    }
    while (now() < end) {
        int n = epoll_wait(t.epoll, events, 256, 100);
        for (int i = 0; i < n; i++)
            ready(&t, (int)(uint32_t)events[i].data.u64, !(events[i].data.u64 >> 32));
    }
    double took = (double)(now() - begun) / 1e9;
    for (unsigned i = 0; up && i < width; i++) {
        int waiting = 0;
        if (!ioctl(sockets[i], SIOCOUTQ, &waiting) && (uint64_t)waiting <= t.bytes)
            t.bytes -= (uint64_t)waiting;
    }
    printf("{\"bytes\":%llu,\"failed\":%llu,\"seconds\":%.6f,\"cpuMs\":%.3f}\n",
           (unsigned long long)t.bytes, (unsigned long long)t.failed, took, cpu_ms());
}
