/*
 * A bad driver with a device, \\.\NtswiftBad, that breaks its rule in Control(), the dispatch
 * routine for IOCTL_BAD.
 *
 *     static DRIVER_DISPATCH Control;
 *     static NTSTATUS Control(PDEVICE_OBJECT Device, PIRP Irp) { ... if (Bad) ... }
 *     BAD_DEVICE_DRIVER(Control)
 */
#pragma once
#include "bad.h"

#define IOCTL_BAD CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_ANY_ACCESS)

static NTSTATUS CompleteIrp(PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static DRIVER_DISPATCH SucceedIrp;

static NTSTATUS SucceedIrp(PDEVICE_OBJECT Device, PIRP Irp)
{
    UNREFERENCED_PARAMETER(Device);
    return CompleteIrp(Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS CreateBadDevice(PDRIVER_OBJECT DriverObject, PDRIVER_DISPATCH Control)
{
    UNICODE_STRING name, link;
    PDEVICE_OBJECT device;
    NTSTATUS status;

    RtlInitUnicodeString(&name, L"\\Device\\NtswiftBad");
    RtlInitUnicodeString(&link, L"\\DosDevices\\NtswiftBad");
    status = IoCreateDevice(DriverObject, 0, &name, FILE_DEVICE_UNKNOWN, FILE_DEVICE_SECURE_OPEN,
                            FALSE, &device);
    if (!NT_SUCCESS(status))
        return status;
    status = IoCreateSymbolicLink(&link, &name);
    if (!NT_SUCCESS(status)) {
        IoDeleteDevice(device);
        return status;
    }
    DriverObject->MajorFunction[IRP_MJ_CREATE] = SucceedIrp;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = SucceedIrp;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = SucceedIrp;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = Control;
    return STATUS_SUCCESS;
}

static VOID DeleteBadDevice(PDRIVER_OBJECT DriverObject)
{
    UNICODE_STRING link;

    RtlInitUnicodeString(&link, L"\\DosDevices\\NtswiftBad");
    IoDeleteSymbolicLink(&link);
    if (DriverObject->DeviceObject)
        IoDeleteDevice(DriverObject->DeviceObject);
}

#define BAD_DEVICE_DRIVER(control)                                                                 \
    DRIVER_INITIALIZE DriverEntry;                                                                 \
    static DRIVER_UNLOAD BadUnload;                                                                \
    static VOID BadUnload(PDRIVER_OBJECT DriverObject)                                             \
    {                                                                                              \
        DeleteBadDevice(DriverObject);                                                             \
    }                                                                                              \
    NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)                \
    {                                                                                              \
        Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';              \
        DriverObject->DriverUnload = BadUnload;                                                    \
        return CreateBadDevice(DriverObject, control);                                             \
    }
