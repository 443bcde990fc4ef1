/*
 * Registration, command line, assertions and TAP output.
 *
 * Everything that is printed goes to stdout in whole lines under one lock, since assertions may
 * come from any thread of the host. The plan comes first, so that a process that dies half-way has
 * visibly not run all its tests.
 */
#include "tap_internal.h"
#include <errno.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct tap_test *tests, **tests_end = &tests;
static char **options;
static int option_count;
static uint64_t seed = 1;
static bool drivers_pe;
static unsigned timeout_seconds = 120;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const struct tap_test *running;
static unsigned failures; /* of the running test, under lock */
static char skipped[256];
static char at[128];

void tap_register(struct tap_test *test)
{
    *tests_end = test;
    tests_end = &test->next;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Every line of `text` as a TAP comment. Under the lock. */
static void print_comment(const char *text)
{
    while (*text) {
        size_t line = strcspn(text, "\n");
        printf("# %.*s\n", (int)line, text);
        text += line + (text[line] == '\n');
    }
}

void tap_comment(const char *text)
{
    pthread_mutex_lock(&lock);
    print_comment(text);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

void diag(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tap_comment(text);
}

static void failed(const char *file, int line, const char *what, const char *detail,
                   const char *format, va_list arguments)
{
    char note[512], text[2048];
    vsnprintf(note, sizeof note, format, arguments);
    pthread_mutex_lock(&lock);
    failures++;
    snprintf(text, sizeof text, "%s:%d: %s%s%s%s%s%s", base_name(file), line, what, detail,
             note[1] ? " --" : "", note[1] ? note : "", at[0] ? ", at " : "", at);
    print_comment(text);
    fflush(stdout);
    pthread_mutex_unlock(&lock);
}

#define FAIL_UNLESS(held, detail)                                                                  \
    do {                                                                                           \
        if (!(held)) {                                                                             \
            va_list arguments;                                                                     \
            va_start(arguments, format);                                                           \
            failed(file, line, what, (detail), format, arguments);                                 \
            va_end(arguments);                                                                     \
        }                                                                                          \
        return (held);                                                                             \
    } while (0)

bool tap_ok(bool held, const char *what, const char *file, int line, const char *format, ...)
{
    FAIL_UNLESS(held, "");
}

bool tap_is_int(intmax_t got, intmax_t expected, const char *what, const char *file, int line,
                const char *format, ...)
{
    char detail[96];
    snprintf(detail, sizeof detail, " is %jd, expected %jd", got, expected);
    FAIL_UNLESS(got == expected, detail);
}

bool tap_is_hex(uintmax_t got, uintmax_t expected, const char *what, const char *file, int line,
                const char *format, ...)
{
    char detail[96];
    snprintf(detail, sizeof detail, " is 0x%jx, expected 0x%jx", got, expected);
    FAIL_UNLESS(got == expected, detail);
}

bool tap_is_str(const char *got, const char *expected, const char *what, const char *file, int line,
                const char *format, ...)
{
    bool held = got && expected ? !strcmp(got, expected) : got == expected;
    char detail[768];
    snprintf(detail, sizeof detail, " is \"%.300s\", expected \"%.300s\"", got ? got : "(null)",
             expected ? expected : "(null)");
    FAIL_UNLESS(held, detail);
}

bool tap_is_mem(const void *got, const void *expected, size_t bytes, const char *what,
                const char *file, int line, const char *format, ...)
{
    const unsigned char *a = got, *b = expected;
    size_t first = 0;
    while (first < bytes && a[first] == b[first])
        first++;
    char detail[128];
    if (first < bytes)
        snprintf(detail, sizeof detail, " differs at byte %zu of %zu: 0x%02x, expected 0x%02x",
                 first, bytes, a[first], b[first]);
    FAIL_UNLESS(first == bytes, detail);
}

void tap_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(skipped, sizeof skipped, format, arguments);
    va_end(arguments);
}

bool tap_failing(void)
{
    pthread_mutex_lock(&lock);
    bool result = failures != 0;
    pthread_mutex_unlock(&lock);
    return result;
}

void tap_forget_failures(void)
{
    failures = 0;
}

uint64_t tap_seed(void)
{
    return seed;
}

void tap_at(const char *format, ...)
{
    pthread_mutex_lock(&lock);
    at[0] = 0;
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(at, sizeof at, format, arguments);
        va_end(arguments);
    }
    vf_note(at);
    pthread_mutex_unlock(&lock);
}

void tap_start(enum nt_scheduler scheduler, uint64_t run_seed)
{
    const struct nt_options host = {
        .scheduler = scheduler,
        .seed = run_seed,
        .processors = 2,
        .verifier = true,
    };
    nt_start(&host);
}

