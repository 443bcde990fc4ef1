/* The registry, by Zw*Key and by the run-time library's tables. */
#include "iotest.h"

static VOID Values(_In_ HANDLE Key, _Inout_ IOTEST_RESULT *Result)
{
    UNICODE_STRING epoch = RTL_CONSTANT_STRING(L"Epoch"), lower = RTL_CONSTANT_STRING(L"epoch");
    UNICODE_STRING text = RTL_CONSTANT_STRING(L"Text"), none = RTL_CONSTANT_STRING(L"None");
    UNICODE_STRING unnamed = {0, 0, NULL};
    ULONG64 data = 0x1122334455667788;
    UCHAR info[256];
    PKEY_VALUE_PARTIAL_INFORMATION partial = (PKEY_VALUE_PARTIAL_INFORMATION)info;
    PKEY_VALUE_FULL_INFORMATION full = (PKEY_VALUE_FULL_INFORMATION)info;
    PKEY_VALUE_BASIC_INFORMATION basic = (PKEY_VALUE_BASIC_INFORMATION)info;
    ULONG bytes, head = FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data);

    CHECK_STATUS(ZwSetValueKey(Key, &epoch, 0, REG_QWORD, &data, sizeof(data)), STATUS_SUCCESS);
    CHECK_STATUS(ZwFlushKey(Key), STATUS_SUCCESS);
    CHECK_STATUS(
        ZwQueryValueKey(Key, &lower, KeyValuePartialInformation, partial, sizeof(info), &bytes),
        STATUS_SUCCESS);
    CHECK(bytes == head + 8 && partial->Type == REG_QWORD && partial->DataLength == 8);
    CHECK(RtlEqualMemory(partial->Data, &data, 8));
    /* Too small for the data: as much as fits. Too small for the fixed part: nothing. */
    RtlZeroMemory(info, sizeof(info));
    CHECK_STATUS(
        ZwQueryValueKey(Key, &epoch, KeyValuePartialInformation, partial, head + 4, &bytes),
        STATUS_BUFFER_OVERFLOW);
    CHECK(bytes == head + 8 && RtlEqualMemory(partial->Data, &data, 4) && partial->Data[4] == 0);
    CHECK_STATUS(
        ZwQueryValueKey(Key, &epoch, KeyValuePartialInformation, partial, head - 1, &bytes),
        STATUS_BUFFER_TOO_SMALL);
    CHECK_STATUS(
        ZwQueryValueKey(Key, &none, KeyValuePartialInformation, partial, sizeof(info), &bytes),
        STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_STATUS(ZwSetValueKey(Key, &text, 0, REG_SZ, (PVOID)L"hello", 12), STATUS_SUCCESS);
    CHECK_STATUS(ZwQueryValueKey(Key, &text, KeyValueFullInformation, full, sizeof(info), &bytes),
                 STATUS_SUCCESS);
    CHECK(full->NameLength == text.Length && RtlEqualMemory(full->Name, text.Buffer, text.Length));
    CHECK(full->DataLength == 12 && RtlEqualMemory(info + full->DataOffset, L"hello", 12));
    CHECK_STATUS(ZwSetValueKey(Key, &unnamed, 0, REG_DWORD, &data, 4), STATUS_SUCCESS);
    /* In the order of their names: "", "Epoch", "Text". */
    CHECK_STATUS(ZwEnumerateValueKey(Key, 0, KeyValueBasicInformation, basic, sizeof(info), &bytes),
                 STATUS_SUCCESS);
    CHECK(basic->NameLength == 0 && basic->Type == REG_DWORD);
    CHECK_STATUS(ZwEnumerateValueKey(Key, 2, KeyValueBasicInformation, basic, sizeof(info), &bytes),
                 STATUS_SUCCESS);
    CHECK(basic->NameLength == text.Length &&
          RtlEqualMemory(basic->Name, text.Buffer, text.Length));
    CHECK_STATUS(ZwEnumerateValueKey(Key, 3, KeyValueBasicInformation, basic, sizeof(info), &bytes),
                 STATUS_NO_MORE_ENTRIES);
    CHECK_STATUS(ZwDeleteValueKey(Key, &unnamed), STATUS_SUCCESS);
    CHECK_STATUS(ZwDeleteValueKey(Key, &unnamed), STATUS_OBJECT_NAME_NOT_FOUND);
Done:
    return;
}

