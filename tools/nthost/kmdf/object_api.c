/* WdfObjectXxx. WDK: wdfobject.h. */
#include "api.h"

FX_API(NTSTATUS, WdfObjectCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                  PWDF_OBJECT_ATTRIBUTES Attributes, WDFOBJECT *Object)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    FX_OBJECT *object;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *Object = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxObjectAllocate(globals, &FxObjectClass, Attributes, (FX_OBJECT *)globals->Driver,
                              &object);
    if (!NT_SUCCESS(status))
        return status;
    status = FxObjectPublish(object, Attributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *Object = FX_HANDLE(object);
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfObjectDelete)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle)
{
    FX_OBJECT *object;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    object = FX_ANY_OBJECT(Handle);
    if (!object->Class->DriverDeletes)
        FxViolation(FxRuleBadHandle, "WdfObjectDelete: the framework deletes a %s itself",
                    object->Class->Name);
    if (object->Class == &FxDeviceClass)
        FxDeviceDelete((FX_DEVICE *)object);
    else if (!FxObjectDelete(object))
        FxViolation(FxRuleBadHandle, "WdfObjectDelete: the %s %p is being deleted already",
                    object->Class->Name, Handle);
}

FX_API(VOID, WdfObjectReferenceActual)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle,
                                       PVOID Tag, LONG Line, PCCH File)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    UNREFERENCED_PARAMETER(Tag);
    UNREFERENCED_PARAMETER(Line);
    UNREFERENCED_PARAMETER(File);
    FX_ENTER(DISPATCH_LEVEL);
    FxObjectReference(FX_ANY_OBJECT(Handle));
}

FX_API(VOID, WdfObjectDereferenceActual)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle,
                                         PVOID Tag, LONG Line, PCCH File)
{
    FX_OBJECT *object;

    UNREFERENCED_PARAMETER(DriverGlobals);
    UNREFERENCED_PARAMETER(Tag);
    FX_ENTER(DISPATCH_LEVEL);
    object = FX_ANY_OBJECT(Handle);
    /* The creation's reference is the framework's until the object is deleted. */
    if (object->References == 1 && object->State == FxAlive)
        FxViolation(FxRuleBadHandle,
                    "WdfObjectDereference: the %s %p has no reference of the driver's (%s:%d)",
                    object->Class->Name, Handle, File != NULL ? File : "", (int)Line);
    FxObjectDereference(object);
}

FX_API(PVOID, WdfObjectGetTypedContextWorker)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle,
                                              PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo)
{
    FX_CONTEXT *context;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(HIGH_LEVEL);
    context = FxContextFind(FX_ANY_OBJECT(Handle), TypeInfo->UniqueType);
    return context != NULL ? context->Data : NULL;
}

FX_API(WDFOBJECT, WdfObjectContextGetObject)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             PVOID ContextPointer)
{
    FX_CONTEXT *context = CONTAINING_RECORD(ContextPointer, FX_CONTEXT, Data);

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(HIGH_LEVEL);
    if (context->Signature != FX_CONTEXT_ALIVE)
        FxViolation(FxRuleBadHandle, "WdfObjectContextGetObject: %p is no context", ContextPointer);
    return FX_HANDLE(context->Object);
}

FX_API(NTSTATUS, WdfObjectAllocateContext)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle,
                                           PWDF_OBJECT_ATTRIBUTES ContextAttributes, PVOID *Context)
{
    FX_OBJECT *object;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    object = FX_ANY_OBJECT(Handle);
    *Context = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxAttributesCheck(ContextAttributes);
    if (!NT_SUCCESS(status))
        return status;
    if (ContextAttributes == NULL || ContextAttributes->ContextTypeInfo == NULL ||
        ContextAttributes->ParentObject != NULL)
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    return FxContextAdd(object, ContextAttributes, Context);
}

/* The lock that serializes the object's callbacks. WDK: "Using Automatic Synchronization". */
static FX_CALLBACK_LOCK *LockOf(PCSTR Function, WDFOBJECT Handle)
{
    FX_OBJECT *object = FxObjectFrom(Function, Handle, NULL);
    FX_CALLBACK_LOCK *lock = NULL;

    if (object->Class == &FxQueueClass)
        lock = ((FX_QUEUE *)object)->CallbackLock;
    else if (object->Class == &FxDeviceClass &&
             ((FX_DEVICE *)object)->Scope == WdfSynchronizationScopeDevice)
        lock = &((FX_DEVICE *)object)->CallbackLock;
    if (lock == NULL)
        FxViolation(FxRuleBadParameter, "%s: the %s has no synchronization scope, and so no lock",
                    Function + 2, object->Class->Name);
    return lock;
}

FX_API(VOID, WdfObjectAcquireLock)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    FxCallbackLockAcquire(LockOf(__func__, Handle));
}

FX_API(VOID, WdfObjectReleaseLock)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Handle)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    FxCallbackLockRelease(LockOf(__func__, Handle));
}
