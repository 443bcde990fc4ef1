/* Extended attributes. */
#define GROUP "xattr"
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

/* A zero-separated list has the name. */
static bool listed(const char *list, ssize_t bytes, const char *name)
{
    for (const char *at = list; at < list + bytes; at += strlen(at) + 1)
        if (strcmp(at, name) == 0)
            return true;
    return false;
}

TEST(set_get_list_remove)
{
    char value[64], list[256];
    make_file("f", 0644);
    passes(setxattr("f", "user.one", "first", 5, 0));
    passes(setxattr("f", "user.two", "second", 6, 0));
    is(getxattr("f", "user.one", value, sizeof(value)), 5);
    check(memcmp(value, "first", 5) == 0);
    ssize_t bytes = passes(listxattr("f", list, sizeof(list)));
    check(listed(list, bytes, "user.one") && listed(list, bytes, "user.two"));
    is(listxattr("f", NULL, 0), bytes);
    passes(setxattr("f", "user.one", "another value", 13, 0));
    is(getxattr("f", "user.one", NULL, 0), 13);
    passes(removexattr("f", "user.one"));
    fails(getxattr("f", "user.one", value, sizeof(value)), ENODATA);
    fails(removexattr("f", "user.one"), ENODATA);
    bytes = passes(listxattr("f", list, sizeof(list)));
    check(!listed(list, bytes, "user.one") && listed(list, bytes, "user.two"));
}

TEST(nothing_else_is_listed)
{
    char list[256];
    make_file("f", 0644);
    passes(mkdir("d", 0755));
    is(listxattr("f", list, sizeof(list)), 0);
    is(listxattr("d", list, sizeof(list)), 0);
    passes(setxattr("f", "user.a", "1", 1, 0));
    is(listxattr("f", list, sizeof(list)), 7);
}

TEST(create_and_replace)
{
    make_file("f", 0644);
    fails(setxattr("f", "user.a", "1", 1, XATTR_REPLACE), ENODATA);
    passes(setxattr("f", "user.a", "1", 1, XATTR_CREATE));
    fails(setxattr("f", "user.a", "2", 1, XATTR_CREATE), EEXIST);
    passes(setxattr("f", "user.a", "3", 1, XATTR_REPLACE));
    char value;
    is(getxattr("f", "user.a", &value, 1), 1);
    is(value, '3');
}

TEST(values_are_bytes)
{
    make_file("f", 0644);
    char value[256], back[256];
    for (int i = 0; i < 256; i++)
        value[i] = (char)i;
    passes(setxattr("f", "user.bytes", value, 256, 0));
    is(getxattr("f", "user.bytes", back, 256), 256);
    check(memcmp(value, back, 256) == 0);
}

TEST(an_empty_value_is_a_value_or_refused)
{
    make_file("f", 0644);
    char value[4], list[64];
    if (setxattr("f", "user.empty", "", 0, 0) != 0) {
        is(errno, EOPNOTSUPP);
        is(listxattr("f", list, sizeof(list)), 0);
        return;
    }
    is(getxattr("f", "user.empty", value, sizeof(value)), 0);
    is(listxattr("f", list, sizeof(list)), 11);
    passes(removexattr("f", "user.empty"));
    fails(getxattr("f", "user.empty", value, sizeof(value)), ENODATA);
}

TEST(names_are_told_apart_by_case)
{
    make_file("f", 0644);
    char value[4];
    passes(setxattr("f", "user.name", "1", 1, 0));
    passes(setxattr("f", "user.NAME", "2", 1, 0));
    is(getxattr("f", "user.name", value, 4), 1);
    is(value[0], '1');
    is(getxattr("f", "user.NAME", value, 4), 1);
    is(value[0], '2');
}

TEST(large_values)
{
    make_file("f", 0644);
    static char value[3000], back[3000];
    memset(value, 'v', sizeof(value));
    passes(setxattr("f", "user.large", value, sizeof(value), 0));
    is(getxattr("f", "user.large", back, sizeof(back)), sizeof(value));
    check(memcmp(value, back, sizeof(value)) == 0);
    fails(getxattr("f", "user.large", back, 100), ERANGE);
    char list[4];
    fails(listxattr("f", list, sizeof(list)), ERANGE);
}

