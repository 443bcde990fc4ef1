/* Reads a block that it freed. */
#include "bad.h"

static volatile ULONG Sum;

static VOID Run(VOID)
{
    volatile ULONG *block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 256, BAD_TAG);

    if (!block)
        return;
    if (!Bad)
        Sum += block[3];
    ExFreePoolWithTag((PVOID)(ULONG_PTR)block, BAD_TAG);
    if (Bad)
        Sum += block[3];
}

BAD_DRIVER(Run, NoUnload)
