/* Writes to the data of a frame that it has sent. */
#define BAD_STATUS Status
#include "ndisbad.h"

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    PNET_BUFFER_LIST nbl = BadMakeFrame(100);
    PUCHAR data = MmGetMdlVirtualAddress(NET_BUFFER_FIRST_MDL(NET_BUFFER_LIST_FIRST_NB(nbl)));

    BadSendFrame(nbl);
    if (Bad) {
        data[50]++;
    }
    BadStatus(Context, Indication);
}
