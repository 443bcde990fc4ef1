/* Sends a frame longer than the MTU. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    BadSendFrame(BadMakeFrame(Bad ? 1515 : 1514));
    BadStatus(Context, Indication);
}
