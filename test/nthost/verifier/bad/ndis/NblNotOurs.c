/* Passes the completion of its own send up the stack. */
#define BAD_STATUS        Status
#define BAD_SEND_COMPLETE SendComplete
#include "ndisbad.h"

static VOID SendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    if (Bad) {
        NdisFSendNetBufferListsComplete(BadModule.Handle, Lists, Flags);
        return;
    }
    BadSendComplete(Context, Lists, Flags);
}

static VOID Status(NDIS_HANDLE Context, PNDIS_STATUS_INDICATION Indication)
{
    BadSendFrame(BadMakeFrame(100));
    BadStatus(Context, Indication);
}
