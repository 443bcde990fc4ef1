/* Is unloaded without deregistering. */
#define BAD_UNLOADING() Unloading()
#include <ntddk.h>
static VOID Unloading(VOID);
#include "ndisbad.h"

static VOID Unloading(VOID)
{
    if (!Bad) {
        NdisFDeregisterFilterDriver(BadDriverHandle);
    }
}
