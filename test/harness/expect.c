/*
 * Expectations about a process: the body runs in a fork, and what is judged is how that process
 * ended and what it printed on stderr. The verifier's block names its rule in a line "*** VIOLATION
 * <rule>", a bug check in
 * "*** STOP 0x........", and each has its own exit code.
 */
#include "tap_internal.h"
#include <errno.h>
#include <nthost/verifier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char output[64 * 1024];

const char *tap_child_output(void)
{
    return output;
}

static int run_child(void (*body)(void *), void *argument)
{
    int stderr_pipe[2];
    fflush(stdout);
    fflush(stderr);
    output[0] = 0;
    if (pipe(stderr_pipe))
        return -1;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (!child) {
        alarm(60);
        tap_forget_failures();
        dup2(stderr_pipe[1], STDERR_FILENO);
        dup2(stderr_pipe[1], STDOUT_FILENO);
        close(stderr_pipe[0]);
        close(stderr_pipe[1]);
        body(argument);
        fflush(stdout);
        _exit(tap_failing() ? 1 : 0);
    }
    close(stderr_pipe[1]);
    size_t length = 0;
    for (;;) {
        char rest[4096];
        size_t room = sizeof output - 1 - length;
        ssize_t got =
            read(stderr_pipe[0], room ? output + length : rest, room ? room : sizeof rest);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += room ? (size_t)got : 0;
    }
    output[length] = 0;
    close(stderr_pipe[0]);
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static bool output_has_line(const char *head, const char *name)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "%s%s", head, name);
    size_t length = strlen(wanted);
    for (const char *found = output; (found = strstr(found, wanted)); found += length) {
        if (!found[length] || strchr(" :\r\n", found[length]))
            return true;
    }
    return false;
}

bool tap_expect_with(enum tap_expectation expectation, const char *name, void (*body)(void *),
                     void *argument, const char *file, int line)
{
    int status = run_child(body, argument);
    char what[128];
    bool held;
    switch (expectation) {
    case TAP_VIOLATION:
        snprintf(what, sizeof what, "violation %s", name);
        held = WIFEXITED(status) && WEXITSTATUS(status) == VF_EXIT_CODE &&
               output_has_line("*** VIOLATION ", name);
        break;
    case TAP_BUGCHECK:
        snprintf(what, sizeof what, "bug check %s", name);
        held = WIFEXITED(status) && WEXITSTATUS(status) == VF_BUGCHECK_EXIT_CODE &&
               output_has_line("*** STOP ", name);
        break;
    default:
        snprintf(what, sizeof what, "silence");
        held = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        break;
    }
    if (held)
        return true;
    if (WIFSIGNALED(status))
        tap_ok(false, what, file, line, " did not come: killed by signal %d (%s)", WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    else
        tap_ok(false, what, file, line, " did not come: exit code %d", WEXITSTATUS(status));
    tap_comment(output);
    return false;
}

static void call_without_argument(void *argument)
{
    void (*body)(void);
    memcpy(&body, &argument, sizeof body);
    body();
}

bool tap_expect(enum tap_expectation expectation, const char *name, void (*body)(void),
                const char *file, int line)
{
    void *argument;
    memcpy(&argument, &body, sizeof argument);
    return tap_expect_with(expectation, name, call_without_argument, argument, file, line);
}
