/*
 * Volumes: the filter manager's device on top of a file system's.
 *
 * WDK: FltGetVolumeFromName, FltGetVolumeName, FltGetVolumeProperties, FltGetDeviceObject.
 */
#include "context.h"
#include "../io/device.h"
#include "names.h"
#include "op.h"
#include <nthost/io.h>
#include <stdlib.h>
#include <string.h>

static PFLT_VOLUME create(PDEVICE_OBJECT fs_device, PCUNICODE_STRING name)
{
    PFLT_VOLUME volume = aligned_alloc(64, (sizeof(*volume) + 63) & ~(size_t)63);
    if (volume == NULL)
        return NULL;
    memset(volume, 0, sizeof(*volume));
    flt_object_init(&volume->object, FLT_TYPE_VOLUME);
    rundown_init(&volume->entering);
    InitializeListHead(&volume->contexts);
    volume->file_system = fs_device;
    if (NT_SUCCESS(flt_copy_name(&volume->name, name)) && NT_SUCCESS(flt_view_replace(volume)))
        return volume;
    flt_release(volume);
    return NULL;
}

static NTSTATUS attach_device(PFLT_VOLUME volume)
{
    PDEVICE_OBJECT fs = volume->file_system;
    NTSTATUS status = io_create_device_secure(flt_driver, sizeof(PFLT_VOLUME), NULL, fs->DeviceType,
                                              fs->Characteristics & FILE_DEVICE_SECURE_OPEN, FALSE,
                                              NULL, &volume->device);
    if (!NT_SUCCESS(status))
        return status;
    *(PFLT_VOLUME *)volume->device->DeviceExtension = volume;
    volume->device->Flags |= fs->Flags & (DO_BUFFERED_IO | DO_DIRECT_IO);
    status = IoAttachDeviceToDeviceStackSafe(volume->device, fs, &volume->below);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(volume->device);
        return status;
    }
    volume->device->Flags &= ~(ULONG)DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

/* Any device of the stack; flt_lock() is held. */
PFLT_VOLUME flt_volume_of_device(PDEVICE_OBJECT device)
{
    for (LIST_ENTRY *e = flt_volumes.Flink; e != &flt_volumes; e = e->Flink) {
        PFLT_VOLUME volume = CONTAINING_RECORD(e, struct _FLT_VOLUME, link);
        if (volume->file_system == device || volume->device == device || volume->below == device)
            return volume;
    }
    return NULL;
}

