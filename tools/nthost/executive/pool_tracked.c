/*
 * Tracked pool: every block of a verified driver, with its owner and the stack that allocated it.
 *
 * A plain block lies between two red zones that are checked when it is freed, and is filled with a
 * pattern unless the driver asked for zeros. A freed block stays in quarantine: filled, so that a
 * late write shows when it leaves quarantine or the host stops; known, so that a second free is
 * told from a wild one. A special block has its own pages (pool_special.c). Blocks of a driver that
 * is unloaded are leaks, reported with tag, size and stack. Everything is under one lock: this is
 * not the fast path.
 */
#include "pool.h"
#include <nthost/loader.h>
#include <nthost/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
void __asan_poison_memory_region(const volatile void *address, size_t size);
void __asan_unpoison_memory_region(const volatile void *address, size_t size);
#define POISON(address, size)   __asan_poison_memory_region((address), (size))
#define UNPOISON(address, size) __asan_unpoison_memory_region((address), (size))
#endif
#endif
#ifndef POISON
#define POISON(address, size)   ((void)0)
#define UNPOISON(address, size) ((void)0)
#endif

#define RED_ZONE          64
#define RED_PATTERN       0xfd
#define FRESH_PATTERN     0xcd
#define FREED_PATTERN     0xdd
#define BUCKETS           4096
#define QUARANTINE_BLOCKS 2048
#define QUARANTINE_BYTES  (8u << 20)

bool pool_special;

static volatile uint32_t lock;
static struct pool_block *buckets[BUCKETS];
static LIST_ENTRY live = {&live, &live};
/* Live blocks of up to a page: by the page in which they begin, and, where that is another, by the
 * one in which they end. */
static LIST_ENTRY pages[2][BUCKETS];
static LIST_ENTRY large = {&large, &large}; /* and those above */
static struct pool_block *quarantine_first, **quarantine_end = &quarantine_first;
static unsigned quarantine_blocks;
static size_t quarantine_bytes;
static uint64_t next_sequence;

static struct pool_block **bucket_of(const void *memory)
{
    return &buckets[((uintptr_t)memory >> 4) * 0x9e3779b97f4a7c15ull >> 52];
}

static struct pool_block *find(const void *memory)
{
    struct pool_block *block = *bucket_of(memory);
    while (block && block->memory != memory)
        block = block->hash_next;
    return block;
}

static LIST_ENTRY *page_of(unsigned which, const volatile void *address)
{
    LIST_ENTRY *list = &pages[which][(uintptr_t)address / PAGE_SIZE * 0x9e3779b97f4a7c15ull >> 52];
    if (!list->Flink)
        InitializeListHead(list);
    return list;
}

static void enter_pages(struct pool_block *block)
{
    const char *last = block->memory + (block->bytes ? block->bytes - 1 : 0);
    bool small = block->bytes <= PAGE_SIZE;
    InsertTailList(small ? page_of(0, block->memory) : &large, &block->in_page[0]);
    InitializeListHead(&block->in_page[1]);
    if (small && PAGE_ALIGN(last) != PAGE_ALIGN(block->memory))
        InsertTailList(page_of(1, last), &block->in_page[1]);
}

static void leave_pages(struct pool_block *block)
{
    RemoveEntryList(&block->in_page[0]);
    RemoveEntryList(&block->in_page[1]);
}

static struct pool_block *search(LIST_ENTRY *list, unsigned which, const volatile void *address)
{
    for (PLIST_ENTRY entry = list->Flink; entry != list; entry = entry->Flink) {
        struct pool_block *block = CONTAINING_RECORD(entry - which, struct pool_block, in_page);
        if ((uintptr_t)address - (uintptr_t)block->memory < block->bytes)
            return block;
    }
    return NULL;
}

/* The live block that contains the address. */
static struct pool_block *find_around(const volatile void *address)
{
    struct pool_block *block = search(page_of(0, address), 0, address);
    if (!block)
        block = search(page_of(1, address), 1, address);
    return block ? block : search(&large, 0, address);
}

