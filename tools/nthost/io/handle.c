/*
 * Handle tables. A handle is (index + 1) * 4; those of the kernel's table have the top 33 bits set,
 * as on Windows, so that a handle's value tells its table.
 *
 * A table's lock guards its entries; objects are closed and released outside it.
 *
 * WDK: "Object Handles", ObReferenceObjectByHandle, ObOpenObjectByPointer, ZwClose.
 */
#include "ob.h"
#include "process.h"
#include <nthost/export.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_HANDLE 0xffffffff80000000ull
#define MAX_HANDLES   (1u << 20)

struct handle {
    void *object; /* NULL: free */
    ACCESS_MASK granted;
    char driver[32];
};

struct ob_handles {
    pthread_mutex_t mutex;
    struct handle *entries;
    unsigned count, hint;
};

struct ob_handles *ob_kernel_handles;

struct ob_handles *ob_handles_create(void)
{
    struct ob_handles *table = calloc(1, sizeof(*table));
    if (table != NULL)
        pthread_mutex_init(&table->mutex, NULL);
    return table;
}

void ob_handles_close_all(struct ob_handles *table)
{
    for (unsigned i = 0; i < table->count; i++)
        ob_handle_close(table, (HANDLE)(ULONG_PTR)((i + 1) * 4));
}

void ob_handles_destroy(struct ob_handles *table)
{
    ob_handles_close_all(table);
    pthread_mutex_destroy(&table->mutex);
    free(table->entries);
    free(table);
}

struct ob_handles *ob_handles_for(ULONG attributes)
{
    return attributes & OBJ_KERNEL_HANDLE ? ob_kernel_handles : process_current()->handles;
}

static HANDLE handle_of(const struct ob_handles *table, unsigned index)
{
    ULONG_PTR value = (index + 1) * 4ull;
    return (HANDLE)(table == ob_kernel_handles ? value | KERNEL_HANDLE : value);
}

/* The entry, or NULL; the table is locked. The two low bits of a handle are free for its user. */
static struct handle *entry_of(struct ob_handles *table, HANDLE handle)
{
    ULONG_PTR value = (ULONG_PTR)handle & ~(ULONG_PTR)3;
    if (table == ob_kernel_handles)
        value &= ~KERNEL_HANDLE;
    if (value == 0 || value / 4 > table->count || table->entries[value / 4 - 1].object == NULL)
        return NULL;
    return &table->entries[value / 4 - 1];
}

NTSTATUS ob_handle_open(struct ob_handles *table, void *object, ACCESS_MASK granted, HANDLE *handle)
{
    NTSTATUS status = STATUS_SUCCESS;
    char driver[32];
    ob_note_driver(driver);
    pthread_mutex_lock(&table->mutex);
    unsigned index = table->hint;
    while (index < table->count && table->entries[index].object != NULL)
        index++;
    if (index == table->count) {
        unsigned count = table->count ? table->count * 2 : 16;
        struct handle *bigger =
            count > MAX_HANDLES ? NULL : realloc(table->entries, count * sizeof(*bigger));
        if (bigger == NULL) {
            status = STATUS_INSUFFICIENT_RESOURCES;
        } else {
            memset(bigger + table->count, 0, (count - table->count) * sizeof(*bigger));
            table->entries = bigger;
            table->count = count;
        }
    }
    if (NT_SUCCESS(status)) {
        struct handle *entry = &table->entries[index];
        ob_reference(object);
        atomic_fetch_add(&ob_header_of(object)->handles, 1);
        entry->object = object;
        entry->granted = granted;
        memcpy(entry->driver, driver, sizeof(driver));
        table->hint = index + 1;
        *handle = handle_of(table, index);
    }
    pthread_mutex_unlock(&table->mutex);
    return status;
}

NTSTATUS ob_handle_lookup(struct ob_handles *table, HANDLE handle, const struct ob_type *type,
                          void **object, ACCESS_MASK *granted)
{
    NTSTATUS status = STATUS_SUCCESS;
    pthread_mutex_lock(&table->mutex);
    struct handle *entry = entry_of(table, handle);
    if (entry == NULL) {
        status = STATUS_INVALID_HANDLE;
    } else if (type != NULL && ob_type_of(entry->object) != type) {
        status = STATUS_OBJECT_TYPE_MISMATCH;
    } else {
        ob_reference(entry->object);
        *object = entry->object;
        if (granted != NULL)
            *granted = entry->granted;
    }
    pthread_mutex_unlock(&table->mutex);
    return status;
}

