/* Frees an MDL of the I/O manager as one of NDIS. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    static UCHAR data[100];
    PMDL mdl = IoAllocateMdl(data, sizeof(data), FALSE, FALSE, NULL);

    if (Bad) {
        NdisFreeMdl(mdl);
    } else {
        IoFreeMdl(mdl);
    }
    BadStatus(Context, Indication);
}
