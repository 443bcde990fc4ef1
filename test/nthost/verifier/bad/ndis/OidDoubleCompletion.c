/* Completes a request that it has answered at once. */
#define BAD_OID Oid
#include "ndisbad.h"

static NDIS_STATUS Oid(NDIS_HANDLE Context, PNDIS_OID_REQUEST Request)
{
    UNREFERENCED_PARAMETER(Context);
    NdisFOidRequestComplete(BadModule.Handle, Request, NDIS_STATUS_SUCCESS);
    if (Bad) {
        NdisFOidRequestComplete(BadModule.Handle, Request, NDIS_STATUS_SUCCESS);
    }
    return NDIS_STATUS_PENDING;
}
