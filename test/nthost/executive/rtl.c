/*
 * The run-time library.
 */
#include "common.h"
#include <netinet/in.h>
#include <nthost/export.h>
#include <stdio.h>

static UNICODE_STRING wide(const WCHAR *text)
{
    UNICODE_STRING string;
    RtlInitUnicodeString(&string, text);
    return string;
}

static bool same(const UNICODE_STRING *string, const WCHAR *text)
{
    UNICODE_STRING other = wide(text);
    return string->Length == other.Length && !memcmp(string->Buffer, other.Buffer, other.Length);
}

NT_TEST(unicode_strings)
{
    tap_start(NT_DETERMINISTIC, 1);
    WCHAR buffer[8];
    UNICODE_STRING a = wide(L"Device"), b = wide(L"dEVICE"), c, n = wide(NULL);
    ok(a.Length == 12 && a.MaximumLength == 14 && !n.Buffer && !n.Length);
    ok(!RtlEqualUnicodeString(&a, &b, FALSE) && RtlEqualUnicodeString(&a, &b, TRUE));
    ok(RtlCompareUnicodeString(&a, &b, FALSE) < 0 && RtlCompareUnicodeString(&b, &a, FALSE) > 0);
    is_int(RtlCompareUnicodeString(&a, &b, TRUE), 0);
    c = wide(L"DEV");
    ok(RtlPrefixUnicodeString(&c, &a, TRUE) && !RtlPrefixUnicodeString(&c, &a, FALSE) &&
       !RtlPrefixUnicodeString(&a, &c, TRUE));
    c = wide(L"ICE");
    ok(RtlSuffixUnicodeString(&c, &a, TRUE) && RtlCompareUnicodeString(&c, &a, TRUE) > 0);
    RtlInitEmptyUnicodeString(&c, buffer, sizeof buffer);
    is_status(RtlAppendUnicodeToString(&c, L"Dev"), STATUS_SUCCESS);
    is_status(RtlAppendUnicodeStringToString(&c, &a), STATUS_BUFFER_TOO_SMALL);
    ok(same(&c, L"Dev") && buffer[3] == 0, "nothing is appended in part");
    is_status(RtlAppendUnicodeToString(&c, L"ice12"), STATUS_SUCCESS);
    ok(same(&c, L"Device12"), "a full buffer needs no terminator");
    RtlCopyUnicodeString(&c, &a);
    ok(same(&c, L"Device") && buffer[6] == 0);
    UNICODE_STRING longer = wide(L"0123456789");
    RtlCopyUnicodeString(&c, &longer);
    ok(same(&c, L"01234567"), "cut");
    RtlCopyUnicodeString(&c, NULL);
    is_int(c.Length, 0);

    UNICODE_STRING upper;
    a = wide(L"abc\u00e9\u03b1\u0436\u00df1");
    is_status(RtlUpcaseUnicodeString(&upper, &a, TRUE), STATUS_SUCCESS);
    ok(same(&upper, L"ABC\u00c9\u0391\u0416\u00df1"));
    UNICODE_STRING lower;
    is_status(RtlDowncaseUnicodeString(&lower, &upper, TRUE), STATUS_SUCCESS);
    ok(same(&lower, L"abc\u00e9\u03b1\u0436\u00df1"));
    RtlFreeUnicodeString(&upper);
    RtlFreeUnicodeString(&lower);
    ok(!upper.Buffer);
    unsigned wrong = 0;
    for (unsigned c16 = 0; c16 < 0x10000; c16++) {
        WCHAR up = RtlUpcaseUnicodeChar((WCHAR)c16);
        wrong += RtlUpcaseUnicodeChar(up) != up;
    }
    is_int(wrong, 0, "upper case is its own upper case");

    ULONG hash[2];
    a = wide(L"Name");
    b = wide(L"nAME");
    is_status(RtlHashUnicodeString(&a, TRUE, 0, &hash[0]), STATUS_SUCCESS);
    is_status(RtlHashUnicodeString(&b, TRUE, 1, &hash[1]), STATUS_SUCCESS);
    is_hex(hash[0], hash[1]);
    is_hex(hash[0], ((('N' * 65599u + 'A') * 65599u + 'M') * 65599u + 'E'));
    is_status(RtlHashUnicodeString(&b, FALSE, 2, &hash[1]), STATUS_INVALID_PARAMETER);
    nt_stop();
}

