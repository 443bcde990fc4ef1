/*
 * Callback objects.
 *
 * WDK: ExCreateCallback, ExRegisterCallback, ExUnregisterCallback, ExNotifyCallback, "Callback
 * Objects". An object with a list of functions, called in the order of registration at the IRQL of
 * who notifies. A function that is being called cannot be unregistered: ExUnregisterCallback waits
 * for it, except from the function itself. Named ones live in the object namespace;
 * \Callback\SetSystemTime,
 * \Callback\PowerState and \Callback\ProcessorAdd exist when a driver opens them.
 */
#include "dispatcher.h"
#include <nthost/object.h>
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

struct _CALLBACK_OBJECT {
    LIST_ENTRY registrations; /* under the dispatcher lock, as all here */
    bool multiple;
};

struct registration {
    LIST_ENTRY entry;
    struct _CALLBACK_OBJECT *object;
    PCALLBACK_FUNCTION function;
    PVOID context;
    unsigned busy;            /* calls under way */
    struct nt_thread *caller; /* of the latest */
    KEVENT *gone;             /* unregistering: set when the last call ends */
    const void *owner;
    struct registration *next; /* all */
};

static const struct ob_type callback_type = {.name = "Callback"};
static struct registration *registrations;

static bool is_system_callback(PCUNICODE_STRING name)
{
    static const char *const names[] = {"\\Callback\\SetSystemTime", "\\Callback\\PowerState",
                                        "\\Callback\\ProcessorAdd"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]), k = 0;
        while (k < length && k < name->Length / sizeof(WCHAR) &&
               utf16_upcase(name->Buffer[k]) == utf16_upcase((WCHAR)names[i][k]))
            k++;
        if (k == length && name->Length == length * sizeof(WCHAR))
            return true;
    }
    return false;
}

NTSTATUS NTAPI ExCreateCallback(PCALLBACK_OBJECT *CallbackObject,
                                POBJECT_ATTRIBUTES ObjectAttributes, BOOLEAN Create,
                                BOOLEAN AllowMultipleCallbacks)
{
    VF_ENTRY(PASSIVE_LEVEL);
    PCUNICODE_STRING name = ObjectAttributes ? ObjectAttributes->ObjectName : NULL;
    void *object = NULL;
    if (name && name->Length) {
        NTSTATUS status = ob_lookup(name, &object, NULL);
        if (NT_SUCCESS(status)) {
            if (ob_type_of(object) != &callback_type) {
                ob_dereference(object);
                return STATUS_OBJECT_TYPE_MISMATCH;
            }
            *CallbackObject = object;
            return STATUS_SUCCESS;
        }
        if (!Create && !is_system_callback(name))
            return status;
    } else if (!Create) {
        return STATUS_UNSUCCESSFUL;
    }
    if (vf_fault(VfFaultPool))
        return STATUS_INSUFFICIENT_RESOURCES;
    PCALLBACK_OBJECT callback = ob_create(&callback_type, sizeof *callback);
    if (!callback)
        return STATUS_INSUFFICIENT_RESOURCES;
    InitializeListHead(&callback->registrations);
    callback->multiple = AllowMultipleCallbacks || (name && is_system_callback(name));
    if (name && name->Length) {
        NTSTATUS status = ob_insert(name, callback, false, NULL);
        if (!NT_SUCCESS(status)) {
            ob_dereference(callback);
            return status;
        }
    }
    *CallbackObject = callback;
    return STATUS_SUCCESS;
}

PVOID NTAPI ExRegisterCallback(PCALLBACK_OBJECT CallbackObject, PCALLBACK_FUNCTION CallbackFunction,
                               PVOID CallbackContext)
{
    VF_ENTRY(APC_LEVEL);
    if (vf_fault(VfFaultPool))
        return NULL;
    struct registration *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    made->object = CallbackObject;
    made->function = CallbackFunction;
    made->context = CallbackContext;
    made->owner = __builtin_return_address(0);
    sched_lock();
    if (!CallbackObject->multiple && !IsListEmpty(&CallbackObject->registrations)) {
        sched_unlock();
        free(made);
        return NULL;
    }
    InsertTailList(&CallbackObject->registrations, &made->entry);
    made->next = registrations;
    registrations = made;
    sched_unlock();
    ob_reference(CallbackObject);
    return made;
}

/* Under the lock: nobody finds it any more. */
static void forget(struct registration *registration)
{
    struct registration **link = &registrations;
    while (*link != registration)
        link = &(*link)->next;
    *link = registration->next;
    RemoveEntryList(&registration->entry);
}

VOID NTAPI ExUnregisterCallback(PVOID CallbackRegistration)
{
    VF_ENTRY(APC_LEVEL);
    struct registration *registration = CallbackRegistration;
    PCALLBACK_OBJECT object = registration->object;
    KEVENT gone;
    KeInitializeEvent(&gone, NotificationEvent, FALSE);
    sched_lock();
    forget(registration); /* from here on its calls can only end */
    registration->function = NULL;
    bool busy = registration->busy != 0, wait = busy && registration->caller != nt_self;
    if (wait)
        registration->gone = &gone;
    sched_unlock();
    if (wait)
        dispatcher_wait(&gone, "ExUnregisterCallback");
    if (wait || !busy)
        free(registration); /* else it is called by this thread, and ExNotifyCallback frees it */
    ob_dereference(object);
}

VOID NTAPI ExNotifyCallback(PVOID CallbackObject, PVOID Argument1, PVOID Argument2)
{
    VF_ENTRY(DISPATCH_LEVEL);
    PCALLBACK_OBJECT object = CallbackObject;
    struct registration *now[32];
    unsigned count = 0;
    sched_lock();
    for (PLIST_ENTRY entry = object->registrations.Flink;
         entry != &object->registrations && count < 32; entry = entry->Flink) {
        now[count] = CONTAINING_RECORD(entry, struct registration, entry);
        now[count]->caller = nt_self;
        now[count++]->busy++;
    }
    sched_unlock();
    for (unsigned i = 0; i < count; i++) {
        struct registration *registration = now[i];
        sched_lock();
        PCALLBACK_FUNCTION function = registration->function;
        sched_unlock();
        if (function) {
            struct vf_call call = vf_call_begin_of("a callback function", function);
            function(registration->context, Argument1, Argument2);
            vf_call_end(&call);
        }
        sched_lock();
        registration->caller = NULL;
        bool last = --registration->busy == 0, unregistered = !registration->function;
        KEVENT *gone = registration->gone;
        sched_unlock();
        if (last && gone)
            KeSetEvent(gone, 0, FALSE);
        else if (last && unregistered)
            free(registration);
    }
}

static void check_unload(const char *driver)
{
    sched_lock();
    for (struct registration *registration = registrations; registration;
         registration = registration->next) {
        if (vf_is_owner(registration->owner, driver) ||
            vf_is_owner((void *)registration->function, driver)) {
            sched_unlock();
            vf_violation(VfObjectLeak,
                         "driver %s was unloaded with a callback function registered (%p)", driver,
                         (void *)registration->function);
        }
    }
    sched_unlock();
}

__attribute__((constructor)) static void register_check(void)
{
    vf_at_unload(check_unload);
}

NT_EXPORT(NTOSKRNL, ExCreateCallback);
NT_EXPORT(NTOSKRNL, ExRegisterCallback);
NT_EXPORT(NTOSKRNL, ExUnregisterCallback);
NT_EXPORT(NTOSKRNL, ExNotifyCallback);
