/* Small text tools of setup. See text.h. */
#include "text.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
    struct arena_block *next;
    size_t used, bytes;
    _Alignas(16) unsigned char data[];
};

void *arena_alloc(struct arena *arena, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    struct arena_block *block = arena->blocks;
    if (!block || block->bytes - block->used < bytes) {
        size_t room = bytes > 16384 ? bytes : 16384;
        block = calloc(1, sizeof *block + room);
        if (!block)
            abort();
        block->bytes = room;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *result = block->data + block->used;
    block->used += bytes;
    return result;
}

char *arena_strndup(struct arena *arena, const char *text, size_t bytes)
{
    char *copy = arena_alloc(arena, bytes + 1);
    memcpy(copy, text, bytes);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    char *text = NULL;
    int bytes = vasprintf(&text, format, list);
    va_end(list);
    if (bytes < 0)
        abort();
    char *copy = arena_strndup(arena, text, (size_t)bytes);
    free(text);
    return copy;
}

void *arena_push(struct arena *arena, void **items, unsigned *count, unsigned *capacity,
                 size_t bytes)
{
    if (*count == *capacity) {
        unsigned room = *capacity ? *capacity * 2 : 8;
        void *grown = arena_alloc(arena, room * bytes);
        if (*count)
            memcpy(grown, *items, *count * bytes);
        *items = grown;
        *capacity = room;
    }
    return (char *)*items + (size_t)(*count)++ * bytes;
}

void arena_free(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}

static unsigned char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : (unsigned char)c;
}

bool text_same(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return fold(*a) == fold(*b);
}

bool text_starts(const char *text, const char *prefix)
{
    while (*prefix && fold(*text) == fold(*prefix))
        text++, prefix++;
    return !*prefix;
}

bool text_ends(const char *text, const char *suffix)
{
    size_t whole = strlen(text), part = strlen(suffix);
    return whole >= part && text_same(text + whole - part, suffix);
}

int text_among(const char *text, const char *const *list)
{
    for (int i = 0; list[i]; i++)
        if (text_same(text, list[i]))
            return i;
    return -1;
}

bool text_number(const char *text, uint64_t max, uint64_t *value)
{
    uint64_t base = 10, sum = 0;
    if (text[0] == '0' && fold(text[1]) == 'x') {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned char c = fold(*text);
        uint64_t digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10u : 99;
        if (digit >= base || sum > (max - digit) / base || digit > max)
            return false;
        sum = sum * base + digit;
    }
    *value = sum;
    return true;
}

bool text_is_guid(const char *text)
{
    static const char shape[] = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}";
    for (size_t i = 0; i < sizeof shape; i++) {
        unsigned char c = fold(text[i]);
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (shape[i] == 'x' ? !hex : text[i] != shape[i])
            return false;
    }
    return true;
}

/* One code point of valid UTF-8. */
static uint32_t next_code(const unsigned char **text)
{
    const unsigned char *t = *text;
    unsigned length = t[0] < 0x80 ? 1 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : 4;
    uint32_t code = length == 1 ? t[0] : t[0] & (0x7fu >> length);
    for (unsigned i = 1; i < length; i++)
        code = code << 6 | (t[i] & 0x3f);
    *text = t + length;
    return code;
}

size_t text_utf16_length(const char *text)
{
    size_t units = 0;
    for (const unsigned char *t = (const unsigned char *)text; *t;)
        units += next_code(&t) > 0xffff ? 2 : 1;
    return units;
}

const char *text_invalid_utf8(const char *text, size_t bytes)
{
    const unsigned char *t = (const unsigned char *)text, *end = t + bytes;
    while (t < end) {
        unsigned length = t[0] < 0x80   ? 1
                          : t[0] < 0xc2 ? 0
                          : t[0] < 0xe0 ? 2
                          : t[0] < 0xf0 ? 3
                          : t[0] < 0xf5 ? 4
                                        : 0;
        if (!length || (size_t)(end - t) < length)
            return (const char *)t;
        for (unsigned i = 1; i < length; i++)
            if ((t[i] & 0xc0) != 0x80)
                return (const char *)t;
        /* Overlong forms, surrogates and what lies beyond Unicode. */
        if ((t[0] == 0xe0 && t[1] < 0xa0) || (t[0] == 0xed && t[1] > 0x9f) ||
            (t[0] == 0xf0 && t[1] < 0x90) || (t[0] == 0xf4 && t[1] > 0x8f))
            return (const char *)t;
        t += length;
    }
    return NULL;
}

unsigned text_put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    unsigned length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (unsigned i = length; i-- > 1; code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    to[0] = (char)((0xf00u >> length & 0xf0u) | code);
    return length;
}
