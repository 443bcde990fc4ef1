/*
 * Preloaded into a process: kills it at its Nth change of files below one folder.
 *
 * CRASH_FOLDER  the folder, with its links resolved
 * CRASH_AT      N, from 1; a write is done by half before the process dies, any other change not at
 * all CRASH_ARMED   optional: changes count once this file exists
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long changes;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int below(const char *path)
{
    const char *folder = getenv("CRASH_FOLDER");
    size_t length = folder ? strlen(folder) : 0;

    return length && strncmp(path, folder, length) == 0;
}

/* Whether the process has to die at this change. */
static int due(const char *path)
{
    const char *at = getenv("CRASH_AT");
    const char *armed = getenv("CRASH_ARMED");

    if (!at || !below(path) || (armed && access(armed, F_OK) != 0))
        return 0;
    return atomic_fetch_add(&changes, 1) + 1 == atol(at);
}

static int due_fd(int fd)
{
    char link[64];
    char path[PATH_MAX];
    ssize_t length;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return due(path);
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (due_fd(fd)) {
        REAL(write)(fd, bytes, count / 2);
        die();
    }
    return REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    if (due_fd(fd)) {
        REAL(pwrite)(fd, bytes, count / 2, offset);
        die();
    }
    return REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    if (due_fd(fd)) {
        REAL(pwrite64)(fd, bytes, count / 2, offset);
        die();
    }
    return REAL(pwrite64)(fd, bytes, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (due_fd(fd))
        die();
    return REAL(writev)(fd, parts, count);
}

int fsync(int fd)
{
    if (due_fd(fd))
        die();
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    if (due_fd(fd))
        die();
    return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length)
{
    if (due_fd(fd))
        die();
    return REAL(ftruncate64)(fd, length);
}

int ftruncate(int fd, off_t length)
{
    if (due_fd(fd))
        die();
    return REAL(ftruncate)(fd, length);
}

int rename(const char *from, const char *to)
{
    if (due(to))
        die();
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    if (due(path))
        die();
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode)
{
    if (due(path))
        die();
    return REAL(mkdir)(path, mode);
}

int open(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && due(path))
        die();
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list rest;
    mode_t mode;

    va_start(rest, flags);
    mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (flags & O_CREAT && due(path))
        die();
    return REAL(open64)(path, flags, mode);
}
