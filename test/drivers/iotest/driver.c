/* iotest: a WDM driver that uses the I/O manager in as many ways as its tests need. Wiring only. */
#include "iotest.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_UNLOAD IoTestUnload;

IOTEST_GLOBALS Globals;

#ifdef ALLOC_PRAGMA
#pragma alloc_text(INIT, DriverEntry)
#pragma alloc_text(PAGE, IoTestUnload)
#endif

NTSTATUS
IoTestComplete(_Inout_ PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

/* Leaves a mark in the registry that the next life of the host can see. */
static NTSTATUS IoTestShutdown(_Inout_ PIRP Irp)
{
    ULONG one = 1;

    return IoTestComplete(Irp,
                          RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, Globals.RegistryPath.Buffer,
                                                L"Shutdown", REG_DWORD, &one, sizeof(one)),
                          0);
}

NTSTATUS
IoTestDispatch(_In_ PDEVICE_OBJECT DeviceObject, _Inout_ PIRP Irp)
{
    PIOTEST_DEVICE_EXTENSION extension = DeviceObject->DeviceExtension;
    PIO_STACK_LOCATION stack = IoGetCurrentIrpStackLocation(Irp);

    if (extension->Role == IoTestFilter) {
        return IoTestFilterDispatch(DeviceObject, Irp);
    }
    switch (stack->MajorFunction) {
    case IRP_MJ_CREATE:
        InterlockedIncrement((LONG *)&Globals.Stats.Creates);
        return IoTestComplete(Irp, STATUS_SUCCESS, FILE_OPENED);
    case IRP_MJ_CLEANUP:
        InterlockedIncrement((LONG *)&Globals.Stats.Cleanups);
        IoTestQueueCleanup(stack->FileObject);
        return IoTestComplete(Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_CLOSE:
        InterlockedIncrement((LONG *)&Globals.Stats.Closes);
        return IoTestComplete(Irp, STATUS_SUCCESS, 0);
    case IRP_MJ_SHUTDOWN:
        return IoTestShutdown(Irp);
    case IRP_MJ_READ:
    case IRP_MJ_WRITE:
        return IoTestReadWrite(DeviceObject, Irp);
    case IRP_MJ_DEVICE_CONTROL:
        return IoTestControl(DeviceObject, Irp);
    default:
        return IoTestComplete(Irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    }
}

static VOID NTAPI ProcessNotify(_Inout_ PEPROCESS Process, HANDLE ProcessId,
                                _Inout_opt_ PPS_CREATE_NOTIFY_INFO CreateInfo)
{
    UNREFERENCED_PARAMETER(Process);
    UNREFERENCED_PARAMETER(ProcessId);
    InterlockedIncrement(
        (LONG *)(CreateInfo ? &Globals.Stats.ProcessesCreated : &Globals.Stats.ProcessesEnded));
}

/* SYSTEM and Administrators may do everything, nobody else anything. */
static NTSTATUS Restrict(_In_ PDEVICE_OBJECT Device)
{
    static const struct {
        UCHAR Revision, Count;
        UCHAR Authority[6];
        ULONG Sub[2];
    } sids[] = {{1, 1, {0, 0, 0, 0, 0, 5}, {18, 0}}, {1, 2, {0, 0, 0, 0, 0, 5}, {32, 544}}};
    SECURITY_DESCRIPTOR descriptor;
    DECLSPEC_ALIGN(4) UCHAR buffer[128];
    PACL acl = (PACL)buffer;

    NTSTATUS status = RtlCreateSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION);
    if (NT_SUCCESS(status)) {
        status = RtlCreateAcl(acl, sizeof(buffer), ACL_REVISION);
    }
    for (ULONG i = 0; NT_SUCCESS(status) && i < ARRAYSIZE(sids); i++) {
        status = RtlAddAccessAllowedAce(acl, ACL_REVISION, GENERIC_ALL, (PSID)&sids[i]);
    }
    if (NT_SUCCESS(status)) {
        status = RtlSetDaclSecurityDescriptor(&descriptor, TRUE, acl, FALSE);
    }
    if (NT_SUCCESS(status)) {
        status = ObSetSecurityObjectByPointer(Device, DACL_SECURITY_INFORMATION, &descriptor);
    }
    return status;
}

static NTSTATUS CreateOne(_In_ PDRIVER_OBJECT DriverObject, _In_ PCWSTR Name, BOOLEAN Exclusive,
                          ULONG Flags, _Out_ PDEVICE_OBJECT *Device)
{
    UNICODE_STRING name;

    RtlInitUnicodeString(&name, Name);
    NTSTATUS status =
        IoCreateDevice(DriverObject, sizeof(IOTEST_DEVICE_EXTENSION), &name, FILE_DEVICE_UNKNOWN,
                       FILE_DEVICE_SECURE_OPEN, Exclusive, Device);
    if (NT_SUCCESS(status)) {
        ((PIOTEST_DEVICE_EXTENSION)(*Device)->DeviceExtension)->Role = IoTestMain;
        (*Device)->Flags |= Flags;
    }
    return status;
}

static VOID IoTestUnload(_In_ PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\IoTest");

    PAGED_CODE();
    PsSetCreateProcessNotifyRoutineEx(ProcessNotify, TRUE);
    IoDeleteSymbolicLink(&link);
    if (Globals.Main != NULL && NT_SUCCESS(IoAcquireRemoveLock(&Globals.RemoveLock, NULL))) {
        IoReleaseRemoveLockAndWait(&Globals.RemoveLock, NULL);
    }
    while (DriverObject->DeviceObject != NULL) {
        IoDeleteDevice(DriverObject->DeviceObject);
    }
    if (Globals.RegistryPath.Buffer != NULL) {
        ExFreePoolWithTag(Globals.RegistryPath.Buffer, IOTEST_TAG);
    }
}

static NTSTATUS Create(_In_ PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link = RTL_CONSTANT_STRING(L"\\DosDevices\\IoTest");
    UNICODE_STRING name = RTL_CONSTANT_STRING(IOTEST_DEVICE);
    PDEVICE_OBJECT device;

    NTSTATUS status = CreateOne(DriverObject, IOTEST_DEVICE, FALSE, DO_BUFFERED_IO, &Globals.Main);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    IoInitializeRemoveLock(&Globals.RemoveLock, IOTEST_TAG, 0, 0);
    status = CreateOne(DriverObject, IOTEST_ADMIN, FALSE, DO_BUFFERED_IO, &device);
    if (NT_SUCCESS(status)) {
        status = Restrict(device);
    }
    if (NT_SUCCESS(status)) {
        status = CreateOne(DriverObject, IOTEST_EXCLUSIVE, TRUE, DO_BUFFERED_IO, &device);
    }
    if (NT_SUCCESS(status)) {
        status = CreateOne(DriverObject, IOTEST_DIRECT, FALSE, DO_DIRECT_IO, &device);
    }
    if (NT_SUCCESS(status)) {
        status = IoRegisterShutdownNotification(Globals.Main);
    }
    if (NT_SUCCESS(status)) {
        status = IoCreateSymbolicLink(&link, &name);
    }
    return status;
}

NTSTATUS
DriverEntry(_In_ PDRIVER_OBJECT DriverObject, _In_ PUNICODE_STRING RegistryPath)
{
    RtlZeroMemory(&Globals, sizeof(Globals));
    Globals.Driver = DriverObject;
    IoTestQueueInitialize();
    for (ULONG i = 0; i <= IRP_MJ_MAXIMUM_FUNCTION; i++) {
        DriverObject->MajorFunction[i] = IoTestDispatch;
    }
    DriverObject->DriverUnload = IoTestUnload;
    Globals.RegistryPath.Buffer =
        ExAllocatePool2(POOL_FLAG_PAGED, RegistryPath->Length + sizeof(WCHAR), IOTEST_TAG);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;
    if (Globals.RegistryPath.Buffer != NULL) {
        Globals.RegistryPath.MaximumLength = RegistryPath->Length + sizeof(WCHAR);
        RtlCopyUnicodeString(&Globals.RegistryPath, RegistryPath);
        status = PsSetCreateProcessNotifyRoutineEx(ProcessNotify, FALSE);
    }
    if (NT_SUCCESS(status)) {
        status = Create(DriverObject);
    }
    if (!NT_SUCCESS(status)) {
        IoTestUnload(DriverObject);
    }
    return status;
}
