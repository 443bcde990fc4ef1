/* mmap: shared and private, and how it agrees with read and write. */
#define GROUP "mmap"
#include "suite.h"
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

static char *map(int fd, size_t bytes, int protection, int flags)
{
    char *at = mmap(NULL, bytes, protection, flags, fd, 0);
    check(at != MAP_FAILED);
    return at;
}

static int sized(size_t bytes)
{
    int fd = (int)passes(open("f", O_CREAT | O_RDWR, 0644));
    passes(ftruncate(fd, (off_t)bytes));
    return fd;
}

TEST(stores_are_seen_by_read)
{
    char data[8];
    int fd = sized(PAGE * 3);
    char *at = map(fd, PAGE * 3, PROT_READ | PROT_WRITE, MAP_SHARED);
    memcpy(at + PAGE + 5, "store", 5);
    is(pread(fd, data, 5, PAGE + 5), 5);
    check(memcmp(data, "store", 5) == 0);
    int second = (int)passes(open("f", O_RDONLY));
    is(pread(second, data, 5, PAGE + 5), 5);
    check(memcmp(data, "store", 5) == 0);
    close(second);
    munmap(at, PAGE * 3);
    close(fd);
}

TEST(writes_are_seen_by_loads)
{
    int fd = sized(PAGE * 3);
    char *at = map(fd, PAGE * 3, PROT_READ, MAP_SHARED);
    is(at[100], 0);
    is(pwrite(fd, "written", 7, 100), 7);
    check(memcmp(at + 100, "written", 7) == 0);
    int second = (int)passes(open("f", O_WRONLY));
    is(pwrite(second, "again", 5, PAGE * 2 - 2), 5);
    check(memcmp(at + PAGE * 2 - 2, "again", 5) == 0);
    close(second);
    munmap(at, PAGE * 3);
    close(fd);
}

TEST(stores_and_writes_to_one_page)
{
    char data[PAGE];
    int fd = sized(PAGE);
    char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (int i = 0; i < 100; i++) {
        at[i * 2] = 'm';
        is(pwrite(fd, "w", 1, i * 2 + 1), 1);
    }
    passes(msync(at, PAGE, MS_SYNC));
    is(pread(fd, data, PAGE, 0), PAGE);
    for (int i = 0; i < 100; i++)
        check(data[i * 2] == 'm' && data[i * 2 + 1] == 'w');
    munmap(at, PAGE);
    close(fd);
}

TEST(stores_outlive_everything)
{
    char data[8];
    int fd = sized(PAGE * 2);
    char *at = map(fd, PAGE * 2, PROT_READ | PROT_WRITE, MAP_SHARED);
    close(fd);
    memcpy(at + 10, "kept", 4);
    munmap(at, PAGE * 2);
    fd = (int)passes(open("f", O_RDONLY));
    is(pread(fd, data, 4, 10), 4);
    check(memcmp(data, "kept", 4) == 0);
    passes(fsync(fd));
    close(fd);
    is(look("f").st_size, PAGE * 2);
}

TEST(private_stores_stay_private)
{
    make_filled("f", "original");
    int fd = (int)passes(open("f", O_RDWR));
    char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memcpy(at, "changed!", 8);
    check(holds("f", "original"));
    munmap(at, PAGE);
    int second = (int)passes(open("f", O_RDONLY));
    at = map(second, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    check(memcmp(at, "original", 8) == 0);
    is(pwrite(fd, "O", 1, 0), 1);
    is(at[0], 'O');
    munmap(at, PAGE);
    close(second);
    close(fd);
}

TEST(the_rest_of_the_last_page_is_zero_and_no_part_of_the_file)
{
    make_filled("f", "abc");
    int fd = (int)passes(open("f", O_RDWR));
    char *at = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (int i = 3; i < PAGE; i++)
        if (at[i] != 0)
            check(!"zero");
    at[1] = 'B';
    at[10] = 'x';
    passes(msync(at, PAGE, MS_SYNC));
    check(holds("f", "aBc"));
    passes(ftruncate(fd, 20));
    char data[20];
    is(pread(fd, data, 20, 0), 20);
    is(data[10], 0);
    munmap(at, PAGE);
    close(fd);
}

static sigjmp_buf jump;

static void on_bus(int signal)
{
    (void)signal;
    siglongjmp(jump, 1);
}

TEST(past_the_end_is_a_bus_error)
{
    int fd = sized(PAGE * 2);
    char *at = map(fd, PAGE * 2, PROT_READ | PROT_WRITE, MAP_SHARED);
    at[PAGE] = 'x';
    passes(ftruncate(fd, PAGE));
    struct sigaction action = {.sa_handler = on_bus}, old;
    sigaction(SIGBUS, &action, &old);
    if (sigsetjmp(jump, 1) == 0) {
        *(volatile char *)(at + PAGE) = 'y';
        check(!"a store past the end passes");
    }
    sigaction(SIGBUS, &old, NULL);
    passes(ftruncate(fd, PAGE * 2));
    is(at[PAGE], 0);
    munmap(at, PAGE * 2);
    close(fd);
}

TEST(two_mappings_are_one)
{
    int fd = sized(PAGE), second = (int)passes(open("f", O_RDWR));
    char *one = map(fd, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    char *two = map(second, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
    one[7] = 'a';
    is(two[7], 'a');
    two[8] = 'b';
    is(one[8], 'b');
    munmap(one, PAGE);
    munmap(two, PAGE);
    close(fd);
    close(second);
}

TEST(truncation_and_growth_under_a_mapping)
{
    int fd = sized(PAGE);
    char *at = map(fd, PAGE * 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    memset(at, 'x', PAGE);
    passes(ftruncate(fd, 100));
    passes(ftruncate(fd, PAGE * 4));
    is(at[99], 'x');
    is(at[100], 0);
    at[PAGE * 3] = 'y';
    char byte;
    is(pread(fd, &byte, 1, PAGE * 3), 1);
    is(byte, 'y');
    munmap(at, PAGE * 4);
    close(fd);
}

TEST(a_punched_hole_is_seen)
{
    int fd = sized(PAGE * 4);
    char *at = map(fd, PAGE * 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    memset(at, 'x', PAGE * 4);
    if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE, PAGE) == 0) {
        is(at[PAGE - 1], 'x');
        is(at[PAGE], 0);
        is(at[PAGE * 2], 'x');
    }
    munmap(at, PAGE * 4);
    close(fd);
}

TEST(rights)
{
    make_filled("f", "abc");
    int fd = (int)passes(open("f", O_RDONLY));
    check(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED &&
          errno == EACCES);
    close(fd);
    fd = (int)passes(open("f", O_WRONLY));
    check(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
    close(fd);
}

TEST(write_from_a_mapping_of_the_same_file)
{
    char data[PAGE];
    int fd = sized(PAGE * 2);
    char *at = map(fd, PAGE * 2, PROT_READ | PROT_WRITE, MAP_SHARED);
    memset(at, 's', PAGE);
    is(pwrite(fd, at, PAGE, PAGE), PAGE);
    is(pread(fd, data, PAGE, PAGE), PAGE);
    check(data[0] == 's' && data[PAGE - 1] == 's');
    munmap(at, PAGE * 2);
    close(fd);
}

TEST(a_program_runs_from_it)
{
    make_filled("script", "#!/bin/sh\nexit 7\n");
    passes(chmod("script", 0755));
    int status = system("./script");
    is(status >> 8, 7);
    passes(chmod("script", 0644));
    status = system("./script 2>/dev/null");
    is(status >> 8, 126);
}
