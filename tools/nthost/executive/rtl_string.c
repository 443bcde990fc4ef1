/*
 * Counted strings.
 *
 * WDK: RtlInitUnicodeString, RtlCopyUnicodeString, RtlAppendUnicodeStringToString,
 * RtlCompareUnicodeString, RtlPrefixUnicodeString, RtlUpcaseUnicodeString, RtlHashUnicodeString.
 * Lengths are bytes. Case folding is one to one (nthost/utf.h), as NT compares names. These touch
 * what may be pageable tables on Windows, so most demand PASSIVE_LEVEL; those that Windows allows
 * anywhere on resident strings are not checked.
 */
#include "dispatcher.h"
#include "pool.h"
#include <nthost/utf.h>
#include <string.h>

#define STRING_TAG 0x67727453u /* "Strg" */

static size_t wide_length(PCWSTR text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

VOID NTAPI RtlInitUnicodeString(PUNICODE_STRING DestinationString, PCWSTR SourceString)
{
    RtlInitUnicodeStringEx(DestinationString, SourceString);
}

NTSTATUS NTAPI RtlInitUnicodeStringEx(PUNICODE_STRING DestinationString, PCWSTR SourceString)
{
    size_t length = SourceString ? wide_length(SourceString) : 0;
    *DestinationString = (UNICODE_STRING){.Buffer = (PWCH)(ULONG_PTR)SourceString};
    if (length > UNICODE_STRING_MAX_CHARS - 1) {
        DestinationString->Buffer = NULL;
        return STATUS_NAME_TOO_LONG;
    }
    if (SourceString) {
        DestinationString->Length = (USHORT)(length * sizeof(WCHAR));
        DestinationString->MaximumLength = (USHORT)((length + 1) * sizeof(WCHAR));
    }
    return STATUS_SUCCESS;
}

VOID NTAPI RtlInitAnsiString(PANSI_STRING DestinationString, PCSTR SourceString)
{
    size_t length = SourceString ? strlen(SourceString) : 0;
    if (length > 0xfffe)
        length = 0xfffe;
    *DestinationString = (ANSI_STRING){.Length = (USHORT)length,
                                       .MaximumLength = (USHORT)(SourceString ? length + 1 : 0),
                                       .Buffer = (PCHAR)(ULONG_PTR)SourceString};
}

VOID NTAPI RtlInitString(PSTRING DestinationString, PCSTR SourceString)
{
    RtlInitAnsiString(DestinationString, SourceString);
}

VOID NTAPI RtlCopyUnicodeString(PUNICODE_STRING DestinationString, PCUNICODE_STRING SourceString)
{
    if (!SourceString) {
        DestinationString->Length = 0;
        return;
    }
    USHORT bytes = SourceString->Length;
    if (bytes > DestinationString->MaximumLength)
        bytes = DestinationString->MaximumLength & ~1;
    memmove(DestinationString->Buffer, SourceString->Buffer, bytes);
    DestinationString->Length = bytes;
    if (bytes + sizeof(WCHAR) <= DestinationString->MaximumLength)
        DestinationString->Buffer[bytes / sizeof(WCHAR)] = 0;
}

static NTSTATUS append(PUNICODE_STRING destination, const WCHAR *source, size_t bytes)
{
    if (destination->Length + bytes > destination->MaximumLength)
        return STATUS_BUFFER_TOO_SMALL;
    PWCHAR end = destination->Buffer + destination->Length / sizeof(WCHAR);
    memmove(end, source, bytes);
    destination->Length += (USHORT)bytes;
    if (destination->Length + sizeof(WCHAR) <= destination->MaximumLength)
        end[bytes / sizeof(WCHAR)] = 0;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlAppendUnicodeToString(PUNICODE_STRING Destination, PCWSTR Source)
{
    return Source ? append(Destination, Source, wide_length(Source) * sizeof(WCHAR))
                  : STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlAppendUnicodeStringToString(PUNICODE_STRING Destination, PCUNICODE_STRING Source)
{
    return append(Destination, Source->Buffer, Source->Length);
}

/* Comparison */

static LONG compare(const WCHAR *a, size_t a_chars, const WCHAR *b, size_t b_chars, BOOLEAN fold)
{
    size_t chars = a_chars < b_chars ? a_chars : b_chars;
    for (size_t i = 0; i < chars; i++) {
        WCHAR first = fold ? utf16_upcase(a[i]) : a[i], second = fold ? utf16_upcase(b[i]) : b[i];
        if (first != second)
            return (LONG)first - (LONG)second;
    }
    return (LONG)a_chars - (LONG)b_chars;
}

LONG NTAPI RtlCompareUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                                   BOOLEAN CaseInSensitive)
{
    VF_ENTRY(CaseInSensitive ? PASSIVE_LEVEL : HIGH_LEVEL);
    return compare(String1->Buffer, String1->Length / sizeof(WCHAR), String2->Buffer,
                   String2->Length / sizeof(WCHAR), CaseInSensitive);
}

BOOLEAN NTAPI RtlEqualUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                                    BOOLEAN CaseInSensitive)
{
    VF_ENTRY(CaseInSensitive ? PASSIVE_LEVEL : HIGH_LEVEL);
    return String1->Length == String2->Length &&
           !compare(String1->Buffer, String1->Length / sizeof(WCHAR), String2->Buffer,
                    String2->Length / sizeof(WCHAR), CaseInSensitive);
}

BOOLEAN NTAPI RtlPrefixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                                     BOOLEAN CaseInSensitive)
{
    VF_ENTRY(CaseInSensitive ? PASSIVE_LEVEL : HIGH_LEVEL);
    size_t chars = String1->Length / sizeof(WCHAR);
    return String1->Length <= String2->Length &&
           !compare(String1->Buffer, chars, String2->Buffer, chars, CaseInSensitive);
}

