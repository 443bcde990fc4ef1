/* What the framework must not let pass: each ends the host with the rule's name. */
#include "fixture.h"

static WDFREQUEST had;
static EVT_WDF_IO_QUEUE_IO_DEVICE_CONTROL keep;
static void keep(WDFQUEUE queue, WDFREQUEST request, size_t output, size_t input, ULONG code)
{
    (void)queue, (void)output, (void)input, (void)code;
    had = request;
}
static EVT_WDF_REQUEST_CANCEL on_cancel;
static void on_cancel(WDFREQUEST request)
{
    WdfRequestComplete(request, STATUS_CANCELLED);
}
static EVT_WDF_TIMER no_timer;
static void no_timer(WDFTIMER timer)
{
    (void)timer;
}

static WDFDEVICE device;
static struct fixture_file file;
static struct fixture_request request;

/* A device that has been sent one request, which is `had`. */
static void begin(void)
{
    WDF_IO_QUEUE_CONFIG queue;
    struct fixture_device options = {.queue = &queue};
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_IO_QUEUE_CONFIG_INIT(&queue, WdfIoQueueDispatchParallel);
    queue.EvtIoDeviceControl = keep;
    device = fixture_device(&options);
    fixture_open(&file);
    fixture_send(&file, &request, FIXTURE_IOCTL(0, METHOD_BUFFERED), "abc", 3);
}

static void end(void)
{
    fixture_wait(&request);
    fixture_release(&request);
    fixture_close(&file);
    fixture_stop();
}

static WDFOBJECT create(void)
{
    WDFOBJECT object;
    WdfObjectCreate(NULL, &object);
    return object;
}

static void null_handle(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfObjectReference((WDFOBJECT)NULL);
}
static void pointer_for_handle(void)
{
    begin();
    WdfObjectReference((WDFOBJECT)WdfRequestWdmGetIrp(had));
}
static void wrong_type(void)
{
    begin();
    WdfRequestComplete((WDFREQUEST)device, STATUS_SUCCESS);
}
static void deleted_handle(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDFOBJECT object = create();
    WdfObjectDelete(object);
    WdfObjectReference(object);
}
static void deleted_twice(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDFOBJECT object = create();
    WdfObjectReference(object);
    WdfObjectDelete(object);
    WdfObjectDelete(object);
}
static void dereferenced_too_often(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfObjectDereference(create());
}
static void deleted_framework_object(void)
{
    begin();
    WdfObjectDelete(had);
}
static void device_deleted_at_dispatch(void)
{
    KIRQL irql;
    begin();
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfObjectDelete(device);
}

NT_TEST(handles_must_be_alive_and_of_their_type)
{
    ok(expect_violation("WdfBadHandle", null_handle));
    ok(expect_violation("WdfBadHandle", pointer_for_handle));
    ok(expect_violation("WdfBadHandle", wrong_type));
    ok(expect_violation("WdfBadHandle", deleted_handle));
    ok(expect_violation("WdfBadHandle", deleted_twice));
    ok(expect_violation("WdfBadHandle", dereferenced_too_often));
    ok(expect_violation("WdfBadHandle", deleted_framework_object));
    ok(expect_violation("BadParameter", device_deleted_at_dispatch));
}

static void completed_twice(void)
{
    begin();
    WdfObjectReference(had);
    WdfRequestComplete(had, STATUS_SUCCESS);
    WdfRequestComplete(had, STATUS_SUCCESS);
}
static void completed_while_cancelable(void)
{
    begin();
    WdfRequestMarkCancelable(had, on_cancel);
    WdfRequestComplete(had, STATUS_SUCCESS);
}
static void completed_pending(void)
{
    begin();
    WdfRequestComplete(had, STATUS_PENDING);
}
static void too_much_information(void)
{
    begin();
    WdfRequestCompleteWithInformation(had, STATUS_SUCCESS, sizeof(request.output) + 1);
}
static void marked_twice(void)
{
    begin();
    WdfRequestMarkCancelable(had, on_cancel);
    WdfRequestMarkCancelable(had, on_cancel);
}
static void unmarked_unmarked(void)
{
    begin();
    WdfRequestUnmarkCancelable(had);
}
static void forwarded_while_cancelable(void)
{
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE queue;
    begin();
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    WdfIoQueueCreate(device, &config, NULL, &queue);
    WdfRequestMarkCancelable(had, on_cancel);
    WdfRequestForwardToIoQueue(had, queue);
}
static void used_after_forwarding(void)
{
    WDF_IO_QUEUE_CONFIG config;
    WDFQUEUE queue;
    begin();
    WDF_IO_QUEUE_CONFIG_INIT(&config, WdfIoQueueDispatchManual);
    WdfIoQueueCreate(device, &config, NULL, &queue);
    WdfRequestForwardToIoQueue(had, queue);
    WdfRequestComplete(had, STATUS_SUCCESS);
}
static void requests_in_order(void)
{
    begin();
    WdfRequestMarkCancelable(had, on_cancel);
    WdfRequestUnmarkCancelable(had);
    WdfRequestCompleteWithInformation(had, STATUS_SUCCESS, sizeof(request.output));
    end();
}

