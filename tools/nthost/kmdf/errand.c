/*
 * Errands: what is put off to a system thread, at PASSIVE_LEVEL. A work item of the driver object,
 * so that neither the driver nor this code goes away while it is under way.
 * WDK: IoInitializeWorkItem.
 */
#include "fx.h"

static IO_WORKITEM_ROUTINE_EX Run;

NTSTATUS FxErrandCreate(FX_OBJECT *Object, VOID (*Routine)(FX_OBJECT *), FX_ERRAND **Errand)
{
    FX_ERRAND *errand = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*errand), FX_TAG);

    *Errand = NULL;
    if (errand == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    errand->Item = ExAllocatePool2(POOL_FLAG_NON_PAGED, IoSizeofWorkItem(), FX_TAG);
    if (errand->Item == NULL) {
        ExFreePoolWithTag(errand, FX_TAG);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    IoInitializeWorkItem(Object->Globals->DriverObject, errand->Item);
    errand->Object = Object;
    errand->Run = Routine;
    KeInitializeSpinLock(&errand->Lock);
    KeInitializeEvent(&errand->Idle, NotificationEvent, TRUE);
    *Errand = errand;
    return STATUS_SUCCESS;
}

static VOID Run(PVOID IoObject, PVOID Context, PIO_WORKITEM Item)
{
    FX_ERRAND *errand = Context;
    FX_OBJECT *object = errand->Object;
    KIRQL irql;

    UNREFERENCED_PARAMETER(IoObject);
    UNREFERENCED_PARAMETER(Item);
    for (;;) {
        KeAcquireSpinLock(&errand->Lock, &irql);
        errand->Again = FALSE;
        errand->Running = KeGetCurrentThread();
        KeReleaseSpinLock(&errand->Lock, irql);

        errand->Run(object);

        KeAcquireSpinLock(&errand->Lock, &irql);
        errand->Running = NULL;
        if (!errand->Again)
            break;
        KeReleaseSpinLock(&errand->Lock, irql);
    }
    errand->Queued = FALSE;
    KeSetEvent(&errand->Idle, IO_NO_INCREMENT, FALSE);
    KeReleaseSpinLock(&errand->Lock, irql);
    /* From here on the errand may be gone; the object holds until its reference goes. */
    FxObjectDereference(object);
}

BOOLEAN FxErrandBegin(FX_ERRAND *Errand)
{
    BOOLEAN begin = FALSE;
    KIRQL irql;

    KeAcquireSpinLock(&Errand->Lock, &irql);
    if (Errand->Closed) {
        KeReleaseSpinLock(&Errand->Lock, irql);
        return FALSE;
    }
    if (Errand->Queued) {
        /* What runs may have passed the point already: it goes round once more. */
        begin = Errand->Running != NULL && !Errand->Again;
        Errand->Again = TRUE;
        KeReleaseSpinLock(&Errand->Lock, irql);
        return begin;
    }
    Errand->Queued = TRUE;
    Errand->Again = FALSE;
    KeClearEvent(&Errand->Idle);
    FxObjectReference(Errand->Object);
    KeReleaseSpinLock(&Errand->Lock, irql);
    IoQueueWorkItemEx(Errand->Item, Run, DelayedWorkQueue, Errand);
    return TRUE;
}

VOID FxErrandFlush(FX_ERRAND *Errand)
{
    if (Errand->Running != KeGetCurrentThread())
        KeWaitForSingleObject(&Errand->Idle, Executive, KernelMode, FALSE, NULL);
}

VOID FxErrandFinish(FX_ERRAND *Errand)
{
    KIRQL irql;

    KeAcquireSpinLock(&Errand->Lock, &irql);
    Errand->Closed = TRUE;
    KeReleaseSpinLock(&Errand->Lock, irql);
    FxErrandFlush(Errand);
}

VOID FxErrandFree(FX_ERRAND *Errand)
{
    if (Errand == NULL)
        return;
    IoUninitializeWorkItem(Errand->Item);
    ExFreePoolWithTag(Errand->Item, FX_TAG);
    ExFreePoolWithTag(Errand, FX_TAG);
}
