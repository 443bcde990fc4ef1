/*
 * Filters: registration, starting, unloading.
 *
 * A filter whose registration has a FilterUnloadCallback is unloaded like any driver: its
 * DriverUnload becomes the filter manager's, which calls FilterUnloadCallback with
 * FLTFL_FILTER_UNLOAD_MANDATORY. FltUnloadFilter asks first, and the filter may refuse.
 *
 * WDK: FltRegisterFilter, FltStartFiltering, FltUnregisterFilter, FltUnloadFilter,
 * PFLT_FILTER_UNLOAD_CALLBACK.
 */
#include "context.h"
#include "op.h"
#include "port.h"
#include <nthost/io.h>
#include <nthost/loader.h>
#include <nthost/setup.h>
#include <nthost/utf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NTSTATUS copy_operations(PFLT_FILTER filter, const FLT_OPERATION_REGISTRATION *from)
{
    for (; from != NULL && from->MajorFunction != IRP_MJ_OPERATION_END; from++) {
        if (!flt_is_major(from->MajorFunction) ||
            (from->PreOperation == NULL && from->PostOperation == NULL))
            return STATUS_INVALID_PARAMETER;
        filter->operations[flt_kind(from->MajorFunction)] =
            (struct flt_operation){from->PreOperation, from->PostOperation, from->Flags, true};
    }
    return STATUS_SUCCESS;
}

static NTSTATUS copy_contexts(PFLT_FILTER filter, const FLT_CONTEXT_REGISTRATION *from)
{
    unsigned count = 0;
    while (from != NULL && from[count].ContextType != FLT_CONTEXT_END)
        count++;
    filter->contexts = calloc(count + 1, sizeof(*from));
    if (filter->contexts == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (count != 0)
        memcpy(filter->contexts, from, count * sizeof(*from));
    filter->context_count = count;
    for (unsigned i = 0; i < count; i++) {
        const FLT_CONTEXT_REGISTRATION *c = &from[i];
        unsigned kinds = (unsigned)__builtin_popcount(c->ContextType);
        if (kinds != 1 || c->ContextType > FLT_SECTION_CONTEXT ||
            (c->ContextAllocateCallback == NULL) != (c->ContextFreeCallback == NULL) ||
            (c->ContextAllocateCallback == NULL && c->PoolTag == 0) ||
            (c->Size != FLT_VARIABLE_SIZED_CONTEXTS && c->Size > MAXUSHORT))
            return STATUS_FLT_INVALID_CONTEXT_REGISTRATION;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS set_up(PFLT_FILTER filter, PDRIVER_OBJECT driver,
                       const FLT_REGISTRATION *registration)
{
    filter->driver = driver;
    snprintf(filter->image, sizeof(filter->image), "%s",
             vf_owner((const void *)driver->DriverInit));
    memcpy(&filter->registration, registration,
           registration->Size < sizeof(*registration) ? registration->Size : sizeof(*registration));
    NTSTATUS status = flt_copy_name(&filter->name, &driver->DriverExtension->ServiceKeyName);
    if (NT_SUCCESS(status))
        status = copy_operations(filter, registration->OperationRegistration);
    if (NT_SUCCESS(status))
        status = copy_contexts(filter, registration->ContextRegistration);
    if (NT_SUCCESS(status))
        status = flt_read_definitions(filter);
    return status;
}

static PFLT_FILTER find_by_driver(PDRIVER_OBJECT driver)
{
    PFLT_FILTER found = NULL;
    flt_lock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != &flt_filters && found == NULL; e = e->Flink) {
        PFLT_FILTER filter = CONTAINING_RECORD(e, struct _FLT_FILTER, link);
        if (filter->driver == driver)
            found = filter;
    }
    flt_unlock();
    return found;
}

static NTSTATUS call_unload(PFLT_FILTER filter, FLT_FILTER_UNLOAD_FLAGS flags)
{
    PFLT_FILTER_UNLOAD_CALLBACK unload = filter->registration.FilterUnloadCallback;
    struct vf_call call = vf_call_begin_of("FilterUnloadCallback", unload);
    NTSTATUS status = unload(flags);
    vf_call_end(&call);
    return status;
}

/* What a minifilter's DriverUnload is. */
static VOID NTAPI unload_driver(PDRIVER_OBJECT driver)
{
    PFLT_FILTER filter = find_by_driver(driver);
    if (filter != NULL)
        call_unload(filter, FLTFL_FILTER_UNLOAD_MANDATORY);
}

/* Exports */

NTSTATUS NTAPI FltRegisterFilter(PDRIVER_OBJECT Driver, const FLT_REGISTRATION *Registration,
                                 PFLT_FILTER *RetFilter)
{
    VF_ENTRY(PASSIVE_LEVEL);
    *RetFilter = NULL;
    if (Registration->Version < FLT_REGISTRATION_VERSION_0200 ||
        Registration->Version > FLT_REGISTRATION_VERSION_0203 ||
        Registration->Size < FIELD_OFFSET(FLT_REGISTRATION, TransactionNotificationCallback))
        return STATUS_INVALID_PARAMETER;
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    PFLT_FILTER filter = aligned_alloc(64, (sizeof(*filter) + 63) & ~(size_t)63);
    if (filter == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    memset(filter, 0, sizeof(*filter));
    flt_object_init(&filter->object, FLT_TYPE_FILTER);
    InitializeListHead(&filter->all_contexts);
    InitializeListHead(&filter->ports);
    NTSTATUS status = set_up(filter, Driver, Registration);
    if (NT_SUCCESS(status) && find_by_driver(Driver) != NULL)
        status = STATUS_FLT_DUPLICATE_ENTRY;
    if (!NT_SUCCESS(status)) {
        flt_release(filter);
        return status;
    }
    flt_gate_enter();
    flt_lock();
    InsertTailList(&flt_filters, &filter->link);
    flt_unlock();
    flt_gate_leave();
    if (Registration->FilterUnloadCallback != NULL &&
        !(Registration->Flags & FLTFL_REGISTRATION_DO_NOT_SUPPORT_SERVICE_STOP))
        Driver->DriverUnload = unload_driver;
    *RetFilter = filter;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltRegisterFilter);

NTSTATUS NTAPI FltStartFiltering(PFLT_FILTER Filter)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    flt_gate_enter();
    if (Filter->unloading || Filter->started) {
        flt_gate_leave();
        return Filter->started ? STATUS_INVALID_PARAMETER : STATUS_FLT_DELETING_OBJECT;
    }
    Filter->started = true;
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink)
        flt_attach_automatic(Filter, CONTAINING_RECORD(e, struct _FLT_VOLUME, link), 0);
    flt_gate_leave();
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltStartFiltering);

static PFLT_INSTANCE any_instance(PFLT_FILTER filter)
{
    PFLT_INSTANCE instance = NULL;
    flt_lock();
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes && instance == NULL; e = e->Flink)
        instance = flt_find_instance(filter, CONTAINING_RECORD(e, struct _FLT_VOLUME, link), NULL);
    flt_unlock();
    return instance;
}

