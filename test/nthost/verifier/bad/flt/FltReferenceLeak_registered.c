/* A filter is unloaded without FltUnregisterFilter. */
#include "fltbad.h"

static VOID Stop(VOID)
{
    if (Bad) {
        Filter = NULL;
    }
}
FLT_BAD(IRP_MJ_WRITE, NoPre, NoPost, Stop)
