/* Spin locks and wait locks. WDK: wdfsync.h, "Using Framework Locks". */
#include "api.h"

typedef struct FX_SPIN_LOCK {
    FX_OBJECT Object;
    KSPIN_LOCK Lock;
    KIRQL Irql;
    PKTHREAD Owner;
} FX_SPIN_LOCK;

typedef struct FX_WAIT_LOCK {
    FX_OBJECT Object;
    KEVENT Free;
    PKTHREAD Owner;
} FX_WAIT_LOCK;

static void LockDispose(FX_OBJECT *Object);

const FX_CLASS FxSpinLockClass = {"WDFSPINLOCK", sizeof(FX_SPIN_LOCK), TRUE,
                                  FALSE,         LockDispose,          NULL};
const FX_CLASS FxWaitLockClass = {"WDFWAITLOCK", sizeof(FX_WAIT_LOCK), TRUE,
                                  FALSE,         LockDispose,          NULL};

static void LockDispose(FX_OBJECT *Object)
{
    PKTHREAD owner = Object->Class == &FxSpinLockClass ? ((FX_SPIN_LOCK *)Object)->Owner
                                                       : ((FX_WAIT_LOCK *)Object)->Owner;

    if (owner != NULL)
        FxViolation(FxRuleBadParameter, "a %s is deleted while it is held", Object->Class->Name);
}

static NTSTATUS CreateLock(FX_GLOBALS *Globals, const FX_CLASS *Class,
                           PWDF_OBJECT_ATTRIBUTES Attributes, FX_OBJECT **Object)
{
    NTSTATUS status =
        FxObjectAllocate(Globals, Class, Attributes, (FX_OBJECT *)Globals->Driver, Object);

    if (!NT_SUCCESS(status))
        return status;
    if (Class == &FxSpinLockClass)
        KeInitializeSpinLock(&((FX_SPIN_LOCK *)*Object)->Lock);
    else
        KeInitializeEvent(&((FX_WAIT_LOCK *)*Object)->Free, SynchronizationEvent, TRUE);
    status = FxObjectPublish(*Object, Attributes);
    if (!NT_SUCCESS(status))
        FxObjectDiscard(*Object);
    return status;
}

FX_API(NTSTATUS, WdfSpinLockCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                    PWDF_OBJECT_ATTRIBUTES SpinLockAttributes,
                                    WDFSPINLOCK *SpinLock)
{
    FX_OBJECT *object;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *SpinLock = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = CreateLock(FxGlobals(DriverGlobals), &FxSpinLockClass, SpinLockAttributes, &object);
    if (NT_SUCCESS(status))
        *SpinLock = FX_HANDLE(object);
    return status;
}

FX_API(VOID, WdfSpinLockAcquire)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFSPINLOCK SpinLock)
{
    FX_SPIN_LOCK *lock;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    lock = FX_OBJECT_OF(SpinLock, FX_SPIN_LOCK, FxSpinLockClass);
    KeAcquireSpinLock(&lock->Lock, &irql);
    lock->Irql = irql;
    lock->Owner = KeGetCurrentThread();
}

FX_API(VOID, WdfSpinLockRelease)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFSPINLOCK SpinLock)
{
    FX_SPIN_LOCK *lock;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    lock = FX_OBJECT_OF(SpinLock, FX_SPIN_LOCK, FxSpinLockClass);
    if (lock->Owner != KeGetCurrentThread())
        FxViolation(FxRuleBadParameter, "WdfSpinLockRelease: this thread does not hold the lock");
    lock->Owner = NULL;
    KeReleaseSpinLock(&lock->Lock, lock->Irql);
}

FX_API(NTSTATUS, WdfWaitLockCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                    PWDF_OBJECT_ATTRIBUTES LockAttributes, WDFWAITLOCK *Lock)
{
    FX_OBJECT *object;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    if (Lock != NULL)
        *Lock = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = CreateLock(FxGlobals(DriverGlobals), &FxWaitLockClass, LockAttributes, &object);
    if (NT_SUCCESS(status) && Lock != NULL)
        *Lock = FX_HANDLE(object);
    return status;
}

FX_API(NTSTATUS, WdfWaitLockAcquire)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWAITLOCK Lock,
                                     PLONGLONG Timeout)
{
    FX_WAIT_LOCK *lock;
    LARGE_INTEGER timeout;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(Timeout != NULL && *Timeout == 0 ? DISPATCH_LEVEL : PASSIVE_LEVEL);
    lock = FX_OBJECT_OF(Lock, FX_WAIT_LOCK, FxWaitLockClass);
    if (lock->Owner == KeGetCurrentThread())
        FxViolation(FxRuleBadParameter, "WdfWaitLockAcquire: this thread holds the lock already");
    timeout.QuadPart = Timeout != NULL ? *Timeout : 0;
    KeEnterCriticalRegion();
    status = KeWaitForSingleObject(&lock->Free, Executive, KernelMode, FALSE,
                                   Timeout != NULL ? &timeout : NULL);
    if (status != STATUS_SUCCESS) {
        KeLeaveCriticalRegion();
        return status;
    }
    lock->Owner = KeGetCurrentThread();
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfWaitLockRelease)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFWAITLOCK Lock)
{
    FX_WAIT_LOCK *lock;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    lock = FX_OBJECT_OF(Lock, FX_WAIT_LOCK, FxWaitLockClass);
    if (lock->Owner != KeGetCurrentThread())
        FxViolation(FxRuleBadParameter, "WdfWaitLockRelease: this thread does not hold the lock");
    lock->Owner = NULL;
    KeSetEvent(&lock->Free, IO_NO_INCREMENT, FALSE);
    KeLeaveCriticalRegion();
}
