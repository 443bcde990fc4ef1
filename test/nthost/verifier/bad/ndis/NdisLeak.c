/* Forgets a pool. */
#define BAD_DETACHING() Detaching()
#include <ntddk.h>
static VOID Detaching(VOID);
#include "ndisbad.h"

static VOID Detaching(VOID)
{
    NDIS_HANDLE pool = BadAllocatePool();

    if (!Bad) {
        NdisFreeNetBufferListPool(pool);
    }
}
