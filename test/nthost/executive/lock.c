/*
 * Locks, run-down protection and lock-free lists, by what they promise: exclusion, no lost waiters.
 */
#include "common.h"

/* A critical section that detects company: writers alone, readers with readers. */
static struct {
    volatile LONG writers, readers, shared_most, value;
} section;

static void write_inside(void)
{
    is_int(InterlockedIncrement(&section.writers), 1);
    is_int(section.readers, 0);
    LONG value = section.value;
    sched_point();
    section.value = value + 1;
    InterlockedDecrement(&section.writers);
}

static void read_inside(void)
{
    LONG now = InterlockedIncrement(&section.readers);
    if (now > section.shared_most)
        section.shared_most = now;
    is_int(section.writers, 0);
    LONG value = section.value;
    sched_point();
    is_int(section.value, value);
    InterlockedDecrement(&section.readers);
}

#define ROUNDS 12
static struct {
    KSPIN_LOCK spin;
    EX_SPIN_LOCK rw_spin;
    FAST_MUTEX fast;
    KGUARDED_MUTEX guarded;
    EX_PUSH_LOCK push;
    ERESOURCE resource;
} locks;

static void spin_body(void *context)
{
    int kind = (int)(intptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        KIRQL irql;
        KLOCK_QUEUE_HANDLE handle;
        switch ((kind + i) % 4) {
        case 0:
            KeAcquireSpinLock(&locks.spin, &irql);
            is_int(irql, PASSIVE_LEVEL);
            is_int(KeGetCurrentIrql(), DISPATCH_LEVEL);
            write_inside();
            KeReleaseSpinLock(&locks.spin, irql);
            break;
        case 1:
            KeAcquireInStackQueuedSpinLock(&locks.spin, &handle);
            write_inside();
            KeReleaseInStackQueuedSpinLock(&handle);
            break;
        case 2:
            irql = KeRaiseIrqlToDpcLevel();
            KeAcquireSpinLockAtDpcLevel(&locks.spin);
            write_inside();
            KeReleaseSpinLockFromDpcLevel(&locks.spin);
            KeLowerIrql(irql);
            break;
        default:
            irql = KeRaiseIrqlToDpcLevel();
            if (KeTryToAcquireSpinLockAtDpcLevel(&locks.spin)) {
                ok(!KeTestSpinLock(&locks.spin));
                write_inside();
                KeReleaseSpinLockFromDpcLevel(&locks.spin);
            } else {
                i--;
                kind++;
            }
            KeLowerIrql(irql);
            break;
        }
        is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    }
}

static void rw_spin_body(void *context)
{
    int kind = (int)(intptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        if ((kind + i) % 3) {
            KIRQL irql = ExAcquireSpinLockShared(&locks.rw_spin);
            read_inside();
            ExReleaseSpinLockShared(&locks.rw_spin, irql);
        } else {
            KIRQL irql = ExAcquireSpinLockExclusive(&locks.rw_spin);
            write_inside();
            ExReleaseSpinLockExclusive(&locks.rw_spin, irql);
        }
    }
}

static void fast_body(void *context)
{
    int kind = (int)(intptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        if ((kind + i) % 2) {
            ExAcquireFastMutex(&locks.fast);
            is_int(KeGetCurrentIrql(), APC_LEVEL);
            ok(!ExTryToAcquireFastMutex(&locks.fast));
            write_inside();
            ExReleaseFastMutex(&locks.fast);
            is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
        } else {
            KeEnterCriticalRegion();
            ExAcquireFastMutexUnsafe(&locks.fast);
            write_inside();
            ExReleaseFastMutexUnsafe(&locks.fast);
            KeLeaveCriticalRegion();
        }
    }
}

static void guarded_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < ROUNDS; i++) {
        KeAcquireGuardedMutex(&locks.guarded);
        ok(KeAreAllApcsDisabled());
        write_inside();
        KeReleaseGuardedMutex(&locks.guarded);
        ok(!KeAreAllApcsDisabled());
    }
}

static void push_body(void *context)
{
    int kind = (int)(intptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        KeEnterCriticalRegion();
        if ((kind + i) % 3) {
            ExAcquirePushLockShared(&locks.push);
            read_inside();
            ExReleasePushLockShared(&locks.push);
        } else {
            ExAcquirePushLockExclusive(&locks.push);
            write_inside();
            ExReleasePushLockExclusive(&locks.push);
        }
        KeLeaveCriticalRegion();
    }
}

