/* The words of dirty pages of a stream: a hash by number; with cache->mutex held. */
#include "cache.h"
#include <stdlib.h>

struct page_word *pages_find(const struct fs_cache *cache, uint64_t number)
{
    if (cache->capacity == 0)
        return NULL;
    unsigned at = (unsigned)(number * 0x9e3779b97f4a7c15ull >> 40);
    for (;; at++) {
        struct page_word *word = &cache->words[at & (cache->capacity - 1)];
        if (word->number == number)
            return word;
        if (word->number == 0)
            return NULL;
    }
}

static struct page_word *empty_word(struct fs_cache *cache, uint64_t number)
{
    unsigned at = (unsigned)(number * 0x9e3779b97f4a7c15ull >> 40);
    for (;; at++) {
        struct page_word *word = &cache->words[at & (cache->capacity - 1)];
        if (word->number == 0)
            return word;
    }
}

/* Words without bits are dropped whenever the table is rebuilt. */
static bool make_room(struct fs_cache *cache)
{
    struct fs_cache old = *cache;
    unsigned live = 0;
    for (unsigned i = 0; i < old.capacity; i++)
        live += (old.words[i].dirty | old.words[i].mapped) != 0;
    unsigned capacity = 8;
    while (capacity < live * 2 + 2)
        capacity *= 2;
    struct page_word *words = calloc(capacity, sizeof(*words));
    if (words == NULL)
        return false;
    cache->words = words;
    cache->capacity = capacity;
    cache->used = live;
    for (unsigned i = 0; i < old.capacity; i++)
        if ((old.words[i].dirty | old.words[i].mapped) != 0)
            *empty_word(cache, old.words[i].number) = old.words[i];
    free(old.words);
    return true;
}

struct page_word *pages_get(struct fs_cache *cache, uint64_t number)
{
    struct page_word *word = pages_find(cache, number);
    if (word != NULL)
        return word;
    if ((cache->used + 1) * 4 > cache->capacity * 3 && !make_room(cache))
        return NULL;
    word = empty_word(cache, number);
    word->number = number;
    cache->used++;
    return word;
}
