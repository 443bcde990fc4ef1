/* Stacks and switches of the deterministic scheduler's fibers; see fiber.c. */
#pragma once
#include <stddef.h>

/* A stack with a guard page below it, from a cache. */
void *fiber_stack_get(size_t *size);
void fiber_stack_put(void *stack, size_t size);
/* Readies a stack: the first switch to what it returns calls entry(), which never returns. */
void *fiber_prepare(void *stack, size_t size, void (*entry)(void));
/* Saves the callee-saved registers and the stack pointer (in *save), goes on where `load` was
 * saved. */
void fiber_switch(void **save, void *load);