static void resource_body(void *context)
{
    int kind = (int)(intptr_t)context;
    for (int i = 0; i < ROUNDS; i++) {
        KeEnterCriticalRegion();
        if ((kind + i) % 3) {
            ok(ExAcquireResourceSharedLite(&locks.resource, TRUE));
            ok(ExAcquireResourceSharedLite(&locks.resource, FALSE), "recursive");
            is_int(ExIsResourceAcquiredSharedLite(&locks.resource), 2);
            read_inside();
            ExReleaseResourceLite(&locks.resource);
            ExReleaseResourceLite(&locks.resource);
        } else {
            ok(ExAcquireResourceExclusiveLite(&locks.resource, TRUE));
            ok(ExAcquireResourceExclusiveLite(&locks.resource, TRUE), "recursive");
            ok(ExAcquireResourceSharedLite(&locks.resource, FALSE), "the owner may share");
            ok(ExIsResourceAcquiredExclusiveLite(&locks.resource));
            write_inside();
            ExReleaseResourceLite(&locks.resource);
            ExReleaseResourceLite(&locks.resource);
            ok(ExIsResourceAcquiredExclusiveLite(&locks.resource));
            ExReleaseResourceLite(&locks.resource);
        }
        is_int(ExIsResourceAcquiredSharedLite(&locks.resource), 0);
        KeLeaveCriticalRegion();
    }
}

static void (*lock_body)(void *);
static LONG lock_writes;

static void lock_run(void)
{
    struct worker workers[4];
    memset(&section, 0, sizeof section);
    memset(&locks, 0, sizeof locks);
    KeInitializeSpinLock(&locks.spin);
    ExInitializeFastMutex(&locks.fast);
    KeInitializeGuardedMutex(&locks.guarded);
    ExInitializePushLock(&locks.push);
    ExInitializeResourceLite(&locks.resource);
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], lock_body, (void *)(intptr_t)i);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    is_int(section.value, lock_writes, "no update is lost");
    is_status(ExDeleteResourceLite(&locks.resource), STATUS_SUCCESS);
}

static void lock_test(void (*body)(void *), LONG writes)
{
    lock_body = body;
    lock_writes = writes;
    each_scheduler(lock_run);
}

NT_TEST(spin_locks_exclude)
{
    lock_test(spin_body, 4 * ROUNDS);
}

NT_TEST(reader_writer_spin_locks_exclude)
{
    lock_test(rw_spin_body, 16);
}

NT_TEST(fast_mutexes_exclude)
{
    lock_test(fast_body, 4 * ROUNDS);
}

NT_TEST(guarded_mutexes_exclude)
{
    lock_test(guarded_body, 4 * ROUNDS);
}

NT_TEST(push_locks_exclude)
{
    lock_test(push_body, 16);
}

NT_TEST(resources_exclude)
{
    lock_test(resource_body, 16);
}

/* Run-down protection: nobody is inside when the wait returns, and nobody gets in after it. */
static struct {
    EX_RUNDOWN_REF plain;
    PEX_RUNDOWN_REF_CACHE_AWARE aware;
    volatile LONG inside, granted, refused;
    volatile bool down;
} rundown;

static void rundown_body(void *context)
{
    bool aware = context != NULL;
    for (int i = 0; i < 20; i++) {
        if (!(aware ? ExAcquireRundownProtectionCacheAware(rundown.aware)
                    : ExAcquireRundownProtection(&rundown.plain))) {
            InterlockedIncrement(&rundown.refused);
            continue;
        }
        ok(!rundown.down, "acquired after the rundown");
        InterlockedIncrement(&rundown.inside);
        sched_point();
        KIRQL old = KeRaiseIrqlToDpcLevel();
        KeLowerIrql(old);
        InterlockedDecrement(&rundown.inside);
        InterlockedIncrement(&rundown.granted);
        if (aware)
            ExReleaseRundownProtectionCacheAware(rundown.aware);
        else
            ExReleaseRundownProtection(&rundown.plain);
    }
}

