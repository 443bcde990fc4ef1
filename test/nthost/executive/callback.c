/*
 * Callback objects, thread notifications.
 */
#include "common.h"
#include <ntifs.h>

static struct {
    volatile LONG calls, inside;
    PVOID registration[2];
    PCALLBACK_OBJECT object;
} seen;

static VOID NTAPI count_call(PVOID context, PVOID a, PVOID b)
{
    ok(context == &seen && a == (PVOID)1 && b == (PVOID)2);
    InterlockedIncrement(&seen.inside);
    sched_point();
    InterlockedIncrement(&seen.calls);
    InterlockedDecrement(&seen.inside);
}

static VOID NTAPI unregister_itself(PVOID context, PVOID a, PVOID b)
{
    UNREFERENCED_PARAMETER(a);
    UNREFERENCED_PARAMETER(b);
    UNREFERENCED_PARAMETER(context);
    InterlockedIncrement(&seen.calls);
    ExUnregisterCallback(seen.registration[1]);
}

static void notifier(void *context)
{
    UNREFERENCED_PARAMETER(context);
    for (int i = 0; i < 5; i++)
        ExNotifyCallback(seen.object, (PVOID)1, (PVOID)2);
}

static void callbacks(void)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    PCALLBACK_OBJECT again;
    memset(&seen, 0, sizeof seen);
    nt_enter();
    RtlInitUnicodeString(&name, L"\\Callback\\NtswiftTest");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    ok(!NT_SUCCESS(ExCreateCallback(&seen.object, &attributes, FALSE, TRUE)), "does not exist");
    InitializeObjectAttributes(&attributes, NULL, 0, NULL, NULL);
    need(NT_SUCCESS(ExCreateCallback(&seen.object, &attributes, TRUE, TRUE)));
    seen.registration[0] = ExRegisterCallback(seen.object, count_call, &seen);
    need(seen.registration[0] != NULL);
    ExNotifyCallback(seen.object, (PVOID)1, (PVOID)2);
    is_int(seen.calls, 1);
    seen.registration[1] = ExRegisterCallback(seen.object, unregister_itself, NULL);
    ExNotifyCallback(seen.object, (PVOID)1, (PVOID)2);
    is_int(seen.calls, 3);
    ExNotifyCallback(seen.object, (PVOID)1, (PVOID)2);
    is_int(seen.calls, 4);

    struct worker worker;
    worker_start(&worker, notifier, NULL);
    for (unsigned i = sched_choose(10); i-- > 0;)
        sched_point();
    ExUnregisterCallback(seen.registration[0]);
    is_int(seen.inside, 0, "no call is under way after unregistering");
    LONG calls = seen.calls;
    worker_join(&worker);
    is_int(seen.calls, calls);
    ObDereferenceObject(seen.object);

    RtlInitUnicodeString(&name, L"\\Callback\\PowerState");
    InitializeObjectAttributes(&attributes, &name, OBJ_CASE_INSENSITIVE, NULL, NULL);
    if (NT_SUCCESS(ExCreateCallback(&seen.object, &attributes, FALSE, TRUE))) {
        is_status(ExCreateCallback(&again, &attributes, FALSE, TRUE), STATUS_SUCCESS);
        is_ptr(again, seen.object);
        ObDereferenceObject(again);
        ObDereferenceObject(seen.object);
    } else {
        fail("\\Callback\\PowerState cannot be opened");
    }
    nt_leave();
}

NT_TEST(callback_objects)
{
    each_scheduler(callbacks);
}

static volatile LONG created, ended;
static HANDLE last_thread;

static VOID NTAPI on_thread(HANDLE process, HANDLE thread, BOOLEAN create)
{
    ok(process == PsGetCurrentProcessId());
    last_thread = thread;
    InterlockedIncrement(create ? &created : &ended);
}

static VOID NTAPI thread_routine(PVOID context)
{
    UNREFERENCED_PARAMETER(context);
    ok(PsGetCurrentThreadId() == last_thread);
}

static void thread_notifications(void)
{
    OBJECT_ATTRIBUTES attributes;
    HANDLE handle;
    PVOID thread;
    PETHREAD found;
    created = ended = 0;
    nt_enter();
    is_status(PsRemoveCreateThreadNotifyRoutine(on_thread), STATUS_PROCEDURE_NOT_FOUND);
    is_status(PsSetCreateThreadNotifyRoutine(on_thread), STATUS_SUCCESS);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    need(NT_SUCCESS(
        PsCreateSystemThread(&handle, 0, &attributes, NULL, NULL, thread_routine, NULL)));
    need(
        NT_SUCCESS(ObReferenceObjectByHandle(handle, 0, *PsThreadType, KernelMode, &thread, NULL)));
    ZwClose(handle);
    KeWaitForSingleObject(thread, Executive, KernelMode, FALSE, NULL);
    ok(created == 1 && ended == 1 && PsGetThreadId(thread) == last_thread);
    ok(PsGetThreadProcessId(thread) == PsGetCurrentProcessId());
    ObDereferenceObject(thread);
    is_status(PsLookupThreadByThreadId(PsGetCurrentThreadId(), &found), STATUS_SUCCESS);
    is_ptr(found, PsGetCurrentThread());
    ObDereferenceObject(found);
    is_status(PsLookupThreadByThreadId((HANDLE)0xfff0, &found), STATUS_INVALID_CID);
    is_status(PsRemoveCreateThreadNotifyRoutine(on_thread), STATUS_SUCCESS);
    nt_leave();
}

NT_TEST(thread_notifications_come)
{
    each_scheduler(thread_notifications);
}
