/*
 * Registry keys.
 */
#pragma once

#include <wdfobject.h>

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYOPENKEY)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                _In_opt_ WDFKEY ParentKey, PCUNICODE_STRING KeyName,
                                                ACCESS_MASK DesiredAccess,
                                                _In_opt_ PWDF_OBJECT_ATTRIBUTES KeyAttributes,
                                                _Out_ WDFKEY *Key);
FORCEINLINE NTSTATUS WdfRegistryOpenKey(_In_opt_ WDFKEY ParentKey, PCUNICODE_STRING KeyName,
                                        ACCESS_MASK DesiredAccess,
                                        _In_opt_ PWDF_OBJECT_ATTRIBUTES KeyAttributes,
                                        _Out_ WDFKEY *Key)
{
    return ((PFN_WDFREGISTRYOPENKEY)WdfFunctions[WdfRegistryOpenKeyTableIndex])(
        WdfDriverGlobals, ParentKey, KeyName, DesiredAccess, KeyAttributes, Key);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYCREATEKEY)(
    PWDF_DRIVER_GLOBALS DriverGlobals, _In_opt_ WDFKEY ParentKey, PCUNICODE_STRING KeyName,
    ACCESS_MASK DesiredAccess, ULONG CreateOptions, _Out_opt_ PULONG CreateDisposition,
    _In_opt_ PWDF_OBJECT_ATTRIBUTES KeyAttributes, _Out_ WDFKEY *Key);
FORCEINLINE NTSTATUS WdfRegistryCreateKey(_In_opt_ WDFKEY ParentKey, PCUNICODE_STRING KeyName,
                                          ACCESS_MASK DesiredAccess, ULONG CreateOptions,
                                          _Out_opt_ PULONG CreateDisposition,
                                          _In_opt_ PWDF_OBJECT_ATTRIBUTES KeyAttributes,
                                          _Out_ WDFKEY *Key)
{
    return ((PFN_WDFREGISTRYCREATEKEY)WdfFunctions[WdfRegistryCreateKeyTableIndex])(
        WdfDriverGlobals, ParentKey, KeyName, DesiredAccess, CreateOptions, CreateDisposition,
        KeyAttributes, Key);
}

typedef VOID(NTAPI *PFN_WDFREGISTRYCLOSE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key);
FORCEINLINE VOID WdfRegistryClose(WDFKEY Key)
{
    ((PFN_WDFREGISTRYCLOSE)WdfFunctions[WdfRegistryCloseTableIndex])(WdfDriverGlobals, Key);
}

typedef HANDLE(NTAPI *PFN_WDFREGISTRYWDMGETHANDLE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key);
FORCEINLINE HANDLE WdfRegistryWdmGetHandle(WDFKEY Key)
{
    return ((PFN_WDFREGISTRYWDMGETHANDLE)WdfFunctions[WdfRegistryWdmGetHandleTableIndex])(
        WdfDriverGlobals, Key);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYREMOVEKEY)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key);
FORCEINLINE NTSTATUS WdfRegistryRemoveKey(WDFKEY Key)
{
    return ((PFN_WDFREGISTRYREMOVEKEY)WdfFunctions[WdfRegistryRemoveKeyTableIndex])(
        WdfDriverGlobals, Key);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYREMOVEVALUE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                    PCUNICODE_STRING ValueName);
FORCEINLINE NTSTATUS WdfRegistryRemoveValue(WDFKEY Key, PCUNICODE_STRING ValueName)
{
    return ((PFN_WDFREGISTRYREMOVEVALUE)WdfFunctions[WdfRegistryRemoveValueTableIndex])(
        WdfDriverGlobals, Key, ValueName);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYVALUE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                   PCUNICODE_STRING ValueName, ULONG ValueLength,
                                                   _Out_opt_ PVOID Value,
                                                   _Out_opt_ PULONG ValueLengthQueried,
                                                   _Out_opt_ PULONG ValueType);
FORCEINLINE NTSTATUS WdfRegistryQueryValue(WDFKEY Key, PCUNICODE_STRING ValueName,
                                           ULONG ValueLength, _Out_opt_ PVOID Value,
                                           _Out_opt_ PULONG ValueLengthQueried,
                                           _Out_opt_ PULONG ValueType)
{
    return ((PFN_WDFREGISTRYQUERYVALUE)WdfFunctions[WdfRegistryQueryValueTableIndex])(
        WdfDriverGlobals, Key, ValueName, ValueLength, Value, ValueLengthQueried, ValueType);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYUNICODESTRING)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                           WDFKEY Key, PCUNICODE_STRING ValueName,
                                                           _Out_opt_ PUSHORT ValueByteLength,
                                                           _Inout_opt_ PUNICODE_STRING Value);
FORCEINLINE NTSTATUS WdfRegistryQueryUnicodeString(WDFKEY Key, PCUNICODE_STRING ValueName,
                                                   _Out_opt_ PUSHORT ValueByteLength,
                                                   _Inout_opt_ PUNICODE_STRING Value)
{
    return (
        (PFN_WDFREGISTRYQUERYUNICODESTRING)WdfFunctions[WdfRegistryQueryUnicodeStringTableIndex])(
        WdfDriverGlobals, Key, ValueName, ValueByteLength, Value);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYQUERYULONG)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                   PCUNICODE_STRING ValueName, _Out_ PULONG Value);
FORCEINLINE NTSTATUS WdfRegistryQueryULong(WDFKEY Key, PCUNICODE_STRING ValueName,
                                           _Out_ PULONG Value)
{
    return ((PFN_WDFREGISTRYQUERYULONG)WdfFunctions[WdfRegistryQueryULongTableIndex])(
        WdfDriverGlobals, Key, ValueName, Value);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYASSIGNVALUE)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                    PCUNICODE_STRING ValueName, ULONG ValueType,
                                                    ULONG ValueLength, PVOID Value);
FORCEINLINE NTSTATUS WdfRegistryAssignValue(WDFKEY Key, PCUNICODE_STRING ValueName, ULONG ValueType,
                                            ULONG ValueLength, PVOID Value)
{
    return ((PFN_WDFREGISTRYASSIGNVALUE)WdfFunctions[WdfRegistryAssignValueTableIndex])(
        WdfDriverGlobals, Key, ValueName, ValueType, ValueLength, Value);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYASSIGNUNICODESTRING)(PWDF_DRIVER_GLOBALS DriverGlobals,
                                                            WDFKEY Key, PCUNICODE_STRING ValueName,
                                                            PCUNICODE_STRING Value);
FORCEINLINE NTSTATUS WdfRegistryAssignUnicodeString(WDFKEY Key, PCUNICODE_STRING ValueName,
                                                    PCUNICODE_STRING Value)
{
    return (
        (PFN_WDFREGISTRYASSIGNUNICODESTRING)WdfFunctions[WdfRegistryAssignUnicodeStringTableIndex])(
        WdfDriverGlobals, Key, ValueName, Value);
}

typedef NTSTATUS(NTAPI *PFN_WDFREGISTRYASSIGNULONG)(PWDF_DRIVER_GLOBALS DriverGlobals, WDFKEY Key,
                                                    PCUNICODE_STRING ValueName, ULONG Value);
FORCEINLINE NTSTATUS WdfRegistryAssignULong(WDFKEY Key, PCUNICODE_STRING ValueName, ULONG Value)
{
    return ((PFN_WDFREGISTRYASSIGNULONG)WdfFunctions[WdfRegistryAssignULongTableIndex])(
        WdfDriverGlobals, Key, ValueName, Value);
}
