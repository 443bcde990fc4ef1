/* Collections and strings. WDK: wdfcollection.h, wdfstring.h. */
#include "api.h"

typedef struct FX_COLLECTION {
    FX_OBJECT Object;
    KSPIN_LOCK Lock;
    FX_OBJECT **Items; /* referenced */
    ULONG Count, Room;
} FX_COLLECTION;

typedef struct FX_STRING {
    FX_OBJECT Object;
    UNICODE_STRING Text;
} FX_STRING;

static void CollectionDispose(FX_OBJECT *Object);
static void CollectionDestroy(FX_OBJECT *Object);
static void StringDestroy(FX_OBJECT *Object);

const FX_CLASS FxCollectionClass = {"WDFCOLLECTION", sizeof(FX_COLLECTION), TRUE,
                                    FALSE,           CollectionDispose,     CollectionDestroy};
const FX_CLASS FxStringClass = {"WDFSTRING", sizeof(FX_STRING), TRUE, FALSE, NULL, StringDestroy};

static void CollectionDispose(FX_OBJECT *Object)
{
    FX_COLLECTION *collection = (FX_COLLECTION *)Object;

    while (collection->Count != 0)
        FxObjectDereference(collection->Items[--collection->Count]);
}

static void CollectionDestroy(FX_OBJECT *Object)
{
    if (((FX_COLLECTION *)Object)->Items != NULL)
        ExFreePoolWithTag(((FX_COLLECTION *)Object)->Items, FX_TAG);
}

static void StringDestroy(FX_OBJECT *Object)
{
    FxStringFree(&((FX_STRING *)Object)->Text);
}

FX_API(NTSTATUS, WdfCollectionCreate)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                      PWDF_OBJECT_ATTRIBUTES CollectionAttributes,
                                      WDFCOLLECTION *Collection)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    FX_OBJECT *object;
    NTSTATUS status;

    FX_ENTER(DISPATCH_LEVEL);
    *Collection = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxObjectAllocate(globals, &FxCollectionClass, CollectionAttributes,
                              (FX_OBJECT *)globals->Driver, &object);
    if (!NT_SUCCESS(status))
        return status;
    KeInitializeSpinLock(&((FX_COLLECTION *)object)->Lock);
    status = FxObjectPublish(object, CollectionAttributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *Collection = FX_HANDLE(object);
    return STATUS_SUCCESS;
}

FX_API(ULONG, WdfCollectionGetCount)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOLLECTION Collection)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass)->Count;
}

FX_API(NTSTATUS, WdfCollectionAdd)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOLLECTION Collection,
                                   WDFOBJECT Object)
{
    FX_COLLECTION *collection;
    FX_OBJECT **grown = NULL, **old = NULL, *item;
    ULONG room = 0;
    KIRQL irql;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    collection = FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass);
    item = FX_ANY_OBJECT(Object);
    for (;;) {
        KeAcquireSpinLock(&collection->Lock, &irql);
        if (collection->Count == collection->Room && grown != NULL && room > collection->Count) {
            if (collection->Count != 0)
                RtlCopyMemory(grown, collection->Items, collection->Count * sizeof(*grown));
            old = collection->Items;
            collection->Items = grown;
            collection->Room = room;
            grown = NULL;
        }
        if (collection->Count < collection->Room) {
            FxObjectReference(item);
            collection->Items[collection->Count++] = item;
            KeReleaseSpinLock(&collection->Lock, irql);
            break;
        }
        room = collection->Room != 0 ? collection->Room * 2 : 8;
        KeReleaseSpinLock(&collection->Lock, irql);
        if (grown != NULL)
            ExFreePoolWithTag(grown, FX_TAG);
        grown =
            FX_FAULT() ? NULL : ExAllocatePool2(POOL_FLAG_NON_PAGED, room * sizeof(*grown), FX_TAG);
        if (grown == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (grown != NULL)
        ExFreePoolWithTag(grown, FX_TAG);
    if (old != NULL)
        ExFreePoolWithTag(old, FX_TAG);
    return STATUS_SUCCESS;
}

/* Takes out by number, or by object where it is given. */
static void Remove(PCSTR Function, FX_COLLECTION *Collection, FX_OBJECT *Item, ULONG Index)
{
    FX_OBJECT *found = NULL;
    ULONG i;
    KIRQL irql;

    KeAcquireSpinLock(&Collection->Lock, &irql);
    for (i = 0; i < Collection->Count && found == NULL; i++)
        if (Item != NULL ? Collection->Items[i] == Item : i == Index)
            found = Collection->Items[i];
    if (found != NULL) {
        Collection->Count--;
        RtlMoveMemory(&Collection->Items[i - 1], &Collection->Items[i],
                      (Collection->Count - (i - 1)) * sizeof(*Collection->Items));
    }
    KeReleaseSpinLock(&Collection->Lock, irql);
    if (found == NULL)
        FxViolation(FxRuleBadParameter, "%s: the collection does not hold that item", Function + 2);
    FxObjectDereference(found);
}

FX_API(VOID, WdfCollectionRemove)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOLLECTION Collection,
                                  WDFOBJECT Item)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    Remove(__func__, FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass),
           FX_ANY_OBJECT(Item), 0);
}

