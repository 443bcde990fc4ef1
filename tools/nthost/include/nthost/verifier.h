/*
 * The driver verifier: rules, attribution, fault injection.
 * A violation prints one block on stderr and ends the process with VF_EXIT_CODE.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VF_EXIT_CODE 70
/* A bug check (KeBugCheckEx) prints "*** STOP 0x...", and ends the process with this. */
#define VF_BUGCHECK_EXIT_CODE 71

/* One name a rule, the name that is printed. The table in verifier/rules.c gives text and WDK page.
 */
/* clang-format off */
#define VF_RULES(X)                                                                                \
    X(IrqlTooHigh)                                                                                 \
    X(IrqlWrongOnReturn)                                                                           \
    X(IrqlLoweredWrongly)                                                                          \
    X(WaitAtDispatch)                                                                              \
    X(SpinLockRecursive)                                                                           \
    X(SpinLockNotOwned)                                                                            \
    X(SpinLockHeld)                                                                                \
    X(LockOrder)                                                                                   \
    X(PoolLeak)                                                                                    \
    X(PoolDoubleFree)                                                                              \
    X(PoolWrongTag)                                                                                \
    X(PoolCorrupt) X(PoolUseAfterFree) X(PagedAtDispatch) X(PageableCodeAtDispatch) X(TimerActive) \
        X(DpcActive) X(WorkItemActive) X(ThreadActive) X(ObjectLeak) X(HandleLeak)                 \
            X(RundownMisuse) X(LookasideLeak) X(IrpDoubleCompletion) X(IrpTouchedAfterCompletion)  \
                X(IrpPendingMismatch) X(IrpCancelRoutineSet) X(IrpInformation) X(MdlLeak)          \
                    X(MdlMisuse) X(DeviceLeak) X(NblLeak) X(NblDoubleCompletion)                   \
                        X(NblTouchedAfterSend) X(NblNotOurs) X(NblMalformed) X(SendWhilePaused)    \
                            X(OffloadNotOffered) X(OidLeak) X(OidDoubleCompletion)                 \
                                X(StatusMalformed) X(FilterState) X(NdisLeak) X(WdfObjectLeak)     \
                                    X(WdfRequestMisuse) X(WdfBadHandle) X(WdfUnimplemented)        \
                                        X(FltContext) X(FltName) X(FltCallbackData) X(FltStatus)       \
                                            X(FltReferenceLeak) X(BadParameter) X(Deadlock)        \
                                                X(AssertionFailed)
/* clang-format on */

enum vf_rule {
#define X(name) Vf##name,
    VF_RULES(X)
#undef X
        VF_RULE_COUNT
};

extern bool vf_enabled;

void vf_violation(enum vf_rule rule, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));

/* Printed with a report until the next call: which case, which seed. NULL: nothing. */
void vf_note(const char *text);

/* First statement of an export: its IRQL ceiling, and a scheduling point. Costs one test of a
 * global where the verifier is off and the scheduler is the real-time one. (ms_abi, so that an
 * export that is nothing but a fast path need not save the registers that only the slow one uses.)
 */
extern bool vf_entry_armed;
void __attribute__((ms_abi, cold)) vf_entry_slow(const char *function, int max_irql);
#define VF_ENTRY(max_irql)                                                                         \
    ((void)(__builtin_expect(vf_entry_armed, 0) && (vf_entry_slow(__func__, (max_irql)), 0)))

/* Which driver does a return address belong to? "" outside any driver. */
const char *vf_owner(const void *address);
bool vf_is_owner(const void *address, const char *driver);

/*
 * Fault injection. Each fallible export asks once, before it does anything:
 *     if (vf_fault(VfFaultPool)) return NULL;
 * Only calls that a driver image makes itself fail. A sweep runs the same scenario again and again;
 * each time the next distinct call stack (the return addresses within driver images, relative to
 * their bases) that was not failed before fails once.
 *
 * Every use is listed in a linker section, which vf_fallible() is compared with (fallible.c).
 */
enum vf_fault_kind {
    VfFaultPool,
    VfFaultNdis,
    VfFaultIo,
    VfFaultRegistry,
    VfFaultFile,
    VfFaultThread,
    VfFaultWdf,
    VF_FAULT_KINDS
};
struct vf_fault_point {
    const char *function;
    uint64_t kind;
};
extern bool vf_faults_armed;
/* `caller`: where the export returns to. */
bool __attribute__((ms_abi, cold)) vf_fault_slow(enum vf_fault_kind kind, const char *function,
                                                 const void *caller);
