/*
 * A cable that takes time: carries frames between two interfaces, each after a delay.
 *
 *   lab-relay IF_A IF_B MILLISECONDS
 *
 * For kernels without netem. Frames travel with their virtio-net header, so that super-frames and
 * partial checksums arrive as they were sent. The delay is the same in both directions, and order
 * is kept. Prints "ready" when it carries.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

enum { MAX_FRAME = 10 + 14 + 4 + 65536, MAX_QUEUED = 8192 };

struct frame {
    struct frame *next;
    uint64_t due;
    size_t bytes;
    unsigned char data[];
};

/* Frames on their way to `out`, oldest first. */
struct direction {
    int in, out;
    struct frame *first, **last;
    unsigned queued;
};

static uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "lab-relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_interface(const char *name)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    struct packet_mreq all = {.mr_ifindex = address.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    int one = 1, room = 16 << 20;
    int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (address.sll_ifindex == 0 || s < 0)
        die(name);
    if (setsockopt(s, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof one) ||
        setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) ||
        setsockopt(s, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) ||
        bind(s, (struct sockaddr *)&address, sizeof address))
        die(name);
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return s;
}

/* Takes in what has arrived. A full queue loses frames, as a full cable would. */
static void take(struct direction *d, uint64_t delay)
{
    static unsigned char buffer[MAX_FRAME];

    for (;;) {
        ssize_t n = recv(d->in, buffer, sizeof buffer, 0);
        if (n < 0) {
            if (errno == EAGAIN || errno == ENETDOWN || errno == EINTR)
                return;
            die("recv");
        }
        if (d->queued == MAX_QUEUED)
            continue;
        struct frame *f = malloc(sizeof *f + (size_t)n);
        if (!f)
            continue;
        f->next = NULL;
        f->due = now() + delay;
        f->bytes = (size_t)n;
        memcpy(f->data, buffer, (size_t)n);
        *d->last = f;
        d->last = &f->next;
        d->queued++;
    }
}

/* Sends what is due; returns when the next frame is, or UINT64_MAX. */
static uint64_t deliver(struct direction *d)
{
    while (d->first) {
        struct frame *f = d->first;
        if (f->due > now())
            return f->due;
        /* A frame that the interface refuses is lost. */
        (void)!send(d->out, f->data, f->bytes, 0);
        d->first = f->next;
        if (!d->first)
            d->last = &d->first;
        d->queued--;
        free(f);
    }
    return UINT64_MAX;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: lab-relay IF_A IF_B MILLISECONDS\n");
        return 2;
    }
    uint64_t delay = (uint64_t)(strtod(argv[3], NULL) * 1e6);
    int a = open_interface(argv[1]), b = open_interface(argv[2]);
    struct direction ways[2] = {{.in = a, .out = b}, {.in = b, .out = a}};

    for (int i = 0; i < 2; i++)
        ways[i].last = &ways[i].first;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        uint64_t next = UINT64_MAX;
        for (int i = 0; i < 2; i++) {
            uint64_t due = deliver(&ways[i]);
            if (due < next)
                next = due;
        }
        struct timespec wait = {0}, *limit = NULL;
        if (next != UINT64_MAX) {
            uint64_t t = now(), left = next > t ? next - t : 0;
            wait.tv_sec = (time_t)(left / 1000000000u);
            wait.tv_nsec = (long)(left % 1000000000u);
            limit = &wait;
        }
        struct pollfd fds[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        if (ppoll(fds, 2, limit, NULL) < 0 && errno != EINTR)
            die("ppoll");
        for (int i = 0; i < 2; i++)
            take(&ways[i], delay);
    }
}
