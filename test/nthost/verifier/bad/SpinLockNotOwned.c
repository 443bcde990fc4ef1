/* Releases a spin lock twice. */
#include "bad.h"

static KSPIN_LOCK Lock;

static VOID Run(VOID)
{
    KIRQL irql;

    KeInitializeSpinLock(&Lock);
    KeAcquireSpinLock(&Lock, &irql);
    if (Bad)
        KeReleaseSpinLockFromDpcLevel(&Lock);
    KeReleaseSpinLock(&Lock, irql);
}

BAD_DRIVER(Run, NoUnload)
