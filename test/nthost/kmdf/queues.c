/* Queues: how requests are handed out, taken, moved and cancelled. */
#include "fixture.h"
#include <string.h>

#define MANY 8
static WDFREQUEST had[MANY]; /* that the driver has, in the order in which they came */
static unsigned had_count, canceled_count, depth, deepest;
static WDFQUEUE other_queue;

static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL keep;
static void keep(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input, ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    if (had_count < MANY)
        had[had_count] = request;
    had_count++;
}

static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL complete_at_once;
static void complete_at_once(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input,
                             ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    depth++;
    deepest = depth > deepest ? depth : deepest;
    had_count++;
    WdfRequestComplete(request, STATUS_SUCCESS);
    depth--;
}

static EVT_WDF_IO_QUEUE_IO_CANCELED_ON_QUEUE count_canceled;
static void count_canceled(WDFQUEUE queue, WDFREQUEST request)
{
    (void)queue;
    canceled_count++;
    WdfRequestComplete(request, STATUS_CANCELLED);
}

static WDFDEVICE start(WDF_IO_QUEUE_DISPATCH_TYPE type, struct fixture_file *file)
{
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {.queue = &config};
    had_count = canceled_count = depth = deepest = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, type);
    if (type != WdfIoQueueDispatchManual)
        config.EvtIoDeviceControl = keep;
    config.EvtIoCanceledOnQueue = count_canceled;
    WDFDEVICE device = fixture_device(&options);
    is_status(fixture_open(file), STATUS_SUCCESS);
    return device;
}

static void stop(struct fixture_file *file)
{
    fixture_close(file);
    fixture_stop();
}

static void send_many(struct fixture_file *file, struct fixture_request *requests, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fixture_send(file, &requests[i], FIXTURE_IOCTL(i, METHOD_BUFFERED), NULL, 0);
}

static void finish(struct fixture_request *requests, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        fixture_wait(&requests[i]);
        fixture_release(&requests[i]);
    }
}

static ULONG code_of(WDFREQUEST request)
{
    WDF_REQUEST_PARAMETERS parameters;
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(request, &parameters);
    return parameters.Parameters.DeviceIoControl.IoControlCode;
}

NT_TEST(a_sequential_queue_hands_out_one_at_a_time)
{
    struct fixture_request requests[4];
    struct fixture_file file;
    ULONG waiting, owned;
    WDFDEVICE device = start(WdfIoQueueDispatchSequential, &file);
    send_many(&file, requests, 4);
    for (unsigned i = 0; i < 4; i++) {
        is_int(had_count, i + 1);
        is_hex(code_of(had[i]), FIXTURE_IOCTL(i, METHOD_BUFFERED),
               "in the order in which they came");
        ok((WdfIoQueueGetState(WdfDeviceGetDefaultQueue(device), &waiting, &owned) &
            WdfIoQueueDriverNoRequests) == 0);
        is_int(waiting, 3 - i);
        is_int(owned, 1);
        WdfRequestComplete(had[i], STATUS_SUCCESS);
    }
    finish(requests, 4);
    stop(&file);
}

NT_TEST(a_parallel_queue_hands_out_up_to_its_limit)
{
    struct fixture_request requests[5];
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {.queue = &config};
    struct fixture_file file;
    had_count = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDeviceControl = keep;
    config.Settings.Parallel.NumberOfPresentedRequests = 2;
    fixture_device(&options);
    is_status(fixture_open(&file), STATUS_SUCCESS);
    send_many(&file, requests, 5);
    is_int(had_count, 2);
    WdfRequestComplete(had[1], STATUS_SUCCESS);
    is_int(had_count, 3);
    for (unsigned i = 0; i < 5; i++)
        if (i != 1)
            WdfRequestComplete(had[i], STATUS_SUCCESS);
    is_int(had_count, 5);
    finish(requests, 5);
    stop(&file);
}

