/* Forgets a block. */
#include "bad.h"

static PVOID Block;

static VOID Run(VOID)
{
    Block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, BAD_TAG);
}

static VOID Stop(VOID)
{
    if (!Bad && Block)
        ExFreePoolWithTag(Block, BAD_TAG);
}

BAD_DRIVER(Run, Stop)
