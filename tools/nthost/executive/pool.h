/* Pool; see pool.c, pool_tracked.c, pool_special.c. */
#pragma once
#include "dispatcher.h"

/* ExAllocatePool2 on behalf of `owner`, a return address: no fault injection, no IRQL check. Zeroed
 * unless POOL_FLAG_UNINITIALIZED. NULL: no memory. */
void *pool_allocate_for(POOL_FLAGS flags, size_t bytes, ULONG tag, const void *owner);
POOL_FLAGS pool_flags_of_type(POOL_TYPE type);

/* Tracked blocks: what every allocation is while the verifier is on. */
#define POOL_STACK 12
enum pool_state { POOL_LIVE, POOL_FREED };

struct pool_block {
    struct pool_block *hash_next;
    LIST_ENTRY entry;      /* of all that live */
    LIST_ENTRY in_page[2]; /* of those in one page, to find a block by an address inside it */
    struct pool_block *next_freed; /* in quarantine, oldest first */
    char *memory;                  /* the driver's */
    size_t bytes;
    ULONG tag;
    bool paged;
    bool special;
    bool hidden; /* special, paged: not accessible since someone raised to DISPATCH_LEVEL */
    enum pool_state state;
    const void *owner;
    void *base;                 /* plain: what malloc gave */
    uint32_t first_page, pages; /* special: in its region, the guard page not counted */
    uint64_t sequence;
    void *allocated[POOL_STACK], *freed[POOL_STACK]; /* stacks, ending in NULL */
};

void *tracked_allocate(POOL_FLAGS flags, size_t bytes, ULONG tag, const void *owner, bool underrun);
/* tag 0: any. */
void tracked_free(void *memory, ULONG tag, const char *function);
/* The live block that contains the address: its start, and a hash of what kind of block it is. For
 * lock classes. */
bool tracked_site(const volatile void *address, const void **start, uint64_t *site);
/* Is that an address of special pool that must not be touched? Then its block, for a report. */
const struct pool_block *special_block_of(const void *address);

/* Special pool's part. NULL: no room, use plain. */
bool special_allocate(struct pool_block *block, size_t alignment, bool underrun);
void special_free(struct pool_block *block);   /* inaccessible from now on */
void special_forget(struct pool_block *block); /* its pages may be used again */
void special_register(struct pool_block *block);
/* Fault handler: makes a hidden paged block accessible again. False: it was not hidden. */
bool special_unhide(const void *address);

/* Checks the patterns around a block; names what is wrong, NULL: nothing. */
const char *tracked_check(const struct pool_block *block, size_t *offset);
void tracked_print_stacks(const struct pool_block *block, char *text, size_t size);

extern bool pool_special;
