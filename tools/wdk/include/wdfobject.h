/*
 * Framework objects: attributes, context space, lifetime.
 */
#pragma once

#include <wdftypes.h>

typedef enum _WDF_EXECUTION_LEVEL {
    WdfExecutionLevelInvalid,
    WdfExecutionLevelInheritFromParent,
    WdfExecutionLevelPassive,
    WdfExecutionLevelDispatch
} WDF_EXECUTION_LEVEL;

typedef enum _WDF_SYNCHRONIZATION_SCOPE {
    WdfSynchronizationScopeInvalid,
    WdfSynchronizationScopeInheritFromParent,
    WdfSynchronizationScopeDevice,
    WdfSynchronizationScopeQueue,
    WdfSynchronizationScopeNone
} WDF_SYNCHRONIZATION_SCOPE;

typedef VOID NTAPI EVT_WDF_OBJECT_CONTEXT_CLEANUP(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_CLEANUP *PFN_WDF_OBJECT_CONTEXT_CLEANUP;
typedef VOID NTAPI EVT_WDF_OBJECT_CONTEXT_DESTROY(WDFOBJECT Object);
typedef EVT_WDF_OBJECT_CONTEXT_DESTROY *PFN_WDF_OBJECT_CONTEXT_DESTROY;

typedef const struct _WDF_OBJECT_CONTEXT_TYPE_INFO *PCWDF_OBJECT_CONTEXT_TYPE_INFO;
typedef PCWDF_OBJECT_CONTEXT_TYPE_INFO(NTAPI *PFN_GET_UNIQUE_CONTEXT_TYPE)(VOID);

typedef struct _WDF_OBJECT_CONTEXT_TYPE_INFO {
    ULONG Size;
    PCHAR ContextName;
    size_t ContextSize;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO UniqueType;
    PFN_GET_UNIQUE_CONTEXT_TYPE EvtDriverGetUniqueContextType;
} WDF_OBJECT_CONTEXT_TYPE_INFO, *PWDF_OBJECT_CONTEXT_TYPE_INFO;

typedef struct _WDF_OBJECT_ATTRIBUTES {
    ULONG Size;
    PFN_WDF_OBJECT_CONTEXT_CLEANUP EvtCleanupCallback;
    PFN_WDF_OBJECT_CONTEXT_DESTROY EvtDestroyCallback;
    WDF_EXECUTION_LEVEL ExecutionLevel;
    WDF_SYNCHRONIZATION_SCOPE SynchronizationScope;
    WDFOBJECT ParentObject;
    size_t ContextSizeOverride;
    PCWDF_OBJECT_CONTEXT_TYPE_INFO ContextTypeInfo;
} WDF_OBJECT_ATTRIBUTES, *PWDF_OBJECT_ATTRIBUTES;

FORCEINLINE VOID WDF_OBJECT_ATTRIBUTES_INIT(_Out_ PWDF_OBJECT_ATTRIBUTES Attributes)
{
    WDF_STRUCTURE_INIT_(Attributes);
    Attributes->ExecutionLevel = WdfExecutionLevelInheritFromParent;
    Attributes->SynchronizationScope = WdfSynchronizationScopeInheritFromParent;
}

#define WDF_TYPE_NAME_TO_TYPE_INFO(type) _WDF_##type##_TYPE_INFO
#define WDF_GET_CONTEXT_TYPE_INFO(type)  (&WDF_TYPE_NAME_TO_TYPE_INFO(type))
#define WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(attributes, type)                                   \
    (attributes)->ContextTypeInfo = WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType
#define WDF_OBJECT_ATTRIBUTES_INIT_CONTEXT_TYPE(attributes, type)                                  \
    do {                                                                                           \
        WDF_OBJECT_ATTRIBUTES_INIT(attributes);                                                    \
        WDF_OBJECT_ATTRIBUTES_SET_CONTEXT_TYPE(attributes, type);                                  \
    } while (0)

/* The type information is one per module: weak, as __declspec(selectany) is. */
#define WDF_DECLARE_TYPE_INFO_(type)                                                               \
    extern const WDF_OBJECT_CONTEXT_TYPE_INFO WDF_TYPE_NAME_TO_TYPE_INFO(type);                    \
    __attribute__((weak)) const WDF_OBJECT_CONTEXT_TYPE_INFO WDF_TYPE_NAME_TO_TYPE_INFO(type) = {  \
        sizeof(WDF_OBJECT_CONTEXT_TYPE_INFO), (PCHAR)(ULONG_PTR) #type, sizeof(type),              \
        &WDF_TYPE_NAME_TO_TYPE_INFO(type), NULL};
#define WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, accessor)                                         \
    WDF_DECLARE_TYPE_INFO_(type)                                                                   \
    FORCEINLINE type *accessor(WDFOBJECT Handle)                                                   \
    {                                                                                              \
        return (type *)WdfObjectGetTypedContextWorker(                                             \
            Handle, WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType);                                  \
    }
#define WDF_DECLARE_CONTEXT_TYPE(type) WDF_DECLARE_CONTEXT_TYPE_WITH_NAME(type, WdfObjectGet_##type)
#define WdfObjectGetTypedContext(handle, type)                                                     \
    ((type *)WdfObjectGetTypedContextWorker((WDFOBJECT)(handle),                                   \
                                            WDF_GET_CONTEXT_TYPE_INFO(type)->UniqueType))

typedef PVOID(NTAPI *PFN_WDFOBJECTGETTYPEDCONTEXTWORKER)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                         WDFOBJECT Handle,
                                                         PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo);