static void rundown_run(void)
{
    for (int aware = 0; aware < 2; aware++) {
        struct worker workers[3];
        memset(&rundown, 0, sizeof rundown);
        nt_enter();
        ExInitializeRundownProtection(&rundown.plain);
        rundown.aware = ExAllocateCacheAwareRundownProtection(NonPagedPool, 'dnuR');
        need(rundown.aware != NULL);
        for (int i = 0; i < 3; i++)
            worker_start(&workers[i], rundown_body, aware ? &rundown : NULL);
        for (unsigned i = sched_choose(60); i-- > 0;)
            sched_point();
        if (aware)
            ExWaitForRundownProtectionReleaseCacheAware(rundown.aware);
        else
            ExWaitForRundownProtectionRelease(&rundown.plain);
        rundown.down = true;
        is_int(rundown.inside, 0);
        ok(!(aware ? ExAcquireRundownProtectionCacheAware(rundown.aware)
                   : ExAcquireRundownProtection(&rundown.plain)));
        for (int i = 0; i < 3; i++)
            worker_join(&workers[i]);
        is_int(rundown.granted + rundown.refused, 60);
        ExReInitializeRundownProtection(aware ? (ExRundownCompleted(&rundown.plain), &rundown.plain)
                                              : &rundown.plain);
        if (aware) {
            ExReInitializeRundownProtectionCacheAware(rundown.aware);
            ok(ExAcquireRundownProtectionCacheAwareEx(rundown.aware, 3));
            ExReleaseRundownProtectionCacheAwareEx(rundown.aware, 3);
        } else {
            ok(ExAcquireRundownProtectionEx(&rundown.plain, 3));
            ExReleaseRundownProtectionEx(&rundown.plain, 2);
            ExReleaseRundownProtection(&rundown.plain);
        }
        ExFreeCacheAwareRundownProtection(rundown.aware);
        nt_leave();
    }
}

NT_TEST(rundown_protection_holds)
{
    each_scheduler(rundown_run);
}

/* Interlocked lists: what is pushed is popped, once. */
#define ENTRIES 64
static struct {
    SLIST_HEADER head;
    struct {
        SLIST_ENTRY entry;
        volatile LONG owner;
    } entries[ENTRIES];
    LIST_ENTRY list;
    KSPIN_LOCK lock;
    LIST_ENTRY nodes[ENTRIES];
} lists;

static void slist_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 2000; i++) {
        PSLIST_ENTRY entry = InterlockedPopEntrySList(&lists.head);
        if (!entry)
            continue;
        LONG index = (LONG)(((PCHAR)entry - (PCHAR)lists.entries) / (LONG)sizeof lists.entries[0]);
        is_int(InterlockedExchange(&lists.entries[index].owner, 1), 0);
        InterlockedExchange(&lists.entries[index].owner, 0);
        InterlockedPushEntrySList(&lists.head, entry);
    }
}

static void list_body(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 200; i++) {
        PLIST_ENTRY entry = ExInterlockedRemoveHeadList(&lists.list, &lists.lock);
        if (entry && i % 2)
            ExInterlockedInsertTailList(&lists.list, entry, &lists.lock);
        else if (entry)
            ExInterlockedInsertHeadList(&lists.list, entry, &lists.lock);
    }
}

static void list_run(void)
{
    struct worker workers[4];
    memset(&lists, 0, sizeof lists);
    InitializeSListHead(&lists.head);
    InitializeListHead(&lists.list);
    KeInitializeSpinLock(&lists.lock);
    for (int i = 0; i < ENTRIES; i++) {
        InterlockedPushEntrySList(&lists.head, &lists.entries[i].entry);
        ExInterlockedInsertTailList(&lists.list, &lists.nodes[i], &lists.lock);
    }
    is_int(ExQueryDepthSList(&lists.head), ENTRIES);
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], i % 2 ? slist_body : list_body, NULL);
    for (int i = 0; i < 4; i++)
        worker_join(&workers[i]);
    is_int(ExQueryDepthSList(&lists.head), ENTRIES);
    int count = 0;
    for (PSLIST_ENTRY entry = InterlockedFlushSList(&lists.head); entry; entry = entry->Next)
        count++;
    is_int(count, ENTRIES);
    is_int(ExQueryDepthSList(&lists.head), 0);
    count = 0;
    while (ExInterlockedRemoveHeadList(&lists.list, &lists.lock))
        count++;
    is_int(count, ENTRIES);
}

NT_TEST(interlocked_lists_lose_nothing)
{
    tap_start(NT_REALTIME, 0);
    list_run();
    nt_stop();
    each_seed(3, list_run);
}
