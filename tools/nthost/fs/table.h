/* Tables of nodes by inode number and of links by folder and name. */
#pragma once
#include "fsp.h"

unsigned hash_node(const void *entry);
unsigned hash_link(const void *entry);
unsigned hash_name(const struct node *parent, const char *name);
void **table_slot(const struct table *table, unsigned hash);
/* False: there is no memory for the first bucket. */
bool table_insert(struct table *table, void *entry, unsigned (*hash)(const void *));
void table_remove(struct table *table, void *entry, unsigned (*hash)(const void *));
