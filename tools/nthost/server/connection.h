/*
 * One connection: the protocol's framing, limits and replies.
 *
 * Its thread reads requests and starts them; whoever completes one (a driver's DPC, say) queues the
 * reply, writes it at once if the socket takes it, and else wakes the thread, which polls for room.
 *
 * References: the thread's, and one for each operation under way. Lock order: the connection's
 * mutex is a leaf; nothing is called under it but the socket.
 */
#pragma once
#include <nthost/client.h>
#include <nthost/wire.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define CONNECTION_MAX_OPERATIONS 4096
#define CONNECTION_MAX_BYTES      (64u << 20)  /* of buffers of operations and of unsent replies */
#define CONNECTION_MAX_LENT       (2ull << 30) /* of memory that it lends, at once */
#define CONNECTION_HELLO_SECONDS  10

struct reply {
    struct reply *next;
    size_t bytes, sent;
    uint8_t data[]; /* struct wire_reply, payload */
};

struct operation;

struct connection {
    int fd, wake; /* wake: an eventfd */
    struct io_client *client;
    enum io_token token;
    _Atomic int references;
    pthread_t thread;
    atomic_bool stopping;
    bool greeted;
    uint64_t started; /* of its life, monotonic milliseconds */

    pthread_mutex_t mutex;
    struct reply *replies, **replies_end;
    struct operation *operations;
    unsigned operation_count;
    size_t bytes;
    uint64_t lent;
    bool dead; /* nobody reads replies any more */

    /* the request being read */
    struct wire_request header;
    size_t header_bytes, payload_bytes;
    uint8_t *payload;
    int passed; /* the descriptor that came with it; -1: none */
};

/* A request under way. */
struct operation {
    struct operation *next, **link;
    struct connection *connection; /* referenced */
    uint64_t tag;
    uint32_t handle;
    struct io_request
        *request; /* released by connection_operation_end; under the connection's mutex */
    uint32_t code, output_bytes;
    bool is_ioctl;
    size_t bytes; /* what it counts for */
    uint8_t *input;
    uint8_t *output; /* lent_bytes: a mapping of the client's memory */
    size_t lent_bytes;
};

/* Runs a connection until it ends; consumes the caller's reference. On its own, attached thread. */
void connection_run(struct connection *connection);
void connection_release(struct connection *connection);

/* Any thread, <= DISPATCH_LEVEL. */
void connection_reply(struct connection *connection, uint64_t tag, uint32_t status, uint64_t info,
                      const void *payload, size_t bytes);

/* False: the request is malformed, the connection ends. Takes the payload over (free). request.c */
bool connection_request(struct connection *connection, const struct wire_request *request,
                        uint8_t *payload);

/* For request.c: counts the operation, or refuses it (no memory, limits). */
struct operation *connection_operation_begin(struct connection *connection, uint64_t tag,
                                             uint32_t handle, size_t bytes);
void connection_operation_end(struct operation *operation);

/* lend.c: maps a client's memory and counts it, or says why not; it counts until the operation that
 * it is given to ends, or lend_unmap. The descriptor is the caller's to close. */
NTSTATUS lend_map(struct connection *connection, int fd, uint32_t bytes, uint8_t **memory);
void lend_unmap(struct connection *connection, uint8_t *memory, size_t bytes);

/* admin.c: takes the payload over; answers by itself. */
void admin_request(struct connection *connection, const struct wire_request *request,
                   uint8_t *payload);
void admin_start(void);
void admin_stop(void);
/* The host's own words for WIRE_HELLO; free() it. */
char *admin_description(void);
