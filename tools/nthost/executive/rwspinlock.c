/*
 * Reader-writer spin locks (EX_SPIN_LOCK).
 *
 * WDK: ExAcquireSpinLockShared, ExAcquireSpinLockExclusive, ExTryConvertSharedSpinLockExclusive,
 * "Reader-Writer Spin Locks". Bit 31: held exclusively; bit 30: a writer waits, which keeps new
 * readers out; below: readers. Waiters wait for the word to change, as the scheduler sees fit.
 */
#include "dispatcher.h"

#define EXCLUSIVE 0x80000000u
#define WANTED    0x40000000u
#define READERS   0x3fffffffu

static inline volatile uint32_t *word_of(PEX_SPIN_LOCK lock)
{
    return (volatile uint32_t *)lock;
}

static void SLOW check(PEX_SPIN_LOCK lock, const char *function)
{
    if (nt_self->irql < DISPATCH)
        vf_violation(VfIrqlTooHigh, "%s at IRQL %u: it wants DISPATCH_LEVEL at least", function,
                     nt_self->irql);
    if (vf_lock_held(lock))
        vf_violation(VfSpinLockRecursive, "%s: spin lock %p is held by this thread already",
                     function, (const void *)lock);
}

static void SLOW note_acquired(PEX_SPIN_LOCK lock, bool ordered)
{
    nt_self->spin_locks++;
    vf_lock_acquired(lock, "reader-writer spin lock", ordered);
}

static void SLOW note_released(PEX_SPIN_LOCK lock, bool exclusive)
{
    if (!vf_lock_held(lock) || !!(SHARED_READ(*word_of(lock)) & EXCLUSIVE) != exclusive)
        vf_violation(
            VfSpinLockNotOwned,
            "reader-writer spin lock %p is released (%s), but this thread does not hold it so",
            (const void *)lock, exclusive ? "exclusive" : "shared");
    nt_self->spin_locks--;
    vf_lock_released(lock, "reader-writer spin lock");
}

static bool try_exclusive(volatile uint32_t *word)
{
    uint32_t value = SHARED_READ(*word);
    return !(value & ~WANTED) && __atomic_compare_exchange_n(word, &value, EXCLUSIVE, false,
                                                             __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static bool try_shared(volatile uint32_t *word)
{
    uint32_t value = SHARED_READ(*word);
    return !(value & (EXCLUSIVE | WANTED)) &&
           __atomic_compare_exchange_n(word, &value, value + 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

static void SLOW wait_exclusive(struct nt_thread *self, volatile uint32_t *word)
{
    while (!try_exclusive(word)) {
        uint32_t value = SHARED_READ(*word);
        if (!(value & ~WANTED))
            continue;
        if (!(value & WANTED)) {
            __atomic_compare_exchange_n(word, &value, value | WANTED, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED);
            continue;
        }
        sched->wait_change(self, word, value);
    }
}

static void SLOW wait_shared(struct nt_thread *self, volatile uint32_t *word)
{
    while (!try_shared(word)) {
        uint32_t value = SHARED_READ(*word);
        if (value & (EXCLUSIVE | WANTED))
            sched->wait_change(self, word, value);
    }
}

static inline void acquire(struct nt_thread *self, PEX_SPIN_LOCK lock, bool exclusive,
                           const char *function)
{
    if (__builtin_expect(vf_enabled, 0))
        check(lock, function);
    if (exclusive) {
        if (!try_exclusive(word_of(lock)))
            wait_exclusive(self, word_of(lock));
    } else if (!try_shared(word_of(lock))) {
        wait_shared(self, word_of(lock));
    }
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(lock, true);
}

static inline void release(PEX_SPIN_LOCK lock, bool exclusive)
{
    if (__builtin_expect(vf_enabled, 0))
        note_released(lock, exclusive);
    if (exclusive)
        __atomic_and_fetch(word_of(lock), ~(EXCLUSIVE | WANTED), __ATOMIC_RELEASE);
    else
        __atomic_sub_fetch(word_of(lock), 1, __ATOMIC_RELEASE);
}

KIRQL NTAPI ExAcquireSpinLockExclusive(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    KIRQL old = irql_raise(self, DISPATCH);
    acquire(self, SpinLock, true, __func__);
    return old;
}

KIRQL NTAPI ExAcquireSpinLockShared(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    KIRQL old = irql_raise(self, DISPATCH);
    acquire(self, SpinLock, false, __func__);
    return old;
}

VOID NTAPI ExAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    acquire(nt_self, SpinLock, true, __func__);
}

VOID NTAPI ExAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    acquire(nt_self, SpinLock, false, __func__);
}

LOGICAL NTAPI ExTryAcquireSpinLockExclusiveAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    if (!try_exclusive(word_of(SpinLock)))
        return FALSE;
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(SpinLock, false);
    return TRUE;
}

LOGICAL NTAPI ExTryAcquireSpinLockSharedAtDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    if (!try_shared(word_of(SpinLock)))
        return FALSE;
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(SpinLock, false);
    return TRUE;
}

/* Succeeds for the only reader. */
LOGICAL NTAPI ExTryConvertSharedSpinLockExclusive(PEX_SPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    uint32_t value = SHARED_READ(*word_of(SpinLock));
    return (value & READERS) == 1 &&
           __atomic_compare_exchange_n(word_of(SpinLock), &value, EXCLUSIVE, false,
                                       __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

VOID NTAPI ExReleaseSpinLockExclusiveFromDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    release(SpinLock, true);
    thread_point(nt_self);
}

VOID NTAPI ExReleaseSpinLockSharedFromDpcLevel(PEX_SPIN_LOCK SpinLock)
{
    release(SpinLock, false);
    thread_point(nt_self);
}

VOID NTAPI ExReleaseSpinLockExclusive(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release(SpinLock, true);
    KeLowerIrql(OldIrql);
}

VOID NTAPI ExReleaseSpinLockShared(PEX_SPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release(SpinLock, false);
    KeLowerIrql(OldIrql);
}

NT_EXPORT(NTOSKRNL, ExAcquireSpinLockExclusive);
NT_EXPORT(NTOSKRNL, ExAcquireSpinLockShared);
NT_EXPORT(NTOSKRNL, ExAcquireSpinLockExclusiveAtDpcLevel);
NT_EXPORT(NTOSKRNL, ExAcquireSpinLockSharedAtDpcLevel);
NT_EXPORT(NTOSKRNL, ExTryAcquireSpinLockExclusiveAtDpcLevel);
NT_EXPORT(NTOSKRNL, ExTryAcquireSpinLockSharedAtDpcLevel);
NT_EXPORT(NTOSKRNL, ExTryConvertSharedSpinLockExclusive);
NT_EXPORT(NTOSKRNL, ExReleaseSpinLockExclusiveFromDpcLevel);
NT_EXPORT(NTOSKRNL, ExReleaseSpinLockSharedFromDpcLevel);
NT_EXPORT(NTOSKRNL, ExReleaseSpinLockExclusive);
NT_EXPORT(NTOSKRNL, ExReleaseSpinLockShared);
