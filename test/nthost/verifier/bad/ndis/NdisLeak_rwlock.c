/* Forgets a read-write lock. */
#define BAD_DETACHING() Detaching()
#include <ntddk.h>
static VOID Detaching(VOID);
#include "ndisbad.h"

static VOID Detaching(VOID)
{
    PNDIS_RW_LOCK_EX lock = NdisAllocateRWLock(BadModule.Handle);

    if (!Bad) {
        NdisFreeRWLock(lock);
    }
}
