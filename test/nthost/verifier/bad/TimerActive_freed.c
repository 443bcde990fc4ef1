/* Frees the memory of a timer that is set. */
#include "bad.h"

static VOID Run(VOID)
{
    LARGE_INTEGER due = {.QuadPart = -10000000};
    PKTIMER timer = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*timer), BAD_TAG);

    if (!timer)
        return;
    KeInitializeTimer(timer);
    KeSetTimer(timer, due, NULL);
    if (!Bad)
        KeCancelTimer(timer);
    ExFreePoolWithTag(timer, BAD_TAG);
}

BAD_DRIVER(Run, NoUnload)