NTSTATUS flt_volume_attach(PDEVICE_OBJECT fs_device, PCUNICODE_STRING name)
{
    flt_gate_enter();
    flt_lock();
    bool there = flt_volume_of_device(fs_device) != NULL;
    flt_unlock();
    NTSTATUS status = STATUS_FLT_VOLUME_ALREADY_MOUNTED;
    PFLT_VOLUME volume = NULL;
    if (!there) {
        volume = create(fs_device, name);
        status = volume ? attach_device(volume) : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (!NT_SUCCESS(status)) {
        if (volume != NULL) {
            flt_view_forget(volume);
            flt_release(volume);
        }
        flt_gate_leave();
        return status;
    }
    flt_lock();
    InsertTailList(&flt_volumes, &volume->link);
    flt_unlock();
    for (LIST_ENTRY *e = flt_filters.Flink; e != &flt_filters; e = e->Flink) {
        PFLT_FILTER filter = CONTAINING_RECORD(e, struct _FLT_FILTER, link);
        if (filter->started && !filter->unloading)
            flt_attach_automatic(filter, volume, FLTFL_INSTANCE_SETUP_NEWLY_MOUNTED_VOLUME);
    }
    flt_gate_leave();
    return STATUS_SUCCESS;
}

void flt_volume_detach(PDEVICE_OBJECT fs_device)
{
    flt_gate_enter();
    flt_lock();
    PFLT_VOLUME volume = flt_volume_of_device(fs_device);
    if (volume != NULL)
        volume->detaching = true;
    flt_unlock();
    if (volume == NULL) {
        flt_gate_leave();
        return;
    }
    while (volume->count != 0)
        flt_instance_detach(volume->instances[0], FLTFL_INSTANCE_TEARDOWN_VOLUME_DISMOUNT);
    flt_lock();
    RemoveEntryList(&volume->link);
    flt_unlock();
    flt_object_close(&volume->object, "a volume", "a filter");
    flt_contexts_delete_volume(volume);
    flt_gate_leave();
    IoDetachDevice(volume->below);
    rundown_end();
    IoDeleteDevice(volume->device);
    flt_view_forget(volume);
    flt_names_forget(volume);
    flt_release(volume);
}

/* Finding volumes */

static NTSTATUS find_by_device(PDEVICE_OBJECT device, PFLT_VOLUME *out)
{
    flt_lock();
    PFLT_VOLUME volume = flt_volume_of_device(device);
    if (volume != NULL)
        flt_hold(volume);
    flt_unlock();
    return flt_return(volume, STATUS_FLT_VOLUME_NOT_FOUND, (void **)out);
}

/* "C:" is what "\??\C:" leads to; a backslash at the end does not count. */
NTSTATUS flt_volume_by_name(PCUNICODE_STRING name, PFLT_VOLUME *out)
{
    WCHAR text[FLT_MAX_NAME + 4];
    unsigned chars = name->Length / sizeof(WCHAR), head = 0;
    void *device;
    *out = NULL;
    while (chars != 0 && name->Buffer[chars - 1] == '\\')
        chars--;
    if (chars == 0 || chars > FLT_MAX_NAME)
        return STATUS_INVALID_PARAMETER;
    if (name->Buffer[0] != '\\') {
        memcpy(text, L"\\??\\", 4 * sizeof(WCHAR));
        head = 4;
    }
    memcpy(text + head, name->Buffer, chars * sizeof(WCHAR));
    if (chars > 2 && text[0] == '\\' && text[1] == '\\' && text[2] == '?') /* \\?\Volume{...} */
        text[1] = '?';
    UNICODE_STRING path = {(USHORT)((head + chars) * sizeof(WCHAR)), sizeof(text), text};
    NTSTATUS status = ob_lookup(&path, &device, NULL);
    if (!NT_SUCCESS(status))
        return STATUS_FLT_VOLUME_NOT_FOUND;
    status = ob_type_of(device) == &ob_device_type ? find_by_device(device, out)
                                                   : STATUS_FLT_VOLUME_NOT_FOUND;
    ob_dereference(device);
    return status;
}

/* Exports */

NTSTATUS NTAPI FltGetVolumeFromName(PFLT_FILTER Filter, PCUNICODE_STRING VolumeName,
                                    PFLT_VOLUME *RetVolume)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    return flt_volume_by_name(VolumeName, RetVolume);
}
NT_EXPORT(FLTMGR, FltGetVolumeFromName);

NTSTATUS NTAPI FltGetVolumeFromFileObject(PFLT_FILTER Filter, PFILE_OBJECT FileObject,
                                          PFLT_VOLUME *RetVolume)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    return find_by_device(FileObject->DeviceObject, RetVolume);
}
NT_EXPORT(FLTMGR, FltGetVolumeFromFileObject);

NTSTATUS NTAPI FltGetVolumeFromDeviceObject(PFLT_FILTER Filter, PDEVICE_OBJECT DeviceObject,
                                            PFLT_VOLUME *RetVolume)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Filter, FLT_TYPE_FILTER, __func__);
    return find_by_device(DeviceObject, RetVolume);
}
NT_EXPORT(FLTMGR, FltGetVolumeFromDeviceObject);

NTSTATUS NTAPI FltGetVolumeFromInstance(PFLT_INSTANCE Instance, PFLT_VOLUME *RetVolume)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    flt_hold(Instance->volume);
    return flt_return(Instance->volume, STATUS_FLT_VOLUME_NOT_FOUND, (void **)RetVolume);
}
NT_EXPORT(FLTMGR, FltGetVolumeFromInstance);

NTSTATUS NTAPI FltGetFilterFromInstance(PFLT_INSTANCE Instance, PFLT_FILTER *RetFilter)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Instance, FLT_TYPE_INSTANCE, __func__);
    flt_hold(Instance->filter);
    return flt_return(Instance->filter, STATUS_FLT_FILTER_NOT_FOUND, (void **)RetFilter);
}
NT_EXPORT(FLTMGR, FltGetFilterFromInstance);

