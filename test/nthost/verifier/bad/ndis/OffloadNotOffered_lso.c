/* Sends more in one large send than the adapter offers. */
#define BAD_STATUS Status
#include "segment.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeSegment(Bad ? 62001 : 62000);

    BadSetSum(nbl, 0);
    BadSetLso(nbl, 1448);
    BadSendFrame(nbl);
    BadStatus(Context, Indication);
}
