/* Passes a request from above on without cloning it. */
#define BAD_OID Oid
#include "ndisbad.h"

static NDIS_STATUS Oid(NDIS_HANDLE Context, PNDIS_OID_REQUEST Request)
{
    return Bad ? NdisFOidRequest(BadModule.Handle, Request) : BadOid(Context, Request);
}
