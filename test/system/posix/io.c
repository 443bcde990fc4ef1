/* read and write in all their forms: positions, O_APPEND, O_DIRECT, vectors, copying. */
#define GROUP "io"
#include "suite.h"
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

TEST(position)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    char data[16];
    is(write(fd, "abcdef", 6), 6);
    is(lseek(fd, 0, SEEK_CUR), 6);
    is(lseek(fd, -2, SEEK_END), 4);
    is(read(fd, data, 16), 2);
    is(read(fd, data, 16), 0);
    is(pwrite(fd, "XY", 2, 1), 2);
    is(lseek(fd, 0, SEEK_CUR), 6);
    is(pread(fd, data, 16, 0), 6);
    check(memcmp(data, "aXYdef", 6) == 0);
    fails(lseek(fd, -1, SEEK_SET), EINVAL);
    fails(pread(fd, data, 1, -1), EINVAL);
    is(lseek(fd, 100, SEEK_SET), 100);
    is(read(fd, data, 1), 0);
    is(write(fd, "z", 1), 1);
    is(look("f").st_size, 101);
    close(fd);
}

TEST(append_writes_at_the_end)
{
    make_filled("f", "abc");
    int fd = (int)passes(open("f", O_WRONLY | O_APPEND));
    is(lseek(fd, 0, SEEK_SET), 0);
    is(write(fd, "def", 3), 3);
    is(lseek(fd, 0, SEEK_CUR), 6);
    int other = (int)passes(open("f", O_WRONLY | O_APPEND));
    is(write(other, "ghi", 3), 3);
    is(write(fd, "jkl", 3), 3);
    /* On Linux pwrite of such a descriptor appends, too. */
    is(pwrite(fd, "mno", 3, 0), 3);
    check(holds("f", "abcdefghijklmno"));
    passes(ftruncate(fd, 3));
    is(write(fd, "x", 1), 1);
    check(holds("f", "abcx"));
    close(fd);
    close(other);
}

enum { APPENDERS = 4, LINES = 200, LINE = 32 };

static int append_lines(void *context)
{
    char line[LINE];
    int who = *(int *)context;
    int fd = open("f", O_WRONLY | O_APPEND);
    memset(line, 'a' + who, LINE);
    for (int i = 0; i < LINES; i++)
        if (write(fd, line, LINE) != LINE)
            return 1;
    close(fd);
    return 0;
}

static int reap(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int append_all(void *context)
{
    (void)context;
    int result = 0;
    pid_t pids[APPENDERS];
    for (int who = 0; who < APPENDERS; who++)
        if ((pids[who] = fork()) == 0)
            _exit(append_lines(&who));
    for (int who = 0; who < APPENDERS; who++)
        result |= reap(pids[who]);
    return result;
}

TEST(appends_of_several_processes_lose_nothing)
{
    make_file("f", 0644);
    is(in_child(append_all, NULL), 0);
    is(look("f").st_size, APPENDERS * LINES * LINE);
    char line[LINE];
    int counts[APPENDERS] = {0}, fd = (int)passes(open("f", O_RDONLY));
    while (read(fd, line, LINE) == LINE) {
        check(line[0] >= 'a' && line[0] < 'a' + APPENDERS);
        for (int i = 1; i < LINE; i++)
            if (line[i] != line[0])
                check(!"whole lines");
        counts[(line[0] - 'a') & 3]++;
    }
    close(fd);
    for (int who = 0; who < APPENDERS; who++)
        is(counts[who], LINES);
}

TEST(direct)
{
    int fd = open("f", O_CREAT | O_RDWR | O_DIRECT, 0644);
    if (fd < 0) {
        is(errno, EINVAL);
        return;
    }
    char *block = aligned_alloc(4096, 8192), *back = aligned_alloc(4096, 8192);
    memset(block, 'd', 8192);
    is(pwrite(fd, block, 8192, 0), 8192);
    is(pwrite(fd, block, 4096, 16384), 4096);
    is(look("f").st_size, 20480);
    memset(back, 0, 8192);
    is(pread(fd, back, 8192, 0), 8192);
    check(memcmp(block, back, 8192) == 0);
    is(pread(fd, back, 8192, 8192), 8192);
    check(back[0] == 0 && back[8191] == 0);
    is(pread(fd, back, 8192, 16384), 4096);
    /* Seen by cached readers at once, and the other way round. */
    int cached = (int)passes(open("f", O_RDWR));
    is(pread(cached, back, 10, 4096), 10);
    check(memcmp(back, "dddddddddd", 10) == 0);
    is(pwrite(cached, "cached", 6, 4096), 6);
    is(pread(fd, back, 4096, 4096), 4096);
    check(memcmp(back, "cachedd", 7) == 0);
    memset(block, 'e', 4096);
    is(pwrite(fd, block, 4096, 4096), 4096);
    is(pread(cached, back, 10, 4096), 10);
    check(memcmp(back, "eeeeeeeeee", 10) == 0);
    close(cached);
    close(fd);
    free(block);
    free(back);
}

TEST(synchronous_flags)
{
    static const int flags[] = {O_SYNC, O_DSYNC};
    for (int i = 0; i < 2; i++) {
        int fd = (int)passes(open("f", O_CREAT | O_RDWR | flags[i], 0644));
        is(write(fd, "abc", 3), 3);
        check(holds("f", "abc"));
        passes(fsync(fd));
        passes(fdatasync(fd));
        close(fd);
    }
    int fd = (int)passes(open(".", O_RDONLY));
    passes(fsync(fd));
    close(fd);
}

TEST(vectors)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    char a[4], b[8];
    struct iovec out[3] = {{"abc", 3}, {"", 0}, {"defgh", 5}}, in[2] = {{a, 4}, {b, 8}};
    is(writev(fd, out, 3), 8);
    is(preadv(fd, in, 2, 0), 8);
    check(memcmp(a, "abcd", 4) == 0 && memcmp(b, "efgh", 4) == 0);
    is(pwritev(fd, out, 1, 5), 3);
    check(holds("f", "abcdeabc"));
    close(fd);
}

