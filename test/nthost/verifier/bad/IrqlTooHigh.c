/* KeFlushQueuedDpcs waits: it is for PASSIVE_LEVEL. */
#include "bad.h"

static VOID Run(VOID)
{
    KIRQL irql = PASSIVE_LEVEL;

    if (Bad)
        KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeFlushQueuedDpcs();
    if (Bad)
        KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
