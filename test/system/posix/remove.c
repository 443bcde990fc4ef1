/* unlink, rmdir, and files that live on without a name. */
#define GROUP "unlink"
#include "suite.h"
#include <dirent.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

TEST(of_every_kind)
{
    make_file("f", 0);
    passes(mkfifo("p", 0600));
    passes(symlink("f", "l"));
    passes(mknod("c", S_IFCHR | 0600, 0x103));
    passes(unlink("l"));
    check(exists("f"));
    passes(unlink("f"));
    passes(unlink("p"));
    passes(unlink("c"));
    check(!exists("f") && !exists("p") && !exists("c") && !exists("l"));
    fails(unlink("f"), ENOENT);
}

TEST(not_of_a_folder)
{
    make_folder("d", 0755);
    fails(unlink("d"), EISDIR);
    check(exists("d"));
}

TEST(changes_times)
{
    make_folder("d", 0755);
    make_file("d/f", 0644);
    passes(link("d/f", "g"));
    int64_t folder = mtime_of("d"), changed = ctime_of("g"), modified = mtime_of("g");
    wait_tick();
    passes(unlink("d/f"));
    check(mtime_of("d") > folder && ctime_of("g") > changed);
    is(mtime_of("g"), modified);
}

TEST(an_open_file_lives_on)
{
    make_filled("f", "contents");
    int fd = (int)passes(open("f", O_RDWR)), second = (int)passes(open("f", O_RDONLY));
    passes(unlink("f"));
    check(!exists("f"));
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_nlink, 0);
    is(st.st_size, 8);
    char data[16];
    is(pread(second, data, sizeof(data), 0), 8);
    is(pwrite(fd, "CON", 3, 0), 3);
    is(pread(second, data, 3, 0), 3);
    check(memcmp(data, "CON", 3) == 0);
    passes(ftruncate(fd, 100000));
    passes(fsync(fd));
    passes(fchmod(fd, 0604));
    passes(fchown(fd, ALICE, ALICE));
    struct timespec times[2] = {{5, 0}, {6, 0}};
    passes(futimens(fd, times));
    passes(fstat(second, &st));
    is(st.st_size, 100000);
    is(st.st_mode & 07777, 0604);
    is(st.st_uid, ALICE);
    is(st.st_mtim.tv_sec, 6);
    close(fd);
    is(pread(second, data, 3, 0), 3);
    close(second);
}

TEST(the_name_is_free_at_once)
{
    make_filled("f", "old");
    int fd = (int)passes(open("f", O_RDWR));
    ino_t old = look("f").st_ino;
    passes(unlink("f"));
    make_filled("f", "new!");
    check(look("f").st_ino != old);
    char data[8];
    is(pread(fd, data, sizeof(data), 0), 3);
    check(memcmp(data, "old", 3) == 0 && holds("f", "new!"));
    passes(fchmod(fd, 0600));
    is(mode_of("f"), 0644);
    passes(ftruncate(fd, 0));
    check(holds("f", "new!"));
    close(fd);
    check(holds("f", "new!"));
}

TEST(a_replaced_file_lives_on)
{
    make_filled("f", "old");
    make_filled("g", "new!");
    int fd = (int)passes(open("f", O_RDWR));
    passes(rename("g", "f"));
    char data[8];
    is(pread(fd, data, sizeof(data), 0), 3);
    is(write(fd, "OLDER", 5), 5);
    check(holds("f", "new!"));
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_nlink, 0);
    close(fd);
}

TEST(an_open_file_comes_back_by_its_descriptor)
{
    make_filled("f", "abc");
    int fd = (int)passes(open("f", O_RDWR));
    passes(unlink("f"));
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    /* No second open by name is needed for that: the kernel has the file. */
    int again = (int)passes(open(path, O_RDONLY));
    char data[4];
    is(read(again, data, 4), 3);
    close(again);
    /* A file whose last name is gone gets none any more. */
    fails(linkat(AT_FDCWD, path, AT_FDCWD, "g", AT_SYMLINK_FOLLOW), ENOENT);
    close(fd);
}

TEST(a_mapping_lives_on)
{
    make_filled("f", "contents");
    int fd = (int)passes(open("f", O_RDWR));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(map != MAP_FAILED);
    passes(unlink("f"));
    close(fd);
    map[0] = 'C';
    check(memcmp(map, "Contents", 8) == 0);
    passes(msync(map, 4096, MS_SYNC));
    passes(munmap(map, 4096));
}

TEST(extended_attributes_of_a_nameless_file)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDWR));
    passes(unlink("f"));
    char value[8];
    passes(fsetxattr(fd, "user.late", "abc", 3, 0));
    is(fgetxattr(fd, "user.late", value, sizeof(value)), 3);
    close(fd);
}

#undef GROUP
#define GROUP "rmdir"

TEST(of_empty_folders_only)
{
    make_folder("d", 0755);
    make_file("d/f", 0644);
    fails(rmdir("d"), ENOTEMPTY);
    passes(unlink("d/f"));
    make_folder("d/e", 0755);
    fails(rmdir("d"), ENOTEMPTY);
    passes(rmdir("d/e"));
    passes(symlink("none", "d/l"));
    fails(rmdir("d"), ENOTEMPTY);
    passes(unlink("d/l"));
    passes(rmdir("d"));
    check(!exists("d"));
    fails(rmdir("d"), ENOENT);
}

TEST(not_of_files)
{
    make_file("f", 0644);
    passes(mkfifo("p", 0600));
    fails(rmdir("f"), ENOTDIR);
    fails(rmdir("p"), ENOTDIR);
    fails(rmdir("/"), EBUSY);
}

TEST(of_an_open_folder)
{
    make_folder("d", 0755);
    DIR *folder = opendir("d");
    check(folder != NULL);
    passes(rmdir("d"));
    struct stat st;
    passes(fstat(dirfd(folder), &st));
    is(st.st_nlink, 0);
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        check(entry->d_name[0] == '.');
    closedir(folder);
}

TEST(of_the_current_folder)
{
    char path[256];
    make_folder("d", 0755);
    passes(chdir("d"));
    passes(rmdir("../d"));
    fails(open("f", O_CREAT | O_WRONLY, 0644), ENOENT);
    fails(mkdir("e", 0755), ENOENT);
    check(getcwd(path, sizeof(path)) == NULL && errno == ENOENT);
}

TEST(changes_the_times_of_the_folder_above)
{
    make_folder("d", 0755);
    make_folder("d/e", 0755);
    int64_t modified = mtime_of("d");
    wait_tick();
    passes(rmdir("d/e"));
    check(mtime_of("d") > modified && ctime_of("d") > modified);
}
