/*
 * Framework objects: creation, references, deletion, context space.
 * WDK: "Framework Object Life Cycle", "Framework Object Context Space".
 */
#include "fx.h"

const FX_CLASS FxObjectClass = {"WDFOBJECT", sizeof(FX_OBJECT), TRUE, FALSE, NULL, NULL};

ULONG FxTag(const FX_GLOBALS *Globals)
{
    return Globals->Public.DriverTag ? Globals->Public.DriverTag : FX_TAG;
}

/* "FxWdfTimerStart" -> "WdfTimerStart" */
static PCSTR ApiName(PCSTR Function)
{
    return Function[0] == 'F' && Function[1] == 'x' ? Function + 2 : Function;
}

FX_OBJECT *FxObjectFrom(PCSTR Function, PVOID Handle, const FX_CLASS *Class)
{
    FX_OBJECT *object = (FX_OBJECT *)~(ULONG_PTR)Handle;

    if (Handle == NULL || ((ULONG_PTR)object & 15) != 0)
        FxViolation(FxRuleBadHandle, "%s: %p is no handle%s", ApiName(Function), Handle,
                    Handle == NULL ? ""
                                   : " (a WDM object, a context or something that was never set?)");
    if (object->Signature == FX_OBJECT_DEAD)
        FxViolation(FxRuleBadHandle, "%s: the %s %p was deleted and is gone", ApiName(Function),
                    object->Class->Name, Handle);
    if (object->Signature != FX_OBJECT_ALIVE)
        FxViolation(FxRuleBadHandle, "%s: %p is no handle", ApiName(Function), Handle);
    if (Class != NULL && object->Class != Class)
        FxViolation(FxRuleBadHandle, "%s: %p is a %s, not a %s", ApiName(Function), Handle,
                    object->Class->Name, Class->Name);
    return object;
}

NTSTATUS FxAttributesCheck(PWDF_OBJECT_ATTRIBUTES Attributes)
{
    PCWDF_OBJECT_CONTEXT_TYPE_INFO type;

    if (Attributes == NULL)
        return STATUS_SUCCESS;
    if (Attributes->Size != sizeof(*Attributes))
        return STATUS_INFO_LENGTH_MISMATCH;
    type = Attributes->ContextTypeInfo;
    if (type != NULL && (type->Size != sizeof(*type) || type->ContextName == NULL))
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    if (Attributes->ContextSizeOverride != 0 &&
        (type == NULL || Attributes->ContextSizeOverride < type->ContextSize))
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    if (Attributes->ExecutionLevel == WdfExecutionLevelInvalid ||
        Attributes->ExecutionLevel > WdfExecutionLevelDispatch ||
        Attributes->SynchronizationScope == WdfSynchronizationScopeInvalid ||
        Attributes->SynchronizationScope > WdfSynchronizationScopeNone)
        return STATUS_WDF_OBJECT_ATTRIBUTES_INVALID;
    return STATUS_SUCCESS;
}

static FX_CONTEXT *ContextCreate(FX_OBJECT *Object, PWDF_OBJECT_ATTRIBUTES Attributes)
{
    PCWDF_OBJECT_CONTEXT_TYPE_INFO type = Attributes->ContextTypeInfo;
    SIZE_T size = 0;
    FX_CONTEXT *context;

    if (type != NULL)
        size =
            Attributes->ContextSizeOverride ? Attributes->ContextSizeOverride : type->ContextSize;
    context = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*context) + size, FxTag(Object->Globals));
    if (context == NULL)
        return NULL;
    context->Signature = FX_CONTEXT_ALIVE;
    context->Object = Object;
    context->Type = type != NULL ? type->UniqueType : NULL;
    return context;
}

/* Readers walk the list without a lock: the last link is written when all else is. */
static void ContextAppend(FX_OBJECT *Object, FX_CONTEXT *Context)
{
    KeMemoryBarrier();
    *(FX_CONTEXT *volatile *)Object->LastContext = Context;
    Object->LastContext = &Context->Next;
}

FX_CONTEXT *FxContextFind(FX_OBJECT *Object, PCWDF_OBJECT_CONTEXT_TYPE_INFO Type)
{
    FX_CONTEXT *context = *(FX_CONTEXT *volatile *)&Object->Contexts;

    while (context != NULL && (context->Type == NULL || context->Type != Type))
        context = *(FX_CONTEXT *volatile *)&context->Next;
    return context;
}

