/*
 * Devices with a security descriptor of their own, and names of such descriptors.
 * WDK: "IoCreateDeviceSecure macro", "SDDL for Device Objects". On Windows the function comes out
 * of wdmsec.lib; here the driver host has it and no import library does, so that only ELF drivers
 * can use it.
 */
#pragma once

#include <wdm.h>

NTKERNELAPI NTSTATUS NTAPI WdmlibIoCreateDeviceSecure(
    PDRIVER_OBJECT DriverObject, ULONG DeviceExtensionSize, _In_opt_ PUNICODE_STRING DeviceName,
    DEVICE_TYPE DeviceType, ULONG DeviceCharacteristics, BOOLEAN Exclusive,
    PCUNICODE_STRING DefaultSDDLString, _In_opt_ const GUID *DeviceClassGuid,
    _Out_ PDEVICE_OBJECT *DeviceObject);
#define IoCreateDeviceSecure WdmlibIoCreateDeviceSecure

/* Security descriptors of device objects. WDK: "SDDL for Device Objects". */
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_KERNEL_ONLY, L"D:P");
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_SYS_ALL, L"D:P(A;;GA;;;SY)");
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_SYS_ALL_ADM_ALL, L"D:P(A;;GA;;;SY)(A;;GA;;;BA)");
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_SYS_ALL_ADM_RX, L"D:P(A;;GA;;;SY)(A;;GRGX;;;BA)");
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_R,
                                    L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GR;;;WD)");
DECLARE_GLOBAL_CONST_UNICODE_STRING(SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RW,
                                    L"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGW;;;WD)");
