/* Frees a block with another tag. */
#include "bad.h"

static VOID Run(VOID)
{
    PVOID block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, BAD_TAG);

    if (block)
        ExFreePoolWithTag(block, Bad ? 'rehT' : BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
