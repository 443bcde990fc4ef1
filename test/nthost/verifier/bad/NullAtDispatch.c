/* Not a rule: follows a null pointer at DISPATCH_LEVEL. */
#include "bad.h"

static volatile ULONG Sum;
static volatile ULONG_PTR Member = 16; /* of an object that is not there */

static VOID Run(VOID)
{
    KIRQL irql;
    ULONG value = 7;
    volatile ULONG *pointer = Bad ? (volatile ULONG *)Member : &value;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    Sum += *pointer;
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
