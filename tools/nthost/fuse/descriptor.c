/* Descriptors of nodes. The kernel knows more inodes than a process may have descriptors: those
 * that were not used for longest (by a clock) are closed where there are too many, and opened again
 * by the names that lead there. What is found there must be the same inode, which its file handle
 * tells (name_to_handle_at(2)): numbers are given again. A file system that has no handles keeps
 * all open. A node that a request uses, or that has an open handle, stays open. */
#include "edge.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200 /* of file systems that can not be exported, too */
#endif

/* What a handle needs is kept. */
static struct file_handle *identity_of(int fd)
{
    _Alignas(struct file_handle) char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    struct file_handle *found = (struct file_handle *)room, *identity = NULL;
    int mount;
    found->handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(fd, "", found, &mount, AT_EMPTY_PATH) != 0) {
        found->handle_bytes = MAX_HANDLE_SZ;
        if (name_to_handle_at(fd, "", found, &mount, AT_EMPTY_PATH | AT_HANDLE_FID) != 0)
            return NULL;
    }
    identity = malloc(sizeof(*found) + found->handle_bytes);
    if (identity != NULL)
        memcpy(identity, found, sizeof(*found) + found->handle_bytes);
    return identity;
}

bool descriptor_is_of(const struct node *node, int fd)
{
    struct file_handle *other = node->identity != NULL ? identity_of(fd) : NULL;
    bool same = other != NULL && other->handle_type == node->identity->handle_type &&
                other->handle_bytes == node->identity->handle_bytes &&
                memcmp(other->f_handle, node->identity->f_handle, other->handle_bytes) == 0;
    free(other);
    return same;
}

static void close_one(struct mount_edge *edge, struct node *node)
{
    if (node->newer == node) {
        edge->hand = NULL;
    } else {
        node->newer->older = node->older;
        node->older->newer = node->newer;
        if (edge->hand == node)
            edge->hand = node->newer;
    }
    edge->open_nodes--;
    close(node->fd);
    node->fd = -1;
}

/* Looks at each node twice at most: who was used is let alone the first time. */
static void make_room(struct mount_edge *edge)
{
    for (unsigned looks = 2 * edge->open_nodes; looks > 0; looks--) {
        struct node *node = edge->hand;
        if (edge->open_nodes <= edge->most_open)
            return;
        edge->hand = node->newer;
        if (node->pins != 0 || node->used) {
            node->used = false;
            continue;
        }
        if (node->identity == NULL)
            node->identity = identity_of(node->fd);
        if (node->identity == NULL) {
            edge->most_open = UINT_MAX;
            return;
        }
        close_one(edge, node);
    }
}

void descriptor_take(struct mount_edge *edge, struct node *node, int fd)
{
    node->fd = fd;
    node->used = true;
    if (edge->hand == NULL) {
        edge->hand = node->newer = node->older = node;
    } else {
        node->newer = edge->hand;
        node->older = edge->hand->older;
        node->older->newer = node;
        edge->hand->older = node;
    }
    edge->open_nodes++;
    make_room(edge);
}

void descriptor_free(struct mount_edge *edge, struct node *node)
{
    if (node->fd >= 0)
        close_one(edge, node);
    free(node->identity);
}

static bool open_again(struct mount_edge *edge, struct node *node)
{
    char path[EDGE_PATH];
    int fd = -1;
    if (!node->detached && chain_of(edge, node, path) == 0)
        fd = openat(edge->root_fd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (!descriptor_is_of(node, fd)) {
        close(fd);
        return false;
    }
    descriptor_take(edge, node, fd);
    return true;
}

static bool is_pinned(const struct node *node)
{
    for (unsigned i = 0; i < worker->pinned_count; i++)
        if (worker->pinned[i] == node)
            return true;
    return false;
}

int node_fd(struct node *node)
{
    struct mount_edge *edge = worker->edge;
    int fd = -1;
    if (node == &edge->root)
        return edge->root_fd;
    pthread_mutex_lock(&edge->table);
    bool pinned = is_pinned(node);
    if (pinned || worker->pinned_count < ARRAYSIZE(worker->pinned)) {
        node->pins += !pinned;
        if (!pinned)
            worker->pinned[worker->pinned_count++] = node;
        node->used = true;
        if (node->fd >= 0 || open_again(edge, node))
            fd = node->fd;
    }
    pthread_mutex_unlock(&edge->table);
    if (fd < 0)
        errno = ESTALE;
    return fd;
}

int node_fstat(struct node *node, struct stat *st)
{
    int fd = node_fd(node);
    return fd < 0 ? -1 : fstat(fd, st);
}

void node_pin(struct node *node)
{
    pthread_mutex_lock(&worker->edge->table);
    node->pins++;
    pthread_mutex_unlock(&worker->edge->table);
}

void node_unpin(struct node *node)
{
    struct mount_edge *edge = worker->edge;
    pthread_mutex_lock(&edge->table);
    node->pins--;
    node_settle(edge, node);
    pthread_mutex_unlock(&edge->table);
}

void nodes_unpin(struct worker *self)
{
    while (self->pinned_count > 0)
        node_unpin(self->pinned[--self->pinned_count]);
}
