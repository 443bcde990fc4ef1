/* Acquires a fast mutex that it holds. */
#include "bad.h"

static FAST_MUTEX Mutex, Other;

static VOID Run(VOID)
{
    ExInitializeFastMutex(&Mutex);
    ExInitializeFastMutex(&Other);
    ExAcquireFastMutex(&Mutex);
    ExAcquireFastMutex(Bad ? &Mutex : &Other);
    ExReleaseFastMutex(Bad ? &Mutex : &Other);
    ExReleaseFastMutex(&Mutex);
}

BAD_DRIVER(Run, NoUnload)
