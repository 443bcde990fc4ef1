/*
 * Read-write locks whose readers share no cache line: each virtual processor has a count of its
 * own.
 *
 * WDK: NdisAllocateRWLock, NdisAcquireRWLockRead, NdisAcquireRWLockWrite, NdisReleaseRWLock,
 * LOCK_STATE_EX.
 *
 * A reader adds to its processor's count and then looks for a writer; a writer announces itself and
 * then waits for every count to be zero. Both steps are sequentially consistent, so one sees the
 * other. A reader that already reads on this processor does not wait for a writer that waits for
 * it.
 */
#include "stack.h"
#include <stdlib.h>
#include <string.h>

struct _NDIS_RW_LOCK_EX {
    volatile uint32_t writing; /* a writer holds it or waits for the readers to leave */
    volatile uint32_t writer;  /* lock word: one writer at a time */
    struct track_entry *track;
    struct {
        _Alignas(64) volatile uint32_t readers;
    } line[MAX_PROCESSORS];
};

enum { StateRead = 1, StateWrite = 2 };

PNDIS_RW_LOCK_EX NTAPI NdisAllocateRWLock(NDIS_HANDLE NdisHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    (void)NdisHandle;
    PNDIS_RW_LOCK_EX lock =
        vf_fault(VfFaultNdis) ? NULL : aligned_alloc(64, (sizeof(*lock) + 63) & ~63ul);
    if (!lock)
        return NULL;
    memset(lock, 0, sizeof(*lock));
    lock->track = track_add(TrackRwLock, lock, __builtin_return_address(0));
    return lock;
}
NT_EXPORT(NDIS, NdisAllocateRWLock);

VOID NTAPI NdisFreeRWLock(PNDIS_RW_LOCK_EX Lock)
{
    VF_ENTRY(DISPATCH_LEVEL);
    bool held = Lock->writer || Lock->writing;
    for (unsigned i = 0; i < MAX_PROCESSORS; i++)
        held |= Lock->line[i].readers != 0;
    if (held && vf_enabled)
        vf_violation(VfSpinLockHeld, "NdisFreeRWLock: %p is held", (void *)Lock);
    if (vf_enabled)
        vf_lock_memory_freed(Lock, sizeof(*Lock));
    track_remove(Lock->track);
    free(Lock);
}
NT_EXPORT(NDIS, NdisFreeRWLock);

static __attribute__((ms_abi, noinline, cold)) void check_irql(UCHAR flags, const char *function)
{
    if ((flags & NDIS_RWL_AT_DISPATCH_LEVEL) && nt_self->irql != DISPATCH)
        vf_violation(VfBadParameter, "%s with NDIS_RWL_AT_DISPATCH_LEVEL at IRQL %u", function,
                     nt_self->irql);
}

/* A writer is there: out of its way, and back when it has gone. */
static __attribute__((ms_abi, noinline, cold)) void wait_for_writer(PNDIS_RW_LOCK_EX lock,
                                                                    volatile uint32_t *readers)
{
    struct nt_thread *self = nt_self;
    do {
        __atomic_sub_fetch(readers, 1, __ATOMIC_RELEASE);
        word_lock(self, &lock->writer);
        word_unlock(self, &lock->writer);
        __atomic_add_fetch(readers, 1, __ATOMIC_SEQ_CST);
    } while (__atomic_load_n(&lock->writing, __ATOMIC_SEQ_CST));
}

static __attribute__((ms_abi, noinline, cold)) void note_acquired(PNDIS_RW_LOCK_EX lock,
                                                                  bool recursive)
{
    if (!recursive)
        vf_lock_acquired(lock, "NDIS read-write lock", true);
}

VOID NTAPI NdisAcquireRWLockRead(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState, UCHAR Flags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (__builtin_expect(vf_enabled, 0))
        check_irql(Flags, __func__);
    struct nt_thread *self = nt_self;
    LockState->OldIrql = irql_raise(self, DISPATCH);
    LockState->LockState = StateRead;
    LockState->Flags = Flags;
    volatile uint32_t *readers = &Lock->line[self->vp->number].readers;
    uint32_t now = __atomic_add_fetch(readers, 1, __ATOMIC_SEQ_CST);
    if (__builtin_expect(__atomic_load_n(&Lock->writing, __ATOMIC_SEQ_CST) && now == 1, 0))
        wait_for_writer(Lock, readers);
    if (__builtin_expect(vf_enabled, 0))
        note_acquired(Lock, now > 1);
}
NT_EXPORT(NDIS, NdisAcquireRWLockRead);

VOID NTAPI NdisAcquireRWLockWrite(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState, UCHAR Flags)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled) {
        check_irql(Flags, __func__);
        if (vf_lock_held(Lock))
            vf_violation(VfSpinLockRecursive,
                         "NdisAcquireRWLockWrite: %p is held by this thread already", (void *)Lock);
    }
    struct nt_thread *self = nt_self;
    LockState->OldIrql = irql_raise(self, DISPATCH);
    LockState->LockState = StateWrite;
    LockState->Flags = Flags;
    word_lock(self, &Lock->writer);
    __atomic_store_n(&Lock->writing, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < sched_processors(); i++) {
        volatile uint32_t *readers = &Lock->line[i].readers;
        uint32_t value;
        while ((value = __atomic_load_n(readers, __ATOMIC_SEQ_CST)) != 0)
            sched->wait_change(self, readers, value);
    }
    if (vf_enabled)
        note_acquired(Lock, false);
}
NT_EXPORT(NDIS, NdisAcquireRWLockWrite);

static __attribute__((ms_abi, noinline, cold)) void note_released(PNDIS_RW_LOCK_EX lock,
                                                                  PLOCK_STATE_EX state)
{
    uint32_t readers = lock->line[nt_self->vp->number].readers;
    if (state->LockState == StateRead ? readers == 0 : !lock->writing)
        vf_violation(VfSpinLockNotOwned, "NdisReleaseRWLock: %p is not held that way",
                     (void *)lock);
    if (state->LockState == StateWrite || readers == 1)
        vf_lock_released(lock, "NDIS read-write lock");
}

static __attribute__((ms_abi, noinline, cold)) void release_write(PNDIS_RW_LOCK_EX lock)
{
    __atomic_store_n(&lock->writing, 0, __ATOMIC_SEQ_CST);
    word_unlock(nt_self, &lock->writer);
}

VOID NTAPI NdisReleaseRWLock(PNDIS_RW_LOCK_EX Lock, PLOCK_STATE_EX LockState)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (__builtin_expect(vf_enabled, 0))
        note_released(Lock, LockState);
    struct nt_thread *self = nt_self;
    if (__builtin_expect(LockState->LockState == StateRead, 1))
        __atomic_sub_fetch(&Lock->line[self->vp->number].readers, 1, __ATOMIC_RELEASE);
    else
        release_write(Lock);
    irql_lower(self, LockState->OldIrql);
}
NT_EXPORT(NDIS, NdisReleaseRWLock);
