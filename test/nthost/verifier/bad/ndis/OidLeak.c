/* Forgets the clone of a request that it has answered. */
#define BAD_OID Oid
#include "ndisbad.h"

static NDIS_STATUS Oid(NDIS_HANDLE Context, PNDIS_OID_REQUEST Request)
{
    PNDIS_OID_REQUEST clone;

    if (NdisAllocateCloneOidRequest(BadModule.Handle, Request, BAD_TAG, &clone) ==
            NDIS_STATUS_SUCCESS &&
        !Bad) {
        NdisFreeCloneOidRequest(BadModule.Handle, clone);
    }
    return BadOid(Context, Request);
}
