/* Changes the length of a frame that it has sent. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeFrame(100);

    BadSendFrame(nbl);
    if (Bad) {
        NET_BUFFER_DATA_LENGTH(NET_BUFFER_LIST_FIRST_NB(nbl)) = 60;
    }
    BadStatus(Context, Indication);
}
