/* Who may do what: the classes of users, folders' bits, the sticky bit, access(). */
#define GROUP "permission"
#include "suite.h"
#include <dirent.h>
#include <string.h>

/* What of r, w, x open and access grant. */
static int granted(const char *path)
{
    int bits = 0, fd;
    if ((fd = open(path, O_RDONLY)) >= 0)
        bits |= 4, close(fd);
    if ((fd = open(path, O_WRONLY)) >= 0)
        bits |= 2, close(fd);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        bits |= 1;
    return bits;
}

TEST(the_class_decides_alone)
{
    make_owned("f", ALICE, STAFF, 0);
    for (unsigned bits = 0; bits < 8; bits++) {
        passes(chmod("f", bits << 6));
        be(ALICE, STAFF);
        is(granted("f"), bits);
        be(BOB, STAFF);
        is(granted("f"), 0);
        be_root();
        passes(chmod("f", bits << 3));
        be(BOB, STAFF);
        is(granted("f"), bits);
        be(ALICE, STAFF);
        is(granted("f"), 0);
        be_root();
        passes(chmod("f", bits));
        be(CAROL, 0);
        is(granted("f"), bits);
        be(BOB, STAFF);
        is(granted("f"), 0);
        be_root();
    }
}

TEST(root_reads_and_writes_but_executes_only_what_somebody_may)
{
    make_owned("f", ALICE, ALICE, 0);
    is(granted("f"), 6);
    passes(chmod("f", 0001));
    is(granted("f"), 7);
}

TEST(read_and_write_together)
{
    make_owned("f", ALICE, ALICE, 0400);
    be(ALICE, 0);
    fails(open("f", O_RDWR), EACCES);
    fails(open("f", O_RDONLY | O_TRUNC), EACCES);
    fails(open("f", O_WRONLY | O_APPEND), EACCES);
    passes(close((int)passes(open("f", O_RDONLY))));
    be_root();
}

TEST(an_open_descriptor_keeps_its_rights)
{
    make_owned("f", ALICE, ALICE, 0600);
    be(ALICE, 0);
    int fd = (int)passes(open("f", O_RDWR));
    passes(chmod("f", 0));
    is(write(fd, "abc", 3), 3);
    char data[3];
    is(pread(fd, data, 3, 0), 3);
    passes(ftruncate(fd, 1));
    fails(open("f", O_RDONLY), EACCES);
    close(fd);
    be_root();
    is(look("f").st_size, 1);
}

TEST(creation_with_a_mode_that_forbids_it)
{
    make_folder("d", 0777);
    be(ALICE, 0);
    int fd = (int)passes(open("d/f", O_CREAT | O_RDWR, 0));
    is(write(fd, "abc", 3), 3);
    close(fd);
    fails(open("d/f", O_RDWR), EACCES);
    fd = (int)passes(open("d/g", O_CREAT | O_WRONLY | O_EXCL, 0400));
    is(write(fd, "abc", 3), 3);
    close(fd);
    be_root();
}

TEST(search_needs_x)
{
    make_folder("d", 0755);
    make_file("d/f", 0666);
    make_folder("d/e", 0755);
    make_file("d/e/g", 0666);
    passes(chmod("d", 0766));
    be(ALICE, 0);
    fails(open("d/f", O_RDONLY), EACCES);
    fails(open("d/e/g", O_RDONLY), EACCES);
    struct stat st;
    fails(stat("d/f", &st), EACCES);
    fails(chdir("d"), EACCES);
    fails(unlink("d/f"), EACCES);
    fails(mkdir("d/n", 0777), EACCES);
    fails(rename("d/f", "d/h"), EACCES);
    fails(link("d/f", "d/h"), EACCES);
    be_root();
}

TEST(listing_needs_r)
{
    make_folder("d", 0711);
    make_file("d/f", 0644);
    be(ALICE, 0);
    check(opendir("d") == NULL && errno == EACCES);
    passes(close((int)passes(open("d/f", O_RDONLY))));
    be_root();
}

