/*
 * Lock words: 32 bits that hold the id of the thread that owns the lock, or 0. Every lock of the
 * host that a driver can contend for is one: the dispatch lock of a virtual processor, the
 * dispatcher lock, spin locks (the low half of a KSPIN_LOCK).
 *
 * In real time the id is the kernel's thread id and the word a priority-inheritance futex. That
 * matters: a processor's DPC thread runs under SCHED_FIFO, and if it waits for a lock whose holder
 * was preempted by Linux, the holder must run, at its priority, rather than the waiter spin. The
 * kernel also finds deadlocks in chains of such words. Under the deterministic scheduler the id is
 * a fiber's number and a contended word is a switch.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

static inline bool word_try_lock(volatile uint32_t *word, uint32_t id)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(word, &expected, id, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* False: there are waiters in the kernel (or it is not ours). */
static inline bool word_try_unlock(volatile uint32_t *word, uint32_t id)
{
    uint32_t expected = id;
    return __atomic_compare_exchange_n(word, &expected, 0, false, __ATOMIC_RELEASE,
                                       __ATOMIC_RELAXED);
}

/* Reading what another thread may write at the same time. */
#define SHARED_READ(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)

#define WORD_OWNER_MASK 0x3fffffffu /* without FUTEX_WAITERS and FUTEX_OWNER_DIED */
static inline uint32_t word_owner(const volatile uint32_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED) & WORD_OWNER_MASK;
}

/* Plain futex calls; deadlines are CLOCK_MONOTONIC nanoseconds, UINT64_MAX: none.
 * futex_wait returns false when the deadline passed. */
bool futex_wait(volatile uint32_t *word, uint32_t value, uint64_t deadline);
void futex_wake(volatile uint32_t *word, int count);
/* 0 or an errno value. */
int futex_lock_pi(volatile uint32_t *word);
int futex_unlock_pi(volatile uint32_t *word);