TEST(of_folders_and_by_descriptor)
{
    char value[8];
    make_folder("d", 0755);
    passes(setxattr("d", "user.a", "abc", 3, 0));
    is(getxattr("d", "user.a", value, 8), 3);
    int fd = (int)passes(open("d", O_RDONLY));
    is(fgetxattr(fd, "user.a", value, 8), 3);
    passes(fsetxattr(fd, "user.a", "de", 2, 0));
    passes(fremovexattr(fd, "user.a"));
    close(fd);
}

TEST(user_attributes_are_of_files_and_folders_only)
{
    passes(symlink("none", "l"));
    passes(mkfifo("p", 0600));
    fails(lsetxattr("l", "user.a", "1", 1, 0), EPERM);
    fails(setxattr("p", "user.a", "1", 1, 0), EPERM);
    passes(lsetxattr("l", "trusted.a", "1", 1, 0));
    char value;
    is(lgetxattr("l", "trusted.a", &value, 1), 1);
}

TEST(rights)
{
    char value[8];
    make_owned("f", ALICE, ALICE, 0644);
    passes(setxattr("f", "user.a", "abc", 3, 0));
    passes(setxattr("f", "trusted.a", "abc", 3, 0));
    be(BOB, 0);
    is(getxattr("f", "user.a", value, 8), 3);
    fails(setxattr("f", "user.a", "x", 1, 0), EACCES);
    fails(removexattr("f", "user.a"), EACCES);
    fails(setxattr("f", "trusted.b", "x", 1, 0), EPERM);
    fails(getxattr("f", "trusted.a", value, 8), ENODATA);
    be(ALICE, 0);
    passes(setxattr("f", "user.a", "x", 1, 0));
    be_root();
    passes(chmod("f", 0600));
    be(BOB, 0);
    fails(getxattr("f", "user.a", value, 8), EACCES);
    be_root();
}

TEST(changes_ctime_alone)
{
    make_file("f", 0644);
    int64_t modified = mtime_of("f"), changed = ctime_of("f");
    wait_tick();
    passes(setxattr("f", "user.a", "1", 1, 0));
    check(ctime_of("f") > changed);
    is(mtime_of("f"), modified);
    changed = ctime_of("f");
    wait_tick();
    passes(removexattr("f", "user.a"));
    check(ctime_of("f") > changed);
    is(mtime_of("f"), modified);
}

TEST(follow_the_file)
{
    char value[8];
    make_file("f", 0644);
    passes(setxattr("f", "user.a", "abc", 3, 0));
    passes(link("f", "g"));
    passes(rename("f", "h"));
    is(getxattr("g", "user.a", value, 8), 3);
    is(getxattr("h", "user.a", value, 8), 3);
    passes(truncate("h", 100));
    is(getxattr("h", "user.a", value, 8), 3);
}

TEST(file_capabilities_go_with_a_write)
{
    /* version 2, cap_net_raw */
    static const unsigned char cap[20] = {0, 0, 0, 2, 0, 0x20};
    char value[64];
    make_file("f", 0755);
    passes(setxattr("f", "security.capability", cap, sizeof(cap), 0));
    is(getxattr("f", "security.capability", value, sizeof(value)), 20);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 1), 1);
    close(fd);
    fails(getxattr("f", "security.capability", value, sizeof(value)), ENODATA);
    passes(setxattr("f", "security.capability", cap, sizeof(cap), 0));
    passes(chown("f", ALICE, ALICE));
    fails(getxattr("f", "security.capability", value, sizeof(value)), ENODATA);
}

TEST(errors)
{
    char value[8];
    make_file("f", 0644);
    fails(getxattr("none", "user.a", value, 8), ENOENT);
    fails(setxattr("f", "nonsense", "x", 1, 0), EOPNOTSUPP);
    fails(getxattr("f", "user.none", value, 8), ENODATA);
    char name[300] = "user.";
    memset(name + 5, 'n', 290);
    fails(setxattr("f", name, "x", 1, 0), ERANGE);
    name[255] = 0;
    passes(setxattr("f", name, "x", 1, 0));
    is(getxattr("f", name, value, 8), 1);
}
