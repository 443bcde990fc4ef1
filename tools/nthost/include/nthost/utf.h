/* Between UTF-8 (host, sockets, JSON) and UTF-16 (the kernel), and NT's case-insensitive order. */
#pragma once
#include <ntdef.h>
#include <stdbool.h>
#include <stddef.h>

/* Malformed input becomes U+FFFD. Both return a malloc'd, zero-terminated string; NULL: no memory.
 */
WCHAR *utf16_from_utf8(const char *text, size_t bytes, unsigned *chars);
char *utf8_from_utf16(const WCHAR *text, unsigned chars);
/* Into a buffer, always terminated; false if it was cut. */
bool utf8_copy(char *out, size_t size, const WCHAR *text, unsigned chars);
bool utf8_is_valid(const char *text, size_t bytes);

/* One to one upper case, as NT compares names: never changes the length. */
WCHAR utf16_upcase(WCHAR c);
int utf16_compare(const WCHAR *a, unsigned a_chars, const WCHAR *b, unsigned b_chars);
