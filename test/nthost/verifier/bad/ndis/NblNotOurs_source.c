/* Sends a frame of its own without setting SourceHandle. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeFrame(100);

    if (Bad) {
        nbl->SourceHandle = NULL;
    }
    BadSendFrame(nbl);
    BadStatus(Context, Indication);
}
