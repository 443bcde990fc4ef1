/* A DPC returns with a spin lock. */
#include "bad.h"

static KDEFERRED_ROUTINE Routine;
static KSPIN_LOCK Lock;

static VOID Routine(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeAcquireSpinLockAtDpcLevel(&Lock);
    if (!Bad)
        KeReleaseSpinLockFromDpcLevel(&Lock);
}

static VOID Run(VOID)
{
    static KDPC dpc;

    KeInitializeSpinLock(&Lock);
    KeInitializeDpc(&dpc, Routine, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeFlushQueuedDpcs();
}

BAD_DRIVER(Run, NoUnload)
