/* Stop, start, drain, purge, ready notification. */
#include "fixture.h"

static WDFREQUEST had[8];
static unsigned had_count, told_count;
static WDFOBJECT told_context;

static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL keep;
static void keep(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input, ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    if (had_count < 8)
        had[had_count] = request;
    had_count++;
}

static EVT_WDF_IO_QUEUE_STATE told;
static void told(WDFQUEUE queue, WDFOBJECT context)
{
    (void)queue;
    told_count++;
    told_context = context;
}

static EVT_WDF_REQUEST_CANCEL cancel_completes;
static void cancel_completes(WDFREQUEST request)
{
    WdfRequestComplete(request, STATUS_CANCELLED);
}

static WDFQUEUE start(WDF_IO_QUEUE_DISPATCH_TYPE type, struct fixture_file *file)
{
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {.queue = &config};
    had_count = told_count = 0;
    told_context = NULL;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, type);
    if (type != WdfIoQueueDispatchManual)
        config.EvtIoDeviceControl = keep;
    WDFDEVICE device = fixture_device(&options);
    is_status(fixture_open(file), STATUS_SUCCESS);
    return WdfDeviceGetDefaultQueue(device);
}

static void stop(struct fixture_file *file)
{
    fixture_close(file);
    fixture_stop();
}

