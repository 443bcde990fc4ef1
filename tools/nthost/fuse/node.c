/* The inodes that the kernel knows. A node lives from its first lookup until all are forgotten; its
 * number for the kernel is its address, the root's is FUSE_ROOT_ID. */
#include "edge.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct node **bucket_of(const struct mount_edge *edge, uint64_t inode)
{
    return &edge->buckets[(inode * 0x9e3779b97f4a7c15u >> 32) & (edge->bucket_count - 1)];
}

static void grow(struct mount_edge *edge)
{
    unsigned old_count = edge->bucket_count;
    struct node **old = edge->buckets, **bigger = calloc(old_count * 2, sizeof(*bigger));
    if (bigger == NULL)
        return; /* longer chains */
    edge->buckets = bigger;
    edge->bucket_count = old_count * 2;
    for (unsigned i = 0; i < old_count; i++) {
        for (struct node *node = old[i], *next; node != NULL; node = next) {
            next = node->next;
            struct node **bucket = bucket_of(edge, node->inode);
            node->next = *bucket;
            *bucket = node;
        }
    }
    free(old);
}

bool nodes_open(struct mount_edge *edge)
{
    struct stat st;
    edge->bucket_count = 1024;
    edge->buckets = calloc(edge->bucket_count, sizeof(*edge->buckets));
    if (edge->buckets == NULL || fstat(edge->root_fd, &st) != 0)
        return false;
    edge->dev = st.st_dev;
    edge->root = (struct node){.inode = st.st_ino, .fd = edge->root_fd, .type = S_IFDIR};
    pthread_mutex_init(&edge->root.lock, NULL);
    return true;
}

static void node_free(struct mount_edge *edge, struct node *node)
{
    descriptor_free(edge, node);
    free(node->name);
    pthread_mutex_destroy(&node->lock);
    free(node);
}

void nodes_close(struct mount_edge *edge)
{
    for (unsigned i = 0; i < edge->bucket_count; i++) {
        for (struct node *node = edge->buckets[i], *next; node != NULL; node = next) {
            next = node->next;
            nt_enter();
            handles_close(node);
            nt_leave();
            node_free(edge, node);
        }
    }
    free(edge->buckets);
    edge->buckets = NULL;
    edge->bucket_count = 0;
}

struct node *node_of(struct mount_edge *edge, fuse_ino_t ino)
{
    return ino == FUSE_ROOT_ID ? &edge->root : (struct node *)(uintptr_t)ino;
}

int node_proc_path(struct node *node, char text[40])
{
    int fd = node_fd(node);
    snprintf(text, 40, "/proc/self/fd/%d", fd);
    return fd < 0 ? errno : 0;
}

bool name_is_hidden(const struct mount_edge *edge, const struct node *parent, const char *name)
{
    return parent == &edge->root && strcmp(name, EDGE_STORE) == 0;
}

int stat_of(struct mount_edge *edge, struct node *node, struct stat *st)
{
    if (node_fstat(node, st) != 0)
        return errno;
    if (node == &edge->root)
        st->st_ino = FUSE_ROOT_ID;
    return 0;
}

/* The rest with edge->table held. */

static struct node *find(const struct mount_edge *edge, uint64_t inode)
{
    struct node *node = *bucket_of(edge, inode);
    while (node != NULL && node->inode != inode)
        node = node->next;
    return node;
}

/* Nobody finds it any more. */
static void detach(struct mount_edge *edge, struct node *node)
{
    struct node **at = bucket_of(edge, node->inode);
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    edge->node_count--;
    node->detached = true;
}

void node_settle(struct mount_edge *edge, struct node *node)
{
    while (node != NULL && node != &edge->root && node->lookups == 0 && node->children == 0 &&
           node->pins == 0) {
        struct node *parent = node->parent;
        if (!node->detached)
            detach(edge, node);
        node_free(edge, node);
        if (parent != NULL)
            parent->children--;
        node = parent;
    }
}

/* Without memory the old name stays. */
static void set_name(struct mount_edge *edge, struct node *node, struct node *parent,
                     const char *name)
{
    struct node *before = node->parent;
    if (before == parent && strcmp(node->name, name) == 0)
        return;
    char *copy = strdup(name);
    if (copy == NULL)
        return;
    free(node->name);
    node->name = copy;
    node->parent = parent;
    parent->children++;
    if (before != NULL) {
        before->children--;
        node_settle(edge, before);
    }
}