#define vf_fault(kind)                                                                             \
    ({                                                                                             \
        static const struct vf_fault_point vf_point_                                               \
            __attribute__((used, retain, section("nt_fault_points"), aligned(8))) = {__func__,     \
                                                                                     (kind)};      \
        __builtin_expect(vf_faults_armed, 0) &&                                                    \
            vf_fault_slow((kind), __func__, __builtin_return_address(0));                          \
    })
/* Forget all stacks. deep: calls that the host makes on a driver's behalf fail, too: for the
 * framework, which is a driver itself. */
void vf_fault_sweep_begin(bool deep);
/* From now on a stack fails when it comes by the n + 1st time in a round, not at once. */
void vf_fault_skip(unsigned times);
void vf_fault_round_begin(void); /* arm for one run of the scenario */
bool vf_fault_round_end(void);   /* true: a stack was failed, run again; false: none was left */
bool vf_fault_struck(void);      /* in this round */
size_t vf_fault_stacks(void);    /* distinct stacks failed so far */
/* A stack: "ExAllocatePool2 < oneip!OipCreate+0x1c < ..."; false: there are not so many. */
bool vf_fault_describe(size_t index, char *text, size_t size);
bool vf_fault_last(char *text, size_t size); /* of this round */
/* Stacks that begin in this export, and distinct calls of it (innermost return addresses). */
void vf_fault_count(const char *function, size_t *stacks, size_t *calls);

/* May this import of a driver fail? Unknown: nobody has said so yet (fallible.c). */
enum vf_fallible { VfImportUnknown, VfImportNeverFails, VfImportFallible };
enum vf_fallible vf_fallible(const char *import);
/* What the two lists and the uses of vf_fault() contradict each other in; NULL: nothing. */
const char *vf_fallible_check(void);

/*
 * Brackets around the host's calls of driver callbacks: the callback must come back at the IRQL at
 * which it was called, with the spin locks and the critical regions that it had.
 *     struct vf_call call = vf_call_begin_of("FilterAttach", handlers->AttachHandler);
 *     status = handlers->AttachHandler(...);
 *     vf_call_end(&call);
 */
struct vf_call {
    const char *what;    /* NULL: the verifier is off */
    const void *routine; /* the callback, to name its driver; may be NULL */
    unsigned irql, spin_locks, critical;
};
void vf_call_begin_slow(struct vf_call *call);
void vf_call_end_slow(const struct vf_call *call);
static inline struct vf_call vf_call_begin(const char *what)
{
    struct vf_call call = {.what = NULL};
    if (vf_enabled) {
        call.what = what;
        vf_call_begin_slow(&call);
    }
    return call;
}
/* The same with the callback's address: a violation then names its driver. */
#define vf_call_begin_of(what, routine) vf_call_begin_with((what), (const void *)(routine))
static inline struct vf_call vf_call_begin_with(const char *what, const void *routine)
{
    struct vf_call call = vf_call_begin(what);
    call.routine = routine;
    return call;
}
static inline void vf_call_end(const struct vf_call *call)
{
    if (call->what)
        vf_call_end_slow(call);
}

/*
 * Locks, for spin locks, mutexes and whatever else orders threads: what a thread holds, and the
 * graph of which lock was ever taken under which. An inversion is a violation although nothing
 * deadlocked. Called with vf_enabled only. `kind` names the primitive ("spin lock"). A lock's class
 * is its address, or, where it lies in a pool block, the block's allocation site and its offset
 * there. Try-acquisitions that succeeded pass ordered = false: they cannot deadlock.
 */
void vf_lock_acquired(const volatile void *lock, const char *kind, bool ordered);
void vf_lock_released(const volatile void *lock, const char *kind);
bool vf_lock_held(const volatile void *lock);
/* The memory is gone: its locks are forgotten. (Pool does this itself.) */
void vf_lock_memory_freed(const void *memory, size_t bytes);

/* Called by the loader after DriverUnload, while the image is still mapped: what the driver (its
 * name as vf_owner gives it) left behind is a violation. */
void vf_driver_unloaded(const char *driver);
/* Modules register what they check at unload. */
void vf_at_unload(void (*check)(const char *driver));
/* The same for pool blocks: what must not be in a block that is freed (a set timer, say). */
void vf_at_free(void (*check)(const void *memory, size_t bytes));
void vf_memory_freed(const void *memory, size_t bytes);

/* "driver+0x1234", "KeSetEvent+0x12" or a plain address. */
void vf_symbol(const void *address, char *text, size_t size);
void vf_symbol_of_return(const void *address, char *text,
                         size_t size); /* the same for a return address */
