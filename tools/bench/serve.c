/*
 * The server of the bench: HTTP on port 80 of every address, and a sink on UDP port 9 of every
 * address.
 *
 *   bench-serve NAME
 *
 * One thread, epoll. GET /: a small answer, and the connection is closed if the client asks for it.
 * GET /stream: bytes for as long as they are taken. POST /sink: takes bytes for as long as they
 * come. What is taken is not copied out of the kernel, and what the UDP sink gets is thrown away
 * before it wakes anybody: that is a matter of chance, and costs more than what is measured.
 * Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listen_on(int type, uint16_t port)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int s = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), zero = 0, one = 1;
    int room = 8 << 20;

    if (s < 0)
        die("socket");
    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (type == SOCK_DGRAM) /* TCP finds its own */
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(s, (struct sockaddr *)&any, sizeof any))
        die("bind");
    if (type == SOCK_STREAM && listen(s, 4096))
        die("listen");
    return s;
}

static void make_sink(int s)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &nothing};

    if (setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program))
        die("SO_ATTACH_FILTER");
}

static char answer[256], closing[256], block[256 << 10];

enum mode { ASKING, STREAMING, SINKING };

static void make_answers(const char *name)
{
    char body[64];
    int bytes = snprintf(body, sizeof body, "{\"server\":\"%.32s\"}\n", name);

    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
             bytes, body);
    snprintf(closing, sizeof closing,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
             "Connection: close\r\n\r\n%s",
             bytes, body);
}

static void watch(int e, int operation, int s, enum mode mode)
{
    struct epoll_event event = {.events = mode == STREAMING ? EPOLLOUT : EPOLLIN,
                                .data.u64 = (uint64_t)mode << 32 | (uint32_t)s};
    epoll_ctl(e, operation, s, &event);
}

/* A request of the bench is one small segment. False: close the connection. */
static bool answer_one(int e, int s)
{
    char request[4096];
    ssize_t got = recv(s, request, sizeof request - 1, 0);

    if (got <= 0)
        return got < 0 && errno == EAGAIN;
    request[got] = 0;
    if (!strncmp(request, "GET /stream ", 12)) {
        watch(e, EPOLL_CTL_MOD, s, STREAMING);
        return true;
    }
    if (!strncmp(request, "POST /sink ", 11)) {
        watch(e, EPOLL_CTL_MOD, s, SINKING);
        return true;
    }
    bool last = strstr(request, "Connection: close") != NULL;
    const char *text = last ? closing : answer;
    return send(s, text, strlen(text), MSG_NOSIGNAL) > 0 && !last;
}

static bool go_on(int e, int s, enum mode mode)
{
    if (mode == ASKING)
        return answer_one(e, s);
    ssize_t n = mode == STREAMING ? send(s, block, sizeof block, MSG_NOSIGNAL)
                                  : recv(s, block, sizeof block, MSG_TRUNC);
    return n > 0 || (n < 0 && errno == EAGAIN);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench-serve NAME\n");
        return 2;
    }
    int tcp = listen_on(SOCK_STREAM, 80), e = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];

    make_answers(argv[1]);
    make_sink(listen_on(SOCK_DGRAM, 9));
    watch(e, EPOLL_CTL_ADD, tcp, ASKING);
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(e, events, 256, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int s = (int)(uint32_t)events[i].data.u64, c;
            if (s == tcp) {
                while ((c = accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    watch(e, EPOLL_CTL_ADD, c, ASKING);
            } else if (!go_on(e, s, (enum mode)(events[i].data.u64 >> 32))) {
                close(s);
            }
        }
    }
}