static void unhash(struct pool_block *block)
{
    struct pool_block **link = bucket_of(block->memory);
    while (*link != block)
        link = &(*link)->hash_next;
    *link = block->hash_next;
}

/* From the export that the innermost driver called, outwards. */
static void capture(void **stack)
{
    void *frames[POOL_STACK + 12];
    unsigned count = image_backtrace(frames, POOL_STACK + 12), first = 0;
    for (unsigned i = 1; i < count && !first; i++) {
        if (image_of(frames[i]))
            first = i - 1;
    }
    count = count - first < POOL_STACK ? count - first : POOL_STACK;
    memcpy(stack, frames + first, count * sizeof *stack);
    if (count < POOL_STACK)
        stack[count] = NULL;
}

static bool plain_allocate(struct pool_block *block, size_t alignment)
{
    size_t front = alignment > RED_ZONE ? alignment : RED_ZONE;
    if (posix_memalign(&block->base, alignment > 16 ? alignment : 16,
                       front + block->bytes + RED_ZONE))
        return false;
    block->memory = (char *)block->base + front;
    memset(block->memory - RED_ZONE, RED_PATTERN, RED_ZONE);
    memset(block->memory + block->bytes, RED_PATTERN, RED_ZONE);
    POISON(block->base, front);
    POISON(block->memory + block->bytes, RED_ZONE);
    return true;
}

/* Lets the host itself look at, and malloc have back, what ASan guards. */
static void unpoison(struct pool_block *block)
{
    if (block->special)
        return;
    UNPOISON(block->base, (size_t)(block->memory - (char *)block->base) + block->bytes + RED_ZONE);
}

static bool all(const char *memory, size_t bytes, unsigned char pattern, size_t *offset)
{
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)memory[i] != pattern) {
            *offset = i;
            return false;
        }
    }
    return true;
}

/* A special block's pages have room before it and, less than its alignment, behind it. */
static void special_surroundings(const struct pool_block *block, const char **before,
                                 size_t *before_bytes, const char **behind, size_t *behind_bytes)
{
    const char *page = (const char *)((uintptr_t)block->memory & ~(uintptr_t)(PAGE_SIZE - 1));
    const char *end = (const char *)(((uintptr_t)block->memory + block->bytes + PAGE_SIZE - 1) &
                                     ~(uintptr_t)(PAGE_SIZE - 1));
    size_t room = (size_t)(block->memory - page);
    *before_bytes = room < RED_ZONE ? room : RED_ZONE;
    *before = block->memory - *before_bytes;
    room = (size_t)(end - (block->memory + block->bytes));
    *behind_bytes = room < RED_ZONE ? room : RED_ZONE;
    *behind = block->memory + block->bytes;
}

static void surroundings(const struct pool_block *block, const char **before, size_t *before_bytes,
                         const char **behind, size_t *behind_bytes)
{
    if (block->special) {
        special_surroundings(block, before, before_bytes, behind, behind_bytes);
    } else {
        *before = block->memory - RED_ZONE;
        *behind = block->memory + block->bytes;
        *before_bytes = *behind_bytes = RED_ZONE;
    }
}

const char *tracked_check(const struct pool_block *block, size_t *offset)
{
    const char *before, *behind;
    size_t before_bytes, behind_bytes;
    surroundings(block, &before, &before_bytes, &behind, &behind_bytes);
    if (!all(behind, behind_bytes, RED_PATTERN, offset))
        return "byte(s) behind its end";
    if (!all(before, before_bytes, RED_PATTERN, offset)) {
        *offset = before_bytes - *offset;
        return "byte(s) before its start";
    }
    return NULL;
}

