/* A client of the socket, and a host in this process for it to talk to. */
#pragma once
#include <nthost/loader.h>
#include <nthost/wire.h>
#include "iotest_contract.h"
#include "server.h"
#include "tap.h"
#include <string.h>

struct host {
    PDRIVER_OBJECT driver;
    struct server *server;
    char dir[64], path[96];
};
bool host_start(struct host *host);
void host_stop(struct host *host);

/* A connection. All functions give up, as a failed assertion, after ten seconds. */
int peer_connect(const char *path);
int peer_greet(const char *path); /* connected and WIRE_HELLO answered; -1 */
bool peer_send(int fd, uint32_t op, uint64_t tag, uint32_t handle, uint32_t arg0, uint32_t arg1,
               const void *payload, size_t bytes);
/* Payload up to `room` into `payload`; the rest is read over. False: the connection has ended. */
bool peer_receive(int fd, struct wire_reply *reply, void *payload, size_t room);
/* One request and its reply; the status. 0xffffffff: the connection ended. */
uint32_t peer_call(int fd, uint32_t op, uint32_t handle, uint32_t arg0, uint32_t arg1,
                   const void *payload, size_t bytes, struct wire_reply *reply, void *output,
                   size_t room);
uint32_t peer_open(int fd, const char *path, uint32_t access, uint32_t *handle);
/* The connection is at its end, which the host has brought about. */
bool peer_ended(int fd);

void peer_stats(int fd, uint32_t handle, IOTEST_STATS *stats);
/* Waits until the driver's queue holds that many. */
bool peer_await_waiting(int fd, uint32_t handle, ULONG count);
