/*
 * The kernel's pages of a file that others than the kernel's own requests have changed: filters,
 * and NT's other users of the volume. They are noted where the file system says so, and dropped by
 * a thread of its own, since dropping may wait for requests.
 */
#include "edge.h"
#include <stdlib.h>

#define NOTED 256

struct changes {
    pthread_t thread;
    bool started, stopping, lost; /* lost: more than could be noted; all files */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned count;
    uint64_t inodes[NOTED];
};

void edge_changed(void *context, uint64_t inode)
{
    struct changes *changes = ((struct mount_edge *)context)->changes;
    if (worker != NULL && worker->edge == context && worker->changes_inode == inode)
        return; /* the kernel asked for it */
    pthread_mutex_lock(&changes->lock);
    unsigned i = 0;
    while (i < changes->count && changes->inodes[i] != inode)
        i++;
    if (i == NOTED)
        changes->lost = true;
    else if (i == changes->count)
        changes->inodes[changes->count++] = inode;
    pthread_cond_signal(&changes->wake);
    pthread_mutex_unlock(&changes->lock);
}

static void drop(struct mount_edge *edge, struct node *node)
{
    if (node == NULL)
        return;
    fuse_lowlevel_notify_inval_inode(edge->session, (uintptr_t)node, 0, 0);
    node_forget(edge, node, 1);
}

static void *run(void *context)
{
    struct mount_edge *edge = context;
    struct changes *changes = edge->changes;
    pthread_mutex_lock(&changes->lock);
    while (!changes->stopping) {
        if (changes->count == 0) {
            pthread_cond_wait(&changes->wake, &changes->lock);
            continue;
        }
        uint64_t inode = changes->inodes[--changes->count];
        bool all = changes->lost;
        changes->lost = false;
        pthread_mutex_unlock(&changes->lock);
        if (all)
            nodes_visit(edge, drop);
        else
            drop(edge, node_reference_of(edge, inode));
        pthread_mutex_lock(&changes->lock);
    }
    pthread_mutex_unlock(&changes->lock);
    return NULL;
}

bool changes_open(struct mount_edge *edge)
{
    struct changes *changes = calloc(1, sizeof(*changes));
    if (changes == NULL)
        return false;
    pthread_mutex_init(&changes->lock, NULL);
    pthread_cond_init(&changes->wake, NULL);
    edge->changes = changes;
    fs_watch(edge->volume, edge_changed, edge_names_changed, edge);
    changes->started = pthread_create(&changes->thread, NULL, run, edge) == 0;
    return changes->started;
}

void changes_stop(struct mount_edge *edge)
{
    struct changes *changes = edge->changes;
    if (changes == NULL || !changes->started)
        return;
    pthread_mutex_lock(&changes->lock);
    changes->stopping = true;
    pthread_cond_signal(&changes->wake);
    pthread_mutex_unlock(&changes->lock);
    pthread_join(changes->thread, NULL);
    changes->started = false;
}

void changes_free(struct mount_edge *edge)
{
    struct changes *changes = edge->changes;
    if (changes == NULL)
        return;
    pthread_cond_destroy(&changes->wake);
    pthread_mutex_destroy(&changes->lock);
    free(changes);
}
