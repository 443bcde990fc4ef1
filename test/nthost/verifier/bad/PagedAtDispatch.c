/* Allocates paged pool at DISPATCH_LEVEL. */
#include "bad.h"

static VOID Run(VOID)
{
    KIRQL irql;
    PVOID block;

    KeRaiseIrql(Bad ? DISPATCH_LEVEL : APC_LEVEL, &irql);
    block = ExAllocatePool2(POOL_FLAG_PAGED, 100, BAD_TAG);
    KeLowerIrql(irql);
    if (block)
        ExFreePoolWithTag(block, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
