/*
 * What the framework needs from where it runs, beside the kernel: who reports a driver's misuse.
 * In the driver host that is the verifier (platform_host.c), in wdfldr.sys a bug check
 * (wdfldr/platform.c). Nothing else of the framework knows where it is.
 */
#pragma once

#include <ntddk.h>

typedef enum FX_RULE {
    FxRuleBadHandle,     /* a handle that is none, of another type, or of a deleted object */
    FxRuleRequestMisuse, /* completed twice, completed while cancelable, wrong owner, ... */
    FxRuleObjectLeak,    /* objects that outlive their driver */
    FxRuleBadParameter,
    FxRuleUnimplemented /* a function of WDF that this framework does not have */
} FX_RULE;

DECLSPEC_NORETURN VOID FxViolation(FX_RULE Rule, _Printf_format_string_ PCSTR Format, ...)
    __attribute__((format(printf, 2, 3)));
/* Only where a verifier is on; else it returns. */
VOID FxComplaint(FX_RULE Rule, _Printf_format_string_ PCSTR Format, ...)
    __attribute__((format(printf, 2, 3)));

/* First statement of each function of the table: its IRQL ceiling. */
VOID FxEnter(PCSTR Function, KIRQL MaximumIrql);
#define FX_ENTER(MaximumIrql) FxEnter(__func__, (MaximumIrql))
/* TRUE: the call is to fail, to see what the driver does then. */
BOOLEAN FxFault(PCSTR Function, PVOID Caller);
#define FX_FAULT() FxFault(__func__, __builtin_return_address(0))

/* IoCreateDeviceSecure, where there is one: on Windows it is a library of the WDK's. */
NTSTATUS FxCreateDevice(PDRIVER_OBJECT DriverObject, ULONG ExtensionSize,
                        _In_opt_ PUNICODE_STRING Name, DEVICE_TYPE Type, ULONG Characteristics,
                        BOOLEAN Exclusive, PCUNICODE_STRING Sddl, _Out_ PDEVICE_OBJECT *Device);

/* Around each callback of the driver: it comes back at the IRQL at which it was called. */
typedef struct FX_CALLBACK {
    PVOID Space[4];
} FX_CALLBACK;
VOID FxCallbackBegin(FX_CALLBACK *Callback, PCSTR Name);
VOID FxCallbackEnd(FX_CALLBACK *Callback);
#define FX_CALL(Name, Call)                                                                        \
    do {                                                                                           \
        FX_CALLBACK Callback_;                                                                     \
        FxCallbackBegin(&Callback_, Name);                                                         \
        Call;                                                                                      \
        FxCallbackEnd(&Callback_);                                                                 \
    } while (0)
