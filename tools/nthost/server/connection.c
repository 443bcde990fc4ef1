/* Framing, limits, replies; see connection.h. */
#include "connection.h"
#include <nthost/sched.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void connection_release(struct connection *connection)
{
    if (atomic_fetch_sub(&connection->references, 1) != 1)
        return;
    while (connection->replies != NULL) {
        struct reply *next = connection->replies->next;
        free(connection->replies);
        connection->replies = next;
    }
    close(connection->fd);
    close(connection->wake);
    pthread_mutex_destroy(&connection->mutex);
    free(connection);
}

/* Writes what the socket takes. The connection is locked. */
static void flush(struct connection *connection)
{
    while (connection->replies != NULL && !connection->dead) {
        struct reply *reply = connection->replies;
        ssize_t n = send(connection->fd, reply->data + reply->sent, reply->bytes - reply->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN)
                connection->dead = true;
            return;
        }
        reply->sent += (size_t)n;
        connection->bytes -= (size_t)n;
        if (reply->sent < reply->bytes)
            return;
        connection->replies = reply->next;
        if (connection->replies == NULL)
            connection->replies_end = &connection->replies;
        free(reply);
    }
}

void connection_reply(struct connection *connection, uint64_t tag, uint32_t status, uint64_t info,
                      const void *payload, size_t bytes)
{
    struct wire_reply header = {
        .bytes = (uint32_t)bytes, .status = status, .tag = tag, .info = info};
    struct reply *reply = malloc(sizeof(*reply) + sizeof(header) + bytes);
    pthread_mutex_lock(&connection->mutex);
    if (reply == NULL || connection->dead) {
        /* A client that would wait for ever is better off without its connection. */
        connection->dead = true;
        free(reply);
    } else {
        reply->next = NULL;
        reply->sent = 0;
        reply->bytes = sizeof(header) + bytes;
        memcpy(reply->data, &header, sizeof(header));
        if (bytes != 0)
            memcpy(reply->data + sizeof(header), payload, bytes);
        bool first = connection->replies == NULL;
        *connection->replies_end = reply;
        connection->replies_end = &reply->next;
        connection->bytes += reply->bytes;
        if (first)
            flush(connection);
    }
    bool wake = connection->replies != NULL || connection->dead;
    pthread_mutex_unlock(&connection->mutex);
    if (wake)
        eventfd_write(connection->wake, 1);
}

struct operation *connection_operation_begin(struct connection *connection, uint64_t tag,
                                             uint32_t handle, size_t bytes)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    if (operation == NULL)
        return NULL;
    pthread_mutex_lock(&connection->mutex);
    bool allowed = connection->operation_count < CONNECTION_MAX_OPERATIONS &&
                   connection->bytes + bytes <= CONNECTION_MAX_BYTES;
    if (allowed) {
        operation->connection = connection;
        operation->tag = tag;
        operation->handle = handle;
        operation->bytes = bytes;
        operation->next = connection->operations;
        operation->link = &connection->operations;
        if (operation->next != NULL)
            operation->next->link = &operation->next;
        connection->operations = operation;
        connection->operation_count++;
        connection->bytes += bytes;
        atomic_fetch_add(&connection->references, 1);
    }
    pthread_mutex_unlock(&connection->mutex);
    if (!allowed) {
        free(operation);
        return NULL;
    }
    return operation;
}

void connection_operation_end(struct operation *operation)
{
    struct connection *connection = operation->connection;
    pthread_mutex_lock(&connection->mutex);
    *operation->link = operation->next;
    if (operation->next != NULL)
        operation->next->link = operation->link;
    connection->operation_count--;
    connection->bytes -= operation->bytes;
    pthread_mutex_unlock(&connection->mutex);
    if (operation->request != NULL)
        io_request_release(operation->request);
    free(operation->input);
    if (operation->lent_bytes != 0)
        lend_unmap(connection, operation->output, operation->lent_bytes);
    else
        free(operation->output);
    free(operation);
    connection_release(connection);
}

/* The header is whole: is it one that can be answered? */
static bool accept_header(struct connection *connection)
{
    const struct wire_request *header = &connection->header;
    if (header->bytes > WIRE_MAX_PAYLOAD || header->tag == 0 || header->reserved != 0)
        return false;
    if ((header->op == WIRE_HELLO) == connection->greeted)
        return false;
    connection->payload = malloc(header->bytes + 1u);
    if (connection->payload == NULL)
        return false;
    connection->payload[header->bytes] = 0; /* what is a string can be read as one */
    connection->payload_bytes = 0;
    return true;
}

