/*
 * Small text tools of setup: an arena, comparison without case, numbers, GUIDs, encodings.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Everything that one INF needs lives in one arena and is freed at once. Allocation failure ends
 * the process: an INF is small, and the host has no way to go on. */
struct arena_block;
struct arena {
    struct arena_block *blocks;
};
void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed */
char *arena_strndup(struct arena *arena, const char *text, size_t bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A vector's next free element; `items` moves when it grows. */
void *arena_push(struct arena *arena, void **items, unsigned *count, unsigned *capacity,
                 size_t bytes);
void arena_free(struct arena *arena);

/* ASCII case only: INF names are compared so, and no name that matters is anything else. */
bool text_same(const char *a, const char *b);
bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);
/* One of a NULL-terminated list; its index or -1. */
int text_among(const char *text, const char *const *list);

/* Decimal or 0x-hexadecimal, whole string; false also beyond `max`. */
bool text_number(const char *text, uint64_t max, uint64_t *value);
/* {8-4-4-4-12} */
bool text_is_guid(const char *text);

/* Length in UTF-16 units: what Windows counts its limits in. */
size_t text_utf16_length(const char *text);
/* First invalid byte of UTF-8, or NULL. */
const char *text_invalid_utf8(const char *text, size_t bytes);
/* Appends one code point; returns bytes written, at most 4. */
unsigned text_put_utf8(char *to, uint32_t code);
