/*
 * The driver verifier: rules, attribution, fault injection.
 * A violation prints one block on stderr and ends the process with VF_EXIT_CODE.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VF_EXIT_CODE          70
/* A bug check (KeBugCheckEx) prints "*** STOP 0x...", and ends the process with this. */
#define VF_BUGCHECK_EXIT_CODE 71

/* One name a rule, the name that is printed. The table in verifier/rules.c gives text and WDK page. */
#define VF_RULES(X)                                                                                \
    X(IrqlTooHigh) X(IrqlWrongOnReturn) X(IrqlLoweredWrongly) X(WaitAtDispatch)                    \
    X(SpinLockRecursive) X(SpinLockNotOwned) X(SpinLockHeld) X(LockOrder)                          \
    X(PoolLeak) X(PoolDoubleFree) X(PoolWrongTag) X(PoolCorrupt) X(PoolUseAfterFree)               \
    X(PagedAtDispatch) X(PageableCodeAtDispatch)                                                   \
    X(TimerActive) X(DpcActive) X(WorkItemActive) X(ThreadActive) X(ObjectLeak) X(HandleLeak)      \
    X(RundownMisuse) X(LookasideLeak)                                                              \
    X(IrpDoubleCompletion) X(IrpTouchedAfterCompletion) X(IrpPendingMismatch)                      \
    X(IrpCancelRoutineSet) X(IrpInformation) X(MdlLeak) X(MdlMisuse) X(DeviceLeak)                 \
    X(NblLeak) X(NblDoubleCompletion) X(NblTouchedAfterSend) X(NblNotOurs) X(NblMalformed)         \
    X(SendWhilePaused) X(OffloadNotOffered) X(OidLeak) X(OidDoubleCompletion) X(StatusMalformed)   \
    X(FilterState) X(NdisLeak) X(WdfObjectLeak) X(WdfRequestMisuse) X(WdfBadHandle)                \
    X(BadParameter) X(Deadlock)

enum vf_rule {
#define X(name) Vf##name,
    VF_RULES(X)
#undef X
    VF_RULE_COUNT
};

extern bool vf_enabled;

void vf_violation(enum vf_rule rule, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* First statement of an export: its IRQL ceiling, and a scheduling point. */
void vf_entry_slow(const char *function, int max_irql);
#define VF_ENTRY(max_irql) vf_entry_slow(__func__, (max_irql))

/* Which driver does a return address belong to? "" outside any driver. */
const char *vf_owner(const void *address);

/*
 * Fault injection. Each fallible export asks once, before it does anything:
 *     if (vf_fault(VfFaultPool)) return NULL;
 * A sweep runs the same scenario again and again; each time the next distinct call stack (from the
 * export through the driver) that was not failed before fails once.
 */
enum vf_fault_kind { VfFaultPool, VfFaultNdis, VfFaultIo, VfFaultRegistry, VfFaultFile, VfFaultThread, VfFaultWdf, VF_FAULT_KINDS };
extern bool vf_faults_armed;
bool vf_fault_slow(enum vf_fault_kind kind, const char *function);
#define vf_fault(kind) (__builtin_expect(vf_faults_armed, 0) && vf_fault_slow((kind), __func__))
void vf_fault_sweep_begin(void);            /* forget all stacks */
void vf_fault_round_begin(void);            /* arm for one run of the scenario */
bool vf_fault_round_end(void);              /* true: a stack was failed, run again; false: none was left */
size_t vf_fault_stacks(void);               /* distinct stacks failed so far */

/* Called by the loader after DriverUnload: leaks that carry the driver's name are violations. */
void vf_driver_unloaded(const char *driver);
/* Modules register what they check at unload. */
void vf_at_unload(void (*check)(const char *driver));
