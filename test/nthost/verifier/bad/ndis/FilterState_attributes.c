/* Attaches without NdisFSetAttributes. */
#define BAD_ATTACHED() Attached()
#include <ntddk.h>
#include <ndis.h>
static NDIS_STATUS Attached(VOID);
#include "ndisbad.h"

static NDIS_STATUS Attached(VOID)
{
    return Bad ? NDIS_STATUS_SUCCESS : BadSetAttributes();
}
