/* Sends a buffer that says it is longer than its MDLs. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeFrame(100);

    if (Bad) {
        NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(nbl)) = 101;
    }
    BadSendFrame(nbl);
    BadStatus(Context, Indication);
}
