/* Names and altitudes. */
#include "flt.h"
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

NTSTATUS flt_copy_name(UNICODE_STRING *to, PCUNICODE_STRING from)
{
    to->Buffer = malloc(from->Length + sizeof(WCHAR));
    if (to->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memcpy(to->Buffer, from->Buffer, from->Length);
    to->Buffer[from->Length / sizeof(WCHAR)] = 0;
    to->Length = to->MaximumLength = from->Length;
    return STATUS_SUCCESS;
}

void flt_free_name(UNICODE_STRING *name)
{
    free(name->Buffer);
    name->Buffer = NULL;
    name->Length = name->MaximumLength = 0;
}

bool flt_same_name(PCUNICODE_STRING a, PCUNICODE_STRING b)
{
    return utf16_compare(a->Buffer, a->Length / sizeof(WCHAR), b->Buffer,
                         b->Length / sizeof(WCHAR)) == 0;
}

NTSTATUS flt_return_name(PCUNICODE_STRING name, PUNICODE_STRING out, PULONG needed)
{
    if (needed != NULL)
        *needed = name->Length;
    if (out == NULL || out->MaximumLength < name->Length)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy(out->Buffer, name->Buffer, name->Length);
    out->Length = name->Length;
    return STATUS_SUCCESS;
}

/* An altitude is a decimal number of any length: digits, perhaps a point and more digits. */

static unsigned whole_digits(const WCHAR *text, unsigned chars)
{
    unsigned n = 0;
    while (n < chars && text[n] != '.')
        n++;
    return n;
}

bool flt_is_altitude(PCUNICODE_STRING text)
{
    unsigned chars = text->Length / sizeof(WCHAR), points = 0;
    for (unsigned i = 0; i < chars; i++) {
        if (text->Buffer[i] == '.')
            points++;
        else if (text->Buffer[i] < '0' || text->Buffer[i] > '9')
            return false;
    }
    return chars != 0 && points <= 1 && text->Buffer[0] != '.';
}

static WCHAR digit_at(const WCHAR *text, unsigned chars, unsigned at)
{
    return at < chars ? text[at] : '0';
}

int flt_compare_altitudes(PCUNICODE_STRING a, PCUNICODE_STRING b)
{
    const WCHAR *at = a->Buffer, *bt = b->Buffer;
    unsigned ac = a->Length / sizeof(WCHAR), bc = b->Length / sizeof(WCHAR);
    while (ac > 1 && at[0] == '0' && at[1] != '.')
        at++, ac--;
    while (bc > 1 && bt[0] == '0' && bt[1] != '.')
        bt++, bc--;
    unsigned aw = whole_digits(at, ac), bw = whole_digits(bt, bc);
    if (aw != bw)
        return aw < bw ? -1 : 1;
    for (unsigned i = 0; i < aw; i++)
        if (at[i] != bt[i])
            return at[i] < bt[i] ? -1 : 1;
    for (unsigned i = aw + 1; i < ac || i < bc; i++) {
        WCHAR x = digit_at(at, ac, i), y = digit_at(bt, bc, i);
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}