NT_TEST(a_manual_queue_is_asked)
{
    struct fixture_request requests[3];
    struct fixture_file file;
    WDFREQUEST request, next;
    WDFQUEUE queue = WdfDeviceGetDefaultQueue(start(WdfIoQueueDispatchManual, &file));
    is_status(WdfIoQueueRetrieveNextRequest(queue, &request), STATUS_NO_MORE_ENTRIES);
    ok(request == NULL);
    send_many(&file, requests, 3);
    is_status(WdfIoQueueRetrieveNextRequest(queue, &request), STATUS_SUCCESS);
    is_hex(code_of(request), FIXTURE_IOCTL(0, METHOD_BUFFERED));
    ok(WdfRequestGetIoQueue(request) == queue);

    /* Put back, it comes first again. */
    is_status(WdfRequestRequeue(request), STATUS_SUCCESS);
    is_status(WdfIoQueueRetrieveNextRequest(queue, &request), STATUS_SUCCESS);
    is_hex(code_of(request), FIXTURE_IOCTL(0, METHOD_BUFFERED));
    WdfRequestComplete(request, STATUS_SUCCESS);

    /* Looked for, then taken. */
    WDF_REQUEST_PARAMETERS parameters;
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    is_status(WdfIoQueueFindRequest(queue, NULL, NULL, &parameters, &request), STATUS_SUCCESS);
    is_hex(parameters.Parameters.DeviceIoControl.IoControlCode, FIXTURE_IOCTL(1, METHOD_BUFFERED));
    is_status(WdfIoQueueFindRequest(queue, request, NULL, &parameters, &next), STATUS_SUCCESS);
    is_hex(parameters.Parameters.DeviceIoControl.IoControlCode, FIXTURE_IOCTL(2, METHOD_BUFFERED));
    WDFREQUEST last = next;
    is_status(WdfIoQueueFindRequest(queue, last, NULL, NULL, &next), STATUS_NO_MORE_ENTRIES);
    is_status(fixture_cancel(&file, &requests[1]), STATUS_SUCCESS);
    is_status(WdfIoQueueFindRequest(queue, request, NULL, NULL, &next), STATUS_NOT_FOUND);
    is_status(WdfIoQueueRetrieveFoundRequest(queue, request, &next), STATUS_NOT_FOUND,
              "it was cancelled meanwhile");
    WdfObjectDereference(request);
    is_status(WdfIoQueueRetrieveFoundRequest(queue, last, &next), STATUS_SUCCESS);
    ok(next == last);
    WdfObjectDereference(last);
    WdfRequestCompleteWithInformation(next, STATUS_SUCCESS, 0);
    finish(requests, 3);
    is_status(requests[1].status, STATUS_CANCELLED);
    is_int(canceled_count, 0, "the driver never had it");
    stop(&file);
}

NT_TEST(requests_are_found_by_file)
{
    WDF_IO_QUEUE_CONFIG config;
    WDF_FILEOBJECT_CONFIG files;
    struct fixture_device options = {.queue = &config, .file = &files};
    struct fixture_file one, two;
    struct fixture_request first, second;
    WDFREQUEST request;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    WDF_FILEOBJECT_CONFIG_INIT(&files, NULL, NULL, NULL);
    WDFQUEUE queue = WdfDeviceGetDefaultQueue(fixture_device(&options));
    is_status(fixture_open(&one), STATUS_SUCCESS);
    is_status(fixture_open(&two), STATUS_SUCCESS);
    fixture_send(&one, &first, FIXTURE_IOCTL(1, METHOD_BUFFERED), NULL, 0);
    fixture_send(&two, &second, FIXTURE_IOCTL(2, METHOD_BUFFERED), NULL, 0);
    is_status(WdfIoQueueFindRequest(queue, NULL, NULL, NULL, &request), STATUS_SUCCESS);
    WDFFILEOBJECT file = WdfRequestGetFileObject(request);
    ok(file != NULL);
    WdfObjectDereference(request);
    is_status(WdfIoQueueRetrieveRequestByFileObject(queue, file, &request), STATUS_SUCCESS);
    is_hex(code_of(request), FIXTURE_IOCTL(1, METHOD_BUFFERED));
    WdfRequestComplete(request, STATUS_SUCCESS);
    is_status(WdfIoQueueRetrieveRequestByFileObject(queue, file, &request), STATUS_NO_MORE_ENTRIES);
    fixture_wait(&first);
    fixture_release(&first);

    /* Closing a file cancels what waits of it, and nothing else. */
    fixture_send(&one, &first, FIXTURE_IOCTL(3, METHOD_BUFFERED), NULL, 0);
    fixture_close(&one);
    ok(first.done);
    is_status(first.status, STATUS_CANCELLED);
    ok(!second.done);
    fixture_release(&first);
    fixture_close(&two);
    is_status(second.status, STATUS_CANCELLED);
    fixture_release(&second);
    fixture_stop();
}

