/* utimensat, and which operations set which time. */
#define GROUP "times"
#include "suite.h"
#include <dirent.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>

static int set(const char *path, int64_t access_ns, int64_t modify_ns)
{
    struct timespec times[2] = {{access_ns / 1000000000, access_ns % 1000000000},
                                {modify_ns / 1000000000, modify_ns % 1000000000}};
    return utimensat(AT_FDCWD, path, times, 0);
}

TEST(are_kept_to_the_100_nanoseconds)
{
    /* NT's unit; ext4 has single nanoseconds. */
    make_file("f", 0644);
    make_folder("d", 0755);
    const int64_t a = 1600000000123456700, m = 1500000000999999900;
    passes(set("f", a, m));
    passes(set("d", m, a));
    is(atime_of("f"), a);
    is(mtime_of("f"), m);
    is(atime_of("d"), m);
    is(mtime_of("d"), a);
}

TEST(before_1970_and_after_2038)
{
    make_file("f", 0644);
    struct timespec times[2] = {{-1, 500}, {4294967296 + 17, 0}};
    passes(utimensat(AT_FDCWD, "f", times, 0));
    is(look("f").st_atim.tv_sec, -1);
    is(look("f").st_atim.tv_nsec, 500);
    is(look("f").st_mtim.tv_sec, 4294967296 + 17);
    times[0] = (struct timespec){0, 0}, times[1] = (struct timespec){0, 0};
    passes(utimensat(AT_FDCWD, "f", times, 0));
    is(atime_of("f"), 0);
    is(mtime_of("f"), 0);
}

TEST(one_alone)
{
    make_file("f", 0644);
    passes(set("f", 1000, 2000));
    struct timespec times[2] = {{7, 0}, {0, UTIME_OMIT}};
    passes(utimensat(AT_FDCWD, "f", times, 0));
    is(atime_of("f"), 7000000000);
    is(mtime_of("f"), 2000);
    times[0] = (struct timespec){0, UTIME_OMIT}, times[1] = (struct timespec){9, 0};
    passes(utimensat(AT_FDCWD, "f", times, 0));
    is(atime_of("f"), 7000000000);
    is(mtime_of("f"), 9000000000);
    int64_t changed = ctime_of("f");
    wait_tick();
    times[1].tv_nsec = UTIME_OMIT;
    passes(utimensat(AT_FDCWD, "f", times, 0));
    is(ctime_of("f"), changed);
}

TEST(to_now)
{
    make_file("f", 0644);
    make_file("before", 0644);
    wait_tick();
    passes(set("f", 1000, 2000));
    struct timespec times[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    passes(utimensat(AT_FDCWD, "f", times, 0));
    check(atime_of("f") > atime_of("before"));
    is(mtime_of("f"), 2000);
    passes(utimensat(AT_FDCWD, "f", NULL, 0));
    check(mtime_of("f") > mtime_of("before"));
}

TEST(by_descriptor_changes_ctime)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDONLY));
    int64_t changed = ctime_of("f");
    wait_tick();
    struct timespec times[2] = {{7, 0}, {8, 0}};
    passes(futimens(fd, times));
    is(mtime_of("f"), 8000000000);
    check(ctime_of("f") > changed);
    close(fd);
}

TEST(who_may)
{
    make_owned("f", ALICE, ALICE, 0666);
    make_owned("g", ALICE, ALICE, 0644);
    struct timespec values[2] = {{7, 0}, {8, 0}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    struct timespec mixed[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    be(BOB, 0);
    fails(utimensat(AT_FDCWD, "f", values, 0), EPERM);
    passes(utimensat(AT_FDCWD, "f", NULL, 0));
    passes(utimensat(AT_FDCWD, "f", now, 0));
    fails(utimensat(AT_FDCWD, "f", mixed, 0), EPERM);
    fails(utimensat(AT_FDCWD, "g", NULL, 0), EACCES);
    be(ALICE, 0);
    passes(utimensat(AT_FDCWD, "g", values, 0));
    passes(utimensat(AT_FDCWD, "g", mixed, 0));
    be_root();
}

TEST(write_sets_mtime_and_ctime)
{
    make_filled("f", "abc");
    passes(set("f", 1000, 1000));
    int64_t changed = ctime_of("f");
    int fd = (int)passes(open("f", O_WRONLY));
    wait_tick();
    is(write(fd, "x", 1), 1);
    check(mtime_of("f") > 1000 && ctime_of("f") > changed);
    is(atime_of("f"), 1000);
    struct stat st;
    passes(fstat(fd, &st));
    is(st.st_mtim.tv_sec, mtime_of("f") / 1000000000);
    close(fd);
}

TEST(write_of_nothing_sets_none)
{
    make_filled("f", "abc");
    passes(set("f", 1000, 1000));
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "x", 0), 0);
    close(fd);
    is(mtime_of("f"), 1000);
}

TEST(set_times_outlive_the_close)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_WRONLY));
    is(write(fd, "abc", 3), 3);
    struct timespec times[2] = {{7, 0}, {8, 0}};
    passes(futimens(fd, times));
    close(fd);
    is(mtime_of("f"), 8000000000);
    passes(close((int)passes(open("f", O_RDONLY))));
    is(mtime_of("f"), 8000000000);
}

TEST(reading_changes_neither_mtime_nor_ctime)
{
    char data[4];
    make_filled("f", "abc");
    make_folder("d", 0755);
    passes(symlink("f", "l"));
    int64_t modified = mtime_of("f"), changed = ctime_of("f"), folder = ctime_of("d");
    wait_tick();
    int fd = (int)passes(open("f", O_RDONLY));
    is(read(fd, data, 4), 3);
    close(fd);
    passes(readlink("l", data, 4));
    DIR *d = opendir("d");
    check(d != NULL && readdir(d) != NULL);
    closedir(d);
    is(mtime_of("f"), modified);
    is(ctime_of("f"), changed);
    is(ctime_of("d"), folder);
}

TEST(a_program_sees_its_writes_times_grow)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_WRONLY));
    int64_t last = mtime_of("f");
    for (int i = 0; i < 3; i++) {
        wait_tick();
        is(pwrite(fd, "x", 1, i), 1);
        int64_t now = mtime_of("f");
        check(now > last);
        last = now;
    }
    close(fd);
    is(mtime_of("f"), last);
}

TEST(errors)
{
    make_file("f", 0644);
    struct timespec bad[2] = {{0, 1000000000}, {0, 0}};
    fails(utimensat(AT_FDCWD, "f", bad, 0), EINVAL);
    bad[0].tv_nsec = -1;
    fails(utimensat(AT_FDCWD, "f", bad, 0), EINVAL);
    fails(utimensat(AT_FDCWD, "none", NULL, 0), ENOENT);
    fails(futimens(-1, NULL), EBADF);
}

#undef GROUP
#define GROUP "statvfs"

TEST(tells_sizes)
{
    struct statvfs fs;
    passes(statvfs(".", &fs));
    check(fs.f_bsize >= 512 && fs.f_frsize >= 512);
    check(fs.f_blocks > 0 && fs.f_bavail <= fs.f_bfree && fs.f_bfree <= fs.f_blocks);
    is(fs.f_namemax, 255);
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDONLY));
    passes(fstatvfs(fd, &fs));
    close(fd);
}
