/* Frees a DPC that is queued, at DISPATCH_LEVEL, where it cannot run yet. */
#include "bad.h"

static KDEFERRED_ROUTINE Routine;

static VOID Routine(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
}

static VOID Run(VOID)
{
    KIRQL irql;
    PKDPC dpc = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*dpc), BAD_TAG);

    if (!dpc)
        return;
    KeInitializeDpc(dpc, Routine, NULL);
    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    KeInsertQueueDpc(dpc, NULL, NULL);
    if (!Bad)
        KeRemoveQueueDpc(dpc);
    ExFreePoolWithTag(dpc, BAD_TAG);
    KeLowerIrql(irql);
}

BAD_DRIVER(Run, NoUnload)
