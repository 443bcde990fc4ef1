/*
 * Conversions of strings: ANSI, UTF-8, integers, GUIDs.
 *
 * WDK: RtlAnsiStringToUnicodeString, RtlUnicodeStringToAnsiString, RtlUnicodeToUTF8N,
 * RtlUTF8ToUnicodeN, RtlIntegerToUnicodeString, RtlUnicodeStringToInteger, RtlStringFromGUID,
 * RtlGUIDFromString. The ANSI code page of this machine is UTF-8, as Windows can be set to.
 */
#include "dispatcher.h"
#include "pool.h"
#include <stdio.h>
#include <string.h>

#define STRING_TAG 0x67727453u /* "Strg" */

/* Writes while there is room and counts all; *changed: malformed input became U+FFFD. */
static size_t to_utf8(const WCHAR *text, size_t chars, char *out, size_t room, size_t *written,
                      bool *changed)
{
    size_t need = 0, done = 0;
    bool full = false;
    for (size_t i = 0; i < chars; i++) {
        uint32_t code = text[i];
        if (code >= 0xd800 && code < 0xdc00 && i + 1 < chars && text[i + 1] >= 0xdc00 &&
            text[i + 1] < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (text[++i] - 0xdc00u);
        } else if (code >= 0xd800 && code < 0xe000) {
            code = 0xfffd;
            *changed = true;
        }
        char bytes[4];
        unsigned count = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        for (unsigned k = count; k-- > 1; code >>= 6)
            bytes[k] = (char)(0x80 | (code & 0x3f));
        static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
        bytes[0] = (char)(lead[count] | code);
        need += count;
        full = full || done + count > room;
        if (out && !full) {
            memcpy(out + done, bytes, count);
            done += count;
        }
    }
    *written = done;
    return need;
}

/* One code point; advances. Malformed: U+FFFD, one byte. */
static uint32_t next_utf8(const unsigned char **text, const unsigned char *end, bool *changed)
{
    const unsigned char *p = *text;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned more = *p < 0x80                 ? 0
                    : *p >= 0xc2 && *p < 0xe0 ? 1
                    : *p >= 0xe0 && *p < 0xf0 ? 2
                    : *p >= 0xf0 && *p < 0xf5 ? 3
                                              : 4;
    uint32_t code = more == 4 ? 0xfffd : more ? *p & (0x3fu >> more) : *p;
    bool good = more < 4 && end - p > (ptrdiff_t)more;
    for (unsigned i = 1; good && i <= more; i++) {
        good = (p[i] & 0xc0) == 0x80;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (!good || code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        *changed = true;
        *text = p + 1;
        return 0xfffd;
    }
    *text = p + 1 + more;
    return code;
}

static size_t to_utf16(const char *text, size_t bytes, WCHAR *out, size_t room, size_t *written,
                       bool *changed)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    size_t need = 0, done = 0;
    bool full = false;
    while (p < end) {
        uint32_t code = next_utf8(&p, end, changed);
        size_t count = code < 0x10000 ? 1 : 2;
        need += count;
        full = full || done + count > room;
        if (!out || full)
            continue;
        if (count == 1) {
            out[done++] = (WCHAR)code;
        } else {
            out[done++] = (WCHAR)(0xd800 + ((code - 0x10000) >> 10));
            out[done++] = (WCHAR)(0xdc00 + ((code - 0x10000) & 0x3ff));
        }
    }
    *written = done;
    return need;
}

