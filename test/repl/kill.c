/*
 * Ends a program at its n-th call that changes a disk: LD_PRELOAD, NTS_KILL_AT=n. Of a write the
 * first half is done. At a normal end the number of calls goes to the file NTS_KILL_COUNT.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long calls;
static long kill_at = -1;

__attribute__((constructor)) static void start(void)
{
    const char *at = getenv("NTS_KILL_AT");
    kill_at = at ? strtol(at, NULL, 10) : -1;
}

__attribute__((destructor)) static void finish(void)
{
    const char *path = getenv("NTS_KILL_COUNT");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%ld\n", atomic_load(&calls));
        fclose(file);
    }
}

/* Pipes and terminals are no disk. */
static int on_disk(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int is_last(void)
{
    return atomic_fetch_add(&calls, 1) + 1 == kill_at;
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void count(void)
{
    if (is_last())
        end();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define COUNTED(type, name, parameters, arguments)                                                 \
    type name parameters                                                                           \
    {                                                                                              \
        count();                                                                                   \
        return REAL(name) arguments;                                                               \
    }

COUNTED(int, fdatasync, (int fd), (fd))
COUNTED(int, fsync, (int fd), (fd))
COUNTED(int, syncfs, (int fd), (fd))
COUNTED(int, ftruncate, (int fd, off_t size), (fd, size))
COUNTED(int, ftruncate64, (int fd, off64_t size), (fd, size))
COUNTED(int, rename, (const char *from, const char *to), (from, to))
COUNTED(int, unlink, (const char *path), (path))
COUNTED(int, rmdir, (const char *path), (path))
COUNTED(int, mkdir, (const char *path, mode_t mode), (path, mode))
COUNTED(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))
COUNTED(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
COUNTED(int, symlinkat, (const char *target, int folder, const char *path), (target, folder, path))
COUNTED(int, mknodat, (int folder, const char *path, mode_t mode, dev_t device),
        (folder, path, mode, device))
COUNTED(int, linkat, (int a, const char *from, int b, const char *to, int flags),
        (a, from, b, to, flags))
COUNTED(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
COUNTED(int, fallocate64, (int fd, int mode, off64_t offset, off64_t length),
        (fd, mode, offset, length))
COUNTED(int, utimensat, (int folder, const char *path, const struct timespec times[2], int flags),
        (folder, path, times, flags))

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (!on_disk(fd))
        return REAL(write)(fd, data, bytes);
    if (is_last()) {
        REAL(write)(fd, data, bytes / 2);
        end();
    }
    return REAL(write)(fd, data, bytes);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset)
{
    if (is_last()) {
        REAL(pwrite64)(fd, data, bytes / 2, offset);
        end();
    }
    return REAL(pwrite64)(fd, data, bytes, offset);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset)
{
    return pwrite64(fd, data, bytes, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int number, off64_t offset)
{
    if (is_last()) {
        REAL(pwrite64)(fd, parts[0].iov_base, parts[0].iov_len / 2, offset);
        end();
    }
    return REAL(pwritev64)(fd, parts, number, offset);
}

ssize_t pwritev(int fd, const struct iovec *parts, int number, off_t offset)
{
    return pwritev64(fd, parts, number, offset);
}

/* The addon's openat2 and renameat2. */
long syscall(long number, ...)
{
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_renameat2)
        count();
    /* struct open_how begins with the flags. */
    if (number == SYS_openat2 && (*(const unsigned long long *)a[2] & O_CREAT) != 0)
        count();
    return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