NT_TEST(conversions)
{
    tap_start(NT_DETERMINISTIC, 1);
    ANSI_STRING ansi, back;
    UNICODE_STRING unicode;
    RtlInitAnsiString(&ansi, "na\xc3\xafve \xf0\x9f\x98\x80");
    is_status(RtlAnsiStringToUnicodeString(&unicode, &ansi, TRUE), STATUS_SUCCESS);
    ok(same(&unicode, L"na\u00efve \xd83d\xde00"));
    is_status(RtlUnicodeStringToAnsiString(&back, &unicode, TRUE), STATUS_SUCCESS);
    is_str(back.Buffer, ansi.Buffer);
    RtlFreeUnicodeString(&unicode);
    RtlFreeAnsiString(&back);

    char bytes[16];
    WCHAR chars[16];
    ULONG actual;
    is_status(RtlUnicodeToUTF8N(NULL, 0, &actual, L"a\u00e9\u20ac", 6), STATUS_SUCCESS);
    is_int(actual, 6);
    is_status(RtlUnicodeToUTF8N(bytes, 4, &actual, L"a\u00e9\u20ac", 6), STATUS_BUFFER_TOO_SMALL);
    is_int(actual, 3, "whole characters only");
    static const WCHAR lone[] = {0xd800, 'x'};
    is_status(RtlUnicodeToUTF8N(bytes, 16, &actual, lone, 4), STATUS_SOME_NOT_MAPPED);
    is_mem(bytes, "\xef\xbf\xbdx", 4);
    is_status(RtlUTF8ToUnicodeN(chars, sizeof chars, &actual, "\xc3(\xe2\x82\xac", 5),
              STATUS_SOME_NOT_MAPPED);
    ok(actual == 6 && chars[0] == 0xfffd && chars[1] == '(' && chars[2] == 0x20ac);
    is_status(RtlUTF8ToUnicodeN(chars, sizeof chars, &actual, "\xed\xa0\x80\xc0\x80\xf5", 6),
              STATUS_SOME_NOT_MAPPED, "surrogates, overlong, too big");
    for (ULONG i = 0; i < actual / 2; i++)
        is_hex(chars[i], 0xfffd);

    UNICODE_STRING number = {.MaximumLength = sizeof chars, .Buffer = chars};
    ULONG value;
    is_status(RtlIntegerToUnicodeString(4294967295u, 10, &number), STATUS_SUCCESS);
    ok(same(&number, L"4294967295"));
    is_status(RtlIntegerToUnicodeString(0xbeef, 16, &number), STATUS_SUCCESS);
    ok(same(&number, L"BEEF"));
    is_status(RtlUnicodeStringToInteger(&number, 16, &value), STATUS_SUCCESS);
    is_hex(value, 0xbeef);
    is_status(RtlInt64ToUnicodeString(0, 2, &number), STATUS_SUCCESS);
    ok(same(&number, L"0"));
    is_status(RtlIntegerToUnicodeString(1, 7, &number), STATUS_INVALID_PARAMETER);
    number.MaximumLength = 4;
    is_status(RtlIntegerToUnicodeString(100, 10, &number), STATUS_BUFFER_OVERFLOW);
    static const struct {
        const WCHAR *text;
        ULONG base, value;
    } integers[] = {{L"  42x", 0, 42}, {L"0x1F", 0, 31}, {L"-5", 10, (ULONG)-5},
                    {L"0b101", 0, 5},  {L"0o17", 0, 15}, {L"zz", 0, 0}};
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        UNICODE_STRING text = wide(integers[i].text);
        is_status(RtlUnicodeStringToInteger(&text, integers[i].base, &value), STATUS_SUCCESS);
        is_hex(value, integers[i].value, "case %zu", i);
    }

    static const GUID guid = {0x12345678, 0x9abc, 0xdef0, {1, 2, 3, 4, 5, 6, 7, 0xff}};
    GUID parsed;
    is_status(RtlStringFromGUID(&guid, &unicode), STATUS_SUCCESS);
    ok(same(&unicode, L"{12345678-9ABC-DEF0-0102-0304050607FF}"));
    is_status(RtlGUIDFromString(&unicode, &parsed), STATUS_SUCCESS);
    is_mem(&parsed, &guid, sizeof guid);
    unicode.Buffer[9] = L'+';
    is_status(RtlGUIDFromString(&unicode, &parsed), STATUS_INVALID_PARAMETER);
    RtlFreeUnicodeString(&unicode);
    nt_stop();
}

