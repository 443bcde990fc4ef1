/* Indicates a status without a header. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    NDIS_STATUS_INDICATION status = *Indication;

    if (Bad) {
        RtlZeroMemory(&status.Header, sizeof(status.Header));
    }
    BadStatus(Context, &status);
}
