/*
 * Listening and accepting; see server.h.
 *
 * The socket gets its name by a rename once it listens, so that whoever sees it can connect. Who a
 * client is comes from the kernel (SO_PEERCRED): root, and the user that runs the host, are SYSTEM;
 * everybody else is a user.
 */
#include "server.h"
#include "connection.h"
#include <nthost/sched.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_CONNECTIONS      512
#define MAX_USER_CONNECTIONS 64 /* of one ordinary user */

/* One accepted connection; its thread is joined by the accepting one. */
struct slot {
    struct connection *connection; /* referenced while the slot is taken; NULL: free */
    uid_t user;
    atomic_bool ended;
    struct server *server;
};

struct server {
    char path[108];
    int fd, stop; /* stop: an eventfd */
    pthread_t thread;
    pthread_mutex_t mutex; /* the slots */
    struct slot slots[MAX_CONNECTIONS];
};

/* A name that nobody answers at is left over from a host that was killed. */
static bool is_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool stale = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
                 (errno == ECONNREFUSED || errno == ENOENT);
    if (fd >= 0)
        close(fd);
    return stale;
}

static bool listen_at(struct server *server, char *error, size_t error_size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX}, temporary = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", server->path);
    int length = snprintf(temporary.sun_path, sizeof(temporary.sun_path), "%s.%d", server->path,
                          (int)getpid());
    if (length < 0 || (size_t)length >= sizeof(temporary.sun_path)) {
        snprintf(error, error_size, "%s: the name of the socket is too long", server->path);
        return false;
    }
    if (!is_stale(&address)) {
        snprintf(error, error_size, "%s: another host listens there", server->path);
        return false;
    }
    unlink(temporary.sun_path);
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&temporary, sizeof(temporary)) != 0 ||
        chmod(temporary.sun_path, 0666) != 0 || listen(server->fd, 128) != 0 ||
        rename(temporary.sun_path, server->path) != 0) {
        snprintf(error, error_size, "%s: %s", server->path, strerror(errno));
        unlink(temporary.sun_path);
        return false;
    }
    return true;
}

static void *serve(void *context)
{
    struct slot *slot = context;
    struct connection *connection = slot->connection;
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    nt_attach("connection");
    getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    connection->client = io_client_create(connection->token, (uint32_t)peer.pid);
    if (connection->client == NULL)
        atomic_store(&connection->stopping, true);
    connection_run(connection);
    nt_detach();
    atomic_store(&slot->ended, true);
    eventfd_write(slot->server->stop, 0x100000000ull); /* not to stop: to reap */
    return NULL;
}

/* Joins the threads that are at their end. The server is locked. */
static void reap(struct server *server, bool all)
{
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
        struct slot *slot = &server->slots[i];
        if (slot->connection == NULL || !(all || atomic_load(&slot->ended)))
            continue;
        pthread_join(slot->connection->thread, NULL);
        connection_release(slot->connection);
        slot->connection = NULL;
    }
}

static struct slot *free_slot(struct server *server, uid_t user, bool trusted)
{
    struct slot *found = NULL;
    unsigned same = 0;
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++) {
        struct slot *slot = &server->slots[i];
        if (slot->connection == NULL)
            found = found ? found : slot;
        else
            same += slot->user == user;
    }
    return trusted || same < MAX_USER_CONNECTIONS ? found : NULL;
}

static void take(struct server *server, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    struct connection *connection = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        connection = calloc(1, sizeof(*connection));
    if (connection == NULL || (connection->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        free(connection);
        close(fd);
        return;
    }
    bool trusted = peer.uid == 0 || peer.uid == geteuid();
    connection->fd = fd;
    connection->passed = -1;
    connection->token = trusted ? IO_TOKEN_SYSTEM : IO_TOKEN_USER;
    connection->references = 2; /* the thread's and the slot's */
    connection->replies_end = &connection->replies;
    pthread_mutex_init(&connection->mutex, NULL);
    pthread_mutex_lock(&server->mutex);
    reap(server, false);
    struct slot *slot = free_slot(server, peer.uid, trusted);
    if (slot != NULL) {
        slot->connection = connection;
        slot->user = peer.uid;
        slot->server = server;
        atomic_store(&slot->ended, false);
        if (pthread_create(&connection->thread, NULL, serve, slot) != 0) {
            slot->connection = NULL;
            slot = NULL;
        }
    }
    pthread_mutex_unlock(&server->mutex);
    if (slot == NULL) {
        atomic_store(&connection->references, 1);
        connection_release(connection);
    }
}

static void *accept_loop(void *context)
{
    struct server *server = context;
    for (;;) {
        struct pollfd fds[2] = {{.fd = server->fd, .events = POLLIN},
                                {.fd = server->stop, .events = POLLIN}};
        eventfd_t value = 0;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents & POLLIN && eventfd_read(server->stop, &value) == 0 &&
            (uint32_t)value != 0)
            return NULL;
        pthread_mutex_lock(&server->mutex);
        reap(server, false);
        pthread_mutex_unlock(&server->mutex);
        int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take(server, fd);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            usleep(10000); /* until somebody has gone */
    }
}

struct server *server_start(const char *path, char *error, size_t error_size)
{
    struct server *server = calloc(1, sizeof(*server));
    if (server == NULL || strlen(path) >= sizeof(server->path)) {
        snprintf(error, error_size, "%s: %s", path,
                 server ? "the name of the socket is too long" : "no memory");
        free(server);
        return NULL;
    }
    snprintf(server->path, sizeof(server->path), "%s", path);
    pthread_mutex_init(&server->mutex, NULL);
    server->fd = -1;
    server->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->stop >= 0 && listen_at(server, error, error_size)) {
        admin_start();
        if (pthread_create(&server->thread, NULL, accept_loop, server) == 0)
            return server;
        snprintf(error, error_size, "%s: no thread", path);
        admin_stop();
        unlink(path);
    }
    if (server->fd >= 0)
        close(server->fd);
    if (server->stop >= 0)
        close(server->stop);
    free(server);
    return NULL;
}

void server_stop(struct server *server)
{
    unlink(server->path);
    eventfd_write(server->stop, 1);
    pthread_join(server->thread, NULL);
    close(server->fd);
    pthread_mutex_lock(&server->mutex);
    for (unsigned i = 0; i < MAX_CONNECTIONS; i++)
        if (server->slots[i].connection != NULL) {
            atomic_store(&server->slots[i].connection->stopping, true);
            eventfd_write(server->slots[i].connection->wake, 1);
        }
    pthread_mutex_unlock(&server->mutex);
    admin_stop();
    pthread_mutex_lock(&server->mutex);
    reap(server, true);
    pthread_mutex_unlock(&server->mutex);
    close(server->stop);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}
