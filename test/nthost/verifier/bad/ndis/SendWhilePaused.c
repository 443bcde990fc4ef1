/* Sends in FilterRestart. */
#define BAD_RESTART Restart
#include "ndisbad.h"

static NDIS_STATUS Restart(NDIS_HANDLE Context, PNDIS_FILTER_RESTART_PARAMETERS Parameters)
{
    if (Bad) {
        BadSendFrame(BadMakeFrame(100));
    }
    return BadRestart(Context, Parameters);
}
