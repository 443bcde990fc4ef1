/*
 * The futex system call. See futex.h for what the words mean.
 */
#include "futex.h"
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool futex_wait(volatile uint32_t *word, uint32_t value, uint64_t deadline)
{
    struct timespec at;
    if (deadline != UINT64_MAX) {
        at.tv_sec = (time_t)(deadline / 1000000000);
        at.tv_nsec = (long)(deadline % 1000000000);
    }
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value,
                          deadline == UINT64_MAX ? NULL : &at, NULL, FUTEX_BITSET_MATCH_ANY);
    return !(result < 0 && errno == ETIMEDOUT);
}

void futex_wake(volatile uint32_t *word, int count)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* The kernel orders what happens before an unlock and after a lock; the atomic operations tell so
 * to ThreadSanitizer, which does not see it. */
int futex_lock_pi(volatile uint32_t *word)
{
    int error = syscall(SYS_futex, word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0) < 0 ? errno : 0;
    __atomic_load_n(word, __ATOMIC_ACQUIRE);
    return error;
}

int futex_unlock_pi(volatile uint32_t *word)
{
    __atomic_fetch_or(word, 0, __ATOMIC_RELEASE);
    return syscall(SYS_futex, word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) < 0 ? errno : 0;
}
