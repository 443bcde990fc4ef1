/*
 * Pool.
 *
 * WDK: ExAllocatePool2, ExAllocatePool3, ExAllocatePoolWithTag, ExFreePoolWithTag, ExFreePool2,
 * "POOL_FLAGS". Blocks are aligned to 16, to a cache line with POOL_FLAG_CACHE_ALIGNED, and to a
 * page from PAGE_SIZE on. Without the verifier a block is malloc's, whose caches are per thread,
 * with a header of 16 bytes in front. With it, pool_tracked.c keeps every block, and special pool
 * puts each at a guard page (pool_special.c).
 */
#include "pool.h"
#include <stdlib.h>
#include <string.h>

struct header { /* right in front of the block */
    ULONG tag;
    ULONG magic;
    void *base; /* what malloc gave */
};
#define MAGIC_LIVE  0x6c6f6f50 /* "Pool" */
#define MAGIC_FREED 0x65657246 /* "Free" */

_Static_assert(sizeof(struct header) == 16, "keeps malloc's alignment");

static size_t alignment_of(POOL_FLAGS flags, size_t bytes)
{
    return bytes >= PAGE_SIZE ? PAGE_SIZE : flags & POOL_FLAG_CACHE_ALIGNED ? 64 : 16;
}

static void *plain_allocate(POOL_FLAGS flags, size_t bytes, ULONG tag)
{
    size_t alignment = alignment_of(flags, bytes);
    char *base, *memory;
    if (alignment == 16) {
        base = malloc(bytes + sizeof(struct header));
        if (!base)
            return NULL;
        memory = base + sizeof(struct header);
    } else {
        void *aligned;
        if (posix_memalign(&aligned, alignment, bytes + alignment))
            return NULL;
        base = aligned;
        memory = base + alignment;
    }
    *((struct header *)memory - 1) = (struct header){tag, MAGIC_LIVE, base};
    if (!(flags & POOL_FLAG_UNINITIALIZED))
        memset(memory, 0, bytes);
    return memory;
}

static void plain_free(void *memory, ULONG tag, const char *function)
{
    struct header *header = (struct header *)memory - 1;
    if (header->magic != MAGIC_LIVE)
        vf_violation(header->magic == MAGIC_FREED ? VfPoolDoubleFree : VfPoolCorrupt,
                     "%s: %p is %s", function, memory,
                     header->magic == MAGIC_FREED
                         ? "freed already"
                         : "no pool block, or what is in front of it was overwritten");
    if (tag && tag != header->tag)
        vf_violation(VfPoolWrongTag, "%s: %p was allocated with tag %.4s and is freed with %.4s",
                     function, memory, (const char *)&header->tag, (const char *)&tag);
    header->magic = MAGIC_FREED;
    free(header->base);
}

void *pool_allocate_for(POOL_FLAGS flags, size_t bytes, ULONG tag, const void *owner)
{
    if (bytes > (size_t)1 << 40)
        return NULL;
    if (vf_enabled)
        return tracked_allocate(flags, bytes, tag, owner, false);
    return plain_allocate(flags, bytes, tag);
}

POOL_FLAGS pool_flags_of_type(POOL_TYPE type)
{
    POOL_FLAGS flags = type & 1 ? POOL_FLAG_PAGED : POOL_FLAG_NON_PAGED;
    if (type & 4)
        flags |= POOL_FLAG_CACHE_ALIGNED;
    if (!(type & POOL_ZERO_ALLOCATION))
        flags |= POOL_FLAG_UNINITIALIZED;
    return flags;
}

static void check_allocate(POOL_FLAGS flags, size_t bytes, ULONG tag, const char *function)
{
    unsigned kinds = !!(flags & POOL_FLAG_NON_PAGED) + !!(flags & POOL_FLAG_NON_PAGED_EXECUTE) +
                     !!(flags & POOL_FLAG_PAGED);
    if (kinds != 1)
        vf_violation(VfBadParameter,
                     "%s: flags 0x%llx must have one of NON_PAGED, NON_PAGED_EXECUTE and PAGED",
                     function, (unsigned long long)flags);
    if (!bytes || !tag)
        vf_violation(VfBadParameter, "%s: %zu bytes with tag 0x%x; neither may be 0", function,
                     bytes, tag);
    if (flags & POOL_FLAG_RAISE_ON_FAILURE)
        vf_violation(VfBadParameter, "%s: POOL_FLAG_RAISE_ON_FAILURE: drivers here check for NULL",
                     function);
    if (flags & POOL_FLAG_PAGED && nt_self->irql >= DISPATCH)
        vf_violation(VfPagedAtDispatch, "%s: paged pool at IRQL %u", function, nt_self->irql);
}

PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled)
        check_allocate(Flags, NumberOfBytes, Tag, __func__);
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(Flags, NumberOfBytes, Tag, __builtin_return_address(0));
}

PVOID NTAPI ExAllocatePool3(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag,
                            PCPOOL_EXTENDED_PARAMETER ExtendedParameters,
                            ULONG ExtendedParametersCount)
{
    VF_ENTRY(DISPATCH_LEVEL);
    bool underrun = false;
    for (ULONG i = 0; i < ExtendedParametersCount; i++) {
        const POOL_EXTENDED_PARAMETER *parameter = &ExtendedParameters[i];
        if (parameter->Type == PoolExtendedParameterPriority)
            underrun = parameter->Priority & 1;
        else if (parameter->Type != PoolExtendedParameterNumaNode && !parameter->Optional)
            return NULL;
    }
    if (vf_enabled)
        check_allocate(Flags, NumberOfBytes, Tag, __func__);
    if (vf_fault(VfFaultPool))
        return NULL;
    if (vf_enabled)
        return tracked_allocate(Flags, NumberOfBytes, Tag, __builtin_return_address(0), underrun);
    return pool_allocate_for(Flags, NumberOfBytes, Tag, NULL);
}

PVOID NTAPI ExAllocatePoolWithTag(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    POOL_FLAGS flags = pool_flags_of_type(PoolType);
    if (vf_enabled)
        check_allocate(flags, NumberOfBytes, Tag, __func__);
    if (vf_fault(VfFaultPool))
        return NULL;
    return pool_allocate_for(flags, NumberOfBytes, Tag, __builtin_return_address(0));
}

PVOID NTAPI ExAllocatePoolWithTagPriority(POOL_TYPE PoolType, SIZE_T NumberOfBytes, ULONG Tag,
                                          EX_POOL_PRIORITY Priority)
{
    VF_ENTRY(DISPATCH_LEVEL);
    POOL_FLAGS flags = pool_flags_of_type(PoolType);
    if (vf_enabled)
        check_allocate(flags, NumberOfBytes, Tag, __func__);
    if (vf_fault(VfFaultPool))
        return NULL;
    if (vf_enabled)
        return tracked_allocate(flags, NumberOfBytes, Tag, __builtin_return_address(0),
                                Priority & 1);
    return pool_allocate_for(flags, NumberOfBytes, Tag, NULL);
}

static void pool_free(void *memory, ULONG tag, const char *function)
{
    if (vf_enabled)
        tracked_free(memory, tag, function);
    else
        plain_free(memory, tag, function);
}

VOID NTAPI ExFreePoolWithTag(PVOID P, ULONG Tag)
{
    VF_ENTRY(DISPATCH_LEVEL);
    pool_free(P, Tag, __func__);
}

VOID NTAPI ExFreePool(PVOID P)
{
    VF_ENTRY(DISPATCH_LEVEL);
    pool_free(P, 0, __func__);
}

VOID NTAPI ExFreePool2(PVOID P, ULONG Tag, PCPOOL_EXTENDED_PARAMETER ExtendedParameters,
                       ULONG ExtendedParametersCount)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)ExtendedParameters;
    (void)ExtendedParametersCount;
    pool_free(P, Tag, __func__);
}

NT_EXPORT(NTOSKRNL, ExAllocatePool2);
NT_EXPORT(NTOSKRNL, ExAllocatePool3);
NT_EXPORT(NTOSKRNL, ExAllocatePoolWithTag);
NT_EXPORT(NTOSKRNL, ExAllocatePoolWithTagPriority);
NT_EXPORT(NTOSKRNL, ExFreePoolWithTag);
NT_EXPORT(NTOSKRNL, ExFreePool);
NT_EXPORT(NTOSKRNL, ExFreePool2);
