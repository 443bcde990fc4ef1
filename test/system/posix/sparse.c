/* Holes, SEEK_HOLE and SEEK_DATA, fallocate in its modes. A file system may refuse a mode with
 * EOPNOTSUPP; what it does not refuse must be right. */
#define GROUP "sparse"
#include "suite.h"
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

static bool all(const char *data, size_t bytes, char value)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != value)
            return false;
    return true;
}

/* A file of so many bytes 'x'. */
static int filled(size_t bytes)
{
    char *data = malloc(bytes);
    memset(data, 'x', bytes);
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    is(write(fd, data, bytes), bytes);
    free(data);
    return fd;
}

static bool supported(int result)
{
    return !(result == -1 && errno == EOPNOTSUPP);
}

TEST(a_hole_reads_as_zero)
{
    char data[100];
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    is(pwrite(fd, "end", 3, 10 << 20), 3);
    is(look("f").st_size, (10 << 20) + 3);
    check(look("f").st_blocks * 512 < 1 << 20);
    is(pread(fd, data, 100, 5 << 20), 100);
    check(all(data, 100, 0));
    close(fd);
}

TEST(seek_finds_data_and_holes)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    passes(ftruncate(fd, 8 << 20));
    is(pwrite(fd, "data", 4, 4 << 20), 4);
    passes(fsync(fd));
    off_t data = lseek(fd, 0, SEEK_DATA), hole = lseek(fd, 4 << 20, SEEK_HOLE);
    check(data >= 0 && data <= 4 << 20);
    check(hole > 4 << 20 && hole <= 8 << 20);
    is(lseek(fd, 0, SEEK_HOLE), data == 0 ? hole : 0);
    fails(lseek(fd, 8 << 20, SEEK_DATA), ENXIO);
    fails(lseek(fd, 9 << 20, SEEK_HOLE), ENXIO);
    is(lseek(fd, (8 << 20) - 1, SEEK_HOLE), data == 0 && hole == 8 << 20 ? 8 << 20 : (8 << 20) - 1);
    close(fd);
}

TEST(a_full_file_has_its_hole_at_the_end)
{
    int fd = filled(100000);
    is(lseek(fd, 0, SEEK_DATA), 0);
    is(lseek(fd, 777, SEEK_DATA), 777);
    is(lseek(fd, 0, SEEK_HOLE), 100000);
    is(lseek(fd, 99999, SEEK_HOLE), 100000);
    close(fd);
}

TEST(allocation_extends)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    is(write(fd, "abc", 3), 3);
    int result = fallocate(fd, 0, 0, 1 << 20);
    if (supported(result)) {
        passes(result);
        is(look("f").st_size, 1 << 20);
        check(look("f").st_blocks * 512 >= 1 << 20);
        char data[8];
        is(pread(fd, data, 8, 0), 8);
        check(memcmp(data, "abc\0\0\0\0\0", 8) == 0);
        passes(fallocate(fd, 0, 100, 5));
        is(look("f").st_size, 1 << 20);
    }
    close(fd);
}

TEST(allocation_may_keep_the_size)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    int result = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
    if (supported(result)) {
        passes(result);
        is(look("f").st_size, 0);
        check(look("f").st_blocks * 512 >= 1 << 20);
        is(write(fd, "abc", 3), 3);
        check(holds("f", "abc"));
    }
    close(fd);
}

TEST(punching)
{
    int fd = filled(1 << 20);
    char *data = malloc(1 << 20);
    int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536, 131072);
    if (supported(result)) {
        passes(result);
        is(look("f").st_size, 1 << 20);
        is(pread(fd, data, 1 << 20, 0), 1 << 20);
        check(all(data, 65536, 'x') && all(data + 65536, 131072, 0));
        check(all(data + 196608, (1 << 20) - 196608, 'x'));
        is(lseek(fd, 0, SEEK_HOLE), 65536);
        is(lseek(fd, 65536, SEEK_DATA), 196608);
        check(look("f").st_blocks * 512 < (1 << 20) - 65536);
        /* No whole blocks: zeroes. */
        passes(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 10, 100));
        is(pread(fd, data, 200, 0), 200);
        check(all(data, 10, 'x') && all(data + 10, 100, 0) && all(data + 110, 90, 'x'));
        /* Past the end: the size stays. */
        passes(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (1 << 20) - 10, 100000));
        is(look("f").st_size, 1 << 20);
        is(pread(fd, data, 20, (1 << 20) - 20), 20);
        check(all(data, 10, 'x') && all(data + 10, 10, 0));
    }
    free(data);
    close(fd);
}

TEST(zeroing)
{
    int fd = filled(200000);
    char data[4096];
    int result = fallocate(fd, FALLOC_FL_ZERO_RANGE, 1000, 2000);
    if (supported(result)) {
        passes(result);
        is(pread(fd, data, 4096, 0), 4096);
        check(all(data, 1000, 'x') && all(data + 1000, 2000, 0) && all(data + 3000, 1096, 'x'));
        is(look("f").st_size, 200000);
        passes(fallocate(fd, FALLOC_FL_ZERO_RANGE, 199000, 5000));
        is(look("f").st_size, 204000);
        passes(fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 203000, 90000));
        is(look("f").st_size, 204000);
    }
    close(fd);
}

TEST(collapsing_and_inserting_is_right_or_refused)
{
    int fd = filled(65536);
    char data[8];
    is(pwrite(fd, "mark", 4, 32768), 4);
    int result = fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 16384);
    if (supported(result)) {
        passes(result);
        is(look("f").st_size, 49152);
        is(pread(fd, data, 4, 16384), 4);
        check(memcmp(data, "mark", 4) == 0);
    } else {
        is(look("f").st_size, 65536);
    }
    off_t size = look("f").st_size;
    result = fallocate(fd, FALLOC_FL_INSERT_RANGE, 4096, 4096);
    if (supported(result)) {
        passes(result);
        is(look("f").st_size, size + 4096);
        is(pread(fd, data, 4, 4096), 4);
        check(all(data, 4, 0));
    } else {
        is(look("f").st_size, size);
    }
    close(fd);
}

TEST(changes_times)
{
    int fd = filled(100000);
    int64_t modified = mtime_of("f");
    wait_tick();
    int result = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
    if (supported(result))
        check(mtime_of("f") > modified && ctime_of("f") > modified);
    close(fd);
}

TEST(errors)
{
    int fd = filled(100);
    fails(fallocate(fd, 0, 0, 0), EINVAL);
    fails(fallocate(fd, 0, -1, 10), EINVAL);
    fails(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
    close(fd);
    fd = (int)passes(open("f", O_RDONLY));
    fails(fallocate(fd, 0, 0, 10), EBADF);
    close(fd);
    fd = (int)passes(open(".", O_RDONLY));
    fails(fallocate(fd, 0, 0, 10), EBADF);
    close(fd);
}

TEST(posix_allocation)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    is(posix_fallocate(fd, 1000, 50000), 0);
    is(look("f").st_size, 51000);
    is(posix_fallocate(fd, 0, 10), 0);
    is(look("f").st_size, 51000);
    close(fd);
}
