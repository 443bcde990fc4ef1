/* Takes two locks in both orders, through a third; nothing deadlocks, for nobody else is about. */
#include "bad.h"

static KSPIN_LOCK First, Second;
static FAST_MUTEX Outer;

static VOID Both(PKSPIN_LOCK A, PKSPIN_LOCK B)
{
    KIRQL irql;

    KeAcquireSpinLock(A, &irql);
    KeAcquireSpinLockAtDpcLevel(B);
    KeReleaseSpinLockFromDpcLevel(B);
    KeReleaseSpinLock(A, irql);
}

static VOID Run(VOID)
{
    KeInitializeSpinLock(&First);
    KeInitializeSpinLock(&Second);
    ExInitializeFastMutex(&Outer);
    Both(&First, &Second);
    ExAcquireFastMutex(&Outer);
    Both(&First, &Second);
    ExReleaseFastMutex(&Outer);
    Both(Bad ? &Second : &First, Bad ? &First : &Second);
}

BAD_DRIVER(Run, NoUnload)
