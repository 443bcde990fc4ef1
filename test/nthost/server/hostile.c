/* Clients that do not keep to the protocol, die, never read, or ask for too much: the host lives.
 */
#include "peer.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RW (GENERIC_READ | GENERIC_WRITE)

static void still_well(const struct host *host)
{
    uint32_t handle;
    int fd = peer_greet(host->path);
    ok(fd >= 0);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    close(fd);
}

NT_TEST(malformed_requests_end_their_connection)
{
    static const struct {
        const char *what;
        bool greeted;
        struct wire_request request;
    } cases[] = {
        {"no hello", false, {.op = WIRE_OPEN, .tag = 1}},
        {"wrong magic", false, {.op = WIRE_HELLO, .tag = 1, .arg0 = 1, .arg1 = WIRE_VERSION}},
        {"second hello",
         true,
         {.op = WIRE_HELLO, .tag = 1, .arg0 = WIRE_MAGIC, .arg1 = WIRE_VERSION}},
        {"no tag", true, {.op = WIRE_OPEN}},
        {"reserved", true, {.op = WIRE_OPEN, .tag = 1, .reserved = 1}},
        {"too long", true, {.op = WIRE_OPEN, .tag = 1, .bytes = WIRE_MAX_PAYLOAD + 1}},
        {"much too long", true, {.op = WIRE_OPEN, .tag = 1, .bytes = 0xffffffff}},
        {"unknown operation", true, {.op = 999, .tag = 1}},
        {"output too long",
         true,
         {.op = WIRE_IOCTL,
          .tag = 1,
          .arg0 = IOTEST_IOCTL_ECHO_BUFFERED,
          .arg1 = WIRE_MAX_PAYLOAD + 1}},
        {"direct input missing",
         true,
         {.op = WIRE_IOCTL, .tag = 1, .arg0 = IOTEST_IOCTL_ECHO_IN_DIRECT, .arg1 = 10}},
        {"read without an offset", true, {.op = WIRE_READ, .tag = 1, .arg0 = 10}},
        {"write without an offset", true, {.op = WIRE_WRITE, .tag = 1}}};
    struct host host;
    need(host_start(&host));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int fd = cases[i].greeted ? peer_greet(host.path) : peer_connect(host.path);
        ok(send(fd, &cases[i].request, sizeof(cases[i].request), MSG_NOSIGNAL) ==
           sizeof(cases[i].request));
        ok(peer_ended(fd), "%s", cases[i].what);
        close(fd);
    }
    int fd = peer_connect(host.path);
    is_status(peer_call(fd, WIRE_HELLO, 0, WIRE_MAGIC, WIRE_VERSION + 1, NULL, 0, NULL, NULL, 0),
              STATUS_REVISION_MISMATCH);
    close(fd);
    still_well(&host);
    host_stop(&host);
}

NT_TEST(noise_is_survived)
{
    struct host host;
    unsigned state = (unsigned)tap_seed() * 2654435761u + 1;
    need(host_start(&host));
    for (unsigned i = 0; i < 400; i++) {
        uint8_t noise[512];
        uint32_t handle;
        int fd = i % 2 ? peer_greet(host.path) : peer_connect(host.path);
        if (i % 4 == 3)
            peer_open(fd, "\\\\.\\IoTest", RW, &handle);
        for (size_t at = 0; at < sizeof(noise); at++) {
            state = state * 1664525u + 1013904223u;
            noise[at] = (uint8_t)(state >> 24);
        }
        /* Often a likely header, so that the noise gets further. */
        if (i % 3 != 0) {
            struct wire_request request = {
                .bytes = noise[0] % 64u,
                .op = noise[1] % 24u,
                .tag = noise[2],
                .handle = (noise[3] % 3u) * 4,
                .arg0 = i % 5 ? IOTEST_CODE(noise[4] % 9u, noise[5] & 3u, noise[6] & 3u) : noise[7],
                .arg1 = noise[8]};
            /* METHOD_NEITHER's pointers are the client's to get right, on Windows too. */
            memcpy(noise, &request, sizeof(request));
        }
        if (send(fd, noise, sizeof(noise), MSG_NOSIGNAL) < 0)
            diag("connection %u had ended", i);
        close(fd);
    }
    still_well(&host);
    host_stop(&host);
}

/* A request may arrive in as many pieces as it has bytes. */
NT_TEST(requests_in_pieces)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle;
    char output[16] = "";
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    struct {
        struct wire_request request;
        char payload[6];
    } whole = {{.bytes = 6,
                .op = WIRE_IOCTL,
                .tag = 77,
                .handle = handle,
                .arg0 = IOTEST_IOCTL_ECHO_BUFFERED,
                .arg1 = 16},
               "abcde"};
    for (size_t i = 0; i < sizeof(whole.request) + 6; i++) {
        ok(send(fd, (char *)&whole + i, 1, MSG_NOSIGNAL) == 1);
        usleep(200);
    }
    ok(peer_receive(fd, &reply, output, sizeof(output)));
    is_hex(reply.tag, 77);
    is_mem(output, "bcdef\1", 6);
    /* And several may arrive in one piece. */
    char many[3 * sizeof(struct wire_request)];
    for (unsigned i = 0; i < 3; i++) {
        struct wire_request request = {.op = WIRE_IOCTL,
                                       .tag = 80 + i,
                                       .handle = handle,
                                       .arg0 = IOTEST_IOCTL_STATS,
                                       .arg1 = sizeof(IOTEST_STATS)};
        memcpy(many + i * sizeof(request), &request, sizeof(request));
    }
    ok(send(fd, many, sizeof(many), MSG_NOSIGNAL) == sizeof(many));
    for (unsigned i = 0; i < 3; i++) {
        ok(peer_receive(fd, &reply, NULL, 0));
        is_hex(reply.tag, 80 + i);
    }
    close(fd);
    host_stop(&host);
}

