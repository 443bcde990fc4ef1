/*
 * The client of the bench: HTTP requests or UDP frames from many source addresses.
 *
 *   bench-load tcp TARGET SECONDS WIDTH            < source addresses, one a line
 *   bench-load udp TARGET SECONDS RATE BYTES       < source addresses, one a line
 *
 * tcp keeps WIDTH connections under way, each one request; udp sends RATE datagrams a second to
 * port 9. Prints one line of JSON.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_SOURCES = 4096, BATCH = 32 };

struct address {
    struct sockaddr_storage at;
    socklen_t bytes;
};

static struct address sources[MAX_SOURCES];
static unsigned source_count, next_source;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct address parse(const char *text, uint16_t port)
{
    struct address a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a.at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.at;

    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        a.bytes = sizeof *v4;
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        a.bytes = sizeof *v6;
    } else {
        fprintf(stderr, "bench-load: %s is no address\n", text);
        exit(2);
    }
    return a;
}

static void read_sources(void)
{
    char line[128];

    while (source_count < MAX_SOURCES && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line)
            sources[source_count++] = parse(line, 0);
    }
    if (!source_count) {
        fprintf(stderr, "bench-load: no source addresses\n");
        exit(2);
    }
}

static int open_from(int type)
{
    struct address *a = &sources[next_source++ % source_count];
    int s = socket(a->at.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct linger hard = {1, 0};

    if (s < 0)
        die("socket");
    /* The kernel picks the port at connect, when it knows the other end; no TIME_WAIT holds it
     * after. */
    setsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (type == SOCK_STREAM)
        setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (bind(s, (struct sockaddr *)&a->at, a->bytes))
        die("bind");
    return s;
}

static const char request[] = "GET / HTTP/1.1\r\nHost: cluster\r\nConnection: close\r\n\r\n";

static void start(int e, const struct address *target)
{
    int s = open_from(SOCK_STREAM);

    if (connect(s, (const struct sockaddr *)&target->at, target->bytes) && errno != EINPROGRESS)
        die("connect");
    epoll_ctl(e, EPOLL_CTL_ADD, s, &(struct epoll_event){.events = EPOLLOUT, .data.fd = s});
}

static void run_tcp(const struct address *target, double seconds, int width)
{
    int e = epoll_create1(EPOLL_CLOEXEC);
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9), answered = 0, failed = 0;
    struct epoll_event events[256];
    char buffer[4096];

    for (int i = 0; i < width; i++)
        start(e, target);
    while (now() < end) {
        int n = epoll_wait(e, events, 256, 100);
        for (int i = 0; i < n; i++) {
            int s = events[i].data.fd;
            if (events[i].events & EPOLLOUT && !(events[i].events & (EPOLLERR | EPOLLHUP))) {
                (void)!send(s, request, sizeof request - 1, MSG_NOSIGNAL);
                epoll_ctl(e, EPOLL_CTL_MOD, s,
                          &(struct epoll_event){.events = EPOLLIN, .data.fd = s});
                continue;
            }
            ssize_t got = recv(s, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got > 12 && !memcmp(buffer + 9, "200", 3))
                answered++;
            else
                failed++;
            close(s);
            start(e, target);
        }
    }
    printf("{\"answered\":%llu,\"failed\":%llu,\"seconds\":%.6f}\n", (unsigned long long)answered,
           (unsigned long long)failed, (double)(now() - begun) / 1e9);
}

static void run_udp(const struct address *target, double seconds, double rate, size_t bytes)
{
    static char payload[65536];
    struct iovec data = {.iov_base = payload, .iov_len = bytes};
    struct mmsghdr batch[BATCH];
    int sockets[MAX_SOURCES];
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9), sent = 0, refused = 0, at = 0;

    for (unsigned i = 0; i < source_count; i++) {
        sockets[i] = open_from(SOCK_DGRAM);
        if (connect(sockets[i], (const struct sockaddr *)&target->at, target->bytes))
            die("connect");
    }
    for (int i = 0; i < BATCH; i++)
        batch[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1}};
    for (;;) {
        uint64_t t = now();
        if (t >= end)
            break;
        uint64_t due = (uint64_t)((double)(t - begun) * rate / 1e9);
        if (due <= sent + refused) {
            struct timespec nap = {0, 200000};
            nanosleep(&nap, NULL);
            continue;
        }
        unsigned n = due - sent - refused < BATCH ? (unsigned)(due - sent - refused) : BATCH;
        int done = sendmmsg(sockets[at++ % source_count], batch, n, 0);
        if (done > 0)
            sent += (uint64_t)done;
        else
            refused += n;
    }
    printf("{\"sent\":%llu,\"refused\":%llu,\"seconds\":%.6f}\n", (unsigned long long)sent,
           (unsigned long long)refused, (double)(now() - begun) / 1e9);
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "tcp")) {
        struct address target = parse(argv[2], 80);
        read_sources();
        run_tcp(&target, strtod(argv[3], NULL), atoi(argv[4]));
    } else if (argc == 6 && !strcmp(argv[1], "udp")) {
        struct address target = parse(argv[2], 9);
        read_sources();
        run_udp(&target, strtod(argv[3], NULL), strtod(argv[4], NULL), (size_t)atoi(argv[5]));
    } else {
        fprintf(stderr,
                "usage: bench-load tcp TARGET SECONDS WIDTH | udp TARGET SECONDS RATE BYTES\n");
        return 2;
    }
    return 0;
}