BOOLEAN NTAPI RtlSuffixUnicodeString(PCUNICODE_STRING String1, PCUNICODE_STRING String2,
                                     BOOLEAN CaseInSensitive)
{
    VF_ENTRY(CaseInSensitive ? PASSIVE_LEVEL : HIGH_LEVEL);
    size_t chars = String1->Length / sizeof(WCHAR), all = String2->Length / sizeof(WCHAR);
    return chars <= all && !compare(String1->Buffer, chars, String2->Buffer + (all - chars), chars,
                                    CaseInSensitive);
}

NTSTATUS NTAPI RtlHashUnicodeString(const UNICODE_STRING *String, BOOLEAN CaseInSensitive,
                                    ULONG HashAlgorithm, PULONG HashValue)
{
    if (!String || !HashValue || HashAlgorithm > 1)
        return STATUS_INVALID_PARAMETER;
    ULONG hash = 0; /* x65599, the default and only algorithm */
    for (size_t i = 0; i < String->Length / sizeof(WCHAR); i++)
        hash =
            hash * 65599 + (CaseInSensitive ? utf16_upcase(String->Buffer[i]) : String->Buffer[i]);
    *HashValue = hash;
    return STATUS_SUCCESS;
}

/* Case */

static WCHAR downcase(WCHAR c)
{
    /* The inverse of the upper case: no table of its own, but the same pairs. Lower case letters
     * lie within a few hundred code points of their capitals, nearly all at these distances. */
    static const int distances[] = {32, 1,  80,   48,  40, 26,   16,  8,    -8,   38,  37,
                                    64, 63, 7264, -74, -9, -100, -86, -112, -128, -126};
    if (c < 0x80)
        return c >= 'A' && c <= 'Z' ? (WCHAR)(c + 32) : c;
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        WCHAR candidate = (WCHAR)(c + distances[i]);
        if (candidate != c && utf16_upcase(candidate) == c)
            return candidate;
    }
    return c;
}