static void send(struct fixture_file *file, struct fixture_request *request)
{
    fixture_send(file, request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
}

static void finish(struct fixture_request *request, NTSTATUS status)
{
    fixture_wait(request);
    is_status(request->status, status);
    fixture_release(request);
}

NT_TEST(a_stopped_queue_keeps_requests)
{
    struct fixture_request first, second;
    struct fixture_file file;
    WDFQUEUE queue = start(WdfIoQueueDispatchParallel, &file);
    send(&file, &first);
    is_int(had_count, 1);
    WdfIoQueueStop(queue, told, (WDFOBJECT)&file);
    is_int(told_count, 0, "the driver still has one");
    send(&file, &second);
    is_int(had_count, 1);
    is_hex(WdfIoQueueGetState(queue, NULL, NULL), WdfIoQueueAcceptRequests);
    WdfRequestComplete(had[0], STATUS_SUCCESS);
    is_int(told_count, 1);
    ok(told_context == (WDFOBJECT)&file);
    finish(&first, STATUS_SUCCESS);
    WdfIoQueueStart(queue);
    is_int(had_count, 2);
    WdfRequestComplete(had[1], STATUS_SUCCESS);
    finish(&second, STATUS_SUCCESS);
    WdfIoQueueStop(queue, told, NULL);
    is_int(told_count, 2, "at once if there is nothing to wait for");
    stop(&file);
}

struct late {
    WDFREQUEST request;
    unsigned milliseconds;
};
static void complete_later(void *context)
{
    struct late *late = context;
    LARGE_INTEGER delay = {.QuadPart = late->milliseconds * -10000ll};
    nt_enter();
    KeDelayExecutionThread(KernelMode, FALSE, &delay);
    WdfRequestComplete(late->request, STATUS_SUCCESS);
    nt_leave();
}

static void join(struct nt_thread *thread)
{
    nt_leave();
    nt_join(thread);
    nt_enter();
}

NT_TEST(stopping_synchronously_waits)
{
    struct fixture_request first;
    struct fixture_file file;
    WDFQUEUE queue = start(WdfIoQueueDispatchParallel, &file);
    send(&file, &first);
    struct late late = {had[0], 50};
    uint64_t before = sched_interrupt_time();
    struct nt_thread *thread = nt_spawn("late", complete_later, &late);
    WdfIoQueueStopSynchronously(queue);
    ok(sched_interrupt_time() >= before + 400000);
    finish(&first, STATUS_SUCCESS);
    join(thread);
    stop(&file);
}

NT_TEST(a_draining_queue_finishes_what_it_has)
{
    struct fixture_request first, second, third;
    struct fixture_file file;
    WDFQUEUE queue = start(WdfIoQueueDispatchSequential, &file);
    send(&file, &first);
    send(&file, &second);
    WdfIoQueueDrain(queue, told, NULL);
    send(&file, &third);
    finish(&third, STATUS_INVALID_DEVICE_STATE);
    WdfRequestComplete(had[0], STATUS_SUCCESS);
    is_int(had_count, 2);
    is_int(told_count, 0);
    WdfRequestComplete(had[1], STATUS_SUCCESS);
    is_int(told_count, 1);
    finish(&first, STATUS_SUCCESS);
    finish(&second, STATUS_SUCCESS);
    WdfIoQueueStart(queue);
    send(&file, &third);
    is_int(had_count, 3);
    struct late late = {had[2], 20};
    struct nt_thread *thread = nt_spawn("late", complete_later, &late);
    WdfIoQueueDrainSynchronously(queue);
    finish(&third, STATUS_SUCCESS);
    join(thread);
    stop(&file);
}

NT_TEST(a_purged_queue_cancels_what_it_has)
{
    struct fixture_request requests[4];
    struct fixture_file file;
    WDFQUEUE queue = start(WdfIoQueueDispatchSequential, &file);
    for (unsigned i = 0; i < 3; i++)
        send(&file, &requests[i]);
    WdfRequestMarkCancelable(had[0], cancel_completes);
    WdfIoQueuePurge(queue, told, NULL);
    is_int(told_count, 1);
    for (unsigned i = 0; i < 3; i++)
        finish(&requests[i], STATUS_CANCELLED);
    is_int(had_count, 1, "those that waited were not handed out");
    send(&file, &requests[3]);
    finish(&requests[3], STATUS_INVALID_DEVICE_STATE);
    WdfIoQueueStart(queue);
    send(&file, &requests[3]);
    is_int(had_count, 2);
    struct late late = {had[1], 20};
    struct nt_thread *thread = nt_spawn("late", complete_later, &late);
    WdfIoQueuePurgeSynchronously(queue); /* what is not cancelable is waited for */
    finish(&requests[3], STATUS_SUCCESS);
    join(thread);
    stop(&file);
}

NT_TEST(a_manual_queue_tells_when_it_is_no_longer_empty)
{
    struct fixture_request requests[3];
    struct fixture_file file;
    WDFREQUEST request;
    WDFQUEUE queue = start(WdfIoQueueDispatchManual, &file);
    is_status(WdfIoQueueReadyNotify(queue, told, (WDFOBJECT)&file), STATUS_SUCCESS);
    is_status(WdfIoQueueReadyNotify(queue, told, NULL), STATUS_INVALID_DEVICE_REQUEST,
              "there is one already");
    is_int(told_count, 0);
    send(&file, &requests[0]);
    is_int(told_count, 1);
    send(&file, &requests[1]);
    is_int(told_count, 1, "it was not empty");
    while (WdfIoQueueRetrieveNextRequest(queue, &request) == STATUS_SUCCESS)
        WdfRequestComplete(request, STATUS_SUCCESS);
    finish(&requests[0], STATUS_SUCCESS);
    finish(&requests[1], STATUS_SUCCESS);
    WdfIoQueueStopSynchronously(queue);
    send(&file, &requests[2]);
    is_int(told_count, 1, "it is stopped");
    is_status(WdfIoQueueRetrieveNextRequest(queue, &request), STATUS_WDF_PAUSED);
    WdfIoQueueStart(queue);
    is_int(told_count, 2);
    is_status(WdfIoQueueRetrieveNextRequest(queue, &request), STATUS_SUCCESS);
    WdfRequestComplete(request, STATUS_SUCCESS);
    finish(&requests[2], STATUS_SUCCESS);
    stop(&file);
}

NT_TEST(deleting_a_queue_purges_it)
{
    struct fixture_request requests[2];
    struct fixture_file file;
    WDFQUEUE queue = start(WdfIoQueueDispatchManual, &file);
    send(&file, &requests[0]);
    WdfObjectDelete(queue);
    finish(&requests[0], STATUS_CANCELLED);
    send(&file, &requests[1]);
    finish(&requests[1], STATUS_INVALID_DEVICE_REQUEST);
    stop(&file);
}

NT_TEST(a_deleted_device_stays_until_its_last_file_is_closed)
{
    struct fixture_request request;
    struct fixture_file file, late;
    WDFDEVICE device = WdfIoQueueGetDevice(start(WdfIoQueueDispatchParallel, &file));
    WdfObjectDelete(device);
    ok(!NT_SUCCESS(fixture_open(&late)));
    fixture_close(&late);
    send(&file, &request);
    is_int(had_count, 1, "the open file still works");
    WdfRequestComplete(had[0], STATUS_SUCCESS);
    finish(&request, STATUS_SUCCESS);
    fixture_close(&file);
    fixture_run(10);
    /* Its name is free again. */
    struct fixture_device options = {0};
    fixture_device(&options);
    fixture_stop();
}