TEST(changing_names_needs_w_and_x)
{
    make_folder("d", 0755);
    make_folder("d/e", 0777);
    make_owned("d/f", ALICE, ALICE, 0777);
    make_folder("w", 0777);
    be(ALICE, 0);
    fails(open("d/n", O_CREAT | O_WRONLY, 0666), EACCES);
    fails(mkdir("d/n", 0777), EACCES);
    fails(mkfifo("d/n", 0666), EACCES);
    fails(symlink("x", "d/n"), EACCES);
    fails(link("d/f", "d/n"), EACCES);
    fails(unlink("d/f"), EACCES);
    fails(rmdir("d/e"), EACCES);
    fails(rename("d/f", "d/n"), EACCES);
    fails(rename("d/f", "w/n"), EACCES);
    passes(close((int)passes(open("w/f", O_CREAT | O_WRONLY, 0666))));
    fails(rename("w/f", "d/n"), EACCES);
    be_root();
    check(exists("d/f") && exists("d/e") && exists("w/f") && !exists("d/n"));
}

TEST(deletion_needs_nothing_of_the_file)
{
    make_folder("d", 0777);
    make_owned("d/f", ALICE, ALICE, 0);
    be(BOB, 0);
    passes(unlink("d/f"));
    be_root();
}

TEST(moving_a_folder_elsewhere_needs_w_of_it)
{
    /* Its ".." changes. */
    make_folder("a", 0777);
    make_folder("b", 0777);
    make_folder("a/d", 0755);
    be(ALICE, 0);
    fails(rename("a/d", "b/d"), EACCES);
    passes(rename("a/d", "a/e"));
    be_root();
    check(exists("a/e"));
}

TEST(sticky_folder_protects_from_others)
{
    make_folder("d", 01777);
    make_owned("d/f", ALICE, ALICE, 0666);
    passes(mkdir("d/e", 0777));
    passes(chown("d/e", ALICE, ALICE));
    be(BOB, 0);
    fails(unlink("d/f"), EPERM);
    fails(rename("d/f", "d/g"), EPERM);
    fails(rmdir("d/e"), EPERM);
    fails(rename("d/e", "d/g"), EPERM);
    passes(close((int)passes(open("d/own", O_CREAT | O_WRONLY, 0666))));
    fails(rename("d/own", "d/f"), EPERM);
    be_root();
    be(ALICE, 0);
    passes(rename("d/f", "d/g"));
    passes(unlink("d/g"));
    passes(rmdir("d/e"));
    be_root();
}

TEST(sticky_folder_is_open_to_its_owner)
{
    make_folder("d", 0777);
    passes(chown("d", BOB, BOB));
    passes(chmod("d", 01777));
    make_owned("d/f", ALICE, ALICE, 0600);
    make_owned("d/g", ALICE, ALICE, 0600);
    be(BOB, 0);
    passes(unlink("d/f"));
    passes(rename("d/g", "d/h"));
    be_root();
}

TEST(access_asks_for_the_real_user)
{
    make_owned("f", ALICE, ALICE, 0600);
    be(ALICE, 0); /* the effective one */
    passes(faccessat(AT_FDCWD, "f", R_OK | W_OK, AT_EACCESS));
    fails(faccessat(AT_FDCWD, "f", X_OK, AT_EACCESS), EACCES);
    be_root();
    passes(access("f", R_OK | W_OK));
    fails(access("f", X_OK), EACCES);
    passes(access("f", F_OK));
    fails(access("g", F_OK), ENOENT);
}

TEST(truncate_needs_w)
{
    make_owned("f", ALICE, ALICE, 0644);
    be(BOB, 0);
    fails(truncate("f", 0), EACCES);
    int fd = (int)passes(open("f", O_RDONLY));
    fails(ftruncate(fd, 0), EINVAL);
    close(fd);
    be_root();
}

TEST(group_membership_by_supplementary_groups)
{
    make_folder("d", 0770);
    passes(chown("d", 0, STAFF));
    be(ALICE, STAFF);
    passes(close((int)passes(open("d/f", O_CREAT | O_WRONLY, 0600))));
    be(ALICE, 0);
    fails(open("d/g", O_CREAT | O_WRONLY, 0600), EACCES);
    be_root();
}
