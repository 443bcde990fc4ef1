/*
 * Unwinding a frame of a PE image by its .pdata and .xdata, as RtlVirtualUnwind does for a return
 * address (which never lies inside an epilogue).
 *
 * Of the frames of ELF code only rsp and rbp are known, so a frame whose UNWIND_INFO needs another
 * register that no inner frame restored ends the walk.
 *
 * Reference: "x64 exception handling", Microsoft Learn, cpp/build/exception-handling-x64.
 */
#include "image.h"
#include "pe_format.h"
#include <string.h>

#define UNW_FLAG_CHAININFO 4

enum unwind_op {
    UWOP_PUSH_NONVOL,
    UWOP_ALLOC_LARGE,
    UWOP_ALLOC_SMALL,
    UWOP_SET_FPREG,
    UWOP_SAVE_NONVOL,
    UWOP_SAVE_NONVOL_FAR,
    UWOP_EPILOG,
    UWOP_SPARE,
    UWOP_SAVE_XMM128,
    UWOP_SAVE_XMM128_FAR,
    UWOP_PUSH_MACHFRAME
};

struct walk {
    const uint8_t *base;
    size_t size;
    struct pe_context *context;
    uint64_t limit;
};

static bool read_image(const struct walk *w, uint64_t offset, void *out, size_t bytes)
{
    if (offset > w->size || bytes > w->size - offset)
        return false;
    memcpy(out, w->base + offset, bytes);
    return true;
}

static bool read_stack(const struct walk *w, uint64_t address, uint64_t *value)
{
    if (address % 8 || address < w->context->registers[PE_RSP] || address > w->limit - 8)
        return false;
    memcpy(value, (const void *)(uintptr_t)address, sizeof(*value));
    return true;
}

static bool pop(const struct walk *w, uint64_t *value)
{
    if (!read_stack(w, w->context->registers[PE_RSP], value))
        return false;
    w->context->registers[PE_RSP] += 8;
    return true;
}

static bool find_function(const struct walk *w, const struct nt_image *image, uint32_t offset,
                          struct pe_runtime_function *found)
{
    uint32_t low = 0, high = image->function_table_bytes / sizeof(*found);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (!read_image(w, image->function_table + (uint64_t)middle * sizeof(*found), found,
                        sizeof(*found)))
            return false;
        if (offset < found->begin)
            high = middle;
        else if (offset >= found->end)
            low = middle + 1;
        else
            return true;
    }
    return false;
}

/* How many 16-bit slots an operation takes; 0 for one that does not exist. */
static unsigned slots_of(enum unwind_op op, unsigned info)
{
    switch (op) {
    case UWOP_PUSH_NONVOL:
    case UWOP_ALLOC_SMALL:
    case UWOP_SET_FPREG:
    case UWOP_EPILOG:
    case UWOP_PUSH_MACHFRAME:
        return 1;
    case UWOP_ALLOC_LARGE:
        return info == 0 ? 2 : info == 1 ? 3 : 0;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_XMM128:
        return 2;
    case UWOP_SAVE_NONVOL_FAR:
    case UWOP_SAVE_XMM128_FAR:
        return 3;
    default:
        return 0;
    }
}

struct unwind_info {
    uint8_t version_flags, prolog_bytes, code_count, frame;
};

/* Undoes one operation; `slots` are its operands. */
static bool undo(const struct walk *w, enum unwind_op op, unsigned info, const uint16_t *slots,
                 const struct unwind_info *header)
{
    struct pe_context *c = w->context;
    unsigned frame = header->frame & 15;
    uint32_t far = slots[0] | (uint32_t)slots[1] << 16;
    switch (op) {
    case UWOP_PUSH_NONVOL:
        c->known |= 1u << info;
        return pop(w, &c->registers[info]);
    case UWOP_ALLOC_LARGE:
        c->registers[PE_RSP] += info == 0 ? slots[0] * 8u : far;
        return true;
    case UWOP_ALLOC_SMALL:
        c->registers[PE_RSP] += info * 8 + 8;
        return true;
    case UWOP_SET_FPREG:
        if (!(c->known >> frame & 1))
            return false;
        c->registers[PE_RSP] = c->registers[frame] - (header->frame >> 4) * 16u;
        return true;
    case UWOP_SAVE_NONVOL:
    case UWOP_SAVE_NONVOL_FAR:
        c->known |= 1u << info;
        return read_stack(w, c->registers[PE_RSP] + (op == UWOP_SAVE_NONVOL ? slots[0] * 8u : far),
                          &c->registers[info]);
    default:
        return op != UWOP_PUSH_MACHFRAME; /* no interrupts here */
    }
}

static bool undo_all(const struct walk *w, uint32_t info_offset, uint32_t in_function,
                     unsigned depth)
{
    struct unwind_info header;
    uint16_t codes[256 + 4] = {0};
    if (depth > 32 || !read_image(w, info_offset, &header, sizeof(header)) ||
        ((header.version_flags & 7) != 1 && (header.version_flags & 7) != 2) ||
        !read_image(w, (uint64_t)info_offset + 4, codes, header.code_count * 2u))
        return false;
    for (unsigned i = 0; i < header.code_count;) {
        enum unwind_op op = codes[i] >> 8 & 15;
        unsigned info = codes[i] >> 12, slots = slots_of(op, info);
        if (slots == 0)
            return false;
        if ((codes[i] & 0xff) <= in_function && op != UWOP_EPILOG &&
            !undo(w, op, info, codes + i + 1, &header))
            return false;
        i += slots;
    }
    if (header.version_flags >> 3 & UNW_FLAG_CHAININFO) {
        struct pe_runtime_function parent;
        if (!read_image(w, (uint64_t)info_offset + 4 + ((header.code_count + 1u) & ~1u) * 2u,
                        &parent, sizeof(parent)))
            return false;
        return undo_all(w, parent.unwind_info, UINT32_MAX, depth + 1);
    }
    return true;
}

bool pe_unwind(const struct nt_image *image, struct pe_context *context, uint64_t limit)
{
    struct walk w = {(const uint8_t *)atomic_load(&image->base), atomic_load(&image->size), context,
                     limit};
    /* A call that never returns may be the last instruction of its function. */
    uint32_t offset = (uint32_t)(context->rip - 1 - (uintptr_t)w.base);
    struct pe_runtime_function function;
    if (find_function(&w, image, offset, &function) &&
        !undo_all(&w, function.unwind_info, offset + 1 - function.begin, 0))
        return false;
    return pop(&w, &context->rip);
}
