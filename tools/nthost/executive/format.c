/*
 * printf with the kernel's conversions, for DbgPrint and for what ntstrsafe.h stands on
 * (_vsnprintf, _vsnwprintf).
 *
 * WDK: "Format specification syntax", DbgPrint. Differences from C: %S is a string of the other
 * width, %ws and %ls wide, %hs narrow, %Z an ANSI_STRING, %wZ a UNICODE_STRING, I64 and I32 sizes,
 * long is 32 bits, %p pads to 16 digits. No floating point: kernel code has none. Text that changes
 * its width goes through UTF-8 or UTF-16 as need be.
 */
#include "format.h"
#include <ntdef.h>
#include <stdint.h>

struct sink {
    void *out;
    size_t room, length;
    bool wide;
};

struct spec {
    bool left, plus, space, alternate, zero;
    int width, precision; /* precision -1: none */
    char size;            /* 0, 'h', 'H' (hh), 'l', 'L' (64 bits), 'w', 'z' */
};

static void put_unit(struct sink *sink, uint32_t unit)
{
    if (sink->length < sink->room) {
        if (sink->wide)
            ((WCHAR *)sink->out)[sink->length] = (WCHAR)unit;
        else
            ((char *)sink->out)[sink->length] = (char)unit;
    }
    sink->length++;
}

