/* Not a rule: follows a null pointer at DISPATCH_LEVEL. */
#include "bad.h"

static volatile ULONG Sum;

static VOID Run(VOID)
{
    KIRQL irql;
    ULONG value = 7;
    volatile ULONG *pointer = Bad ? NULL : &value;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Sum += *pointer;
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
