/* Completes a pause that nobody has asked for. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    if (Bad) {
        NdisFPauseComplete(BadModule.Handle);
    }
    BadStatus(Context, Indication);
}
