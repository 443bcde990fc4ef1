/*
 * The C tests' harness: a file of tests is a list of NT_TEST(name) { ... }, each of which becomes
 * one test point of TAP version 14. Failed assertions print a diagnostic with file and line and let
 * the test go on; need() leaves it.
 *
 *     NT_TEST(event_wakes_one_waiter)
 *     {
 *         tap_start(NT_DETERMINISTIC, tap_seed());
 *         ok(KeReadStateEvent(&event) == 0);
 *         is_status(KeWaitForSingleObject(...), STATUS_TIMEOUT);
 *         nt_stop();
 *     }
 *
 * Options of every test executable: --drivers=elf|pe, --filter=substring, --seed=n|random,
 * --timeout=seconds (of one test),
 * --fork (each test in a process of its own, so that a crash is one failed test), --list. Others
 * are read by tap_option().
 */
#pragma once
#include <nthost/nthost.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tap_test {
    const char *name;
    const char *file;
    void (*body)(void);
    bool forked;
    struct tap_test *next;
    /* Tests that are made at run time, out of a table: registered before main(), body NULL. */
    void (*body_with)(void *argument);
    void *argument;
};
void tap_register(struct tap_test *test);

#define TAP_TEST(test, in_fork)                                                                    \
    static void test(void);                                                                        \
    __attribute__((constructor)) static void tap_register_##test(void)                             \
    {                                                                                              \
        static struct tap_test self = {#test, __FILE__, test, in_fork, NULL, NULL, NULL};          \
        tap_register(&self);                                                                       \
    }                                                                                              \
    static void test(void)
#define NT_TEST(test) TAP_TEST(test, false)
/* In a process of its own: for tests that may crash, or that change the process for good. */
#define NT_TEST_FORKED(test) TAP_TEST(test, true)

/* Assertions. All return whether they held; the optional rest is a printf format and its arguments.
 * Any thread. */
#define ok(condition, ...) tap_ok(!!(condition), #condition, __FILE__, __LINE__, " " __VA_ARGS__)
#define is_int(got, expected, ...)                                                                 \
    tap_is_int((intmax_t)(got), (intmax_t)(expected), #got, __FILE__, __LINE__, " " __VA_ARGS__)
#define is_hex(got, expected, ...)                                                                 \
    tap_is_hex((uintmax_t)(got), (uintmax_t)(expected), #got, __FILE__, __LINE__, " " __VA_ARGS__)
#define is_ptr(got, expected, ...)                                                                 \
    tap_is_hex((uintptr_t)(got), (uintptr_t)(expected), #got, __FILE__, __LINE__, " " __VA_ARGS__)
#define is_str(got, expected, ...)                                                                 \
    tap_is_str((got), (expected), #got, __FILE__, __LINE__, " " __VA_ARGS__)
#define is_mem(got, expected, bytes, ...)                                                          \
    tap_is_mem((got), (expected), (bytes), #got, __FILE__, __LINE__, " " __VA_ARGS__)
/* NTSTATUS and NDIS_STATUS values. */
#define is_status(got, expected, ...)                                                              \
    tap_is_hex((uint32_t)(got), (uint32_t)(expected), #got, __FILE__, __LINE__, " " __VA_ARGS__)
#define fail(...) tap_ok(false, "fail()", __FILE__, __LINE__, " " __VA_ARGS__)
/* Leaves the test function when the condition does not hold. */
#define need(condition, ...)                                                                       \
    do {                                                                                           \
        if (!ok(condition, ##__VA_ARGS__))                                                         \
            return;                                                                                \
    } while (0)
/* Marks the test as skipped and leaves it. A skip always has a reason. */
#define skip(...)                                                                                  \
    do {                                                                                           \
        tap_skip(" " __VA_ARGS__);                                                                 \
        return;                                                                                    \
    } while (0)

bool tap_ok(bool held, const char *what, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
bool tap_is_int(intmax_t got, intmax_t expected, const char *what, const char *file, int line,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
bool tap_is_hex(uintmax_t got, uintmax_t expected, const char *what, const char *file, int line,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
bool tap_is_str(const char *got, const char *expected, const char *what, const char *file, int line,
                const char *format, ...) __attribute__((format(printf, 6, 7)));
bool tap_is_mem(const void *got, const void *expected, size_t bytes, const char *what,
                const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 7, 8)));
void tap_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of diagnostics. */
void diag(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Have assertions of the running test failed? */
bool tap_failing(void);

/* --seed, 1 unless given. Where a test runs many schedules, it uses tap_seed() + i and says which
 * one failed (tap_at). */
uint64_t tap_seed(void);
/* Printed with every failure until the next call: "seed 17", "case 3". NULL: none. */
void tap_at(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* nt_start() with the verifier on, memory-only state and two processors. */
void tap_start(enum nt_scheduler scheduler, uint64_t seed);

/* Value of --key=value ("" for a bare --key); NULL if it was not given. */
const char *tap_option(const char *key);

/* Which build of the drivers this run loads, and where a driver of it is. */
bool tap_drivers_pe(void);
#define driver_path(name) tap_driver_path(NTS_DRIVER_DIR, (name))
const char *tap_driver_path(const char *folder, const char *name);

/*
 * Runs `body` in a fork and expects the verifier to end it with the named rule. The host must not
 * be running in the caller. The rest of what the child printed is shown only if that does not
 * happen. False if it did not.
 */
#define expect_violation(rule, body) tap_expect(TAP_VIOLATION, (rule), (body), __FILE__, __LINE__)
/* Likewise for a bug check, named as KeBugCheckEx prints it: "0x000000C4". */
#define expect_bugcheck(code, body) tap_expect(TAP_BUGCHECK, (code), (body), __FILE__, __LINE__)
/* The good twin: the body returns, its assertions hold, and no rule bites. */
#define expect_silence(body) tap_expect(TAP_SILENCE, NULL, (body), __FILE__, __LINE__)
/* All three hand an argument to the body. */
#define expect_violation_with(rule, body, argument)                                                \
    tap_expect_with(TAP_VIOLATION, (rule), (body), (argument), __FILE__, __LINE__)
#define expect_bugcheck_with(code, body, argument)                                                 \
    tap_expect_with(TAP_BUGCHECK, (code), (body), (argument), __FILE__, __LINE__)
#define expect_silence_with(body, argument)                                                        \
    tap_expect_with(TAP_SILENCE, NULL, (body), (argument), __FILE__, __LINE__)

enum tap_expectation { TAP_VIOLATION, TAP_BUGCHECK, TAP_SILENCE };
bool tap_expect(enum tap_expectation expectation, const char *name, void (*body)(void),
                const char *file, int line);
bool tap_expect_with(enum tap_expectation expectation, const char *name, void (*body)(void *),
                     void *argument, const char *file, int line);
/* What the child of the last expectation printed on stderr. */
const char *tap_child_output(void);