/* The node of what the descriptor is, which is taken over. */
static struct node *node_take(struct mount_edge *edge, int fd, const struct stat *st,
                              struct node *parent, const char *name)
{
    pthread_mutex_lock(&edge->table);
    struct node *node = find(edge, st->st_ino);
    if (node != NULL && node->fd < 0 && !descriptor_is_of(node, fd)) {
        detach(edge, node); /* its file has gone, and its number was given again */
        node = NULL;
    }
    if (node != NULL) {
        node->lookups++;
        set_name(edge, node, parent, name);
        if (node->fd < 0) {
            descriptor_take(edge, node, fd);
            fd = -1;
        } else if (!S_ISDIR(st->st_mode)) {
            /* The name that was just looked up exists; the one before may not. */
            dup3(fd, node->fd, O_CLOEXEC);
        }
        pthread_mutex_unlock(&edge->table);
        if (fd >= 0)
            close(fd);
        return node;
    }
    node = calloc(1, sizeof(*node));
    if (node == NULL) {
        pthread_mutex_unlock(&edge->table);
        close(fd);
        return NULL;
    }
    if (edge->node_count++ > edge->bucket_count)
        grow(edge);
    struct node **bucket = bucket_of(edge, st->st_ino);
    *node = (struct node){
        .next = *bucket, .inode = st->st_ino, .type = st->st_mode & S_IFMT, .lookups = 1};
    pthread_mutex_init(&node->lock, NULL);
    *bucket = node;
    descriptor_take(edge, node, fd);
    set_name(edge, node, parent, name);
    pthread_mutex_unlock(&edge->table);
    return node;
}

void node_renamed(struct mount_edge *edge, struct node *parent, const char *name)
{
    struct stat st;
    int fd = node_fd(parent);
    if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    pthread_mutex_lock(&edge->table);
    struct node *node = find(edge, st.st_ino);
    if (node != NULL)
        set_name(edge, node, parent, name);
    pthread_mutex_unlock(&edge->table);
}

struct node *node_reference_of(struct mount_edge *edge, uint64_t inode)
{
    pthread_mutex_lock(&edge->table);
    struct node *node = find(edge, inode);
    if (node != NULL)
        node->lookups++;
    pthread_mutex_unlock(&edge->table);
    return node;
}

/* By their numbers as they are now: a visit may change the table. */
void nodes_visit(struct mount_edge *edge, void (*visit)(struct mount_edge *edge, struct node *node))
{
    unsigned count = 0;
    pthread_mutex_lock(&edge->table);
    uint64_t *inodes = calloc(edge->node_count + 1, sizeof(*inodes));
    for (unsigned i = 0; inodes != NULL && i < edge->bucket_count; i++)
        for (const struct node *node = edge->buckets[i]; node != NULL; node = node->next)
            inodes[count++] = node->inode;
    pthread_mutex_unlock(&edge->table);
    for (unsigned i = 0; i < count; i++)
        visit(edge, node_reference_of(edge, inodes[i]));
    free(inodes);
}

int chain_of(struct mount_edge *edge, struct node *node, char path[EDGE_PATH])
{
    size_t at = EDGE_PATH - 1; /* from behind */
    path[at] = 0;
    for (; node != &edge->root; node = node->parent) {
        if (node == NULL || node->name == NULL)
            return ESTALE;
        size_t bytes = strlen(node->name);
        bool last = path[at] == 0;
        if (bytes + !last > at)
            return ENAMETOOLONG;
        if (!last)
            path[--at] = '/';
        at -= bytes;
        memcpy(path + at, node->name, bytes);
    }
    memmove(path, path + at, EDGE_PATH - at);
    return 0;
}

int node_chain(struct mount_edge *edge, struct node *node, char path[EDGE_PATH])
{
    pthread_mutex_lock(&edge->table);
    int error = chain_of(edge, node, path);
    pthread_mutex_unlock(&edge->table);
    return error;
}

int node_lookup(struct mount_edge *edge, struct node *parent, const char *name,
                struct fuse_entry_param *entry)
{
    *entry = (struct fuse_entry_param){.attr_timeout = EDGE_TIMEOUT, .entry_timeout = EDGE_TIMEOUT};
    if (name_is_hidden(edge, parent, name))
        return ENOENT;
    int fd = node_fd(parent);
    if (fd >= 0)
        fd = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if (fstat(fd, &entry->attr) != 0 || entry->attr.st_dev != edge->dev) {
        int error = entry->attr.st_dev != edge->dev ? EXDEV : errno;
        close(fd);
        return error;
    }
    if (entry->attr.st_ino == edge->root.inode) { /* never: a folder has one name */
        close(fd);
        return ELOOP;
    }
    struct node *node = node_take(edge, fd, &entry->attr, parent, name);
    if (node == NULL)
        return ENOMEM;
    entry->ino = (uintptr_t)node;
    return 0;
}

void node_forget(struct mount_edge *edge, struct node *node, uint64_t count)
{
    if (node == &edge->root)
        return;
    pthread_mutex_lock(&edge->table);
    node->lookups -= count;
    node_settle(edge, node);
    pthread_mutex_unlock(&edge->table);
}

void edge_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry;
    int error = node_lookup(EDGE(req), node_of(EDGE(req), parent), name, &entry);
    if (error != 0)
        fuse_reply_err(req, error);
    else
        fuse_reply_entry(req, &entry);
}

void edge_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    node_forget(EDGE(req), node_of(EDGE(req), ino), count);
    fuse_reply_none(req);
}

void edge_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        node_forget(EDGE(req), node_of(EDGE(req), forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(req);
}