const char *tap_option(const char *key)
{
    size_t length = strlen(key);
    for (int i = 0; i < option_count; i++) {
        const char *option = options[i];
        if (!strncmp(option, "--", 2) && !strncmp(option + 2, key, length)) {
            if (option[2 + length] == '=')
                return option + 3 + length;
            if (!option[2 + length])
                return "";
        }
    }
    return NULL;
}

bool tap_drivers_pe(void)
{
    return drivers_pe;
}

const char *tap_driver_path(const char *folder, const char *name)
{
    static char paths[8][512]; /* so that a few of them live at the same time */
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s%s", folder, name, drivers_pe ? ".sys" : ".so");
    return path;
}

static void on_timeout(int signal_number)
{
    (void)signal_number;
    static const char text[] = "\nBail out! a test ran longer than --timeout allows\n";
    ssize_t ignored = write(STDOUT_FILENO, text, sizeof text - 1);
    (void)ignored;
    _exit(124);
}

static void call_body(const struct tap_test *test)
{
    if (test->body)
        test->body();
    else
        test->body_with(test->argument);
}

/* In a child: what the child reports is its exit code and its own comments, which it prints itself.
 */
static void run_forked(const struct tap_test *test)
{
    enum { PASSED = 0, FAILED = 1, SKIPPED = 2 };
    int reason[2];
    fflush(stdout);
    if (pipe(reason)) {
        failures++;
        return;
    }
    pid_t child = fork();
    if (!child) {
        alarm(timeout_seconds);
        call_body(test);
        fflush(stdout);
        ssize_t ignored = write(reason[1], skipped, strlen(skipped));
        (void)ignored;
        _exit(failures ? FAILED : skipped[0] ? SKIPPED : PASSED);
    }
    close(reason[1]);
    int status = 0;
    ssize_t got = read(reason[0], skipped, sizeof skipped - 1);
    skipped[got > 0 ? got : 0] = 0;
    close(reason[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status)) {
        diag("killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
        failures++;
    } else if (WEXITSTATUS(status) != PASSED && WEXITSTATUS(status) != SKIPPED) {
        if (WEXITSTATUS(status) != FAILED)
            diag("exit code %d", WEXITSTATUS(status));
        failures++;
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static void parse_options(int argc, char **argv)
{
    options = argv + 1;
    option_count = argc - 1;
    const char *value;
    if ((value = tap_option("drivers"))) {
        if (strcmp(value, "elf") && strcmp(value, "pe")) {
            fprintf(stderr, "--drivers= takes elf or pe\n");
            exit(2);
        }
        drivers_pe = !strcmp(value, "pe");
    }
    if ((value = tap_option("seed"))) {
        if (!strcmp(value, "random")) {
            struct timespec time;
            clock_gettime(CLOCK_REALTIME, &time);
            seed = ((uint64_t)time.tv_nsec << 20 ^ (uint64_t)time.tv_sec ^ (uint64_t)getpid()) &
                   0xffffffff;
        } else {
            seed = strtoull(value, NULL, 0);
        }
    }
    if ((value = tap_option("timeout")))
        timeout_seconds = (unsigned)strtoul(value, NULL, 0);
}

int main(int argc, char **argv)
{
    parse_options(argc, argv);
    const char *filter = tap_option("filter");
    bool fork_all = tap_option("fork") != NULL;
    unsigned count = 0, number = 0, failed_tests = 0;
    for (const struct tap_test *test = tests; test; test = test->next)
        count += !filter || strstr(test->name, filter);
    if (tap_option("list")) {
        for (const struct tap_test *test = tests; test; test = test->next)
            printf("%s\n", test->name);
        return 0;
    }

    signal(SIGALRM, on_timeout);
    signal(SIGPIPE, SIG_IGN);
    printf("TAP version 14\n1..%u%s\n", count, count ? "" : " # SKIP no test matches the filter");
    printf("# drivers %s, seed %llu\n", drivers_pe ? "pe" : "elf", (unsigned long long)seed);
    fflush(stdout);
    for (const struct tap_test *test = tests; test; test = test->next) {
        if (filter && !strstr(test->name, filter))
            continue;
        running = test;
        failures = 0;
        skipped[0] = 0;
        tap_at(NULL);
        double start = now();
        if (test->forked || fork_all) {
            run_forked(test);
        } else {
            alarm(timeout_seconds);
            call_body(test);
            alarm(0);
        }
        double took = now() - start;
        pthread_mutex_lock(&lock);
        failed_tests += failures != 0;
        printf("%sok %u - %s", failures ? "not " : "", ++number, running->name);
        if (skipped[0] && !failures)
            printf(" # SKIP%s\n", skipped);
        else
            printf(" # time=%.1fms\n", took);
        fflush(stdout);
        pthread_mutex_unlock(&lock);
    }
    if (failed_tests)
        printf("# %u of %u failed; seed %llu\n", failed_tests, count, (unsigned long long)seed);
    return failed_tests ? 1 : 0;
}
