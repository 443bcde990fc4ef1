/*
 * From the bytes of an INF to UTF-8. Windows reads UTF-16 LE with a byte order mark, and else the
 * ANSI code page of whichever machine installs: only ASCII means the same everywhere. Other
 * encodings are reported, and read as far as they make sense, so that one run finds all errors.
 */
#include "inf.h"
#include <string.h>

static unsigned line_at(const char *text, const char *where)
{
    unsigned line = 1;
    for (; text < where; text++)
        line += *text == '\n';
    return line;
}

static char *from_utf16(struct inf *inf, const unsigned char *data, size_t bytes,
                        struct rule_report *report)
{
    char *text = arena_alloc(&inf->arena, bytes * 2 + 4), *to = text;
    bool bad = bytes % 2;
    for (size_t i = 0; i + 1 < bytes; i += 2) {
        uint32_t code = data[i] | (uint32_t)data[i + 1] << 8;
        if (code >= 0xd800 && code < 0xe000) {
            uint32_t low = i + 3 < bytes ? data[i + 2] | (uint32_t)data[i + 3] << 8 : 0;
            if (code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                i += 2;
            } else {
                bad = true;
                code = 0xfffd;
            }
        }
        to += text_put_utf8(to, code ? code : 0x01);
    }
    if (bad)
        rule_broken(report, RuleEncoding, 0,
                    "the file is not valid UTF-16: it has an odd number of bytes or half a "
                    "surrogate pair; save it again as UTF-16 LE");
    return text;
}

char *inf_decode(struct inf *inf, const void *data, size_t bytes, struct rule_report *report)
{
    const unsigned char *d = data;
    char *text;
    if (bytes >= 2 && d[0] == 0xff && d[1] == 0xfe) {
        text = from_utf16(inf, d + 2, bytes - 2, report);
    } else if (bytes >= 2 && d[0] == 0xfe && d[1] == 0xff) {
        rule_broken(report, RuleEncoding, 0,
                    "the file is UTF-16 BE; save it as UTF-16 LE with a byte order mark");
        return NULL;
    } else if (memchr(d, 0, bytes)) {
        rule_broken(report, RuleEncoding, 0,
                    "the file holds NUL bytes: UTF-16 without a byte order mark, or no text; save "
                    "it as UTF-16 LE with a byte order mark");
        return NULL;
    } else {
        bool mark = bytes >= 3 && !memcmp(d, "\xef\xbb\xbf", 3);
        if (mark) {
            rule_broken(report, RuleEncoding, 1,
                        "the file is UTF-8 with a byte order mark, which Windows does not read as "
                        "such; save it as UTF-16 LE, or as ASCII without a mark");
            d += 3;
            bytes -= 3;
        }
        const char *bad = text_invalid_utf8((const char *)d, bytes);
        if (bad) { /* some ANSI code page: Latin-1 shows most of it */
            text = arena_alloc(&inf->arena, bytes * 2 + 1);
            char *to = text;
            for (size_t i = 0; i < bytes; i++)
                to += text_put_utf8(to, d[i]);
        } else {
            text = arena_strndup(&inf->arena, (const char *)d, bytes);
        }
        for (const char *t = text; *t && !mark; t++)
            if (*t & 0x80) {
                rule_broken(
                    report, RuleEncoding, line_at(text, t),
                    "a character beyond ASCII in a file without a byte order mark means something "
                    "else on each machine; save the file as UTF-16 LE with a mark");
                break;
            }
    }

    for (char *t = text; *t; t++) {
        unsigned char c = (unsigned char)*t;
        if (c == '\r')
            *t = t[1] == '\n' ? ' ' : '\n';
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
            rule_broken(report, RuleEncoding, line_at(text, t),
                        "a control character (0x%02x) in the text; remove it", c);
            *t = ' ';
        }
    }
    return text;
}
