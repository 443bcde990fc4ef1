/* Addresses, sockets and clocks. */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { MAX_SOURCES = 4096 };

static struct address list[MAX_SOURCES];
static unsigned count, next;

void die(const char *what)
{
    perror(what);
    exit(1);
}

uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

struct address parse(const char *text, uint16_t port)
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

void read_sources(void)
{
    char line[128];

    while (count < MAX_SOURCES && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line)
            list[count++] = parse(line, 0);
    }
    if (!count) {
        fprintf(stderr, "bench-load: no source addresses\n");
        exit(2);
    }
}

unsigned sources(void)
{
    return count;
}

int open_from(int type, int protocol)
{
    struct address *a = &list[next++ % count];
    int flags = SOCK_CLOEXEC | (type == SOCK_RAW ? 0 : SOCK_NONBLOCK);
    int s = socket(a->at.ss_family, type | flags, protocol), one = 1;
    struct linger hard = {1, 0};

    if (s < 0)
        die("socket");
    /* The kernel picks the port at connect, when it knows the other end; no TIME_WAIT holds it
     * after. */
    if (type != SOCK_RAW)
        setsockopt(s, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (type == SOCK_STREAM)
        setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    if (bind(s, (struct sockaddr *)&a->at, a->bytes))
        die("bind");
    return s;
}

int connect_from(const struct address *target)
{
    int s = open_from(SOCK_STREAM, 0);

    if (connect(s, (const struct sockaddr *)&target->at, target->bytes) && errno != EINPROGRESS)
        die("connect");
    return s;
}