NT_TEST(requests_must_be_used_in_order)
{
    ok(expect_violation("WdfRequestMisuse", completed_twice));
    ok(expect_violation("WdfRequestMisuse", completed_while_cancelable));
    ok(expect_violation("WdfRequestMisuse", completed_pending));
    ok(expect_violation("WdfRequestMisuse", too_much_information));
    ok(expect_violation("WdfRequestMisuse", marked_twice));
    ok(expect_violation("WdfRequestMisuse", unmarked_unmarked));
    ok(expect_violation("WdfRequestMisuse", forwarded_while_cancelable));
    ok(expect_violation("WdfRequestMisuse", used_after_forwarding));
    ok(expect_silence(requests_in_order));
}

static void leak_a_reference(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfObjectReference(create());
    fixture_stop();
}
static void leak_nothing(void)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDFOBJECT object = create();
    WdfObjectReference(object);
    WdfObjectDereference(object);
    fixture_stop();
}

NT_TEST(references_must_be_given_back)
{
    ok(expect_violation("WdfObjectLeak", leak_a_reference));
    ok(expect_silence(leak_nothing));
}

static void call_what_is_lacking(void)
{
    struct fixture_device options = {0};
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfDeviceCreateDeviceInterface(fixture_device(&options), &(GUID){0}, NULL);
}

NT_TEST(what_is_lacking_says_so)
{
    ok(expect_violation("WdfUnimplemented", call_what_is_lacking));
}

static void wait_at_dispatch(void)
{
    WDFWAITLOCK lock;
    KIRQL irql;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfWaitLockCreate(NULL, &lock);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfWaitLockAcquire(lock, NULL);
}
static void taken_twice(void)
{
    WDFWAITLOCK lock;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfWaitLockCreate(NULL, &lock);
    WdfWaitLockAcquire(lock, NULL);
    WdfWaitLockAcquire(lock, NULL);
}
static void released_by_nobody(void)
{
    WDFSPINLOCK lock;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WdfSpinLockCreate(NULL, &lock);
    WdfSpinLockRelease(lock);
}
static void lock_without_scope(void)
{
    begin();
    WdfObjectAcquireLock(device);
}
static EVT_WDF_IO_QUEUE_STATE no_state;
static void no_state(WDFQUEUE queue, WDFOBJECT context)
{
    (void)queue, (void)context;
}
static void two_state_callbacks(void)
{
    begin();
    WdfIoQueueStop(WdfDeviceGetDefaultQueue(device), no_state, NULL);
    WdfIoQueuePurge(WdfDeviceGetDefaultQueue(device), no_state, NULL);
}
static void absolute_high_resolution(void)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    WDFTIMER timer;
    begin();
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = device;
    WDF_TIMER_CONFIG_INIT(&config, no_timer);
    config.UseHighResolutionTimer = TRUE;
    WdfTimerCreate(&config, &attributes, &timer);
    WdfTimerStart(timer, 1);
}

NT_TEST(locks_timers_and_states)
{
    ok(expect_violation("IrqlTooHigh", wait_at_dispatch));
    ok(expect_violation("BadParameter", taken_twice));
    ok(expect_violation("BadParameter", released_by_nobody));
    ok(expect_violation("BadParameter", lock_without_scope));
    ok(expect_violation("BadParameter", two_state_callbacks));
    ok(expect_violation("BadParameter", absolute_high_resolution));
}
