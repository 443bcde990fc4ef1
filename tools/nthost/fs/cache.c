/*
 * The cache manager model; see nthost/fs.h.
 *
 * What is dirty is kept a stream: two bits a page, of cached writes and of stores through views, in
 * a hash of words of 64 pages. A stream with dirty pages is in the volume's list, and the file
 * object that first made it dirty is referenced by it, so that paging writes have one to go to.
 *
 *     write, store       cache_mark: bits set, stream listed, writers woken
 *     lazy writer        takes runs of dirty bits that are due, clears them, sends each as a paging
 *     mapped writer      write from the top of the stack; a failure sets them again
 *     flush              the same on the flusher's thread, due or not
 *     settle             nothing dirty is left: off the list; without handles, the file object goes
 *
 * The bits are cleared before the content is read: a write that comes between sets them again, so
 * its bytes are sent twice rather than never.
 *
 * Locks: cc.mutex, then a stream's cache.mutex.
 */
#include "cache.h"
#include <nthost/sched.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_RUN 16
#define LEAST_DELAY 100000ull /* 100 ns: of a writer between two passes */

void cache_init(struct fs_cache *cache)
{
    pthread_mutex_init(&cache->mutex, NULL);
}

void cache_destroy(struct fs_cache *cache)
{
    free(cache->words);
    pthread_mutex_destroy(&cache->mutex);
}

static void count_pages(struct stream *stream, int dirty, int mapped)
{
    struct counters *counters = &stream->volume->counters;
    stream->cache.dirty_pages += (uint64_t)dirty;
    stream->cache.mapped_pages += (uint64_t)mapped;
    if (dirty != 0)
        atomic_fetch_add_explicit(&counters->dirty, (uint64_t)dirty, memory_order_relaxed);
    if (mapped != 0)
        atomic_fetch_add_explicit(&counters->mapped_dirty, (uint64_t)mapped, memory_order_relaxed);
}

/* Sets bits [first, last]; false: no memory. */
static bool set_bits(struct stream *stream, uint64_t first, uint64_t last, bool mapped)
{
    struct fs_cache *cache = &stream->cache;
    int added = 0;
    bool done = true;
    for (uint64_t number = first / 64; number <= last / 64 && done; number++) {
        uint64_t from = number == first / 64 ? first % 64 : 0;
        uint64_t to = number == last / 64 ? last % 64 : 63;
        uint64_t mask = (UINT64_MAX >> (63 - (to - from))) << from;
        struct page_word *word = pages_get(cache, number + 1);
        if (word == NULL) {
            done = false;
        } else {
            uint64_t *bits = mapped ? &word->mapped : &word->dirty;
            added += __builtin_popcountll(mask & ~*bits);
            *bits |= mask;
        }
    }
    if (mapped) {
        if (cache->mapped_pages == 0)
            cache->mapped_since = sched_interrupt_time();
        count_pages(stream, 0, added);
    } else {
        if (cache->dirty_pages == 0)
            cache->dirty_since = sched_interrupt_time();
        count_pages(stream, added, 0);
    }
    return done;
}

void cache_mark(struct stream *stream, PFILE_OBJECT file, LONGLONG offset, size_t bytes,
                bool mapped)
{
    struct fs_volume *volume = stream->volume;
    struct fs_cache *cache = &stream->cache;
    if (!volume->cc.options.on || bytes == 0)
        return;
    uint64_t first = (uint64_t)offset / FS_PAGE,
             last = (uint64_t)(offset + (LONGLONG)bytes - 1) / FS_PAGE;
    pthread_mutex_lock(&cache->mutex);
    set_bits(stream, first, last, mapped);
    if (cache->file == NULL) {
        ob_reference(file);
        cache->file = file;
        stream->sections.SharedCacheMap = cache;
        stream->sections.DataSectionObject = cache;
    }
    bool list = !cache->listed;
    cache->listed = true;
    pthread_mutex_unlock(&cache->mutex);
    if (!list)
        return;
    pthread_mutex_lock(&volume->cc.mutex);
    cache->next = volume->cc.streams;
    volume->cc.streams = stream;
    pthread_mutex_unlock(&volume->cc.mutex);
    atomic_store(&volume->cc.needs_wake, true);
}

