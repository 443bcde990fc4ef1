/* Running the tests, and what they share. */
#define GROUP "suite"
#include "suite.h"
#include <dirent.h>
#include <ftw.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/wait.h>

static struct suite_test *first;
static unsigned failures; /* of the running test */

void suite_register(struct suite_test *test)
{
    struct suite_test **at = &first;
    while (*at != NULL &&
           (strcmp((*at)->group, test->group) < 0 || strcmp((*at)->group, test->group) == 0))
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

static void failed(const char *text, const char *file, int line)
{
    const char *slash = strrchr(file, '/');
    failures++;
    printf("# %s:%d: %s: ", slash != NULL ? slash + 1 : file, line, text);
}

bool suite_check(bool condition, const char *text, const char *file, int line)
{
    if (!condition) {
        failed(text, file, line);
        puts("does not hold");
    }
    return condition;
}

bool suite_is(long long got, long long wanted, const char *text, const char *file, int line)
{
    if (got != wanted) {
        failed(text, file, line);
        printf("is %lld (0%llo), not %lld (0%llo)\n", got, got, wanted, wanted);
    }
    return got == wanted;
}

long long suite_passes(long long value, const char *text, const char *file, int line)
{
    if (value < 0) {
        int error = errno;
        failed(text, file, line);
        printf("%s\n", strerror(error));
    }
    return value;
}

bool suite_fails(long long value, int error, const char *text, const char *file, int line)
{
    if (value == -1 && errno == error)
        return true;
    int got = errno;
    failed(text, file, line);
    printf("%s, not %s\n", value == -1 ? strerror(got) : "it passed", strerror(error));
    return false;
}

void be(uid_t uid, gid_t extra)
{
    gid_t groups[] = {uid, extra};
    be_root();
    passes(setgroups(extra != 0 ? 2 : 1, groups));
    passes(setresgid(-1, uid, -1));
    passes(setresuid(-1, uid, -1));
}

void be_root(void)
{
    gid_t none = 0;
    passes(setresuid(-1, 0, -1));
    passes(setresgid(-1, 0, -1));
    passes(setgroups(1, &none));
}

void make_file(const char *path, mode_t mode)
{
    int fd = (int)passes(open(path, O_CREAT | O_EXCL | O_WRONLY, 0600));
    passes(fchmod(fd, mode));
    close(fd);
}

void make_filled(const char *path, const char *text)
{
    int fd = (int)passes(open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644));
    is(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void make_folder(const char *path, mode_t mode)
{
    passes(mkdir(path, 0700));
    passes(chmod(path, mode));
}

void make_owned(const char *path, uid_t owner, gid_t group, mode_t mode)
{
    make_file(path, 0600);
    passes(chown(path, owner, group));
    passes(chmod(path, mode));
}

bool holds(const char *path, const char *text)
{
    char data[4096];
    int fd = open(path, O_RDONLY);
    ssize_t bytes = fd < 0 ? -1 : read(fd, data, sizeof(data));
    if (fd >= 0)
        close(fd);
    return bytes == (ssize_t)strlen(text) && memcmp(data, text, (size_t)bytes) == 0;
}

struct stat look(const char *path)
{
    struct stat st = {0};
    if (lstat(path, &st) != 0)
        memset(&st, 0, sizeof(st));
    return st;
}

bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

mode_t mode_of(const char *path)
{
    return look(path).st_mode & 07777;
}

const char *long_name(size_t bytes, char fill)
{
    static char names[4][8192];
    static unsigned next;
    char *name = names[next++ % 4];
    memset(name, fill, bytes);
    name[bytes] = 0;
    return name;
}

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t atime_of(const char *path)
{
    return nanoseconds(look(path).st_atim);
}

int64_t mtime_of(const char *path)
{
    return nanoseconds(look(path).st_mtim);
}

int64_t ctime_of(const char *path)
{
    return nanoseconds(look(path).st_ctim);
}

void wait_tick(void)
{
    struct timespec from, now, step = {.tv_nsec = 500000};
    clock_gettime(CLOCK_REALTIME, &from);
    do {
        nanosleep(&step, NULL);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    } while (nanoseconds(now) <= nanoseconds(from));
}

int in_child(int (*body)(void *), void *context)
{
    int status = -1;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        failures = 0;
        int result = body(context);
        fflush(stdout);
        _exit(failures != 0 ? 99 : result);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    if (WEXITSTATUS(status) == 99)
        failures++;
    return WEXITSTATUS(status);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static bool run(const struct suite_test *test, unsigned number, int base)
{
    char folder[64];
    snprintf(folder, sizeof(folder), "suite-%d-%u", getpid(), number);
    failures = 0;
    umask(022);
    if (fchdir(base) != 0 || mkdir(folder, 0755) != 0 || chdir(folder) != 0) {
        printf("# %s: %s\n", folder, strerror(errno));
        failures++;
    } else {
        test->body();
    }
    be_root();
    if (fchdir(base) != 0 || nftw(folder, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0) {
        printf("# cannot remove %s: %s\n", folder, strerror(errno));
        failures++;
    }
    printf("%sok %u - %s: %s\n", failures == 0 ? "" : "not ", number, test->group, test->name);
    fflush(stdout);
    return failures == 0;
}

int main(int argc, char **argv)
{
    const char *filter = argc > 2 ? argv[2] : "";
    unsigned count = 0, bad = 0;
    if (argc < 2 || geteuid() != 0) {
        fputs("Usage: posix-suite FOLDER [FILTER] (as root)\n", stderr);
        return 2;
    }
    int base = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0) {
        fprintf(stderr, "posix-suite: %s: %s\n", argv[1], strerror(errno));
        return 2;
    }
    puts("TAP version 14");
    for (const struct suite_test *test = first; test != NULL; test = test->next)
        if (strstr(test->group, filter) != NULL || strstr(test->name, filter) != NULL)
            bad += !run(test, ++count, base);
    printf("1..%u\n", count);
    return bad != 0 || count == 0;
}