FX_API(VOID, WdfCollectionRemoveItem)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOLLECTION Collection,
                                      ULONG Index)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    Remove(__func__, FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass), NULL, Index);
}

static WDFOBJECT ItemAt(FX_COLLECTION *Collection, ULONG Index, BOOLEAN Last)
{
    WDFOBJECT item = NULL;
    KIRQL irql;

    KeAcquireSpinLock(&Collection->Lock, &irql);
    if (Last && Collection->Count != 0)
        Index = Collection->Count - 1;
    if (Index < Collection->Count)
        item = FX_HANDLE(Collection->Items[Index]);
    KeReleaseSpinLock(&Collection->Lock, irql);
    return item;
}

FX_API(WDFOBJECT, WdfCollectionGetItem)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFCOLLECTION Collection,
                                        ULONG Index)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return ItemAt(FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass), Index, FALSE);
}

FX_API(WDFOBJECT, WdfCollectionGetFirstItem)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                             WDFCOLLECTION Collection)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return ItemAt(FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass), 0, FALSE);
}

FX_API(WDFOBJECT, WdfCollectionGetLastItem)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                            WDFCOLLECTION Collection)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(DISPATCH_LEVEL);
    return ItemAt(FX_OBJECT_OF(Collection, FX_COLLECTION, FxCollectionClass), 0, TRUE);
}

NTSTATUS FxStringAssign(FX_OBJECT *String, PCUNICODE_STRING Text)
{
    UNICODE_STRING copy;
    NTSTATUS status = FxStringDuplicate(&copy, Text);

    if (NT_SUCCESS(status)) {
        FxStringFree(&((FX_STRING *)String)->Text);
        ((FX_STRING *)String)->Text = copy;
    }
    return status;
}

FX_API(NTSTATUS, WdfStringCreate)(PWDF_DRIVER_GLOBALS DriverGlobals, PCUNICODE_STRING UnicodeString,
                                  PWDF_OBJECT_ATTRIBUTES StringAttributes, WDFSTRING *String)
{
    FX_GLOBALS *globals = FxGlobals(DriverGlobals);
    FX_OBJECT *object;
    NTSTATUS status;

    FX_ENTER(PASSIVE_LEVEL);
    *String = NULL;
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = FxObjectAllocate(globals, &FxStringClass, StringAttributes,
                              (FX_OBJECT *)globals->Driver, &object);
    if (!NT_SUCCESS(status))
        return status;
    status = FxStringAssign(object, UnicodeString);
    if (NT_SUCCESS(status))
        status = FxObjectPublish(object, StringAttributes);
    if (!NT_SUCCESS(status)) {
        FxObjectDiscard(object);
        return status;
    }
    *String = FX_HANDLE(object);
    return STATUS_SUCCESS;
}

FX_API(VOID, WdfStringGetUnicodeString)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFSTRING String,
                                        PUNICODE_STRING UnicodeString)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    *UnicodeString = FX_OBJECT_OF(String, FX_STRING, FxStringClass)->Text;
}
