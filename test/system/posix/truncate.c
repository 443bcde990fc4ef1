/* truncate and ftruncate. */
#define GROUP "truncate"
#include "suite.h"
#include <stdlib.h>
#include <string.h>

TEST(to_every_size)
{
    static const off_t sizes[] = {0,    1,     511,    512,        4095,         4096,
                                  4097, 65536, 123456, 1234567890, 0x7fffffffff, 3};
    make_filled("f", "abcdef");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        passes(truncate("f", sizes[i]));
        is(look("f").st_size, sizes[i]);
    }
}

TEST(what_comes_back_is_zero)
{
    make_filled("f", "abcdef");
    passes(truncate("f", 3));
    passes(truncate("f", 6));
    char data[8];
    int fd = (int)passes(open("f", O_RDWR));
    is(read(fd, data, 8), 6);
    check(memcmp(data, "abc\0\0\0", 6) == 0);
    is(pwrite(fd, "tail", 4, 8192), 4);
    passes(ftruncate(fd, 5000));
    passes(ftruncate(fd, 8196));
    is(pread(fd, data, 4, 8192), 4);
    check(memcmp(data, "\0\0\0\0", 4) == 0);
    close(fd);
}

TEST(by_descriptor_keeps_the_position)
{
    make_filled("f", "abcdef");
    int fd = (int)passes(open("f", O_RDWR));
    is(lseek(fd, 4, SEEK_SET), 4);
    passes(ftruncate(fd, 2));
    is(lseek(fd, 0, SEEK_CUR), 4);
    is(write(fd, "x", 1), 1);
    close(fd);
    int size = (int)look("f").st_size;
    is(size, 5);
    fd = (int)passes(open("f", O_RDONLY));
    char data[8];
    is(read(fd, data, 8), 5);
    check(memcmp(data, "ab\0\0x", 5) == 0);
    close(fd);
}

TEST(changes_times)
{
    make_filled("f", "abcdef");
    int64_t modified = mtime_of("f"), changed = ctime_of("f");
    wait_tick();
    passes(truncate("f", 3));
    check(mtime_of("f") > modified && ctime_of("f") > changed);
    modified = mtime_of("f");
    wait_tick();
    int fd = (int)passes(open("f", O_WRONLY));
    passes(ftruncate(fd, 100));
    check(mtime_of("f") > modified);
    close(fd);
}

TEST(to_the_same_size_changes_the_times_too)
{
    make_filled("f", "abcdef");
    int64_t modified = mtime_of("f");
    wait_tick();
    int fd = (int)passes(open("f", O_WRONLY));
    passes(ftruncate(fd, 6));
    close(fd);
    check(mtime_of("f") > modified);
}

TEST(errors)
{
    make_filled("f", "abc");
    make_folder("d", 0755);
    fails(truncate("d", 0), EISDIR);
    fails(truncate("f", -1), EINVAL);
    fails(truncate("none", 0), ENOENT);
    int fd = (int)passes(open("f", O_RDONLY));
    fails(ftruncate(fd, 1), EINVAL);
    close(fd);
    fails(ftruncate(-1, 0), EBADF);
    fd = (int)passes(open("d", O_RDONLY));
    fails(ftruncate(fd, 0), EINVAL);
    close(fd);
    fails(truncate("f", 0x7fffffffffffffff), EFBIG);
    is(look("f").st_size, 3);
}
