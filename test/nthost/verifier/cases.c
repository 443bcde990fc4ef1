/*
 * Runs the table: one test a case.
 */
#include "cases.h"
#include <nthost/loader.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct vf_case *cases;
static const struct vf_case *running;

const char *vf_case_driver(void)
{
    return running->driver;
}

static void run(const struct vf_case *test, const char *twin)
{
    const struct nt_options options = {
        .scheduler = test->realtime ? NT_REALTIME : NT_DETERMINISTIC,
        .seed = tap_seed(),
        .processors = 2,
        .verifier = true,
        .special_pool = test->special_pool,
        .state_dir = test->state_dir ? test->state_dir() : NULL,
    };
    char service[128], error[512] = "";
    PDRIVER_OBJECT driver;
    snprintf(service, sizeof service, "%s-%s", test->driver, twin);
    running = test;
    nt_start(&options);
    if (test->before)
        test->before();
    NTSTATUS status = driver_load(service, driver_path(test->driver), &driver, error, sizeof error);
    need(NT_SUCCESS(status), "0x%08x %s", status, error);
    if (test->exercise)
        test->exercise(driver);
    is_status(driver_unload(driver), STATUS_SUCCESS);
    if (test->after)
        test->after();
    nt_stop();
    if (test->stopped)
        test->stopped();
}

static void run_bad(void *argument)
{
    run(argument, "bad");
}

static void run_good(void *argument)
{
    run(argument, "good");
}

static void run_case(void *argument)
{
    struct vf_case *test = argument;
    if (test->pe_only && !tap_drivers_pe())
        skip("ELF modules have no pageable sections");
    if (expect_violation_with(test->rule, run_bad, test))
        ok(strstr(tap_child_output(), test->driver) != NULL, "the driver is named:\n%s",
           tap_child_output());
    expect_silence_with(run_good, test);
}

void vf_case_register(struct vf_case *test)
{
    test->next = cases;
    cases = test;
    struct tap_test *registered = calloc(1, sizeof *registered);
    char *name = malloc(128);
    if (!registered || !name)
        abort();
    snprintf(name, 128, "%s%s", test->driver, test->special_pool ? " (special pool)" : "");
    registered->name = name;
    registered->file = __FILE__;
    registered->body_with = run_case;
    registered->argument = test;
    tap_register(registered);
}

/* Drivers that crash: bug checks, with the driver's name, with or without the verifier. */
static void expect_crash(const char *driver, const char *code)
{
    struct vf_case test = {.driver = driver};
    expect_bugcheck_with(code, run_bad, &test);
    ok(strstr(tap_child_output(), driver) != NULL, "the driver is named:\n%s", tap_child_output());
    expect_silence_with(run_good, &test);
}

NT_TEST(crashes_are_bug_checks)
{
    expect_crash("CorruptList", "0x00000139");
    expect_crash("NullPointer", "0x00000050");
    expect_crash("NullAtDispatch", "0x000000D1");
}

#define RULE_NAME(rule) #rule,
static const char *const rules[] = {VF_RULES(RULE_NAME)};

NT_TEST(every_rule_has_a_bad_driver)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const struct vf_case *test = cases;
        while (test && strcmp(test->rule, rules[i]))
            test = test->next;
        ok(test != NULL, "%s", rules[i]);
    }
}

/* The verifier is off: nothing is printed, and what only it detects goes unnoticed. */
static void run_unverified(void *argument)
{
    const struct nt_options options = {.scheduler = NT_DETERMINISTIC, .processors = 2};
    char error[512];
    PDRIVER_OBJECT driver;
    nt_start(&options);
    need(NT_SUCCESS(driver_load("PoolLeak-bad", argument, &driver, error, sizeof error)));
    is_status(driver_unload(driver), STATUS_SUCCESS);
    nt_stop();
}

NT_TEST(rules_sleep_without_the_verifier)
{
    expect_silence_with(run_unverified, (void *)(uintptr_t)driver_path("PoolLeak"));
    is_str(tap_child_output(), "");
}
