/*
 * Entry of a KMDF driver, in the place of the WDK's WdfDriverEntry.lib.
 * WDK: "How to Build a KMDF Driver", "KMDF as a Generic Pair Model for Drivers".
 *
 * FxDriverEntry binds to the framework, which fills the function table and the driver's globals,
 * and calls the driver's DriverEntry. The binding outlives DriverEntry if that succeeds and ends
 * when the driver is unloaded: the framework asks by DisplaceDriverUnload that the stub's unload
 * routine take the place of its own, so that nothing of the framework runs after WdfVersionUnbind.
 *
 * RegistryPath is only valid during DriverEntry, and unbinding needs it: it is kept in a buffer.
 */
#include <wdfldr.h>

DRIVER_INITIALIZE DriverEntry;
DRIVER_INITIALIZE FxDriverEntry;
static DRIVER_UNLOAD StubUnload;

const WDFFUNC *WdfFunctions_01033;
PWDF_DRIVER_GLOBALS WdfDriverGlobals;

static WDF_BIND_INFO BindInfo = {
    .Size = sizeof(WDF_BIND_INFO),
    .Component = (PWCHAR)L"KmdfLibrary",
    .Version = {.Major = 1, .Minor = 33, .Build = 0},
    .FuncCount = WdfFunctionTableNumEntries,
    .FuncTable = &WdfFunctions_01033,
};

static WCHAR RegistryPathBuffer[260];
static UNICODE_STRING RegistryPathCopy;
static PDRIVER_UNLOAD DisplacedUnload;

static void Unbind(void)
{
    WdfVersionUnbind(&RegistryPathCopy, &BindInfo, (PWDF_COMPONENT_GLOBALS)WdfDriverGlobals);
    WdfFunctions_01033 = NULL;
    WdfDriverGlobals = NULL;
}

static void StubUnload(PDRIVER_OBJECT DriverObject)
{
    DisplacedUnload(DriverObject);
    Unbind();
}

NTSTATUS FxDriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS status;

    RtlInitEmptyUnicodeString(&RegistryPathCopy, RegistryPathBuffer, sizeof(RegistryPathBuffer));
    RtlCopyUnicodeString(&RegistryPathCopy, RegistryPath);

    status = WdfVersionBind(DriverObject, &RegistryPathCopy, &BindInfo,
                            (PWDF_COMPONENT_GLOBALS *)&WdfDriverGlobals);
    if (!NT_SUCCESS(status))
        return status;

    status = DriverEntry(DriverObject, RegistryPath);
    if (!NT_SUCCESS(status)) {
        Unbind();
        return status;
    }

    /* Without an unload routine of the framework's the driver cannot be unloaded. */
    if (WdfDriverGlobals->DisplaceDriverUnload && DriverObject->DriverUnload) {
        DisplacedUnload = DriverObject->DriverUnload;
        DriverObject->DriverUnload = StubUnload;
    }
    return status;
}
