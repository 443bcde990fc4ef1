/*
 * The top-level IRP of a thread: how a file system tells a request of its own making, or the memory
 * manager's, from one that came from outside.
 *
 * WDK: IoGetTopLevelIrp, IoSetTopLevelIrp.
 */
#include "../executive/thread.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntifs.h>

PIRP NTAPI IoGetTopLevelIrp(VOID)
{
    VF_ENTRY(DISPATCH_LEVEL);
    return nt_self->top_level_irp;
}
NT_EXPORT(NTOSKRNL, IoGetTopLevelIrp);

VOID NTAPI IoSetTopLevelIrp(PIRP Irp)
{
    VF_ENTRY(DISPATCH_LEVEL);
    nt_self->top_level_irp = Irp;
}
NT_EXPORT(NTOSKRNL, IoSetTopLevelIrp);
