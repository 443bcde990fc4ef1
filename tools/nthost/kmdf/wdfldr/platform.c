/*
 * The framework as wdfldr.sys, in a kernel that has none: misuse is a bug check, as in Windows.
 * WDK: "Bug Check 0x10D: WDF_VIOLATION".
 */
#include "../fx.h"

/* What drivers import; class extensions there are none. */
#pragma comment(linker, "/export:WdfVersionBind=FxVersionBind")
#pragma comment(linker, "/export:WdfVersionUnbind=FxVersionUnbind")

DRIVER_INITIALIZE DriverEntry;

/* Printed as it is: what it says about particular handles needs a formatter that varies. */
VOID FxViolation(FX_RULE Rule, PCSTR Format, ...)
{
    DbgPrint("KMDF: %s\n", Format);
    KeBugCheckEx(WDF_VIOLATION, (ULONG_PTR)Rule, (ULONG_PTR)Format, 0, 0);
}

VOID FxComplaint(FX_RULE Rule, PCSTR Format, ...)
{
    UNREFERENCED_PARAMETER(Rule);
    DbgPrint("KMDF: %s\n", Format);
}

VOID FxEnter(PCSTR Function, KIRQL MaximumIrql)
{
    KIRQL irql = KeGetCurrentIrql();

    if (irql > MaximumIrql) {
        DbgPrint("KMDF: %s is called at IRQL %u, at most %u is allowed\n", Function, irql,
                 MaximumIrql);
        KeBugCheckEx(WDF_VIOLATION, 0, (ULONG_PTR)Function, irql, MaximumIrql);
    }
}

BOOLEAN FxFault(PCSTR Function, PVOID Caller)
{
    UNREFERENCED_PARAMETER(Function);
    UNREFERENCED_PARAMETER(Caller);
    return FALSE;
}

/* A kernel for which this image is meant has no security descriptors on devices to speak of, and no
 * reader of SDDL; wdmsec.lib, which brings one along, is the WDK's. */
NTSTATUS FxCreateDevice(PDRIVER_OBJECT DriverObject, ULONG ExtensionSize, PUNICODE_STRING Name,
                        DEVICE_TYPE Type, ULONG Characteristics, BOOLEAN Exclusive,
                        PCUNICODE_STRING Sddl, PDEVICE_OBJECT *Device)
{
    if (Sddl->Length != 0)
        DbgPrint("KMDF: %wZ is made without its security descriptor\n", Name);
    return IoCreateDevice(DriverObject, ExtensionSize, Name, Type, Characteristics, Exclusive,
                          Device);
}

VOID FxCallbackBegin(FX_CALLBACK *Callback, PCSTR Name)
{
    Callback->Space[0] = (PVOID)(ULONG_PTR)KeGetCurrentIrql();
    Callback->Space[1] = (PVOID)(ULONG_PTR)Name;
}

VOID FxCallbackEnd(FX_CALLBACK *Callback)
{
    if (Callback->Space[0] != (PVOID)(ULONG_PTR)KeGetCurrentIrql()) {
        DbgPrint("KMDF: %s came back at IRQL %u\n", (PCSTR)Callback->Space[1], KeGetCurrentIrql());
        KeBugCheckEx(WDF_VIOLATION, 0, (ULONG_PTR)Callback->Space[1], (ULONG_PTR)Callback->Space[0],
                     KeGetCurrentIrql());
    }
}

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(DriverObject);
    UNREFERENCED_PARAMETER(RegistryPath);
    return STATUS_SUCCESS;
}
