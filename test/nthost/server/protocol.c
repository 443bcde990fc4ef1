/* The protocol used as it is meant: every operation, many requests at once, large ones, in any
 * order. */
#include "peer.h"
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#define RW (GENERIC_READ | GENERIC_WRITE)

NT_TEST(open_control_read_write_close)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle, restricted;
    uint8_t output[64] = {0};
    need(host_start(&host));
    int fd = peer_greet(host.path);
    need(fd >= 0);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    ok(handle != 0);
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_ECHO_BUFFERED, 64, "\1\2\3", 3, &reply,
                        output, 64),
              STATUS_SUCCESS);
    is_int(reply.info, 3);
    is_int(reply.bytes, 3);
    is_mem(output, "\2\3\4", 3);
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_ECHO_OUT_DIRECT, 8, "\1\2\3", 3,
                        &reply, output, 64),
              STATUS_SUCCESS);
    is_int(reply.info, 3);
    is_int(reply.bytes, 8);
    is_mem(output, "\2\3\4\0\0\0\0\0", 8);
    /* IN_DIRECT: input, then what is in the output buffer. */
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_ECHO_IN_DIRECT, 2, "\1\2\3\12\24", 5,
                        &reply, output, 64),
              STATUS_SUCCESS);
    is_int(reply.info, 1 + 2 + 3 + 10 + 20);
    is_int(reply.bytes, 0);
    IOTEST_COMPLETE told = {STATUS_BUFFER_OVERFLOW, 0xaa, 4};
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_COMPLETE, 4, &told, sizeof(told),
                        &reply, output, 64),
              STATUS_BUFFER_OVERFLOW);
    is_int(reply.bytes, 4);
    told.Status = STATUS_INVALID_PARAMETER;
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_COMPLETE, 4, &told, sizeof(told),
                        &reply, output, 64),
              STATUS_INVALID_PARAMETER);
    is_int(reply.bytes, 0);

    uint64_t offset = 0x1234;
    is_status(peer_call(fd, WIRE_READ, handle, 16, 0, &offset, 8, &reply, output, 64),
              STATUS_SUCCESS);
    is_int(reply.bytes, 16);
    is_hex(output[0], 0x34);
    uint8_t data[8 + 16];
    memcpy(data, &offset, 8);
    memcpy(data + 8, output, 16);
    is_status(peer_call(fd, WIRE_WRITE, handle, 0, 0, data, sizeof(data), &reply, NULL, 0),
              STATUS_SUCCESS);
    is_int(reply.info, 16);
    ULONG who[2];
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_WHO, 8, NULL, 0, NULL, who, 8),
              STATUS_SUCCESS);
    is_int(who[0], getpid());
    is_status(peer_open(fd, "\\Device\\IoTestAdmin", RW, &restricted), STATUS_SUCCESS);
    is_status(peer_open(fd, "\\\\.\\NoSuch", RW, &restricted), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(peer_call(fd, WIRE_CLOSE, handle, 0, 0, NULL, 0, NULL, NULL, 0), STATUS_SUCCESS);
    is_status(peer_call(fd, WIRE_CLOSE, handle, 0, 0, NULL, 0, NULL, NULL, 0),
              STATUS_INVALID_HANDLE);
    is_status(peer_call(fd, WIRE_IOCTL, handle, IOTEST_IOCTL_STATS, 64, NULL, 0, NULL, NULL, 0),
              STATUS_INVALID_HANDLE);
    close(fd);
    host_stop(&host);
}

NT_TEST(services_and_adapters_are_listed)
{
    struct host host;
    struct wire_reply reply;
    char text[256] = "";
    need(host_start(&host));
    int fd = peer_greet(host.path);
    is_status(peer_call(fd, WIRE_LIST, 0, 0, 0, NULL, 0, &reply, text, sizeof(text) - 1),
              STATUS_SUCCESS);
    ok(text[0] == '[', "%s", text);
    is_status(peer_call(fd, WIRE_ADAPTERS, 0, 0, 0, NULL, 0, &reply, text, sizeof(text) - 1),
              STATUS_SUCCESS);
    ok(text[0] == '[', "%s", text);
    is_status(
        peer_call(fd, WIRE_CHECK, 0, 0, 0, "/no/such.inf", 12, &reply, text, sizeof(text) - 1),
        STATUS_SUCCESS);
    ok(strstr(text, "/no/such.inf") != NULL, "%s", text);
    memset(text, 0, sizeof(text));
    ok(NT_ERROR(peer_call(fd, WIRE_START, 0, 0, 0, "nosuch", 6, &reply, text, sizeof(text) - 1)));
    ok(strstr(text, "\"message\":") != NULL, "%s", text);
    close(fd);
    host_stop(&host);
}

