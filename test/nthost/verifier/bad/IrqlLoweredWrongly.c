/* "Raises" to a lower level. */
#include "bad.h"

static VOID Run(VOID)
{
    KIRQL old, inner;

    KeRaiseIrql(DISPATCH_LEVEL, &old);
    KeRaiseIrql(Bad ? APC_LEVEL : DISPATCH_LEVEL, &inner);
    KeLowerIrql(inner);
    KeLowerIrql(old);
}

BAD_DRIVER(Run, NoUnload)
