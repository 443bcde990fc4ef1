/*
 * Special pool: each block ends at an inaccessible page, or begins behind one (underrun mode).
 *
 * Blocks are carved out of two regions of address space, for nonpaged and paged pool, that are
 * inaccessible but for the blocks in use. A freed block becomes inaccessible at once and stays so
 * while it is in quarantine; pages are reused only when a region's end was reached, the longest
 * unused first. A page's number finds its block, so the fault handler can say whose memory it was
 * and who freed it.
 *
 * Paged blocks also show accesses at DISPATCH_LEVEL: when a thread raises, the blocks that are
 * accessible are hidden; the first access below DISPATCH_LEVEL brings a block back in the fault
 * handler, one at DISPATCH_LEVEL is a violation there. System calls do not fault but fail, so the
 * host copies a driver's paged memory before it hands it to Linux.
 *
 * Each live block costs two mappings of the process, of which Linux grants 65,530; at a limit below
 * that special pool is full and blocks become plain ones.
 */
#include "pool.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define REGION_BYTES (16ull << 30)
#define REGION_PAGES (REGION_BYTES / PAGE_SIZE)
#define LIVE_LIMIT   24000
#define FREE_LISTS   8 /* of extents of 2 .. 9 pages, guard included */

struct extent {
    struct extent *next;
    uint32_t first, pages; /* with the guard page */
};

struct region {
    char *memory;
    struct pool_block **owner; /* of each page, guard pages included */
    uint32_t next;             /* never used from here on */
    struct extent *free_head[FREE_LISTS], *free_tail[FREE_LISTS];
};

static struct region regions[2]; /* nonpaged, paged */
static unsigned live_blocks, live_paged;

volatile unsigned pool_paged_exposed;
static struct pool_block **exposed; /* paged, accessible; under exposed_lock */
static unsigned exposed_room;
static volatile uint32_t exposed_lock;

