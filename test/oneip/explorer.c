/*
 * The explorer on a short budget, and the proof that it can fail: each mutant of the role
 * (tools/explorer/mutants.cmake) has to be found.
 *
 *   --seconds=N        for the random runs (default 8)
 *   --explore=long     also three faults, five nodes, two deviations: some minutes
 *
 * With --drivers=pe nothing else would run than with elf, no driver being loaded here, so the
 * budget is cut.
 */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

extern char **environ;

static bool is_long(void)
{
    const char *text = tap_option("explore");

    return text != NULL && strcmp(text, "long") == 0;
}

static bool is_sanitized(void)
{
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
    return true;
#endif
#endif
    return false;
}

static bool is_brief(void)
{
    return !is_long() && (tap_drivers_pe() || is_sanitized());
}

static double seconds(void)
{
    const char *text = tap_option("seconds");

    return text != NULL ? strtod(text, NULL) : is_long() ? 120 : is_brief() ? 2 : 8;
}

NT_TEST(explorer_short_schedules)
{
    if (is_brief()) {
        const struct exhaust_options one = {.nodes = 3, .budget = 1, .horizon = 24, .cold = true};

        diag("one of the lists: the others run with the plain ELF build");
        ok(suite_exhaustive(&one));
        return;
    }
    ok(suite_short());
    if (is_long()) {
        static const struct exhaust_options list[] = {
            {.nodes = 2, .budget = 3, .horizon = 8},
            {.nodes = 3, .budget = 2, .horizon = 20, .cold = true},
            {.nodes = 3, .budget = 2, .horizon = 12, .deep = true},
            {.nodes = 4, .budget = 2, .horizon = 6},
            {.nodes = 5, .budget = 1, .horizon = 24, .cold = true},
        };

        for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
            ok(suite_exhaustive(&list[i]));
    }
}

NT_TEST(explorer_random_runs)
{
    ok(suite_random(tap_seed(), UINT64_MAX, seconds(), -1));
}

NT_TEST(explorer_each_profile)
{
    for (int profile = 0; profile < PROFILES; profile++)
        ok(suite_random(tap_seed() + 1000000, 200, seconds() / 4, profile), "%s",
           profile_names[profile]);
}

NT_TEST(explorer_on_the_deterministic_scheduler)
{
    ok(suite_threads(tap_seed(), is_long() ? 5000 : is_brief() ? 50 : 300));
}

NT_TEST(explorer_single_deviations_on_the_deterministic_scheduler)
{
    ok(suite_scenes(2, 1));
    if (!is_brief())
        ok(suite_scenes(3, 1));
    if (is_long())
        ok(suite_scenes(2, 2));
}

/* Runs a mutant; its output goes to `log`. The exit code, or -1. */
static int hunt(const char *mutant, char *how, const char *log)
{
    char path[512];
    char *arguments[] = {path, how, NULL};
    posix_spawn_file_actions_t files;
    int status = -1;
    pid_t child;

    snprintf(path, sizeof path, "%s/%s", EXPLORER_MUTANTS, mutant);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    if (posix_spawn(&child, path, &files, NULL, arguments, environ) == 0)
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            ;
    posix_spawn_file_actions_destroy(&files);
    return status >= 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void print_verdict(const char *mutant, const char *log)
{
    char line[600];
    FILE *file = fopen(log, "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "VIOLATION", 9) == 0) {
            line[strcspn(line, "\n")] = '\0';
            diag("%s: %s", mutant, line + 10);
            break;
        }
    if (file != NULL)
        fclose(file);
}

static bool is_found(const char *mutant, char *how, const char *log)
{
    int code = hunt(mutant, how, log);
    bool found = ok(code == 1, "%s: exit code %d", mutant, code);

    if (found)
        print_verdict(mutant, log);
    return found;
}

NT_TEST(explorer_finds_mutants_on_the_deterministic_scheduler)
{
    char log[] = "/tmp/explorer-XXXXXX";
    int file = mkstemp(log);

    need(file >= 0);
    close(file);
    is_found("no-lease", "--threads=300", log);
    is_found("no-step-down", "--threads=300", log);
    is_found("no-durable-counter", "--threads=300", log);
    unlink(log);
}

NT_TEST(explorer_finds_every_mutant)
{
    char mutants[] = EXPLORER_MUTANT_NAMES; /* separated by commas */
    unsigned count = 0, number = 0;
    char log[] = "/tmp/explorer-XXXXXX";
    int file = mkstemp(log);

    need(file >= 0);
    close(file);
    for (char *mutant = strtok(mutants, ","); mutant != NULL; mutant = strtok(NULL, ",")) {
        if (is_brief() && number++ % 4 != 0)
            continue;
        is_found(mutant, "--hunt=90", log);
        count++;
    }
    unlink(log);
    if (is_brief())
        diag("one in four: the others run with the plain ELF build");
    ok(count >= (is_brief() ? 5 : 20), "%u mutants", count);
}