FORCEINLINE PVOID WdfObjectGetTypedContextWorker(WDFOBJECT Handle,
                                                 PCWDF_OBJECT_CONTEXT_TYPE_INFO TypeInfo)
{
    return (
        (PFN_WDFOBJECTGETTYPEDCONTEXTWORKER)WdfFunctions[WdfObjectGetTypedContextWorkerTableIndex])(
        WdfDriverGlobals, Handle, TypeInfo);
}

typedef NTSTATUS(NTAPI *PFN_WDFOBJECTALLOCATECONTEXT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                      WDFOBJECT Handle,
                                                      PWDF_OBJECT_ATTRIBUTES ContextAttributes,
                                                      _Outptr_ PVOID *Context);
FORCEINLINE NTSTATUS WdfObjectAllocateContext(WDFOBJECT Handle,
                                              PWDF_OBJECT_ATTRIBUTES ContextAttributes,
                                              _Outptr_ PVOID *Context)
{
    return ((PFN_WDFOBJECTALLOCATECONTEXT)WdfFunctions[WdfObjectAllocateContextTableIndex])(
        WdfDriverGlobals, Handle, ContextAttributes, Context);
}

typedef WDFOBJECT(NTAPI *PFN_WDFOBJECTCONTEXTGETOBJECT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        PVOID ContextPointer);
FORCEINLINE WDFOBJECT WdfObjectContextGetObject(PVOID ContextPointer)
{
    return ((PFN_WDFOBJECTCONTEXTGETOBJECT)WdfFunctions[WdfObjectContextGetObjectTableIndex])(
        WdfDriverGlobals, ContextPointer);
}

typedef VOID(NTAPI *PFN_WDFOBJECTREFERENCEACTUAL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                  WDFOBJECT Handle, _In_opt_ PVOID Tag, LONG Line,
                                                  PCCH File);
FORCEINLINE VOID WdfObjectReferenceActual(WDFOBJECT Handle, _In_opt_ PVOID Tag, LONG Line,
                                          PCCH File)
{
    ((PFN_WDFOBJECTREFERENCEACTUAL)WdfFunctions[WdfObjectReferenceActualTableIndex])(
        WdfDriverGlobals, Handle, Tag, Line, File);
}

typedef VOID(NTAPI *PFN_WDFOBJECTDEREFERENCEACTUAL)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                    WDFOBJECT Handle, _In_opt_ PVOID Tag, LONG Line,
                                                    PCCH File);
