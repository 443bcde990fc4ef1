/*
 * Executive resources (ERESOURCE): reader-writer locks with owners, recursive.
 *
 * WDK: ExInitializeResourceLite, ExAcquireResourceExclusiveLite, ExAcquireResourceSharedLite,
 * ExReleaseResourceLite, "Introduction to ERESOURCE Routines". All state is under the dispatcher
 * lock. OwnerEntry is the exclusive owner, OwnerTable an array of sharers (its first entry's
 * TableSize is its length); ActiveEntries counts owners. A sharer that waits behind a waiting
 * writer lets it pass; one that owns the resource already does not wait. The exclusive owner may
 * share too: that counts as one more exclusive acquisition, as on Windows.
 */
#include "rwblock.h"
#include <stdlib.h>

#define OWNED_EXCLUSIVE 0x80

static ERESOURCE_THREAD me(void)
{
    return (ERESOURCE_THREAD)nt_self;
}

static POWNER_ENTRY find_sharer(PERESOURCE resource, ERESOURCE_THREAD thread, bool add)
{
    ULONG size = resource->OwnerTable ? resource->OwnerTable[0].TableSize : 0;
    for (ULONG i = 1; i < size; i++) {
        if (resource->OwnerTable[i].OwnerThread == thread)
            return &resource->OwnerTable[i];
    }
    if (!add)
        return NULL;
    for (ULONG i = 1; i < size; i++) {
        if (!resource->OwnerTable[i].OwnerThread)
            return &resource->OwnerTable[i];
    }
    ULONG room = size ? 2 * size : 4;
    POWNER_ENTRY table = calloc(room, sizeof *table);
    if (!table)
        nt_fatal("no memory for the owners of a resource");
    for (ULONG i = 1; i < size; i++)
        table[i] = resource->OwnerTable[i];
    table[0].TableSize = room;
    free(resource->OwnerTable);
    resource->OwnerTable = table;
    return &table[size ? size : 1];
}

static void own_exclusive(PERESOURCE resource, ERESOURCE_THREAD thread)
{
    resource->Flag |= OWNED_EXCLUSIVE;
    resource->OwnerEntry.OwnerThread = thread;
    resource->OwnerEntry.OwnerCount = 1;
    resource->ActiveEntries = 1;
}

static void own_shared(PERESOURCE resource, ERESOURCE_THREAD thread)
{
    POWNER_ENTRY entry = find_sharer(resource, thread, true);
    if (!entry->OwnerThread) {
        entry->OwnerThread = thread;
        entry->OwnerCount = 0;
        resource->ActiveEntries++;
    }
    entry->OwnerCount++;
}

/* Free, or freed for those who wait: makes the next ones owners. */
static void hand_over(PERESOURCE resource)
{
    struct rw_waiter *next;
    while ((next = rw_first(resource))) {
        if (next->exclusive) {
            if (resource->ActiveEntries)
                break;
            resource->NumberOfExclusiveWaiters--;
            own_exclusive(resource, (ERESOURCE_THREAD)next->thread);
            rw_grant(next);
            break;
        }
        if (resource->Flag & OWNED_EXCLUSIVE)
            break;
        resource->NumberOfSharedWaiters--;
        own_shared(resource, (ERESOURCE_THREAD)next->thread);
        rw_grant(next);
    }
}

static void check(PERESOURCE resource, const char *function)
{
    struct nt_thread *self = nt_self;
    if (resource->Address != resource)
        vf_violation(VfBadParameter, "%s: %p is no resource: not initialized, or deleted", function,
                     (void *)resource);
    if (self->irql < APC && !self->critical && !self->guarded)
        vf_violation(VfBadParameter, "%s: kernel APCs must be disabled (KeEnterCriticalRegion)",
                     function);
}

