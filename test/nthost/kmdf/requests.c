/* Requests: parameters, buffers of each transfer method, cancellation, create and close. */
#include "fixture.h"
#include <string.h>

static WDFREQUEST had;
static WDFDEVICE device;
static unsigned creates, cleanups, closes, cancels;
static NTSTATUS create_status;

static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL keep;
static void keep(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input, ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    had = request;
}

static EVT_WDF_DEVICE_FILE_CREATE on_create;
static void on_create(WDFDEVICE on, WDFREQUEST request, WDFFILEOBJECT file)
{
    WDF_REQUEST_PARAMETERS parameters;
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(request, &parameters);
    is_int(parameters.Type, WdfRequestTypeCreate);
    ok(on == device && file == WdfRequestGetFileObject(request));
    ok(WdfFileObjectGetDevice(file) == device);
    ok(WdfDeviceGetFileObject(device, WdfFileObjectWdmGetFileObject(file)) == file);
    creates++;
    WdfRequestComplete(request, create_status);
}
static EVT_WDF_FILE_CLEANUP on_cleanup;
static void on_cleanup(WDFFILEOBJECT file)
{
    ok(file != NULL);
    cleanups++;
}
static EVT_WDF_FILE_CLOSE on_close;
static void on_close(WDFFILEOBJECT file)
{
    ok(file != NULL);
    closes++;
}

static void start(struct fixture_device *options, WDF_IO_QUEUE_CONFIG *queue,
                  struct fixture_file *file)
{
    had = NULL;
    creates = cleanups = closes = cancels = 0;
    create_status = STATUS_SUCCESS;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(queue, WdfIoQueueDispatchParallel);
    queue->EvtIoDeviceControl = keep;
    options->queue = queue;
    device = fixture_device(options);
    if (file)
        is_status(fixture_open(file), STATUS_SUCCESS);
}

static void finish(struct fixture_request *request, NTSTATUS status, ULONG_PTR information)
{
    fixture_wait(request);
    is_status(request->status, status);
    is_int(request->information, information);
    fixture_release(request);
}

NT_TEST(buffered_requests_have_one_buffer)
{
    struct fixture_device options = {0};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    WDF_REQUEST_PARAMETERS parameters;
    PVOID input, output;
    size_t length = 0;
    WDFMEMORY memory, again;
    PMDL mdl;
    start(&options, &queue, &file);
    fixture_send(&file, &request, FIXTURE_IOCTL(5, METHOD_BUFFERED), "abcdef", 6);
    need(had != NULL);
    WDF_REQUEST_PARAMETERS_INIT(&parameters);
    WdfRequestGetParameters(had, &parameters);
    is_int(parameters.Type, WdfRequestTypeDeviceControl);
    is_int(parameters.Parameters.DeviceIoControl.InputBufferLength, 6);
    is_int(parameters.Parameters.DeviceIoControl.OutputBufferLength, 64);
    is_hex(parameters.Parameters.DeviceIoControl.IoControlCode, FIXTURE_IOCTL(5, METHOD_BUFFERED));
    is_int(WdfRequestGetRequestorMode(had), UserMode);
    ok(WdfRequestGetRequestorProcessId(had) >= 100);
    ok(!WdfRequestIsFrom32BitProcess(had) && !WdfRequestIsCanceled(had));
    ok(WdfRequestWdmGetIrp(had) != NULL);

    is_status(WdfRequestRetrieveInputBuffer(had, 7, &input, &length), STATUS_BUFFER_TOO_SMALL);
    ok(input == NULL && length == 0);
    is_status(WdfRequestRetrieveInputBuffer(had, 6, &input, &length), STATUS_SUCCESS);
    is_int(length, 6);
    is_mem(input, "abcdef", 6);
    is_status(WdfRequestRetrieveOutputBuffer(had, 65, &output, NULL), STATUS_BUFFER_TOO_SMALL);
    is_status(WdfRequestRetrieveOutputBuffer(had, 64, &output, &length), STATUS_SUCCESS);
    is_int(length, 64);
    ok(input == output);
    is_status(WdfRequestRetrieveInputMemory(had, &memory), STATUS_SUCCESS);
    is_status(WdfRequestRetrieveInputMemory(had, &again), STATUS_SUCCESS);
    ok(memory == again);
    is_status(WdfMemoryCopyFromBuffer(memory, 0, "x", 1), STATUS_ACCESS_VIOLATION,
              "input is not written");
    is_status(WdfRequestRetrieveOutputMemory(had, &memory), STATUS_SUCCESS);
    is_status(WdfMemoryCopyFromBuffer(memory, 0, "ABC", 3), STATUS_SUCCESS);
    is_status(WdfRequestRetrieveOutputWdmMdl(had, &mdl), STATUS_SUCCESS);
    ok(MmGetMdlVirtualAddress(mdl) == output && MmGetMdlByteCount(mdl) == 64);
    WdfRequestSetInformation(had, 4);
    is_int(WdfRequestGetInformation(had), 4);
    WdfRequestComplete(had, STATUS_SUCCESS);
    finish(&request, STATUS_SUCCESS, 4);
    is_mem(request.output, "ABCd\0", 5, "as much as the driver says");
    fixture_close(&file);
    fixture_stop();
}

