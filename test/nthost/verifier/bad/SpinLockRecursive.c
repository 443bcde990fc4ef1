/* Acquires a spin lock that it holds. */
#include "bad.h"

static KSPIN_LOCK Lock, Other;

static VOID Run(VOID)
{
    KIRQL irql;

    KeInitializeSpinLock(&Lock);
    KeInitializeSpinLock(&Other);
    KeAcquireSpinLock(&Lock, &irql);
    KeAcquireSpinLockAtDpcLevel(Bad ? &Lock : &Other);
    KeReleaseSpinLockFromDpcLevel(Bad ? &Lock : &Other);
    KeReleaseSpinLock(&Lock, irql);
}

BAD_DRIVER(Run, NoUnload)
