/*
 * The server of the bench: HTTP on port 80 of every address, and a sink on UDP port 9 of every
 * address.
 *
 *   bench-serve NAME
 *
 * One thread, epoll; a connection answers one request and is closed. The kernel throws away what
 * the sink gets: how often a reader would be woken is a matter of chance, and costs more than what
 * is measured. Prints "ready" when it listens.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: bench-serve NAME\n");
        return 2;
    }
    char answer[256], body[64], buffer[4096];
    int body_bytes = snprintf(body, sizeof body, "{\"server\":\"%.32s\"}\n", argv[1]);
    int bytes =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                 "Connection: close\r\n\r\n%s",
                 body_bytes, body);
    int tcp = listen_on(SOCK_STREAM, 80), e = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[256];

    make_sink(listen_on(SOCK_DGRAM, 9));
    epoll_ctl(e, EPOLL_CTL_ADD, tcp, &(struct epoll_event){.events = EPOLLIN, .data.fd = tcp});
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(e, events, 256, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            int s = events[i].data.fd, c;
            if (s == tcp) {
                while ((c = accept4(tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                    epoll_ctl(e, EPOLL_CTL_ADD, c,
                              &(struct epoll_event){.events = EPOLLIN, .data.fd = c});
            } else {
                ssize_t got = recv(s, buffer, sizeof buffer, 0);
                if (got < 0 && errno == EAGAIN)
                    continue;
                /* The requests of the bench are one small segment. */
                if (got > 0)
                    (void)!send(s, answer, (size_t)bytes, MSG_NOSIGNAL);
                close(s);
            }
        }
    }
}
