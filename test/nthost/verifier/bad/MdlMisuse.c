/* Unlocks pages that it did not lock. */
#include "bad.h"

static UCHAR Buffer[100];

static VOID Run(VOID)
{
    PMDL mdl = IoAllocateMdl(Buffer, sizeof(Buffer), FALSE, FALSE, NULL);

    if (!mdl)
        return;
    MmBuildMdlForNonPagedPool(mdl);
    if (Bad)
        MmUnlockPages(mdl);
    IoFreeMdl(mdl);
}

BAD_DRIVER(Run, NoUnload)
