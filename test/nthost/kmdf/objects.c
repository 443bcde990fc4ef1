/* Objects: contexts, parents, deletion, references; collections, strings, memory, registry. */
#include "fixture.h"
#include <nthost/registry.h>
#include <stdio.h>
#include <string.h>

typedef struct NUMBER {
    int value;
    char fill[60];
} NUMBER;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(NUMBER, get_number)
typedef struct OTHER {
    int value;
} OTHER;
WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(OTHER, get_other)

static char story[256];
static void tell(const char *what, WDFOBJECT object)
{
    char line[32];
    NUMBER *number = get_number(object);
    snprintf(line, sizeof(line), "%s%d ", what, number ? number->value : -1);
    strncat(story, line, sizeof(story) - strlen(story) - 1);
}
static EVT_WDF_OBJECT_CONTEXT_CLEANUP told_cleanup;
static void told_cleanup(WDFOBJECT object)
{
    tell(KeGetCurrentIrql() == PASSIVE_LEVEL ? "c" : "C", object);
}
static EVT_WDF_OBJECT_CONTEXT_DESTROY told_destroy;
static void told_destroy(WDFOBJECT object)
{
    tell("d", object);
}

static WDFOBJECT create(int value, WDFOBJECT parent)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT object = NULL;
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, NUMBER);
    attributes.EvtCleanupCallback = told_cleanup;
    attributes.EvtDestroyCallback = told_destroy;
    attributes.ParentObject = parent;
    is_status(WdfObjectCreate(&attributes, &object), STATUS_SUCCESS);
    get_number(object)->value = value;
    return object;
}

NT_TEST(contexts_are_zeroed_and_found_by_type)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT object;
    PVOID context = NULL, again = NULL;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, NUMBER);
    is_status(WdfObjectCreate(&attributes, &object), STATUS_SUCCESS);
    NUMBER *number = get_number(object);
    need(number != NULL);
    for (unsigned i = 0; i < sizeof(*number); i++)
        is_int(((char *)number)[i], 0);
    ok(get_other(object) == NULL);
    ok(WdfObjectContextGetObject(number) == object);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, OTHER);
    is_status(WdfObjectAllocateContext(object, &attributes, &context), STATUS_SUCCESS);
    ok(get_other(object) == context && get_number(object) == number);
    is_status(WdfObjectAllocateContext(object, &attributes, &again), STATUS_OBJECT_NAME_EXISTS);
    ok(again == context);

    attributes.ContextSizeOverride = sizeof(OTHER) - 1;
    is_status(WdfObjectCreate(&attributes, &object), STATUS_WDF_OBJECT_ATTRIBUTES_INVALID);
    attributes.ContextSizeOverride = 4000;
    is_status(WdfObjectCreate(&attributes, &object), STATUS_SUCCESS);
    memset(get_other(object), 0x5a, 4000);
    attributes.Size--;
    is_status(WdfObjectCreate(&attributes, &object), STATUS_INFO_LENGTH_MISMATCH);
    ok(object == NULL);
    fixture_stop();
}

NT_TEST(children_go_before_their_parents)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    story[0] = 0;
    WDFOBJECT a = create(1, NULL), b = create(2, a);
    create(3, b);
    create(4, a);
    WdfObjectDelete(a);
    is_str(story, "c3 d3 c2 d2 c4 d4 c1 d1 ");

    story[0] = 0;
    a = create(1, NULL);
    b = create(2, a);
    WdfObjectDelete(b); /* first of its own accord */
    WdfObjectDelete(a);
    is_str(story, "c2 d2 c1 d1 ");
    fixture_stop();
}

NT_TEST(references_keep_memory_and_not_life)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    story[0] = 0;
    WDFOBJECT a = create(1, NULL), b = create(2, a);
    WdfObjectReference(b);
    WdfObjectDelete(a);
    is_str(story, "c2 c1 ", "a child keeps its parent in memory, too");
    is_int(get_number(b)->value, 2);
    WdfObjectDereference(b);
    is_str(story, "c2 c1 d2 d1 ");
    fixture_stop();
}