VOID NTAPI FltUnregisterFilter(PFLT_FILTER Filter)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    flt_gate_enter();
    Filter->unloading = true;
    for (PFLT_INSTANCE instance; (instance = any_instance(Filter)) != NULL;)
        flt_instance_detach(instance, FLTFL_INSTANCE_TEARDOWN_FILTER_UNLOAD);
    flt_gate_leave();
    flt_ports_close(Filter);
    flt_contexts_delete_filter(Filter);
    flt_object_close(&Filter->object, "the filter", Filter->image);
    rundown_end();
    if (vf_enabled)
        flt_contexts_check(Filter);
    if (vf_enabled && Filter->names != 0)
        vf_violation(VfFltName, "%s unregisters and has %ld FLT_FILE_NAME_INFORMATION(s) left",
                     Filter->image, (long)Filter->names);
    flt_gate_enter();
    flt_lock();
    RemoveEntryList(&Filter->link);
    flt_unlock();
    flt_gate_leave();
    flt_release(Filter);
}
NT_EXPORT(FLTMGR, FltUnregisterFilter);

NTSTATUS NTAPI FltUnloadFilter(PCUNICODE_STRING FilterName)
{
    PFLT_FILTER filter;
    VF_ENTRY(PASSIVE_LEVEL);
    NTSTATUS status = FltGetFilterFromName(FilterName, &filter);
    if (!NT_SUCCESS(status))
        return status;
    PDRIVER_OBJECT driver = filter->driver;
    bool refuses = filter->registration.FilterUnloadCallback == NULL;
    FltObjectDereference(filter);
    if (refuses)
        return STATUS_FLT_DO_NOT_DETACH;
    status = call_unload(filter, 0);
    if (!NT_SUCCESS(status))
        return status;
    driver->DriverUnload = unload_driver;
    return driver_unload(driver);
}
NT_EXPORT(FLTMGR, FltUnloadFilter);

NTSTATUS NTAPI FltLoadFilter(PCUNICODE_STRING FilterName)
{
    char name[FLT_MAX_NAME];
    struct setup_error error;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (!utf8_copy(name, sizeof(name), FilterName->Buffer, FilterName->Length / sizeof(WCHAR)))
        return STATUS_OBJECT_NAME_INVALID;
    return setup_start(name, &error);
}
NT_EXPORT(FLTMGR, FltLoadFilter);

PVOID NTAPI FltGetRoutineAddress(PCSTR FltMgrRoutineName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    return nt_export_find(FLTMGR, FltMgrRoutineName);
}
NT_EXPORT(FLTMGR, FltGetRoutineAddress);

NTSTATUS NTAPI FltGetFilterFromName(PCUNICODE_STRING FilterName, PFLT_FILTER *RetFilter)
{
    VF_ENTRY(APC_LEVEL);
    PFLT_FILTER found = NULL;
    flt_lock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != &flt_filters && found == NULL; e = e->Flink) {
        PFLT_FILTER filter = CONTAINING_RECORD(e, struct _FLT_FILTER, link);
        if (flt_same_name(&filter->name, FilterName))
            found = filter;
    }
    if (found != NULL)
        flt_hold(found);
    flt_unlock();
    return flt_return(found, STATUS_FLT_FILTER_NOT_FOUND, (void **)RetFilter);
}
NT_EXPORT(FLTMGR, FltGetFilterFromName);
