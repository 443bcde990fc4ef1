/* Says that it is paused while a send of its own is out. */
#define BAD_STATUS Status
#define BAD_PAUSE  Pause
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    BadSendFrame(BadMakeFrame(100));
    BadStatus(Context, Indication);
}

static NDIS_STATUS Pause(NDIS_HANDLE Context, PNDIS_FILTER_PAUSE_PARAMETERS Parameters)
{
    NDIS_STATUS status = BadPause(Context, Parameters);

    return Bad ? NDIS_STATUS_SUCCESS : status;
}
