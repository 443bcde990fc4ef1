/*
 * posix-suite FOLDER [FILTER]: what POSIX and the Linux manual pages promise of a file system, as
 * TAP. A file here is one group of promises; each TEST is one test point and runs in an empty
 * folder of its own, its current one, as root with umask 022. A check that fails says where and
 * with which error, and the test goes on.
 *
 * The checks are relative to what a local file system does (ext4), so that the same run on a native
 * folder and on a mount must print the same lines.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

struct suite_test {
    const char *group, *name;
    void (*body)(void);
    struct suite_test *next;
};
void suite_register(struct suite_test *test);

/* GROUP is defined by each file before it includes this. */
#define TEST(test)                                                                                 \
    static void test(void);                                                                        \
    __attribute__((constructor)) static void register_##test(void)                                 \
    {                                                                                              \
        static struct suite_test self = {GROUP, #test, test, NULL};                                \
        suite_register(&self);                                                                     \
    }                                                                                              \
    static void test(void)

#define check(condition) suite_check(!!(condition), #condition, __FILE__, __LINE__)
/* Equal integers. */
#define is(got, wanted) suite_is((long long)(got), (long long)(wanted), #got, __FILE__, __LINE__)
/* The call succeeds (its value, >= 0); or it returns -1 with that error. */
#define passes(call) (errno = 0, suite_passes((long long)(call), #call, __FILE__, __LINE__))
#define fails(call, error)                                                                         \
    (errno = 0, suite_fails((long long)(call), (error), #call, __FILE__, __LINE__))

bool suite_check(bool holds, const char *text, const char *file, int line);
bool suite_is(long long got, long long wanted, const char *text, const char *file, int line);
long long suite_passes(long long value, const char *text, const char *file, int line);
bool suite_fails(long long value, int error, const char *text, const char *file, int line);

/* Users without any name or right; each user's own group has the same number. */
enum { ALICE = 64001, BOB = 64002, CAROL = 64003, STAFF = 64100 };
/* Everything until be_root() is done by that user; extra: one more group, 0: none. */
void be(uid_t uid, gid_t extra);
void be_root(void);

/* Files: made, or read, with all errors reported by the checks of the caller's file. */
void make_file(const char *path, mode_t mode);
void make_filled(const char *path, const char *text);
void make_folder(const char *path, mode_t mode);
void make_owned(const char *path, uid_t owner, gid_t group, mode_t mode);
/* The whole file is this text. */
bool holds(const char *path, const char *text);
struct stat look(const char *path); /* lstat; zeroes if there is none */
bool exists(const char *path);
mode_t mode_of(const char *path); /* without the type */
/* A name of so many bytes. */
const char *long_name(size_t bytes, char fill);

/* Times: in ns. wait_tick() returns once a file changed now gets a later time than any before. */
int64_t atime_of(const char *path);
int64_t mtime_of(const char *path);
int64_t ctime_of(const char *path);
void wait_tick(void);

/* Runs it in a child process; its checks count here. Returns the exit status. */
int in_child(int (*body)(void *), void *context);
