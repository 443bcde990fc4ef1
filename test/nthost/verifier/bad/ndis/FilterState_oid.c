/* Makes an OID request while it attaches. */
#define BAD_ATTACHED() Attached()
#include <ntddk.h>
#include <ndis.h>
static NDIS_STATUS Attached(VOID);
#include "ndisbad.h"

static NDIS_STATUS Attached(VOID)
{
    static NDIS_OID_REQUEST request;
    static UCHAR address[6];

    request.Header.Type = NDIS_OBJECT_TYPE_OID_REQUEST;
    request.Header.Revision = NDIS_OID_REQUEST_REVISION_1;
    request.Header.Size = NDIS_SIZEOF_OID_REQUEST_REVISION_1;
    request.RequestType = NdisRequestQueryInformation;
    request.DATA.QUERY_INFORMATION.Oid = OID_802_3_CURRENT_ADDRESS;
    request.DATA.QUERY_INFORMATION.InformationBuffer = address;
    request.DATA.QUERY_INFORMATION.InformationBufferLength = sizeof(address);
    if (Bad) {
        NdisFOidRequest(BadModule.Handle, &request);
    }
    return BadSetAttributes();
}
