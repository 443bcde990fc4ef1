/*
 * Fibers: 384 KB stacks with a guard page, and a switch that saves what the System V convention
 * preserves. A driver's frames follow the Microsoft convention, which preserves more (rdi, rsi,
 * xmm6-15); those are saved by the exported function through which a driver came here, since for
 * the compiler the switch is a System V call like any other.
 *
 * Stacks are cached: a short schedule should not cost system calls.
 */
#include "fiber.h"
#include "thread.h"
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_BYTES (384 * 1024)
#define GUARD_BYTES 4096

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
void __asan_unpoison_memory_region(const volatile void *address, size_t size);
#define UNPOISON(address, size) __asan_unpoison_memory_region((address), (size))
#endif
#endif
#ifndef UNPOISON
#define UNPOISON(address, size) ((void)0)
#endif

static void *cached[256];
static unsigned cached_count;

void *fiber_stack_get(size_t *size)
{
    *size = STACK_BYTES;
    if (cached_count)
        return cached[--cached_count];
    char *area = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (area == MAP_FAILED || mprotect(area, GUARD_BYTES, PROT_NONE))
        nt_fatal("no memory for the stack of a fiber");
    return area + GUARD_BYTES;
}

void fiber_stack_put(void *stack, size_t size)
{
    UNPOISON(stack, size);
    if (cached_count < sizeof cached / sizeof cached[0])
        cached[cached_count++] = stack;
    else
        munmap((char *)stack - GUARD_BYTES, size + GUARD_BYTES);
}

void *fiber_prepare(void *stack, size_t size, void (*entry)(void))
{
    /* From the top: a zero return address that ends every stack walk, the entry point as the
     * switch's own return address, six registers. At the entry rsp is 8 below a multiple of 16, as
     * after a call. */
    uintptr_t *top = (uintptr_t *)((char *)stack + size);
    *--top = 0;
    *--top = (uintptr_t)entry;
    top -= 6;
    memset(top, 0, 6 * sizeof *top);
    return top;
}

__asm__(".text\n"
        ".p2align 4\n"
        ".globl fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");
