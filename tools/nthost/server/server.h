/*
 * The Unix socket that clients speak nthost/wire.h to. One thread a connection; requests that
 * drivers pend take none. Real-time scheduler only.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct server;

/* The socket is there (mode 0666: devices decide who may open them) when this returns. NULL and a
 * message on failure. An old socket of that name is replaced if nobody listens on it. */
struct server *server_start(const char *path, char *error, size_t error_size);
/* No new connections; those that there are end as if their processes had; waits. Removes the
 * socket. */
void server_stop(struct server *server);
