/* DPC objects and work items. WDK: wdfdpc.h, wdfworkitem.h. */
#include "api.h"

typedef struct FX_DPC {
    FX_OBJECT Object;
    WDF_DPC_CONFIG Config;
    FX_CALLBACK_LOCK *CallbackLock;
    KDPC Dpc;
    KSPIN_LOCK Lock;
    BOOLEAN Disposed;
} FX_DPC;

typedef struct FX_WORK_ITEM {
    FX_OBJECT Object;
    WDF_WORKITEM_CONFIG Config;
    FX_CALLBACK_LOCK *CallbackLock;
    FX_ERRAND *Errand;
} FX_WORK_ITEM;

static void DpcDispose(FX_OBJECT *Object);
static void WorkItemDispose(FX_OBJECT *Object);
static void WorkItemDestroy(FX_OBJECT *Object);
static KDEFERRED_ROUTINE DpcRoutine;

const FX_CLASS FxDpcClass = {"WDFDPC", sizeof(FX_DPC), TRUE, TRUE, DpcDispose, NULL};
const FX_CLASS FxWorkItemClass = {"WDFWORKITEM", sizeof(FX_WORK_ITEM), TRUE,
                                  TRUE,          WorkItemDispose,      WorkItemDestroy};

static void DpcDispose(FX_OBJECT *Object)
{
    FX_DPC *dpc = (FX_DPC *)Object;
    KIRQL irql;

    KeAcquireSpinLock(&dpc->Lock, &irql);
    dpc->Disposed = TRUE;
    KeReleaseSpinLock(&dpc->Lock, irql);
    KeRemoveQueueDpc(&dpc->Dpc);
    KeFlushQueuedDpcs();
}

static VOID DpcRoutine(PKDPC Dpc, PVOID Context, PVOID Argument1, PVOID Argument2)
{
    FX_DPC *dpc = Context;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);
    FxCallbackLockAcquire(dpc->CallbackLock);
    FX_CALL("EvtDpcFunc", dpc->Config.EvtDpcFunc(FX_HANDLE(dpc)));
    FxCallbackLockRelease(dpc->CallbackLock);
}

FX_API(NTSTATUS, WdfDpcCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDF_DPC_CONFIG Config,
                               PWDF_OBJECT_ATTRIBUTES Attributes, WDFDPC *Dpc)
{
    FX_CALLBACK_LOCK *lock;
    FX_OBJECT *object;
    FX_DEVICE *device;
    FX_DPC *dpc;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *Dpc = NULL;
    if (Config->Size != sizeof(*Config))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtDpcFunc == NULL)
        return STATUS_INVALID_PARAMETER;
    status = FxAttributesCheck(Attributes);
    if (!NT_SUCCESS(status))
        return status;
    if (Attributes == NULL || Attributes->ParentObject == NULL)
        return STATUS_WDF_PARENT_NOT_SPECIFIED;
    status = FxCallbackParentLock(FxObjectFrom(__func__, Attributes->ParentObject, NULL), &lock,
                                  &device);
    if (!NT_SUCCESS(status))
        return status;
    if (Config->AutomaticSerialization && lock != NULL && lock->Passive)
        return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxObjectAllocate(FxGlobals(DriverGlobals), &FxDpcClass, Attributes, NULL, &object);
    if (!NT_SUCCESS(status))
        return status;
    dpc = (FX_DPC *)object;
    dpc->Config = *Config;
    dpc->CallbackLock = Config->AutomaticSerialization ? lock : NULL;
    KeInitializeSpinLock(&dpc->Lock);
    KeInitializeDpc(&dpc->Dpc, DpcRoutine, dpc);
    status = FxObjectPublish(object, Attributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *Dpc = FX_HANDLE(dpc);
    return STATUS_SUCCESS;
}

FX_API(BOOLEAN, WdfDpcEnqueue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDPC Dpc)
{
    BOOLEAN queued = FALSE;
    FX_DPC *dpc;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    dpc = FX_OBJECT_OF(Dpc, FX_DPC, FxDpcClass);
    KeAcquireSpinLock(&dpc->Lock, &irql);
    if (!dpc->Disposed)
        queued = KeInsertQueueDpc(&dpc->Dpc, NULL, NULL);
    KeReleaseSpinLock(&dpc->Lock, irql);
    return queued;
}

