/*
 * The reserve on disk. A registry value is replaced as a whole: after a power cut a flushed hive
 * has the old value or the new one.
 */
#include "reserve.h"

#include "cluster.h"

static HANDLE Key;

static NTSTATUS OipWriteValue(_In_ PCWSTR Name, _In_ UINT64 Value)
{
    UNICODE_STRING name;
    NTSTATUS status;

    RtlInitUnicodeString(&name, Name);
    status = ZwSetValueKey(Key, &name, 0, REG_QWORD, &Value, sizeof(Value));
    return NT_SUCCESS(status) ? ZwFlushKey(Key) : status;
}

/* 0 where there is no such value. A value of another type is damage: an error. */
static NTSTATUS OipReadValue(_In_ PCWSTR Name, _Out_ UINT64 *Value)
{
    union
    {
        KEY_VALUE_PARTIAL_INFORMATION Information;
        UCHAR Bytes[FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data) + sizeof(UINT64)];
    } buffer;
    UNICODE_STRING name;
    NTSTATUS status;
    ULONG bytes;

    *Value = 0;
    RtlInitUnicodeString(&name, Name);
    status =
        ZwQueryValueKey(Key, &name, KeyValuePartialInformation, &buffer, sizeof(buffer), &bytes);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND)
    {
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (buffer.Information.Type != REG_QWORD || buffer.Information.DataLength != sizeof(*Value))
    {
        return STATUS_REGISTRY_CORRUPT;
    }
    RtlCopyMemory(Value, buffer.Information.Data, sizeof(*Value));
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS OipReserveLoad(UINT64 *Boot, UINT64 *Reserve)
{
    LARGE_INTEGER now;
    UINT64 last = 0;
    NTSTATUS status;

    status = IoOpenDriverRegistryKey(Oip.DriverObject, DriverRegKeyPersistentState,
                                     KEY_READ | KEY_WRITE, 0, &Key);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = OipReadValue(L"EpochReserve", Reserve);
    if (NT_SUCCESS(status))
    {
        status = OipReadValue(L"BootNonce", &last);
    }
    if (NT_SUCCESS(status))
    {
        KeQuerySystemTimePrecise(&now);
        *Boot = OIP_MAX((UINT64)now.QuadPart, last + 1);
        status = OipWriteValue(L"BootNonce", *Boot);
    }
    if (!NT_SUCCESS(status))
    {
        OipReserveClose();
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS OipReserveStore(UINT64 Reserve)
{
    return OipWriteValue(L"EpochReserve", Reserve);
}

VOID OipReserveClose(VOID)
{
    if (Key != NULL)
    {
        ZwClose(Key);
        Key = NULL;
    }
}
