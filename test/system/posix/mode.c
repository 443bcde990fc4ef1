/* chmod, fchmod, the set-ID and sticky bits, and who may change them. */
#define GROUP "chmod"
#include "suite.h"
#include <string.h>

TEST(every_permission_bit_is_kept)
{
    make_file("f", 0);
    make_folder("d", 0);
    for (mode_t mode = 0; mode <= 07777; mode += 0111) {
        passes(chmod("f", mode));
        is(mode_of("f"), mode);
        passes(chmod("d", mode));
        is(mode_of("d"), mode);
    }
}

TEST(follows_a_symbolic_link)
{
    make_file("f", 0600);
    passes(symlink("f", "l"));
    passes(chmod("l", 0751));
    is(mode_of("f"), 0751);
    check(S_ISLNK(look("l").st_mode));
    passes(symlink("nothing", "broken"));
    fails(chmod("broken", 0600), ENOENT);
}

TEST(by_descriptor)
{
    make_file("f", 0600);
    int fd = (int)passes(open("f", O_RDONLY));
    passes(fchmod(fd, 0404));
    is(mode_of("f"), 0404);
    passes(unlink("f"));
    passes(fchmod(fd, 0600));
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_mode & 07777, 0600);
    close(fd);
}

TEST(special_files_have_modes)
{
    passes(mkfifo("p", 0600));
    passes(chmod("p", 0642));
    is(mode_of("p"), 0642);
    passes(mknod("c", S_IFCHR | 0600, 0x103));
    passes(chmod("c", 0444));
    is(mode_of("c"), 0444);
    check(S_ISFIFO(look("p").st_mode) && S_ISCHR(look("c").st_mode));
}

TEST(changes_ctime_alone)
{
    make_file("f", 0600);
    int64_t modified = mtime_of("f"), changed = ctime_of("f");
    wait_tick();
    passes(chmod("f", 0644));
    is(mtime_of("f"), modified);
    check(ctime_of("f") > changed);
}

TEST(refused_changes_nothing)
{
    make_owned("f", ALICE, ALICE, 0644);
    int64_t changed = ctime_of("f");
    wait_tick();
    be(BOB, 0);
    fails(chmod("f", 0666), EPERM);
    be_root();
    is(mode_of("f"), 0644);
    is(ctime_of("f"), changed);
}

TEST(is_the_owners_and_roots)
{
    make_owned("f", ALICE, STAFF, 0644);
    be(ALICE, STAFF);
    passes(chmod("f", 0600));
    be(CAROL, STAFF);
    fails(chmod("f", 0777), EPERM);
    be_root();
    passes(chmod("f", 0640));
    is(mode_of("f"), 0640);
}

TEST(setgid_of_a_file_of_a_foreign_group_is_dropped)
{
    make_owned("f", ALICE, STAFF, 0755);
    be(ALICE, 0);
    passes(chmod("f", 02755));
    be_root();
    is(mode_of("f"), 0755);
    be(ALICE, STAFF);
    passes(chmod("f", 02755));
    be_root();
    is(mode_of("f"), 02755);
}

TEST(owner_may_set_sticky_on_a_file)
{
    make_owned("f", ALICE, ALICE, 0644);
    be(ALICE, 0);
    passes(chmod("f", 01644));
    be_root();
    is(mode_of("f"), 01644);
}

TEST(write_by_others_clears_set_ids)
{
    make_owned("f", ALICE, ALICE, 06777);
    be(BOB, 0);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 1), 1);
    close(fd);
    be_root();
    is(mode_of("f"), 0777);
}

TEST(write_by_the_owner_clears_set_ids)
{
    make_owned("f", ALICE, ALICE, 06755);
    be(ALICE, 0);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 1), 1);
    close(fd);
    be_root();
    is(mode_of("f"), 0755);
}

TEST(write_by_root_keeps_set_ids)
{
    make_owned("f", ALICE, ALICE, 06755);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 1), 1);
    close(fd);
    is(mode_of("f"), 06755);
}

TEST(setgid_without_execute_outlives_a_write)
{
    /* Mandatory locking's mark once; it is no privilege. */
    make_owned("f", ALICE, ALICE, 02766);
    be(ALICE, 0);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 1), 1);
    close(fd);
    be_root();
    is(mode_of("f"), 02766);
}

TEST(truncate_clears_set_ids)
{
    make_owned("f", ALICE, ALICE, 06755);
    be(ALICE, 0);
    passes(truncate("f", 10));
    be_root();
    is(mode_of("f"), 0755);
}

TEST(errors)
{
    make_file("f", 0600);
    fails(chmod("none", 0600), ENOENT);
    fails(chmod("f/x", 0600), ENOTDIR);
    fails(chmod("", 0600), ENOENT);
    fails(fchmod(-1, 0600), EBADF);
    int fd = (int)passes(open("f", O_PATH));
    fails(fchmod(fd, 0600), EBADF);
    close(fd);
}

#undef GROUP
#define GROUP "umask"

TEST(applies_to_all_that_is_made)
{
    umask(027);
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0777));
    close(fd);
    passes(mkdir("d", 0777));
    passes(mkfifo("p", 0666));
    passes(mknod("n", S_IFREG | 0666, 0));
    is(mode_of("f"), 0750);
    is(mode_of("d"), 0750);
    is(mode_of("p"), 0640);
    is(mode_of("n"), 0640);
    umask(0);
    passes(mkdir("wide", 0777));
    is(mode_of("wide"), 0777);
    umask(0777);
    fd = (int)passes(open("none", O_CREAT | O_RDWR, 0666));
    is(write(fd, "x", 1), 1);
    close(fd);
    is(mode_of("none"), 0);
}

TEST(set_ids_and_sticky_at_creation)
{
    passes(close((int)passes(open("f", O_CREAT | O_RDWR, 07777))));
    is(mode_of("f"), 07755);
    passes(mkdir("d", 01777));
    is(mode_of("d"), 01755);
}
