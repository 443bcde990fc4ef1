/*
 * Pools of NET_BUFFER_LISTs and NET_BUFFERs. See pool.h.
 *
 * WDK: NdisAllocateNetBufferListPool, NdisAllocateNetBufferList,
 * NdisAllocateNetBufferAndNetBufferList, NdisAllocateNetBufferPool, NdisAllocateNetBuffer,
 * NdisAllocateNetBufferMdlAndData.
 *
 * The exports must not save what only their slow paths use: these are functions of the same calling
 * convention, kept out of line.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <emmintrin.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_MAX   256
#define DEPOT_BATCH 128
#define SLAB_BLOCKS 64
#define MDL_ROOM    (sizeof(MDL) + 2 * sizeof(PFN_NUMBER))

struct slab {
    struct slab *next;
};

static size_t round16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

/* Pools */

static void pool_layout(struct nb_pool *pool)
{
    size_t at = sizeof(struct nb_block);
    if (pool->kind == PoolNbl)
        at += round16(sizeof(NET_BUFFER_LIST));
    pool->nb_at = at;
    if (pool->kind == PoolNb || pool->with_buffer)
        at += round16(sizeof(NET_BUFFER));
    pool->mdl_at = at;
    if (pool->data_bytes)
        at += round16(MDL_ROOM + sizeof(PFN_NUMBER) * (pool->data_bytes >> PAGE_SHIFT));
    pool->context_at = at;
    if (pool->context_bytes)
        at += sizeof(NET_BUFFER_LIST_CONTEXT) + round16(pool->context_bytes) +
              (vf_enabled ? CONTEXT_GUARD : 0);
    pool->data_at = at;
    at += round16(pool->data_bytes);
    pool->block_bytes = (at + 63) & ~(size_t)63;
}

static struct nb_pool *pool_new(enum pool_kind kind)
{
    struct nb_pool *pool = aligned_alloc(64, (sizeof(*pool) + 63) & ~63ul);
    if (pool) {
        memset(pool, 0, sizeof(*pool));
        pool->kind = kind;
    }
    return pool;
}

NDIS_HANDLE pool_create_list(const NET_BUFFER_LIST_POOL_PARAMETERS *parameters)
{
    struct nb_pool *pool = pool_new(PoolNbl);
    if (!pool)
        return NULL;
    pool->with_buffer = parameters->fAllocateNetBuffer;
    pool->data_bytes = parameters->fAllocateNetBuffer ? parameters->DataSize : 0;
    pool->context_bytes = parameters->ContextSize;
    pool->protocol_id = parameters->ProtocolId;
    pool->tag = parameters->PoolTag;
    pool_layout(pool);
    return pool;
}

void pool_destroy(NDIS_HANDLE handle)
{
    struct nb_pool *pool = handle;
    verify_pool_free(pool);
    for (struct slab *slab = pool->slabs; slab;) {
        struct slab *next = slab->next;
        free(slab);
        slab = next;
    }
    free(pool);
}

NDIS_HANDLE NTAPI NdisAllocateNetBufferListPool(NDIS_HANDLE NdisHandle,
                                                PNET_BUFFER_LIST_POOL_PARAMETERS Parameters)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    if (Parameters->Header.Type != NDIS_OBJECT_TYPE_DEFAULT ||
        Parameters->Header.Revision < NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 ||
        Parameters->Header.Size < NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1 ||
        Parameters->ContextSize % MEMORY_ALLOCATION_ALIGNMENT ||
        (Parameters->DataSize && !Parameters->fAllocateNetBuffer)) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "NdisAllocateNetBufferListPool: header type 0x%x revision "
                         "%u size %u, ContextSize %u, DataSize %u",
                         Parameters->Header.Type, Parameters->Header.Revision,
                         Parameters->Header.Size, Parameters->ContextSize, Parameters->DataSize);
        return NULL;
    }
    if (vf_fault(VfFaultNdis))
        return NULL;
    struct nb_pool *pool = pool_create_list(Parameters);
    if (pool)
        pool->track = track_add(TrackPool, pool, __builtin_return_address(0));
    return pool;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferListPool);

static void free_tracked_pool(NDIS_HANDLE handle, enum pool_kind kind, const char *function)
{
    struct nb_pool *pool = handle;
    if (!pool || pool->kind != kind)
        vf_violation(VfBadParameter, "%s: %p is no pool of that kind", function, handle);
    track_remove(pool->track);
    pool_destroy(pool);
}

VOID NTAPI NdisFreeNetBufferListPool(NDIS_HANDLE PoolHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    free_tracked_pool(PoolHandle, PoolNbl, __func__);
}
NT_EXPORT(NDIS, NdisFreeNetBufferListPool);

