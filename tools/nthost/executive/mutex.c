/*
 * Mutexes (mutants): owned by a thread, recursive, kernel APCs disabled while owned.
 *
 * WDK: KeInitializeMutex, KeReleaseMutex, KeReadStateMutex, "Mutex Objects". SignalState is 1 when
 * free and falls by one with each acquisition. Only the owner may release; a thread that ends with
 * a mutex is a bug check, as on Windows.
 */
#include "dispatcher.h"

VOID NTAPI KeInitializeMutex(PRKMUTEX Mutex, ULONG Level)
{
    (void)Level;
    dispatcher_init(&Mutex->Header, TYPE_MUTANT, 1);
    Mutex->Header.Size = sizeof *Mutex / sizeof(ULONG);
    InitializeListHead(&Mutex->MutantListEntry);
    Mutex->OwnerThread = NULL;
    Mutex->MutantFlags = 0;
    Mutex->ApcDisable = 1;
}

LONG NTAPI KeReleaseMutex(PRKMUTEX Mutex, BOOLEAN Wait)
{
    VF_ENTRY(Wait ? APC_LEVEL : DISPATCH_LEVEL);
    struct nt_thread *self = nt_self;
    sched_lock();
    if (Mutex->OwnerThread != (PKTHREAD)self) {
        sched_unlock();
        ExRaiseStatus(STATUS_MUTANT_NOT_OWNED);
    }
    LONG before = Mutex->Header.SignalState;
    bool freed = ++Mutex->Header.SignalState == 1;
    if (freed) {
        Mutex->OwnerThread = NULL;
        RemoveEntryList(&Mutex->MutantListEntry);
        self->critical -= Mutex->ApcDisable;
        if (vf_enabled)
            vf_lock_released(Mutex, "mutex");
        dispatcher_signaled(&Mutex->Header);
    }
    sched_unlock();
    thread_point(self);
    return before;
}

LONG NTAPI KeReadStateMutex(PRKMUTEX Mutex)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return Mutex->Header.SignalState;
}

NT_EXPORT(NTOSKRNL, KeInitializeMutex);
NT_EXPORT(NTOSKRNL, KeReleaseMutex);
NT_EXPORT(NTOSKRNL, KeReadStateMutex);