WCHAR NTAPI RtlUpcaseUnicodeChar(WCHAR SourceCharacter)
{
    return utf16_upcase(SourceCharacter);
}

WCHAR NTAPI RtlDowncaseUnicodeChar(WCHAR SourceCharacter)
{
    return downcase(SourceCharacter);
}

static NTSTATUS map(PUNICODE_STRING destination, PCUNICODE_STRING source, BOOLEAN allocate,
                    WCHAR (*change)(WCHAR), const void *owner)
{
    if (allocate) {
        destination->Buffer = pool_allocate_for(
            POOL_FLAG_PAGED, source->Length ? source->Length : sizeof(WCHAR), STRING_TAG, owner);
        if (!destination->Buffer)
            return STATUS_NO_MEMORY;
        destination->MaximumLength = source->Length;
    } else if (source->Length > destination->MaximumLength) {
        return STATUS_BUFFER_OVERFLOW;
    }
    for (size_t i = 0; i < source->Length / sizeof(WCHAR); i++)
        destination->Buffer[i] = change(source->Buffer[i]);
    destination->Length = source->Length;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI RtlUpcaseUnicodeString(PUNICODE_STRING DestinationString,
                                      PCUNICODE_STRING SourceString,
                                      BOOLEAN AllocateDestinationString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (AllocateDestinationString && vf_fault(VfFaultPool))
        return STATUS_NO_MEMORY;
    return map(DestinationString, SourceString, AllocateDestinationString, utf16_upcase,
               __builtin_return_address(0));
}

NTSTATUS NTAPI RtlDowncaseUnicodeString(PUNICODE_STRING DestinationString,
                                        PCUNICODE_STRING SourceString,
                                        BOOLEAN AllocateDestinationString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (AllocateDestinationString && vf_fault(VfFaultPool))
        return STATUS_NO_MEMORY;
    return map(DestinationString, SourceString, AllocateDestinationString, downcase,
               __builtin_return_address(0));
}

VOID NTAPI RtlFreeUnicodeString(PUNICODE_STRING UnicodeString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (UnicodeString->Buffer)
        ExFreePool(UnicodeString->Buffer);
    *UnicodeString = (UNICODE_STRING){.Buffer = NULL};
}

VOID NTAPI RtlFreeAnsiString(PANSI_STRING AnsiString)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (AnsiString->Buffer)
        ExFreePool(AnsiString->Buffer);
    *AnsiString = (ANSI_STRING){.Buffer = NULL};
}

NT_EXPORT(NTOSKRNL, RtlInitUnicodeString);
NT_EXPORT(NTOSKRNL, RtlInitUnicodeStringEx);
NT_EXPORT(NTOSKRNL, RtlInitAnsiString);
NT_EXPORT(NTOSKRNL, RtlInitString);
NT_EXPORT(NTOSKRNL, RtlCopyUnicodeString);
NT_EXPORT(NTOSKRNL, RtlAppendUnicodeToString);
NT_EXPORT(NTOSKRNL, RtlAppendUnicodeStringToString);
NT_EXPORT(NTOSKRNL, RtlCompareUnicodeString);
NT_EXPORT(NTOSKRNL, RtlEqualUnicodeString);
NT_EXPORT(NTOSKRNL, RtlPrefixUnicodeString);
NT_EXPORT(NTOSKRNL, RtlSuffixUnicodeString);
NT_EXPORT(NTOSKRNL, RtlHashUnicodeString);
NT_EXPORT(NTOSKRNL, RtlUpcaseUnicodeChar);
NT_EXPORT(NTOSKRNL, RtlDowncaseUnicodeChar);
NT_EXPORT(NTOSKRNL, RtlUpcaseUnicodeString);
NT_EXPORT(NTOSKRNL, RtlDowncaseUnicodeString);
NT_EXPORT(NTOSKRNL, RtlFreeUnicodeString);
NT_EXPORT(NTOSKRNL, RtlFreeAnsiString);