static struct nb_pool *buffer_pool(ULONG data_bytes, ULONG tag)
{
    struct nb_pool *pool = pool_new(PoolNb);
    if (!pool)
        return NULL;
    pool->data_bytes = data_bytes;
    pool->tag = tag;
    pool_layout(pool);
    return pool;
}

NDIS_HANDLE pool_create_buffers(ULONG tag)
{
    return buffer_pool(0, tag);
}

NDIS_HANDLE NTAPI NdisAllocateNetBufferPool(NDIS_HANDLE NdisHandle,
                                            PNET_BUFFER_POOL_PARAMETERS Parameters)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    if (Parameters->Header.Type != NDIS_OBJECT_TYPE_DEFAULT ||
        Parameters->Header.Revision < NET_BUFFER_POOL_PARAMETERS_REVISION_1 ||
        Parameters->Header.Size < NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1)
        return NULL;
    struct nb_pool *pool =
        vf_fault(VfFaultNdis) ? NULL : buffer_pool(Parameters->DataSize, Parameters->PoolTag);
    if (!pool)
        return NULL;
    pool->track = track_add(TrackPool, pool, __builtin_return_address(0));
    return pool;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferPool);

VOID NTAPI NdisFreeNetBufferPool(NDIS_HANDLE PoolHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    free_tracked_pool(PoolHandle, PoolNb, __func__);
}
NT_EXPORT(NDIS, NdisFreeNetBufferPool);

/* Blocks */

static struct nb_block *slab_carve(struct nb_pool *pool)
{
    char *memory = aligned_alloc(64, 64 + SLAB_BLOCKS * pool->block_bytes);
    if (!memory)
        return NULL;
    struct slab *slab = (struct slab *)memory;
    slab->next = pool->slabs;
    pool->slabs = slab;
    struct nb_block *chain = NULL;
    for (unsigned i = SLAB_BLOCKS; i-- > 0;) {
        struct nb_block *block = (struct nb_block *)(memory + 64 + i * pool->block_bytes);
        memset(block, 0, sizeof(*block));
        block->pool = pool;
        block->magic = BLOCK_FREE;
        block->next = chain;
        chain = block;
    }
    return chain;
}

/* Refills the cache where the caller owns one, and returns a block; NULL without memory. */
static struct nb_block *block_get_slow(struct nb_pool *pool, struct nb_cache *cache)
{
    struct nt_thread *self = nt_self;
    word_lock(self, &pool->lock);
    if (!pool->depot)
        pool->depot = slab_carve(pool), pool->depot_count = pool->depot ? SLAB_BLOCKS : 0;
    struct nb_block *block = pool->depot;
    if (block) {
        pool->depot = block->next;
        pool->depot_count--;
    }
    for (unsigned i = 1; cache && i < DEPOT_BATCH && pool->depot; i++) {
        struct nb_block *more = pool->depot;
        pool->depot = more->next;
        pool->depot_count--;
        more->next = cache->head;
        cache->head = more;
        cache->count++;
    }
    word_unlock(self, &pool->lock);
    return block;
}

static void block_put_slow(struct nb_pool *pool, struct nb_cache *cache, struct nb_block *block)
{
    struct nt_thread *self = nt_self;
    word_lock(self, &pool->lock);
    block->next = pool->depot;
    pool->depot = block;
    pool->depot_count++;
    for (unsigned i = 1; cache && i < DEPOT_BATCH && cache->head; i++) {
        struct nb_block *more = cache->head;
        cache->head = more->next;
        cache->count--;
        more->next = pool->depot;
        pool->depot = more;
        pool->depot_count++;
    }
    word_unlock(self, &pool->lock);
}

__attribute__((ms_abi, noinline, cold)) static struct nb_block *block_get_cold(struct nb_pool *pool,
                                                                               void *caller)
{
    if (vf_enabled)
        return verify_block_get(pool, caller);
    bool owner = nt_self->irql >= DISPATCH;
    return block_get_slow(pool, owner ? &pool->cache[ndis_processor()] : NULL);
}

__attribute__((ms_abi, noinline, cold)) static void block_put_cold(struct nb_block *block)
{
    struct nb_pool *pool = block->pool;
    if (vf_enabled) {
        verify_block_put(block);
        return;
    }
    bool owner = nt_self->irql >= DISPATCH;
    block_put_slow(pool, owner ? &pool->cache[ndis_processor()] : NULL, block);
}

static inline struct nb_block *block_get(struct nb_pool *pool, void *caller)
{
    struct nt_thread *self = nt_self;
    struct nb_cache *cache = &pool->cache[self->vp->number];
    struct nb_block *block;
    if (__builtin_expect(self->irql >= DISPATCH && !vf_enabled && (block = cache->head) != NULL,
                         1)) {
        cache->head = block->next;
        cache->count--;
    } else {
        block = block_get_cold(pool, caller);
        if (!block)
            return NULL;
    }
    block->magic = BLOCK_LIVE;
    block->derived = 0;
    return block;
}

