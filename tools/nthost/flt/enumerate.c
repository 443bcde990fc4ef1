/*
 * Lists of filters, volumes and instances, and finding one's neighbours.
 *
 * WDK: FltEnumerateFilters, FltEnumerateVolumes, FltEnumerateInstances, FltGetTopInstance,
 * FltGetLowerInstance, FltCompareInstanceAltitudes.
 */
#include "flt.h"
#include <stdlib.h>

/* What was found and held under the lock becomes the caller's, referenced. */
struct found {
    void **list;
    ULONG room, count;
};

static void add(struct found *found, void *object)
{
    if (found->count < found->room) {
        flt_hold(object);
        found->list[found->count] = object;
    }
    found->count++;
}

static NTSTATUS finish(struct found *found, PULONG returned)
{
    ULONG kept = 0, listed = found->count < found->room ? found->count : found->room;
    *returned = found->count;
    for (ULONG i = 0; i < listed; i++) {
        void *object = found->list[i];
        bool all = found->count <= found->room;
        if (all && NT_SUCCESS(FltObjectReference(object)))
            found->list[kept++] = object;
        flt_release(object);
    }
    if (found->count > found->room)
        return STATUS_BUFFER_TOO_SMALL;
    *returned = kept;
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI FltEnumerateFilters(PFLT_FILTER *FilterList, ULONG FilterListSize,
                                   PULONG NumberFiltersReturned)
{
    VF_ENTRY(APC_LEVEL);
    struct found found = {(void **)FilterList, FilterList ? FilterListSize : 0, 0};
    flt_lock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != &flt_filters; e = e->Flink)
        add(&found, CONTAINING_RECORD(e, struct _FLT_FILTER, link));
    flt_unlock();
    return finish(&found, NumberFiltersReturned);
}
NT_EXPORT(FLTMGR, FltEnumerateFilters);

NTSTATUS NTAPI FltEnumerateVolumes(PFLT_FILTER Filter, PFLT_VOLUME *VolumeList,
                                   ULONG VolumeListSize, PULONG NumberVolumesReturned)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    struct found found = {(void **)VolumeList, VolumeList ? VolumeListSize : 0, 0};
    flt_lock();
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink)
        add(&found, CONTAINING_RECORD(e, struct _FLT_VOLUME, link));
    flt_unlock();
    return finish(&found, NumberVolumesReturned);
}
NT_EXPORT(FLTMGR, FltEnumerateVolumes);

NTSTATUS NTAPI FltEnumerateInstances(PFLT_VOLUME Volume, PFLT_FILTER Filter,
                                     PFLT_INSTANCE *InstanceList, ULONG InstanceListSize,
                                     PULONG NumberInstancesReturned)
{
    VF_ENTRY(APC_LEVEL);
    struct found found = {(void **)InstanceList, InstanceList ? InstanceListSize : 0, 0};
    flt_lock();
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink) {
        PFLT_VOLUME volume = CONTAINING_RECORD(e, struct _FLT_VOLUME, link);
        for (unsigned i = 0; (Volume == NULL || volume == Volume) && i < volume->count; i++)
            if (Filter == NULL || volume->instances[i]->filter == Filter)
                add(&found, volume->instances[i]);
    }
    flt_unlock();
    return finish(&found, NumberInstancesReturned);
}
NT_EXPORT(FLTMGR, FltEnumerateInstances);

/* offset from an instance (NULL: the first, or with -1 the last). */
static NTSTATUS neighbour(PFLT_VOLUME volume, PFLT_INSTANCE instance, int offset,
                          PFLT_INSTANCE *out)
{
    PFLT_INSTANCE found = NULL;
    flt_lock();
    int at = offset < 0 ? (int)volume->count : -1;
    for (unsigned i = 0; instance != NULL && i < volume->count; i++)
        if (volume->instances[i] == instance)
            at = (int)i;
    at += offset;
    if (at >= 0 && at < (int)volume->count) {
        found = volume->instances[at];
        flt_hold(found);
    }
    flt_unlock();
    return flt_return(found, STATUS_NO_MORE_ENTRIES, (void **)out);
}

NTSTATUS NTAPI FltGetTopInstance(PFLT_VOLUME Volume, PFLT_INSTANCE *Instance)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return neighbour(Volume, NULL, 1, Instance);
}
NT_EXPORT(FLTMGR, FltGetTopInstance);

NTSTATUS NTAPI FltGetBottomInstance(PFLT_VOLUME Volume, PFLT_INSTANCE *Instance)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return neighbour(Volume, NULL, -1, Instance);
}
NT_EXPORT(FLTMGR, FltGetBottomInstance);

NTSTATUS NTAPI FltGetUpperInstance(PFLT_INSTANCE CurrentInstance, PFLT_INSTANCE *UpperInstance)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(CurrentInstance, FLT_TYPE_INSTANCE, __func__);
    return neighbour(CurrentInstance->volume, CurrentInstance, -1, UpperInstance);
}
NT_EXPORT(FLTMGR, FltGetUpperInstance);

NTSTATUS NTAPI FltGetLowerInstance(PFLT_INSTANCE CurrentInstance, PFLT_INSTANCE *LowerInstance)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(CurrentInstance, FLT_TYPE_INSTANCE, __func__);
    return neighbour(CurrentInstance->volume, CurrentInstance, 1, LowerInstance);
}
NT_EXPORT(FLTMGR, FltGetLowerInstance);

NTSTATUS NTAPI FltGetVolumeInstanceFromName(PFLT_FILTER Filter, PFLT_VOLUME Volume,
                                            PCUNICODE_STRING InstanceName,
                                            PFLT_INSTANCE *RetInstance)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    flt_lock();
    PFLT_INSTANCE instance = flt_find_instance(Filter, Volume, InstanceName);
    if (instance != NULL)
        flt_hold(instance);
    flt_unlock();
    return flt_return(instance, STATUS_FLT_INSTANCE_NOT_FOUND, (void **)RetInstance);
}
NT_EXPORT(FLTMGR, FltGetVolumeInstanceFromName);

LONG NTAPI FltCompareInstanceAltitudes(PFLT_INSTANCE Instance1, PFLT_INSTANCE Instance2)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return flt_compare_altitudes(&Instance1->altitude, &Instance2->altitude);
}
NT_EXPORT(FLTMGR, FltCompareInstanceAltitudes);
