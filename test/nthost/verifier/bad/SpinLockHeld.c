/* Goes below DISPATCH_LEVEL with a spin lock. */
#include "bad.h"

static KSPIN_LOCK Lock;

static VOID Run(VOID)
{
    KIRQL irql;

    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &irql);
    if (!Bad)
        KeReleaseSpinLockFromDpcLevel(&Lock);
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
