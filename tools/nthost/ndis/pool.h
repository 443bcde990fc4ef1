/*
 * NET_BUFFER_LISTs and NET_BUFFERs, and the pools that they come from.
 *
 * A pool's element is one block: header, the list and/or the buffer, and, where the pool has them,
 * an MDL with its data and context space. Freed blocks go to a cache of the virtual processor;
 * caches exchange batches with a depot that all share. At DISPATCH_LEVEL on the processor the cache
 * needs no lock; below, the depot is used directly.
 *
 * With the verifier on, every block is an allocation of its own, remembers who made it, and stays
 * unused for a while after it was freed, filled with a pattern.
 */
#pragma once
#include "../executive/thread.h"
#include <ndis.h>
#include <stdatomic.h>
#include <stdbool.h>

enum pool_kind { PoolNbl = 0x4c424e, PoolNb = 0x424e };
#define BLOCK_LIVE 0x6576694cu /* "Live" */
#define BLOCK_FREE 0x65657246u /* "Free" */

struct ndis_adapter;
struct nbl_track; /* verify.h */

/* Verifier: bytes between an NBL's context space and its data that nobody may write. */
#define CONTEXT_GUARD 64

struct nb_block {
    struct nb_block *next; /* while it is free */
    struct nb_pool *pool;
    ULONG magic;
    ULONG derived; /* a clone, fragment or reassembled list: see derive.c */
    struct nbl_track *track;
    void *caller;                          /* verifier: who allocated it */
    struct nb_block *all_next, **all_link; /* verifier: the pool's live blocks */
    ULONG64 spare;
};
_Static_assert(sizeof(struct nb_block) == 64, "keeps the list behind it aligned to a cache line");

struct nb_cache {
    _Alignas(64) struct nb_block *head;
    unsigned count;
};

struct nb_pool {
    enum pool_kind kind;
    bool with_buffer; /* a NET_BUFFER behind the NET_BUFFER_LIST */
    ULONG data_bytes; /* MDL and data behind that */
    USHORT context_bytes;
    UCHAR protocol_id;
    ULONG tag;
    size_t nb_at, mdl_at, data_at, context_at; /* offsets into a block */
    size_t block_bytes;
    struct nb_cache cache[MAX_PROCESSORS];
    _Alignas(64) volatile uint32_t lock; /* the rest, and the slabs */
    struct nb_block *depot;              /* chains of DEPOT_BATCH, linked by their first's `slab` */
    unsigned depot_count;
    void *slabs;
    struct nb_block *live; /* verifier */
    struct track_entry *track;
    atomic_long out; /* verifier: blocks that are allocated */
};

static inline struct nb_block *block_of(const void *element)
{
    return (struct nb_block *)((char *)(ULONG_PTR)element - sizeof(struct nb_block));
}

/* Not an element of any live pool: a violation with the verifier on. */
struct nb_block *block_check(const void *element, enum pool_kind kind, const char *function);

/* Copies out of the data of a buffer, from `offset` on. Returns the bytes copied. */
ULONG netbuffer_read(PNET_BUFFER nb, ULONG offset, void *to, ULONG bytes);
/* The address of `bytes` contiguous bytes at `offset`, or NULL if they are not contiguous. */
PUCHAR netbuffer_at(PNET_BUFFER nb, ULONG offset, ULONG bytes);
static inline PUCHAR mdl_data(const MDL *mdl)
{
    return mdl->MappedSystemVa;
}

/* Makes an MDL for memory of the nonpaged pool in place. */
static inline void mdl_init(PMDL mdl, void *data, ULONG bytes)
{
    mdl->Next = NULL;
    mdl->Size =
        (CSHORT)(sizeof(MDL) + sizeof(PFN_NUMBER) * ADDRESS_AND_SIZE_TO_SPAN_PAGES(data, bytes));
    mdl->MdlFlags = MDL_SOURCE_IS_NONPAGED_POOL;
    mdl->Process = NULL;
    mdl->MappedSystemVa = data;
    mdl->StartVa = PAGE_ALIGN(data);
    mdl->ByteOffset = BYTE_OFFSET(data);
    mdl->ByteCount = bytes;
}

NDIS_HANDLE pool_create_buffers(ULONG tag);
void loopback_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls);
/* Host code's pools: the same, not tracked as a driver's. */
NDIS_HANDLE pool_create_list(const NET_BUFFER_LIST_POOL_PARAMETERS *parameters);
void pool_destroy(NDIS_HANDLE pool);
