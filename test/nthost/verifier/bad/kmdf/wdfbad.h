/*
 * A KMDF driver with a device, \\.\NtswiftBad, that breaks its rule in Control(), the handler of
 * IOCTL_BAD, or in Started(), which DriverEntry calls with the driver object. bad.h says how it
 * knows that it is the bad one.
 */
#pragma once
#include "../bad.h"
#include <wdf.h>
#include <wdmsec.h>

__attribute__((unused)) static NTSTATUS
CreateBadWdfDevice(WDFDRIVER Driver, PFN_WDF_IO_QUEUE_IO_DEVICE_CONTROL Control)
{
    DECLARE_CONST_UNICODE_STRING(name, L"\\Device\\NtswiftBad");
    DECLARE_CONST_UNICODE_STRING(link, L"\\DosDevices\\NtswiftBad");
    PWDFDEVICE_INIT init = WdfControlDeviceInitAllocate(Driver, &SDDL_DEVOBJ_SYS_ALL_ADM_ALL);
    WDF_IO_QUEUE_CONFIG queue;
    WDFDEVICE device;
    NTSTATUS status;

    if (!init)
        return STATUS_INSUFFICIENT_RESOURCES;
    status = WdfDeviceInitAssignName(init, &name);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreate(&init, WDF_NO_OBJECT_ATTRIBUTES, &device);
    if (!NT_SUCCESS(status)) {
        WdfDeviceInitFree(init);
        return status;
    }
    WDF_IO_QUEUE_CONFIG_INIT_DEFAULT_QUEUE(&queue, WdfIoQueueDispatchParallel);
    queue.EvtIoDeviceControl = Control;
    status = WdfIoQueueCreate(device, &queue, WDF_NO_OBJECT_ATTRIBUTES, NULL);
    if (NT_SUCCESS(status))
        status = WdfDeviceCreateSymbolicLink(device, &link);
    if (!NT_SUCCESS(status)) {
        WdfObjectDelete(device);
        return status;
    }
    WdfControlFinishInitializing(device);
    return STATUS_SUCCESS;
}

#define BAD_WDF_DRIVER(started, device_add, flags)                                                 \
    DRIVER_INITIALIZE DriverEntry;                                                                 \
    static EVT_WDF_DRIVER_UNLOAD BadWdfUnload;                                                     \
    static VOID BadWdfUnload(WDFDRIVER Driver)                                                     \
    {                                                                                              \
        UNREFERENCED_PARAMETER(Driver);                                                            \
    }                                                                                              \
    NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)                \
    {                                                                                              \
        WDF_DRIVER_CONFIG config;                                                                  \
        WDFDRIVER driver;                                                                          \
        NTSTATUS status;                                                                           \
                                                                                                   \
        Bad = RegistryPath->Buffer[RegistryPath->Length / sizeof(WCHAR) - 3] == L'b';              \
        WDF_DRIVER_CONFIG_INIT(&config, device_add);                                               \
        config.DriverInitFlags = (flags);                                                          \
        config.EvtDriverUnload = BadWdfUnload;                                                     \
        status = WdfDriverCreate(DriverObject, RegistryPath, WDF_NO_OBJECT_ATTRIBUTES, &config,    \
                                 &driver);                                                         \
        return NT_SUCCESS(status) ? started(driver) : status;                                      \
    }
