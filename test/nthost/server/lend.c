/*
 * Memory that a client lends: both see it while the request waits, and the host comes to no harm by
 * what is done to it.
 */
#include "peer.h"
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define RW    (GENERIC_READ | GENERIC_WRITE)
#define BYTES (64 * 4096u)

static int make_memory(size_t bytes, int seals)
{
    int fd = memfd_create("lent", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ok(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0);
    return fd;
}

static uint8_t *map(int fd, size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

/* One sendmsg of these bytes with these descriptors. */
static bool send_with(int fd, const void *data, size_t bytes, const int *fds, unsigned count)
{
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr aligned;
    } control = {{0}};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static struct wire_request lending(uint32_t handle, uint32_t code, uint32_t bytes,
                                   uint32_t input_bytes)
{
    return (struct wire_request){.bytes = input_bytes,
                                 .op = WIRE_LEND,
                                 .tag = 5,
                                 .handle = handle,
                                 .arg0 = code,
                                 .arg1 = bytes};
}

static uint64_t poke(int fd, uint32_t handle, uint64_t offset, uint64_t value)
{
    uint64_t told[2] = {offset, value}, before = 0;
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_POKE, 8, told, sizeof(told), NULL,
                        &before, 8),
              STATUS_SUCCESS);
    return before;
}

/* Mappings of lent memory in this process, the host's and ours. */
static unsigned mappings(void)
{
    char line[512];
    unsigned found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof(line), maps))
        found += strstr(line, "memfd:lent") != NULL;
    if (maps)
        fclose(maps);
    return found;
}

static unsigned descriptors(void)
{
    unsigned found = 0;
    for (int fd = 0; fd < 1024; fd++)
        found += fcntl(fd, F_GETFD) >= 0;
    return found;
}

static bool eventually(unsigned (*count)(void), unsigned expected)
{
    for (unsigned i = 0; i < 5000 && count() != expected; i++)
        usleep(2000);
    return is_int(count(), expected);
}

NT_TEST(lent_memory_is_shared_until_the_reply)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle, second;
    need(host_start(&host));
    int fd = peer_greet(host.path), other = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    is_status(peer_open(other, "\\\\.\\IoTest", RW, &second), STATUS_SUCCESS);
    int memory_fd = make_memory(BYTES, F_SEAL_SHRINK);
    uint8_t *memory = map(memory_fd, BYTES);
    struct wire_request request = lending(handle, IOTEST_IOCTL_LEND, BYTES, 0);
    ok(send_with(fd, &request, sizeof(request), &memory_fd, 1));
    close(memory_fd);
    ok(peer_await_waiting(other, second, 1));
    is_int(mappings(), 2);

    _Atomic uint64_t *words = (_Atomic uint64_t *)memory;
    atomic_store(&words[100], 0x1122334455667788);
    is_hex(poke(other, second, 800, 99), 0x1122334455667788);
    is_int(atomic_load(&words[100]), 99);
    is_hex(poke(other, second, BYTES - 8, 7), 0);
    is_int(atomic_load(&words[BYTES / 8 - 1]), 7);

    is_status(peer_call(other, WIRE_IOCTL, second, IOTEST_IOCTL_SIGNAL, 4, "event", 5, NULL,
                        &(ULONG){0}, 4),
              STATUS_SUCCESS);
    ok(peer_receive(fd, &reply, NULL, 0));
    is_hex(reply.tag, 5);
    is_status(reply.status, STATUS_SUCCESS);
    is_int(reply.info, 5);
    is_int(reply.bytes, 0);
    is_mem(memory, "event", 5);
    ok(eventually(mappings, 1));
    munmap(memory, BYTES);
    close(fd);
    close(other);
    host_stop(&host);
}

