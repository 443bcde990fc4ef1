/* open, mkdir, mkfifo, mknod: how names come to be. */
#define GROUP "create"
#include "suite.h"
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static void close_passed(int fd)
{
    passes(fd);
    if (fd >= 0)
        close(fd);
}

TEST(open_makes_an_empty_file)
{
    close_passed(open("f", O_CREAT | O_RDWR, 0644));
    struct stat st = look("f");
    check(S_ISREG(st.st_mode));
    is(st.st_size, 0);
    is(st.st_nlink, 1);
    is(st.st_blocks, 0);
}

TEST(open_exclusively)
{
    close_passed(open("f", O_CREAT | O_EXCL | O_RDWR, 0644));
    fails(open("f", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    make_folder("d", 0755);
    fails(open("d", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    passes(symlink("none", "broken"));
    fails(open("broken", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    check(!exists("none"));
    mkfifo("p", 0600);
    fails(open("p", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
}

TEST(open_through_a_broken_link_makes_its_target)
{
    passes(symlink("target", "l"));
    close_passed(open("l", O_CREAT | O_RDWR, 0644));
    check(S_ISREG(look("target").st_mode) && S_ISLNK(look("l").st_mode));
}

TEST(open_empties)
{
    make_filled("f", "contents");
    int64_t modified = mtime_of("f"), changed = ctime_of("f");
    ino_t inode = look("f").st_ino;
    wait_tick();
    close_passed(open("f", O_WRONLY | O_TRUNC));
    is(look("f").st_size, 0);
    is(look("f").st_ino, inode);
    check(mtime_of("f") > modified && ctime_of("f") > changed);
    make_filled("f", "contents");
    close_passed(open("f", O_WRONLY | O_TRUNC | O_CREAT, 0777));
    is(look("f").st_size, 0);
    is(mode_of("f"), 0644);
}

TEST(open_of_what_is_there_changes_no_times)
{
    make_filled("f", "contents");
    int64_t modified = mtime_of("f"), changed = ctime_of("f"), read = atime_of("f");
    wait_tick();
    close_passed(open("f", O_RDWR | O_CREAT, 0600));
    is(mtime_of("f"), modified);
    is(ctime_of("f"), changed);
    is(atime_of("f"), read);
    is(mode_of("f"), 0644);
}

TEST(folders_open_for_reading_only)
{
    make_folder("d", 0755);
    close_passed(open("d", O_RDONLY));
    close_passed(open("d", O_RDONLY | O_DIRECTORY));
    fails(open("d", O_WRONLY), EISDIR);
    fails(open("d", O_RDWR), EISDIR);
    fails(open("d", O_RDONLY | O_TRUNC), EISDIR);
    fails(open("d", O_RDONLY | O_CREAT, 0644), EISDIR);
    int fd = (int)passes(open("d", O_RDONLY));
    char byte;
    fails(read(fd, &byte, 1), EISDIR);
    fails(write(fd, &byte, 1), EBADF);
    close(fd);
}

TEST(open_flags_that_refuse)
{
    make_file("f", 0644);
    passes(symlink("f", "l"));
    fails(open("f", O_RDONLY | O_DIRECTORY), ENOTDIR);
    fails(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
    fails(open("l", O_RDONLY | O_NOFOLLOW | O_CREAT, 0644), ELOOP);
    close_passed(open("f", O_RDONLY | O_NOFOLLOW));
    close_passed(open("l", O_PATH | O_NOFOLLOW));
}

TEST(descriptors_have_their_direction)
{
    make_filled("f", "abc");
    char byte = 'x';
    int fd = (int)passes(open("f", O_RDONLY));
    fails(write(fd, &byte, 1), EBADF);
    close(fd);
    fd = (int)passes(open("f", O_WRONLY));
    fails(read(fd, &byte, 1), EBADF);
    close(fd);
}

TEST(names_change_the_times_of_their_folder)
{
    make_folder("d", 0755);
    int64_t modified = mtime_of("d"), changed = ctime_of("d");
    for (int kind = 0; kind < 5; kind++) {
        wait_tick();
        if (kind == 0)
            close_passed(open("d/f", O_CREAT | O_WRONLY, 0644));
        else if (kind == 1)
            passes(mkdir("d/d", 0755));
        else if (kind == 2)
            passes(mkfifo("d/p", 0600));
        else if (kind == 3)
            passes(symlink("x", "d/l"));
        else
            passes(mknod("d/n", S_IFREG | 0600, 0));
        check(mtime_of("d") > modified && ctime_of("d") > changed);
        modified = mtime_of("d"), changed = ctime_of("d");
    }
    wait_tick();
    fails(mkdir("d/d", 0755), EEXIST);
    is(mtime_of("d"), modified);
    is(ctime_of("d"), changed);
}

TEST(new_files_have_the_time_of_now)
{
    make_file("before", 0644);
    wait_tick();
    make_file("f", 0644);
    passes(mkdir("d", 0755));
    wait_tick();
    make_file("after", 0644);
    const char *const names[] = {"f", "d"};
    for (int i = 0; i < 2; i++) {
        check(atime_of(names[i]) > atime_of("before") && atime_of(names[i]) < atime_of("after"));
        check(mtime_of(names[i]) > mtime_of("before") && mtime_of(names[i]) < mtime_of("after"));
        check(ctime_of(names[i]) > ctime_of("before") && ctime_of(names[i]) < ctime_of("after"));
    }
}

TEST(what_is_there_stays)
{
    make_filled("f", "abc");
    make_folder("d", 0700);
    fails(mkdir("f", 0755), EEXIST);
    fails(mkdir("d", 0755), EEXIST);
    fails(mkfifo("f", 0755), EEXIST);
    fails(mknod("d", S_IFREG | 0644, 0), EEXIST);
    fails(symlink("x", "f"), EEXIST);
    check(holds("f", "abc"));
    is(mode_of("d"), 0700);
}

TEST(folders_count_their_folders)
{
    make_folder("d", 0755);
    is(look("d").st_nlink, 2);
    make_folder("d/a", 0755);
    make_folder("d/b", 0755);
    is(look("d").st_nlink, 4);
    make_file("d/f", 0644);
    is(look("d").st_nlink, 4);
    passes(rmdir("d/a"));
    is(look("d").st_nlink, 3);
    make_folder("e", 0755);
    passes(rename("d/b", "e/b"));
    is(look("d").st_nlink, 2);
    is(look("e").st_nlink, 3);
}

TEST(devices_keep_their_numbers)
{
    passes(mknod("c", S_IFCHR | 0600, makedev(1, 3)));
    passes(mknod("b", S_IFBLK | 0600, makedev(259, 70000)));
    check(S_ISCHR(look("c").st_mode) && S_ISBLK(look("b").st_mode));
    is(look("c").st_rdev, makedev(1, 3));
    is(look("b").st_rdev, makedev(259, 70000));
    is(look("c").st_size, 0);
}

TEST(devices_are_roots)
{
    make_folder("d", 0777);
    be(ALICE, 0);
    fails(mknod("d/c", S_IFCHR | 0600, makedev(1, 3)), EPERM);
    fails(mknod("d/b", S_IFBLK | 0600, makedev(7, 0)), EPERM);
    passes(mknod("d/p", S_IFIFO | 0600, 0));
    be_root();
}

TEST(a_fifo_carries_bytes)
{
    passes(mkfifo("p", 0600));
    int fd = (int)passes(open("p", O_RDWR | O_NONBLOCK));
    char byte = 0;
    is(write(fd, "x", 1), 1);
    is(read(fd, &byte, 1), 1);
    is(byte, 'x');
    close(fd);
    fails(open("p", O_WRONLY | O_NONBLOCK), ENXIO);
}

TEST(a_socket_has_a_name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "s"};
    int server = (int)passes(socket(AF_UNIX, SOCK_STREAM, 0));
    passes(bind(server, (struct sockaddr *)&address, sizeof(address)));
    check(S_ISSOCK(look("s").st_mode));
    passes(listen(server, 1));
    int client = (int)passes(socket(AF_UNIX, SOCK_STREAM, 0));
    passes(connect(client, (struct sockaddr *)&address, sizeof(address)));
    close(client);
    fails(open("s", O_RDONLY), ENXIO);
    close(server);
    passes(unlink("s"));
}

TEST(nameless_files)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    if (fd < 0) {
        /* A file system may have none; then it says so. */
        is(errno, EOPNOTSUPP);
        return;
    }
    is(write(fd, "abc", 3), 3);
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_nlink, 0);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    passes(linkat(AT_FDCWD, path, AT_FDCWD, "f", AT_SYMLINK_FOLLOW));
    close(fd);
    check(holds("f", "abc"));
}

TEST(relative_to_a_folder_that_moves)
{
    make_folder("d", 0755);
    int folder = (int)passes(open("d", O_RDONLY | O_DIRECTORY));
    passes(rename("d", "e"));
    int fd = (int)passes(openat(folder, "f", O_CREAT | O_WRONLY, 0644));
    close(fd);
    check(exists("e/f"));
    passes(mkdirat(folder, "g", 0755));
    check(exists("e/g"));
    passes(unlinkat(folder, "f", 0));
    passes(unlinkat(folder, "g", AT_REMOVEDIR));
    passes(rmdir("e"));
    fails(openat(folder, "f", O_CREAT | O_WRONLY, 0644), ENOENT);
    fails(mkdirat(folder, "g", 0755), ENOENT);
    close(folder);
}