static inline void block_put(struct nb_block *block)
{
    struct nt_thread *self = nt_self;
    struct nb_cache *cache = &block->pool->cache[self->vp->number];
    block->magic = BLOCK_FREE;
    if (__builtin_expect(self->irql >= DISPATCH && !vf_enabled && cache->count < CACHE_MAX, 1)) {
        block->next = cache->head;
        cache->head = block;
        cache->count++;
    } else {
        block_put_cold(block);
    }
}

struct nb_block *block_check(const void *element, enum pool_kind kind, const char *function)
{
    struct nb_block *block = block_of(element);
    if (vf_enabled && (!element || block->magic != BLOCK_LIVE || block->pool->kind != kind))
        vf_violation(element && block->magic == BLOCK_FREE ? VfNblDoubleCompletion : VfNblNotOurs,
                     "%s: %p is %s", function, element,
                     element && block->magic == BLOCK_FREE ? "free already"
                                                           : "not an element of a pool");
    return block;
}

/* Elements */

#define ZERO(pointer, bytes)                                                                       \
    do {                                                                                           \
        __m128i *zero_ = (__m128i *)(pointer);                                                     \
        for (unsigned i_ = 0; i_ < (bytes) / 16; i_++)                                             \
            _mm_store_si128(zero_ + i_, _mm_setzero_si128());                                      \
    } while (0)

static inline PNET_BUFFER init_nb(struct nb_pool *pool, struct nb_block *block, PMDL mdl,
                                  ULONG offset, SIZE_T length)
{
    PNET_BUFFER nb = (PNET_BUFFER)((char *)block + pool->nb_at);
    ZERO(nb, sizeof(*nb));
    nb->NdisPoolHandle = pool;
    nb->MdlChain = mdl;
    nb->DataOffset = offset;
    nb->DataLength = (ULONG)length;
    while (mdl && mdl->Next && offset >= mdl->ByteCount) {
        offset -= mdl->ByteCount;
        mdl = mdl->Next;
    }
    nb->CurrentMdl = mdl;
    nb->CurrentMdlOffset = offset;
    return nb;
}

static inline PMDL init_mdl(struct nb_pool *pool, struct nb_block *block)
{
    PMDL mdl = (PMDL)((char *)block + pool->mdl_at);
    mdl_init(mdl, (char *)block + pool->data_at, pool->data_bytes);
    return mdl;
}

static inline PNET_BUFFER_LIST init_nbl(struct nb_pool *pool, struct nb_block *block)
{
    PNET_BUFFER_LIST nbl = (PNET_BUFFER_LIST)(block + 1);
    ZERO(nbl, sizeof(*nbl));
    nbl->NdisPoolHandle = pool;
    if (pool->protocol_id)
        NET_BUFFER_LIST_INFO(nbl, NetBufferListProtocolId) = (PVOID)(ULONG_PTR)pool->protocol_id;
    if (pool->context_bytes) {
        nbl->Context = (PNET_BUFFER_LIST_CONTEXT)((char *)block + pool->context_at);
        nbl->Context->Next = NULL;
        nbl->Context->Size = pool->context_bytes;
        nbl->Context->Offset = pool->context_bytes;
    }
    return nbl;
}

/* The context that the caller of an allocation asks for, of the pool's in the common case. */
static __attribute__((ms_abi, noinline, cold)) bool more_context(PNET_BUFFER_LIST nbl, USHORT size,
                                                                 USHORT back_fill)
{
    struct nb_pool *pool = nbl->NdisPoolHandle;
    return NdisAllocateNetBufferListContext(nbl, size, back_fill, pool->tag) == NDIS_STATUS_SUCCESS;
}

static inline bool take_context(PNET_BUFFER_LIST nbl, USHORT size, USHORT back_fill)
{
    PNET_BUFFER_LIST_CONTEXT context = nbl->Context;
    if (!(size | back_fill))
        return true;
    if (__builtin_expect(context != NULL && !vf_enabled && context->Offset >= size &&
                             (size | back_fill) % sizeof(PVOID) == 0,
                         1)) {
        context->Offset = (USHORT)(context->Offset - size);
        return true;
    }
    return more_context(nbl, size, back_fill);
}

PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferList(NDIS_HANDLE PoolHandle, USHORT ContextSize,
                                                 USHORT ContextBackFill)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NULL;
    struct nb_pool *pool = PoolHandle;
    struct nb_block *block = block_get(pool, __builtin_return_address(0));
    if (!block)
        return NULL;
    PNET_BUFFER_LIST nbl = init_nbl(pool, block);
    if (pool->data_bytes)
        nbl->FirstNetBuffer = init_nb(pool, block, init_mdl(pool, block), pool->data_bytes, 0);
    else if (pool->with_buffer)
        nbl->FirstNetBuffer = init_nb(pool, block, NULL, 0, 0);
    if (!take_context(nbl, ContextSize, ContextBackFill)) {
        block_put(block);
        return NULL;
    }
    return nbl;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferList);

PNET_BUFFER_LIST NTAPI NdisAllocateNetBufferAndNetBufferList(NDIS_HANDLE PoolHandle,
                                                             USHORT ContextSize,
                                                             USHORT ContextBackFill, PMDL MdlChain,
                                                             ULONG DataOffset, SIZE_T DataLength)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NULL;
    struct nb_pool *pool = PoolHandle;
    if (!pool->with_buffer || pool->data_bytes) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "NdisAllocateNetBufferAndNetBufferList: the pool has fAllocateNetBuffer "
                         "%u and DataSize %u; it wants TRUE and 0",
                         pool->with_buffer, pool->data_bytes);
        return NULL;
    }
    struct nb_block *block = block_get(pool, __builtin_return_address(0));
    if (!block)
        return NULL;
    PNET_BUFFER_LIST nbl = init_nbl(pool, block);
    nbl->FirstNetBuffer = init_nb(pool, block, MdlChain, DataOffset, DataLength);
    if (!take_context(nbl, ContextSize, ContextBackFill)) {
        block_put(block);
        return NULL;
    }
    return nbl;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferAndNetBufferList);

static __attribute__((ms_abi, noinline, cold)) void free_contexts(PNET_BUFFER_LIST nbl)
{
    while (nbl->Context && nbl->Context->Next) {
        PNET_BUFFER_LIST_CONTEXT context = nbl->Context;
        nbl->Context = context->Next;
        free(context);
    }
}

VOID NTAPI NdisFreeNetBufferList(PNET_BUFFER_LIST NetBufferList)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nb_block *block = block_of(NetBufferList);
    if (__builtin_expect(vf_enabled, 0))
        verify_nbl_free(NetBufferList, __func__);
    if (__builtin_expect(NetBufferList->Context != NULL && NetBufferList->Context->Next != NULL, 0))
        free_contexts(NetBufferList);
    else if (NetBufferList->Context && !block->pool->context_bytes)
        free(NetBufferList->Context);
    block_put(block);
}
NT_EXPORT(NDIS, NdisFreeNetBufferList);

PNET_BUFFER NTAPI NdisAllocateNetBuffer(NDIS_HANDLE PoolHandle, PMDL MdlChain, ULONG DataOffset,
                                        SIZE_T DataLength)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NULL;
    struct nb_pool *pool = PoolHandle;
    if (pool->data_bytes) {
        if (vf_enabled)
            vf_violation(VfBadParameter, "NdisAllocateNetBuffer: the pool has DataSize %u",
                         pool->data_bytes);
        return NULL;
    }
    struct nb_block *block = block_get(pool, __builtin_return_address(0));
    return block ? init_nb(pool, block, MdlChain, DataOffset, DataLength) : NULL;
}
NT_EXPORT(NDIS, NdisAllocateNetBuffer);

PNET_BUFFER NTAPI NdisAllocateNetBufferMdlAndData(NDIS_HANDLE PoolHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NULL;
    struct nb_pool *pool = PoolHandle;
    if (!pool->data_bytes) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "NdisAllocateNetBufferMdlAndData: the pool has no DataSize");
        return NULL;
    }
    struct nb_block *block = block_get(pool, __builtin_return_address(0));
    /* All of the data space is unused at first: NdisRetreatNetBufferDataStart makes it used. */
    return block ? init_nb(pool, block, init_mdl(pool, block), pool->data_bytes, 0) : NULL;
}
NT_EXPORT(NDIS, NdisAllocateNetBufferMdlAndData);

VOID NTAPI NdisFreeNetBuffer(PNET_BUFFER NetBuffer)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (__builtin_expect(vf_enabled, 0))
        block_check(NetBuffer, PoolNb, __func__);
    block_put(block_of(NetBuffer));
}
NT_EXPORT(NDIS, NdisFreeNetBuffer);

NDIS_HANDLE NTAPI NdisGetPoolFromNetBufferList(PNET_BUFFER_LIST NetBufferList)
{
    return NetBufferList->NdisPoolHandle;
}
NT_EXPORT(NDIS, NdisGetPoolFromNetBufferList);

NDIS_HANDLE NTAPI NdisGetPoolFromNetBuffer(PNET_BUFFER NetBuffer)
{
    return NetBuffer->NdisPoolHandle;
}
NT_EXPORT(NDIS, NdisGetPoolFromNetBuffer);
