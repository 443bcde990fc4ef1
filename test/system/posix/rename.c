/* rename and renameat2. */
#define GROUP "rename"
#include "suite.h"
#include <stdio.h>
#include <string.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE  (1 << 1)
#endif

static int rename_with(const char *from, const char *to, unsigned flags)
{
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

TEST(of_every_kind)
{
    make_filled("f", "abc");
    make_folder("d", 0711);
    make_file("d/x", 0644);
    passes(mkfifo("p", 0604));
    passes(symlink("f", "l"));
    ino_t file = look("f").st_ino, folder = look("d").st_ino;
    passes(rename("f", "f2"));
    passes(rename("d", "d2"));
    passes(rename("p", "p2"));
    passes(rename("l", "l2"));
    check(!exists("f") && !exists("d") && !exists("p") && !exists("l"));
    is(look("f2").st_ino, file);
    is(look("d2").st_ino, folder);
    check(holds("f2", "abc") && exists("d2/x"));
    is(mode_of("p2"), 0604);
    check(S_ISLNK(look("l2").st_mode));
}

TEST(replaces_a_file)
{
    make_filled("f", "new");
    make_filled("g", "old");
    ino_t inode = look("f").st_ino;
    passes(rename("f", "g"));
    check(!exists("f") && holds("g", "new"));
    is(look("g").st_ino, inode);
    passes(mkfifo("p", 0600));
    passes(rename("p", "g"));
    check(S_ISFIFO(look("g").st_mode));
}

TEST(replaces_one_name_of_several)
{
    make_filled("f", "new");
    make_filled("g", "old");
    passes(link("g", "h"));
    passes(rename("f", "g"));
    check(holds("h", "old"));
    is(look("h").st_nlink, 1);
}

TEST(to_another_name_of_the_same_file_does_nothing)
{
    make_file("f", 0644);
    passes(link("f", "g"));
    passes(rename("f", "g"));
    check(exists("f") && exists("g"));
    is(look("f").st_nlink, 2);
    passes(rename("f", "f"));
    check(exists("f"));
}

TEST(replaces_an_empty_folder)
{
    make_folder("d", 0711);
    make_file("d/x", 0644);
    make_folder("e", 0755);
    passes(rename("d", "e"));
    check(!exists("d") && exists("e/x"));
    is(mode_of("e"), 0711);
    make_folder("full", 0755);
    make_folder("full/y", 0755);
    fails(rename("e", "full"), ENOTEMPTY);
    check(exists("e/x") && exists("full/y"));
}

TEST(kinds_must_match)
{
    make_file("f", 0644);
    make_folder("d", 0755);
    fails(rename("f", "d"), EISDIR);
    fails(rename("d", "f"), ENOTDIR);
    passes(mkfifo("p", 0600));
    fails(rename("d", "p"), ENOTDIR);
}

TEST(not_into_itself)
{
    make_folder("d", 0755);
    make_folder("d/e", 0755);
    fails(rename("d", "d/x"), EINVAL);
    fails(rename("d", "d/e/x"), EINVAL);
    fails(rename("d/e", "d"), ENOTEMPTY);
    check(exists("d/e"));
}

TEST(between_folders)
{
    make_folder("a", 0755);
    make_folder("b", 0755);
    make_folder("a/d", 0755);
    make_folder("a/d/e", 0755);
    make_filled("a/d/e/f", "deep");
    passes(rename("a/d", "b/d"));
    check(holds("b/d/e/f", "deep"));
    is(look("b/d/..").st_ino, look("b").st_ino);
    is(look("a").st_nlink, 2);
    is(look("b").st_nlink, 3);
    passes(rename("b/d/e/f", "a/f"));
    check(holds("a/f", "deep"));
}

TEST(open_files_and_folders_follow)
{
    make_folder("a", 0755);
    make_filled("a/f", "abc");
    int fd = (int)passes(open("a/f", O_RDWR));
    int folder = (int)passes(open("a", O_RDONLY));
    passes(rename("a", "b"));
    passes(rename("b/f", "b/g"));
    is(pwrite(fd, "ABC", 3, 0), 3);
    check(holds("b/g", "ABC"));
    passes(renameat(folder, "g", folder, "h"));
    check(exists("b/h"));
    passes(ftruncate(fd, 1));
    check(holds("b/h", "A"));
    close(fd);
    close(folder);
}

TEST(changes_times_of_both_folders_and_the_ctime)
{
    make_folder("a", 0755);
    make_folder("b", 0755);
    make_file("a/f", 0644);
    int64_t from = mtime_of("a"), to = mtime_of("b"), file = ctime_of("a/f");
    int64_t modified = mtime_of("a/f");
    wait_tick();
    passes(rename("a/f", "b/f"));
    check(mtime_of("a") > from && ctime_of("a") > from);
    check(mtime_of("b") > to && ctime_of("b") > to);
    check(ctime_of("b/f") > file);
    is(mtime_of("b/f"), modified);
}

TEST(no_replacing)
{
    make_filled("f", "one");
    make_filled("g", "two");
    fails(rename_with("f", "g", RENAME_NOREPLACE), EEXIST);
    check(holds("f", "one") && holds("g", "two"));
    passes(rename_with("f", "h", RENAME_NOREPLACE));
    check(holds("h", "one") && !exists("f"));
    make_folder("d", 0755);
    fails(rename_with("h", "d", RENAME_NOREPLACE), EEXIST);
    fails(rename_with("none", "n", RENAME_NOREPLACE), ENOENT);
}

/* A file system that cannot exchange names says so (EINVAL), and changes nothing. */
static bool exchanges(void)
{
    make_filled("one", "1");
    make_filled("two", "2");
    int result = rename_with("one", "two", RENAME_EXCHANGE);
    bool can = result == 0;
    if (!can)
        is(errno, EINVAL);
    check(holds("one", can ? "2" : "1") && holds("two", can ? "1" : "2"));
    return can;
}

TEST(exchange)
{
    if (!exchanges())
        return;
    make_filled("f", "one");
    make_folder("d", 0755);
    make_file("d/x", 0644);
    ino_t file = look("f").st_ino, folder = look("d").st_ino;
    passes(rename_with("f", "d", RENAME_EXCHANGE));
    is(look("d").st_ino, file);
    is(look("f").st_ino, folder);
    check(holds("d", "one") && exists("f/x"));
    make_filled("g", "two");
    passes(rename_with("g", "d", RENAME_EXCHANGE));
    check(holds("g", "one") && holds("d", "two"));
    fails(rename_with("g", "none", RENAME_EXCHANGE), ENOENT);
    check(holds("g", "one"));
    fails(rename_with("g", "d", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
}

TEST(exchange_between_folders)
{
    if (!exchanges())
        return;
    make_folder("a", 0755);
    make_folder("b", 0755);
    make_filled("a/f", "one");
    make_folder("b/d", 0755);
    passes(rename_with("a/f", "b/d", RENAME_EXCHANGE));
    check(holds("b/d", "one") && S_ISDIR(look("a/f").st_mode));
    is(look("a").st_nlink, 3);
    is(look("b").st_nlink, 2);
    fails(rename_with("a", "a/f", RENAME_EXCHANGE), EINVAL);
}

TEST(errors)
{
    make_file("f", 0644);
    make_folder("d", 0755);
    fails(rename("none", "x"), ENOENT);
    fails(rename("f", "none/x"), ENOENT);
    fails(rename("f", "f/x"), ENOTDIR);
    fails(rename("f", "d/"), ENOTDIR);
    fails(rename_with("f", "x", 1u << 20), EINVAL);
    check(exists("f"));
}
