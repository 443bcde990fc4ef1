/* File objects: one an open handle. WDK: wdffileobject.h, "Framework File Objects". */
#include "api.h"

static void FileDestroy(FX_OBJECT *Object);

const FX_CLASS FxFileClass = {"WDFFILEOBJECT", sizeof(FX_FILE), FALSE, TRUE, NULL, FileDestroy};

static void FileDestroy(FX_OBJECT *Object)
{
    UNREFERENCED_PARAMETER(Object);
}

static ULONG FileClass(const FX_DEVICE *Device)
{
    return (ULONG)Device->Config.File.FileObjectClass & ~(ULONG)WdfFileObjectCanBeOptional;
}

/* Where the driver leaves us a field of the FILE_OBJECT it need not be searched for. */
static PVOID *FileSlot(const FX_DEVICE *Device, PFILE_OBJECT FileObject)
{
    switch (FileClass(Device)) {
    case WdfFileObjectWdfCanUseFsContext:
        return &FileObject->FsContext;
    case WdfFileObjectWdfCanUseFsContext2:
        return &FileObject->FsContext2;
    default:
        return NULL;
    }
}

NTSTATUS FxFileCreate(FX_DEVICE *Device, PFILE_OBJECT FileObject, FX_FILE **File)
{
    PWDF_OBJECT_ATTRIBUTES attributes = &Device->Config.FileAttributes;
    FX_OBJECT *object;
    PVOID *slot;
    NTSTATUS status;
    KIRQL irql;

    *File = NULL;
    if (FileClass(Device) == WdfFileObjectNotRequired || FileObject == NULL)
        return STATUS_SUCCESS;
    status = FxObjectAllocate(Device->Object.Globals, &FxFileClass, attributes, &Device->Object,
                              &object);
    if (!NT_SUCCESS(status))
        return status;
    (*File) = (FX_FILE *)object;
    (*File)->Device = Device;
    (*File)->FileObject = FileObject;
    (*File)->ProcessId = (ULONG)(ULONG_PTR)PsGetCurrentProcessId();
    status = FxObjectPublish(object, attributes);
    if (!NT_SUCCESS(status)) {
        *File = NULL;
        FxObjectDiscard(object);
        return status;
    }
    slot = FileSlot(Device, FileObject);
    if (slot != NULL)
        *slot = *File;
    KeAcquireSpinLock(&Device->Object.Lock, &irql);
    InsertTailList(&Device->FileList, &(*File)->DeviceLink);
    KeReleaseSpinLock(&Device->Object.Lock, irql);
    return STATUS_SUCCESS;
}

FX_FILE *FxFileFind(FX_DEVICE *Device, PFILE_OBJECT FileObject)
{
    FX_FILE *found = NULL;
    PLIST_ENTRY link;
    PVOID *slot;
    KIRQL irql;

    if (FileObject == NULL || FileClass(Device) == WdfFileObjectNotRequired)
        return NULL;
    slot = FileSlot(Device, FileObject);
    if (slot != NULL)
        return *slot;
    KeAcquireSpinLock(&Device->Object.Lock, &irql);
    for (link = Device->FileList.Flink; link != &Device->FileList && found == NULL;
         link = link->Flink) {
        FX_FILE *file = CONTAINING_RECORD(link, FX_FILE, DeviceLink);
        if (file->FileObject == FileObject)
            found = file;
    }
    KeReleaseSpinLock(&Device->Object.Lock, irql);
    return found;
}

VOID FxFileForget(FX_FILE *File)
{
    PVOID *slot = FileSlot(File->Device, File->FileObject);
    KIRQL irql;

    if (slot != NULL)
        *slot = NULL;
    KeAcquireSpinLock(&File->Device->Object.Lock, &irql);
    RemoveEntryList(&File->DeviceLink);
    KeReleaseSpinLock(&File->Device->Object.Lock, irql);
    FxObjectDelete(&File->Object);
}

FX_API(PUNICODE_STRING, WdfFileObjectGetFileName)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFFILEOBJECT FileObject)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return &FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->FileObject->FileName;
}

FX_API(ULONG, WdfFileObjectGetFlags)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFFILEOBJECT FileObject)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->FileObject->Flags;
}

FX_API(WDFDEVICE, WdfFileObjectGetDevice)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                          WDFFILEOBJECT FileObject)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->Device);
}

FX_API(PFILE_OBJECT, WdfFileObjectWdmGetFileObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFFILEOBJECT FileObject)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->FileObject;
}

FX_API(ULONG, WdfFileObjectGetInitiatorProcessId)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFFILEOBJECT FileObject)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(FileObject, FX_FILE, FxFileClass)->ProcessId;
}
