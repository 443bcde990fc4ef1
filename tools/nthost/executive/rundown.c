/*
 * Rundown protection.
 *
 * WDK: ExAcquireRundownProtection, ExWaitForRundownProtectionRelease,
 * ExReInitializeRundownProtection, "Run-Down Protection", and the cache-aware variants. Count is
 * twice the number of holders. Bit 0 says that the object is running down: then the rest is the
 * address of the waiter's block, which counts the holders that are left, and acquiring fails. A
 * completed rundown is bit 0 alone.
 *
 * The cache-aware kind has such a count per processor, each on its own cache line. A holder may
 * release on another processor than it acquired on, so a single count may wrap below 0; only the
 * sum has meaning, and the waiter collects it while it closes one count after the other.
 */
#include "dispatcher.h"
#include "pool.h"

#define ACTIVE ((ULONG_PTR)1)

struct rundown_wait {
    volatile LONG64 left; /* holders; while counts are still being closed, plus 2^40 */
    KEVENT done;
};

static void misuse(const void *reference, const char *what)
{
    vf_violation(VfRundownMisuse, "rundown protection %p: %s", reference, what);
}

static BOOLEAN acquire(PEX_RUNDOWN_REF reference, ULONG count)
{
    ULONG_PTR value = __atomic_load_n(&reference->Count, __ATOMIC_RELAXED);
    do {
        if (value & ACTIVE)
            return FALSE;
    } while (!__atomic_compare_exchange_n(&reference->Count, &value, value + 2 * (ULONG_PTR)count,
                                          false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return TRUE;
}

static void release(PEX_RUNDOWN_REF reference, ULONG count, const void *whole, bool may_wrap)
{
    ULONG_PTR value = __atomic_load_n(&reference->Count, __ATOMIC_RELAXED);
    for (;;) {
        if (value & ACTIVE) {
            struct rundown_wait *wait = (struct rundown_wait *)(value & ~ACTIVE);
            if (!wait)
                misuse(whole, "released after its rundown was complete");
            LONG64 left = __atomic_sub_fetch(&wait->left, count, __ATOMIC_ACQ_REL);
            if (!left)
                KeSetEvent(&wait->done, 0, FALSE);
            else if (left < 0)
                misuse(whole, "released more often than acquired");
            return;
        }
        if (!may_wrap && value < 2 * (ULONG_PTR)count)
            misuse(whole, "released more often than acquired");
        if (__atomic_compare_exchange_n(&reference->Count, &value, value - 2 * (ULONG_PTR)count,
                                        false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            return;
    }
}

/* Closes a count towards `wait`; false: it was running down already. */
static bool close_count(PEX_RUNDOWN_REF reference, struct rundown_wait *wait)
{
    ULONG_PTR value = __atomic_load_n(&reference->Count, __ATOMIC_RELAXED);
    do {
        if (value & ACTIVE)
            return false;
    } while (!__atomic_compare_exchange_n(&reference->Count, &value, (ULONG_PTR)wait | ACTIVE,
                                          false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    __atomic_add_fetch(&wait->left, (LONG64)value >> 1, __ATOMIC_ACQ_REL);
    return true;
}

#define CLOSING (1ll << 40)

static void run_down(PEX_RUNDOWN_REF references, unsigned count, size_t stride)
{
    struct rundown_wait wait = {.left = CLOSING};
    KeInitializeEvent(&wait.done, NotificationEvent, FALSE);
    bool any = false;
    for (unsigned i = 0; i < count; i++)
        any |= close_count((PEX_RUNDOWN_REF)((char *)references + i * stride), &wait);
    if (!any)
        return; /* complete already */
    if (__atomic_sub_fetch(&wait.left, CLOSING, __ATOMIC_ACQ_REL))
        dispatcher_wait(&wait.done, "rundown");
    for (unsigned i = 0; i < count; i++)
        __atomic_store_n(&((PEX_RUNDOWN_REF)((char *)references + i * stride))->Count, ACTIVE,
                         __ATOMIC_RELEASE);
}

VOID NTAPI ExInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    RunRef->Count = 0;
}

VOID NTAPI ExReInitializeRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    VF_ENTRY(APC_LEVEL);
    if (vf_enabled && RunRef->Count != ACTIVE)
        misuse(RunRef, "reinitialized before its rundown was complete");
    __atomic_store_n(&RunRef->Count, 0, __ATOMIC_SEQ_CST);
}

BOOLEAN NTAPI ExAcquireRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return acquire(RunRef, 1);
}

BOOLEAN NTAPI ExAcquireRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return acquire(RunRef, Count);
}

VOID NTAPI ExReleaseRundownProtection(PEX_RUNDOWN_REF RunRef)
{
    VF_ENTRY(DISPATCH_LEVEL);
    release(RunRef, 1, RunRef, false);
}

VOID NTAPI ExReleaseRundownProtectionEx(PEX_RUNDOWN_REF RunRef, ULONG Count)
{
    VF_ENTRY(DISPATCH_LEVEL);
    release(RunRef, Count, RunRef, false);
}

VOID NTAPI ExRundownCompleted(PEX_RUNDOWN_REF RunRef)
{
    VF_ENTRY(APC_LEVEL);
    __atomic_store_n(&RunRef->Count, ACTIVE, __ATOMIC_SEQ_CST);
}

VOID NTAPI ExWaitForRundownProtectionRelease(PEX_RUNDOWN_REF RunRef)
{
    VF_ENTRY(APC_LEVEL);
    run_down(RunRef, 1, sizeof *RunRef);
}

/* Cache-aware */

struct _EX_RUNDOWN_REF_CACHE_AWARE {
    unsigned count;
    struct {
        _Alignas(64) EX_RUNDOWN_REF reference;
    } processors[];
};

static PEX_RUNDOWN_REF here(PEX_RUNDOWN_REF_CACHE_AWARE all)
{
    return &all->processors[nt_self->vp->number % all->count].reference;
}

PEX_RUNDOWN_REF_CACHE_AWARE NTAPI ExAllocateCacheAwareRundownProtection(POOL_TYPE PoolType,
                                                                        ULONG PoolTag)
{
    VF_ENTRY(APC_LEVEL);
    (void)PoolType;
    if (vf_fault(VfFaultPool))
        return NULL;
    /* Pool, so that a driver that forgets it leaks it by its tag. */
    PEX_RUNDOWN_REF_CACHE_AWARE all = pool_allocate_for(
        POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED,
        sizeof *all + vp_count * sizeof all->processors[0], PoolTag, __builtin_return_address(0));
    if (all)
        all->count = vp_count;
    return all;
}

VOID NTAPI ExFreeCacheAwareRundownProtection(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    VF_ENTRY(APC_LEVEL);
    LONG64 sum = 0;
    for (unsigned i = 0; i < RunRefCacheAware->count; i++) {
        ULONG_PTR value = RunRefCacheAware->processors[i].reference.Count;
        sum += value == ACTIVE ? 0 : (LONG64)value;
    }
    if (vf_enabled && sum)
        misuse(RunRefCacheAware, "freed while it is held or running down");
    ExFreePoolWithTag(RunRefCacheAware, 0);
}

BOOLEAN NTAPI ExAcquireRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return acquire(here(RunRefCacheAware), 1);
}

BOOLEAN NTAPI ExAcquireRundownProtectionCacheAwareEx(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware,
                                                     ULONG Count)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return acquire(here(RunRefCacheAware), Count);
}

