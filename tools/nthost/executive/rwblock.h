/* Blocking reader-writer waits, for push locks and resources; see rwblock.c. */
#pragma once
#include "dispatcher.h"

/* A thread that waits for a lock, on its own stack; all of this under the dispatcher lock. */
struct rw_waiter {
    LIST_ENTRY entry;
    const void *lock;
    struct nt_thread *thread;
    bool exclusive;
    bool granted; /* whoever sets it made the waiter an owner */
};

bool rw_waiting(const void *lock);
/* The first waiter for the lock, in order of arrival; NULL. */
struct rw_waiter *rw_first(const void *lock);
void rw_grant(struct rw_waiter *waiter);
/* Blocks until granted. */
void rw_wait(struct rw_waiter *waiter, const void *lock, bool exclusive, const char *what);
