/* See hint.h. */
#include "hint.h"
#include <stdlib.h>
#include <string.h>

static unsigned hash_hint(const void *entry)
{
    struct node key = {.inode = ((const struct hint *)entry)->inode};
    return hash_node(&key);
}

static struct hint *find(const struct fs_volume *volume, uint64_t inode)
{
    struct node key = {.inode = inode};
    if (volume->hints.size == 0)
        return NULL;
    struct hint *hint = *table_slot(&volume->hints, hash_node(&key));
    while (hint != NULL && hint->inode != inode)
        hint = hint->next;
    return hint;
}

const struct hint *hint_find(const struct fs_volume *volume, uint64_t inode)
{
    return find(volume, inode);
}

static bool nothing(void *context, const char *path, uint64_t parent_inode)
{
    UNREFERENCED_PARAMETER(context);
    UNREFERENCED_PARAMETER(path);
    UNREFERENCED_PARAMETER(parent_inode);
    return true;
}

bool hint_ready(struct fs_volume *volume)
{
    if (volume->hints_kept)
        return !volume->hints_failed;
    volume->hints_kept = true;
    fs_walk_names(volume, 0, nothing, NULL); /* which puts all */
    return !volume->hints_failed;
}

void hint_put(struct fs_volume *volume, uint64_t inode, uint64_t parent, const char *name)
{
    struct hint *old = volume->hints_kept ? find(volume, inode) : NULL;
    if (!volume->hints_kept ||
        (old != NULL && old->parent == parent && strcmp(old->name, name) == 0))
        return;
    size_t bytes = strlen(name) + 1;
    struct hint *hint = malloc(sizeof(*hint) + bytes);
    if (old != NULL) {
        table_remove(&volume->hints, old, hash_hint);
        free(old);
    }
    if (hint != NULL) {
        hint->inode = inode;
        hint->parent = parent;
        memcpy(hint->name, name, bytes);
        if (table_insert(&volume->hints, hint, hash_hint))
            return;
        free(hint);
    }
    volume->hints_failed = true; /* what is not in it may be there */
}

void hint_drop(struct node *node, uint64_t parent, const char *name)
{
    struct fs_volume *volume = node->volume;
    struct hint *hint = find(volume, node->inode);
    if (hint == NULL || (!node->gone && (hint->parent != parent || strcmp(hint->name, name) != 0)))
        return;
    if (!node->gone) {
        hint->parent = 0;
        return;
    }
    table_remove(&volume->hints, hint, hash_hint);
    free(hint);
}

void hint_destroy(struct fs_volume *volume)
{
    for (unsigned i = 0; i < volume->hints.size; i++)
        for (struct hint *hint = volume->hints.buckets[i], *next; hint != NULL; hint = next) {
            next = hint->next;
            free(hint);
        }
    free(volume->hints.buckets);
}
