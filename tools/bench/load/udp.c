#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH = 32 };

void run_udp(const struct address *target, double seconds, double rate, unsigned bytes)
{
    static char payload[65536];
    struct iovec data = {.iov_base = payload, .iov_len = bytes};
    struct mmsghdr batch[BATCH];
    unsigned count = sources();
    int *sockets = calloc(count, sizeof *sockets);
    uint64_t sent = 0, refused = 0, at = 0;

    for (unsigned i = 0; i < count; i++) {
        sockets[i] = open_from(SOCK_DGRAM, 0);
        if (connect(sockets[i], (const struct sockaddr *)&target->at, target->bytes))
            die("connect");
    }
    for (int i = 0; i < BATCH; i++)
        batch[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &data, .msg_iovlen = 1}};
    uint64_t begun = now(), end = begun + (uint64_t)(seconds * 1e9);
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
        int done = sendmmsg(sockets[at++ % count], batch, n, 0);
        if (done > 0)
            sent += (uint64_t)done;
        else
            refused += n;
    }
    printf("{\"sent\":%llu,\"refused\":%llu,\"seconds\":%.6f,\"cpuMs\":%.3f}\n",
           (unsigned long long)sent, (unsigned long long)refused, (double)(now() - begun) / 1e9,
           cpu_ms());
    free(sockets);
}
