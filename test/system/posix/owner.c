/* chown, lchown, fchown: who may, and what it does to the set-ID bits and the times. */
#define GROUP "chown"
#include "suite.h"
#include <string.h>

static bool owned(const char *path, uid_t user, gid_t group)
{
    struct stat st = look(path);
    return st.st_uid == user && st.st_gid == group;
}

TEST(root_gives_to_anybody)
{
    make_file("f", 0644);
    passes(chown("f", ALICE, STAFF));
    check(owned("f", ALICE, STAFF));
    passes(chown("f", BOB, -1));
    check(owned("f", BOB, STAFF));
    passes(chown("f", -1, ALICE));
    check(owned("f", BOB, ALICE));
    passes(chown("f", -1, -1));
    check(owned("f", BOB, ALICE));
}

TEST(large_numbers)
{
    make_file("f", 0644);
    passes(chown("f", 0x7ffffffe, 0xfffffffe));
    check(owned("f", 0x7ffffffe, 0xfffffffe));
}

TEST(of_folders_and_special_files)
{
    make_folder("d", 0755);
    passes(chown("d", ALICE, STAFF));
    check(owned("d", ALICE, STAFF));
    passes(mkfifo("p", 0600));
    passes(chown("p", ALICE, STAFF));
    check(owned("p", ALICE, STAFF));
    passes(mknod("b", S_IFBLK | 0600, 0x700));
    passes(chown("b", ALICE, STAFF));
    check(owned("b", ALICE, STAFF));
}

TEST(links_themselves_by_lchown)
{
    make_file("f", 0644);
    passes(symlink("f", "l"));
    passes(lchown("l", ALICE, STAFF));
    check(owned("l", ALICE, STAFF));
    check(owned("f", 0, 0));
    passes(chown("l", BOB, BOB));
    check(owned("f", BOB, BOB));
    check(owned("l", ALICE, STAFF));
}

TEST(by_descriptor)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDONLY));
    passes(fchown(fd, ALICE, STAFF));
    check(owned("f", ALICE, STAFF));
    close(fd);
}

TEST(owner_may_give_to_his_groups_only)
{
    make_owned("f", ALICE, ALICE, 0644);
    be(ALICE, STAFF);
    passes(chown("f", -1, STAFF));
    passes(chown("f", ALICE, ALICE));
    fails(chown("f", -1, BOB), EPERM);
    fails(chown("f", BOB, -1), EPERM);
    be_root();
    check(owned("f", ALICE, ALICE));
}

TEST(others_may_not)
{
    make_owned("f", ALICE, STAFF, 0777);
    be(BOB, STAFF);
    fails(chown("f", BOB, -1), EPERM);
    fails(chown("f", -1, STAFF), EPERM);
    fails(chown("f", -1, BOB), EPERM);
    be_root();
    check(owned("f", ALICE, STAFF));
}

TEST(clears_set_ids_of_files)
{
    make_owned("f", ALICE, ALICE, 06755);
    passes(chown("f", BOB, BOB));
    is(mode_of("f"), 0755);
    passes(chmod("f", 06755));
    passes(chown("f", BOB, -1));
    is(mode_of("f"), 0755);
    make_owned("g", ALICE, ALICE, 06755);
    be(ALICE, STAFF);
    passes(chown("g", -1, STAFF));
    be_root();
    is(mode_of("g"), 0755);
}

TEST(keeps_set_ids_of_folders)
{
    make_folder("d", 06755);
    passes(chown("d", ALICE, ALICE));
    is(mode_of("d"), 06755);
}

TEST(changes_ctime_alone)
{
    make_file("f", 0600);
    int64_t modified = mtime_of("f"), changed = ctime_of("f");
    wait_tick();
    passes(chown("f", ALICE, ALICE));
    is(mtime_of("f"), modified);
    check(ctime_of("f") > changed);
    changed = ctime_of("f");
    wait_tick();
    be(BOB, 0);
    fails(chown("f", BOB, BOB), EPERM);
    be_root();
    is(ctime_of("f"), changed);
}

TEST(errors)
{
    make_file("f", 0600);
    fails(chown("none", 1, 1), ENOENT);
    fails(chown("f/x", 1, 1), ENOTDIR);
    fails(lchown("f/x", 1, 1), ENOTDIR);
    fails(fchown(-1, 1, 1), EBADF);
}

#undef GROUP
#define GROUP "ownership"

TEST(what_is_made_belongs_to_its_maker)
{
    make_folder("d", 0777);
    be(ALICE, STAFF);
    passes(close((int)passes(open("d/f", O_CREAT | O_RDWR, 0644))));
    passes(mkdir("d/d", 0755));
    passes(mkfifo("d/p", 0600));
    passes(symlink("x", "d/l"));
    passes(mknod("d/n", S_IFREG | 0600, 0));
    be_root();
    check(owned("d/f", ALICE, ALICE));
    check(owned("d/d", ALICE, ALICE));
    check(owned("d/p", ALICE, ALICE));
    check(owned("d/l", ALICE, ALICE));
    check(owned("d/n", ALICE, ALICE));
}

TEST(a_setgid_folder_gives_its_group)
{
    make_folder("d", 02777);
    passes(chown("d", 0, STAFF));
    passes(chmod("d", 02777));
    be(ALICE, 0);
    passes(close((int)passes(open("d/f", O_CREAT | O_RDWR, 0644))));
    passes(mkdir("d/d", 0755));
    passes(symlink("x", "d/l"));
    passes(mkfifo("d/p", 0600));
    be_root();
    check(owned("d/f", ALICE, STAFF));
    check(owned("d/d", ALICE, STAFF));
    check(owned("d/l", ALICE, STAFF));
    check(owned("d/p", ALICE, STAFF));
    is(mode_of("d/d"), 02755);
    is(mode_of("d/f"), 0644);
}

TEST(setgid_at_creation_needs_the_group)
{
    make_folder("d", 0777);
    passes(chown("d", 0, STAFF));
    passes(chmod("d", 02777));
    be(ALICE, 0);
    passes(close((int)passes(open("d/f", O_CREAT | O_RDWR, 02755))));
    be_root();
    is(mode_of("d/f"), 0755);
}