VOID NTAPI ExReleaseRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    VF_ENTRY(DISPATCH_LEVEL);
    release(here(RunRefCacheAware), 1, RunRefCacheAware, true);
}

VOID NTAPI ExReleaseRundownProtectionCacheAwareEx(PEX_RUNDOWN_REF_CACHE_AWARE RunRef, ULONG Count)
{
    VF_ENTRY(DISPATCH_LEVEL);
    release(here(RunRef), Count, RunRef, true);
}

VOID NTAPI ExWaitForRundownProtectionReleaseCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRef)
{
    VF_ENTRY(APC_LEVEL);
    run_down(&RunRef->processors[0].reference, RunRef->count, sizeof RunRef->processors[0]);
}

VOID NTAPI ExReInitializeRundownProtectionCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    VF_ENTRY(APC_LEVEL);
    for (unsigned i = 0; i < RunRefCacheAware->count; i++) {
        if (vf_enabled && RunRefCacheAware->processors[i].reference.Count != ACTIVE)
            misuse(RunRefCacheAware, "reinitialized before its rundown was complete");
        __atomic_store_n(&RunRefCacheAware->processors[i].reference.Count, 0, __ATOMIC_SEQ_CST);
    }
}

VOID NTAPI ExRundownCompletedCacheAware(PEX_RUNDOWN_REF_CACHE_AWARE RunRefCacheAware)
{
    VF_ENTRY(APC_LEVEL);
    for (unsigned i = 0; i < RunRefCacheAware->count; i++)
        __atomic_store_n(&RunRefCacheAware->processors[i].reference.Count, ACTIVE,
                         __ATOMIC_SEQ_CST);
}

NT_EXPORT(NTOSKRNL, ExInitializeRundownProtection);
NT_EXPORT(NTOSKRNL, ExReInitializeRundownProtection);
NT_EXPORT(NTOSKRNL, ExAcquireRundownProtection);
NT_EXPORT(NTOSKRNL, ExAcquireRundownProtectionEx);
NT_EXPORT(NTOSKRNL, ExReleaseRundownProtection);
NT_EXPORT(NTOSKRNL, ExReleaseRundownProtectionEx);
NT_EXPORT(NTOSKRNL, ExRundownCompleted);
NT_EXPORT(NTOSKRNL, ExWaitForRundownProtectionRelease);
NT_EXPORT(NTOSKRNL, ExAllocateCacheAwareRundownProtection);
NT_EXPORT(NTOSKRNL, ExFreeCacheAwareRundownProtection);
NT_EXPORT(NTOSKRNL, ExAcquireRundownProtectionCacheAware);
NT_EXPORT(NTOSKRNL, ExAcquireRundownProtectionCacheAwareEx);
NT_EXPORT(NTOSKRNL, ExReleaseRundownProtectionCacheAware);
NT_EXPORT(NTOSKRNL, ExReleaseRundownProtectionCacheAwareEx);
NT_EXPORT(NTOSKRNL, ExWaitForRundownProtectionReleaseCacheAware);
NT_EXPORT(NTOSKRNL, ExReInitializeRundownProtectionCacheAware);
NT_EXPORT(NTOSKRNL, ExRundownCompletedCacheAware);
