/*
 * IRQL.
 *
 * WDK: KeRaiseIrql, KeLowerIrql, KeGetCurrentIrql, "Managing Hardware Priorities". Going to
 * DISPATCH_LEVEL takes the dispatch lock of the processor (thread.h), which keeps its DPCs and
 * other raised threads off it; coming down runs the DPCs that were queued meanwhile. Levels above
 * DISPATCH differ in what is printed only: there are no device interrupts here.
 */
#include "dispatcher.h"

KIRQL NTAPI KeGetCurrentIrql(VOID)
{
    return nt_self->irql;
}

static void SLOW raise_wrongly(unsigned from, unsigned to)
{
    vf_violation(VfIrqlLoweredWrongly, "KeRaiseIrql from %u to %u: that is lower", from, to);
}

static void SLOW check_lower(struct nt_thread *self, KIRQL irql)
{
    if (irql > self->irql)
        vf_violation(VfIrqlLoweredWrongly, "KeLowerIrql from %u to %u: that is higher", self->irql,
                     irql);
    if (irql >= DISPATCH || self->irql < DISPATCH)
        return;
    if (self->in_dpc || self->is_vp)
        vf_violation(VfIrqlLoweredWrongly, "KeLowerIrql to %u in a DPC", irql);
    if (self->spin_locks)
        vf_violation(VfSpinLockHeld, "KeLowerIrql to %u with %u spin lock(s) held, the last at %p",
                     irql, self->spin_locks, (const void *)self->held[self->held_count - 1].lock);
}

KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql)
{
    VF_ENTRY(HIGH_LEVEL);
    struct nt_thread *self = nt_self;
    if (__builtin_expect(NewIrql < self->irql, 0))
        raise_wrongly(self->irql, NewIrql);
    return irql_raise(self, NewIrql);
}

KIRQL NTAPI KeRaiseIrqlToDpcLevel(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return irql_raise(nt_self, DISPATCH);
}

VOID NTAPI KeLowerIrql(KIRQL NewIrql)
{
    struct nt_thread *self = nt_self;
    if (__builtin_expect(vf_enabled | (NewIrql > self->irql), 0))
        check_lower(self, NewIrql);
    irql_lower(self, NewIrql);
    thread_point(self);
}

NT_EXPORT(NTOSKRNL, KeGetCurrentIrql);
NT_EXPORT(NTOSKRNL, KfRaiseIrql);
NT_EXPORT(NTOSKRNL, KeRaiseIrqlToDpcLevel);
NT_EXPORT(NTOSKRNL, KeLowerIrql);
