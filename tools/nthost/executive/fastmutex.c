/*
 * Fast mutexes and guarded mutexes.
 *
 * WDK: ExAcquireFastMutex, ExAcquireFastMutexUnsafe, KeAcquireGuardedMutex, "Fast Mutexes and
 * Guarded Mutexes". Count is 1 when free; who takes it to 0 owns it, who takes it below waits for
 * the event, which the owner sets on release if someone waits. A fast mutex raises to APC_LEVEL
 * while it is held (OldIrql), the "unsafe" variant requires that the caller did, a guarded one
 * enters a guarded region. Not recursive.
 */
#include "dispatcher.h"

static void check_recursion(PFAST_MUTEX mutex, const char *function)
{
    if (SHARED_READ(mutex->Owner) == nt_self)
        vf_violation(VfDeadlock, "%s: %p is held by this thread already, and is not recursive",
                     function, (void *)mutex);
}

static void acquire(PFAST_MUTEX mutex, const char *kind, const char *function)
{
    check_recursion(mutex, function);
    if (InterlockedDecrement(&mutex->Count) != 0) {
        __atomic_add_fetch(&mutex->Contention, 1, __ATOMIC_RELAXED);
        dispatcher_wait(&mutex->Event, kind);
    }
    __atomic_store_n(&mutex->Owner, nt_self, __ATOMIC_RELAXED);
    if (vf_enabled)
        vf_lock_acquired(mutex, kind, true);
}

static void release(PFAST_MUTEX mutex, const char *kind, const char *function)
{
    if (mutex->Owner != nt_self)
        vf_violation(VfSpinLockNotOwned, "%s: %p is released, but %s", function, (void *)mutex,
                     mutex->Owner ? "another thread holds it" : "it is not held");
    __atomic_store_n(&mutex->Owner, NULL, __ATOMIC_RELAXED);
    if (vf_enabled)
        vf_lock_released(mutex, kind);
    if (InterlockedIncrement(&mutex->Count) <= 0)
        KeSetEvent(&mutex->Event, 0, FALSE);
}

static bool try_acquire(PFAST_MUTEX mutex, const char *kind)
{
    if (InterlockedCompareExchange(&mutex->Count, 0, 1) != 1)
        return false;
    __atomic_store_n(&mutex->Owner, nt_self, __ATOMIC_RELAXED);
    if (vf_enabled)
        vf_lock_acquired(mutex, kind, false);
    return true;
}

VOID NTAPI ExAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    VF_ENTRY(APC_LEVEL);
    KIRQL old = irql_raise(nt_self, APC);
    acquire(FastMutex, "fast mutex", __func__);
    FastMutex->OldIrql = old;
}

BOOLEAN NTAPI ExTryToAcquireFastMutex(PFAST_MUTEX FastMutex)
{
    VF_ENTRY(APC_LEVEL);
    KIRQL old = irql_raise(nt_self, APC);
    if (!try_acquire(FastMutex, "fast mutex")) {
        irql_lower(nt_self, old);
        return FALSE;
    }
    FastMutex->OldIrql = old;
    return TRUE;
}

VOID NTAPI ExReleaseFastMutex(PFAST_MUTEX FastMutex)
{
    VF_ENTRY(APC_LEVEL);
    KIRQL old = (KIRQL)FastMutex->OldIrql;
    release(FastMutex, "fast mutex", __func__);
    irql_lower(nt_self, old);
    thread_point(nt_self);
}

static void check_unsafe(const char *function)
{
    struct nt_thread *self = nt_self;
    if (vf_enabled && self->irql != APC && !self->critical && !self->guarded)
        vf_violation(VfBadParameter,
                     "%s: kernel APCs must be disabled (APC_LEVEL or a critical region)", function);
}

VOID NTAPI ExAcquireFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    VF_ENTRY(APC_LEVEL);
    check_unsafe(__func__);
    acquire(FastMutex, "fast mutex", __func__);
}

VOID NTAPI ExReleaseFastMutexUnsafe(PFAST_MUTEX FastMutex)
{
    VF_ENTRY(APC_LEVEL);
    release(FastMutex, "fast mutex", __func__);
    thread_point(nt_self);
}

VOID NTAPI KeInitializeGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    ExInitializeFastMutex(Mutex);
}

VOID NTAPI KeAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterGuardedRegion();
    acquire(Mutex, "guarded mutex", __func__);
}

VOID NTAPI KeReleaseGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    VF_ENTRY(APC_LEVEL);
    release(Mutex, "guarded mutex", __func__);
    KeLeaveGuardedRegion();
    thread_point(nt_self);
}

BOOLEAN NTAPI KeTryToAcquireGuardedMutex(PKGUARDED_MUTEX Mutex)
{
    VF_ENTRY(APC_LEVEL);
    KeEnterGuardedRegion();
    if (try_acquire(Mutex, "guarded mutex"))
        return TRUE;
    KeLeaveGuardedRegion();
    return FALSE;
}

NT_EXPORT(NTOSKRNL, ExAcquireFastMutex);
NT_EXPORT(NTOSKRNL, ExTryToAcquireFastMutex);
NT_EXPORT(NTOSKRNL, ExReleaseFastMutex);
NT_EXPORT(NTOSKRNL, ExAcquireFastMutexUnsafe);
NT_EXPORT(NTOSKRNL, ExReleaseFastMutexUnsafe);
NT_EXPORT(NTOSKRNL, KeInitializeGuardedMutex);
NT_EXPORT(NTOSKRNL, KeAcquireGuardedMutex);
NT_EXPORT(NTOSKRNL, KeReleaseGuardedMutex);
NT_EXPORT(NTOSKRNL, KeTryToAcquireGuardedMutex);
