/*
 * Work items: see work.h.
 */
#include "work.h"

#include "cluster.h"

_Use_decl_annotations_ NTSTATUS OipWorkCreate(OIP_WORK *Work, PIO_WORKITEM_ROUTINE Routine)
{
    Work->Routine = Routine;
    Work->Requests = 0;
    KeInitializeSpinLock(&Work->Lock);
    KeInitializeEvent(&Work->Idle, NotificationEvent, TRUE);
    /* A driver object serves as well as a device of its own. (WDK: IoAllocateWorkItem) */
    Work->Item = IoAllocateWorkItem((PDEVICE_OBJECT)Oip.DriverObject);
    return Work->Item == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID OipWorkQueue(OIP_WORK *Work)
{
    KIRQL irql;

    KeAcquireSpinLock(&Work->Lock, &irql);
    if (Work->Requests++ == 0)
    {
        KeClearEvent(&Work->Idle);
        IoQueueWorkItem(Work->Item, Work->Routine, DelayedWorkQueue, Work);
    }
    KeReleaseSpinLock(&Work->Lock, irql);
}

_Use_decl_annotations_ BOOLEAN OipWorkAgain(OIP_WORK *Work, ULONG *Seen)
{
    BOOLEAN again;
    KIRQL irql;

    KeAcquireSpinLock(&Work->Lock, &irql);
    again = Work->Requests != *Seen;
    *Seen = Work->Requests;
    if (!again)
    {
        Work->Requests = 0;
        KeSetEvent(&Work->Idle, IO_NO_INCREMENT, FALSE);
    }
    KeReleaseSpinLock(&Work->Lock, irql);
    return again;
}

_Use_decl_annotations_ VOID OipWorkDestroy(OIP_WORK *Work)
{
    if (Work->Item != NULL)
    {
        KeWaitForSingleObject(&Work->Idle, Executive, KernelMode, FALSE, NULL);
        IoFreeWorkItem(Work->Item);
        Work->Item = NULL;
    }
}