NT_TEST(death_with_requests_in_flight)
{
    struct host host;
    uint32_t handle, mine;
    IOTEST_STATS before, after;
    need(host_start(&host));
    int observer = peer_greet(host.path);
    is_status(peer_open(observer, "\\\\.\\IoTest", RW, &mine), STATUS_SUCCESS);
    peer_stats(observer, mine, &before);
    for (unsigned round = 0; round < 20; round++) {
        int fd = peer_greet(host.path);
        is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
        for (uint64_t tag = 1; tag <= 100; tag++)
            ok(peer_send(fd, WIRE_IOCTL, tag, handle, IOTEST_IOCTL_WAIT, 16, NULL, 0));
        if (round % 2)
            ok(peer_await_waiting(observer, mine, 100));
        close(fd);
        ok(peer_await_waiting(observer, mine, 0));
    }
    for (unsigned i = 0; i < 1000; i++) {
        peer_stats(observer, mine, &after);
        if (after.Closes - before.Closes == 20)
            break;
        usleep(2000);
    }
    is_int(after.Closes - before.Closes, 20);
    is_int(after.Cleanups - before.Cleanups, 20);
    close(observer);
    host_stop(&host);
}

/* More than the limit: the rest is refused, and the connection goes on. */
NT_TEST(too_many_requests_are_refused)
{
    enum { LIMIT = 4096, COUNT = LIMIT + 100 };
    struct host host;
    struct wire_reply reply;
    uint32_t handle;
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    for (uint64_t tag = 1; tag <= COUNT; tag++)
        ok(peer_send(fd, WIRE_IOCTL, tag, handle, IOTEST_IOCTL_WAIT, 16, NULL, 0));
    for (unsigned i = 0; i < 100; i++) {
        ok(peer_receive(fd, &reply, NULL, 0));
        is_status(reply.status, STATUS_INSUFFICIENT_RESOURCES);
    }
    ok(peer_send(fd, WIRE_CANCEL, 1ull << 50, handle, 0, 0, NULL, 0));
    unsigned cancelled = 0;
    for (unsigned i = 0; i < LIMIT + 1; i++) {
        ok(peer_receive(fd, &reply, NULL, 0));
        cancelled += reply.status == (uint32_t)STATUS_CANCELLED;
    }
    is_int(cancelled, LIMIT);
    close(fd);
    host_stop(&host);
}

static size_t resident(void)
{
    unsigned long total = 0, pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%lu %lu", &total, &pages) != 2)
        pages = 0;
    if (f != NULL)
        fclose(f);
    return pages * 4096;
}

/* A client that sends and never reads fills its own limits, not the host's memory. */
NT_TEST(a_client_that_never_reads_is_held_up)
{
    enum { BYTES = 4 << 20 };
    struct host host;
    uint32_t handle;
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    char *data = calloc(1, BYTES);
    size_t before = resident();
    unsigned sent = 0;
    for (; sent < 200; sent++) {
        struct wire_request request = {.bytes = BYTES,
                                       .op = WIRE_IOCTL,
                                       .tag = 1 + sent,
                                       .handle = handle,
                                       .arg0 = IOTEST_IOCTL_ECHO_BUFFERED,
                                       .arg1 = BYTES};
        if (send(fd, &request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(request))
            break;
        size_t done = 0;
        for (unsigned tries = 0; done < BYTES && tries < 200; tries++) {
            ssize_t n = send(fd, data + done, BYTES - done, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0)
                done += (size_t)n, tries = 0;
            else
                usleep(2000);
        }
        if (done < BYTES)
            break;
    }
    size_t grown = resident() - before;
    diag("%u requests of %u bytes were taken, %zu MB grown", sent, BYTES, grown >> 20);
    ok(sent < 100);
    still_well(&host);
    free(data);
    close(fd);
    host_stop(&host);
}

/* Connections that come and go, some in the middle of things. */
NT_TEST(connections_come_and_go)
{
    struct host host;
    need(host_start(&host));
    for (unsigned i = 0; i < 1500; i++) {
        int fd = peer_connect(host.path);
        if (!ok(fd >= 0, "connection %u", i))
            break;
        if (i % 3 == 0)
            peer_send(fd, WIRE_HELLO, 1, 0, WIRE_MAGIC, WIRE_VERSION, NULL, 0);
        if (i % 6 == 0)
            peer_send(fd, WIRE_OPEN, 2, 0, RW, 0, "\\\\.\\IoTest", 10);
        close(fd);
    }
    still_well(&host);
    host_stop(&host);
}
