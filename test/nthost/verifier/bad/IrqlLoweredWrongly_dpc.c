/* A DPC goes below DISPATCH_LEVEL. */
#include "bad.h"

static KDEFERRED_ROUTINE Routine;

static VOID Routine(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    KeLowerIrql(Bad ? PASSIVE_LEVEL : DISPATCH_LEVEL);
}

static VOID Run(VOID)
{
    static KDPC dpc;

    KeInitializeDpc(&dpc, Routine, NULL);
    KeInsertQueueDpc(&dpc, NULL, NULL);
    KeFlushQueuedDpcs();
}

BAD_DRIVER(Run, NoUnload)