NT_TEST(direct_requests_have_the_caller_s_memory)
{
    struct fixture_device options = {0};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    PVOID input, output;
    PMDL mdl;
    start(&options, &queue, &file);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_OUT_DIRECT), "abc", 3);
    need(had != NULL);
    is_status(WdfRequestRetrieveInputBuffer(had, 3, &input, NULL), STATUS_SUCCESS);
    is_status(WdfRequestRetrieveOutputBuffer(had, 3, &output, NULL), STATUS_SUCCESS);
    ok(input != output);
    is_status(WdfRequestRetrieveOutputWdmMdl(had, &mdl), STATUS_SUCCESS);
    ok(mdl == WdfRequestWdmGetIrp(had)->MdlAddress);
    memcpy(output, "xyz", 3);
    WdfRequestCompleteWithInformation(had, STATUS_SUCCESS, 3);
    finish(&request, STATUS_SUCCESS, 3);
    is_mem(request.output, "xyz", 3);

    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_NEITHER), "abc", 3);
    is_status(WdfRequestRetrieveInputBuffer(had, 1, &input, NULL), STATUS_INVALID_DEVICE_REQUEST);
    is_status(WdfRequestRetrieveOutputBuffer(had, 1, &output, NULL), STATUS_INVALID_DEVICE_REQUEST);
    is_status(WdfRequestRetrieveUnsafeUserInputBuffer(had, 1, &input, NULL),
              STATUS_INVALID_DEVICE_REQUEST, "only in the caller's context");
    WdfRequestComplete(had, STATUS_NOT_SUPPORTED);
    finish(&request, STATUS_NOT_SUPPORTED, 0);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    is_status(WdfRequestRetrieveInputBuffer(had, 0, &input, NULL), STATUS_BUFFER_TOO_SMALL,
              "there is none");
    WdfRequestComplete(had, STATUS_SUCCESS);
    finish(&request, STATUS_SUCCESS, 0);
    fixture_close(&file);
    fixture_stop();
}

NT_TEST(files_are_created_cleaned_up_and_closed)
{
    WDF_FILEOBJECT_CONFIG files;
    struct fixture_device options = {.file = &files};
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    WDF_FILEOBJECT_CONFIG_INIT(&files, on_create, on_close, on_cleanup);
    for (unsigned class = WdfFileObjectWdfCanUseFsContext;
         class <= WdfFileObjectWdfCannotUseFsContexts; class ++) {
        files.FileObjectClass = (WDF_FILEOBJECT_CLASS) class;
        tap_at("class %u", class);
        start(&options, &queue, &file);
        is_int(creates, 1);
        fixture_close(&file);
        is_int(cleanups, 1);
        is_int(closes, 1);
        create_status = STATUS_ACCESS_DENIED;
        is_status(fixture_open(&file), STATUS_ACCESS_DENIED);
        is_int(creates, 2);
        fixture_close(&file);
        is_int(cleanups, 1, "what was not opened is not closed");
        is_int(closes, 1);
        fixture_stop();
    }
    tap_at(NULL);
}

