/* See peer.h. */
#include "peer.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE_MS 10000

bool host_start(struct host *host)
{
    struct nt_options options = {.scheduler = NT_REALTIME,
                                 .processors = 2,
                                 .verifier = true,
                                 .special_pool = tap_drivers_pe()};
    char error[512];
    memset(host, 0, sizeof(*host));
    snprintf(host->dir, sizeof(host->dir), "/tmp/nthost-server-XXXXXX");
    if (!ok(mkdtemp(host->dir) != NULL) || !ok(chmod(host->dir, 0755) == 0))
        return false;
    snprintf(host->path, sizeof(host->path), "%s/socket", host->dir);
    nt_start(&options);
    if (!is_status(
            driver_load("iotest", driver_path("iotest"), &host->driver, error, sizeof(error)),
            STATUS_SUCCESS, "%s", error))
        return false;
    host->server = server_start(host->path, error, sizeof(error));
    return ok(host->server != NULL, "%s", error);
}

void host_stop(struct host *host)
{
    if (host->server != NULL)
        server_stop(host->server);
    if (host->driver != NULL)
        is_status(driver_unload(host->driver), STATUS_SUCCESS);
    nt_stop();
    rmdir(host->dir);
}

int peer_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool ready(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, PATIENCE_MS) > 0 || ok(false, "nothing for ten seconds");
}

static bool send_all(int fd, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        if (!ready(fd, POLLOUT))
            return false;
        ssize_t n = send(fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool receive_all(int fd, void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        if (!ready(fd, POLLIN))
            return false;
        ssize_t n = recv(fd, (char *)data + done, bytes - done, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool peer_send(int fd, uint32_t op, uint64_t tag, uint32_t handle, uint32_t arg0, uint32_t arg1,
               const void *payload, size_t bytes)
{
    struct wire_request request = {.bytes = (uint32_t)bytes,
                                   .op = op,
                                   .tag = tag,
                                   .handle = handle,
                                   .arg0 = arg0,
                                   .arg1 = arg1};
    return send_all(fd, &request, sizeof(request)) && send_all(fd, payload, bytes);
}

bool peer_receive(int fd, struct wire_reply *reply, void *payload, size_t room)
{
    if (!receive_all(fd, reply, sizeof(*reply)))
        return false;
    size_t first = reply->bytes < room ? reply->bytes : room;
    if (!receive_all(fd, payload, first))
        return false;
    for (size_t left = reply->bytes - first; left != 0;) {
        char waste[4096];
        size_t n = left < sizeof(waste) ? left : sizeof(waste);
        if (!receive_all(fd, waste, n))
            return false;
        left -= n;
    }
    return true;
}

uint32_t peer_call(int fd, uint32_t op, uint32_t handle, uint32_t arg0, uint32_t arg1,
                   const void *payload, size_t bytes, struct wire_reply *reply, void *output,
                   size_t room)
{
    static uint64_t tag = 1ull << 40;
    struct wire_reply own;
    if (reply == NULL)
        reply = &own;
    if (!peer_send(fd, op, ++tag, handle, arg0, arg1, payload, bytes) ||
        !peer_receive(fd, reply, output, room))
        return 0xffffffff;
    is_hex(reply->tag, tag);
    return reply->status;
}

int peer_greet(const char *path)
{
    char text[512] = "";
    int fd = peer_connect(path);
    if (fd < 0)
        return -1;
    is_status(peer_call(fd, WIRE_HELLO, 0, WIRE_MAGIC, WIRE_VERSION, NULL, 0, NULL, text,
                        sizeof(text) - 1),
              STATUS_SUCCESS);
    ok(strstr(text, "\"host\":\"nthost\"") != NULL, "%s", text);
    return fd;
}

uint32_t peer_open(int fd, const char *path, uint32_t access, uint32_t *handle)
{
    struct wire_reply reply = {0};
    uint32_t status = peer_call(fd, WIRE_OPEN, 0, access, 0, path, strlen(path), &reply, NULL, 0);
    *handle = (uint32_t)reply.info;
    return status;
}

bool peer_ended(int fd)
{
    char byte;
    while (ready(fd, POLLIN)) {
        ssize_t n = recv(fd, &byte, 1, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return true;
        if (n < 0 && errno != EINTR)
            return false;
    }
    return false;
}

void peer_stats(int fd, uint32_t handle, IOTEST_STATS *stats)
{
    memset(stats, 0, sizeof(*stats));
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_STATS, sizeof(*stats), NULL, 0, NULL,
                        stats, sizeof(*stats)),
              STATUS_SUCCESS);
}

bool peer_await_waiting(int fd, uint32_t handle, ULONG count)
{
    IOTEST_STATS stats;
    for (unsigned i = 0; i < PATIENCE_MS / 2; i++) {
        peer_stats(fd, handle, &stats);
        if (stats.Waiting == count)
            return true;
        usleep(2000);
    }
    return ok(false, "%u requests wait, not %u", stats.Waiting, count);
}