NTSTATUS NTAPI RtlUnicodeToUTF8N(PCHAR Destination, ULONG DestinationMaxBytes, PULONG ActualBytes,
                                 PCWCH Source, ULONG SourceBytes)
{
    VF_ENTRY(PASSIVE_LEVEL);
    size_t written;
    bool changed = false;
    size_t need = to_utf8(Source, SourceBytes / sizeof(WCHAR), Destination, DestinationMaxBytes,
                          &written, &changed);
    if (ActualBytes)
        *ActualBytes = (ULONG)(Destination ? written : need);
    if (Destination && written < need)
        return STATUS_BUFFER_TOO_SMALL;
    return changed ? STATUS_SOME_NOT_MAPPED : STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlUTF8ToUnicodeN(PWSTR Destination, ULONG DestinationMaxBytes, PULONG ActualBytes,
                                 PCCH Source, ULONG SourceBytes)
{
    VF_ENTRY(PASSIVE_LEVEL);
    size_t written;
    bool changed = false;
    size_t need = to_utf16(Source, SourceBytes, Destination, DestinationMaxBytes / sizeof(WCHAR),
                           &written, &changed);
    if (ActualBytes)
        *ActualBytes = (ULONG)((Destination ? written : need) * sizeof(WCHAR));
    if (Destination && written < need)
        return STATUS_BUFFER_TOO_SMALL;
    return changed ? STATUS_SOME_NOT_MAPPED : STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlAnsiStringToUnicodeString(PUNICODE_STRING DestinationString,
                                            PCANSI_STRING SourceString,
                                            BOOLEAN AllocateDestinationString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    size_t written;
    bool changed = false;
    size_t need =
        (to_utf16(SourceString->Buffer, SourceString->Length, NULL, 0, &written, &changed) + 1) *
        sizeof(WCHAR);
    if (need > 0xfffe)
        return STATUS_INVALID_PARAMETER_2;
    if (AllocateDestinationString) {
        if (vf_fault(VfFaultPool))
            return STATUS_NO_MEMORY;
        DestinationString->Buffer =
            pool_allocate_for(POOL_FLAG_PAGED, need, STRING_TAG, __builtin_return_address(0));
        if (!DestinationString->Buffer)
            return STATUS_NO_MEMORY;
        DestinationString->MaximumLength = (USHORT)need;
    } else if (need > DestinationString->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    to_utf16(SourceString->Buffer, SourceString->Length, DestinationString->Buffer,
             need / sizeof(WCHAR) - 1, &written, &changed);
    DestinationString->Length = (USHORT)(written * sizeof(WCHAR));
    DestinationString->Buffer[written] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlUnicodeStringToAnsiString(PANSI_STRING DestinationString,
                                            PCUNICODE_STRING SourceString,
                                            BOOLEAN AllocateDestinationString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    size_t written;
    bool changed = false, cut = false;
    size_t need = to_utf8(SourceString->Buffer, SourceString->Length / sizeof(WCHAR), NULL, 0,
                          &written, &changed) +
                  1;
    if (need > 0xffff)
        return STATUS_INVALID_PARAMETER_2;
    if (AllocateDestinationString) {
        if (vf_fault(VfFaultPool))
            return STATUS_NO_MEMORY;
        DestinationString->Buffer =
            pool_allocate_for(POOL_FLAG_PAGED, need, STRING_TAG, __builtin_return_address(0));
        if (!DestinationString->Buffer)
            return STATUS_NO_MEMORY;
        DestinationString->MaximumLength = (USHORT)need;
    } else if (need > DestinationString->MaximumLength) {
        cut = true;
        if (!DestinationString->MaximumLength)
            return STATUS_BUFFER_OVERFLOW;
        need = DestinationString->MaximumLength;
    }
    to_utf8(SourceString->Buffer, SourceString->Length / sizeof(WCHAR), DestinationString->Buffer,
            need - 1, &written, &changed);
    DestinationString->Length = (USHORT)written;
    DestinationString->Buffer[written] = 0;
    return cut ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

/* Integers */

static NTSTATUS from_integer(ULONGLONG value, ULONG base, PUNICODE_STRING string)
{
    WCHAR digits[64];
    unsigned count = 0;
    if (!base)
        base = 10;
    if (base != 2 && base != 8 && base != 10 && base != 16)
        return STATUS_INVALID_PARAMETER;
    do {
        digits[count++] = (WCHAR) "0123456789ABCDEF"[value % base];
        value /= base;
    } while (value);
    if (count * sizeof(WCHAR) > string->MaximumLength)
        return STATUS_BUFFER_OVERFLOW;
    for (unsigned i = 0; i < count; i++)
        string->Buffer[i] = digits[count - 1 - i];
    string->Length = (USHORT)(count * sizeof(WCHAR));
    if (string->Length + sizeof(WCHAR) <= string->MaximumLength)
        string->Buffer[count] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlIntegerToUnicodeString(ULONG Value, ULONG Base, PUNICODE_STRING String)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return from_integer(Value, Base, String);
}

NTSTATUS NTAPI RtlInt64ToUnicodeString(ULONGLONG Value, ULONG Base, PUNICODE_STRING String)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return from_integer(Value, Base, String);
}

/* Leading white space, a sign, and with base 0 a prefix 0x, 0o or 0b. Ends at the first other
 * character. */
NTSTATUS NTAPI RtlUnicodeStringToInteger(PCUNICODE_STRING String, ULONG Base, PULONG Value)
{
    VF_ENTRY(PASSIVE_LEVEL);
    const WCHAR *p = String->Buffer, *end = p + String->Length / sizeof(WCHAR);
    while (p < end && *p <= ' ')
        p++;
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (!Base) {
        Base = 10;
        if (end - p > 1 && *p == '0') {
            ULONG prefix = p[1] == 'x' ? 16 : p[1] == 'o' ? 8 : p[1] == 'b' ? 2 : 0;
            if (prefix) {
                Base = prefix;
                p += 2;
            }
        }
    } else if (Base != 2 && Base != 8 && Base != 10 && Base != 16) {
        return STATUS_INVALID_PARAMETER;
    }
    ULONG value = 0;
    for (; p < end; p++) {
        ULONG digit = *p >= '0' && *p <= '9'   ? *p - (ULONG)'0'
                      : *p >= 'a' && *p <= 'f' ? *p - (ULONG)'a' + 10
                      : *p >= 'A' && *p <= 'F' ? *p - (ULONG)'A' + 10
                                               : 16;
        if (digit >= Base)
            break;
        value = value * Base + digit;
    }
    *Value = negative ? 0 - value : value;
    return STATUS_SUCCESS;
}

/* GUIDs */

#define GUID_CHARS 38

NTSTATUS NTAPI RtlStringFromGUID(const GUID *Guid, PUNICODE_STRING GuidString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    char text[GUID_CHARS + 1];
    if (vf_fault(VfFaultPool))
        return STATUS_NO_MEMORY;
    snprintf(text, sizeof text, "{%08X-%04X-%04X-%02X%02X-%02X%02X%02X%02X%02X%02X}",
             (unsigned)Guid->Data1, Guid->Data2, Guid->Data3, Guid->Data4[0], Guid->Data4[1],
             Guid->Data4[2], Guid->Data4[3], Guid->Data4[4], Guid->Data4[5], Guid->Data4[6],
             Guid->Data4[7]);
    GuidString->Buffer = pool_allocate_for(POOL_FLAG_PAGED, sizeof(WCHAR) * sizeof text, STRING_TAG,
                                           __builtin_return_address(0));
    if (!GuidString->Buffer)
        return STATUS_NO_MEMORY;
    for (unsigned i = 0; i < sizeof text; i++)
        GuidString->Buffer[i] = (WCHAR)text[i];
    GuidString->Length = GUID_CHARS * sizeof(WCHAR);
    GuidString->MaximumLength = sizeof text * sizeof(WCHAR);
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlGUIDFromString(PCUNICODE_STRING GuidString, GUID *Guid)
{
    VF_ENTRY(PASSIVE_LEVEL);
    static const char shape[] = "{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}";
    UCHAR bytes[16];
    unsigned count = 0;
    if (GuidString->Length < GUID_CHARS * sizeof(WCHAR))
        return STATUS_INVALID_PARAMETER;
    for (unsigned i = 0; i < GUID_CHARS; i++) {
        WCHAR c = GuidString->Buffer[i];
        if (shape[i] != 'x') {
            if (c != (WCHAR)shape[i])
                return STATUS_INVALID_PARAMETER;
            continue;
        }
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return STATUS_INVALID_PARAMETER;
        bytes[count / 2] = (UCHAR)(count % 2 ? bytes[count / 2] << 4 | digit : digit);
        count++;
    }
    Guid->Data1 =
        (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    Guid->Data2 = (USHORT)(bytes[4] << 8 | bytes[5]);
    Guid->Data3 = (USHORT)(bytes[6] << 8 | bytes[7]);
    memcpy(Guid->Data4, bytes + 8, sizeof Guid->Data4);
    return STATUS_SUCCESS;
}

NT_EXPORT(NTOSKRNL, RtlUnicodeToUTF8N);
NT_EXPORT(NTOSKRNL, RtlUTF8ToUnicodeN);
NT_EXPORT(NTOSKRNL, RtlAnsiStringToUnicodeString);
NT_EXPORT(NTOSKRNL, RtlUnicodeStringToAnsiString);
NT_EXPORT(NTOSKRNL, RtlIntegerToUnicodeString);
NT_EXPORT(NTOSKRNL, RtlInt64ToUnicodeString);
NT_EXPORT(NTOSKRNL, RtlUnicodeStringToInteger);
NT_EXPORT(NTOSKRNL, RtlStringFromGUID);
NT_EXPORT(NTOSKRNL, RtlGUIDFromString);
