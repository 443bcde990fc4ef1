/* Waitable objects; see dispatcher.c. */
#pragma once
#include "thread.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntddk.h>

/* DISPATCHER_HEADER.Type, as in Windows. */
enum dispatcher_type {
    TYPE_EVENT_NOTIFICATION = 0,
    TYPE_EVENT_SYNCHRONIZATION = 1,
    TYPE_MUTANT = 2,
    TYPE_SEMAPHORE = 5,
    TYPE_THREAD = 6,
    TYPE_TIMER_NOTIFICATION = 8,
    TYPE_TIMER_SYNCHRONIZATION = 9,
};

static inline struct nt_thread *thread_of(PKTHREAD thread)
{
    return (struct nt_thread *)thread;
}

void dispatcher_init(DISPATCHER_HEADER *header, enum dispatcher_type type, LONG state);
const char *dispatcher_type_name(const DISPATCHER_HEADER *header);

/* All under the dispatcher lock. The object's state may have become signaled: satisfies waits. */
void dispatcher_signaled(DISPATCHER_HEADER *header);
bool dispatcher_has_waiters(const DISPATCHER_HEADER *header);

/* Waits in the executive's own code: PASSIVE_LEVEL or APC_LEVEL, no time-out, no IRQL rule. */
void dispatcher_wait(void *object, const char *what);

/* 100 ns of interrupt time at which a relative (negative) or absolute (system time) due time is. */
uint64_t dispatcher_due(LONGLONG due);

NTSTATUS dispatcher_wait_any(unsigned count, void *const *objects, WAIT_TYPE type,
                             PLARGE_INTEGER timeout, const void *caller, const char *function);
