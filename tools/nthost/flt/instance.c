/*
 * Instances: attaching and detaching; see flt.h for the gate.
 *
 * Detaching: InstanceTeardownStart, then no new operation gets to the filter; what it pended it has
 * to complete, for what is still below its post-operations are called with
 * FLTFL_POST_OPERATION_DRAINING; then InstanceTeardownComplete, and its contexts go.
 *
 * WDK: PFLT_INSTANCE_SETUP_CALLBACK, PFLT_INSTANCE_TEARDOWN_CALLBACK, FltAttachVolume,
 * FltAttachVolumeAtAltitude, FltDetachVolume, "Writing InstanceTeardown Callback Routines".
 */
#include "context.h"
#include "op.h"
#include <stdlib.h>
#include <string.h>

FLT_RELATED_OBJECTS flt_related(PFLT_INSTANCE instance, PFILE_OBJECT file)
{
    FLT_RELATED_OBJECTS related = {.Size = sizeof(related),
                                   .Filter = instance->filter,
                                   .Volume = instance->volume,
                                   .Instance = instance,
                                   .FileObject = file};
    return related;
}

PFLT_INSTANCE flt_find_instance(PFLT_FILTER filter, PFLT_VOLUME volume, PCUNICODE_STRING name)
{
    for (unsigned i = 0; i < volume->count; i++) {
        PFLT_INSTANCE instance = volume->instances[i];
        if ((filter == NULL || instance->filter == filter) &&
            (name == NULL || name->Length == 0 || flt_same_name(&instance->name, name)))
            return instance;
    }
    return NULL;
}

static NTSTATUS check_collision(PFLT_VOLUME volume, PCUNICODE_STRING name,
                                PCUNICODE_STRING altitude)
{
    if (volume->count == FLT_MAX_INSTANCES)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; i < volume->count; i++) {
        if (flt_same_name(&volume->instances[i]->name, name))
            return STATUS_FLT_INSTANCE_NAME_COLLISION;
        if (flt_compare_altitudes(&volume->instances[i]->altitude, altitude) == 0)
            return STATUS_FLT_INSTANCE_ALTITUDE_COLLISION;
    }
    return STATUS_SUCCESS;
}

static PFLT_INSTANCE create(PFLT_FILTER filter, PFLT_VOLUME volume, PCUNICODE_STRING name,
                            PCUNICODE_STRING altitude)
{
    PFLT_INSTANCE instance = aligned_alloc(64, (sizeof(*instance) + 63) & ~(size_t)63);
    if (instance == NULL)
        return NULL;
    memset(instance, 0, sizeof(*instance));
    flt_object_init(&instance->object, FLT_TYPE_INSTANCE);
    InitializeListHead(&instance->contexts);
    InitializeListHead(&instance->own_context);
    instance->filter = filter;
    instance->volume = volume;
    flt_hold(filter);
    flt_hold(volume);
    if (NT_SUCCESS(flt_copy_name(&instance->name, name)) &&
        NT_SUCCESS(flt_copy_name(&instance->altitude, altitude)))
        return instance;
    flt_release(instance);
    return NULL;
}

static NTSTATUS call_setup(PFLT_INSTANCE instance, FLT_INSTANCE_SETUP_FLAGS flags)
{
    PFLT_INSTANCE_SETUP_CALLBACK setup = instance->filter->registration.InstanceSetupCallback;
    if (setup == NULL)
        return STATUS_SUCCESS;
    FLT_RELATED_OBJECTS related = flt_related(instance, NULL);
    struct vf_call call = vf_call_begin_of("InstanceSetupCallback", setup);
    NTSTATUS status =
        setup(&related, flags, instance->volume->file_system->DeviceType, FLT_FSTYPE_NTFS);
    vf_call_end(&call);
    return status;
}

static void call_teardown(PFLT_INSTANCE instance, PFLT_INSTANCE_TEARDOWN_CALLBACK callback,
                          const char *what, FLT_INSTANCE_TEARDOWN_FLAGS reason)
{
    if (callback == NULL)
        return;
    FLT_RELATED_OBJECTS related = flt_related(instance, NULL);
    struct vf_call call = vf_call_begin_of(what, callback);
    callback(&related, reason);
    vf_call_end(&call);
}

static void insert(PFLT_INSTANCE instance)
{
    PFLT_VOLUME volume = instance->volume;
    unsigned at = 0;
    flt_lock();
    while (at < volume->count &&
           flt_compare_altitudes(&volume->instances[at]->altitude, &instance->altitude) > 0)
        at++;
    memmove(&volume->instances[at + 1], &volume->instances[at],
            (volume->count - at) * sizeof(volume->instances[0]));
    volume->instances[at] = instance;
    volume->count++;
    flt_unlock();
}

static void take_out(PFLT_INSTANCE instance)
{
    PFLT_VOLUME volume = instance->volume;
    flt_lock();
    unsigned at = 0;
    while (at < volume->count && volume->instances[at] != instance)
        at++;
    if (at < volume->count) {
        volume->count--;
        memmove(&volume->instances[at], &volume->instances[at + 1],
                (volume->count - at) * sizeof(volume->instances[0]));
    }
    flt_unlock();
}

