/*
 * The framework in the driver host: misuse goes to the verifier, and wdfldr.sys's exports into the
 * table of exports.
 */
#include "fx.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <stdarg.h>
#include <stdio.h>
#include <wdmsec.h>

static const enum vf_rule rules[] = {
    [FxRuleBadHandle] = VfWdfBadHandle,         [FxRuleRequestMisuse] = VfWdfRequestMisuse,
    [FxRuleObjectLeak] = VfWdfObjectLeak,       [FxRuleBadParameter] = VfBadParameter,
    [FxRuleUnimplemented] = VfWdfUnimplemented,
};

VOID FxViolation(FX_RULE Rule, PCSTR Format, ...)
{
    char text[512];
    va_list list;

    va_start(list, Format);
    vsnprintf(text, sizeof(text), Format, list);
    va_end(list);
    vf_violation(rules[Rule], "%s", text);
}

VOID FxComplaint(FX_RULE Rule, PCSTR Format, ...)
{
    char text[512];
    va_list list;

    va_start(list, Format);
    vsnprintf(text, sizeof(text), Format, list);
    va_end(list);
    if (vf_enabled)
        vf_violation(rules[Rule], "%s", text);
}

/* "FxWdfTimerStart" -> "WdfTimerStart" */
static const char *api_name(PCSTR function)
{
    return function[0] == 'F' && function[1] == 'x' ? function + 2 : function;
}

VOID FxEnter(PCSTR Function, KIRQL MaximumIrql)
{
    if (__builtin_expect(vf_entry_armed, 0))
        vf_entry_slow(api_name(Function), MaximumIrql);
}

BOOLEAN FxFault(PCSTR Function, PVOID Caller)
{
    return __builtin_expect(vf_faults_armed, 0) &&
           vf_fault_slow(VfFaultWdf, api_name(Function), Caller);
}

NTSTATUS FxCreateDevice(PDRIVER_OBJECT DriverObject, ULONG ExtensionSize, PUNICODE_STRING Name,
                        DEVICE_TYPE Type, ULONG Characteristics, BOOLEAN Exclusive,
                        PCUNICODE_STRING Sddl, PDEVICE_OBJECT *Device)
{
    return IoCreateDeviceSecure(DriverObject, ExtensionSize, Name, Type, Characteristics, Exclusive,
                                Sddl, NULL, Device);
}

_Static_assert(sizeof(struct vf_call) <= sizeof(FX_CALLBACK), "FX_CALLBACK has room for a vf_call");

VOID FxCallbackBegin(FX_CALLBACK *Callback, PCSTR Name)
{
    *(struct vf_call *)Callback = vf_call_begin(Name);
}

VOID FxCallbackEnd(FX_CALLBACK *Callback)
{
    vf_call_end((struct vf_call *)Callback);
}

NTSTATUS NTAPI WdfVersionBind(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath,
                              PWDF_BIND_INFO BindInfo, PWDF_COMPONENT_GLOBALS *ComponentGlobals)
{
    return FxVersionBind(DriverObject, RegistryPath, BindInfo, ComponentGlobals);
}

NTSTATUS NTAPI WdfVersionUnbind(PUNICODE_STRING RegistryPath, PWDF_BIND_INFO BindInfo,
                                PWDF_COMPONENT_GLOBALS ComponentGlobals)
{
    return FxVersionUnbind(RegistryPath, BindInfo, ComponentGlobals);
}

NT_EXPORT(WDFLDR, WdfVersionBind);
NT_EXPORT(WDFLDR, WdfVersionUnbind);