NT_TEST(a_device_is_not_opened_before_it_is_ready)
{
    DECLARE_CONST_UNICODE_STRING(sddl, L"D:P(A;;GA;;;SY)");
    DECLARE_CONST_UNICODE_STRING(name, L"\\Device\\Fixture");
    DECLARE_CONST_UNICODE_STRING(link, L"\\DosDevices\\Fixture");
    struct fixture_file file;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(WdfGetDriver(), &sddl);
    is_status(WdfDeviceInitAssignName(init, &name), STATUS_SUCCESS);
    is_status(WdfDeviceCreate(&init, NULL, &device), STATUS_SUCCESS);
    is_status(WdfDeviceCreateSymbolicLink(device, &link), STATUS_SUCCESS);
    is_status(WdfDeviceCreateSymbolicLink(device, &link), STATUS_INVALID_DEVICE_STATE);
    ok(!NT_SUCCESS(fixture_open(&file)));
    fixture_close(&file);
    WdfControlFinishInitializing(device);
    is_status(fixture_open(&file), STATUS_SUCCESS);
    fixture_close(&file);

    /* The security descriptor is the device's. */
    struct io_client *user = io_client_create(IO_TOKEN_USER, 7);
    io_handle handle;
    nt_leave();
    is_status(io_open(user, "\\\\.\\Fixture", GENERIC_READ, &handle), STATUS_ACCESS_DENIED);
    io_client_destroy(user);
    nt_enter();
    ok(WdfWdmDeviceGetWdfDeviceHandle(WdfDeviceWdmGetDeviceObject(device)) == device);
    ok(WdfDeviceGetDriver(device) == WdfGetDriver());
    ok(WdfDeviceWdmGetAttachedDevice(device) == NULL);

    /* A second one of that name is refused, and its settings stay the driver's to free. */
    init = WdfControlDeviceInitAllocate(WdfGetDriver(), &sddl);
    is_status(WdfDeviceInitAssignName(init, &name), STATUS_SUCCESS);
    WDFDEVICE second;
    is_status(WdfDeviceCreate(&init, NULL, &second), STATUS_OBJECT_NAME_COLLISION);
    ok(init != NULL);
    WdfDeviceInitFree(init);
    fixture_stop();
}

static EVT_WDF_REQUEST_CANCEL on_cancel;
static void on_cancel(WDFREQUEST request)
{
    cancels++;
    WdfRequestComplete(request, STATUS_CANCELLED);
}

NT_TEST(the_driver_is_asked_to_cancel)
{
    struct fixture_device options = {0};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    start(&options, &queue, &file);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    WdfRequestMarkCancelable(had, on_cancel);
    is_int(cancels, 0);
    is_status(fixture_cancel(&file, &request), STATUS_SUCCESS);
    is_int(cancels, 1);
    finish(&request, STATUS_CANCELLED, 0);

    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    WdfRequestMarkCancelable(had, on_cancel);
    is_status(WdfRequestUnmarkCancelable(had), STATUS_SUCCESS);
    fixture_cancel(&file, &request);
    is_int(cancels, 1, "it is not cancelable now");
    ok(WdfRequestIsCanceled(had));
    is_status(WdfRequestMarkCancelableEx(had, on_cancel), STATUS_CANCELLED,
              "and was cancelled meanwhile");
    is_int(cancels, 1);
    WdfRequestMarkCancelable(had, on_cancel);
    is_int(cancels, 2, "which is told at once");
    finish(&request, STATUS_CANCELLED, 0);
    fixture_close(&file);
    fixture_stop();
}