NT_TEST(requests_move_between_queues)
{
    struct fixture_request requests[3];
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_file file;
    WDFREQUEST request;
    WDFDEVICE device = start(WdfIoQueueDispatchSequential, &file);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.EvtIoCanceledOnQueue = count_canceled;
    is_status(WdfIoQueueCreate(device, &config, NULL, &other_queue), STATUS_SUCCESS);
    send_many(&file, requests, 3);
    is_int(had_count, 1);
    is_status(WdfRequestRequeue(had[0]), STATUS_INVALID_DEVICE_REQUEST, "only in a manual queue");
    is_status(WdfRequestForwardToIoQueue(had[0], WdfDeviceGetDefaultQueue(device)),
              STATUS_INVALID_DEVICE_REQUEST, "not to where it is");
    is_status(WdfRequestForwardToIoQueue(had[0], other_queue), STATUS_SUCCESS);
    is_int(had_count, 2, "the next one comes");
    is_status(WdfRequestForwardToIoQueue(had[1], other_queue), STATUS_SUCCESS);
    is_status(WdfRequestForwardToIoQueue(had[2], other_queue), STATUS_SUCCESS);

    /* One that the driver has had is shown to it when it is cancelled. */
    is_status(fixture_cancel(&file, &requests[1]), STATUS_SUCCESS);
    is_int(canceled_count, 1);
    is_status(requests[1].status, STATUS_CANCELLED);
    is_status(WdfIoQueueRetrieveNextRequest(other_queue, &request), STATUS_SUCCESS);
    is_hex(code_of(request), FIXTURE_IOCTL(0, METHOD_BUFFERED));
    WdfRequestComplete(request, STATUS_SUCCESS);
    is_status(WdfIoQueueRetrieveNextRequest(other_queue, &request), STATUS_SUCCESS);
    is_hex(code_of(request), FIXTURE_IOCTL(2, METHOD_BUFFERED));
    WdfRequestComplete(request, STATUS_SUCCESS);
    finish(requests, 3);
    stop(&file);
}

NT_TEST(a_queue_that_takes_nothing_refuses_what_is_forwarded)
{
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_file file;
    WDFDEVICE device = start(WdfIoQueueDispatchParallel, &file);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    is_status(WdfIoQueueCreate(device, &config, NULL, &other_queue), STATUS_SUCCESS);
    WdfIoQueuePurgeSynchronously(other_queue);
    send_many(&file, &request, 1);
    is_status(WdfRequestForwardToIoQueue(had[0], other_queue), STATUS_WDF_BUSY);
    WdfRequestComplete(had[0], STATUS_SUCCESS);
    finish(&request, 1);
    stop(&file);
}

