/*
 * Push locks.
 *
 * WDK: ExInitializePushLock, ExAcquirePushLockExclusiveEx, ExAcquirePushLockSharedEx. One pointer:
 * bit 0 held exclusively, bit 1 someone waits, above it the number of sharers. Without waiters,
 * acquiring and releasing is one compare-and-swap; with waiters everything goes through the
 * dispatcher lock and is handed over in order of arrival. Not recursive. Callers have kernel APCs
 * disabled.
 */
#include "rwblock.h"

#define EXCLUSIVE ((ULONG_PTR)1)
#define WAITING   ((ULONG_PTR)2)
#define SHARER    ((ULONG_PTR)4)

static void check(PEX_PUSH_LOCK lock, const char *function)
{
    struct nt_thread *self = nt_self;
    if (self->irql < APC && !self->critical && !self->guarded)
        vf_violation(VfBadParameter, "%s: kernel APCs must be disabled (KeEnterCriticalRegion)",
                     function);
    if (vf_lock_held(lock))
        vf_violation(VfDeadlock,
                     "%s: push lock %p is held by this thread already, and is not recursive",
                     function, (void *)lock);
}

static bool change(PEX_PUSH_LOCK lock, ULONG_PTR from, ULONG_PTR to)
{
    return __atomic_compare_exchange_n(lock, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static void acquire(PEX_PUSH_LOCK lock, bool exclusive, const char *function)
{
    if (vf_enabled)
        check(lock, function);
    for (;;) {
        ULONG_PTR value = __atomic_load_n(lock, __ATOMIC_RELAXED);
        if (!value || (!exclusive && !(value & (EXCLUSIVE | WAITING)))) {
            if (change(lock, value, exclusive ? EXCLUSIVE : value + SHARER))
                break;
            continue;
        }
        struct rw_waiter waiter;
        sched_lock();
        if (!change(lock, value, value | WAITING)) {
            sched_unlock();
            continue;
        }
        rw_wait(&waiter, lock, exclusive, "push lock");
        sched_unlock();
        break;
    }
    if (vf_enabled)
        vf_lock_acquired(lock, "push lock", true);
}

/* With waiters: gives up the hold and hands over. */
static void hand_over(PEX_PUSH_LOCK lock, bool exclusive)
{
    sched_lock();
    ULONG_PTR value = *lock - (exclusive ? EXCLUSIVE : SHARER);
    if (!(value & ~WAITING)) {
        struct rw_waiter *next = rw_first(lock);
        value = 0;
        if (next && next->exclusive) {
            value = EXCLUSIVE;
            rw_grant(next);
        } else {
            for (; next && !next->exclusive; next = rw_first(lock)) {
                value += SHARER;
                rw_grant(next);
            }
        }
        if (rw_waiting(lock))
            value |= WAITING;
    }
    /* Nobody else changes a lock with waiters but under the dispatcher lock. */
    __atomic_store_n(lock, value, __ATOMIC_RELEASE);
    sched_unlock();
}

static void release(PEX_PUSH_LOCK lock, bool exclusive, const char *function)
{
    for (;;) {
        ULONG_PTR value = __atomic_load_n(lock, __ATOMIC_RELAXED);
        if (!!(value & EXCLUSIVE) != exclusive || (!exclusive && value < SHARER))
            vf_violation(VfSpinLockNotOwned,
                         "%s: push lock %p is not held so (its value is 0x%llx)", function,
                         (void *)lock, (unsigned long long)value);
        if (vf_enabled && vf_lock_held(lock))
            vf_lock_released(lock, "push lock");
        if (value & WAITING) {
            hand_over(lock, exclusive);
            break;
        }
        if (change(lock, value, value - (exclusive ? EXCLUSIVE : SHARER)))
            break;
    }
    thread_point(nt_self);
}

VOID NTAPI ExInitializePushLock(PEX_PUSH_LOCK PushLock)
{
    *PushLock = 0;
}

VOID NTAPI ExAcquirePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    VF_ENTRY(APC_LEVEL);
    acquire(PushLock, true, __func__);
}

VOID NTAPI ExAcquirePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    VF_ENTRY(APC_LEVEL);
    acquire(PushLock, false, __func__);
}

VOID NTAPI ExReleasePushLockExclusiveEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    VF_ENTRY(APC_LEVEL);
    release(PushLock, true, __func__);
}

VOID NTAPI ExReleasePushLockSharedEx(PEX_PUSH_LOCK PushLock, ULONG Flags)
{
    (void)Flags;
    VF_ENTRY(APC_LEVEL);
    release(PushLock, false, __func__);
}

NT_EXPORT(NTOSKRNL, ExInitializePushLock);
NT_EXPORT(NTOSKRNL, ExAcquirePushLockExclusiveEx);
NT_EXPORT(NTOSKRNL, ExAcquirePushLockSharedEx);
NT_EXPORT(NTOSKRNL, ExReleasePushLockExclusiveEx);
NT_EXPORT(NTOSKRNL, ExReleasePushLockSharedEx);