NT_TEST(lent_memory_of_both_methods_with_input)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle;
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    int memory_fd = make_memory(2 * BYTES, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    uint8_t *memory = map(memory_fd, 2 * BYTES);
    struct {
        struct wire_request request;
        uint8_t input[4];
    } whole = {lending(handle, IOTEST_IOCTL_ECHO_OUT_DIRECT, BYTES, 3), {1, 2, 3}};
    ok(send_with(fd, &whole, sizeof(whole.request) + 3, &memory_fd, 1));
    ok(peer_receive(fd, &reply, NULL, 0));
    is_status(reply.status, STATUS_SUCCESS);
    is_int(reply.info, 3);
    is_mem(memory, "\2\3\4\0", 4);
    memset(memory, 0, 4);
    memory[4] = 10, memory[BYTES - 1] = 20, memory[BYTES] = 99;
    whole.request = lending(handle, IOTEST_IOCTL_ECHO_IN_DIRECT, BYTES, 3);
    /* The descriptor comes with the first byte, the rest in pieces. */
    ok(send_with(fd, &whole, 1, &memory_fd, 1));
    for (size_t i = 1; i < sizeof(whole.request) + 3; i++)
        ok(send(fd, (char *)&whole + i, 1, MSG_NOSIGNAL) == 1);
    ok(peer_receive(fd, &reply, NULL, 0));
    is_status(reply.status, STATUS_SUCCESS);
    is_int(reply.info, 1 + 2 + 3 + 10 + 20);
    munmap(memory, 2 * BYTES);
    close(memory_fd);
    close(fd);
    host_stop(&host);
}

/* Refused without any harm: the connection goes on. */
NT_TEST(lent_memory_that_is_none)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle;
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    unsigned before = descriptors();
    char file[] = "/tmp/nthost-lend-XXXXXX";
    int pipes[2] = {-1, -1};
    ok(pipe2(pipes, O_CLOEXEC) == 0);
    int bad[] = {make_memory(BYTES, 0),
                 make_memory(BYTES - 4096, F_SEAL_SHRINK),
                 make_memory(BYTES, F_SEAL_SHRINK | F_SEAL_WRITE),
                 make_memory(BYTES, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE),
                 mkstemp(file),
                 pipes[0],
                 open("/dev/zero", O_RDWR | O_CLOEXEC),
                 open("/", O_RDONLY | O_CLOEXEC)};
    ok(bad[4] >= 0 && ftruncate(bad[4], BYTES) == 0);
    unlink(file);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct wire_request request = lending(handle, IOTEST_IOCTL_LEND, BYTES, 0);
        ok(send_with(fd, &request, sizeof(request), &bad[i], 1));
        ok(peer_receive(fd, &reply, NULL, 0));
        is_status(reply.status, STATUS_INVALID_USER_BUFFER, "case %u", i);
        close(bad[i]);
    }
    close(pipes[1]);
    /* A handle that is none, and good memory. */
    int good = make_memory(BYTES, F_SEAL_SHRINK);
    struct wire_request request = lending(handle + 400, IOTEST_IOCTL_LEND, BYTES, 0);
    ok(send_with(fd, &request, sizeof(request), &good, 1));
    ok(peer_receive(fd, &reply, NULL, 0));
    is_status(reply.status, STATUS_INVALID_HANDLE);
    close(good);
    ok(eventually(mappings, 0));
    ok(eventually(descriptors, before), "none is left open");
    /* More than one connection may lend. */
    int large = make_memory(WIRE_MAX_LENT, F_SEAL_SHRINK);
    request = lending(handle, IOTEST_IOCTL_LEND, WIRE_MAX_LENT, 0);
    for (unsigned i = 0; i < 3; i++) {
        request.tag = 70 + i;
        ok(send_with(fd, &request, sizeof(request), &large, 1));
    }
    ok(peer_receive(fd, &reply, NULL, 0));
    is_hex(reply.tag, 72);
    is_status(reply.status, STATUS_INSUFFICIENT_RESOURCES);
    close(large);
    close(fd);
    ok(eventually(mappings, 0));
    host_stop(&host);
}

