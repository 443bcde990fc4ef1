/* Frees a block twice. */
#include "bad.h"

static VOID Run(VOID)
{
    PVOID block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, BAD_TAG);

    if (!block)
        return;
    ExFreePoolWithTag(block, BAD_TAG);
    if (Bad)
        ExFreePoolWithTag(block, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
