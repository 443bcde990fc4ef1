/* Names of Linux and of NT, one to one; nthost/nt.h. */
#include <nthost/nt.h>
#include <string.h>

#define PRIVATE 0xf000u /* + byte */

/* One well-formed UTF-8 sequence that maps to itself: its length, else 0. */
static unsigned sequence(const unsigned char *text, size_t bytes, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    unsigned char first = text[0];
    unsigned more = first >= 0xf0 && first < 0xf5   ? 3
                    : first >= 0xe0 && first < 0xf0 ? 2
                    : first >= 0xc2 && first < 0xe0 ? 1
                                                    : 0;
    if (more == 0 || more >= bytes)
        return 0;
    *code = first & (0x3f >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (text[i] & 0x3f);
    }
    if (*code < smallest[more] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000) ||
        (*code >= PRIVATE && *code < PRIVATE + 0x100))
        return 0;
    return more + 1;
}

static bool forbidden(unsigned char c)
{
    return c < 32 || (c < 128 && strchr("\"*:<>?\\|", c) != NULL);
}

int nt_name_from_unix(const char *name, size_t bytes, bool path, WCHAR *out, unsigned room)
{
    const unsigned char *text = (const unsigned char *)name;
    unsigned n = 0;
    for (size_t at = 0; at < bytes;) {
        uint32_t code = text[at];
        unsigned length = 1;
        if (path && code == '/') {
            code = '\\';
        } else if (code >= 0x80) {
            length = sequence(text + at, bytes - at, &code);
            if (length == 0) {
                code = PRIVATE + text[at];
                length = 1;
            }
        } else if (forbidden((unsigned char)code)) {
            code += PRIVATE;
        }
        at += length;
        if (n + (code > 0xffff) >= room)
            return -1;
        if (code > 0xffff) {
            out[n++] = (WCHAR)(0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + (code & 0x3ff);
        }
        out[n++] = (WCHAR)code;
    }
    return (int)n;
}

int nt_name_to_unix(const WCHAR *name, unsigned chars, char *out, unsigned room)
{
    unsigned n = 0;
    for (unsigned at = 0; at < chars;) {
        uint32_t code = (uint16_t)name[at++];
        if (code >= 0xd800 && code < 0xe000) {
            if (code >= 0xdc00 || at == chars || (name[at] & 0xfc00) != 0xdc00)
                return -1;
            code = 0x10000 + ((code & 0x3ff) << 10) + (name[at++] & 0x3ffu);
        } else if (code == '/' || (code < 0x80 && forbidden((unsigned char)code))) {
            return -1;
        }
        if (code > PRIVATE && code < PRIVATE + 0x100) {
            if (code == PRIVATE + '/' || n + 1 >= room)
                return -1;
            out[n++] = (char)(code - PRIVATE);
            continue;
        }
        unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
        static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
        if (n + more + 1 >= room)
            return -1;
        out[n++] = (char)(lead[more] | code >> (6 * more));
        for (unsigned i = more; i-- > 0;)
            out[n++] = (char)(0x80 | (code >> (6 * i) & 0x3f));
    }
    out[n] = 0;
    if (n == 0 || n > 255 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
        return -1;
    return (int)n;
}
