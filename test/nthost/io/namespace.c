/* The object namespace and handle tables, from inside the host. */
#include "ob.h"
#include <nthost/sched.h>
#include "tap.h"

static const struct ob_type thing_type = {.name = "Thing"};

static UNICODE_STRING string(const WCHAR *text)
{
    UNICODE_STRING s;
    RtlInitUnicodeString(&s, text);
    return s;
}

NT_TEST(names_are_found_case_does_not_matter_links_are_followed)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    UNICODE_STRING name = string(L"\\Device\\Thing"), link = string(L"\\DosDevices\\Alias");
    UNICODE_STRING upper = string(L"\\DEVICE\\THING"), below = string(L"\\??\\alias\\a\\b"), rest;
    void *thing = ob_create(&thing_type, 16), *found = NULL;
    nt_enter();
    is_status(ob_insert(&name, thing, false, NULL), STATUS_SUCCESS);
    is_int(ob_references(thing), 2);
    is_status(ob_insert(&upper, thing, false, NULL), STATUS_OBJECT_NAME_COLLISION);
    is_status(ob_link_create(&link, &name), STATUS_SUCCESS);
    is_status(ob_lookup(&upper, &found, NULL), STATUS_SUCCESS);
    is_ptr(found, thing);
    ob_dereference(found);
    is_status(ob_lookup(&below, &found, &rest), STATUS_SUCCESS);
    is_ptr(found, thing);
    is_int(rest.Length, 8);
    RtlFreeUnicodeString(&rest);
    ob_dereference(found);
    is_status(ob_lookup(&below, &found, NULL), STATUS_OBJECT_PATH_NOT_FOUND);
    is_status(ob_name(thing, &rest), STATUS_SUCCESS);
    ok(RtlEqualUnicodeString(&rest, &name, FALSE));
    RtlFreeUnicodeString(&rest);
    ob_remove_name(thing);
    is_status(ob_lookup(&name, &found, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(ob_lookup(&link, &found, NULL), STATUS_OBJECT_NAME_NOT_FOUND);
    is_int(ob_references(thing), 1);
    is_status(IoDeleteSymbolicLink(&link), STATUS_SUCCESS);
    is_status(IoDeleteSymbolicLink(&link), STATUS_OBJECT_NAME_NOT_FOUND);
    ob_dereference(thing);
    nt_leave();
    nt_stop();
}

NT_TEST(rings_of_links_end)
{
    tap_start(NT_DETERMINISTIC, tap_seed());
    UNICODE_STRING a = string(L"\\??\\A"), b = string(L"\\??\\B");
    void *found;
    nt_enter();
    is_status(ob_link_create(&a, &b), STATUS_SUCCESS);
    is_status(ob_link_create(&b, &a), STATUS_SUCCESS);
    is_status(ob_lookup(&a, &found, NULL), STATUS_OBJECT_NAME_INVALID);
    nt_leave();
    nt_stop();
}

NT_TEST(handles_are_reused_and_know_their_table)
{
    HANDLE handles[100];
    ACCESS_MASK granted;
    void *found;
    tap_start(NT_DETERMINISTIC, tap_seed());
    nt_enter();
    void *thing = ob_create(&thing_type, 16);
    struct ob_handles *table = ob_handles_create();
    for (unsigned i = 0; i < 100; i++)
        is_status(ob_handle_open(table, thing, i, &handles[i]), STATUS_SUCCESS);
    is_int(ob_references(thing), 101);
    is_status(ob_handle_close(table, handles[40]), STATUS_SUCCESS);
    is_status(ob_handle_lookup(table, handles[40], NULL, &found, NULL), STATUS_INVALID_HANDLE);
    HANDLE again;
    is_status(ob_handle_open(table, thing, 7, &again), STATUS_SUCCESS);
    is_ptr(again, handles[40]);
    is_status(ob_handle_lookup(table, handles[99], &thing_type, &found, &granted), STATUS_SUCCESS);
    is_int(granted, 99);
    ob_dereference(found);
    is_status(ob_handle_lookup(table, handles[99], &ob_event_type, &found, NULL),
              STATUS_OBJECT_TYPE_MISMATCH);
    for (uintptr_t bad = 0; bad < 4; bad++)
        is_status(ob_handle_lookup(table, (HANDLE)bad, NULL, &found, NULL), STATUS_INVALID_HANDLE);
    is_status(ob_handle_lookup(table, (HANDLE)(uintptr_t)0xfffffff0, NULL, &found, NULL),
              STATUS_INVALID_HANDLE);
    is_status(ob_handle_lookup(table, (HANDLE)(intptr_t)-1, NULL, &found, NULL),
              STATUS_INVALID_HANDLE);
    HANDLE kernel;
    is_status(ob_handle_open(ob_kernel_handles, thing, 0, &kernel), STATUS_SUCCESS);
    ok((intptr_t)kernel < 0 && (uintptr_t)kernel >> 31 == 0x1ffffffff);
    is_status(ob_handle_close(ob_kernel_handles, kernel), STATUS_SUCCESS);
    ob_handles_destroy(table);
    is_int(ob_references(thing), 1);
    ob_dereference(thing);
    nt_leave();
    nt_stop();
}

static unsigned destroyed;

static void count_destroy(void *object)
{
    (void)object;
    is_int(KeGetCurrentIrql(), PASSIVE_LEVEL);
    destroyed++;
}

/* The last reference may go at DISPATCH_LEVEL; the object goes at PASSIVE_LEVEL. */
NT_TEST(destruction_is_put_off_at_dispatch_level)
{
    static const struct ob_type counted = {.name = "Counted", .destroy = count_destroy};
    KIRQL irql;
    /* One processor: the worker cannot run while it is raised. */
    struct nt_options options = {
        .scheduler = NT_DETERMINISTIC, .seed = tap_seed(), .processors = 1, .verifier = true};
    nt_start(&options);
    destroyed = 0;
    nt_enter();
    void *object = ob_create(&counted, 8), *other = ob_create(&counted, 8);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    ObDereferenceObject(object);
    ObDereferenceObject(other);
    is_int(destroyed, 0);
    KeLowerIrql(irql);
    nt_leave();
    sched_run_for(1000000);
    is_int(destroyed, 2);
    nt_stop();
}
