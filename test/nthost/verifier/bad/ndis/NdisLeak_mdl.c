/* Forgets an MDL. */
#define BAD_DETACHING() Detaching()
#include <ntddk.h>
static VOID Detaching(VOID);
#include "ndisbad.h"

static UCHAR Data[64];

static VOID Detaching(VOID)
{
    PMDL mdl = NdisAllocateMdl(BadModule.Handle, Data, sizeof(Data));

    if (!Bad) {
        NdisFreeMdl(mdl);
    }
}