VOID IoTestRegistry(_Inout_ IOTEST_RESULT *Result)
{
    HANDLE key = NULL, below = NULL, readonly = NULL;
    UNICODE_STRING name = RTL_CONSTANT_STRING(L"Below"), value = RTL_CONSTANT_STRING(L"V");
    UNICODE_STRING bad = RTL_CONSTANT_STRING(L"\\NotRegistry\\x");
    OBJECT_ATTRIBUTES attributes;
    UCHAR info[128];
    PKEY_FULL_INFORMATION full = (PKEY_FULL_INFORMATION)info;
    PKEY_BASIC_INFORMATION basic = (PKEY_BASIC_INFORMATION)info;
    ULONG disposition = 0, bytes;

    CHECK_STATUS(
        IoOpenDriverRegistryKey(Globals.Driver, DriverRegKeyParameters, KEY_ALL_ACCESS, 0, &key),
        STATUS_SUCCESS);
    Values(key, Result);
    if (Result->Line != 0) {
        goto Done;
    }
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, key,
                               NULL);
    CHECK_STATUS(ZwOpenKey(&below, KEY_READ, &attributes), STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_STATUS(ZwCreateKey(&below, KEY_ALL_ACCESS, &attributes, 0, NULL, REG_OPTION_VOLATILE,
                             &disposition),
                 STATUS_SUCCESS);
    CHECK(disposition == REG_CREATED_NEW_KEY);
    CHECK_STATUS(ZwCreateKey(&readonly, KEY_READ, &attributes, 0, NULL, REG_OPTION_NON_VOLATILE,
                             &disposition),
                 STATUS_SUCCESS);
    CHECK(disposition == REG_OPENED_EXISTING_KEY);
    CHECK_STATUS(ZwSetValueKey(readonly, &value, 0, REG_DWORD, &bytes, 4), STATUS_ACCESS_DENIED);
    CHECK_STATUS(ZwQueryKey(key, KeyFullInformation, full, sizeof(info), &bytes), STATUS_SUCCESS);
    CHECK(full->SubKeys == 1 && full->Values == 2 && full->MaxNameLen == name.Length);
    CHECK(full->MaxValueNameLen == 10 && full->MaxValueDataLen == 12);
    CHECK_STATUS(ZwEnumerateKey(key, 0, KeyBasicInformation, basic, sizeof(info), &bytes),
                 STATUS_SUCCESS);
    CHECK(basic->NameLength == name.Length &&
          RtlEqualMemory(basic->Name, name.Buffer, name.Length));
    CHECK_STATUS(ZwEnumerateKey(key, 1, KeyBasicInformation, basic, sizeof(info), &bytes),
                 STATUS_NO_MORE_ENTRIES);
    CHECK_STATUS(ZwDeleteKey(key), STATUS_CANNOT_DELETE);
    CHECK_STATUS(ZwDeleteKey(below), STATUS_SUCCESS);
    CHECK_STATUS(ZwQueryKey(readonly, KeyFullInformation, full, sizeof(info), &bytes),
                 STATUS_KEY_DELETED);
    InitializeObjectAttributes(&attributes, &bad, OBJ_KERNEL_HANDLE, NULL, NULL);
    HANDLE none;
    CHECK_STATUS(ZwOpenKey(&none, KEY_READ, &attributes), STATUS_OBJECT_PATH_SYNTAX_BAD);
    CHECK_STATUS(
        ZwQueryKey((HANDLE)(LONG_PTR)0x7ffffff0, KeyFullInformation, full, sizeof(info), &bytes),
        STATUS_INVALID_HANDLE);
Done:
    if (readonly != NULL) {
        ZwClose(readonly);
    }
    if (below != NULL) {
        ZwClose(below);
    }
    if (key != NULL) {
        ZwClose(key);
    }
}