void cache_poke_slow(struct fs_volume *volume)
{
    if (!atomic_exchange(&volume->cc.needs_wake, false))
        return;
    KeSetEvent(&volume->cc.wake, IO_NO_INCREMENT, FALSE);
    KeSetEvent(&volume->cc.wake_mapped, IO_NO_INCREMENT, FALSE);
}

void cache_truncate(struct stream *stream, LONGLONG offset)
{
    struct fs_cache *cache = &stream->cache;
    uint64_t first = ((uint64_t)offset + FS_PAGE - 1) / FS_PAGE;
    int dirty = 0, mapped = 0;
    pthread_mutex_lock(&cache->mutex);
    for (unsigned i = 0; i < cache->capacity; i++) {
        struct page_word *word = &cache->words[i];
        uint64_t base = (word->number - 1) * 64;
        if (word->number == 0 || base + 63 < first)
            continue;
        uint64_t keep = base >= first ? 0 : UINT64_MAX >> (64 - (first - base));
        dirty += __builtin_popcountll(word->dirty & ~keep);
        mapped += __builtin_popcountll(word->mapped & ~keep);
        word->dirty &= keep;
        word->mapped &= keep;
    }
    count_pages(stream, -dirty, -mapped);
    pthread_mutex_unlock(&cache->mutex);
}

/* Nothing dirty is left: off the list; *file is what nobody needs any more. */
static void settle(struct stream *stream, bool last_cleanup, PFILE_OBJECT *file)
{
    struct fs_volume *volume = stream->volume;
    struct fs_cache *cache = &stream->cache;
    *file = NULL;
    pthread_mutex_lock(&volume->cc.mutex);
    pthread_mutex_lock(&cache->mutex);
    if (cache->dirty_pages == 0 && cache->mapped_pages == 0 && cache->in_flight == 0) {
        struct stream **at = &volume->cc.streams;
        while (*at != NULL && *at != stream)
            at = &(*at)->cache.next;
        /* Listed but not found: it is being listed at this moment. */
        if (!cache->listed || *at != NULL) {
            if (*at != NULL)
                *at = cache->next;
            cache->listed = false;
            if (last_cleanup || __atomic_load_n(&stream->handles, __ATOMIC_ACQUIRE) == 0) {
                *file = cache->file;
                cache->file = NULL;
                stream->sections.SharedCacheMap = NULL;
                if (stream->views == 0)
                    stream->sections.DataSectionObject = NULL;
            }
        }
    }
    pthread_mutex_unlock(&cache->mutex);
    pthread_mutex_unlock(&volume->cc.mutex);
}

void cache_last_cleanup(struct stream *stream, PFILE_OBJECT *file)
{
    settle(stream, true, file);
}

/* Runs */

