/*
 * DbgPrint, and the C library's routines that ntoskrnl exports.
 *
 * WDK: DbgPrint, DbgPrintEx, "Reading and Filtering Debugging Messages". Messages of error level,
 * and of any level if NTHOST_DEBUG is set in the environment, go to stderr, each in one write with
 * the name of the driver. The C routines carry the Microsoft calling convention and so have names
 * of their own; PE images find them under the exported names, ELF drivers use the C library's.
 */
#include "dispatcher.h"
#include "format.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 512 /* DbgPrint's limit */

static void print(const void *caller, const char *format, __builtin_ms_va_list arguments)
{
    char text[MESSAGE_BYTES + 96];
    const char *driver = vf_owner(caller);
    size_t head = (size_t)snprintf(text, 90, "%s%s", driver, *driver ? ": " : "");
    size_t length = nt_format(text + head, MESSAGE_BYTES, false, format, arguments);
    length = head + (length < MESSAGE_BYTES ? length : MESSAGE_BYTES);
    if (length && text[length - 1] != '\n')
        text[length++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, text, length);
    (void)ignored;
}

static bool wanted(ULONG level)
{
    static int all = -1;
    if (all < 0)
        all = getenv("NTHOST_DEBUG") != NULL;
    return all || (level & 31) == DPFLTR_ERROR_LEVEL;
}

ULONG NTAPI DbgPrint(PCSTR Format, ...)
{
    if (wanted(DPFLTR_INFO_LEVEL)) {
        __builtin_ms_va_list arguments;
        __builtin_ms_va_start(arguments, Format);
        print(__builtin_return_address(0), Format, arguments);
        __builtin_ms_va_end(arguments);
    }
    return STATUS_SUCCESS;
}

ULONG NTAPI DbgPrintEx(ULONG ComponentId, ULONG Level, PCSTR Format, ...)
{
    (void)ComponentId;
    if (wanted(Level)) {
        __builtin_ms_va_list arguments;
        __builtin_ms_va_start(arguments, Format);
        print(__builtin_return_address(0), Format, arguments);
        __builtin_ms_va_end(arguments);
    }
    return STATUS_SUCCESS;
}

NT_EXPORT(NTOSKRNL, DbgPrint);
NT_EXPORT(NTOSKRNL, DbgPrintEx);

/* Memory */

/* Headers of frames are copied all the time: short copies are done here, with the registers that
 * the Microsoft convention lets us change; long ones are the C library's, for which ten more are
 * saved. */
typedef long long vector __attribute__((vector_size(16), aligned(1)));
#define SHORT 128

static SLOW void *long_memcpy(void *to, const void *from, size_t bytes)
{
    return memcpy(to, from, bytes);
}

static NTAPI void *nt_memcpy(void *to, const void *from, size_t bytes)
{
    char *out = to;
    const char *in = from;
    if (bytes > SHORT)
        return long_memcpy(to, from, bytes);
    if (bytes >= 16) {
        vector last = *(const vector *)(in + bytes - 16);
        for (size_t i = 0; i + 16 < bytes; i += 16) {
            *(vector *)(out + i) = *(const vector *)(in + i);
            __asm__ volatile("" ::: "memory"); /* or the loop becomes a call of memcpy */
        }
        *(vector *)(out + bytes - 16) = last;
        return to;
    }
    if (bytes >= 8) {
        uint64_t first, last;
        __builtin_memcpy(&first, in, 8);
        __builtin_memcpy(&last, in + bytes - 8, 8);
        __builtin_memcpy(out, &first, 8);
        __builtin_memcpy(out + bytes - 8, &last, 8);
        return to;
    }
    for (size_t i = 0; i < bytes; i++) {
        out[i] = in[i];
        __asm__ volatile("" ::: "memory");
    }
    return to;
}

static NTAPI void *nt_memmove(void *to, const void *from, size_t bytes)
{
    return memmove(to, from, bytes);
}