static unsigned threads(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Inverted calls: as many as are allowed wait at once, without a thread each; each ends once. */
NT_TEST(thousands_of_requests_wait_without_threads)
{
    enum { COUNT = 3000 };
    static bool seen[COUNT + 1];
    struct host host;
    uint32_t waiter, signaller;
    need(host_start(&host));
    int fd = peer_greet(host.path), other = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &waiter), STATUS_SUCCESS);
    is_status(peer_open(other, "\\\\.\\IoTest", RW, &signaller), STATUS_SUCCESS);
    unsigned before = threads();
    for (uint64_t tag = 1; tag <= COUNT; tag++)
        ok(peer_send(fd, WIRE_IOCTL, tag, waiter, IOTEST_IOCTL_WAIT, 16, NULL, 0));
    ok(peer_await_waiting(other, signaller, COUNT));
    is_int(threads(), before);
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < COUNT; i++) {
        struct wire_reply reply;
        ULONG one = 0;
        char data[16] = "";
        is_status(peer_call(other, WIRE_IOCTL, signaller, IOTEST_IOCTL_SIGNAL, 4, "event", 5, NULL,
                            &one, 4),
                  STATUS_SUCCESS);
        if (!is_int(one, 1) || !ok(peer_receive(fd, &reply, data, sizeof(data))))
            break;
        is_status(reply.status, STATUS_SUCCESS);
        is_str(data, "event");
        ok(reply.tag >= 1 && reply.tag <= COUNT && !seen[reply.tag]);
        seen[reply.tag % (COUNT + 1)] = true;
    }
    close(fd);
    close(other);
    host_stop(&host);
}

NT_TEST(cancel_by_tag_and_by_handle)
{
    struct host host;
    struct wire_reply reply;
    uint32_t handle, second;
    need(host_start(&host));
    int fd = peer_greet(host.path), other = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    is_status(peer_open(other, "\\\\.\\IoTest", RW, &second), STATUS_SUCCESS);
    for (uint64_t tag = 101; tag <= 105; tag++)
        ok(peer_send(fd, WIRE_IOCTL, tag, handle, IOTEST_IOCTL_WAIT, 16, NULL, 0));
    ok(peer_await_waiting(other, second, 5));
    /* The cancelled request is answered, and so is the cancel, in either order. */
    ok(peer_send(fd, WIRE_CANCEL, 7, handle, 103, 0, NULL, 0));
    bool cancelled = false, answered = false;
    for (unsigned i = 0; i < 2; i++) {
        ok(peer_receive(fd, &reply, NULL, 0));
        if (reply.tag == 103) {
            is_status(reply.status, STATUS_CANCELLED);
            cancelled = true;
        } else {
            is_hex(reply.tag, 7);
            is_status(reply.status, STATUS_SUCCESS);
            answered = true;
        }
    }
    ok(cancelled && answered);
    ok(peer_send(fd, WIRE_CANCEL, 8, handle, 103, 0, NULL, 0));
    ok(peer_receive(fd, &reply, NULL, 0));
    is_hex(reply.tag, 8);
    is_status(reply.status, STATUS_NOT_FOUND);
    ok(peer_send(fd, WIRE_CANCEL, 9, handle, 0, 0, NULL, 0));
    unsigned ended = 0;
    for (unsigned i = 0; i < 5; i++) {
        ok(peer_receive(fd, &reply, NULL, 0));
        ended += reply.tag != 9 && reply.status == (uint32_t)STATUS_CANCELLED;
    }
    is_int(ended, 4);
    close(fd);
    close(other);
    host_stop(&host);
}

NT_TEST(large_buffers_and_a_slow_reader)
{
    enum { BYTES = WIRE_MAX_PAYLOAD };
    struct host host;
    struct wire_reply reply;
    uint32_t handle;
    need(host_start(&host));
    uint8_t *input = malloc(BYTES), *output = malloc(BYTES);
    for (size_t i = 0; i < BYTES; i++)
        input[i] = (uint8_t)(i * 7 + (i >> 13));
    int fd = peer_greet(host.path);
    is_status(peer_open(fd, "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
    const uint32_t codes[] = {IOTEST_IOCTL_ECHO_BUFFERED, IOTEST_IOCTL_ECHO_OUT_DIRECT};
    for (unsigned i = 0; i < 2; i++) {
        memset(output, 0, BYTES);
        is_status(
            peer_call(fd, WIRE_IOCTL, handle, codes[i], BYTES, input, BYTES, &reply, output, BYTES),
            STATUS_SUCCESS);
        is_int(reply.info, BYTES);
        bool same = true;
        for (size_t at = 0; at < BYTES; at++)
            same = same && output[at] == (uint8_t)(input[at] + 1);
        ok(same);
    }
    /* The reply waits in the host while nobody reads; other requests go on. */
    ok(peer_send(fd, WIRE_IOCTL, 5, handle, IOTEST_IOCTL_ECHO_BUFFERED, BYTES, input, BYTES));
    int other = peer_greet(host.path);
    uint32_t mine;
    is_status(peer_open(other, "\\\\.\\IoTest", RW, &mine), STATUS_SUCCESS);
    close(other);
    ok(peer_receive(fd, &reply, output, 1000));
    is_int(reply.bytes, BYTES);
    free(input);
    free(output);
    close(fd);
    host_stop(&host);
}

NT_TEST(stopping_the_server_ends_its_clients)
{
    struct host host;
    uint32_t handle;
    need(host_start(&host));
    int fds[5];
    for (unsigned i = 0; i < 5; i++) {
        fds[i] = peer_greet(host.path);
        is_status(peer_open(fds[i], "\\\\.\\IoTest", RW, &handle), STATUS_SUCCESS);
        for (uint64_t tag = 1; tag < 20; tag++)
            ok(peer_send(fds[i], WIRE_IOCTL, tag, handle, IOTEST_IOCTL_WAIT, 16, NULL, 0));
    }
    host_stop(&host);
    for (unsigned i = 0; i < 5; i++) {
        ok(peer_ended(fds[i]));
        close(fds[i]);
    }
    ok(peer_connect(host.path) < 0);
}
