/*
 * FsRtlRegisterFileSystemFilterCallbacks, and calling what was registered: for each device on a
 * file's stack, from the top down, then in the opposite order.
 *
 * WDK: FsRtlRegisterFileSystemFilterCallbacks, FS_FILTER_CALLBACKS, FS_FILTER_CALLBACK_DATA.
 */
#include "fsp.h"
#include "../io/device.h"
#include <nthost/export.h>
#include <string.h>

#define MAX_STACK 16

static char extension_id; /* its address: of the driver object extension with the callbacks */

NTSTATUS NTAPI FsRtlRegisterFileSystemFilterCallbacks(struct _DRIVER_OBJECT *FilterDriverObject,
                                                      PFS_FILTER_CALLBACKS Callbacks)
{
    PVOID extension;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (FilterDriverObject == NULL || Callbacks == NULL ||
        Callbacks->SizeOfFsFilterCallbacks > sizeof(*Callbacks))
        return STATUS_INVALID_PARAMETER;
    /* Kept with the driver object, so that it goes with it. */
    NTSTATUS status = IoAllocateDriverObjectExtension(FilterDriverObject, &extension_id,
                                                      sizeof(*Callbacks), &extension);
    if (NT_SUCCESS(status)) {
        memset(extension, 0, sizeof(*Callbacks));
        memcpy(extension, Callbacks, Callbacks->SizeOfFsFilterCallbacks);
    }
    return status;
}
NT_EXPORT(NTOSKRNL, FsRtlRegisterFileSystemFilterCallbacks);

struct level {
    PDEVICE_OBJECT device;
    const FS_FILTER_CALLBACKS *callbacks;
    PVOID context;
};

/* Devices with callbacks, from the top down. */
static unsigned list_levels(PFILE_OBJECT file, struct level levels[MAX_STACK])
{
    PDEVICE_OBJECT stack[MAX_STACK];
    unsigned depth = 0, count = 0;
    device_lock();
    for (PDEVICE_OBJECT device = file->DeviceObject->AttachedDevice;
         device != NULL && depth < MAX_STACK; device = device->AttachedDevice)
        stack[depth++] = device;
    device_unlock();
    while (depth-- > 0) {
        const FS_FILTER_CALLBACKS *callbacks =
            IoGetDriverObjectExtension(stack[depth]->DriverObject, &extension_id);
        if (callbacks != NULL)
            levels[count++] = (struct level){stack[depth], callbacks, NULL};
    }
    return count;
}

struct pair {
    PFS_FILTER_CALLBACK pre;
    PFS_FILTER_COMPLETION_CALLBACK post;
    UCHAR operation;
};

static struct pair pair_of(const FS_FILTER_CALLBACKS *c, enum fs_sync kind, bool acquire)
{
    switch (kind) {
    case FS_SYNC_SECTION:
        return acquire ? (struct pair){c->PreAcquireForSectionSynchronization,
                                       c->PostAcquireForSectionSynchronization,
                                       FS_FILTER_ACQUIRE_FOR_SECTION_SYNCHRONIZATION}
                       : (struct pair){c->PreReleaseForSectionSynchronization,
                                       c->PostReleaseForSectionSynchronization,
                                       FS_FILTER_RELEASE_FOR_SECTION_SYNCHRONIZATION};
    case FS_SYNC_CC_FLUSH:
        return acquire ? (struct pair){c->PreAcquireForCcFlush, c->PostAcquireForCcFlush,
                                       FS_FILTER_ACQUIRE_FOR_CC_FLUSH}
                       : (struct pair){c->PreReleaseForCcFlush, c->PostReleaseForCcFlush,
                                       FS_FILTER_RELEASE_FOR_CC_FLUSH};
    default:
        return acquire ? (struct pair){c->PreAcquireForModifiedPageWriter,
                                       c->PostAcquireForModifiedPageWriter,
                                       FS_FILTER_ACQUIRE_FOR_MOD_WRITE}
                       : (struct pair){c->PreReleaseForModifiedPageWriter,
                                       c->PostReleaseForModifiedPageWriter,
                                       FS_FILTER_RELEASE_FOR_MOD_WRITE};
    }
}

/* All levels' Pre, then Post of those whose Pre said success. */
static NTSTATUS call_levels(PFILE_OBJECT file, enum fs_sync kind, bool acquire,
                            const FS_FILTER_PARAMETERS *parameters)
{
    struct level levels[MAX_STACK];
    unsigned count = list_levels(file, levels), entered = 0;
    NTSTATUS status = STATUS_SUCCESS;
    FS_FILTER_CALLBACK_DATA data = {
        .SizeOfFsFilterCallbackData = sizeof(data), .FileObject = file, .Parameters = *parameters};
    for (; entered < count && status == STATUS_SUCCESS; entered++) {
        struct pair pair = pair_of(levels[entered].callbacks, kind, acquire);
        data.Operation = pair.operation;
        data.DeviceObject = levels[entered].device;
        if (pair.pre != NULL) {
            struct vf_call call = vf_call_begin_of("an FsFilter callback", pair.pre);
            status = pair.pre(&data, &levels[entered].context);
            vf_call_end(&call);
        }
        if (status != STATUS_SUCCESS)
            break;
    }
    while (entered-- > 0) {
        struct pair pair = pair_of(levels[entered].callbacks, kind, acquire);
        data.DeviceObject = levels[entered].device;
        if (pair.post != NULL) {
            struct vf_call call = vf_call_begin_of("an FsFilter callback", pair.post);
            pair.post(&data, status, levels[entered].context);
            vf_call_end(&call);
        }
    }
    if (status == STATUS_FSFILTER_OP_COMPLETED_SUCCESSFULLY)
        status = STATUS_SUCCESS;
    return status;
}

NTSTATUS fs_sync_acquire(struct fs_sync_state *state, PFILE_OBJECT file, enum fs_sync kind,
                         ULONG page_protection, LONGLONG ending_offset)
{
    FS_FILTER_PARAMETERS parameters = {0};
    FS_FILTER_SECTION_SYNC_OUTPUT output = {.StructureSize = sizeof(output)};
    *state = (struct fs_sync_state){.kind = kind, .file = file};
    state->ending_offset.QuadPart = ending_offset;
    if (kind == FS_SYNC_SECTION) {
        parameters.AcquireForSectionSynchronization.SyncType = SyncTypeCreateSection;
        parameters.AcquireForSectionSynchronization.PageProtection = page_protection;
        parameters.AcquireForSectionSynchronization.OutputInformation = &output;
        parameters.AcquireForSectionSynchronization.AllocationAttributes =
            0x08000000; /* SEC_COMMIT */
    } else if (kind == FS_SYNC_MOD_WRITE) {
        parameters.AcquireForModifiedPageWriter.EndingOffset = &state->ending_offset;
        parameters.AcquireForModifiedPageWriter.ResourceToRelease = &state->resource;
    }
    return call_levels(file, kind, true, &parameters);
}

void fs_sync_release(struct fs_sync_state *state)
{
    FS_FILTER_PARAMETERS parameters = {0};
    if (state->kind == FS_SYNC_MOD_WRITE)
        parameters.ReleaseForModifiedPageWriter.ResourceToRelease = state->resource;
    call_levels(state->file, state->kind, false, &parameters);
}
