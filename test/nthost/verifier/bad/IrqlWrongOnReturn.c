/* DriverEntry returns raised. */
#include "bad.h"

static VOID Run(VOID)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (!Bad)
        KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