TEST(large_transfers_are_whole)
{
    const size_t bytes = (5u << 20) + 12345;
    unsigned char *data = malloc(bytes), *back = malloc(bytes);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)(i * 2654435761u >> 13);
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    is(write(fd, data, bytes), bytes);
    is(pread(fd, back, bytes, 0), bytes);
    check(memcmp(data, back, bytes) == 0);
    is(pwrite(fd, data, bytes - 7, 7), bytes - 7);
    is(pread(fd, back, bytes, 7), bytes - 7);
    check(memcmp(data, back, bytes - 7) == 0);
    close(fd);
    free(data);
    free(back);
}

TEST(two_descriptors_see_each_other)
{
    make_file("f", 0644);
    int one = (int)passes(open("f", O_RDWR)), two = (int)passes(open("f", O_RDWR));
    char data[8];
    is(write(one, "first", 5), 5);
    is(read(two, data, 8), 5);
    is(pwrite(two, "F", 1, 0), 1);
    is(pread(one, data, 1, 0), 1);
    is(data[0], 'F');
    passes(ftruncate(one, 2));
    is(pread(two, data, 8, 0), 2);
    passes(link("f", "g"));
    int three = (int)passes(open("g", O_WRONLY));
    is(pwrite(three, "third", 5, 0), 5);
    is(pread(one, data, 8, 0), 5);
    check(memcmp(data, "third", 5) == 0);
    close(one);
    close(two);
    close(three);
}

TEST(copying_in_the_kernel)
{
    make_filled("f", "abcdefghij");
    int from = (int)passes(open("f", O_RDONLY));
    int to = (int)passes(open("g", O_CREAT | O_RDWR, 0644));
    loff_t in = 2, out = 1;
    is(copy_file_range(from, &in, to, &out, 5, 0), 5);
    is(in, 7);
    is(out, 6);
    off_t at = 0;
    is(lseek(to, 6, SEEK_SET), 6);
    is(sendfile(to, from, &at, 4), 4);
    char data[16];
    is(pread(to, data, 16, 0), 10);
    check(memcmp(data, "\0cdefgabcd", 10) == 0);
    in = 100, out = 0;
    is(copy_file_range(from, &in, to, &out, 5, 0), 0);
    close(from);
    close(to);
}

TEST(a_page_full_of_small_writes)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    char data[8192];
    for (int i = 0; i < 8192; i += 7) {
        char text[8];
        snprintf(text, sizeof(text), "%06d ", i);
        is(pwrite(fd, text, 7, i), 7);
    }
    is(pread(fd, data, 8192, 0), 8192);
    for (int i = 0; i + 7 <= 8192; i += 7)
        is(strtol(data + i, NULL, 10), i);
    close(fd);
}

TEST(errors)
{
    char byte = 0;
    fails(read(-1, &byte, 1), EBADF);
    fails(write(-1, &byte, 1), EBADF);
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDWR));
    fails(write(fd, sbrk(0) + (1 << 30), 10), EFAULT);
    is(look("f").st_size, 0);
    fails(pwrite(fd, &byte, 1, -5), EINVAL);
    close(fd);
}
