/*
 * Automatic synchronization of callbacks. WDK: "Using Automatic Synchronization", "Synchronization
 * Scope and Execution Level". The lock is recursive: a callback may call what calls back.
 */
#include "fx.h"

VOID FxCallbackLockInitialize(FX_CALLBACK_LOCK *Lock, BOOLEAN Passive)
{
    RtlZeroMemory(Lock, sizeof(*Lock));
    Lock->Passive = Passive;
    KeInitializeSpinLock(&Lock->Spin);
    KeInitializeEvent(&Lock->Free, SynchronizationEvent, TRUE);
}

VOID FxCallbackLockAcquire(FX_CALLBACK_LOCK *Lock)
{
    PKTHREAD self = KeGetCurrentThread();
    KIRQL irql = PASSIVE_LEVEL;

    if (Lock == NULL)
        return;
    if (*(PKTHREAD volatile *)&Lock->Owner == self) {
        Lock->Depth++;
        return;
    }
    if (Lock->Passive) {
        KeEnterCriticalRegion();
        KeWaitForSingleObject(&Lock->Free, Executive, KernelMode, FALSE, NULL);
    } else {
        KeAcquireSpinLock(&Lock->Spin, &irql);
    }
    Lock->Irql = irql;
    Lock->Owner = self;
    Lock->Depth = 1;
}

VOID FxCallbackLockRelease(FX_CALLBACK_LOCK *Lock)
{
    if (Lock == NULL)
        return;
    if (Lock->Owner != KeGetCurrentThread())
        FxViolation(FxRuleBadParameter,
                    "a callback lock is released by a thread that does not hold it");
    if (--Lock->Depth != 0)
        return;
    Lock->Owner = NULL;
    if (Lock->Passive) {
        KeSetEvent(&Lock->Free, IO_NO_INCREMENT, FALSE);
        KeLeaveCriticalRegion();
    } else {
        KeReleaseSpinLock(&Lock->Spin, Lock->Irql);
    }
}

VOID FxCallbackInherit(PWDF_OBJECT_ATTRIBUTES Attributes, WDF_EXECUTION_LEVEL ParentLevel,
                       WDF_SYNCHRONIZATION_SCOPE ParentScope, WDF_EXECUTION_LEVEL *Level,
                       WDF_SYNCHRONIZATION_SCOPE *Scope)
{
    *Level = ParentLevel;
    *Scope = ParentScope;
    if (Attributes == NULL)
        return;
    if (Attributes->ExecutionLevel != WdfExecutionLevelInheritFromParent)
        *Level = Attributes->ExecutionLevel;
    if (Attributes->SynchronizationScope != WdfSynchronizationScopeInheritFromParent)
        *Scope = Attributes->SynchronizationScope;
}

NTSTATUS FxCallbackParentLock(FX_OBJECT *Parent, FX_CALLBACK_LOCK **Lock, FX_DEVICE **Device)
{
    FX_QUEUE *queue = (FX_QUEUE *)FxObjectAncestor(Parent, &FxQueueClass);

    *Lock = NULL;
    *Device = (FX_DEVICE *)FxObjectAncestor(Parent, &FxDeviceClass);
    if (queue != NULL)
        *Lock = queue->CallbackLock;
    else if (*Device != NULL && (*Device)->Scope == WdfSynchronizationScopeDevice)
        *Lock = &(*Device)->CallbackLock;
    return *Device != NULL || Parent->Class == &FxDriverClass ? STATUS_SUCCESS
                                                              : STATUS_INVALID_DEVICE_REQUEST;
}