static NTAPI void *nt_memset(void *to, int fill, size_t bytes)
{
    return memset(to, fill, bytes);
}

static NTAPI int nt_memcmp(const void *a, const void *b, size_t bytes)
{
    return memcmp(a, b, bytes);
}

static NTAPI void *nt_memchr(const void *text, int c, size_t bytes)
{
    return (void *)(uintptr_t)memchr(text, c, bytes);
}

NT_EXPORT_AS(NTOSKRNL, memcpy, nt_memcpy);
NT_EXPORT_AS(NTOSKRNL, memmove, nt_memmove);
NT_EXPORT_AS(NTOSKRNL, memset, nt_memset);
NT_EXPORT_AS(NTOSKRNL, memcmp, nt_memcmp);
NT_EXPORT_AS(NTOSKRNL, memchr, nt_memchr);

/* Strings */

static NTAPI size_t nt_strlen(const char *text)
{
    return strlen(text);
}

static NTAPI int nt_strcmp(const char *a, const char *b)
{
    return strcmp(a, b);
}

static NTAPI int nt_strncmp(const char *a, const char *b, size_t bytes)
{
    return strncmp(a, b, bytes);
}

static NTAPI size_t nt_wcslen(const WCHAR *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

static NTAPI int nt_wcscmp(const WCHAR *a, const WCHAR *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a < *b ? -1 : *a > *b;
}

static NTAPI int nt_wcsncmp(const WCHAR *a, const WCHAR *b, size_t chars)
{
    for (; chars && *a && *a == *b; chars--)
        a++, b++;
    return !chars ? 0 : *a < *b ? -1 : *a > *b;
}

NT_EXPORT_AS(NTOSKRNL, strlen, nt_strlen);
NT_EXPORT_AS(NTOSKRNL, strcmp, nt_strcmp);
NT_EXPORT_AS(NTOSKRNL, strncmp, nt_strncmp);
NT_EXPORT_AS(NTOSKRNL, wcslen, nt_wcslen);
NT_EXPORT_AS(NTOSKRNL, wcscmp, nt_wcscmp);
NT_EXPORT_AS(NTOSKRNL, wcsncmp, nt_wcsncmp);

/* What ntstrsafe.h's inline functions call. As Microsoft's: -1 if the text did not fit, which then
 * is not terminated; terminated where there is room. */

static int print_to(void *out, size_t room, bool wide, const void *format,
                    __builtin_ms_va_list arguments)
{
    size_t length = nt_format(out, room, wide, format, arguments);
    if (length > room)
        return -1;
    if (length < room) {
        if (wide)
            ((WCHAR *)out)[length] = 0;
        else
            ((char *)out)[length] = 0;
    }
    return (int)length;
}

static NTAPI int nt_vsnprintf(char *out, size_t room, const char *format,
                              __builtin_ms_va_list arguments)
{
    return print_to(out, room, false, format, arguments);
}

static NTAPI int nt_vsnwprintf(WCHAR *out, size_t room, const WCHAR *format,
                               __builtin_ms_va_list arguments)
{
    return print_to(out, room, true, format, arguments);
}

static NTAPI int nt_snprintf(char *out, size_t room, const char *format, ...)
{
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, format);
    int result = print_to(out, room, false, format, arguments);
    __builtin_ms_va_end(arguments);
    return result;
}

static NTAPI int nt_snwprintf(WCHAR *out, size_t room, const WCHAR *format, ...)
{
    __builtin_ms_va_list arguments;
    __builtin_ms_va_start(arguments, format);
    int result = print_to(out, room, true, format, arguments);
    __builtin_ms_va_end(arguments);
    return result;
}

NT_EXPORT_AS(NTOSKRNL, _vsnprintf, nt_vsnprintf);
NT_EXPORT_AS(NTOSKRNL, _vsnwprintf, nt_vsnwprintf);
NT_EXPORT_AS(NTOSKRNL, _snprintf, nt_snprintf);
NT_EXPORT_AS(NTOSKRNL, _snwprintf, nt_snwprintf);
