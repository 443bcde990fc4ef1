/*
 * Semaphores.
 *
 * WDK: KeInitializeSemaphore, KeReleaseSemaphore, KeReadStateSemaphore, "Semaphore Objects".
 * Releasing beyond the limit raises STATUS_SEMAPHORE_LIMIT_EXCEEDED on Windows; drivers cannot
 * catch that here.
 */
#include "dispatcher.h"

VOID NTAPI KeInitializeSemaphore(PRKSEMAPHORE Semaphore, LONG Count, LONG Limit)
{
    dispatcher_init(&Semaphore->Header, TYPE_SEMAPHORE, Count);
    Semaphore->Header.Size = sizeof *Semaphore / sizeof(ULONG);
    Semaphore->Limit = Limit;
}

LONG NTAPI KeReleaseSemaphore(PRKSEMAPHORE Semaphore, KPRIORITY Increment, LONG Adjustment,
                              BOOLEAN Wait)
{
    (void)Increment;
    VF_ENTRY(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    sched_lock();
    LONG before = Semaphore->Header.SignalState;
    if (Adjustment <= 0 || before > Semaphore->Limit - Adjustment) {
        sched_unlock();
        ExRaiseStatus(STATUS_SEMAPHORE_LIMIT_EXCEEDED);
    }
    Semaphore->Header.SignalState = before + Adjustment;
    dispatcher_signaled(&Semaphore->Header);
    sched_unlock();
    thread_point(nt_self);
    return before;
}

LONG NTAPI KeReadStateSemaphore(PRKSEMAPHORE Semaphore)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Semaphore->Header.SignalState;
}

NT_EXPORT(NTOSKRNL, KeInitializeSemaphore);
NT_EXPORT(NTOSKRNL, KeReleaseSemaphore);
NT_EXPORT(NTOSKRNL, KeReadStateSemaphore);