NTSTATUS ob_handle_close(struct ob_handles *table, HANDLE handle)
{
    void *object = NULL;
    ULONG in_process = 0, left = 0;
    pthread_mutex_lock(&table->mutex);
    struct handle *entry = entry_of(table, handle);
    if (entry != NULL) {
        unsigned index = (unsigned)(entry - table->entries);
        object = entry->object;
        entry->object = NULL;
        if (index < table->hint)
            table->hint = index;
        left = (ULONG)atomic_fetch_sub(&ob_header_of(object)->handles, 1) - 1;
        for (unsigned i = 0; left != 0 && i < table->count; i++)
            in_process += table->entries[i].object == object;
    }
    pthread_mutex_unlock(&table->mutex);
    if (object == NULL)
        return STATUS_INVALID_HANDLE;
    const struct ob_type *type = ob_type_of(object);
    if (type->close != NULL)
        type->close(object, in_process, left);
    ob_dereference(object);
    return STATUS_SUCCESS;
}

/* The first handle that a driver left open in this table, or 0; its object's type in *type. */
HANDLE ob_handle_left_by(struct ob_handles *table, const char *driver, const char **type)
{
    HANDLE handle = NULL;
    pthread_mutex_lock(&table->mutex);
    for (unsigned i = 0; handle == NULL && i < table->count; i++)
        if (table->entries[i].object != NULL && strcmp(table->entries[i].driver, driver) == 0) {
            handle = handle_of(table, i);
            *type = ob_type_of(table->entries[i].object)->name;
        }
    pthread_mutex_unlock(&table->mutex);
    return handle;
}

static struct ob_handles *table_of(HANDLE handle)
{
    return ((ULONG_PTR)handle & KERNEL_HANDLE) == KERNEL_HANDLE ? ob_kernel_handles
                                                                : process_current()->handles;
}

NTSTATUS ob_lookup_handle(HANDLE handle, const struct ob_type *type, void **object,
                          ACCESS_MASK *granted)
{
    if (handle == ZwCurrentProcess()) {
        if (type != NULL && type != &ob_process_type)
            return STATUS_OBJECT_TYPE_MISMATCH;
        *object = process_current();
        ob_reference(*object);
        if (granted != NULL)
            *granted = PROCESS_ALL_ACCESS;
        return STATUS_SUCCESS;
    }
    return ob_handle_lookup(table_of(handle), handle, type, object, granted);
}

/* Exports */

NTSTATUS NTAPI ObReferenceObjectByHandle(HANDLE Handle, ACCESS_MASK DesiredAccess,
                                         POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode,
                                         PVOID *Object,
                                         POBJECT_HANDLE_INFORMATION HandleInformation)
{
    ACCESS_MASK granted;
    VF_ENTRY(PASSIVE_LEVEL);
    *Object = NULL;
    /* On Windows a kernel handle is invalid to user mode, whose handles are its own process's. */
    if (AccessMode == UserMode && ((ULONG_PTR)Handle & KERNEL_HANDLE) == KERNEL_HANDLE &&
        Handle != ZwCurrentProcess())
        return STATUS_INVALID_HANDLE;
    NTSTATUS status =
        ob_lookup_handle(Handle, (const struct ob_type *)ObjectType, Object, &granted);
    if (!NT_SUCCESS(status))
        return status;
    if (AccessMode == UserMode && (DesiredAccess & ~granted) != 0) {
        ob_dereference(*Object);
        *Object = NULL;
        return STATUS_ACCESS_DENIED;
    }
    if (HandleInformation != NULL)
        *HandleInformation = (OBJECT_HANDLE_INFORMATION){.GrantedAccess = granted};
    return status;
}
NT_EXPORT(NTOSKRNL, ObReferenceObjectByHandle);

NTSTATUS NTAPI ObOpenObjectByPointer(PVOID Object, ULONG HandleAttributes,
                                     PACCESS_STATE PassedAccessState, ACCESS_MASK DesiredAccess,
                                     POBJECT_TYPE ObjectType, KPROCESSOR_MODE AccessMode,
                                     PHANDLE Handle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(PassedAccessState);
    UNREFERENCED_PARAMETER(AccessMode);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (ObjectType != NULL && (const struct ob_type *)ObjectType != ob_type_of(Object))
        return STATUS_OBJECT_TYPE_MISMATCH;
    return ob_handle_open(ob_handles_for(HandleAttributes), Object, DesiredAccess, Handle);
}
NT_EXPORT(NTOSKRNL, ObOpenObjectByPointer);

/* Closing what is not open in the kernel's or the system process's table is a driver's bug. */
static NTSTATUS close_handle(HANDLE handle)
{
    if (handle == ZwCurrentProcess() || handle == ZwCurrentThread())
        return STATUS_SUCCESS;
    NTSTATUS status = ob_handle_close(table_of(handle), handle);
    if (status == STATUS_INVALID_HANDLE && vf_enabled && process_current() == system_process)
        vf_violation(VfBadParameter, "handle %p is closed, but is not open", handle);
    return status;
}

NTSTATUS NTAPI ZwClose(HANDLE Handle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return close_handle(Handle);
}
NT_EXPORT(NTOSKRNL, ZwClose);

NTSTATUS NTAPI ObCloseHandle(HANDLE Handle, KPROCESSOR_MODE PreviousMode)
{
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(PreviousMode);
    return close_handle(Handle);
}
NT_EXPORT(NTOSKRNL, ObCloseHandle);
