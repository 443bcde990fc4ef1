/* Releases run-down protection that it did not acquire. */
#include "bad.h"

static EX_RUNDOWN_REF Reference;

static VOID Run(VOID)
{
    ExInitializeRundownProtection(&Reference);
    if (!Bad)
        ExAcquireRundownProtection(&Reference);
    ExReleaseRundownProtection(&Reference);
    ExWaitForRundownProtectionRelease(&Reference);
}

BAD_DRIVER(Run, NoUnload)