NT_TEST(the_driver_s_objects_go_with_it)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    story[0] = 0;
    create(1, NULL);
    create(2, NULL);
    fixture_stop();
    is_str(story, "c1 d1 c2 d2 ");
}

static EVT_WDF_OBJECT_CONTEXT_CLEANUP cleanup_creates;
static NTSTATUS created_status;
static void cleanup_creates(WDFOBJECT object)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT child;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.ParentObject = object;
    attributes.EvtCleanupCallback = told_cleanup;
    created_status = WdfObjectCreate(&attributes, &child);
}

NT_TEST(nothing_is_born_under_a_dying_parent)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDFOBJECT object;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    story[0] = 0;
    WDF_OBJECT_ATTRIBUTES_INIT(&attributes);
    attributes.EvtCleanupCallback = cleanup_creates;
    is_status(WdfObjectCreate(&attributes, &object), STATUS_SUCCESS);
    WdfObjectDelete(object);
    is_status(created_status, STATUS_DELETE_PENDING);
    is_str(story, "", "a creation that failed calls nobody");
    fixture_stop();
}

static EVT_WDF_TIMER no_timer;
static void no_timer(WDFTIMER timer)
{
    (void)timer;
}

NT_TEST(what_must_be_passive_is_put_off_to_passive_level)
{
    WDF_OBJECT_ATTRIBUTES attributes;
    WDF_TIMER_CONFIG config;
    struct fixture_device options = {0};
    WDFTIMER timer;
    KIRQL irql;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    WDFDEVICE device = fixture_device(&options);
    story[0] = 0;
    WDF_TIMER_CONFIG_INIT(&config, no_timer);
    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, NUMBER);
    attributes.ParentObject = device;
    attributes.EvtCleanupCallback = told_cleanup;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfObjectDelete(timer);
    is_str(story, "");
    KeLowerIrql(irql);
    fixture_run(10);
    is_str(story, "c0 ");

    /* A plain object is not put off, but one with such a child is. */
    story[0] = 0;
    WDFOBJECT plain = create(1, NULL), parent = create(2, device);
    attributes.ParentObject = parent;
    is_status(WdfTimerCreate(&config, &attributes, &timer), STATUS_SUCCESS);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    WdfObjectDelete(plain);
    is_str(story, "C1 d1 ");
    WdfObjectDelete(parent);
    is_str(story, "C1 d1 ");
    KeLowerIrql(irql);
    fixture_run(10);
    is_str(story, "C1 d1 c0 c2 d2 ");
    fixture_stop();
}

NT_TEST(collections_hold_references)
{
    WDFCOLLECTION collection;
    WDFOBJECT items[20];
    fixture_start(NT_DETERMINISTIC, tap_seed());
    story[0] = 0;
    is_status(WdfCollectionCreate(NULL, &collection), STATUS_SUCCESS);
    ok(WdfCollectionGetFirstItem(collection) == NULL &&
       WdfCollectionGetLastItem(collection) == NULL);
    for (int i = 0; i < 20; i++) {
        items[i] = create(i, NULL);
        is_status(WdfCollectionAdd(collection, items[i]), STATUS_SUCCESS);
    }
    is_int(WdfCollectionGetCount(collection), 20);
    ok(WdfCollectionGetFirstItem(collection) == items[0] &&
       WdfCollectionGetLastItem(collection) == items[19]);
    ok(WdfCollectionGetItem(collection, 7) == items[7] &&
       WdfCollectionGetItem(collection, 20) == NULL);
    WdfObjectDelete(items[5]);
    is_str(story, "c5 ", "the collection still holds it");
    WdfCollectionRemove(collection, items[5]);
    is_str(story, "c5 d5 ");
    WdfCollectionRemoveItem(collection, 0);
    ok(WdfCollectionGetFirstItem(collection) == items[1]);
    is_int(WdfCollectionGetCount(collection), 18);
    WdfObjectDelete(collection);
    fixture_stop();
}