static BOOLEAN acquire(PERESOURCE resource, bool exclusive, BOOLEAN wait, const char *function)
{
    if (vf_enabled)
        check(resource, function);
    bool owned = true, again = false;
    sched_lock();
    if (resource->Flag & OWNED_EXCLUSIVE && resource->OwnerEntry.OwnerThread == me()) {
        resource->OwnerEntry.OwnerCount++;
        again = true;
    } else if (exclusive) {
        if (find_sharer(resource, me(), false)) {
            sched_unlock();
            if (wait)
                vf_violation(VfDeadlock, "%s: this thread holds resource %p shared", function,
                             (void *)resource);
            return FALSE;
        }
        owned = !resource->ActiveEntries;
        if (owned)
            own_exclusive(resource, me());
    } else {
        again = find_sharer(resource, me(), false) != NULL;
        owned =
            again || (!(resource->Flag & OWNED_EXCLUSIVE) && !resource->NumberOfExclusiveWaiters);
        if (owned)
            own_shared(resource, me());
    }
    if (!owned && wait) {
        struct rw_waiter waiter;
        resource->ContentionCount++;
        if (exclusive)
            resource->NumberOfExclusiveWaiters++;
        else
            resource->NumberOfSharedWaiters++;
        rw_wait(&waiter, resource, exclusive, "resource");
        owned = true;
    }
    sched_unlock();
    if (vf_enabled && owned && !again)
        vf_lock_acquired(resource, "resource", wait);
    return owned;
}

NTSTATUS NTAPI ExInitializeResourceLite(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    *Resource = (ERESOURCE){.Address = Resource};
    InitializeListHead(&Resource->SystemResourcesList);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI ExDeleteResourceLite(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_enabled && (Resource->Address != Resource || Resource->ActiveEntries))
        vf_violation(VfBadParameter, "ExDeleteResourceLite: resource %p is %s", (void *)Resource,
                     Resource->Address == Resource ? "held"
                                                   : "not initialized, or deleted already");
    free(Resource->OwnerTable);
    Resource->OwnerTable = NULL;
    Resource->Address = NULL;
    return STATUS_SUCCESS;
}

BOOLEAN NTAPI ExAcquireResourceExclusiveLite(PERESOURCE Resource, BOOLEAN Wait)
{
    VF_ENTRY(APC_LEVEL);
    return acquire(Resource, true, Wait, __func__);
}

BOOLEAN NTAPI ExAcquireResourceSharedLite(PERESOURCE Resource, BOOLEAN Wait)
{
    VF_ENTRY(APC_LEVEL);
    return acquire(Resource, false, Wait, __func__);
}

VOID NTAPI ExReleaseResourceLite(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    bool released = true;
    sched_lock();
    POWNER_ENTRY entry = &Resource->OwnerEntry;
    if (!(Resource->Flag & OWNED_EXCLUSIVE) || entry->OwnerThread != me())
        entry = find_sharer(Resource, me(), false);
    if (!entry) {
        sched_unlock();
        vf_violation(VfSpinLockNotOwned,
                     "ExReleaseResourceLite: resource %p is not held by this thread",
                     (void *)Resource);
    }
    if (--entry->OwnerCount) {
        released = false;
    } else {
        entry->OwnerThread = 0;
        Resource->Flag &= (USHORT)~OWNED_EXCLUSIVE;
        Resource->ActiveEntries--;
        hand_over(Resource);
    }
    sched_unlock();
    if (vf_enabled && released)
        vf_lock_released(Resource, "resource");
    thread_point(nt_self);
}

BOOLEAN NTAPI ExIsResourceAcquiredExclusiveLite(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Resource->Flag & OWNED_EXCLUSIVE && Resource->OwnerEntry.OwnerThread == me();
}

ULONG NTAPI ExIsResourceAcquiredSharedLite(PERESOURCE Resource)
{
    VF_ENTRY(DISPATCH_LEVEL);
    sched_lock();
    ULONG count = 0;
    if (Resource->Flag & OWNED_EXCLUSIVE && Resource->OwnerEntry.OwnerThread == me()) {
        count = Resource->OwnerEntry.OwnerCount;
    } else {
        POWNER_ENTRY entry = find_sharer(Resource, me(), false);
        if (entry)
            count = entry->OwnerCount;
    }
    sched_unlock();
    return count;
}

NT_EXPORT(NTOSKRNL, ExInitializeResourceLite);
NT_EXPORT(NTOSKRNL, ExDeleteResourceLite);
NT_EXPORT(NTOSKRNL, ExAcquireResourceExclusiveLite);
NT_EXPORT(NTOSKRNL, ExAcquireResourceSharedLite);
NT_EXPORT(NTOSKRNL, ExReleaseResourceLite);
NT_EXPORT(NTOSKRNL, ExIsResourceAcquiredExclusiveLite);
NT_EXPORT(NTOSKRNL, ExIsResourceAcquiredSharedLite);