/* A code point, in the sink's encoding. */
static void put_code(struct sink *sink, uint32_t code)
{
    if (sink->wide) {
        if (code >= 0x10000) {
            put_unit(sink, 0xd800 + ((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        put_unit(sink, code);
    } else if (code < 0x80) {
        put_unit(sink, code);
    } else if (code < 0x800) {
        put_unit(sink, 0xc0 | code >> 6);
        put_unit(sink, 0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        put_unit(sink, 0xe0 | code >> 12);
        put_unit(sink, 0x80 | (code >> 6 & 0x3f));
        put_unit(sink, 0x80 | (code & 0x3f));
    } else {
        put_unit(sink, 0xf0 | code >> 18);
        put_unit(sink, 0x80 | (code >> 12 & 0x3f));
        put_unit(sink, 0x80 | (code >> 6 & 0x3f));
        put_unit(sink, 0x80 | (code & 0x3f));
    }
}

static void pad(struct sink *sink, size_t length, const struct spec *spec, bool before)
{
    if (spec->left == before || spec->width < 0)
        return;
    for (size_t i = length; i < (size_t)spec->width; i++)
        put_unit(sink, ' ');
}

static void put_narrow(struct sink *sink, const char *text, size_t length, const struct spec *spec)
{
    pad(sink, length, spec, true);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!sink->wide || c < 0x80) {
            put_unit(sink, c);
            continue;
        }
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc2 ? 1 : 0;
        uint32_t code = more ? c & (0x3fu >> more) : 0xfffd;
        for (; more && i + 1 < length && ((unsigned char)text[i + 1] & 0xc0) == 0x80; more--)
            code = code << 6 | ((unsigned char)text[++i] & 0x3f);
        put_code(sink, more ? 0xfffd : code);
    }
    pad(sink, length, spec, false);
}

static void put_wide(struct sink *sink, const WCHAR *text, size_t length, const struct spec *spec)
{
    pad(sink, length, spec, true);
    for (size_t i = 0; i < length; i++) {
        uint32_t code = text[i];
        if (!sink->wide && code >= 0xd800 && code < 0xdc00 && i + 1 < length &&
            text[i + 1] >= 0xdc00 && text[i + 1] < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (text[++i] - 0xdc00u);
        put_code(sink, code);
    }
    pad(sink, length, spec, false);
}

static void put_string(struct sink *sink, const void *text, bool wide, const struct spec *spec)
{
    size_t limit = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision, length = 0;
    if (!text) {
        text = "(null)";
        wide = false;
    }
    while (length < limit &&
           (wide ? ((const WCHAR *)text)[length] : (WCHAR)((const char *)text)[length]))
        length++;
    if (wide)
        put_wide(sink, text, length, spec);
    else
        put_narrow(sink, text, length, spec);
}

static void put_number(struct sink *sink, uint64_t value, bool negative, unsigned base,
                       bool capitals, const struct spec *spec)
{
    char digits[24], prefix[3];
    int count = 0, prefix_count = 0;
    const char *alphabet = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    bool nonzero = value != 0;
    for (; value; value /= base)
        digits[count++] = alphabet[value % base];
    int least = spec->precision < 0 ? 1 : spec->precision;
    if (negative || spec->plus || spec->space)
        prefix[prefix_count++] = negative ? '-' : spec->plus ? '+' : ' ';
    if (spec->alternate && base == 16 && nonzero) {
        prefix[prefix_count++] = '0';
        prefix[prefix_count++] = capitals ? 'X' : 'x';
    } else if (spec->alternate && base == 8 && least <= count) {
        least = count + 1;
    }
    if (spec->zero && !spec->left && spec->precision < 0 && spec->width - prefix_count > least)
        least = spec->width - prefix_count;
    int zeros = least > count ? least - count : 0;
    size_t length = (size_t)prefix_count + (size_t)zeros + (size_t)count;
    pad(sink, length, spec, true);
    for (int i = 0; i < prefix_count; i++)
        put_unit(sink, (unsigned char)prefix[i]);
    for (int i = 0; i < zeros; i++)
        put_unit(sink, '0');
    while (count-- > 0)
        put_unit(sink, (unsigned char)digits[count]);
    pad(sink, length, spec, false);
}

static uint32_t unit_at(const void *format, bool wide, size_t at)
{
    return wide ? ((const WCHAR *)format)[at] : ((const unsigned char *)format)[at];
}

static size_t read_size(const void *format, bool wide, size_t at, struct spec *spec)
{
    for (;;) {
        uint32_t c = unit_at(format, wide, at), next = c ? unit_at(format, wide, at + 1) : 0;
        if (c == 'h') {
            spec->size = spec->size == 'h' ? 'H' : 'h';
        } else if (c == 'l') {
            spec->size = spec->size == 'l' ? 'L' : 'l';
        } else if (c == 'w') {
            spec->size = 'w';
        } else if (c == 'z' || c == 't' || c == 'j') {
            spec->size = 'L';
        } else if (c == 'I' && next == '6' && unit_at(format, wide, at + 2) == '4') {
            spec->size = 'L';
            at += 2;
        } else if (c == 'I' && next == '3' && unit_at(format, wide, at + 2) == '2') {
            at += 2;
        } else if (c == 'I') {
            spec->size = 'L'; /* pointer sized */
        } else {
            return at;
        }
        at++;
    }
}

static size_t read_spec(const void *format, bool wide, size_t at, struct spec *spec,
                        __builtin_ms_va_list *arguments)
{
    *spec = (struct spec){.precision = -1};
    for (;; at++) {
        uint32_t c = unit_at(format, wide, at);
        if (c == '-')
            spec->left = true;
        else if (c == '+')
            spec->plus = true;
        else if (c == ' ')
            spec->space = true;
        else if (c == '#')
            spec->alternate = true;
        else if (c == '0')
            spec->zero = true;
        else
            break;
    }
    if (unit_at(format, wide, at) == '*') {
        spec->width = __builtin_va_arg(*arguments, int);
        if (spec->width < 0) {
            spec->left = true;
            spec->width = -spec->width;
        }
        at++;
    }
    for (uint32_t c; (c = unit_at(format, wide, at)) >= '0' && c <= '9' && spec->width < 10000;
         at++)
        spec->width = spec->width * 10 + (int)(c - '0');
    if (unit_at(format, wide, at) == '.') {
        spec->precision = 0;
        if (unit_at(format, wide, ++at) == '*') {
            spec->precision = __builtin_va_arg(*arguments, int);
            at++;
        }
        for (uint32_t c;
             (c = unit_at(format, wide, at)) >= '0' && c <= '9' && spec->precision < 10000; at++)
            spec->precision = spec->precision * 10 + (int)(c - '0');
    }
    return read_size(format, wide, at, spec);
}

static uint64_t read_unsigned(const struct spec *spec, __builtin_ms_va_list *arguments)
{
    uint64_t value = spec->size == 'L' ? __builtin_va_arg(*arguments, uint64_t)
                                       : __builtin_va_arg(*arguments, uint32_t);
    return spec->size == 'h' ? (uint16_t)value : spec->size == 'H' ? (uint8_t)value : value;
}

static int64_t read_signed(const struct spec *spec, __builtin_ms_va_list *arguments)
{
    int64_t value = spec->size == 'L' ? __builtin_va_arg(*arguments, int64_t)
                                      : __builtin_va_arg(*arguments, int32_t);
    return spec->size == 'h' ? (int16_t)value : spec->size == 'H' ? (int8_t)value : value;
}

static void convert(struct sink *sink, uint32_t conversion, struct spec *spec,
                    __builtin_ms_va_list *arguments)
{
    bool wide_text = spec->size == 'w' || spec->size == 'l'   ? true
                     : spec->size == 'h'                      ? false
                     : conversion == 'S' || conversion == 'C' ? !sink->wide
                                                              : sink->wide;
    switch (conversion) {
    case 'd':
    case 'i': {
        int64_t value = read_signed(spec, arguments);
        put_number(sink, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0, 10, false,
                   spec);
        break;
    }
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        spec->plus = spec->space = false;
        put_number(sink, read_unsigned(spec, arguments), false,
                   conversion == 'u'   ? 10
                   : conversion == 'o' ? 8
                                       : 16,
                   conversion == 'X', spec);
        break;
    case 'p':
        spec->precision = 16;
        put_number(sink, (uintptr_t)__builtin_va_arg(*arguments, void *), false, 16, true, spec);
        break;
    case 'c':
    case 'C': {
        uint32_t unit = (uint32_t)__builtin_va_arg(*arguments, int);
        pad(sink, 1, spec, true);
        put_code(sink, wide_text ? (uint16_t)unit : (uint8_t)unit);
        pad(sink, 1, spec, false);
        break;
    }
    case 's':
    case 'S':
        put_string(sink, __builtin_va_arg(*arguments, const void *), wide_text, spec);
        break;
    case 'Z': {
        const STRING *string = __builtin_va_arg(*arguments, const STRING *);
        if (!string || !string->Buffer)
            put_narrow(sink, "(null)", 6, spec);
        else if (spec->size == 'w' || (sink->wide && spec->size != 'h'))
            put_wide(sink, (const WCHAR *)(const void *)string->Buffer,
                     string->Length / sizeof(WCHAR), spec);
        else
            put_narrow(sink, string->Buffer, string->Length, spec);
        break;
    }
    default:
        put_unit(sink, conversion);
    }
}

size_t nt_format(void *out, size_t room, bool wide, const void *format,
                 __builtin_ms_va_list arguments)
{
    struct sink sink = {out, room, 0, wide};
    for (size_t at = 0;; at++) {
        uint32_t c = unit_at(format, wide, at);
        if (!c)
            break;
        if (c != '%') {
            put_unit(&sink, c);
            continue;
        }
        struct spec spec;
        at = read_spec(format, wide, at + 1, &spec, &arguments);
        if (!unit_at(format, wide, at))
            break;
        convert(&sink, unit_at(format, wide, at), &spec, &arguments);
    }
    return sink.length;
}