NT_TEST(strings_and_memory)
{
    UNICODE_STRING text = RTL_CONSTANT_STRING(L"text"), got;
    WDF_OBJECT_ATTRIBUTES attributes;
    unsigned char out[32], own[16] = "0123456789abcde";
    WDFLOOKASIDE lookaside;
    WDFSTRING string;
    WDFMEMORY memory, other;
    PVOID buffer;
    size_t size;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    is_status(WdfStringCreate(&text, NULL, &string), STATUS_SUCCESS);
    WdfStringGetUnicodeString(string, &got);
    is_int(got.Length, 8);
    is_mem(got.Buffer, L"text", 8);
    ok(got.Buffer != text.Buffer);
    is_status(WdfDriverRetrieveVersionString(WdfGetDriver(), string), STATUS_SUCCESS);
    WdfStringGetUnicodeString(string, &got);
    ok(got.Length > 40);

    is_status(WdfMemoryCreate(NULL, NonPagedPoolNx, 'tseT', 16, &memory, &buffer), STATUS_SUCCESS);
    ok(WdfMemoryGetBuffer(memory, &size) == buffer);
    is_int(size, 16);
    is_status(WdfMemoryCopyFromBuffer(memory, 0, own, 16), STATUS_SUCCESS);
    is_status(WdfMemoryCopyToBuffer(memory, 10, out, 6), STATUS_SUCCESS);
    is_mem(out, "abcde", 6);
    is_status(WdfMemoryCopyToBuffer(memory, 11, out, 6), STATUS_BUFFER_TOO_SMALL);
    is_status(WdfMemoryCopyFromBuffer(memory, (size_t)-1, own, 2), STATUS_BUFFER_TOO_SMALL);
    is_status(WdfMemoryAssignBuffer(memory, own, 4), STATUS_INVALID_PARAMETER,
              "it has a buffer of its own");
    is_status(WdfMemoryCreate(NULL, NonPagedPoolNx, 0, 0, &other, NULL), STATUS_INVALID_PARAMETER);
    is_status(WdfMemoryCreatePreallocated(NULL, own, 8, &other), STATUS_SUCCESS);
    is_status(WdfMemoryCopyToBuffer(other, 0, out, 9), STATUS_BUFFER_TOO_SMALL);
    is_status(WdfMemoryAssignBuffer(other, own + 8, 8), STATUS_SUCCESS);
    is_status(WdfMemoryCopyToBuffer(other, 0, out, 8), STATUS_SUCCESS);
    is_mem(out, own + 8, 8);

    WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(&attributes, NUMBER);
    is_status(WdfLookasideListCreate(NULL, 48, NonPagedPoolNx, &attributes, 'tseT', &lookaside),
              STATUS_SUCCESS);
    for (int i = 0; i < 3; i++) {
        is_status(WdfMemoryCreateFromLookaside(lookaside, &other), STATUS_SUCCESS);
        WdfMemoryGetBuffer(other, &size);
        is_int(size, 48);
        is_int(get_number(other)->value, 0);
        get_number(other)->value = 1;
        if (i < 2)
            WdfObjectDelete(other);
    }
    fixture_stop();
}