NT_TEST(completing_at_once_does_not_recurse)
{
    enum { COUNT = 3000 };
    static struct fixture_request requests[COUNT];
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {.queue = &config};
    struct fixture_file file;
    had_count = depth = deepest = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
    config.EvtIoDeviceControl = complete_at_once;
    WDFQUEUE queue = WdfDeviceGetDefaultQueue(fixture_device(&options));
    is_status(fixture_open(&file), STATUS_SUCCESS);
    WdfIoQueueStopSynchronously(queue);
    send_many(&file, requests, COUNT);
    is_int(had_count, 0);
    WdfIoQueueStart(queue);
    is_int(had_count, COUNT);
    is_int(deepest, 1);
    finish(requests, COUNT);
    stop(&file);
}

static EVT_WDF_IO_QUEUE_IO_DEFAULT default_handler;
static void default_handler(WDFQUEUE queue, WDFREQUEST request)
{
    (void)queue;
    had_count++;
    WdfRequestComplete(request, STATUS_SUCCESS);
}
static EVT_WDF_IO_QUEUE_IO_READ read_handler;
static void read_handler(WDFQUEUE queue, WDFREQUEST request, size_t length)
{
    (void)queue, (void)length;
    had_count++;
    WdfRequestComplete(request, STATUS_SUCCESS);
}

static NTSTATUS transfer(struct fixture_file *file, bool write, ULONG bytes)
{
    char data[16] = "";
    ULONG_PTR information;
    nt_leave();
    NTSTATUS status = write ? io_write(file->client, file->handle, data, bytes, 0, &information)
                            : io_read(file->client, file->handle, data, bytes, 0, &information);
    nt_enter();
    return status;
}

NT_TEST(handlers_are_chosen_by_type)
{
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {.queue = &config};
    struct fixture_file file;
    had_count = 0;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoRead = read_handler;
    WDFDEVICE device = fixture_device(&options);
    is_status(fixture_open(&file), STATUS_SUCCESS);
    is_status(transfer(&file, false, 4), STATUS_SUCCESS);
    is_int(had_count, 1);
    is_status(transfer(&file, false, 0), STATUS_SUCCESS);
    is_int(had_count, 1, "the framework answers for reads of nothing");
    is_status(transfer(&file, true, 4), STATUS_INVALID_DEVICE_REQUEST, "no handler");
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    fixture_wait(&request);
    is_status(request.status, STATUS_INVALID_DEVICE_REQUEST);
    fixture_release(&request);

    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDefault = default_handler;
    config.AllowZeroLengthRequests = TRUE;
    WDFQUEUE queue;
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_SUCCESS);
    is_status(WdfDeviceConfigureRequestDispatching(device, queue, WdfRequestTypeWrite),
              STATUS_SUCCESS);
    is_status(WdfDeviceConfigureRequestDispatching(device, queue, WdfRequestTypeWrite),
              STATUS_WDF_BUSY);
    is_status(WdfDeviceConfigureRequestDispatching(device, queue, WdfRequestTypePnp),
              STATUS_INVALID_PARAMETER);
    is_status(transfer(&file, true, 4), STATUS_SUCCESS);
    is_status(transfer(&file, true, 0), STATUS_SUCCESS);
    is_int(had_count, 3);
    stop(&file);
}

NT_TEST(queue_configurations_are_checked)
{
    WDF_IO_QUEUE_CONFIG config;
    struct fixture_device options = {0};
    WDFQUEUE queue;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDFDEVICE device = fixture_device(&options);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchSequential);
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_WDF_NO_CALLBACK);
    config.EvtIoDefault = default_handler;
    config.Size++;
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_INFO_LENGTH_MISMATCH);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    config.EvtIoDefault = default_handler;
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_INVALID_PARAMETER);
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDefault = default_handler;
    config.Settings.Parallel.NumberOfPresentedRequests = 0;
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_INVALID_PARAMETER);
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&config, WdfIoQueueDispatchParallel);
    config.EvtIoDefault = default_handler;
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_SUCCESS);
    is_status(WdfIoQueueCreate(device, &config, NULL, &queue), STATUS_UNSUCCESSFUL,
              "there is a default queue already");
    fixture_stop();
}