FX_API(BOOLEAN, WdfDpcCancel)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDPC Dpc, BOOLEAN Wait)
{
    BOOLEAN queued;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(Wait ? PASSIVE_LEVEL : DISPATCH_LEVEL);
    queued = KeRemoveQueueDpc(&FX_OBJECT_OF(Dpc, FX_DPC, FxDpcClass)->Dpc);
    if (Wait)
        KeFlushQueuedDpcs();
    return queued;
}

FX_API(WDFOBJECT, WdfDpcGetParentObject)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFDPC Dpc)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(Dpc, FX_DPC, FxDpcClass)->Object.Parent);
}

static void WorkItemDispose(FX_OBJECT *Object)
{
    FxErrandFinish(((FX_WORK_ITEM *)Object)->Errand);
}

static void WorkItemDestroy(FX_OBJECT *Object)
{
    FxErrandFree(((FX_WORK_ITEM *)Object)->Errand);
}

static void RunWorkItem(FX_OBJECT *Object)
{
    FX_WORK_ITEM *item = (FX_WORK_ITEM *)Object;

    FxCallbackLockAcquire(item->CallbackLock);
    FX_CALL("EvtWorkItemFunc", item->Config.EvtWorkItemFunc(FX_HANDLE(item)));
    FxCallbackLockRelease(item->CallbackLock);
}

FX_API(NTSTATUS, WdfWorkItemCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PWDF_WORKITEM_CONFIG Config,
                                    PWDF_OBJECT_ATTRIBUTES Attributes, WDFWORKITEM *WorkItem)
{
    FX_CALLBACK_LOCK *lock;
    FX_WORK_ITEM *item;
    FX_OBJECT *object;
    FX_DEVICE *device;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *WorkItem = NULL;
    if (Config->Size != sizeof(*Config))
        return STATUS_INFO_LENGTH_MISMATCH;
    if (Config->EvtWorkItemFunc == NULL)
        return STATUS_INVALID_PARAMETER;
    status = FxAttributesCheck(Attributes);
    if (!NT_SUCCESS(status))
        return status;
    if (Attributes == NULL || Attributes->ParentObject == NULL)
        return STATUS_WDF_PARENT_NOT_SPECIFIED;
    status = FxCallbackParentLock(FxObjectFrom(__func__, Attributes->ParentObject, NULL), &lock,
                                  &device);
    if (!NT_SUCCESS(status))
        return status;
    /* A work item that holds a spin lock would not be at PASSIVE_LEVEL. */
    if (Config->AutomaticSerialization && lock != NULL && !lock->Passive)
        return STATUS_WDF_INCOMPATIBLE_EXECUTION_LEVEL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status =
        FxObjectAllocate(FxGlobals(DriverGlobals), &FxWorkItemClass, Attributes, NULL, &object);
    if (!NT_SUCCESS(status))
        return status;
    item = (FX_WORK_ITEM *)object;
    item->Config = *Config;
    item->CallbackLock = Config->AutomaticSerialization ? lock : NULL;
    status = FxErrandCreate(object, RunWorkItem, &item->Errand);
    if (NT_SUCCESS(status))
        status = FxObjectPublish(object, Attributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *WorkItem = FX_HANDLE(item);
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfWorkItemEnqueue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWORKITEM WorkItem)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    FxErrandBegin(FX_OBJECT_OF(WorkItem, FX_WORK_ITEM, FxWorkItemClass)->Errand);
}

FX_API(VOID, WdfWorkItemFlush)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWORKITEM WorkItem)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    FxErrandFlush(FX_OBJECT_OF(WorkItem, FX_WORK_ITEM, FxWorkItemClass)->Errand);
}

FX_API(WDFOBJECT, WdfWorkItemGetParentObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                              WDFWORKITEM WorkItem)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_HANDLE(FX_OBJECT_OF(WorkItem, FX_WORK_ITEM, FxWorkItemClass)->Object.Parent);
}
