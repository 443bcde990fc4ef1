/* Completes a send twice. */
#define BAD_SEND_COMPLETE SendComplete
#include "ndisbad.h"

static VOID SendComplete(NDIS_HANDLE Context, PNET_BUFFER_LIST Lists, ULONG Flags)
{
    if (Bad) {
        NdisFSendNetBufferListsComplete(BadModule.Handle, Lists, Flags);
        NdisFSendNetBufferListsComplete(BadModule.Handle, Lists, Flags);
        return;
    }
    BadSendComplete(Context, Lists, Flags);
}