FORCEINLINE VOID WdfObjectDereferenceActual(WDFOBJECT Handle, _In_opt_ PVOID Tag, LONG Line,
                                            PCCH File)
{
    ((PFN_WDFOBJECTDEREFERENCEACTUAL)WdfFunctions[WdfObjectDereferenceActualTableIndex])(
        WdfDriverGlobals, Handle, Tag, Line, File);
}

typedef NTSTATUS(NTAPI *PFN_WDFOBJECTCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             _In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes,
                                             _Out_ WDFOBJECT *Object);
FORCEINLINE NTSTATUS WdfObjectCreate(_In_opt_ PWDF_OBJECT_ATTRIBUTES Attributes,
                                     _Out_ WDFOBJECT *Object)
{
    return ((PFN_WDFOBJECTCREATE)WdfFunctions[WdfObjectCreateTableIndex])(WdfDriverGlobals,
                                                                          Attributes, Object);
}

typedef VOID(NTAPI *PFN_WDFOBJECTDELETE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Object);
FORCEINLINE VOID WdfObjectDelete(WDFOBJECT Object)
{
    ((PFN_WDFOBJECTDELETE)WdfFunctions[WdfObjectDeleteTableIndex])(WdfDriverGlobals, Object);
}

typedef VOID(NTAPI *PFN_WDFOBJECTACQUIRELOCK)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Object);
FORCEINLINE VOID WdfObjectAcquireLock(WDFOBJECT Object)
{
    ((PFN_WDFOBJECTACQUIRELOCK)WdfFunctions[WdfObjectAcquireLockTableIndex])(WdfDriverGlobals,
                                                                             Object);
}

typedef VOID(NTAPI *PFN_WDFOBJECTRELEASELOCK)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFOBJECT Object);
FORCEINLINE VOID WdfObjectReleaseLock(WDFOBJECT Object)
{
    ((PFN_WDFOBJECTRELEASELOCK)WdfFunctions[WdfObjectReleaseLockTableIndex])(WdfDriverGlobals,
                                                                             Object);
}

#define WdfObjectReference(handle)   WdfObjectReferenceActual(handle, NULL, __LINE__, __FILE__)
#define WdfObjectDereference(handle) WdfObjectDereferenceActual(handle, NULL, __LINE__, __FILE__)
#define WdfObjectReferenceWithTag(handle, tag)                                                     \
    WdfObjectReferenceActual(handle, tag, __LINE__, __FILE__)
#define WdfObjectDereferenceWithTag(handle, tag)                                                   \
    WdfObjectDereferenceActual(handle, tag, __LINE__, __FILE__)

/* Collections and strings */
typedef NTSTATUS(NTAPI *PFN_WDFCOLLECTIONCREATE)(
    PWDF_DRIVER_GLOBALS DriverGlobals, _In_opt_ PWDF_OBJECT_ATTRIBUTES CollectionAttributes,
    _Out_ WDFCOLLECTION *Collection);
FORCEINLINE NTSTATUS WdfCollectionCreate(_In_opt_ PWDF_OBJECT_ATTRIBUTES CollectionAttributes,
                                         _Out_ WDFCOLLECTION *Collection)
{
    return ((PFN_WDFCOLLECTIONCREATE)WdfFunctions[WdfCollectionCreateTableIndex])(
        WdfDriverGlobals, CollectionAttributes, Collection);
}

typedef ULONG(NTAPI *PFN_WDFCOLLECTIONGETCOUNT)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                WDFCOLLECTION Collection);
FORCEINLINE ULONG WdfCollectionGetCount(WDFCOLLECTION Collection)
{
    return ((PFN_WDFCOLLECTIONGETCOUNT)WdfFunctions[WdfCollectionGetCountTableIndex])(
        WdfDriverGlobals, Collection);
}

