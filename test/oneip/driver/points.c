/*
 * What clang's -fsanitize-coverage=trace-pc-guard,trace-loads,trace-stores calls, and atomics.h for
 * the operations that it leaves out. An access to the thread's own stack is nobody else's business.
 */
#include "points.h"

#include <nthost/sched.h>

#define STACK_NEAR 65536

static bool enabled;
static uint64_t passed;

void points_enable(bool enable)
{
    enabled = enable;
}

uint64_t points_passed(void)
{
    return passed;
}

static void point(const void *address)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), at = (uintptr_t)address;

    if (!enabled || at - here + STACK_NEAR < 2 * STACK_NEAR)
        return;
    passed++;
    sched_point();
}

#define ACCESS(name)                                                                               \
    void __sanitizer_cov_##name(const void *address);                                              \
    void __sanitizer_cov_##name(const void *address)                                               \
    {                                                                                              \
        point(address);                                                                            \
    }
ACCESS(load1)
ACCESS(load2)
ACCESS(load4)
ACCESS(load8)
ACCESS(load16)
ACCESS(store1)
ACCESS(store2)
ACCESS(store4)
ACCESS(store8)
ACCESS(store16)

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop);
void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
    (void)start, (void)stop;
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard);
void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    point(guard);
}
