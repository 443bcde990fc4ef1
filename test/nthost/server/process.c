/* Other processes: an ordinary user, and nthost as it is run. */
#include "peer.h"
#include <errno.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* Exit status: which of the checks of an unprivileged client failed; 0: none. */
static int as_user(const char *path)
{
    uint32_t handle;
    if (setgroups(0, NULL) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    int fd = peer_greet(path);
    if (fd < 0)
        return 2;
    if (peer_open(fd, "\\Device\\IoTestAdmin", GENERIC_READ, &handle) !=
        (uint32_t)STATUS_ACCESS_DENIED)
        return 3;
    if (peer_open(fd, "\\\\.\\IoTest", GENERIC_READ, &handle) != STATUS_SUCCESS)
        return 4;
    if (peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_NEEDS_WRITE, 0, NULL, 0, NULL, NULL, 0) !=
        (uint32_t)STATUS_ACCESS_DENIED)
        return 5;
    static const uint32_t refused[] = {WIRE_LIST,      WIRE_START, WIRE_STOP,    WIRE_INSTALL,
                                       WIRE_UNINSTALL, WIRE_CHECK, WIRE_ADAPTERS};
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if (peer_call(fd, refused[i], 0, 0, 0, "x", 1, NULL, NULL, 0) !=
            (uint32_t)STATUS_ACCESS_DENIED)
            return 6;
    return 0;
}

NT_TEST(an_ordinary_user_is_refused_by_the_devices_descriptor)
{
    struct host host;
    int status;
    /* In a user namespace of its own an ordinary user is called root. */
    if (geteuid() != 0 || getenv("NTS_UNPRIVILEGED") != NULL)
        skip("only root can become another user");
    need(host_start(&host));
    pid_t child = fork();
    if (child == 0)
        _exit(as_user(host.path));
    ok(waitpid(child, &status, 0) == child);
    ok(WIFEXITED(status));
    is_int(WEXITSTATUS(status), 0);
    host_stop(&host);
}

/* nthost itself */

struct run {
    pid_t pid;
    char dir[64], socket[96], state[96];
};

static pid_t launch(const struct run *run, const char *socket, bool *ready)
{
    char fd[16], byte[8] = "";
    int ends[2];
    *ready = false;
    if (pipe(ends) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        snprintf(fd, sizeof(fd), "%d", ends[1]);
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(99);
        execl(NTS_BIN_DIR "/nthost", "nthost", "--socket", socket, "--state", run->state,
              "--ready-fd", fd, NULL);
        _exit(99);
    }
    close(ends[1]);
    *ready = read(ends[0], byte, sizeof(byte)) == 6 && memcmp(byte, "ready\n", 6) == 0;
    close(ends[0]);
    return pid;
}

static bool run_start(struct run *run)
{
    bool ready;
    run->pid = launch(run, run->socket, &ready);
    return ok(run->pid > 0) && ok(ready);
}

static int run_end(struct run *run, int with)
{
    int status = -1;
    kill(run->pid, with);
    ok(waitpid(run->pid, &status, 0) == run->pid);
    return status;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void run_init(struct run *run)
{
    snprintf(run->dir, sizeof(run->dir), "/tmp/nthost-run-XXXXXX");
    ok(mkdtemp(run->dir) != NULL);
    snprintf(run->socket, sizeof(run->socket), "%s/socket", run->dir);
    snprintf(run->state, sizeof(run->state), "%s/state", run->dir);
}

NT_TEST(nthost_starts_serves_and_stops)
{
    struct run run = {0};
    struct stat st;
    run_init(&run);
    need(run_start(&run));
    ok(stat(run.socket, &st) == 0 && (st.st_mode & 0777) == 0666);
    int fd = peer_greet(run.socket);
    ok(fd >= 0);
    int status = run_end(&run, SIGTERM);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
    ok(peer_ended(fd));
    close(fd);
    ok(stat(run.socket, &st) != 0 && errno == ENOENT);
    nftw(run.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

NT_TEST(a_killed_nthost_leaves_nothing_in_the_way)
{
    struct run run = {0};
    run_init(&run);
    for (unsigned i = 0; i < 3; i++) {
        need(run_start(&run));
        int fd = peer_greet(run.socket);
        ok(fd >= 0);
        close(fd);
        int status = run_end(&run, SIGKILL);
        ok(WIFSIGNALED(status));
    }
    nftw(run.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

NT_TEST(state_and_socket_belong_to_one_nthost)
{
    struct run run = {0};
    char other[128];
    int status;
    bool ready;
    run_init(&run);
    need(run_start(&run));
    snprintf(other, sizeof(other), "%s/other", run.dir);
    pid_t second = launch(&run, other, &ready);
    ok(!ready);
    ok(waitpid(second, &status, 0) == second && WIFEXITED(status));
    is_int(WEXITSTATUS(status), 1);
    struct run elsewhere = run;
    snprintf(elsewhere.state, sizeof(elsewhere.state), "%s/other-state", run.dir);
    second = launch(&elsewhere, run.socket, &ready);
    ok(!ready);
    ok(waitpid(second, &status, 0) == second && WIFEXITED(status));
    is_int(WEXITSTATUS(status), 1);
    int fd = peer_greet(run.socket);
    ok(fd >= 0);
    close(fd);
    status = run_end(&run, SIGINT);
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    nftw(run.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
