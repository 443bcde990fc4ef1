/* UTF-8 and UTF-16; see nthost/utf.h. Unpaired surrogates and overlong forms become U+FFFD. */
#include <nthost/utf.h>
#include <stdint.h>
#include <stdlib.h>

#define REPLACEMENT 0xfffdu

/* One code point; advances *at. */
static uint32_t decode8(const uint8_t *text, size_t bytes, size_t *at, bool *valid)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = text[(*at)++];
    if (first < 0x80)
        return first;
    unsigned more = first >= 0xf0 && first < 0xf5   ? 3
                    : first >= 0xe0 && first < 0xf0 ? 2
                    : first >= 0xc2 && first < 0xe0 ? 1
                                                    : 0;
    uint32_t code = first & (0x3f >> more);
    unsigned i = 0;
    while (i < more && *at < bytes && (text[*at] & 0xc0) == 0x80) {
        code = code << 6 | (text[(*at)++] & 0x3f);
        i++;
    }
    if (more == 0 || i < more || code < smallest[more] || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000)) {
        *valid = false;
        return REPLACEMENT;
    }
    return code;
}

static uint32_t decode16(const WCHAR *text, unsigned chars, unsigned *at)
{
    uint32_t first = (uint16_t)text[(*at)++];
    if (first < 0xd800 || first >= 0xe000)
        return first;
    if (first >= 0xdc00 || *at == chars || (text[*at] & 0xfc00) != 0xdc00)
        return REPLACEMENT;
    return 0x10000 + ((first & 0x3ff) << 10) + (text[(*at)++] & 0x3ffu);
}

static unsigned encode8(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    unsigned more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(lead[more] | code >> (6 * more));
    for (unsigned i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

WCHAR *utf16_from_utf8(const char *text, size_t bytes, unsigned *chars)
{
    WCHAR *out = malloc((bytes + 1) * sizeof(WCHAR));
    unsigned n = 0;
    bool valid = true;
    if (out == NULL)
        return NULL;
    for (size_t at = 0; at < bytes;) {
        uint32_t code = decode8((const uint8_t *)text, bytes, &at, &valid);
        if (code >= 0x10000) {
            out[n++] = (WCHAR)(0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        out[n++] = (WCHAR)code;
    }
    out[n] = 0;
    if (chars != NULL)
        *chars = n;
    return out;
}

bool utf8_copy(char *out, size_t size, const WCHAR *text, unsigned chars)
{
    size_t used = 0;
    for (unsigned at = 0; at < chars;) {
        char bytes[4];
        unsigned n = encode8(decode16(text, chars, &at), bytes);
        if (used + n >= size) {
            if (size != 0)
                out[used] = 0;
            return false;
        }
        for (unsigned i = 0; i < n; i++)
            out[used++] = bytes[i];
    }
    if (size != 0)
        out[used] = 0;
    return size != 0;
}

char *utf8_from_utf16(const WCHAR *text, unsigned chars)
{
    size_t size = (size_t)chars * 3 + 1;
    char *out = malloc(size);
    if (out != NULL)
        utf8_copy(out, size, text, chars);
    return out;
}

bool utf8_is_valid(const char *text, size_t bytes)
{
    bool valid = true;
    for (size_t at = 0; at < bytes;)
        decode8((const uint8_t *)text, bytes, &at, &valid);
    return valid;
}

/* The alphabets that Unicode lays out in regular pairs: Latin, Greek, Cyrillic, Armenian. */
WCHAR utf16_upcase(WCHAR c)
{
    if (c < 0x80)
        return c >= 'a' && c <= 'z' ? (WCHAR)(c - 32) : c;
    if (c >= 0xe0 && c <= 0xfe && c != 0xf7)
        return (WCHAR)(c - 32);
    if (c == 0xff)
        return 0x178;
    if ((c >= 0x100 && c <= 0x137 && c != 0x131) || (c >= 0x14a && c <= 0x177) ||
        (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x523) ||
        (c >= 0x1e00 && c <= 0x1e95) || (c >= 0x1ea0 && c <= 0x1eff))
        return (WCHAR)(c & ~1);
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return c & 1 ? c : (WCHAR)(c - 1);
    if (c >= 0x3b1 && c <= 0x3cb && c != 0x3c2)
        return (WCHAR)(c - 32);
    if (c >= 0x430 && c <= 0x44f)
        return (WCHAR)(c - 32);
    if (c >= 0x450 && c <= 0x45f)
        return (WCHAR)(c - 80);
    if (c >= 0x561 && c <= 0x586)
        return (WCHAR)(c - 48);
    return c;
}

int utf16_compare(const WCHAR *a, unsigned a_chars, const WCHAR *b, unsigned b_chars)
{
    for (unsigned i = 0; i < a_chars && i < b_chars; i++) {
        int difference = (uint16_t)utf16_upcase(a[i]) - (uint16_t)utf16_upcase(b[i]);
        if (difference != 0)
            return difference;
    }
    return (a_chars > b_chars) - (a_chars < b_chars);
}
