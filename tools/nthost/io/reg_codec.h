/*
 * How changes are written in the log: {u8 kind, u8 flags, u16 path chars, u16 name chars,
 * u16 0, u32 type, u32 bytes, u64 time} path name data, padded to 8; a record's payload is one or
 * more. Undo information has the same form.
 */
#pragma once
#include "reg_tree.h"
#include <stddef.h>
#include <stdint.h>

struct reg_buffer {
    uint8_t *data;
    size_t bytes, room;
};
bool reg_encode(struct reg_buffer *buffer, const struct reg_op *op);
/* The op points into `at`. False: malformed. */
bool reg_decode(const uint8_t **at, const uint8_t *end, struct reg_op *op);
