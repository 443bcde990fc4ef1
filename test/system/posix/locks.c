/* flock, record locks, open file description locks. */
#define GROUP "lock"
#include "suite.h"
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>

static int lock(int fd, int command, short type, off_t start, off_t bytes)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
    return fcntl(fd, command, &range);
}

struct attempt {
    int command;
    short type;
    off_t start, bytes;
};

/* 0: got it, 1: refused as locked, 2: anything else. */
static int attempt(void *context)
{
    struct attempt *wanted = context;
    int fd = open("f", O_RDWR);
    if (lock(fd, wanted->command, wanted->type, wanted->start, wanted->bytes) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? 1 : 2;
}

static int other(int command, short type, off_t start, off_t bytes)
{
    struct attempt wanted = {command, type, start, bytes};
    return in_child(attempt, &wanted);
}

static int other_flock(void *context)
{
    int fd = open("f", O_RDWR);
    if (flock(fd, *(int *)context | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? 1 : 2;
}

TEST(records)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDWR));
    passes(lock(fd, F_SETLK, F_WRLCK, 100, 100));
    is(other(F_SETLK, F_WRLCK, 0, 100), 0);
    is(other(F_SETLK, F_WRLCK, 150, 10), 1);
    is(other(F_SETLK, F_RDLCK, 199, 10), 1);
    is(other(F_SETLK, F_RDLCK, 200, 10), 0);
    passes(lock(fd, F_SETLK, F_RDLCK, 100, 100));
    is(other(F_SETLK, F_RDLCK, 100, 100), 0);
    is(other(F_SETLK, F_WRLCK, 100, 1), 1);
    passes(lock(fd, F_SETLK, F_UNLCK, 100, 50));
    is(other(F_SETLK, F_WRLCK, 100, 50), 0);
    is(other(F_SETLK, F_WRLCK, 150, 1), 1);
    close(fd);
    is(other(F_SETLK, F_WRLCK, 0, 0), 0);
}

TEST(record_locks_end_with_any_close)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDWR)), second = (int)passes(open("f", O_RDONLY));
    passes(lock(fd, F_SETLK, F_WRLCK, 0, 0));
    is(other(F_SETLK, F_WRLCK, 0, 1), 1);
    close(second);
    is(other(F_SETLK, F_WRLCK, 0, 1), 0);
    close(fd);
}

static int ask(void *context)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open("f", O_RDWR);
    if (fcntl(fd, F_GETLK, &range) != 0)
        return 1;
    return range.l_type == F_WRLCK && range.l_start == 10 && range.l_len == 5 &&
                   range.l_pid == *(pid_t *)context
               ? 0
               : 2;
}

TEST(records_tell_their_owner)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDWR));
    pid_t self = getpid();
    passes(lock(fd, F_SETLK, F_WRLCK, 10, 5));
    is(in_child(ask, &self), 0);
    close(fd);
}

TEST(waiting_for_a_record)
{
    int locked[2], go[2], status;
    char byte = 0;
    make_file("f", 0644);
    passes(pipe(locked));
    passes(pipe(go));
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open("f", O_RDWR);
        int result = lock(fd, F_SETLK, F_WRLCK, 0, 10);
        close(go[1]);
        if (write(locked[1], "x", 1) != 1 || read(go[0], &byte, 1) < 0)
            _exit(1);
        /* The other one waits by now or soon; both must work. */
        _exit(result != 0);
    }
    int fd = (int)passes(open("f", O_RDWR));
    is(read(locked[0], &byte, 1), 1);
    close(go[0]);
    close(go[1]);
    passes(lock(fd, F_SETLKW, F_WRLCK, 5, 10));
    is(waitpid(pid, &status, 0), pid);
    is(status, 0);
    close(fd);
    close(locked[0]);
    close(locked[1]);
}

TEST(of_open_file_descriptions)
{
    make_file("f", 0644);
    int one = (int)passes(open("f", O_RDWR)), two = (int)passes(open("f", O_RDWR));
    passes(lock(one, F_OFD_SETLK, F_WRLCK, 0, 10));
    fails(lock(two, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
    passes(lock(two, F_OFD_SETLK, F_WRLCK, 10, 10));
    is(other(F_SETLK, F_RDLCK, 0, 1), 1);
    int copy = dup(one);
    close(one);
    fails(lock(two, F_OFD_SETLK, F_RDLCK, 0, 1), EAGAIN);
    close(copy);
    passes(lock(two, F_OFD_SETLK, F_WRLCK, 0, 10));
    close(two);
}

TEST(need_the_descriptor_s_direction)
{
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDONLY));
    fails(lock(fd, F_SETLK, F_WRLCK, 0, 1), EBADF);
    passes(lock(fd, F_SETLK, F_RDLCK, 0, 1));
    close(fd);
}

TEST(whole_files)
{
    int shared = LOCK_SH, exclusive = LOCK_EX;
    make_file("f", 0644);
    int fd = (int)passes(open("f", O_RDONLY));
    passes(flock(fd, LOCK_SH));
    is(in_child(other_flock, &shared), 0);
    is(in_child(other_flock, &exclusive), 1);
    passes(flock(fd, LOCK_EX));
    is(in_child(other_flock, &shared), 1);
    int copy = dup(fd);
    close(fd);
    is(in_child(other_flock, &shared), 1);
    passes(flock(copy, LOCK_UN));
    is(in_child(other_flock, &exclusive), 0);
    close(copy);
}
