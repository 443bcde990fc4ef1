/*
 * Processes: the system's, and one for each client. A process is what owns handles and a token.
 *
 * A thread works for the system process unless it has been switched to a client's: that is how the
 * host's threads carry out requests in the context of the client that made them.
 */
#pragma once
#include <nthost/client.h>
#include <nthost/object.h>

struct _EPROCESS {
    DISPATCHER_HEADER header; /* signalled once it has ended */
    uint32_t id;
    uint32_t parent_id;
    enum io_token token;
    LONGLONG create_time;
    struct ob_handles *handles;
    char image[512];
    struct _EPROCESS *next; /* under the process lock */
};

extern struct _EPROCESS *system_process;

void process_start(void);
void process_stop(void);
/* A client's id is its process's on Linux: several clients, each with a process object of its own
 * here, may have the same one. NULL: no memory, or a driver refused it. */
struct _EPROCESS *process_create(uint32_t id, const char *image, enum io_token token);
/* Closes its handles, tells those who asked to be notified, signals and forgets it. */
void process_exit(struct _EPROCESS *process);
struct _EPROCESS *process_current(void);
/* The thread works for `process` until the old one is put back. */
struct _EPROCESS *process_switch(struct _EPROCESS *process);
