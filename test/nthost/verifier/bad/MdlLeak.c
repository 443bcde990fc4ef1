/* Forgets an MDL. */
#include "bad.h"

static UCHAR Buffer[100];
static PMDL Mdl;

static VOID Run(VOID)
{
    Mdl = IoAllocateMdl(Buffer, sizeof(Buffer), FALSE, FALSE, NULL);
    if (Mdl)
        MmBuildMdlForNonPagedPool(Mdl);
}

static VOID Stop(VOID)
{
    if (!Bad && Mdl)
        IoFreeMdl(Mdl);
}

BAD_DRIVER(Run, Stop)
