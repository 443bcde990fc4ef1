/*
 * Spin locks, plain and queued.
 *
 * WDK: KeAcquireSpinLock, KeAcquireSpinLockAtDpcLevel, KeAcquireInStackQueuedSpinLock,
 * KeTryToAcquireSpinLockAtDpcLevel, "Introduction to Spin Locks". The low half of a KSPIN_LOCK is a
 * lock word (futex.h) with its holder's id, so a recursive acquisition and a release by another
 * thread are found even without the verifier. A queued lock is the same word: the kernel queues its
 * waiters.
 */
#include "dispatcher.h"

static inline volatile uint32_t *word_of(PKSPIN_LOCK lock)
{
    return (volatile uint32_t *)lock;
}

static void SLOW check_acquire(PKSPIN_LOCK lock, const char *function)
{
    struct nt_thread *self = nt_self;
    if (self->irql < DISPATCH)
        vf_violation(VfIrqlTooHigh, "%s at IRQL %u: it wants DISPATCH_LEVEL at least", function,
                     self->irql);
    KSPIN_LOCK value = SHARED_READ(*lock);
    if (value >> 32)
        vf_violation(VfBadParameter,
                     "%s: spin lock %p holds 0x%llx, which is no lock's value: not "
                     "initialized, freed or overwritten",
                     function, (void *)lock, (unsigned long long)value);
    if (value && word_owner(word_of(lock)) == self->id)
        vf_violation(VfSpinLockRecursive, "%s: spin lock %p is held by this thread already",
                     function, (void *)lock);
}

static void SLOW note_acquired(PKSPIN_LOCK lock, bool ordered)
{
    nt_self->spin_locks++;
    vf_lock_acquired(lock, "spin lock", ordered);
}

static void SLOW note_released(PKSPIN_LOCK lock)
{
    struct nt_thread *self = nt_self;
    if (word_owner(word_of(lock)) != self->id)
        vf_violation(VfSpinLockNotOwned, "spin lock %p is released, but %s", (void *)lock,
                     *lock ? "another thread holds it" : "it is not held");
    self->spin_locks--;
    vf_lock_released(lock, "spin lock");
}

static inline void acquire(struct nt_thread *self, PKSPIN_LOCK lock, const char *function)
{
    if (__builtin_expect(vf_enabled, 0))
        check_acquire(lock, function);
    word_lock(self, word_of(lock));
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(lock, true);
}

static inline void release(struct nt_thread *self, PKSPIN_LOCK lock)
{
    if (__builtin_expect(vf_enabled, 0))
        note_released(lock);
    word_unlock(self, word_of(lock));
}

static void SLOW check_release_irql(struct nt_thread *self, KIRQL irql, const char *function)
{
    if (irql > self->irql || self->irql < DISPATCH)
        vf_violation(VfIrqlLoweredWrongly, "%s: old IRQL %u, current IRQL %u", function, irql,
                     self->irql);
    if (irql < DISPATCH && (self->in_dpc || self->is_vp))
        vf_violation(VfIrqlLoweredWrongly, "%s: to IRQL %u in a DPC", function, irql);
    if (irql < DISPATCH && self->spin_locks)
        vf_violation(VfSpinLockHeld,
                     "%s: to IRQL %u with %u other spin lock(s) held, the last at %p", function,
                     irql, self->spin_locks, (const void *)self->held[self->held_count - 1].lock);
}

static inline void release_and_lower(struct nt_thread *self, PKSPIN_LOCK lock, KIRQL irql,
                                     const char *function)
{
    release(self, lock);
    if (__builtin_expect(vf_enabled, 0))
        check_release_irql(self, irql, function);
    irql_lower(self, irql);
    thread_point(self);
}

VOID NTAPI KeInitializeSpinLock(PKSPIN_LOCK SpinLock)
{
    *(volatile KSPIN_LOCK *)SpinLock = 0;
}

KIRQL NTAPI KeAcquireSpinLockRaiseToDpc(PKSPIN_LOCK SpinLock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    KIRQL old = irql_raise(self, DISPATCH);
    acquire(self, SpinLock, __func__);
    return old;
}

