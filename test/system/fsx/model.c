#include "model.h"
#include <string.h>

const char *const operation_names[OPERATIONS] = {
    "read", "write",       "map read",     "map write", "truncate", "punch", "zero",  "allocate",
    "copy", "direct read", "direct write", "append",    "sync",     "drop",  "reopen"};

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(struct model *model, uint32_t limit)
{
    return limit == 0 ? 0 : (uint32_t)(next(&model->random) % limit);
}

/* Mostly small, sometimes large, often at the edge of a page. */
static uint32_t length(struct model *model)
{
    switch (below(model, 4)) {
    case 0:
        return 1 + below(model, 64);
    case 1:
        return PAGE * (1 + below(model, 8));
    case 2:
        return 1 + below(model, 3 * PAGE);
    default:
        return 1 + below(model, 96 << 10);
    }
}

static uint32_t place(struct model *model, uint32_t limit)
{
    uint32_t at = below(model, limit);
    switch (below(model, 4)) {
    case 0:
        return at / PAGE * PAGE;
    case 1:
        return model->size < limit ? model->size : at;
    default:
        return at;
    }
}

void model_start(struct model *model, uint64_t seed)
{
    memset(model, 0, sizeof(*model));
    model->random = seed * 0x2545f4914f6cdd1du + 1;
}

struct step model_draw(struct model *model)
{
    static const uint8_t weights[OPERATIONS] = {
        [OP_READ] = 12,    [OP_WRITE] = 16, [OP_MAP_READ] = 8,    [OP_MAP_WRITE] = 10,
        [OP_TRUNCATE] = 8, [OP_PUNCH] = 4,  [OP_ZERO] = 3,        [OP_ALLOCATE] = 2,
        [OP_COPY] = 4,     [OP_APPEND] = 4, [OP_DIRECT_READ] = 4, [OP_DIRECT_WRITE] = 4,
        [OP_SYNC] = 2,     [OP_DROP] = 2,   [OP_REOPEN] = 2};
    unsigned total = 0, operation = 0;
    for (unsigned i = 0; i < OPERATIONS; i++)
        total += weights[i];
    for (unsigned drawn = below(model, total); drawn >= weights[operation]; operation++)
        drawn -= weights[operation];
    struct step step = {.operation = (enum operation)operation, .fill = next(&model->random)};
    uint32_t limit = MODEL_BYTES;
    switch (step.operation) {
    case OP_READ:
    case OP_MAP_READ:
    case OP_MAP_WRITE:
        limit = model->size; /* what is mapped must exist */
        break;
    default:
        break;
    }
    step.offset = place(model, limit);
    step.bytes = length(model);
    step.keep_size = below(model, 2) != 0;
    if (step.operation == OP_APPEND)
        step.offset = model->size;
    if (step.operation == OP_DIRECT_READ || step.operation == OP_DIRECT_WRITE) {
        step.offset = step.offset / SECTOR * SECTOR;
        step.bytes = (step.bytes + SECTOR - 1) / SECTOR * SECTOR;
    }
    if (step.operation == OP_COPY) {
        step.from = below(model, model->size);
        if (step.bytes > model->size - step.from)
            step.bytes = model->size - step.from;
        /* The ranges of one file must not overlap. */
        uint32_t gap = step.from > step.offset ? step.from - step.offset : step.offset - step.from;
        if (step.bytes > gap)
            step.bytes = gap;
    }
    if (step.bytes > limit - step.offset)
        step.bytes = limit - step.offset;
    return step;
}

void step_data(const struct step *step, uint8_t *data)
{
    uint64_t state = step->fill;
    for (uint32_t i = 0; i < step->bytes; i += 8) {
        uint64_t word = next(&state) | 0x0101010101010101u; /* no zero: holes have them */
        memcpy(data + i, &word, step->bytes - i < 8 ? step->bytes - i : 8);
    }
}

static void grow(struct model *model, uint32_t size)
{
    if (size > model->size)
        model->size = size;
}

void model_apply(struct model *model, const struct step *step)
{
    uint32_t end = step->offset + step->bytes;
    switch (step->operation) {
    case OP_WRITE:
    case OP_APPEND:
    case OP_DIRECT_WRITE:
        if (step->bytes == 0)
            break;
        step_data(step, model->bytes + step->offset);
        grow(model, end);
        break;
    case OP_MAP_WRITE:
        step_data(step, model->bytes + step->offset);
        break;
    case OP_TRUNCATE:
        if (step->offset < model->size)
            memset(model->bytes + step->offset, 0, model->size - step->offset);
        model->size = step->offset;
        break;
    case OP_PUNCH:
        memset(model->bytes + step->offset, 0, step->bytes);
        break;
    case OP_ZERO:
        /* What is past the size is zero anyway. */
        memset(model->bytes + step->offset, 0, step->bytes);
        if (!step->keep_size && step->bytes != 0)
            grow(model, end);
        break;
    case OP_ALLOCATE:
        if (!step->keep_size && step->bytes != 0)
            grow(model, end);
        break;
    case OP_COPY:
        memcpy(model->bytes + step->offset, model->bytes + step->from, step->bytes);
        if (step->bytes != 0)
            grow(model, end);
        break;
    default:
        break;
    }
}

void step_print(const struct step *step, unsigned number, FILE *out)
{
    fprintf(out, "# %6u %-12s 0x%05x..0x%05x (%u bytes)", number, operation_names[step->operation],
            step->offset, step->offset + step->bytes, step->bytes);
    if (step->operation == OP_COPY)
        fprintf(out, " from 0x%05x", step->from);
    if (step->keep_size && (step->operation == OP_ZERO || step->operation == OP_ALLOCATE))
        fputs(" keeping the size", out);
    fputc('\n', out);
}