NTSTATUS NTAPI FltGetVolumeName(PFLT_VOLUME Volume, PUNICODE_STRING VolumeName,
                                PULONG BufferSizeNeeded)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    return flt_return_name(&Volume->name, VolumeName, BufferSizeNeeded);
}
NT_EXPORT(FLTMGR, FltGetVolumeName);

NTSTATUS NTAPI FltGetDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    ob_reference(Volume->device);
    *DeviceObject = Volume->device;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltGetDeviceObject);

NTSTATUS NTAPI FltGetDiskDeviceObject(PFLT_VOLUME Volume, PDEVICE_OBJECT *DiskDeviceObject)
{
    VF_ENTRY(APC_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    *DiskDeviceObject = NULL;
    return STATUS_FLT_NO_DEVICE_OBJECT; /* a backing folder has no disk */
}
NT_EXPORT(FLTMGR, FltGetDiskDeviceObject);

BOOLEAN NTAPI FltIsFltMgrVolumeDeviceObject(PDEVICE_OBJECT DeviceObject)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return DeviceObject->DriverObject == flt_driver;
}
NT_EXPORT(FLTMGR, FltIsFltMgrVolumeDeviceObject);

NTSTATUS NTAPI FltGetFileSystemType(PVOID FltObject, PFLT_FILESYSTEM_TYPE FileSystemType)
{
    VF_ENTRY(APC_LEVEL);
    UNREFERENCED_PARAMETER(FltObject);
    *FileSystemType = FLT_FSTYPE_NTFS;
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltGetFileSystemType);

NTSTATUS NTAPI FltIsVolumeWritable(PVOID FltObject, PBOOLEAN IsWritable)
{
    VF_ENTRY(PASSIVE_LEVEL);
    PFLT_VOLUME volume = ((struct flt_object *)FltObject)->type == FLT_TYPE_INSTANCE
                             ? ((PFLT_INSTANCE)FltObject)->volume
                             : FltObject;
    *IsWritable = !(volume->file_system->Characteristics & FILE_READ_ONLY_DEVICE);
    return STATUS_SUCCESS;
}
NT_EXPORT(FLTMGR, FltIsVolumeWritable);

static void place(UNICODE_STRING *out, UCHAR **at, PCUNICODE_STRING text)
{
    memcpy(*at, text->Buffer, text->Length);
    *out = (UNICODE_STRING){text->Length, text->Length, (PWCH)*at};
    *at += text->Length;
}

NTSTATUS NTAPI FltGetVolumeProperties(PFLT_VOLUME Volume, PFLT_VOLUME_PROPERTIES VolumeProperties,
                                      ULONG VolumePropertiesLength, PULONG LengthReturned)
{
    VF_ENTRY(PASSIVE_LEVEL);
    flt_check(Volume, FLT_TYPE_VOLUME, __func__);
    PDEVICE_OBJECT fs = Volume->file_system;
    PCUNICODE_STRING driver = &fs->DriverObject->DriverName;
    FLT_VOLUME_PROPERTIES properties = {.DeviceType = fs->DeviceType,
                                        .DeviceCharacteristics = fs->Characteristics,
                                        .DeviceObjectFlags = fs->Flags,
                                        .AlignmentRequirement = fs->AlignmentRequirement,
                                        .SectorSize = fs->SectorSize ? fs->SectorSize : 512};
    ULONG needed = sizeof(properties) + driver->Length + 2u * Volume->name.Length;
    if (VolumeProperties == NULL || VolumePropertiesLength < sizeof(properties)) {
        *LengthReturned = needed;
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (VolumePropertiesLength >= needed) {
        UCHAR *at = (UCHAR *)(VolumeProperties + 1);
        place(&properties.FileSystemDriverName, &at, driver);
        place(&properties.FileSystemDeviceName, &at, &Volume->name);
        place(&properties.RealDeviceName, &at, &Volume->name);
        *LengthReturned = needed;
    } else {
        *LengthReturned = sizeof(properties);
    }
    memcpy(VolumeProperties, &properties, sizeof(properties));
    return VolumePropertiesLength >= needed ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
}
NT_EXPORT(FLTMGR, FltGetVolumeProperties);
