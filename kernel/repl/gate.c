/* The names gate; see gate.h. */
#include "gate.h"

#include "bracket.h"
#include "config.h"
#include "counters.h"

static KSEMAPHORE RplGate;

VOID RplGateInitialize(VOID)
{
    KeInitializeSemaphore(&RplGate, 1, 1);
}

_Use_decl_annotations_ BOOLEAN RplGateEnter(UINT32 SetId)
{
    LARGE_INTEGER timeout = {.QuadPart = 0};
    NTSTATUS status;
    UINT64 since;

    if (KeWaitForSingleObject(&RplGate, Executive, KernelMode, FALSE, &timeout) == STATUS_SUCCESS)
    {
        return TRUE;
    }
    since = RplNow();
    timeout.QuadPart = -(LONGLONG)RplConfigurationBlockMs() * 10000;
    status = KeWaitForSingleObject(&RplGate, Executive, KernelMode, FALSE, &timeout);
    RplCountBlock(since);
    if (status == STATUS_SUCCESS)
    {
        return TRUE;
    }
    RplOutOfOrder(SetId);
    return FALSE;
}

_Use_decl_annotations_ VOID RplGateLeave(VOID)
{
    KeReleaseSemaphore(&RplGate, IO_NO_INCREMENT, 1, FALSE);
}
