/* Forgets a work item. */
#define BAD_DETACHING() Detaching()
#include <ntddk.h>
static VOID Detaching(VOID);
#include "ndisbad.h"

static VOID Detaching(VOID)
{
    NDIS_HANDLE item = NdisAllocateIoWorkItem(BadModule.Handle);

    if (!Bad) {
        NdisFreeIoWorkItem(item);
    }
}
