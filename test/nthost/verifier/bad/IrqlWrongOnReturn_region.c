/* DriverUnload leaves a critical region open. */
#include "bad.h"

static VOID Run(VOID) {}

static VOID Stop(VOID)
{
    KeEnterCriticalRegion();
    if (!Bad)
        KeLeaveCriticalRegion();
}

BAD_DRIVER(Run, Stop)