static RTL_QUERY_REGISTRY_ROUTINE CountStrings;

static NTSTATUS CountStrings(_In_ PWSTR ValueName, ULONG ValueType, _In_ PVOID ValueData,
                             ULONG ValueLength, _In_opt_ PVOID Context, _In_opt_ PVOID EntryContext)
{
    UNREFERENCED_PARAMETER(ValueName);
    UNREFERENCED_PARAMETER(Context);
    if (ValueType == REG_SZ && ValueLength == 4 &&
        ((PWSTR)ValueData)[0] == L'a' + *(ULONG *)EntryContext) {
        ++*(ULONG *)EntryContext;
    }
    return STATUS_SUCCESS;
}

VOID IoTestRtlRegistry(_Inout_ IOTEST_RESULT *Result)
{
    static WCHAR multi[] = L"a\0b\0c\0";
    ULONG number = 77, read = 0, missing = 0, strings = 0;
    UNICODE_STRING text = {0, 0, NULL};
    RTL_QUERY_REGISTRY_TABLE table[] = {
        {NULL, RTL_QUERY_REGISTRY_SUBKEY, (PWSTR)L"Rtl", NULL, REG_NONE, NULL, 0},
        {NULL,
         RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK | RTL_QUERY_REGISTRY_REQUIRED,
         (PWSTR)L"Number", &read, (REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_NONE,
         NULL, 0},
        {NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK, (PWSTR)L"Missing",
         &missing, (REG_DWORD << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_DWORD, &number,
         sizeof(number)},
        {NULL, RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_TYPECHECK, (PWSTR)L"Text", &text,
         (REG_SZ << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_NONE, NULL, 0},
        {CountStrings, 0, (PWSTR)L"Multi", &strings, REG_NONE, NULL, 0},
        {NULL, 0, NULL, NULL, REG_NONE, NULL, 0}};
    WCHAR path[256];
    UNICODE_STRING below = {0, sizeof(path), path};

    CHECK_STATUS(RtlAppendUnicodeStringToString(&below, &Globals.RegistryPath), STATUS_SUCCESS);
    CHECK_STATUS(RtlAppendUnicodeToString(&below, L"\\Rtl"), STATUS_SUCCESS);
    CHECK_STATUS(RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, path), STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK_STATUS(RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, path, L"Number", REG_DWORD, &number,
                                       sizeof(number)),
                 STATUS_SUCCESS);
    CHECK_STATUS(RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, path), STATUS_SUCCESS);
    CHECK_STATUS(
        RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, path, L"Text", REG_SZ, (PVOID)L"hello", 12),
        STATUS_SUCCESS);
    CHECK_STATUS(RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, path, L"Multi", REG_MULTI_SZ, multi,
                                       sizeof(multi)),
                 STATUS_SUCCESS);
    CHECK_STATUS(RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Globals.RegistryPath.Buffer, table,
                                        NULL, NULL),
                 STATUS_SUCCESS);
    CHECK(read == 77 && missing == 77 && strings == 3);
    CHECK(text.Length == 10 && text.Buffer != NULL && RtlEqualMemory(text.Buffer, L"hello", 12));
    table[1].Name = (PWSTR)L"Text";
    CHECK_STATUS(RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Globals.RegistryPath.Buffer, table,
                                        NULL, NULL),
                 STATUS_OBJECT_TYPE_MISMATCH);
    CHECK_STATUS(RtlDeleteRegistryValue(RTL_REGISTRY_ABSOLUTE, path, L"Number"), STATUS_SUCCESS);
    table[1].Name = (PWSTR)L"Number";
    CHECK_STATUS(RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Globals.RegistryPath.Buffer, table,
                                        NULL, NULL),
                 STATUS_OBJECT_NAME_NOT_FOUND);
Done:
    if (text.Buffer != NULL) {
        ExFreePool(text.Buffer);
    }
}
