/* Registry keys. WDK: wdfregistry.h, "Using the Registry in WDF Drivers". */
#include "api.h"

typedef struct FX_KEY {
    FX_OBJECT Object;
    HANDLE Handle;
} FX_KEY;

static void KeyDispose(FX_OBJECT *Object);

const FX_CLASS FxKeyClass = {"WDFKEY", sizeof(FX_KEY), TRUE, TRUE, KeyDispose, NULL};

static void KeyDispose(FX_OBJECT *Object)
{
    FX_KEY *key = (FX_KEY *)Object;

    if (key->Handle != NULL)
        ZwClose(key->Handle);
    key->Handle = NULL;
}

/* Opens, or with Disposition creates, a key below Parent (NULL: an absolute path). */
static NTSTATUS OpenKey(FX_GLOBALS *Globals, HANDLE Parent, PCUNICODE_STRING Name,
                        ACCESS_MASK Access, BOOLEAN Create, ULONG Options, PULONG Disposition,
                        PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    OBJECT_ATTRIBUTES attributes;
    FX_KEY *key;
    NTSTATUS status;

    *Key = NULL;
    status = FxObjectAllocate(Globals, &FxKeyClass, KeyAttributes, (FX_OBJECT *)Globals->Driver,
                              (FX_OBJECT **)&key);
    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(&attributes, (PUNICODE_STRING)Name,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, Parent, NULL);
    status = Create ? ZwCreateKey(&key->Handle, Access, &attributes, 0, NULL, Options, Disposition)
                    : ZwOpenKey(&key->Handle, Access, &attributes);
    if (!NT_SUCCESS(status))
        key->Handle = NULL;
    if (NT_SUCCESS(status))
        status = FxObjectPublish(&key->Object, KeyAttributes);
    if (!NT_SUCCESS(status)) {
        KeyDispose(&key->Object);
        FxObjectDiscard(&key->Object);
        return status;
    }
    *Key = FX_HANDLE(key);
    return STATUS_SUCCESS;
}

FX_API(NTSTATUS, WdfDriverOpenParametersRegistryKey)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                     WDFDRIVER Driver, ACCESS_MASK DesiredAccess,
                                                     PWDF_OBJECT_ATTRIBUTES KeyAttributes,
                                                     WDFKEY *Key)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING parameters;
    HANDLE service;
    FX_DRIVER *driver;
    NTSTATUS status;

    FX_ENTER(PASSIVE_LEVEL);
    *Key = NULL;
    driver = FX_OBJECT_OF(Driver, FX_DRIVER, FxDriverClass);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    InitializeObjectAttributes(&attributes, &driver->RegistryPath,
                               OBJ_CASE_INSENSITIVE | OBJ_KERNEL_HANDLE, NULL, NULL);
    status = ZwOpenKey(&service, KEY_READ | KEY_CREATE_SUB_KEY, &attributes);
    if (!NT_SUCCESS(status))
        return status;
    RtlInitUnicodeString(&parameters, L"Parameters");
    /* WDK: it is made if it is not there. */
    status = OpenKey(FxGlobals(DriverGlobals), service, &parameters, DesiredAccess, TRUE,
                     REG_OPTION_NON_VOLATILE, NULL, KeyAttributes, Key);
    ZwClose(service);
    return status;
}

FX_API(NTSTATUS, WdfRegistryOpenKey)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY ParentKey,
                                     PCUNICODE_STRING KeyName, ACCESS_MASK DesiredAccess,
                                     PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    HANDLE parent;

    FX_ENTER(PASSIVE_LEVEL);
    parent = ParentKey != NULL ? FX_OBJECT_OF(ParentKey, FX_KEY, FxKeyClass)->Handle : NULL;
    *Key = NULL;
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : OpenKey(FxGlobals(DriverGlobals), parent, KeyName, DesiredAccess, FALSE, 0,
                                NULL, KeyAttributes, Key);
}

FX_API(NTSTATUS, WdfRegistryCreateKey)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY ParentKey,
                                       PCUNICODE_STRING KeyName, ACCESS_MASK DesiredAccess,
                                       ULONG CreateOptions, PULONG CreateDisposition,
                                       PWDF_OBJECT_ATTRIBUTES KeyAttributes, WDFKEY *Key)
{
    HANDLE parent;

    FX_ENTER(PASSIVE_LEVEL);
    parent = ParentKey != NULL ? FX_OBJECT_OF(ParentKey, FX_KEY, FxKeyClass)->Handle : NULL;
    *Key = NULL;
    return FX_FAULT() ? STATUS_INSUFFICIENT_RESOURCES
                      : OpenKey(FxGlobals(DriverGlobals), parent, KeyName, DesiredAccess, TRUE,
                                CreateOptions, CreateDisposition, KeyAttributes, Key);
}

FX_API(VOID, WdfRegistryClose)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    FxObjectDelete(FX_OBJECT_OF(Key, FX_OBJECT, FxKeyClass));
}

FX_API(HANDLE, WdfRegistryWdmGetHandle)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    return FX_OBJECT_OF(Key, FX_KEY, FxKeyClass)->Handle;
}

FX_API(NTSTATUS, WdfRegistryRemoveKey)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key)
{
    FX_KEY *key;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    key = FX_OBJECT_OF(Key, FX_KEY, FxKeyClass);
    status = ZwDeleteKey(key->Handle);
    if (NT_SUCCESS(status))
        FxObjectDelete(&key->Object);
    return status;
}

FX_API(NTSTATUS, WdfRegistryRemoveValue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                         PCUNICODE_STRING ValueName)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    return ZwDeleteValueKey(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass)->Handle,
                            (PUNICODE_STRING)ValueName);
}

