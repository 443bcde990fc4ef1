/*
 * Descriptions of filters, instances and volumes.
 *
 * WDK: FltGetFilterInformation, FltGetInstanceInformation, FltGetVolumeInformation.
 */
#include "flt.h"
#include <string.h>

/* A structure that grows by the strings behind it. */
struct writing {
    UCHAR *at;
    ULONG room, used;
};

static void begin(struct writing *w, PVOID buffer, ULONG room, ULONG head)
{
    *w = (struct writing){buffer, room, head};
    if (buffer != NULL && room >= head)
        memset(buffer, 0, head);
}

/* True: the whole structure will fit so far. */
static bool put(struct writing *w, PCUNICODE_STRING text, USHORT *length, USHORT *offset)
{
    bool fits = w->used + text->Length <= w->room;
    if (fits) {
        memcpy(w->at + w->used, text->Buffer, text->Length);
        *length = text->Length;
        if (offset != NULL)
            *offset = (USHORT)w->used;
    }
    w->used += text->Length;
    return fits;
}

static NTSTATUS end(const struct writing *w, PULONG returned)
{
    *returned = w->used;
    return w->used <= w->room ? STATUS_SUCCESS : STATUS_BUFFER_TOO_SMALL;
}

static ULONG instances_of(PFLT_FILTER filter)
{
    ULONG count = 0;
    flt_lock();
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink) {
        PFLT_VOLUME volume = CONTAINING_RECORD(e, struct _FLT_VOLUME, link);
        for (unsigned i = 0; i < volume->count; i++)
            count += volume->instances[i]->filter == filter;
    }
    flt_unlock();
    return count;
}

NTSTATUS NTAPI FltGetFilterInformation(PFLT_FILTER Filter,
                                       FILTER_INFORMATION_CLASS InformationClass, PVOID Buffer,
                                       ULONG BufferSize, PULONG BytesReturned)
{
    struct writing w;
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    const UNICODE_STRING *altitude = &Filter->definitions[Filter->default_definition].altitude;
    if (InformationClass == FilterFullInformation) {
        PFILTER_FULL_INFORMATION info = Buffer;
        begin(&w, Buffer, BufferSize, FIELD_OFFSET(FILTER_FULL_INFORMATION, FilterNameBuffer));
        if (BufferSize < w.used || !put(&w, &Filter->name, &info->FilterNameLength, NULL)) {
            *BytesReturned = FIELD_OFFSET(FILTER_FULL_INFORMATION, FilterNameBuffer) +
                             (ULONG)Filter->name.Length;
            return STATUS_BUFFER_TOO_SMALL;
        }
        info->NumberOfInstances = instances_of(Filter);
        return end(&w, BytesReturned);
    }
    if (InformationClass != FilterAggregateBasicInformation)
        return STATUS_INVALID_PARAMETER;
    PFILTER_AGGREGATE_BASIC_INFORMATION info = Buffer;
    begin(&w, Buffer, BufferSize, sizeof(*info));
    if (BufferSize < sizeof(*info)) {
        *BytesReturned = (ULONG)sizeof(*info) + Filter->name.Length + altitude->Length;
        return STATUS_BUFFER_TOO_SMALL;
    }
    info->Flags = FLTFL_AGGREGATE_INFO_IS_MINIFILTER;
    info->Type.MiniFilter.NumberOfInstances = instances_of(Filter);
    put(&w, &Filter->name, &info->Type.MiniFilter.FilterNameLength,
        &info->Type.MiniFilter.FilterNameBufferOffset);
    put(&w, altitude, &info->Type.MiniFilter.FilterAltitudeLength,
        &info->Type.MiniFilter.FilterAltitudeBufferOffset);
    return end(&w, BytesReturned);
}
NT_EXPORT(FLTMGR, FltGetFilterInformation);

NTSTATUS NTAPI FltGetInstanceInformation(PFLT_INSTANCE Instance,
                                         INSTANCE_INFORMATION_CLASS InformationClass, PVOID Buffer,
                                         ULONG BufferSize, PULONG BytesReturned)
{
    static const ULONG heads[] = {sizeof(INSTANCE_BASIC_INFORMATION),
                                  sizeof(INSTANCE_PARTIAL_INFORMATION),
                                  sizeof(INSTANCE_FULL_INFORMATION)};
    struct writing w;
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    if ((ULONG)InformationClass > InstanceFullInformation)
        return STATUS_INVALID_PARAMETER;
    /* The three begin alike. */
    PINSTANCE_FULL_INFORMATION info = Buffer;
    begin(&w, Buffer, BufferSize, heads[InformationClass]);
    if (BufferSize < heads[InformationClass]) {
        *BytesReturned = heads[InformationClass] + FLT_MAX_NAME;
        return STATUS_BUFFER_TOO_SMALL;
    }
    put(&w, &Instance->name, &info->InstanceNameLength, &info->InstanceNameBufferOffset);
    if (InformationClass >= InstancePartialInformation)
        put(&w, &Instance->altitude, &info->AltitudeLength, &info->AltitudeBufferOffset);
    if (InformationClass >= InstanceFullInformation) {
        put(&w, &Instance->volume->name, &info->VolumeNameLength, &info->VolumeNameBufferOffset);
        put(&w, &Instance->filter->name, &info->FilterNameLength, &info->FilterNameBufferOffset);
    }
    return end(&w, BytesReturned);
}
NT_EXPORT(FLTMGR, FltGetInstanceInformation);

NTSTATUS NTAPI FltGetVolumeInformation(PFLT_VOLUME Volume,
                                       FILTER_VOLUME_INFORMATION_CLASS InformationClass,
                                       PVOID Buffer, ULONG BufferSize, PULONG BytesReturned)
{
    struct writing w;
    USHORT unused;
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    ULONG head = InformationClass == FilterVolumeBasicInformation
                     ? FIELD_OFFSET(FILTER_VOLUME_BASIC_INFORMATION, FilterVolumeName)
                     : FIELD_OFFSET(FILTER_VOLUME_STANDARD_INFORMATION, FilterVolumeName);
    if (BufferSize < head + Volume->name.Length) {
        *BytesReturned = head + Volume->name.Length;
        return STATUS_BUFFER_TOO_SMALL;
    }
    begin(&w, Buffer, BufferSize, head);
    if (InformationClass == FilterVolumeBasicInformation) {
        put(&w, &Volume->name, &((PFILTER_VOLUME_BASIC_INFORMATION)Buffer)->FilterVolumeNameLength,
            &unused);
    } else {
        ((PFILTER_VOLUME_STANDARD_INFORMATION)Buffer)->FileSystemType = FLT_FSTYPE_NTFS;
        put(&w, &Volume->name,
            &((PFILTER_VOLUME_STANDARD_INFORMATION)Buffer)->FilterVolumeNameLength, &unused);
    }
    return end(&w, BytesReturned);
}
NT_EXPORT(FLTMGR, FltGetVolumeInformation);