/* What came beside the bytes. A descriptor is welcome with the first byte of a request, once. */
static bool take_descriptors(struct connection *connection, struct msghdr *message)
{
    bool good = !(message->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len; at += sizeof(int)) {
            int fd;
            memcpy(&fd, (const char *)c + at, sizeof(fd));
            if (good && connection->passed < 0 && connection->header_bytes == 0) {
                connection->passed = fd;
            } else {
                close(fd);
                good = false;
            }
        }
    }
    return good;
}

/* As recv(), without waiting; -1 and EPROTO for descriptors that nobody asked for. */
static ssize_t receive_bytes(struct connection *connection, void *into, size_t room)
{
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr aligned;
    } control;
    struct iovec part = {.iov_base = into, .iov_len = room};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n >= 0 && !take_descriptors(connection, &message)) {
        errno = EPROTO;
        return -1;
    }
    return n;
}

/* Takes in what has arrived, one request at most. False: the connection is over. */
static bool receive(struct connection *connection)
{
    uint8_t *into = (uint8_t *)&connection->header + connection->header_bytes;
    size_t room = sizeof(connection->header) - connection->header_bytes;
    if (room == 0) {
        into = connection->payload + connection->payload_bytes;
        room = connection->header.bytes - connection->payload_bytes;
    }
    if (room != 0) {
        ssize_t n = receive_bytes(connection, into, room);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        if (n == 0)
            return false;
        if (connection->header_bytes < sizeof(connection->header)) {
            connection->header_bytes += (size_t)n;
            if (connection->header_bytes == sizeof(connection->header) &&
                !accept_header(connection))
                return false;
        } else {
            connection->payload_bytes += (size_t)n;
        }
    }
    if (connection->header_bytes < sizeof(connection->header) ||
        connection->payload_bytes < connection->header.bytes)
        return true;
    uint8_t *payload = connection->payload;
    connection->payload = NULL;
    connection->header_bytes = 0;
    /* Only lending takes a descriptor. */
    return connection_request(connection, &connection->header, payload) && connection->passed < 0;
}

/* How long to sleep at most: the greeting must come in time. */
static int patience(const struct connection *connection)
{
    uint64_t age = now_ms() - connection->started;
    if (connection->greeted)
        return -1;
    return age >= CONNECTION_HELLO_SECONDS * 1000 ? 0
                                                  : (int)(CONNECTION_HELLO_SECONDS * 1000 - age);
}

static void loop(struct connection *connection)
{
    for (;;) {
        struct pollfd fds[2] = {{.fd = connection->fd}, {.fd = connection->wake, .events = POLLIN}};
        int sleep = patience(connection);
        pthread_mutex_lock(&connection->mutex);
        flush(connection);
        bool dead = connection->dead;
        if (connection->replies != NULL)
            fds[0].events |= POLLOUT;
        /* A client that does not read its replies is not read from. */
        if (connection->bytes < CONNECTION_MAX_BYTES || connection->replies == NULL)
            fds[0].events |= POLLIN;
        pthread_mutex_unlock(&connection->mutex);
        if (dead || sleep == 0 || atomic_load(&connection->stopping))
            return;
        if (poll(fds, 2, sleep) < 0 && errno != EINTR)
            return;
        if (fds[1].revents & POLLIN) {
            eventfd_t value;
            eventfd_read(connection->wake, &value);
        }
        if (fds[0].revents & POLLIN) {
            if (!receive(connection))
                return;
        } else if (fds[0].revents & (POLLHUP | POLLERR)) {
            return;
        }
    }
}

void connection_run(struct connection *connection)
{
    connection->started = now_ms();
    loop(connection);
    pthread_mutex_lock(&connection->mutex);
    connection->dead = true;
    pthread_mutex_unlock(&connection->mutex);
    shutdown(connection->fd, SHUT_RDWR);
    free(connection->payload);
    connection->payload = NULL;
    if (connection->passed >= 0)
        close(connection->passed);
    connection->passed = -1;
    /* The end of the process: its requests end, and with them the operations. */
    if (connection->client != NULL)
        io_client_destroy(connection->client);
    connection->client = NULL;
    connection_release(connection);
}
