/*
 * The threads that take requests. Each reads from the device itself, so that what a write brings
 * lies at a page, and is told to end by a signal.
 */
#include "edge.h"
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>
#include <string.h>

__thread struct worker *worker;

#define REQUEST_HEAD (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
#define REQUEST_ROOM (EDGE_MAX_WRITE + EDGE_PAGE)
#define PROCESS_FOR  100000000ull /* ns: a process number means the same program for so long */

static uint64_t coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Requests carry the number of a thread. */
static pid_t process_of_thread(pid_t thread)
{
    char path[40], text[1024];
    snprintf(path, sizeof(path), "/proc/%d/status", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[bytes > 0 ? bytes : 0] = 0;
    const char *line = strstr(text, "\nTgid:");
    return line != NULL ? (pid_t)strtol(line + 6, NULL, 10) : thread;
}

PEPROCESS begin_nt(fuse_req_t req)
{
    pid_t pid = req != NULL ? fuse_req_ctx(req)->pid : 0;
    uint64_t now = coarse_now();
    nt_enter();
    if (pid != worker->pid || worker->process == NULL || now > worker->process_until) {
        if (worker->process != NULL)
            nt_process_release(worker->process);
        worker->process = nt_process_of(pid != 0 ? (uint32_t)process_of_thread(pid) : 0);
        worker->pid = pid;
        worker->process_until = now + PROCESS_FOR;
    }
    return nt_process_enter(worker->process);
}

void end_nt(PEPROCESS before)
{
    nt_process_enter(before);
    nt_leave();
}

/* False: the mount has gone. */
static bool serve_one(struct worker *self)
{
    struct mount_edge *edge = self->edge;
    ssize_t bytes = read(edge->fuse_fd, self->request, REQUEST_ROOM);
    if (bytes < 0)
        return errno == EINTR || errno == EAGAIN || errno == ENOENT;
    const struct fuse_in_header *head = (const void *)self->request;
    if (head->opcode == FUSE_INIT)
        edge->init_unique = head->unique;
    self->changes_inode = 0;
    struct fuse_buf buffer = {.mem = self->request, .size = (size_t)bytes};
    /* A request may take long: filters, and who waits for a lock. Others are not to wait for it. */
    if (atomic_fetch_sub(&edge->idle_workers, 1) == 1)
        edge_more_workers(edge);
    fuse_session_process_buf(edge->session, &buffer);
    nodes_unpin(self);
    atomic_fetch_add(&edge->idle_workers, 1);
    return true;
}

void worker_run(void *context)
{
    struct worker *self = context;
    UCHAR *pages = aligned_alloc(EDGE_PAGE, EDGE_PAGE + REQUEST_ROOM + EDGE_MAX_WRITE);
    worker = self;
    self->pthread = pthread_self();
    self->running = true;
    if (pages != NULL) {
        self->request = pages + EDGE_PAGE - REQUEST_HEAD;
        self->reply = pages + EDGE_PAGE + REQUEST_ROOM;
        while (!self->edge->stopping && serve_one(self))
            ;
    }
    if (self->process != NULL) {
        nt_enter();
        nt_process_release(self->process);
        nt_leave();
    }
    free(pages);
    self->running = false;
}