NT_TEST(lending_that_breaks_the_protocol)
{
    struct host host;
    need(host_start(&host));
    unsigned before = descriptors();
    for (unsigned i = 0; i < 10; i++) {
        uint32_t handle;
        int fd = peer_greet(host.path), memory = make_memory(BYTES, F_SEAL_SHRINK);
        int many[16];
        for (unsigned j = 0; j < 16; j++)
            many[j] = memory;
        is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
        struct wire_request request = lending(handle, IOTEST_IOCTL_LEND, BYTES, 0);
        unsigned count = 1;
        size_t first = 0;
        switch (i) {
        case 0: /* two descriptors */
            count = 2;
            break;
        case 1: /* more than there is room for */
            count = 16;
            break;
        case 2: /* the descriptor comes too late */
            first = 1;
            break;
        case 3:
            first = sizeof(request) - 1;
            break;
        case 4: /* none at all */
            count = 0;
            break;
        case 5: /* with another request */
            request = (struct wire_request){
                .op = WIRE_IOCTL, .tag = 9, .handle = handle, .arg0 = IOTEST_IOCTL_WAIT};
            break;
        case 6:
            request.arg0 = IOTEST_IOCTL_WAIT; /* METHOD_BUFFERED */
            break;
        case 7:
            request.arg1 = 0;
            break;
        case 8:
            request.arg1 = 4097;
            break;
        default:
            request.arg1 = WIRE_MAX_LENT + 4096;
        }
        if (first != 0)
            ok(send(fd, &request, first, MSG_NOSIGNAL) == (ssize_t)first);
        if (first != 0) /* so that it cannot come in one piece with the rest */
            usleep(20000);
        if (count == 0)
            ok(send(fd, &request, sizeof(request), MSG_NOSIGNAL) == sizeof(request));
        else
            send_with(fd, (char *)&request + first, sizeof(request) - first, many, count);
        ok(peer_ended(fd), "case %u", i);
        close(fd);
        close(memory);
    }
    /* A request that is cut off after its descriptor. */
    int fd = peer_greet(host.path), memory = make_memory(BYTES, F_SEAL_SHRINK);
    struct wire_request request = lending(4, IOTEST_IOCTL_LEND, BYTES, 100);
    ok(send_with(fd, &request, sizeof(request), &memory, 1));
    close(memory);
    close(fd);
    ok(eventually(descriptors, before), "none is left open");
    ok(eventually(mappings, 0));
    host_stop(&host);
}

/* The client may do to its memory whatever it can, and die: the driver goes on seeing memory until
 * it has given the request back. */
NT_TEST(lender_that_dies)
{
    struct host host;
    uint32_t second;
    char byte;
    int ready[2];
    need(host_start(&host));
    need(pipe2(ready, O_CLOEXEC) == 0);
    pid_t child = fork();
    if (child == 0) {
        uint32_t handle;
        int fd = peer_greet(host.path), memory = make_memory(BYTES, F_SEAL_SHRINK);
        peer_open(fd, "\\\\.\\IoTest", RW, &handle);
        struct wire_request request = lending(handle, IOTEST_IOCTL_LEND, BYTES, 0);
        bool sent = send_with(fd, &request, sizeof(request), &memory, 1);
        /* Cannot be taken away; a hole reads as zeros. */
        sent = sent && ftruncate(memory, 0) != 0 &&
               fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, BYTES) == 0;
        sent = sent && write(ready[1], "x", 1) == 1;
        pause();
        _exit(!sent);
    }
    int other = peer_greet(host.path);
    is_status(peer_open(other, "\\\\.\\IoTest", RW, &second), STATUS_SUCCESS);
    ok(read(ready[0], &byte, 1) == 1);
    ok(peer_await_waiting(other, second, 1));
    is_hex(poke(other, second, 4096, 1), 0);
    is_hex(poke(other, second, 4096, 2), 1);
    is_int(mappings(), 1);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ok(peer_await_waiting(other, second, 0));
    IOTEST_STATS stats;
    peer_stats(other, second, &stats);
    is_int(stats.Cancelled + stats.CleanedUp, 1);
    ok(eventually(mappings, 0));
    close(other);
    close(ready[0]);
    close(ready[1]);
    host_stop(&host);
}
