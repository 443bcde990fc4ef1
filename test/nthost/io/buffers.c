/* What crosses the boundary, and what comes back: the three buffering methods, reads and writes. */
#include "fixture.h"

static NTSTATUS control(struct fixture *f, ULONG code, const void *input, ULONG input_bytes,
                        void *output, ULONG output_bytes, ULONG_PTR *information)
{
    return io_ioctl(f->client, f->handle, code, input, input_bytes, output, output_bytes,
                    information);
}

NT_TEST(buffered_copies_back_information_bytes)
{
    struct fixture f;
    UCHAR output[8] = {0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55};
    static const UCHAR expected[8] = {2, 3, 4, 0x55, 0x55, 0x55, 0x55, 0x55};
    ULONG_PTR information;
    need(fixture_begin(&f));
    is_status(control(&f, IOTEST_IOCTL_ECHO_BUFFERED, "\1\2\3", 3, output, 8, &information),
              STATUS_SUCCESS);
    is_int(information, 3);
    is_mem(output, expected, 8);
    /* More in than out: one system buffer of the larger size serves both. */
    memset(output, 0x55, 8);
    is_status(control(&f, IOTEST_IOCTL_ECHO_BUFFERED, "\1\2\3\4\5\6", 6, output, 3, &information),
              STATUS_SUCCESS);
    is_int(information, 3);
    is_mem(output, expected, 8);
    is_status(control(&f, IOTEST_IOCTL_ECHO_BUFFERED, NULL, 0, NULL, 0, &information),
              STATUS_SUCCESS);
    is_int(information, 0);
    fixture_end(&f);
}

NT_TEST(errors_copy_nothing_and_warnings_do)
{
    struct fixture f;
    UCHAR output[8];
    ULONG_PTR information;
    static const struct {
        NTSTATUS status;
        UINT64 information;
        unsigned copied;
    } cases[] = {{STATUS_SUCCESS, 5, 5},           {STATUS_BUFFER_OVERFLOW, 8, 8},
                 {STATUS_INVALID_PARAMETER, 8, 0}, {STATUS_ACCESS_DENIED, 1000, 0},
                 {STATUS_SUCCESS, 0, 0},           {STATUS_NO_MORE_ENTRIES, 4, 4}};
    need(fixture_begin(&f));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        IOTEST_COMPLETE told = {cases[i].status, 0xaa, cases[i].information};
        memset(output, 0x55, sizeof(output));
        tap_at("case %zu", i);
        is_status(control(&f, IOTEST_IOCTL_COMPLETE, &told, sizeof(told), output, 8, &information),
                  cases[i].status);
        is_int(information, cases[i].information);
        for (unsigned at = 0; at < 8; at++)
            is_hex(output[at], at < cases[i].copied ? 0xaa : 0x55, "byte %u", at);
    }
    tap_at(NULL);
    fixture_end(&f);
}

NT_TEST(direct_output_is_the_callers_memory)
{
    struct fixture f;
    static UCHAR output[3 * PAGE_SIZE];
    static UCHAR input[2 * PAGE_SIZE];
    ULONG_PTR information;
    need(fixture_begin(&f));
    for (unsigned i = 0; i < sizeof(input); i++)
        input[i] = (UCHAR)i;
    memset(output, 0x55, sizeof(output));
    is_status(control(&f, IOTEST_IOCTL_ECHO_OUT_DIRECT, input, sizeof(input), output + 123,
                      sizeof(output) - 123, &information),
              STATUS_SUCCESS);
    is_int(information, sizeof(input));
    bool same = output[122] == 0x55 && output[123 + sizeof(input)] == 0x55;
    for (unsigned i = 0; i < sizeof(input); i++)
        same = same && output[123 + i] == (UCHAR)(i + 1);
    ok(same);
    is_status(control(&f, IOTEST_IOCTL_ECHO_OUT_DIRECT, input, 10, NULL, 0, &information),
              STATUS_SUCCESS);
    /* IN_DIRECT: both buffers are read. */
    UCHAR more[3] = {10, 20, 30};
    is_status(control(&f, IOTEST_IOCTL_ECHO_IN_DIRECT, "\1\2\3", 3, more, 3, &information),
              STATUS_SUCCESS);
    is_int(information, 66);
    fixture_end(&f);
}

