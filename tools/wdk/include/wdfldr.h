/*
 * What a driver's entry stub and the framework's loader (wdfldr.sys) say to each other.
 * It is in no WDK header; source: microsoft/Windows-Driver-Frameworks,
 * src/framework/shared/inc/private/common/fxldr.h, and the exports of wdfldr.sys.
 */
#pragma once

#include <wdf.h>

typedef struct _WDF_VERSION {
    ULONG Major;
    ULONG Minor;
    ULONG Build;
} WDF_VERSION;

typedef struct _WDF_BIND_INFO {
    ULONG Size;
    PWCHAR Component;
    WDF_VERSION Version;
    ULONG FuncCount;
    const WDFFUNC **FuncTable; /* out: the framework's table, which has at least FuncCount slots */
    PVOID Module;
} WDF_BIND_INFO, *PWDF_BIND_INFO;

/* The framework's own record of a driver; what a driver sees of it is WDF_DRIVER_GLOBALS. */
typedef PVOID WDF_COMPONENT_GLOBALS, *PWDF_COMPONENT_GLOBALS;

NTKERNELAPI NTSTATUS NTAPI WdfVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                                          _Inout_ PWDF_BIND_INFO BindInfo,
                                          _Out_ PWDF_COMPONENT_GLOBALS *ComponentGlobals);
NTKERNELAPI NTSTATUS NTAPI WdfVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                                            PWDF_COMPONENT_GLOBALS ComponentGlobals);
