/* The harness' assertions for a fuzzer: the first that fails ends it, with the input that did it.
 */
#include "tap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool check(bool held, const char *what, const char *file, int line)
{
    if (!held) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
        abort();
    }
    return held;
}

bool tap_ok(bool held, const char *what, const char *file, int line, const char *format, ...)
{
    (void)format;
    return check(held, what, file, line);
}

bool tap_is_int(intmax_t got, intmax_t expected, const char *what, const char *file, int line,
                const char *format, ...)
{
    (void)format;
    if (got != expected)
        fprintf(stderr, "got %jd, expected %jd\n", got, expected);
    return check(got == expected, what, file, line);
}

bool tap_is_hex(uintmax_t got, uintmax_t expected, const char *what, const char *file, int line,
                const char *format, ...)
{
    (void)format;
    if (got != expected)
        fprintf(stderr, "got %#jx, expected %#jx\n", got, expected);
    return check(got == expected, what, file, line);
}

bool tap_is_mem(const void *got, const void *expected, size_t bytes, const char *what,
                const char *file, int line, const char *format, ...)
{
    (void)format;
    return check(!memcmp(got, expected, bytes), what, file, line);
}

uint64_t tap_seed(void)
{
    return 1;
}

bool tap_drivers_pe(void)
{
    return getenv("NTS_FUZZ_PE") != NULL;
}
