/* Touches paged pool at DISPATCH_LEVEL. */
#include "bad.h"

static volatile ULONG Sum;

static VOID Run(VOID)
{
    KIRQL irql;
    volatile ULONG *block = ExAllocatePool2(POOL_FLAG_PAGED, 100, BAD_TAG);

    if (!block)
        return;
    Sum += block[1];
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    if (Bad)
        Sum += block[2];
    KeLowerIrql(irql);
    Sum += block[3];
    ExFreePoolWithTag((PVOID)(ULONG_PTR)block, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