VOID NTAPI KeReleaseSpinLock(PKSPIN_LOCK SpinLock, KIRQL NewIrql)
{
    release_and_lower(nt_self, SpinLock, NewIrql, __func__);
}

VOID NTAPI KeAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    acquire(nt_self, SpinLock, __func__);
}

VOID NTAPI KeReleaseSpinLockFromDpcLevel(PKSPIN_LOCK SpinLock)
{
    release(nt_self, SpinLock);
    thread_point(nt_self);
}

BOOLEAN NTAPI KeTryToAcquireSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    if (__builtin_expect(vf_enabled, 0))
        check_acquire(SpinLock, __func__);
    if (!word_try_lock(word_of(SpinLock), nt_self->id))
        return FALSE;
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(SpinLock, false);
    return TRUE;
}

BOOLEAN NTAPI KeTestSpinLock(PKSPIN_LOCK SpinLock)
{
    VF_ENTRY(HIGH_LEVEL);
    return !SHARED_READ(*word_of(SpinLock));
}

/* In a DPC that may be a threaded one: raises where it has to. */
KIRQL NTAPI KeAcquireSpinLockForDpc(PKSPIN_LOCK SpinLock)
{
    return KeAcquireSpinLockRaiseToDpc(SpinLock);
}

VOID NTAPI KeReleaseSpinLockForDpc(PKSPIN_LOCK SpinLock, KIRQL OldIrql)
{
    release_and_lower(nt_self, SpinLock, OldIrql, __func__);
}

VOID NTAPI KeAcquireInStackQueuedSpinLock(PKSPIN_LOCK SpinLock, PKLOCK_QUEUE_HANDLE LockHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    LockHandle->LockQueue.Next = NULL;
    LockHandle->LockQueue.Lock = SpinLock;
    LockHandle->OldIrql = irql_raise(self, DISPATCH);
    acquire(self, SpinLock, __func__);
}

VOID NTAPI KeReleaseInStackQueuedSpinLock(PKLOCK_QUEUE_HANDLE LockHandle)
{
    release_and_lower(nt_self, LockHandle->LockQueue.Lock, LockHandle->OldIrql, __func__);
}

VOID NTAPI KeAcquireInStackQueuedSpinLockAtDpcLevel(PKSPIN_LOCK SpinLock,
                                                    PKLOCK_QUEUE_HANDLE LockHandle)
{
    VF_ENTRY(HIGH_LEVEL);
    LockHandle->LockQueue.Next = NULL;
    LockHandle->LockQueue.Lock = SpinLock;
    acquire(nt_self, SpinLock, __func__);
}

VOID NTAPI KeReleaseInStackQueuedSpinLockFromDpcLevel(PKLOCK_QUEUE_HANDLE LockHandle)
{
    release(nt_self, LockHandle->LockQueue.Lock);
    thread_point(nt_self);
}

NT_EXPORT(NTOSKRNL, KeInitializeSpinLock);
NT_EXPORT(NTOSKRNL, KeAcquireSpinLockRaiseToDpc);
NT_EXPORT(NTOSKRNL, KeReleaseSpinLock);
NT_EXPORT(NTOSKRNL, KeAcquireSpinLockAtDpcLevel);
NT_EXPORT(NTOSKRNL, KeReleaseSpinLockFromDpcLevel);
NT_EXPORT(NTOSKRNL, KeTryToAcquireSpinLockAtDpcLevel);
NT_EXPORT(NTOSKRNL, KeTestSpinLock);
NT_EXPORT(NTOSKRNL, KeAcquireSpinLockForDpc);
NT_EXPORT(NTOSKRNL, KeReleaseSpinLockForDpc);
NT_EXPORT(NTOSKRNL, KeAcquireInStackQueuedSpinLock);
NT_EXPORT(NTOSKRNL, KeReleaseInStackQueuedSpinLock);
NT_EXPORT(NTOSKRNL, KeAcquireInStackQueuedSpinLockAtDpcLevel);
NT_EXPORT(NTOSKRNL, KeReleaseInStackQueuedSpinLockFromDpcLevel);
