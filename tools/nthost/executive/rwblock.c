/*
 * Queues of threads that wait for push locks and resources. They hang off no lock but stand in one
 * list in order of arrival, each with the lock that it wants: a push lock is one pointer, and few
 * threads wait at a time. Locks are handed over: the releaser makes the next waiters owners.
 */
#include "rwblock.h"

static LIST_ENTRY waiters = {&waiters, &waiters};

struct rw_waiter *rw_first(const void *lock)
{
    for (PLIST_ENTRY entry = waiters.Flink; entry != &waiters; entry = entry->Flink) {
        struct rw_waiter *waiter = CONTAINING_RECORD(entry, struct rw_waiter, entry);
        if (waiter->lock == lock)
            return waiter;
    }
    return NULL;
}

bool rw_waiting(const void *lock)
{
    return rw_first(lock) != NULL;
}

void rw_grant(struct rw_waiter *waiter)
{
    RemoveEntryList(&waiter->entry);
    waiter->granted = true;
    sched_unpark(waiter->thread);
}

void rw_wait(struct rw_waiter *waiter, const void *lock, bool exclusive, const char *what)
{
    struct nt_thread *self = nt_self;
    *waiter = (struct rw_waiter){.lock = lock, .thread = self, .exclusive = exclusive};
    InsertTailList(&waiters, &waiter->entry);
    self->wait_what = what;
    self->wait_object = lock;
    while (!waiter->granted)
        sched_park(UINT64_MAX);
    self->wait_what = NULL;
}