/* Bitmaps against a plain array, at random. */
NT_TEST(bitmaps)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    for (int run = 0; run < 200; run++) {
        ULONG words[8];
        bool model[256] = {false};
        ULONG size = 1 + sched_choose(256), set = 0;
        RTL_BITMAP map;
        RtlInitializeBitMap(&map, words, size);
        RtlClearAllBits(&map);
        for (int step = 0; step < 50; step++) {
            ULONG start = sched_choose(size), count = sched_choose(size - start + 1);
            bool value = sched_choose(2);
            if (value)
                RtlSetBits(&map, start, count);
            else
                RtlClearBits(&map, start, count);
            for (ULONG i = start; i < start + count; i++)
                model[i] = value;
            set = 0;
            for (ULONG i = 0; i < size; i++) {
                set += model[i];
                is_int(RtlTestBit(&map, i), model[i]);
            }
            is_int(RtlNumberOfSetBits(&map), set);
            ULONG want = 1 + sched_choose(8), hint = sched_choose(size), expected = 0xffffffff;
            for (ULONG k = 0; k < size && expected == 0xffffffff; k++) {
                ULONG at = (hint + k) % size, length = 0;
                while (length < want && at + length < size && !model[at + length])
                    length++;
                if (length == want)
                    expected = at;
            }
            is_int(RtlFindClearBits(&map, want, hint), expected, "%u from %u of %u", want, hint,
                   size);
            if (expected != 0xffffffff) {
                ok(RtlAreBitsClear(&map, expected, want) && !RtlAreBitsSet(&map, expected, want));
                is_int(RtlFindClearBitsAndSet(&map, want, hint), expected);
                ok(RtlAreBitsSet(&map, expected, want));
                for (ULONG i = 0; i < want; i++)
                    model[expected + i] = true;
            }
        }
        if (tap_failing())
            break;
    }
    nt_stop();
}