void tracked_print_stacks(const struct pool_block *block, char *text, size_t size)
{
    size_t length = (size_t)snprintf(text, size, "allocated by");
    for (unsigned pass = 0; pass < 2; pass++) {
        void *const *stack = pass ? block->freed : block->allocated;
        if (pass && block->state != POOL_FREED)
            break;
        if (pass && length < size)
            length += (size_t)snprintf(text + length, size - length, "\n    freed by");
        for (unsigned i = 0; i < POOL_STACK && stack[i] && length < size; i++) {
            char name[128];
            vf_symbol_of_return(stack[i], name, sizeof name);
            length += (size_t)snprintf(text + length, size - length, "\n        %s", name);
        }
    }
}

static void __attribute__((noreturn)) report(enum vf_rule rule, const struct pool_block *block,
                                             const char *what)
{
    char stacks[4096];
    tracked_print_stacks(block, stacks, sizeof stacks);
    vf_violation(rule, "%s\n    block %p, %zu bytes, tag %.4s, %s pool, of %s\n    %s", what,
                 (void *)block->memory, block->bytes, (const char *)&block->tag,
                 block->paged ? "paged" : "nonpaged",
                 vf_owner(block->owner)[0] ? vf_owner(block->owner) : "the host", stacks);
}

void *tracked_allocate(POOL_FLAGS flags, size_t bytes, ULONG tag, const void *owner, bool underrun)
{
    struct nt_thread *self = nt_self;
    struct pool_block *block = calloc(1, sizeof *block);
    if (!block)
        return NULL;
    block->bytes = bytes;
    block->tag = tag;
    block->owner = owner;
    block->paged = (flags & POOL_FLAG_PAGED) != 0;
    capture(block->allocated);
    size_t alignment = bytes >= PAGE_SIZE ? PAGE_SIZE : flags & POOL_FLAG_CACHE_ALIGNED ? 64 : 16;
    block->special = pool_special || flags & POOL_FLAG_SPECIAL_POOL;
    word_lock(self, &lock);
    if (block->special && !special_allocate(block, alignment, underrun))
        block->special = false;
    if (!block->special && !plain_allocate(block, alignment)) {
        word_unlock(self, &lock);
        free(block);
        return NULL;
    }
    if (block->special) {
        const char *before, *behind;
        size_t before_bytes, behind_bytes;
        surroundings(block, &before, &before_bytes, &behind, &behind_bytes);
        memset((char *)(uintptr_t)before, RED_PATTERN, before_bytes);
        memset((char *)(uintptr_t)behind, RED_PATTERN, behind_bytes);
    }
    block->sequence = ++next_sequence;
    block->hash_next = *bucket_of(block->memory);
    *bucket_of(block->memory) = block;
    InsertTailList(&live, &block->entry);
    enter_pages(block);
    if (block->special)
        special_register(block);
    word_unlock(self, &lock);
    memset(block->memory, flags & POOL_FLAG_UNINITIALIZED ? FRESH_PATTERN : 0, bytes);
    return block->memory;
}

/* The oldest freed block leaves quarantine: nobody may have written to it. Under the lock. */
static void leave_quarantine(void)
{
    struct pool_block *block = quarantine_first;
    quarantine_first = block->next_freed;
    if (!quarantine_first)
        quarantine_end = &quarantine_first;
    quarantine_blocks--;
    quarantine_bytes -= block->bytes;
    unhash(block);
    if (block->special) {
        special_forget(block);
    } else {
        size_t offset;
        unpoison(block);
        if (!all(block->memory, block->bytes, FREED_PATTERN, &offset)) {
            char what[128];
            snprintf(what, sizeof what,
                     "a freed block was written to, %zu byte(s) behind its start", offset);
            report(VfPoolUseAfterFree, block, what);
        }
        free(block->base);
    }
    free(block);
}