static int compare(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

/* The numbers of all words with bits of these kinds, in order. free() it. */
static uint64_t *list_words(struct fs_cache *cache, unsigned kinds, unsigned *count)
{
    *count = 0;
    pthread_mutex_lock(&cache->mutex);
    uint64_t *list = cache->used ? malloc(cache->used * sizeof(*list)) : NULL;
    for (unsigned i = 0; list != NULL && i < cache->capacity; i++) {
        const struct page_word *word = &cache->words[i];
        if ((kinds & CACHE_DIRTY ? word->dirty : 0) | (kinds & CACHE_MAPPED ? word->mapped : 0))
            list[(*count)++] = word->number;
    }
    pthread_mutex_unlock(&cache->mutex);
    if (list != NULL)
        qsort(list, *count, sizeof(*list), compare);
    return list;
}

/* Takes the first run in a word at or behind page *at, not beyond `last`; it may go on into the
 * words that follow. False: none. */
static bool take_run(struct stream *stream, uint64_t number, unsigned kind, uint64_t *at,
                     uint64_t last, struct cache_run *run)
{
    struct fs_cache *cache = &stream->cache;
    unsigned most = stream->volume->cc.options.run_pages;
    bool mapped = kind == CACHE_MAPPED;
    run->pages = 0;
    if (most == 0)
        most = DEFAULT_RUN;
    pthread_mutex_lock(&cache->mutex);
    for (uint64_t page = *at; page <= last && run->pages < most; page++) {
        struct page_word *word = pages_find(cache, page / 64 + 1);
        uint64_t *bits = word == NULL ? NULL : mapped ? &word->mapped : &word->dirty;
        bool set = bits != NULL && (*bits >> page % 64 & 1);
        if (!set && run->pages != 0)
            break;
        if (!set && page / 64 + 1 > number)
            break;
        if (!set)
            continue;
        if (run->pages++ == 0)
            run->first = page;
        *bits &= ~(1ull << page % 64);
    }
    if (run->pages != 0) {
        count_pages(stream, mapped ? 0 : -(int)run->pages, mapped ? -(int)run->pages : 0);
        cache->in_flight++;
        run->file = cache->file;
        ob_reference(run->file);
        run->mapped = mapped;
        *at = run->first + run->pages;
    }
    pthread_mutex_unlock(&cache->mutex);
    return run->pages != 0;
}

static void return_run(struct stream *stream, const struct cache_run *run, bool failed)
{
    pthread_mutex_lock(&stream->cache.mutex);
    stream->cache.in_flight--;
    if (failed)
        set_bits(stream, run->first, run->first + run->pages - 1, run->mapped);
    pthread_mutex_unlock(&stream->cache.mutex);
    if (failed)
        atomic_fetch_add(&stream->volume->counters.paging_failures, 1);
    ob_dereference(run->file);
}

NTSTATUS cache_write_out(struct stream *stream, unsigned kinds, LONGLONG offset, LONGLONG bytes,
                         bool synchronous)
{
    uint64_t first = (uint64_t)offset / FS_PAGE;
    uint64_t last = bytes == 0 ? UINT64_MAX / 2 : (uint64_t)(offset + bytes - 1) / FS_PAGE;
    NTSTATUS status = STATUS_SUCCESS;
    for (unsigned kind = CACHE_DIRTY; kind <= CACHE_MAPPED; kind <<= 1) {
        unsigned count;
        uint64_t at = first,
                 *words = kinds & kind ? list_words(&stream->cache, kind, &count) : NULL;
        for (unsigned i = 0; words != NULL && i < count && NT_SUCCESS(status); i++) {
            struct cache_run run;
            uint64_t base = (words[i] - 1) * 64;
            if (base + 63 < first || base > last)
                continue;
            if (at < base)
                at = base;
            while (NT_SUCCESS(status) && at <= last && at / 64 + 1 <= words[i] &&
                   take_run(stream, words[i], kind, &at, last, &run)) {
                status = cache_send(stream, &run, synchronous);
                return_run(stream, &run, !NT_SUCCESS(status));
            }
        }
        free(words);
    }
    return status;
}

NTSTATUS cache_flush(struct stream *stream, LONGLONG offset, LONGLONG bytes)
{
    PFILE_OBJECT file;
    if (atomic_load_explicit(&stream->volume->counters.dirty, memory_order_relaxed) == 0 &&
        atomic_load_explicit(&stream->volume->counters.mapped_dirty, memory_order_relaxed) == 0)
        return STATUS_SUCCESS;
    NTSTATUS status = cache_write_out(stream, CACHE_DIRTY | CACHE_MAPPED, offset, bytes, true);
    settle(stream, false, &file);
    if (file != NULL)
        ob_dereference(file);
    return status;
}

/* Passes over the volume */

struct visit {
    struct stream *stream;
    PFILE_OBJECT file; /* referenced: keeps the stream */
};

static bool is_due(const struct fs_volume *volume, const struct fs_cache *cache, unsigned kinds,
                   uint64_t now)
{
    const struct fs_cache_options *o = &volume->cc.options;
    if (cache->dirty_pages == 0 && cache->mapped_pages == 0)
        return true; /* to be settled */
    return (kinds & CACHE_DIRTY && cache->dirty_pages != 0 &&
            cache->dirty_since + o->delay_ms * 10000ull <= now) ||
           (kinds & CACHE_MAPPED && cache->mapped_pages != 0 &&
            cache->mapped_since + o->mapped_delay_ms * 10000ull <= now);
}

static struct visit *list_visits(struct fs_volume *volume, unsigned kinds, bool due_only,
                                 unsigned *count)
{
    uint64_t now = sched_interrupt_time();
    unsigned room = 0;
    *count = 0;
    pthread_mutex_lock(&volume->cc.mutex);
    for (struct stream *s = volume->cc.streams; s != NULL; s = s->cache.next)
        room++;
    struct visit *visits = room ? malloc(room * sizeof(*visits)) : NULL;
    for (struct stream *s = volume->cc.streams; visits != NULL && s != NULL; s = s->cache.next) {
        pthread_mutex_lock(&s->cache.mutex);
        if (s->cache.file != NULL && (!due_only || is_due(volume, &s->cache, kinds, now))) {
            ob_reference(s->cache.file);
            visits[(*count)++] = (struct visit){s, s->cache.file};
        }
        pthread_mutex_unlock(&s->cache.mutex);
    }
    pthread_mutex_unlock(&volume->cc.mutex);
    return visits;
}

/* True: all that was sent was taken. */
bool cache_pass(struct fs_volume *volume, unsigned kinds, bool due_only, bool *any)
{
    unsigned count;
    bool good = true;
    PFILE_OBJECT file;
    atomic_fetch_add(&volume->cc.passes, 1);
    struct visit *visits = list_visits(volume, kinds, due_only, &count);
    *any = count != 0;
    for (unsigned i = 0; i < count; i++) {
        if (!NT_SUCCESS(cache_write_out(visits[i].stream, kinds, 0, 0, false)))
            good = false;
        settle(visits[i].stream, false, &file);
        if (file != NULL)
            ob_dereference(file);
        ob_dereference(visits[i].file);
    }
    free(visits);
    atomic_fetch_sub(&volume->cc.passes, 1);
    return good;
}

/* How long until something is due, in 100 ns; UINT64_MAX: nothing is dirty. */
uint64_t cache_next_due(struct fs_volume *volume, unsigned kinds)
{
    uint64_t now = sched_interrupt_time(), next = UINT64_MAX;
    const struct fs_cache_options *o = &volume->cc.options;
    pthread_mutex_lock(&volume->cc.mutex);
    for (struct stream *s = volume->cc.streams; s != NULL; s = s->cache.next) {
        pthread_mutex_lock(&s->cache.mutex);
        uint64_t due = UINT64_MAX;
        if (kinds & CACHE_DIRTY && s->cache.dirty_pages != 0)
            due = s->cache.dirty_since + o->delay_ms * 10000ull;
        else if (kinds & CACHE_MAPPED && s->cache.mapped_pages != 0)
            due = s->cache.mapped_since + o->mapped_delay_ms * 10000ull;
        else if (s->cache.dirty_pages == 0 && s->cache.mapped_pages == 0 && kinds & CACHE_DIRTY)
            due = now + LEAST_DELAY; /* to be settled; somebody may still be sending */
        pthread_mutex_unlock(&s->cache.mutex);
        if (due < next)
            next = due;
    }
    pthread_mutex_unlock(&volume->cc.mutex);
    return next == UINT64_MAX ? next : next > now ? next - now : 0;
}