NT_TEST(times)
{
    tap_start(NT_DETERMINISTIC, 1);
    static const struct {
        LONGLONG time;
        TIME_FIELDS fields;
    } known[] = {
        {0, {1601, 1, 1, 0, 0, 0, 0, 1}},
        {116444736000000000, {1970, 1, 1, 0, 0, 0, 0, 4}},
        {125963423999990000, {2000, 2, 29, 23, 59, 59, 999, 2}},
        {133485408000000000, {2024, 1, 1, 0, 0, 0, 0, 1}},
        {133538975450010000, {2024, 3, 2, 23, 59, 5, 1, 6}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        LARGE_INTEGER time = {.QuadPart = known[i].time}, back;
        TIME_FIELDS fields;
        RtlTimeToTimeFields(&time, &fields);
        is_mem(&fields, &known[i].fields, sizeof fields, "case %zu: %d-%d-%d %d:%d:%d.%d, %d", i,
               fields.Year, fields.Month, fields.Day, fields.Hour, fields.Minute, fields.Second,
               fields.Milliseconds, fields.Weekday);
        ok(RtlTimeFieldsToTime(&fields, &back));
        is_int(back.QuadPart, time.QuadPart);
    }
    for (int i = 0; i < 5000; i++) {
        LARGE_INTEGER time = {.QuadPart = (LONGLONG)i * 63114336000000}, back;
        time.QuadPart -= time.QuadPart % 10000;
        TIME_FIELDS fields;
        RtlTimeToTimeFields(&time, &fields);
        ok(RtlTimeFieldsToTime(&fields, &back) && back.QuadPart == time.QuadPart);
    }
    TIME_FIELDS bad = {2023, 2, 29, 0, 0, 0, 0, 0};
    LARGE_INTEGER none;
    ok(!RtlTimeFieldsToTime(&bad, &none));
    RTL_OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    is_status(RtlGetVersion(&version), STATUS_SUCCESS);
    is_int(version.dwMajorVersion, 10);
    is_int(version.dwBuildNumber, 20348);
    nt_stop();
}

NT_TEST(memory_and_random)
{
    is_int(RtlCompareMemory("abcdef", "abcxef", 6), 3);
    is_int(RtlCompareMemory("abc", "abc", 3), 3);
    ULONG seed = 1, again = 1, low = 0;
    for (int i = 0; i < 10000; i++) {
        ULONG value = RtlRandomEx(&seed);
        is_int(RtlRandomEx(&again), value);
        ok(value < MAXLONG);
        low += value < MAXLONG / 2;
    }
    ok(low > 4700 && low < 5300, "%u of 10000 in the lower half", low);

    /* What PE images get for memcpy and the like: every length and alignment. */
    void *NTAPI (*copy)(void *, const void *, size_t) = NULL;
    void *address = nt_export_find("ntoskrnl.exe", "memcpy");
    memcpy(&copy, &address, sizeof copy);
    need(copy != NULL);
    for (size_t bytes = 0; bytes < 300; bytes++) {
        for (size_t shift = 0; shift < 3; shift++) {
            char from[320], to[320], expected[320];
            for (size_t i = 0; i < sizeof from; i++)
                from[i] = (char)(i * 7 + bytes);
            memset(to, 0x11, sizeof to);
            memset(expected, 0x11, sizeof expected);
            memcpy(expected + shift, from + 2 * shift, bytes);
            is_ptr(copy(to + shift, from + 2 * shift, bytes), to + shift);
            is_mem(to, expected, sizeof to, "%zu bytes", bytes);
        }
    }
}

NT_TEST(addresses_as_text)
{
    struct in_addr four = {htonl(0xc0a80164)}, parsed4;
    struct in6_addr six = {{{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}}, parsed6;
    char text[64];
    WCHAR text16[64];
    PCSTR end;
    PCWSTR end16;
    is_int(RtlIpv4AddressToStringA(&four, text) - text, 13);
    is_str(text, "192.168.1.100");
    is_int(RtlIpv6AddressToStringW(&six, text16) - text16, 11);
    UNICODE_STRING as_wide = wide(text16);
    ok(same(&as_wide, L"2001:db8::1"));
    is_status(RtlIpv6StringToAddressW(L"2001:db8::1%3", &end16, &parsed6), STATUS_SUCCESS);
    ok(*end16 == L'%' && !memcmp(&parsed6, &six, 16));
    is_status(RtlIpv6StringToAddressA("2001:db8", &end, &parsed6), STATUS_INVALID_PARAMETER);
    is_status(RtlIpv4StringToAddressA("192.168.1.100:80", TRUE, &end, &parsed4), STATUS_SUCCESS);
    ok(*end == ':' && parsed4.s_addr == four.s_addr);
    static const struct {
        const char *text;
        bool strict;
        NTSTATUS status;
        uint32_t address;
    } cases[] = {
        {"1.2.3", true, STATUS_INVALID_PARAMETER, 0},
        {"1.2.3", false, STATUS_SUCCESS, 0x01020003},
        {"0x7f.1", false, STATUS_SUCCESS, 0x7f000001},
        {"017.0.0.1", false, STATUS_SUCCESS, 0x0f000001},
        {"256.0.0.1", true, STATUS_INVALID_PARAMETER, 0},
        {"4294967295", false, STATUS_SUCCESS, 0xffffffff},
        {"1.2.3.4.5", true, STATUS_SUCCESS, 0x01020304},
        {"", false, STATUS_INVALID_PARAMETER, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        is_status(RtlIpv4StringToAddressA(cases[i].text, cases[i].strict, &end, &parsed4),
                  cases[i].status, "%s", cases[i].text);
        if (NT_SUCCESS(cases[i].status))
            is_hex(ntohl(parsed4.s_addr), cases[i].address, "%s", cases[i].text);
    }
}

/* printf as the kernel has it, through the export that ntstrsafe.h calls. */
static int NTAPI (*print)(char *, size_t, const char *, ...);

NT_TEST(formats)
{
    char text[256];
    void *address = nt_export_find("ntoskrnl.exe", "_snprintf");
    memcpy(&print, &address, sizeof print);
    need(print != NULL);
    UNICODE_STRING name = wide(L"\\Device\\X\u00e9");
    ANSI_STRING ansi;
    RtlInitAnsiString(&ansi, "ansi");
#define FORMATS(expected, ...)                                                                     \
    is_int(print(text, sizeof text, __VA_ARGS__), strlen(expected));                               \
    is_str(text, expected)
    FORMATS("-5 +5  5 00005 5    |", "%d %+d % d %05d %-5d|", -5, 5, 5, 5, 5);
    FORMATS("beef BEEF 0xbeef 0XBEEF 017 0", "%x %X %#x %#X %#o %x", 0xbeef, 0xbeef, 0xbeef, 0xbeef,
            15, 0);
    FORMATS("18446744073709551615 -9223372036854775808", "%I64u %lld", ~0ull, INT64_MIN);
    FORMATS("4294967295 ff -1", "%lu %hhx %hd", 0xffffffff, 0x1ff, 0xffff);
    FORMATS("00000000DEADBEEF", "%p", (void *)0xdeadbeef);
    FORMATS("\\Device\\X\xc3\xa9|ansi|wide|abc|(null)", "%wZ|%Z|%ws|%.3s|%s", &name, &ansi, L"wide",
            "abcdef", NULL);
    FORMATS("   right|left   |wide", "%8s|%-*s|%S", "right", 7, "left", L"wide");
    FORMATS("c \xe2\x82\xac 100% 0007", "%c %C 100%% %.4d", 'c', 0x20ac, 7);
    is_int(print(text, 4, "%s", "toolong"), -1);
    is_mem(text, "tool", 4);
}