NTSTATUS flt_instance_attach(PFLT_FILTER filter, PFLT_VOLUME volume,
                             const struct flt_instance_definition *definition,
                             PCUNICODE_STRING altitude, FLT_INSTANCE_SETUP_FLAGS flags,
                             PFLT_INSTANCE *out)
{
    if (out != NULL)
        *out = NULL;
    if (filter->unloading || volume->detaching)
        return STATUS_FLT_DELETING_OBJECT;
    if (altitude == NULL)
        altitude = &definition->altitude;
    NTSTATUS status = check_collision(volume, &definition->name, altitude);
    if (!NT_SUCCESS(status))
        return status;
    PFLT_INSTANCE instance = create(filter, volume, &definition->name, altitude);
    if (instance == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = call_setup(instance, flags);
    if (NT_SUCCESS(status)) {
        insert(instance);
        status = flt_view_replace(volume);
        if (!NT_SUCCESS(status))
            take_out(instance);
    }
    if (!NT_SUCCESS(status)) {
        flt_object_close(&instance->object, "an instance that was not set up", filter->image);
        flt_contexts_delete_instance(instance);
        flt_release(instance);
        return status;
    }
    if (out != NULL) {
        FltObjectReference(instance);
        *out = instance;
    }
    return STATUS_SUCCESS;
}

void flt_instance_detach(PFLT_INSTANCE instance, FLT_INSTANCE_TEARDOWN_FLAGS reason)
{
    const FLT_REGISTRATION *registration = &instance->filter->registration;
    flt_lock();
    bool again = instance->detaching;
    instance->detaching = true;
    flt_unlock();
    if (again)
        return;
    call_teardown(instance, registration->InstanceTeardownStartCallback,
                  "InstanceTeardownStartCallback", reason);
    take_out(instance);
    flt_view_replace(instance->volume); /* without memory, its closed rundown keeps it out */
    flt_object_close(&instance->object, "an instance", instance->filter->image);
    flt_op_drain(instance);
    flt_object_close(&instance->object, "an instance", instance->filter->image);
    rundown_end();
    call_teardown(instance, registration->InstanceTeardownCompleteCallback,
                  "InstanceTeardownCompleteCallback", reason);
    flt_contexts_delete_instance(instance);
    flt_release(instance);
}

void flt_attach_automatic(PFLT_FILTER filter, PFLT_VOLUME volume, FLT_INSTANCE_SETUP_FLAGS flags)
{
    for (unsigned i = 0; i < filter->definition_count; i++)
        if (!(filter->definitions[i].flags & 1))
            flt_instance_attach(filter, volume, &filter->definitions[i], NULL,
                                FLTFL_INSTANCE_SETUP_AUTOMATIC_ATTACHMENT | flags, NULL);
}

/* Exports */

static NTSTATUS attach(PFLT_FILTER filter, PFLT_VOLUME volume, PCUNICODE_STRING name,
                       PCUNICODE_STRING altitude, PFLT_INSTANCE *out)
{
    struct flt_instance_definition own;
    const struct flt_instance_definition *definition = flt_definition(filter, name);
    if (out != NULL)
        *out = NULL;
    if (altitude != NULL && !flt_is_altitude(altitude))
        return STATUS_INVALID_PARAMETER;
    /* At an altitude of the caller's, an instance may have any name. */
    if (definition == NULL && altitude != NULL) {
        own = (struct flt_instance_definition){.name = *name, .altitude = *altitude};
        definition = &own;
    }
    if (definition == NULL)
        return STATUS_FLT_INSTANCE_NOT_FOUND;
    if (definition->flags & 2)
        return STATUS_FLT_DO_NOT_ATTACH;
    flt_gate_enter();
    NTSTATUS status = filter->started
                          ? flt_instance_attach(filter, volume, definition, altitude,
                                                FLTFL_INSTANCE_SETUP_MANUAL_ATTACHMENT, out)
                          : STATUS_FLT_FILTER_NOT_READY;
    flt_gate_leave();
    return status;
}

NTSTATUS NTAPI FltAttachVolume(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                               PCUNICODE_STRING InstanceName, PFLT_INSTANCE *RetInstance)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return attach(Filter, Volume, InstanceName, NULL, RetInstance);
}
NT_EXPORT(FLTMGR, FltAttachVolume);

NTSTATUS NTAPI FltAttachVolumeAtAltitude(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                                         PCUNICODE_STRING Altitude, PCUNICODE_STRING InstanceName,
                                         PFLT_INSTANCE *RetInstance)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    return attach(Filter, Volume, InstanceName, Altitude, RetInstance);
}
NT_EXPORT(FLTMGR, FltAttachVolumeAtAltitude);

NTSTATUS NTAPI FltDetachVolume(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                               PCUNICODE_STRING InstanceName)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    PFLT_INSTANCE_QUERY_TEARDOWN_CALLBACK query =
        Filter->registration.InstanceQueryTeardownCallback;
    NTSTATUS status = STATUS_FLT_INSTANCE_NOT_FOUND;
    const struct flt_instance_definition *definition = flt_definition(Filter, InstanceName);
    flt_gate_enter();
    PFLT_INSTANCE instance = flt_find_instance(
        Filter, Volume, InstanceName && InstanceName->Length ? InstanceName : &definition->name);
    if (instance != NULL && query == NULL)
        status = STATUS_FLT_DO_NOT_DETACH;
    if (instance != NULL && query != NULL) {
        FLT_RELATED_OBJECTS related = flt_related(instance, NULL);
        struct vf_call call = vf_call_begin_of("InstanceQueryTeardownCallback", query);
        status = query(&related, 0);
        vf_call_end(&call);
        if (NT_SUCCESS(status))
            flt_instance_detach(instance, FLTFL_INSTANCE_TEARDOWN_MANUAL);
    }
    flt_gate_leave();
    return status;
}
NT_EXPORT(FLTMGR, FltDetachVolume);
