/*
 * What a file must hold: its bytes and its size, and the operations that made it so. An operation
 * is drawn from the seed alone, so that a run can be repeated.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { MODEL_BYTES = 512 << 10, PAGE = 4096, SECTOR = 4096 };

enum operation {
    OP_READ,
    OP_WRITE,
    OP_MAP_READ,
    OP_MAP_WRITE,
    OP_TRUNCATE,
    OP_PUNCH,
    OP_ZERO,
    OP_ALLOCATE,
    OP_COPY,
    OP_DIRECT_READ,
    OP_DIRECT_WRITE,
    OP_APPEND,
    OP_SYNC,
    OP_DROP,
    OP_REOPEN,
    OPERATIONS
};
extern const char *const operation_names[OPERATIONS];

struct step {
    enum operation operation;
    uint32_t offset, bytes; /* in the file; OP_TRUNCATE: offset is the size */
    uint32_t from;          /* OP_COPY */
    bool keep_size;         /* OP_ZERO, OP_ALLOCATE */
    uint64_t fill;          /* where the data that is written comes from */
};

struct model {
    uint64_t random;
    uint32_t size;
    uint8_t bytes[MODEL_BYTES];
};

void model_start(struct model *model, uint64_t seed);
struct step model_draw(struct model *model);
/* The data of a step that writes. */
void step_data(const struct step *step, uint8_t *data);
/* The step happened. */
void model_apply(struct model *model, const struct step *step);
void step_print(const struct step *step, unsigned number, FILE *out);