static EVT_WDF_REQUEST_CANCEL cancel_keeps;
static void cancel_keeps(WDFREQUEST request)
{
    (void)request;
    cancels++;
}

NT_TEST(a_cancelled_request_cannot_be_unmarked)
{
    struct fixture_device options = {0};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    start(&options, &queue, &file);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    WdfRequestMarkCancelable(had, cancel_keeps);
    WdfObjectReference(had);
    is_status(fixture_cancel(&file, &request), STATUS_SUCCESS);
    is_int(cancels, 1);
    is_status(WdfRequestUnmarkCancelable(had), STATUS_CANCELLED);
    WdfRequestComplete(had, STATUS_CANCELLED); /* after its callback has returned */
    is_status(WdfRequestUnmarkCancelable(had), STATUS_CANCELLED, "the reference keeps the object");
    WdfObjectDereference(had);
    finish(&request, STATUS_CANCELLED, 0);
    fixture_close(&file);
    fixture_stop();
}

static EVT_WDF_IO_IN_CALLER_CONTEXT in_caller;
static bool in_caller_enqueues;
static void in_caller(WDFDEVICE on, WDFREQUEST request)
{
    PVOID buffer;
    size_t length = 0;
    ok(on == device);
    is_status(WdfRequestRetrieveUnsafeUserInputBuffer(request, 1, &buffer, &length),
              STATUS_SUCCESS);
    is_int(length, 3);
    if (!in_caller_enqueues)
        WdfRequestComplete(request, STATUS_NOT_SUPPORTED);
    else
        is_status(WdfDeviceEnqueueRequest(on, request), STATUS_SUCCESS);
}

NT_TEST(a_request_is_seen_in_its_caller_s_context_first)
{
    struct fixture_device options = {.in_caller = in_caller};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    start(&options, &queue, &file);
    in_caller_enqueues = false;
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_NEITHER), "abc", 3);
    ok(had == NULL);
    finish(&request, STATUS_NOT_SUPPORTED, 0);
    in_caller_enqueues = true;
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_NEITHER), "abc", 3);
    need(had != NULL);
    WdfRequestComplete(had, STATUS_SUCCESS);
    finish(&request, STATUS_SUCCESS, 0);
    fixture_close(&file);
    fixture_stop();
}

static char order[64];
static void note(char what)
{
    size_t length = strlen(order);
    if (length + 1 < sizeof(order))
        order[length] = what;
}
static EVT_WDF_OBJECT_CONTEXT_CLEANUP request_cleanup;
static void request_cleanup(WDFOBJECT object)
{
    ok(WdfRequestWdmGetIrp(object) != NULL, "the IRP is still there");
    note('c');
}
static EVT_WDF_OBJECT_CONTEXT_DESTROY request_destroy;
static void request_destroy(WDFOBJECT object)
{
    (void)object;
    note('d');
}
typedef struct SEEN {
    int value;
} SEEN;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(SEEN, get_seen)

NT_TEST(requests_have_contexts)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    struct fixture_device options = {.request_attributes = &attributes};
    struct fixture_request request;
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_file file;
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, SEEN);
    attributes.EvtCleanupCallback = request_cleanup;
    attributes.EvtDestroyCallback = request_destroy;
    memset(order, 0, sizeof(order));
    start(&options, &queue, &file);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), NULL, 0);
    is_int(get_seen(had)->value, 0);
    WdfObjectReference(had);
    WdfRequestComplete(had, STATUS_SUCCESS);
    is_str(order, "c");
    ok(request.done);
    WdfObjectDereference(had);
    is_str(order, "cd");
    finish(&request, STATUS_SUCCESS, 0);
    fixture_close(&file);
    fixture_stop();
}