void tracked_free(void *memory, ULONG tag, const char *function)
{
    struct nt_thread *self = nt_self;
    char what[160];
    size_t offset;
    word_lock(self, &lock);
    struct pool_block *block = find(memory);
    if (!block)
        vf_violation(VfPoolCorrupt, "%s: %p is no pool block's start", function, memory);
    if (block->state == POOL_FREED) {
        snprintf(what, sizeof what, "%s: a block is freed that was freed already", function);
        report(VfPoolDoubleFree, block, what);
    }
    if (tag && tag != block->tag) {
        snprintf(what, sizeof what, "%s: a block is freed with tag %.4s", function,
                 (const char *)&tag);
        report(VfPoolWrongTag, block, what);
    }
    if (block->paged && self->irql >= DISPATCH) {
        snprintf(what, sizeof what, "%s: paged pool is freed at IRQL %u", function, self->irql);
        report(VfPagedAtDispatch, block, what);
    }
    if (block->hidden)
        special_unhide(block->memory);
    unpoison(block);
    const char *where = tracked_check(block, &offset);
    if (where) {
        snprintf(what, sizeof what, "%s: a block was written to, %zu %s", function, offset, where);
        report(VfPoolCorrupt, block, what);
    }
    word_unlock(self, &lock);

    vf_memory_freed(block->memory, block->bytes);

    word_lock(self, &lock);
    RemoveEntryList(&block->entry);
    leave_pages(block);
    block->state = POOL_FREED;
    capture(block->freed);
    if (block->special) {
        special_free(block);
    } else {
        memset(block->memory, FREED_PATTERN, block->bytes);
        POISON(block->memory, block->bytes);
    }
    block->next_freed = NULL;
    *quarantine_end = block;
    quarantine_end = &block->next_freed;
    quarantine_blocks++;
    quarantine_bytes += block->bytes;
    while (quarantine_blocks > QUARANTINE_BLOCKS || quarantine_bytes > QUARANTINE_BYTES)
        leave_quarantine();
    word_unlock(self, &lock);
}

bool tracked_site(const volatile void *address, const void **start, uint64_t *site)
{
    struct nt_thread *self = nt_self;
    word_lock(self, &lock);
    const struct pool_block *block = find_around(address);
    if (block) {
        *start = block->memory;
        /* What is allocated in one place, with one tag and size, is of one kind. More frames would
         * tell apart what was only reached differently; the first one may be the driver's own
         * wrapper. */
        *site = block->tag * 0x100000001b3ull ^ block->bytes;
        for (unsigned i = 0; i < 3 && block->allocated[i]; i++)
            *site = (*site ^ (uintptr_t)block->allocated[i]) * 0x100000001b3ull;
    }
    word_unlock(self, &lock);
    return block != NULL;
}

/* Leaks. One report names the first block, and how many there are with that tag and stack. */
static void check_unload(const char *driver)
{
    struct pool_block *first = NULL;
    size_t count = 0, same = 0, bytes = 0;
    struct nt_thread *self = nt_self;
    word_lock(self, &lock);
    for (PLIST_ENTRY entry = live.Flink; entry != &live; entry = entry->Flink) {
        struct pool_block *block = CONTAINING_RECORD(entry, struct pool_block, entry);
        if (!vf_is_owner(block->owner, driver))
            continue;
        if (!first)
            first = block;
        count++;
        bytes += block->bytes;
        same += block->tag == first->tag &&
                !memcmp(block->allocated, first->allocated, sizeof block->allocated);
    }
    word_unlock(self, &lock);
    if (first) {
        char what[256];
        snprintf(
            what, sizeof what,
            "driver %s was unloaded with %zu pool block(s), %zu bytes; %zu with this tag and stack",
            driver, count, bytes, same);
        report(VfPoolLeak, first, what);
    }
}

static void start(const struct nt_options *options)
{
    static bool registered;
    if (!registered)
        vf_at_unload(check_unload);
    registered = true;
    pool_special = options->verifier && options->special_pool;
    lock = 0;
}

static void stop(void)
{
    word_lock(nt_self, &lock);
    while (quarantine_blocks)
        leave_quarantine();
    word_unlock(nt_self, &lock);
    pool_special = false;
}

NT_MODULE(pool, NT_ORDER_EXECUTIVE - 5, start, stop);
