/* Events by inverted call. */
#include "fixture.h"

#include <string.h>

struct waiter {
    unsigned calls;
    NTSTATUS status;
    ULONG_PTR information;
    ONEIP_EVENT events[4];
    struct io_request *request;
};

static void waiter_done(void *context, NTSTATUS status, ULONG_PTR information)
{
    struct waiter *waiter = context;

    waiter->calls++;
    waiter->status = status;
    waiter->information = information;
}

static void wait_start(struct node *node, struct waiter *waiter, uint64_t after)
{
    memset(waiter, 0, sizeof *waiter);
    is_status(io_ioctl_start(node->client, node->device, ONEIP_IOCTL_WAIT_EVENT,
                             &(ONEIP_WAIT_EVENT){after}, sizeof(ONEIP_WAIT_EVENT), waiter->events,
                             sizeof waiter->events, waiter_done, waiter, &waiter->request),
              STATUS_PENDING);
}

NT_TEST(a_waiting_call_is_answered_by_the_next_event)
{
    struct node node;
    struct cluster cluster;
    struct waiter first, second;

    need(node_start(&node, tap_seed()));
    uint64_t sequence = node_status(&node, NULL).EventSequence;
    wait_start(&node, &first, sequence);
    wait_start(&node, &second, sequence);
    sched_run_for(10 * MS);
    is_int(first.calls, 0);

    cluster_standard(&cluster, 2);
    is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    sched_run_for(1 * MS);
    is_int(first.calls, 1);
    is_int(second.calls, 1, "every listener is told");
    is_status(first.status, STATUS_SUCCESS);
    ok(first.information >= sizeof(ONEIP_EVENT));
    is_int(first.events[0].Kind, OneIpEventConfig);
    is_int(first.events[0].Value, 1);
    is_int(first.events[0].Sequence, sequence + 1);
    io_request_release(first.request);
    io_request_release(second.request);
    node_stop(&node);
}

NT_TEST(events_of_the_past_are_answered_at_once_and_in_order)
{
    struct node node;
    struct cluster cluster;
    struct waiter waiter;

    need(node_start(&node, tap_seed()));
    cluster_standard(&cluster, 2);
    for (unsigned i = 1; i <= 300; i++) {
        cluster.header.Generation = i;
        is_status(node_configure(&node, &cluster), STATUS_SUCCESS);
    }
    uint64_t newest = node_status(&node, NULL).EventSequence;
    ok(newest >= 300);
    wait_start(&node, &waiter, 0);
    is_int(waiter.calls, 1);
    is_int(waiter.information, sizeof waiter.events, "as many as fit");
    is_int(waiter.events[0].Sequence, newest - ONEIP_MAX_EVENTS + 1,
           "the oldest that is remembered");
    is_int(waiter.events[3].Sequence, newest - ONEIP_MAX_EVENTS + 4);
    io_request_release(waiter.request);
    wait_start(&node, &waiter, newest - 1);
    is_int(waiter.information, sizeof(ONEIP_EVENT));
    is_int(waiter.events[0].Value, 300);
    io_request_release(waiter.request);
    node_stop(&node);
}

NT_TEST(a_waiting_call_can_be_cancelled_and_ends_with_its_handle)
{
    struct node node;
    struct waiter waiter, other;
    io_handle second;

    need(node_start(&node, tap_seed()));
    uint64_t sequence = node_status(&node, NULL).EventSequence;
    wait_start(&node, &waiter, sequence);
    is_status(io_cancel(node.client, node.device, waiter.request), STATUS_SUCCESS);
    sched_run_for(1 * MS);
    is_int(waiter.calls, 1);
    is_status(waiter.status, STATUS_CANCELLED);
    is_status(io_cancel(node.client, node.device, waiter.request), STATUS_NOT_FOUND);
    io_request_release(waiter.request);

    is_status(io_open(node.client, "\\\\.\\NtsOneIp", GENERIC_READ, &second), STATUS_SUCCESS);
    wait_start(&node, &waiter, sequence);
    memset(&other, 0, sizeof other);
    is_status(io_ioctl_start(node.client, second, ONEIP_IOCTL_WAIT_EVENT,
                             &(ONEIP_WAIT_EVENT){sequence}, sizeof(ONEIP_WAIT_EVENT), other.events,
                             sizeof other.events, waiter_done, &other, &other.request),
              STATUS_PENDING);
    is_status(io_close(node.client, second), STATUS_SUCCESS);
    sched_run_for(1 * MS);
    is_int(other.calls, 1);
    is_status(other.status, STATUS_CANCELLED);
    is_int(waiter.calls, 0, "another handle's call goes on waiting");
    io_request_release(other.request);
    is_status(io_cancel(node.client, node.device, NULL), STATUS_SUCCESS);
    sched_run_for(1 * MS);
    is_int(waiter.calls, 1);
    io_request_release(waiter.request);
    node_stop(&node);
}

NT_TEST(waiters_are_bounded)
{
    static struct waiter waiters[70];
    struct node node;
    unsigned refused = 0;

    need(node_start(&node, tap_seed()));
    uint64_t sequence = node_status(&node, NULL).EventSequence;
    for (unsigned i = 0; i < 70; i++) {
        wait_start(&node, &waiters[i], sequence);
        refused += waiters[i].calls && waiters[i].status == STATUS_INSUFFICIENT_RESOURCES;
    }
    is_int(refused, 6, "64 may wait");
    is_int(node_refusal(&node, NULL), OneIpReasonTooManyWaiters);
    io_cancel(node.client, node.device, NULL);
    sched_run_for(1 * MS);
    for (unsigned i = 0; i < 70; i++) {
        is_int(waiters[i].calls, 1);
        io_request_release(waiters[i].request);
    }
    node_stop(&node);
}

/* IoCancelIrp against the event that answers the call: whatever the schedule, once. */
NT_TEST(cancellation_races_with_completion)
{
    for (unsigned i = 0; i < 50; i++) {
        struct node node;
        struct cluster cluster;
        struct waiter waiter;

        tap_at("seed %ju", (uintmax_t)tap_seed() + i);
        need(node_start(&node, tap_seed() + i));
        cluster_standard(&cluster, 1);
        need(NT_SUCCESS(node_configure(&node, &cluster)));
        wait_start(&node, &waiter, node_status(&node, NULL).EventSequence);
        /* The timer's role events come on another thread while we cancel. */
        sched_set_time_slip(3);
        for (unsigned n = 0; n < 20 && !waiter.calls; n++)
            sched_run_for(10 * MS);
        io_cancel(node.client, node.device, waiter.request);
        sched_set_time_slip(0);
        sched_run_for(50 * MS);
        is_int(waiter.calls, 1);
        io_request_release(waiter.request);
        node_stop(&node);
        if (tap_failing())
            return;
    }
}
