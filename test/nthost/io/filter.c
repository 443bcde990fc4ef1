/* Stacks of devices: requests through a filter of each kind, with its completion routines. */
#include "fixture.h"

static void with_filter(ULONG mode, bool counts)
{
    struct fixture f;
    io_handle control;
    UCHAR output[8] = {0};
    ULONG_PTR information;
    IOTEST_STATS stats;
    struct pending p;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\Device\\IoTestDirect", GENERIC_READ, &control), STATUS_SUCCESS);
    is_status(io_ioctl(f.client, control, IOTEST_IOCTL_ATTACH, &mode, sizeof(mode), NULL, 0, NULL),
              STATUS_SUCCESS);

    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_ECHO_BUFFERED, "\1\2", 2, output, 8,
                       &information),
              STATUS_SUCCESS);
    is_int(information, 2);
    is_mem(output, "\2\3", 2);
    IOTEST_COMPLETE told = {STATUS_DEVICE_BUSY, 0, 0};
    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_COMPLETE, &told, sizeof(told), output, 8,
                       &information),
              STATUS_DEVICE_BUSY);

    /* Pended below, completed later: the filter propagates it. */
    ULONG later[2] = {20, 1};
    is_status(pending_start(&f, &p, IOTEST_IOCTL_LATER, later, sizeof(later)), STATUS_PENDING);
    ok(pending_wait(&p));
    is_status(p.status, STATUS_SUCCESS);

    fixture_stats(&f, &stats);
    if (counts)
        ok(stats.Filtered >= 3, "%u", stats.Filtered);
    else
        is_int(stats.Filtered, 0);
    is_status(io_ioctl(f.client, control, IOTEST_IOCTL_DETACH, NULL, 0, NULL, 0, NULL),
              STATUS_SUCCESS);
    is_status(io_ioctl(f.client, f.handle, IOTEST_IOCTL_ECHO_BUFFERED, "\1\2", 2, output, 8,
                       &information),
              STATUS_SUCCESS);
    is_status(io_close(f.client, control), STATUS_SUCCESS);
    fixture_end(&f);
}

NT_TEST(filter_that_skips)
{
    with_filter(IOTEST_FILTER_SKIP, false);
}

NT_TEST(filter_with_a_completion_routine)
{
    with_filter(IOTEST_FILTER_COMPLETION, true);
}

NT_TEST(filter_that_takes_requests_back)
{
    with_filter(IOTEST_FILTER_HOLD, true);
}

/* Cancellation reaches a request below a filter. */
NT_TEST(cancel_through_a_filter)
{
    struct fixture f;
    io_handle control;
    ULONG mode = IOTEST_FILTER_COMPLETION;
    struct pending p;
    need(fixture_begin(&f));
    is_status(io_open(f.client, "\\Device\\IoTestDirect", GENERIC_READ, &control), STATUS_SUCCESS);
    is_status(io_ioctl(f.client, control, IOTEST_IOCTL_ATTACH, &mode, sizeof(mode), NULL, 0, NULL),
              STATUS_SUCCESS);
    is_status(pending_start(&f, &p, IOTEST_IOCTL_WAIT, NULL, 0), STATUS_PENDING);
    is_status(io_cancel(f.client, f.handle, p.request), STATUS_SUCCESS);
    ok(pending_wait(&p));
    is_status(p.status, STATUS_CANCELLED);
    is_status(io_ioctl(f.client, control, IOTEST_IOCTL_DETACH, NULL, 0, NULL, 0, NULL),
              STATUS_SUCCESS);
    is_status(io_close(f.client, control), STATUS_SUCCESS);
    fixture_end(&f);
}