NT_TEST(registry_keys)
{
    DECLARE_CONST_UNICODE_STRING(number_name, L"Number");
    DECLARE_CONST_UNICODE_STRING(text_name, L"Text");
    DECLARE_CONST_UNICODE_STRING(none_name, L"None");
    DECLARE_CONST_UNICODE_STRING(sub_name, L"Sub");
    DECLARE_CONST_UNICODE_STRING(
        long_text, L"0123456789012345678901234567890123456789012345678901234567890123456789");
    WCHAR buffer[100];
    UNICODE_STRING text;
    ULONG number = 0, type = 0, length = 0, disposition = 0;
    USHORT bytes = 0;
    WDFKEY key, sub;
    fixture_start(NT_DETERMINISTIC, tap_seed());
    is_status(WdfDriverOpenParametersRegistryKey(WdfGetDriver(), KEY_READ | KEY_WRITE, NULL, &key),
              STATUS_SUCCESS);
    ok(registry_key_exists(REGISTRY_SERVICES "\\Fixture\\Parameters"),
       "it is made if it is not there");
    is_status(WdfRegistryQueryULong(key, &number_name, &number), STATUS_OBJECT_NAME_NOT_FOUND);
    is_status(WdfRegistryAssignULong(key, &number_name, 4711), STATUS_SUCCESS);
    is_status(WdfRegistryQueryULong(key, &number_name, &number), STATUS_SUCCESS);
    is_int(number, 4711);
    is_status(WdfRegistryAssignUnicodeString(key, &text_name, &long_text), STATUS_SUCCESS);
    RtlInitEmptyUnicodeString(&text, buffer, sizeof(buffer));
    is_status(WdfRegistryQueryUnicodeString(key, &text_name, &bytes, &text), STATUS_SUCCESS);
    is_int(text.Length, long_text.Length);
    is_int(bytes, long_text.Length + 2);
    is_mem(text.Buffer, long_text.Buffer, long_text.Length);
    text.MaximumLength = 20;
    is_status(WdfRegistryQueryUnicodeString(key, &text_name, &bytes, &text),
              STATUS_BUFFER_OVERFLOW);
    is_status(WdfRegistryQueryULong(key, &text_name, &number), STATUS_OBJECT_TYPE_MISMATCH);
    is_status(WdfRegistryQueryUnicodeString(key, &number_name, NULL, NULL),
              STATUS_OBJECT_TYPE_MISMATCH);
    is_status(WdfRegistryQueryValue(key, &text_name, 0, NULL, &length, &type),
              STATUS_BUFFER_OVERFLOW);
    is_int(type, REG_SZ);
    is_int(length, long_text.Length + 2);
    is_status(WdfRegistryAssignValue(key, &none_name, REG_BINARY, 3, "abc"), STATUS_SUCCESS);
    is_status(WdfRegistryQueryValue(key, &none_name, sizeof(buffer), buffer, &length, &type),
              STATUS_SUCCESS);
    is_int(length, 3);
    is_status(WdfRegistryRemoveValue(key, &none_name), STATUS_SUCCESS);
    is_status(WdfRegistryRemoveValue(key, &none_name), STATUS_OBJECT_NAME_NOT_FOUND);

    is_status(WdfRegistryOpenKey(key, &sub_name, KEY_READ, NULL, &sub),
              STATUS_OBJECT_NAME_NOT_FOUND);
    ok(sub == NULL);
    is_status(WdfRegistryCreateKey(key, &sub_name, KEY_ALL_ACCESS, REG_OPTION_NON_VOLATILE,
                                   &disposition, NULL, &sub),
              STATUS_SUCCESS);
    is_int(disposition, REG_CREATED_NEW_KEY);
    ok(WdfRegistryWdmGetHandle(sub) != NULL);
    is_status(WdfRegistryRemoveKey(sub), STATUS_SUCCESS);
    ok(!registry_key_exists(REGISTRY_SERVICES "\\Fixture\\Parameters\\Sub"));
    WdfRegistryClose(key);
    fixture_stop();
}

NT_TEST(the_function_table_has_no_empty_slot)
{
    fixture_start(NT_DETERMINISTIC, tap_seed());
    for (unsigned i = 0; i < WdfFunctionTableNumEntries; i++)
        ok(WdfFunctions[i] != NULL, "slot %u", i);
    ok(WdfDriverWdmGetDriverObject(WdfGetDriver()) == fixture_driver_object());
    ok(WdfDriverGetRegistryPath(WdfGetDriver())[0] == L'\\');
    is_str(WdfDriverGlobals->DriverName, "Fixture");
    fixture_stop();
}
