/*
 * Return addresses through ELF and PE frames alike.
 *
 * All ELF code of ours keeps frame pointers (cmake/host.cmake), so its frames are a chain of
 * {rbp, return address}; frames of PE images are undone by their unwind tables, which also restore
 * rbp. The walk takes no lock and ends where the code is neither ours nor a driver's, so that it
 * serves at any IRQL and on every pool allocation.
 */
#include "image.h"

/* A frame beyond this is taken for a stack that cannot be followed. */
#define MAX_FRAME (64u << 10)
#define MAX_STACK (8u << 20)

extern const char __executable_start[], etext[];

static bool in_executable(uint64_t address)
{
    return address - (uintptr_t)__executable_start < (uintptr_t)(etext - __executable_start);
}

static bool elf_unwind(struct pe_context *context)
{
    uint64_t frame = context->registers[PE_RBP], sp = context->registers[PE_RSP];
    if (!(context->known >> PE_RBP & 1) || frame % 8 || frame < sp - 8 || frame - sp > MAX_FRAME)
        return false;
    const uint64_t *saved = (const uint64_t *)(uintptr_t)frame;
    context->registers[PE_RBP] = saved[0];
    context->registers[PE_RSP] = frame + 16;
    context->rip = saved[1];
    /* Callers keep values in the other registers that this frame has saved somewhere. */
    context->known = 1u << PE_RSP | 1u << PE_RBP;
    return true;
}

static __attribute__((no_sanitize("address"))) unsigned walk(struct pe_context context,
                                                             void **frames, unsigned count)
{
    uint64_t limit = context.registers[PE_RSP] + MAX_STACK;
    unsigned n = 0;
    while (n < count && context.rip != 0) {
        frames[n++] = (void *)(uintptr_t)context.rip;
        const struct nt_image *image = image_of((void *)(uintptr_t)context.rip);
        if (image != NULL && image->kind == IMAGE_PE      ? !pe_unwind(image, &context, limit)
            : image != NULL || in_executable(context.rip) ? !elf_unwind(&context)
                                                          : true)
            break;
    }
    return n;
}

__attribute__((noinline, no_sanitize("address"))) unsigned image_backtrace(void **frames,
                                                                           unsigned count)
{
    uint64_t *self = __builtin_frame_address(0);
    struct pe_context context = {.rip = self[1], .known = 1u << PE_RSP | 1u << PE_RBP};
    context.registers[PE_RBP] = self[0];
    context.registers[PE_RSP] = (uint64_t)(uintptr_t)(self + 2);
    return walk(context, frames, count);
}

unsigned image_backtrace_of(const struct pe_context *context, void **frames, unsigned count)
{
    return walk(*context, frames, count);
}