NT_TEST(neither_passes_the_callers_pointers)
{
    struct fixture f;
    UCHAR output[4] = {0};
    ULONG_PTR information;
    need(fixture_begin(&f));
    is_status(control(&f, IOTEST_IOCTL_ECHO_NEITHER, "\1\2\3", 3, output, 4, &information),
              STATUS_SUCCESS);
    is_int(information, 3);
    is_mem(output, "\2\3\4\0", 4);
    fixture_end(&f);
}

NT_TEST(reads_and_writes_carry_offset_and_length)
{
    struct fixture f;
    UCHAR data[300];
    io_handle direct;
    ULONG_PTR information;
    IOTEST_STATS stats;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\Device\\IoTestDirect", GENERIC_READ | GENERIC_WRITE, &direct),
              STATUS_SUCCESS);
    io_handle handles[] = {f.handle, direct}; /* buffered, direct */
    for (unsigned i = 0; i < 2; i++) {
        tap_at(i ? "direct" : "buffered");
        memset(data, 0, sizeof(data));
        is_status(io_read(f.client, handles[i], data, sizeof(data), 0x123456789aull, &information),
                  STATUS_SUCCESS);
        is_int(information, sizeof(data));
        is_hex(data[0], 0x9a);
        is_hex(data[299], (UCHAR)(0x9a + 299));
        fixture_stats(&f, &stats);
        is_hex(stats.LastReadOffset, 0x123456789a);
        is_int(stats.LastReadLength, sizeof(data));
        is_status(io_write(f.client, handles[i], data, sizeof(data), 0x9a, &information),
                  STATUS_SUCCESS);
        is_int(information, sizeof(data));
        data[7] ^= 1;
        is_status(io_write(f.client, handles[i], data, sizeof(data), 0x9a, &information),
                  STATUS_DATA_ERROR);
        is_status(io_read(f.client, handles[i], NULL, 0, 0, &information), STATUS_SUCCESS);
    }
    tap_at(NULL);
    is_status(io_close(f.client, direct), STATUS_SUCCESS);
    fixture_end(&f);
}

NT_TEST(requests_complete_from_dpcs_and_work_items)
{
    struct fixture f;
    need(fixture_begin(&f));
    for (ULONG work = 0; work < 2; work++) {
        ULONG told[2] = {50, work};
        struct pending p;
        uint64_t before = sched_interrupt_time();
        is_status(pending_start(&f, &p, IOTEST_IOCTL_LATER, told, sizeof(told)), STATUS_PENDING);
        ok(!p.done);
        ok(pending_wait(&p));
        is_status(p.status, STATUS_SUCCESS);
        is_int(p.calls, 1);
        ok(sched_interrupt_time() - before >= 500000);
    }
    fixture_end(&f);
}

NT_TEST(unknown_and_malformed_controls_fail)
{
    struct fixture f;
    UCHAR byte;
    ULONG_PTR information;
    need(fixture_begin(&f));
    is_status(control(&f, IOTEST_CODE(0x500, METHOD_BUFFERED, FILE_ANY_ACCESS), NULL, 0, NULL, 0,
                      &information),
              STATUS_INVALID_DEVICE_REQUEST);
    is_status(control(&f, IOTEST_IOCTL_STATS, NULL, 0, &byte, 1, &information),
              STATUS_BUFFER_TOO_SMALL);
    is_status(io_ioctl(f.client, f.handle + 4, IOTEST_IOCTL_STATS, NULL, 0, NULL, 0, &information),
              STATUS_INVALID_HANDLE);
    is_status(io_ioctl(f.client, 0, IOTEST_IOCTL_STATS, NULL, 0, NULL, 0, &information),
              STATUS_INVALID_HANDLE);
    fixture_end(&f);
}
