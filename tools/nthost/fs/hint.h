/*
 * An index from inode numbers to a name of each, for opens by identity: made by one walk when the
 * first such open comes, and kept up from then on. volume->names is held.
 */
#pragma once
#include "table.h"

struct hint {
    struct hint *next;
    uint64_t inode, parent; /* parent 0: one of its names went, the others are not known */
    char name[];
};

/* The index is there: false: no memory for it. */
bool hint_ready(struct fs_volume *volume);
/* NULL: no such inode. */
const struct hint *hint_find(const struct fs_volume *volume, uint64_t inode);
/* A name of an inode. Nothing happens before hint_ready. */
void hint_put(struct fs_volume *volume, uint64_t inode, uint64_t parent, const char *name);
/* A name went; `gone`: it was the last. */
void hint_drop(struct node *node, uint64_t parent, const char *name);
void hint_destroy(struct fs_volume *volume);
