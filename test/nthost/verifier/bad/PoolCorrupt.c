/* Reads behind the end of a block. */
#include "bad.h"

static volatile ULONG Sum;

static VOID Run(VOID)
{
    ULONG i, count = 64;
    volatile ULONG *block = ExAllocatePool2(POOL_FLAG_NON_PAGED, count * sizeof(ULONG), BAD_TAG);

    if (!block)
        return;
    for (i = 0; i < count + (Bad ? 1 : 0); i++)
        Sum += block[i];
    ExFreePoolWithTag((PVOID)(ULONG_PTR)block, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
