/* Is unloaded without deleting its device. */
#include "device.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD Unload;

static VOID Unload(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link;

    if (Bad) {
        RtlInitUnicodeString(&link, L"\\DosDevices\\NtswiftBad");
        IoDeleteSymbolicLink(&link);
    } else {
        DeleteBadDevice(DriverObject);
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';
    DriverObject->DriverUnload = Unload;
    return CreateBadDevice(DriverObject, SucceedIrp);
}
