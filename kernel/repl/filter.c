/*
 * The minifilter: not registered with FltMgr in this build; the driver's other half.
 */
#include "filter.h"

#include "sync.h"

static DRIVER_UNLOAD RplUnload;

_Use_decl_annotations_ static VOID RplUnload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
    RplDriverEnd();
}

NTSTATUS RplFilterRegister(VOID)
{
    Repl.DriverObject->DriverUnload = RplUnload;
    return STATUS_SUCCESS;
}

VOID RplFilterUnregister(VOID)
{
}

_Use_decl_annotations_ NTSTATUS RplFilterCheckVolume(const UNICODE_STRING *Volume)
{
    PDEVICE_OBJECT device;
    PFILE_OBJECT file;
    NTSTATUS status =
        IoGetDeviceObjectPointer((PUNICODE_STRING)Volume, FILE_READ_ATTRIBUTES, &file, &device);

    if (NT_SUCCESS(status))
    {
        ObDereferenceObject(file);
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS RplSyncFolder(RPL_CALL *Call)
{
    return RplRefuse(Call, ReplRefusalFile, STATUS_NOT_SUPPORTED);
}

_Use_decl_annotations_ NTSTATUS RplSyncFile(RPL_CALL *Call)
{
    return RplRefuse(Call, ReplRefusalFile, STATUS_NOT_SUPPORTED);
}

_Use_decl_annotations_ NTSTATUS RplSyncRange(RPL_CALL *Call)
{
    return RplRefuse(Call, ReplRefusalFile, STATUS_NOT_SUPPORTED);
}
