/* Hard links and symbolic links. */
#define GROUP "link"
#include "suite.h"
#include <limits.h>
#include <string.h>

TEST(two_names_of_one_file)
{
    make_filled("a", "abc");
    passes(link("a", "b"));
    is(look("a").st_ino, look("b").st_ino);
    is(look("a").st_nlink, 2);
    is(look("b").st_nlink, 2);
    passes(chmod("b", 0604));
    passes(chown("b", ALICE, STAFF));
    is(mode_of("a"), 0604);
    is(look("a").st_uid, ALICE);
    make_filled("b", "through b");
    check(holds("a", "through b"));
    passes(truncate("a", 7));
    check(holds("b", "through"));
    is(look("b").st_size, 7);
}

TEST(the_last_name_takes_the_file_along)
{
    make_filled("a", "abc");
    passes(link("a", "b"));
    passes(unlink("a"));
    is(look("b").st_nlink, 1);
    check(holds("b", "abc"));
    passes(link("b", "a"));
    passes(unlink("b"));
    check(holds("a", "abc") && !exists("b"));
}

TEST(names_in_several_folders)
{
    make_folder("d", 0755);
    make_folder("e", 0755);
    make_file("d/f", 0644);
    passes(link("d/f", "e/g"));
    passes(link("e/g", "h"));
    is(look("d/f").st_nlink, 3);
    passes(rename("d/f", "d/i"));
    is(look("e/g").st_ino, look("d/i").st_ino);
    passes(unlink("e/g"));
    is(look("h").st_nlink, 2);
}

TEST(seen_by_open_descriptors)
{
    make_file("a", 0644);
    int fd = (int)passes(open("a", O_RDWR));
    passes(link("a", "b"));
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_nlink, 2);
    passes(unlink("a"));
    passes(fstat(fd, &st));
    is(st.st_nlink, 1);
    is(write(fd, "late", 4), 4);
    check(holds("b", "late"));
    close(fd);
}

TEST(changes_times_of_file_and_folder)
{
    make_folder("d", 0755);
    make_file("f", 0644);
    int64_t changed = ctime_of("f"), modified = mtime_of("f"), folder = mtime_of("d");
    wait_tick();
    passes(link("f", "d/g"));
    check(ctime_of("f") > changed);
    is(mtime_of("f"), modified);
    check(mtime_of("d") > folder && ctime_of("d") > folder);
    changed = ctime_of("f");
    wait_tick();
    fails(link("f", "d/g"), EEXIST);
    is(ctime_of("f"), changed);
}

TEST(special_files_and_links)
{
    passes(mkfifo("p", 0600));
    passes(link("p", "q"));
    check(S_ISFIFO(look("q").st_mode));
    passes(mknod("c", S_IFCHR | 0600, 0x103));
    passes(link("c", "e"));
    is(look("e").st_rdev, 0x103);
    passes(symlink("target", "l"));
    passes(link("l", "m"));
    check(S_ISLNK(look("m").st_mode));
    is(look("l").st_nlink, 2);
    make_file("target", 0644);
    passes(linkat(AT_FDCWD, "l", AT_FDCWD, "n", AT_SYMLINK_FOLLOW));
    is(look("n").st_ino, look("target").st_ino);
}

TEST(errors)
{
    make_folder("d", 0755);
    make_file("f", 0644);
    make_file("g", 0644);
    fails(link("d", "e"), EPERM);
    fails(link("none", "e"), ENOENT);
    fails(link("f", "g"), EEXIST);
    fails(link("f", "d"), EEXIST);
    fails(link("f", "f"), EEXIST);
    fails(link("f", "none/x"), ENOENT);
    fails(link("f", "g/x"), ENOTDIR);
}

#undef GROUP
#define GROUP "symlink"

TEST(keeps_its_text)
{
    static const char *const texts[] = {"x",  "a/b/../c",   "/absolute/path", "..",
                                        "//", "with space", "\xff\x01\n"};
    char text[256];
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        passes(symlink(texts[i], "l"));
        ssize_t bytes = passes(readlink("l", text, sizeof(text)));
        is(bytes, strlen(texts[i]));
        check(memcmp(text, texts[i], strlen(texts[i])) == 0);
        is(look("l").st_size, strlen(texts[i]));
        check(S_ISLNK(look("l").st_mode));
        is(mode_of("l"), 0777);
        passes(unlink("l"));
    }
}

TEST(of_the_greatest_length)
{
    static char text[PATH_MAX + 1];
    const char *longest = long_name(PATH_MAX - 1, 'x');
    passes(symlink(longest, "l"));
    is(readlink("l", text, sizeof(text)), PATH_MAX - 1);
    check(memcmp(text, longest, PATH_MAX - 1) == 0);
    fails(symlink(long_name(PATH_MAX, 'x'), "m"), ENAMETOOLONG);
    fails(symlink("", "m"), ENOENT);
}

TEST(readlink_cuts)
{
    char text[4] = "....";
    passes(symlink("abcdef", "l"));
    is(readlink("l", text, 3), 3);
    check(memcmp(text, "abc.", 4) == 0);
    fails(readlink("l", text, 0), EINVAL);
    make_file("f", 0644);
    fails(readlink("f", text, 3), EINVAL);
    fails(readlink(".", text, 3), EINVAL);
}

TEST(is_followed_but_by_what_works_on_names)
{
    make_filled("f", "abc");
    passes(symlink("f", "l"));
    check(holds("l", "abc"));
    passes(truncate("l", 1));
    check(holds("f", "a"));
    passes(rename("l", "m"));
    check(S_ISLNK(look("m").st_mode));
    passes(unlink("m"));
    check(exists("f"));
    make_folder("d", 0755);
    passes(symlink("d", "e"));
    fails(rmdir("e"), ENOTDIR);
    passes(mkdir("e/x", 0755));
    check(exists("d/x"));
}

TEST(rename_replaces_a_link_not_its_target)
{
    make_filled("target", "old");
    passes(symlink("target", "l"));
    make_filled("f", "new");
    passes(rename("f", "l"));
    check(S_ISREG(look("l").st_mode) && holds("l", "new") && holds("target", "old"));
}

TEST(may_be_replaced_by_another)
{
    char text[8];
    passes(symlink("one", "l"));
    passes(symlink("two", "tmp"));
    passes(rename("tmp", "l"));
    is(readlink("l", text, sizeof(text)), 3);
    check(memcmp(text, "two", 3) == 0);
}

TEST(has_times_of_its_own)
{
    make_file("f", 0644);
    passes(symlink("f", "l"));
    struct timespec times[2] = {{1000, 500}, {2000, 700}};
    passes(utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW));
    is(mtime_of("l"), 2000000000700);
    check(mtime_of("f") != 2000000000700);
    passes(utimensat(AT_FDCWD, "l", times, 0));
    is(mtime_of("f"), 2000000000700);
}