typedef NTSTATUS(NTAPI *PFN_WDFCOLLECTIONADD)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                              WDFCOLLECTION Collection, WDFOBJECT Object);
FORCEINLINE NTSTATUS WdfCollectionAdd(WDFCOLLECTION Collection, WDFOBJECT Object)
{
    return ((PFN_WDFCOLLECTIONADD)WdfFunctions[WdfCollectionAddTableIndex])(WdfDriverGlobals,
                                                                            Collection, Object);
}

typedef VOID(NTAPI *PFN_WDFCOLLECTIONREMOVE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             WDFCOLLECTION Collection, WDFOBJECT Item);
FORCEINLINE VOID WdfCollectionRemove(WDFCOLLECTION Collection, WDFOBJECT Item)
{
    ((PFN_WDFCOLLECTIONREMOVE)WdfFunctions[WdfCollectionRemoveTableIndex])(WdfDriverGlobals,
                                                                           Collection, Item);
}

typedef VOID(NTAPI *PFN_WDFCOLLECTIONREMOVEITEM)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                 WDFCOLLECTION Collection, ULONG Index);
FORCEINLINE VOID WdfCollectionRemoveItem(WDFCOLLECTION Collection, ULONG Index)
{
    ((PFN_WDFCOLLECTIONREMOVEITEM)WdfFunctions[WdfCollectionRemoveItemTableIndex])(
        WdfDriverGlobals, Collection, Index);
}

typedef WDFOBJECT(NTAPI *PFN_WDFCOLLECTIONGETITEM)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFCOLLECTION Collection, ULONG Index);
FORCEINLINE WDFOBJECT WdfCollectionGetItem(WDFCOLLECTION Collection, ULONG Index)
{
    return ((PFN_WDFCOLLECTIONGETITEM)WdfFunctions[WdfCollectionGetItemTableIndex])(
        WdfDriverGlobals, Collection, Index);
}

typedef WDFOBJECT(NTAPI *PFN_WDFCOLLECTIONGETFIRSTITEM)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                        WDFCOLLECTION Collection);
FORCEINLINE WDFOBJECT WdfCollectionGetFirstItem(WDFCOLLECTION Collection)
{
    return ((PFN_WDFCOLLECTIONGETFIRSTITEM)WdfFunctions[WdfCollectionGetFirstItemTableIndex])(
        WdfDriverGlobals, Collection);
}

typedef WDFOBJECT(NTAPI *PFN_WDFCOLLECTIONGETLASTITEM)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                       WDFCOLLECTION Collection);
FORCEINLINE WDFOBJECT WdfCollectionGetLastItem(WDFCOLLECTION Collection)
{
    return ((PFN_WDFCOLLECTIONGETLASTITEM)WdfFunctions[WdfCollectionGetLastItemTableIndex])(
        WdfDriverGlobals, Collection);
}

typedef NTSTATUS(NTAPI *PFN_WDFSTRINGCREATE)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             _In_opt_ PCUNICODE_STRING UnicodeString,
                                             _In_opt_ PWDF_OBJECT_ATTRIBUTES StringAttributes,
                                             _Out_ WDFSTRING *String);
FORCEINLINE NTSTATUS WdfStringCreate(_In_opt_ PCUNICODE_STRING UnicodeString,
                                     _In_opt_ PWDF_OBJECT_ATTRIBUTES StringAttributes,
                                     _Out_ WDFSTRING *String)
{
    return ((PFN_WDFSTRINGCREATE)WdfFunctions[WdfStringCreateTableIndex])(
        WdfDriverGlobals, UnicodeString, StringAttributes, String);
}

typedef VOID(NTAPI *PFN_WDFSTRINGGETUNICODESTRING)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                   WDFSTRING String,
                                                   _Out_ PUNICODE_STRING UnicodeString);
FORCEINLINE VOID WdfStringGetUnicodeString(WDFSTRING String, _Out_ PUNICODE_STRING UnicodeString)
{
    ((PFN_WDFSTRINGGETUNICODESTRING)WdfFunctions[WdfStringGetUnicodeStringTableIndex])(
        WdfDriverGlobals, String, UnicodeString);
}
