/*
 * Bug checks, assertions, and the routines that raise.
 *
 * WDK: KeBugCheckEx, "Bug Check Code Reference", NT_ASSERT, PAGED_CODE, ExRaiseStatus. A bug check
 * prints what the blue screen would say and ends the process. There is no exception handling in
 * drivers here, so raising a status is the bug check of an exception that nobody handles. Our
 * PAGED_CODE is an assertion on the IRQL, which is reported by its own rule.
 */
#include "../verifier/report.h"
#include "dispatcher.h"
#include <stdio.h>
#include <string.h>

static const struct {
    ULONG code;
    const char *name;
} names[] = {
    {0x0000000A, "IRQL_NOT_LESS_OR_EQUAL"},
    {0x0000000C, "MAXIMUM_WAIT_OBJECTS_EXCEEDED"},
    {0x00000018, "REFERENCE_BY_POINTER"},
    {0x00000019, "BAD_POOL_HEADER"},
    {0x0000001E, "KMODE_EXCEPTION_NOT_HANDLED"},
    {0x00000020, "KERNEL_APC_PENDING_DURING_EXIT"},
    {0x00000035, "NO_MORE_IRP_STACK_LOCATIONS"},
    {0x00000044, "MULTIPLE_IRP_COMPLETE_REQUESTS"},
    {0x00000050, "PAGE_FAULT_IN_NONPAGED_AREA"},
    {0x0000007C, "BUGCODE_NDIS_DRIVER"},
    {0x0000007E, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"},
    {0x0000009F, "DRIVER_POWER_STATE_FAILURE"},
    {0x000000C2, "BAD_POOL_CALLER"},
    {0x000000C4, "DRIVER_VERIFIER_DETECTED_VIOLATION"},
    {0x000000CE, "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS"},
    {0x000000D1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL"},
    {0x000000E2, "MANUALLY_INITIATED_CRASH"},
    {0x0000010D, "WDF_VIOLATION"},
    {0x00000133, "DPC_WATCHDOG_VIOLATION"},
    {0x00000139, "KERNEL_SECURITY_CHECK_FAILURE"},
    {0x4000008A, "THREAD_TERMINATE_HELD_MUTEX"},
};

static const char *name_of(ULONG code)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code)
            return names[i].name;
    }
    return "driver defined";
}

VOID NTAPI KeBugCheckEx(ULONG BugCheckCode, ULONG_PTR BugCheckParameter1,
                        ULONG_PTR BugCheckParameter2, ULONG_PTR BugCheckParameter3,
                        ULONG_PTR BugCheckParameter4)
{
    char head[160], message[160];
    snprintf(head, sizeof head, "*** STOP 0x%08X (%s)", BugCheckCode, name_of(BugCheckCode));
    snprintf(message, sizeof message, "(0x%016llX,0x%016llX,0x%016llX,0x%016llX)",
             (unsigned long long)BugCheckParameter1, (unsigned long long)BugCheckParameter2,
             (unsigned long long)BugCheckParameter3, (unsigned long long)BugCheckParameter4);
    vf_report(VF_BUGCHECK_EXIT_CODE, head, message);
}

VOID NTAPI KeBugCheck(ULONG BugCheckCode)
{
    KeBugCheckEx(BugCheckCode, 0, 0, 0, 0);
}

VOID NTAPI RtlAssert(PVOID FailedAssertion, PVOID FileName, ULONG LineNumber, PSTR Message)
{
    enum vf_rule rule = strstr(FailedAssertion, "KeGetCurrentIrql() <= APC_LEVEL")
                            ? VfPageableCodeAtDispatch
                            : VfAssertionFailed;
    vf_violation(rule, "%s%s%s, %s:%u", Message ? Message : "", Message ? ": " : "",
                 (const char *)FailedAssertion, (const char *)FileName, LineNumber);
}

VOID NTAPI DbgBreakPoint(VOID)
{
    KeBugCheckEx(0x0000007E, 0x80000003 /* STATUS_BREAKPOINT */,
                 (ULONG_PTR)__builtin_return_address(0), 0, 0);
}

VOID NTAPI ExRaiseStatus(NTSTATUS Status)
{
    KeBugCheckEx(0x0000001E, (ULONG)Status, (ULONG_PTR)__builtin_return_address(0), 0, 0);
}

VOID NTAPI ExRaiseAccessViolation(VOID)
{
    KeBugCheckEx(0x0000001E, (ULONG)STATUS_ACCESS_VIOLATION, (ULONG_PTR)__builtin_return_address(0),
                 0, 0);
}

VOID NTAPI ExRaiseDatatypeMisalignment(VOID)
{
    KeBugCheckEx(0x0000001E, (ULONG)STATUS_DATATYPE_MISALIGNMENT,
                 (ULONG_PTR)__builtin_return_address(0), 0, 0);
}

NT_EXPORT(NTOSKRNL, KeBugCheckEx);
NT_EXPORT(NTOSKRNL, KeBugCheck);
NT_EXPORT(NTOSKRNL, RtlAssert);
NT_EXPORT(NTOSKRNL, DbgBreakPoint);
NT_EXPORT(NTOSKRNL, ExRaiseStatus);
NT_EXPORT(NTOSKRNL, ExRaiseAccessViolation);
NT_EXPORT(NTOSKRNL, ExRaiseDatatypeMisalignment);
