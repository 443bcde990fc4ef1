/* The cache manager's own: cache.c keeps what is dirty, writers.c sends it. */
#pragma once
#include "fsp.h"

#define CACHE_DIRTY  1u
#define CACHE_MAPPED 2u

struct cache_run {
    uint64_t first; /* page */
    unsigned pages;
    bool mapped;
    PFILE_OBJECT file; /* referenced */
};

/* Sends what is dirty in a range (bytes 0: to the end); stops at the first failure. */
NTSTATUS cache_write_out(struct stream *stream, unsigned kinds, LONGLONG offset, LONGLONG bytes,
                         bool synchronous);
bool cache_pass(struct fs_volume *volume, unsigned kinds, bool due_only, bool *any);
uint64_t cache_next_due(struct fs_volume *volume, unsigned kinds);

/* pages.c: NULL: there is none; no memory. */
struct page_word *pages_find(const struct fs_cache *cache, uint64_t number);
struct page_word *pages_get(struct fs_cache *cache, uint64_t number);

/* writers.c */
NTSTATUS cache_send(struct stream *stream, const struct cache_run *run, bool synchronous);
