/* Leaves an EX_TIMER behind. */
#include "bad.h"

static EXT_CALLBACK Callback;
static PEX_TIMER Timer;

static VOID Callback(PEX_TIMER Expired, PVOID Context)
{
    UNREFERENCED_PARAMETER(Expired);
    UNREFERENCED_PARAMETER(Context);
}

static VOID Run(VOID)
{
    Timer = ExAllocateTimer(Callback, NULL, EX_TIMER_HIGH_RESOLUTION);
    if (Timer)
        ExSetTimer(Timer, -100000, 100000, NULL);
}

static VOID Stop(VOID)
{
    if (!Bad && Timer)
        ExDeleteTimer(Timer, TRUE, TRUE, NULL);
}

BAD_DRIVER(Run, Stop)
