/* Is unloaded with a timer set. */
#include "bad.h"

static KTIMER Timer;

static VOID Run(VOID)
{
    LARGE_INTEGER due = {.QuadPart = -10000000};

    KeInitializeTimer(&Timer);
    KeSetTimer(&Timer, due, NULL);
}

static VOID Stop(VOID)
{
    if (!Bad)
        KeCancelTimer(&Timer);
}

BAD_DRIVER(Run, Stop)
