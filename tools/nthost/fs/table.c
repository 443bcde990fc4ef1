/* The tables of nodes and links; see table.h. */
#include "table.h"
#include <stdlib.h>

/* Tables: chained, doubled when full. `next` is the offset of an entry's hash_next, which is its
 * first member; a failure to grow only makes chains longer. */

unsigned hash_node(const void *entry)
{
    uint64_t inode = ((const struct node *)entry)->inode;
    return (unsigned)(inode ^ inode >> 17) * 2654435761u;
}

unsigned hash_name(const struct node *parent, const char *name)
{
    unsigned hash = 2166136261u ^ (unsigned)((uintptr_t)parent >> 5);
    for (; *name != 0; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash ^ hash >> 15;
}

unsigned hash_link(const void *entry)
{
    const struct link *link = entry;
    return hash_name(link->parent, link->name);
}

void **table_slot(const struct table *table, unsigned hash)
{
    return &table->buckets[hash & (table->size - 1)];
}

static void table_grow(struct table *table, unsigned (*hash)(const void *))
{
    unsigned size = table->size ? table->size * 2 : 64;
    void **buckets = calloc(size, sizeof(*buckets));
    if (buckets == NULL)
        return;
    struct table bigger = {buckets, size, table->count};
    for (unsigned i = 0; i < table->size; i++) {
        void *entry = table->buckets[i];
        while (entry != NULL) {
            void *next = *(void **)entry, **slot = table_slot(&bigger, hash(entry));
            *(void **)entry = *slot;
            *slot = entry;
            entry = next;
        }
    }
    free(table->buckets);
    *table = bigger;
}

bool table_insert(struct table *table, void *entry, unsigned (*hash)(const void *))
{
    if (table->count >= table->size)
        table_grow(table, hash);
    if (table->size == 0)
        return false;
    void **slot = table_slot(table, hash(entry));
    *(void **)entry = *slot;
    *slot = entry;
    table->count++;
    return true;
}

void table_remove(struct table *table, void *entry, unsigned (*hash)(const void *))
{
    void **slot = table_slot(table, hash(entry));
    while (*slot != entry)
        slot = *slot;
    *slot = *(void **)entry;
    table->count--;
}
