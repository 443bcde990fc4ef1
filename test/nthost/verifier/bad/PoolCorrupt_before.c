/* Writes in front of a block; seen when the block is freed. */
#include "bad.h"

static VOID Run(VOID)
{
    volatile UCHAR *block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 256, BAD_TAG);

    if (!block)
        return;
    block[Bad ? -3 : 3] = 1;
    ExFreePoolWithTag((PVOID)(ULONG_PTR)block, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