NTSTATUS FxContextAdd(FX_OBJECT *Object, PWDF_OBJECT_ATTRIBUTES Attributes, PVOID *Data)
{
    FX_CONTEXT *context, *same;
    KIRQL irql;

    context = ContextCreate(Object, Attributes);
    if (context == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    context->EvtCleanup = Attributes->EvtCleanupCallback;
    context->EvtDestroy = Attributes->EvtDestroyCallback;
    KeAcquireSpinLock(&Object->Lock, &irql);
    same = FxContextFind(Object, context->Type);
    if (same == NULL && Object->State == FxAlive) {
        ContextAppend(Object, context);
        KeReleaseSpinLock(&Object->Lock, irql);
        *Data = context->Data;
        return STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Object->Lock, irql);
    ExFreePoolWithTag(context, FxTag(Object->Globals));
    if (same == NULL)
        return STATUS_DELETE_PENDING;
    *Data = same->Data;
    return STATUS_OBJECT_NAME_EXISTS;
}

NTSTATUS FxObjectAllocate(FX_GLOBALS *Globals, const FX_CLASS *Class,
                          PWDF_OBJECT_ATTRIBUTES Attributes, FX_OBJECT *Parent, FX_OBJECT **Object)
{
    NTSTATUS status = FxAttributesCheck(Attributes);
    FX_OBJECT *object;
    KIRQL irql;

    *Object = NULL;
    if (!NT_SUCCESS(status))
        return status;
    if (Attributes != NULL && Attributes->ParentObject != NULL)
        Parent = FxObjectFrom("WDF_OBJECT_ATTRIBUTES.ParentObject", Attributes->ParentObject, NULL);

    object = ExAllocatePool2(POOL_FLAG_NON_PAGED, Class->Size, FxTag(Globals));
    if (object == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    object->Signature = FX_OBJECT_ALIVE;
    object->State = FxAlive;
    object->Class = Class;
    object->Globals = Globals;
    object->References = 1;
    object->PassiveDispose = Class->PassiveDispose;
    object->LastContext = &object->Contexts;
    KeInitializeSpinLock(&object->Lock);
    InitializeListHead(&object->Children);
    InitializeListHead(&object->Sibling);

    if (Attributes != NULL &&
        (Attributes->ContextTypeInfo != NULL || Attributes->EvtCleanupCallback != NULL ||
         Attributes->EvtDestroyCallback != NULL)) {
        FX_CONTEXT *context = ContextCreate(object, Attributes);
        if (context == NULL) {
            ExFreePoolWithTag(object, FxTag(Globals));
            return STATUS_INSUFFICIENT_RESOURCES;
        }
        ContextAppend(object, context);
    }
    if (Parent != NULL) {
        FxObjectReference(Parent);
        object->Parent = Parent;
    }
    KeAcquireSpinLock(&Globals->Lock, &irql);
    Globals->Objects++;
    InsertTailList(&Globals->Live, &object->LiveLink);
    KeReleaseSpinLock(&Globals->Lock, irql);
    *Object = object;
    return STATUS_SUCCESS;
}

NTSTATUS FxObjectPublish(FX_OBJECT *Object, PWDF_OBJECT_ATTRIBUTES Attributes)
{
    FX_OBJECT *parent = Object->Parent, *ancestor;
    KIRQL irql;

    if (Attributes != NULL && Object->Contexts != NULL) {
        Object->Contexts->EvtCleanup = Attributes->EvtCleanupCallback;
        Object->Contexts->EvtDestroy = Attributes->EvtDestroyCallback;
    }
    if (parent != NULL) {
        if (Object->PassiveDispose)
            for (ancestor = parent; ancestor != NULL && !ancestor->PassiveDispose;
                 ancestor = ancestor->Parent)
                ancestor->PassiveDispose = TRUE;
        KeAcquireSpinLock(&parent->Lock, &irql);
        if (parent->State != FxAlive) {
            KeReleaseSpinLock(&parent->Lock, irql);
            if (Object->Contexts != NULL)
                Object->Contexts->EvtCleanup = Object->Contexts->EvtDestroy = NULL;
            return STATUS_DELETE_PENDING;
        }
        InsertTailList(&parent->Children, &Object->Sibling);
        KeReleaseSpinLock(&parent->Lock, irql);
    }
    Object->Published = TRUE;
    return STATUS_SUCCESS;
}

static void Destroy(FX_OBJECT *Object)
{
    FX_GLOBALS *globals = Object->Globals;
    FX_OBJECT *parent = Object->Parent, *evicted;
    FX_CONTEXT *context, *next;
    KIRQL irql;

    for (context = Object->Contexts; context != NULL; context = context->Next)
        if (context->EvtDestroy != NULL)
            FX_CALL("EvtDestroyCallback", context->EvtDestroy(FX_HANDLE(Object)));
    if (Object->Class->Destroy != NULL)
        Object->Class->Destroy(Object);
    for (context = Object->Contexts; context != NULL; context = next) {
        next = context->Next;
        context->Signature = 0;
        ExFreePoolWithTag(context, FxTag(globals));
    }
    Object->Contexts = NULL;

    KeAcquireSpinLock(&globals->Lock, &irql);
    RemoveEntryList(&Object->LiveLink);
    globals->Objects--;
    Object->Signature = FX_OBJECT_DEAD;
    evicted = globals->Quarantine[globals->QuarantineNext];
    globals->Quarantine[globals->QuarantineNext] = Object;
    globals->QuarantineNext = (globals->QuarantineNext + 1) % FX_QUARANTINE;
    KeReleaseSpinLock(&globals->Lock, irql);
    if (evicted != NULL)
        ExFreePoolWithTag(evicted, FxTag(globals));
    if (parent != NULL)
        FxObjectDereference(parent);
}

VOID FxObjectReference(FX_OBJECT *Object)
{
    InterlockedIncrement(&Object->References);
}

VOID FxObjectDereference(FX_OBJECT *Object)
{
    if (InterlockedDecrement(&Object->References) == 0)
        Destroy(Object);
}

VOID FxObjectDiscard(FX_OBJECT *Object)
{
    Object->State = FxDisposed;
    FxObjectDereference(Object);
}

static void Dispose(FX_OBJECT *Object)
{
    FX_OBJECT *parent = Object->Parent;
    FX_CONTEXT *context;
    KIRQL irql;

    for (;;) {
        FX_OBJECT *child;
        KeAcquireSpinLock(&Object->Lock, &irql);
        if (IsListEmpty(&Object->Children)) {
            KeReleaseSpinLock(&Object->Lock, irql);
            break;
        }
        child = CONTAINING_RECORD(Object->Children.Flink, FX_OBJECT, Sibling);
        RemoveEntryList(&child->Sibling);
        InitializeListHead(&child->Sibling);
        FxObjectReference(child);
        KeReleaseSpinLock(&Object->Lock, irql);
        FxObjectDelete(child);
        FxObjectDereference(child);
    }
    if (Object->Class->Dispose != NULL)
        Object->Class->Dispose(Object);
    for (context = Object->Contexts; context != NULL; context = context->Next)
        if (context->EvtCleanup != NULL)
            FX_CALL("EvtCleanupCallback", context->EvtCleanup(FX_HANDLE(Object)));
    if (parent != NULL) {
        KeAcquireSpinLock(&parent->Lock, &irql);
        RemoveEntryList(&Object->Sibling);
        InitializeListHead(&Object->Sibling);
        KeReleaseSpinLock(&parent->Lock, irql);
    }
    Object->State = FxDisposed;
    FxObjectDereference(Object);
}

static void RunDeferred(FX_OBJECT *Unused)
{
    FX_GLOBALS *globals = Unused->Globals;

    for (;;) {
        KIRQL irql;
        PLIST_ENTRY link = NULL;
        KeAcquireSpinLock(&globals->Lock, &irql);
        if (!IsListEmpty(&globals->Deferred))
            link = RemoveHeadList(&globals->Deferred);
        KeReleaseSpinLock(&globals->Lock, irql);
        if (link == NULL)
            return;
        Dispose(CONTAINING_RECORD(link, FX_OBJECT, DeferLink));
    }
}

/* The driver object's errand: it exists before anything that could be deferred. */
NTSTATUS FxDeferredCreate(FX_GLOBALS *Globals, FX_OBJECT *Driver)
{
    return FxErrandCreate(Driver, RunDeferred, &Globals->DeferredErrand);
}

VOID FxDeferredFlush(FX_GLOBALS *Globals)
{
    if (Globals->DeferredErrand != NULL)
        FxErrandFlush(Globals->DeferredErrand);
}

BOOLEAN FxObjectDelete(FX_OBJECT *Object)
{
    FX_GLOBALS *globals = Object->Globals;
    KIRQL irql;

    KeAcquireSpinLock(&Object->Lock, &irql);
    if (Object->State != FxAlive) {
        KeReleaseSpinLock(&Object->Lock, irql);
        return FALSE;
    }
    Object->State = FxDisposing;
    KeReleaseSpinLock(&Object->Lock, irql);

    if (Object->PassiveDispose && KeGetCurrentIrql() > PASSIVE_LEVEL) {
        KeAcquireSpinLock(&globals->Lock, &irql);
        InsertTailList(&globals->Deferred, &Object->DeferLink);
        KeReleaseSpinLock(&globals->Lock, irql);
        FxErrandBegin(globals->DeferredErrand);
    } else {
        Dispose(Object);
    }
    return TRUE;
}

FX_OBJECT *FxObjectAncestor(FX_OBJECT *Object, const FX_CLASS *Class)
{
    while (Object != NULL && Object->Class != Class)
        Object = Object->Parent;
    return Object;
}

NTSTATUS FxStringDuplicate(PUNICODE_STRING To, PCUNICODE_STRING From)
{
    RtlZeroMemory(To, sizeof(*To));
    if (From == NULL || From->Length == 0)
        return STATUS_SUCCESS;
    To->Buffer = ExAllocatePool2(POOL_FLAG_NON_PAGED, From->Length + sizeof(WCHAR), FX_TAG);
    if (To->Buffer == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    RtlCopyMemory(To->Buffer, From->Buffer, From->Length);
    To->Length = From->Length;
    To->MaximumLength = (USHORT)(From->Length + sizeof(WCHAR));
    return STATUS_SUCCESS;
}

VOID FxStringFree(PUNICODE_STRING String)
{
    if (String->Buffer != NULL)
        ExFreePoolWithTag(String->Buffer, FX_TAG);
    RtlZeroMemory(String, sizeof(*String));
}