static bool region_open(struct region *region)
{
    if (region->memory)
        return true;
    void *memory =
        mmap(NULL, REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *owner = mmap(NULL, REGION_PAGES * sizeof *region->owner, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED || owner == MAP_FAILED)
        return false;
    region->owner = owner;
    region->next = 1; /* the first page guards the first block in underrun mode */
    region->memory = memory;
    return true;
}

static struct region *region_of(const void *address)
{
    for (unsigned i = 0; i < 2; i++) {
        if (regions[i].memory && (size_t)((const char *)address - regions[i].memory) < REGION_BYTES)
            return &regions[i];
    }
    return NULL;
}

static bool take_pages(struct region *region, uint32_t pages, uint32_t *first)
{
    if (region->next + pages <= REGION_PAGES) {
        *first = region->next;
        region->next += pages;
        return true;
    }
    if (pages - 2 >= FREE_LISTS || !region->free_head[pages - 2])
        return false;
    struct extent *extent = region->free_head[pages - 2];
    region->free_head[pages - 2] = extent->next;
    if (!extent->next)
        region->free_tail[pages - 2] = NULL;
    *first = extent->first;
    free(extent);
    return true;
}

static void give_pages(struct region *region, uint32_t first, uint32_t pages)
{
    struct extent *extent = pages - 2 < FREE_LISTS ? malloc(sizeof *extent) : NULL;
    if (!extent)
        return; /* that address space stays unused */
    *extent = (struct extent){NULL, first, pages};
    if (region->free_tail[pages - 2])
        region->free_tail[pages - 2]->next = extent;
    else
        region->free_head[pages - 2] = extent;
    region->free_tail[pages - 2] = extent;
}

bool special_allocate(struct pool_block *block, size_t alignment, bool underrun)
{
    struct region *region = &regions[block->paged];
    uint32_t pages = (uint32_t)((block->bytes + PAGE_SIZE - 1) / PAGE_SIZE), first;
    if (!pages)
        pages = 1;
    if (!region_open(region) || live_blocks >= LIVE_LIMIT || !take_pages(region, pages + 1, &first))
        return false;
    char *memory = region->memory + (size_t)first * PAGE_SIZE;
    if (mprotect(memory, (size_t)pages * PAGE_SIZE, PROT_READ | PROT_WRITE)) {
        give_pages(region, first, pages + 1);
        return false;
    }
    block->first_page = first;
    block->pages = pages;
    size_t room = (size_t)pages * PAGE_SIZE - block->bytes;
    block->memory = memory + (underrun ? 0 : room & ~(alignment - 1));
    live_blocks++;
    return true;
}

void special_register(struct pool_block *block)
{
    struct region *region = &regions[block->paged];
    for (uint32_t i = 0; i <= block->pages; i++)
        region->owner[block->first_page + i] = block;
    if (block->paged) {
        word_lock(nt_self, &exposed_lock);
        /* Room for all that live, hidden ones too: the fault handler allocates nothing. */
        if (++live_paged > exposed_room) {
            exposed_room = exposed_room ? 2 * exposed_room : 64;
            exposed = realloc(exposed, exposed_room * sizeof *exposed);
            if (!exposed)
                nt_fatal("no memory for paged pool");
        }
        exposed[pool_paged_exposed++] = block;
        word_unlock(nt_self, &exposed_lock);
    }
}

static char *pages_of(const struct pool_block *block)
{
    return regions[block->paged].memory + (size_t)block->first_page * PAGE_SIZE;
}

void special_free(struct pool_block *block)
{
    char *memory = pages_of(block);
    size_t bytes = (size_t)block->pages * PAGE_SIZE;
    if (block->paged) {
        word_lock(nt_self, &exposed_lock);
        live_paged--;
        for (unsigned i = 0; i < pool_paged_exposed; i++) {
            if (exposed[i] == block) {
                exposed[i] = exposed[--pool_paged_exposed];
                break;
            }
        }
        word_unlock(nt_self, &exposed_lock);
    }
    mprotect(memory, bytes, PROT_NONE);
    madvise(memory, bytes, MADV_DONTNEED);
    live_blocks--;
}

void special_forget(struct pool_block *block)
{
    struct region *region = &regions[block->paged];
    for (uint32_t i = 0; i <= block->pages; i++)
        region->owner[block->first_page + i] = NULL;
    give_pages(region, block->first_page, block->pages + 1);
}

const struct pool_block *special_block_of(const void *address)
{
    struct region *region = region_of(address);
    if (!region)
        return NULL;
    size_t page = (size_t)((const char *)address - region->memory) / PAGE_SIZE;
    const struct pool_block *block = region->owner[page];
    /* In front of a block in underrun mode lies the guard page of its neighbour, which does not
     * exist where the neighbour is gone. */
    if (!block && page + 1 < REGION_PAGES)
        block = region->owner[page + 1];
    return block;
}

void SLOW pool_hide_paged(void)
{
    struct nt_thread *self = nt_self;
    word_lock(self, &exposed_lock);
    while (pool_paged_exposed) {
        struct pool_block *block = exposed[--pool_paged_exposed];
        block->hidden = true;
        mprotect(pages_of(block), (size_t)block->pages * PAGE_SIZE, PROT_NONE);
    }
    word_unlock(self, &exposed_lock);
}

bool special_unhide(const void *address)
{
    struct region *region = region_of(address);
    if (!region)
        return false;
    size_t page = (size_t)((const char *)address - region->memory) / PAGE_SIZE;
    struct pool_block *block = region->owner[page];
    if (!block || page - block->first_page >= block->pages || block->state != POOL_LIVE)
        return false;
    struct nt_thread *self = nt_self;
    word_lock(self, &exposed_lock);
    bool was_hidden = block->hidden;
    if (was_hidden) {
        block->hidden = false;
        mprotect(pages_of(block), (size_t)block->pages * PAGE_SIZE, PROT_READ | PROT_WRITE);
        exposed[pool_paged_exposed++] = block;
    }
    word_unlock(self, &exposed_lock);
    return was_hidden;
}
