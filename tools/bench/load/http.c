#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char closing[] = "GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n";
static const char keeping[] = "GET / HTTP/1.1\r\nHost: cluster\r\n\r\n";

static void start(int e, const struct address *target)
{
    int s = connect_from(target);
    epoll_ctl(e, EPOLL_CTL_ADD, s, &(struct epoll_event){.events = EPOLLOUT, .data.fd = s});
}

void run_http(const struct address *target, double seconds, unsigned width, bool keep)
{
    const char *request = keep ? keeping : closing;
    int e = epoll_create1(EPOLL_CLOEXEC);
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9), answered = 0, failed = 0;
    struct epoll_event events[256];
    char buffer[4096];

    for (unsigned i = 0; i < width; i++)
        start(e, target);
    while (now() < end) {
        int n = epoll_wait(e, events, 256, 100);
        for (int i = 0; i < n; i++) {
            int s = events[i].data.fd;
            if (events[i].events & EPOLLOUT && !(events[i].events & (EPOLLERR | EPOLLHUP))) {
                (void)!send(s, request, strlen(request), MSG_NOSIGNAL);
                epoll_ctl(e, EPOLL_CTL_MOD, s,
                          &(struct epoll_event){.events = EPOLLIN, .data.fd = s});
                continue;
            }
            ssize_t got = recv(s, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            bool good = got > 12 && !memcmp(buffer + 9, "200", 3);
            answered += good;
            failed += !good;
            if (good && keep) {
                (void)!send(s, request, strlen(request), MSG_NOSIGNAL);
            } else {
                close(s);
                start(e, target);
            }
        }
    }
    printf("{\"answered\":%llu,\"failed\":%llu,\"seconds\":%.6f,\"cpuMs\":%.3f}\n",
           (unsigned long long)answered, (unsigned long long)failed, (double)(now() - begun) / 1e9,
           cpu_ms());
}