/* The value, allocated; freed with FX_TAG. */
static NTSTATUS Query(FX_KEY *Key, PCUNICODE_STRING Name, PKEY_VALUE_PARTIAL_INFORMATION *Value)
{
    ULONG bytes = sizeof(KEY_VALUE_PARTIAL_INFORMATION) + 64, needed;
    NTSTATUS status;

    for (;;) {
        *Value = ExAllocatePool2(POOL_FLAG_PAGED, bytes, FX_TAG);
        if (*Value == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        status = ZwQueryValueKey(Key->Handle, (PUNICODE_STRING)Name, KeyValuePartialInformation,
                                 *Value, bytes, &needed);
        if (NT_SUCCESS(status))
            return status;
        ExFreePoolWithTag(*Value, FX_TAG);
        *Value = NULL;
        if ((status != STATUS_BUFFER_OVERFLOW && status != STATUS_BUFFER_TOO_SMALL) ||
            needed <= bytes)
            return status;
        bytes = needed;
    }
}

FX_API(NTSTATUS, WdfRegistryQueryValue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                        PCUNICODE_STRING ValueName, ULONG ValueLength, PVOID Value,
                                        PULONG ValueLengthQueried, PULONG ValueType)
{
    PKEY_VALUE_PARTIAL_INFORMATION value;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = Query(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass), ValueName, &value);
    if (!NT_SUCCESS(status))
        return status;
    if (ValueLengthQueried != NULL)
        *ValueLengthQueried = value->DataLength;
    if (ValueType != NULL)
        *ValueType = value->Type;
    if (Value == NULL || ValueLength < value->DataLength)
        status = STATUS_BUFFER_OVERFLOW;
    else
        RtlCopyMemory(Value, value->Data, value->DataLength);
    ExFreePoolWithTag(value, FX_TAG);
    return status;
}

FX_API(NTSTATUS, WdfRegistryQueryUnicodeString)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                PCUNICODE_STRING ValueName, PUSHORT ValueByteLength,
                                                PUNICODE_STRING Value)
{
    PKEY_VALUE_PARTIAL_INFORMATION value;
    ULONG length;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    status = Query(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass), ValueName, &value);
    if (!NT_SUCCESS(status))
        return status;
    length = value->DataLength & ~1u;
    if (value->Type != REG_SZ && value->Type != REG_EXPAND_SZ) {
        status = STATUS_OBJECT_TYPE_MISMATCH;
    } else if (length > 0xfffe) {
        status = STATUS_INTEGER_OVERFLOW;
    } else {
        if (ValueByteLength != NULL)
            *ValueByteLength = (USHORT)length;
        if (Value != NULL && Value->MaximumLength < length) {
            status = STATUS_BUFFER_OVERFLOW;
        } else if (Value != NULL) {
            RtlCopyMemory(Value->Buffer, value->Data, length);
            /* Length is without the terminator that the registry keeps. */
            if (length >= sizeof(WCHAR) && Value->Buffer[length / sizeof(WCHAR) - 1] == 0)
                length -= sizeof(WCHAR);
            Value->Length = (USHORT)length;
        }
    }
    ExFreePoolWithTag(value, FX_TAG);
    return status;
}

FX_API(NTSTATUS, WdfRegistryQueryULong)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                        PCUNICODE_STRING ValueName, PULONG Value)
{
    PKEY_VALUE_PARTIAL_INFORMATION value;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    *Value = 0;
    status = Query(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass), ValueName, &value);
    if (!NT_SUCCESS(status))
        return status;
    if (value->Type != REG_DWORD || value->DataLength != sizeof(*Value))
        status = STATUS_OBJECT_TYPE_MISMATCH;
    else
        RtlCopyMemory(Value, value->Data, sizeof(*Value));
    ExFreePoolWithTag(value, FX_TAG);
    return status;
}

static NTSTATUS Assign(FX_KEY *Key, PCUNICODE_STRING Name, ULONG Type, PVOID Data, ULONG Bytes)
{
    return ZwSetValueKey(Key->Handle, (PUNICODE_STRING)Name, 0, Type, Data, Bytes);
}

FX_API(NTSTATUS, WdfRegistryAssignValue)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                         PCUNICODE_STRING ValueName, ULONG ValueType,
                                         ULONG ValueLength, PVOID Value)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    return Assign(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass), ValueName, ValueType, Value, ValueLength);
}

FX_API(NTSTATUS, WdfRegistryAssignUnicodeString)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                 PCUNICODE_STRING ValueName, PCUNICODE_STRING Value)
{
    FX_KEY *key;
    PWCHAR text;
    NTSTATUS status;

    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    key = FX_OBJECT_OF(Key, FX_KEY, FxKeyClass);
    text = ExAllocatePool2(POOL_FLAG_PAGED, Value->Length + sizeof(WCHAR),
                           FX_TAG); /* zeroed: terminated */
    if (text == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    if (Value->Length != 0)
        RtlCopyMemory(text, Value->Buffer, Value->Length);
    status = Assign(key, ValueName, REG_SZ, text, Value->Length + sizeof(WCHAR));
    ExFreePoolWithTag(text, FX_TAG);
    return status;
}

FX_API(NTSTATUS, WdfRegistryAssignULong)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                         PCUNICODE_STRING ValueName, ULONG Value)
{
    UNREFERENCED_PARAMETER(DriverGlobals);
    FX_ENTER(PASSIVE_LEVEL);
    if (FX_FAULT())
        return STATUS_INSUFFICIENT_RESOURCES;
    return Assign(FX_OBJECT_OF(Key, FX_KEY, FxKeyClass), ValueName, REG_DWORD, &Value,
                  sizeof(Value));
}
