/* Encoding of registry changes; see reg_codec.h. */
#include "reg_codec.h"
#include <stdlib.h>
#include <string.h>

#define FLAG_VOLATILE 1

struct header {
    uint8_t kind, flags;
    uint16_t path_chars, name_chars, reserved;
    uint32_t type, bytes;
    int64_t time;
} __attribute__((packed));

/* Each change starts at a multiple of 8: the decoded one points at WCHARs. */
static size_t padded(size_t bytes)
{
    return (bytes + 7) & ~(size_t)7;
}

bool reg_encode(struct reg_buffer *buffer, const struct reg_op *op)
{
    struct header h = {.kind = (uint8_t)op->kind,
                       .flags = op->is_volatile ? FLAG_VOLATILE : 0,
                       .path_chars = (uint16_t)op->path_chars,
                       .name_chars = (uint16_t)op->name_chars,
                       .type = op->type,
                       .bytes = op->bytes,
                       .time = op->time};
    size_t path = op->path_chars * sizeof(WCHAR), name = op->name_chars * sizeof(WCHAR);
    size_t total = padded(sizeof(h) + path + name + op->bytes);
    if (buffer->room - buffer->bytes < total) {
        size_t room = (buffer->bytes + total) * 2;
        uint8_t *bigger = realloc(buffer->data, room);
        if (bigger == NULL)
            return false;
        buffer->data = bigger;
        buffer->room = room;
    }
    uint8_t *out = buffer->data + buffer->bytes;
    memcpy(out, &h, sizeof(h));
    out += sizeof(h);
    memcpy(out, op->path, path);
    out += path;
    if (name != 0)
        memcpy(out, op->name, name);
    out += name;
    if (op->bytes != 0)
        memcpy(out, op->data, op->bytes);
    out += op->bytes;
    memset(out, 0, (size_t)(buffer->data + buffer->bytes + total - out));
    buffer->bytes += total;
    return true;
}

bool reg_decode(const uint8_t **at, const uint8_t *end, struct reg_op *op)
{
    struct header h;
    if ((size_t)(end - *at) < sizeof(h))
        return false;
    memcpy(&h, *at, sizeof(h));
    *at += sizeof(h);
    size_t path = h.path_chars * sizeof(WCHAR), name = h.name_chars * sizeof(WCHAR);
    if (h.bytes > REG_MAX_DATA ||
        (size_t)(end - *at) < padded(sizeof(h) + path + name + h.bytes) - sizeof(h) ||
        h.kind < REG_OP_CREATE_KEY || h.kind > REG_OP_DELETE_VALUE)
        return false;
    *op = (struct reg_op){.kind = h.kind,
                          .path_chars = h.path_chars,
                          .time = h.time,
                          .is_volatile = (h.flags & FLAG_VOLATILE) != 0,
                          .name_chars = h.name_chars,
                          .type = h.type,
                          .bytes = h.bytes};
    op->path = (const WCHAR *)(const void *)*at;
    op->name = (const WCHAR *)(const void *)(*at + path);
    op->data = *at + path + name;
    *at += padded(sizeof(h) + path + name + h.bytes) - sizeof(h);
    return true;
}
