/* What a path may be, and which error it is where it may not. Every call that takes one. */
#define GROUP "path"
#include "suite.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int calls_open(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd >= 0)
        close(fd);
    return fd;
}
static int calls_create(const char *path)
{
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    if (fd >= 0)
        close(fd);
    return fd;
}
static int calls_mkdir(const char *path)
{
    return mkdir(path, 0755);
}
static int calls_mkfifo(const char *path)
{
    return mkfifo(path, 0644);
}
static int calls_mknod(const char *path)
{
    return mknod(path, S_IFCHR | 0644, 0x103);
}
static int calls_symlink(const char *path)
{
    return symlink("x", path);
}
static int calls_link_to(const char *path)
{
    return link("file", path);
}
static int calls_link_from(const char *path)
{
    return link(path, "other");
}
static int calls_rename_to(const char *path)
{
    return rename("file", path);
}
static int calls_rename_from(const char *path)
{
    return rename(path, "other");
}
static int calls_chmod(const char *path)
{
    return chmod(path, 0644);
}
static int calls_chown(const char *path)
{
    return chown(path, 0, 0);
}
static int calls_truncate(const char *path)
{
    return truncate(path, 0);
}
static int calls_utimens(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0);
}
static int calls_stat(const char *path)
{
    struct stat st;
    return stat(path, &st);
}
static int calls_lstat(const char *path)
{
    struct stat st;
    return lstat(path, &st);
}
static int calls_unlink(const char *path)
{
    return unlink(path);
}
static int calls_rmdir(const char *path)
{
    return rmdir(path);
}
static int calls_readlink(const char *path)
{
    char text[64];
    return (int)readlink(path, text, sizeof(text));
}

static const struct {
    int (*call)(const char *path);
    bool makes; /* a name that is not there is what it wants */
} calls[] = {{calls_open, false},        {calls_create, true},     {calls_mkdir, true},
             {calls_mkfifo, true},       {calls_mknod, true},      {calls_symlink, true},
             {calls_link_to, true},      {calls_link_from, false}, {calls_rename_to, true},
             {calls_rename_from, false}, {calls_chmod, false},     {calls_chown, false},
             {calls_truncate, false},    {calls_utimens, false},   {calls_stat, false},
             {calls_lstat, false},       {calls_unlink, false},    {calls_rmdir, false},
             {calls_readlink, false}};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

TEST(a_name_has_at_most_255_bytes)
{
    make_file("file", 0644);
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call(long_name(NAME_MAX + 1, 'x')), ENAMETOOLONG);
    const char *longest = long_name(NAME_MAX, 'y');
    passes(calls_create(longest));
    passes(calls_stat(longest));
    passes(rename(longest, long_name(NAME_MAX, 'z')));
    passes(unlink(long_name(NAME_MAX, 'z')));
    passes(mkdir(longest, 0755));
    passes(rmdir(longest));
}

TEST(a_path_has_at_most_4095_bytes)
{
    char path[PATH_MAX + 2];
    memset(path, '/', sizeof(path));
    for (size_t i = 0; i < sizeof(path); i += 2)
        path[i] = '.';
    make_file("file", 0644);
    path[PATH_MAX] = 0;
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call(path), ENAMETOOLONG);
    path[PATH_MAX - 1] = 0;
    path[PATH_MAX - 2] = 'f';
    passes(calls_create(path));
    check(exists("f"));
}

TEST(a_part_that_is_no_folder)
{
    make_file("file", 0644);
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call("file/x"), ENOTDIR);
    passes(mkfifo("fifo", 0600));
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call("fifo/x"), ENOTDIR);
}

TEST(a_part_that_is_not_there)
{
    make_file("file", 0644);
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call("none/x"), ENOENT);
    passes(symlink("none", "broken"));
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call("broken/x"), ENOENT);
}

TEST(a_name_that_is_not_there)
{
    make_file("file", 0644);
    for (size_t i = 0; i < CALLS; i++)
        if (!calls[i].makes)
            fails(calls[i].call("none"), ENOENT);
    for (size_t i = 0; i < CALLS; i++)
        fails(calls[i].call(""), ENOENT);
}

TEST(links_in_a_circle)
{
    make_file("file", 0644);
    passes(symlink("b", "a"));
    passes(symlink("a", "b"));
    passes(symlink("self", "self"));
    for (size_t i = 0; i < CALLS; i++) {
        fails(calls[i].call("a/x"), ELOOP);
        fails(calls[i].call("self/x"), ELOOP);
    }
    fails(calls_open("a"), ELOOP);
    fails(calls_stat("self"), ELOOP);
}

TEST(forty_links_may_follow_each_other)
{
    char name[16], target[16];
    make_file("l0", 0644);
    for (unsigned i = 1; i <= 41; i++) {
        snprintf(name, sizeof(name), "l%u", i);
        snprintf(target, sizeof(target), "l%u", i - 1);
        passes(symlink(target, name));
    }
    passes(calls_open("l40"));
    fails(calls_open("l41"), ELOOP);
}

TEST(names_are_bytes)
{
    static const char *const names[] = {"A",
                                        "a",
                                        "con",
                                        "aux.txt",
                                        "a:b",
                                        "x*?<>|\"",
                                        "back\\slash",
                                        " space ",
                                        "dot.",
                                        "..three",
                                        "new\nline",
                                        "\x01\x1f",
                                        "\xff\xfe\x80",
                                        "\xc3\xa4",
                                        "a\xcc\x88",
                                        "\xed\xa0\x80",
                                        "$LXUID",
                                        "~1",
                                        "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int fd = (int)passes(open(names[i], O_CREAT | O_EXCL | O_WRONLY, 0644));
        is(write(fd, names[i], strlen(names[i])), strlen(names[i]));
        close(fd);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        check(holds(names[i], names[i]));
        passes(rename(names[i], "moved"));
        passes(rename("moved", names[i]));
        check(holds(names[i], names[i]));
        passes(unlink(names[i]));
    }
}

TEST(upper_and_lower_case_differ)
{
    make_filled("name", "lower");
    make_filled("NAME", "upper");
    check(holds("name", "lower") && holds("NAME", "upper"));
    passes(unlink("name"));
    check(!exists("name") && exists("NAME"));
    fails(calls_open("Name"), ENOENT);
}

TEST(a_trailing_slash_means_a_folder)
{
    make_file("file", 0644);
    passes(mkdir("d/", 0755));
    passes(calls_stat("d/"));
    fails(calls_stat("file/"), ENOTDIR);
    fails(unlink("file/"), ENOTDIR);
    fails(open("n/", O_CREAT | O_WRONLY, 0644), EISDIR);
    fails(rename("file", "n/"), ENOTDIR);
    passes(rename("d/", "e/"));
    passes(rmdir("e/"));
}

TEST(dot_and_dot_dot)
{
    make_folder("d", 0755);
    make_folder("d/e", 0755);
    passes(calls_stat("d/."));
    is(look("d/e/..").st_ino, look("d").st_ino);
    fails(rmdir("d/."), EINVAL);
    fails(rmdir("d/e/.."), ENOTEMPTY);
    fails(unlink("d/."), EISDIR);
    fails(rename("d/.", "x"), EBUSY);
    fails(rename("d/e/..", "x"), EBUSY);
    fails(mkdir("d/.", 0755), EEXIST);
    fails(mkdir("d/..", 0755), EEXIST);
}
