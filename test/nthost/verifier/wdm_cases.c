/* The executive's rules: IRQL, locks, pool, what may still run. */
#include "cases.h"
#include <nthost/sched.h>

VF_CASE(IrqlTooHigh, IrqlTooHigh);
VF_CASE(IrqlWrongOnReturn, IrqlWrongOnReturn);
VF_CASE(IrqlWrongOnReturn, IrqlWrongOnReturn_dpc);
VF_CASE(IrqlWrongOnReturn, IrqlWrongOnReturn_region);
VF_CASE(IrqlLoweredWrongly, IrqlLoweredWrongly);
VF_CASE(IrqlLoweredWrongly, IrqlLoweredWrongly_dpc);
VF_CASE(WaitAtDispatch, WaitAtDispatch);
VF_CASE(SpinLockRecursive, SpinLockRecursive);
VF_CASE(SpinLockNotOwned, SpinLockNotOwned);
VF_CASE(SpinLockHeld, SpinLockHeld);
VF_CASE(SpinLockHeld, SpinLockHeld_callback);
VF_CASE(LockOrder, LockOrder);
VF_CASE(LockOrder, LockOrder_class);
VF_CASE(Deadlock, Deadlock);
VF_CASE(RundownMisuse, RundownMisuse);

VF_CASE(PoolLeak, PoolLeak);
VF_CASE(PoolDoubleFree, PoolDoubleFree);
VF_CASE(PoolWrongTag, PoolWrongTag);
VF_CASE(PoolCorrupt, PoolCorrupt, .special_pool = true);
VF_CASE(PoolCorrupt, PoolCorrupt_before, .special_pool = true);
VF_CASE(PoolUseAfterFree, PoolUseAfterFree, .special_pool = true);
VF_CASE(PagedAtDispatch, PagedAtDispatch);
VF_CASE(PagedAtDispatch, PagedAtDispatch_touch, .special_pool = true);
VF_CASE(PageableCodeAtDispatch, PageableCodeAtDispatch);
VF_CASE(PageableCodeAtDispatch, PageableCodeAtDispatch_call, .pe_only = true);
VF_CASE(LookasideLeak, LookasideLeak);

VF_CASE(TimerActive, TimerActive);
VF_CASE(TimerActive, TimerActive_freed);
VF_CASE(TimerActive, TimerActive_ex);
VF_CASE(DpcActive, DpcActive);
VF_CASE(WorkItemActive, WorkItemActive);
VF_CASE(ThreadActive, ThreadActive);
VF_CASE(BadParameter, BadParameter);
VF_CASE(AssertionFailed, AssertionFailed);
