/*
 * The registry by relative paths and tables: RtlQueryRegistryValues and its like, over Zw*Key.
 *
 * With RTL_QUERY_REGISTRY_DIRECT the value goes to EntryContext: strings into a UNICODE_STRING
 * (whose buffer is allocated if it has none), values of at most a ULONG as such, longer ones behind
 * a size at the buffer's start. RTL_QUERY_REGISTRY_TYPECHECK is required with it, as the driver
 * verifier demands since Windows 8: without it a value of another type would overrun the buffer.
 *
 * WDK: RtlQueryRegistryValues, RtlWriteRegistryValue.
 */
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <ntddk.h>
#include <stdbool.h>
#include <string.h>

#define RTL_TAG 'gRlR'

static NTSTATUS open_path(ULONG relative_to, PCWSTR path, bool create, ACCESS_MASK access,
                          PHANDLE handle)
{
    static const WCHAR *const bases[] = {
        NULL, L"\\Registry\\Machine\\System\\CurrentControlSet\\Services\\",
        L"\\Registry\\Machine\\System\\CurrentControlSet\\Control\\",
        L"\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\"};
    WCHAR text[512];
    UNICODE_STRING name = {0, sizeof(text), text};
    OBJECT_ATTRIBUTES attributes;
    ULONG base = relative_to & ~(ULONG)(RTL_REGISTRY_HANDLE | RTL_REGISTRY_OPTIONAL);
    if (relative_to & RTL_REGISTRY_HANDLE) {
        *handle = (HANDLE)(ULONG_PTR)path;
        return STATUS_SUCCESS;
    }
    if (base >= ARRAYSIZE(bases))
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = RtlAppendUnicodeToString(&name, bases[base]);
    if (NT_SUCCESS(status))
        status = RtlAppendUnicodeToString(&name, path);
    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    return create ? ZwCreateKey(handle, access, &attributes, 0, NULL, REG_OPTION_NON_VOLATILE, NULL)
                  : ZwOpenKey(handle, access, &attributes);
}

static void close_path(ULONG relative_to, HANDLE handle)
{
    if (!(relative_to & RTL_REGISTRY_HANDLE))
        ZwClose(handle);
}

/* A whole value, or NULL and why. ExFreePoolWithTag it. */
static PKEY_VALUE_FULL_INFORMATION read_value(HANDLE key, PCWSTR name, ULONG index,
                                              NTSTATUS *status)
{
    PKEY_VALUE_FULL_INFORMATION info = NULL;
    UNICODE_STRING string;
    ULONG bytes = 256, needed;
    RtlInitUnicodeString(&string, name);
    for (;;) {
        info = ExAllocatePool2(POOL_FLAG_PAGED, bytes + 2 * sizeof(WCHAR), RTL_TAG);
        if (info == NULL) {
            *status = STATUS_INSUFFICIENT_RESOURCES;
            return NULL;
        }
        *status =
            name ? ZwQueryValueKey(key, &string, KeyValueFullInformation, info, bytes, &needed)
                 : ZwEnumerateValueKey(key, index, KeyValueFullInformation, info, bytes, &needed);
        if (NT_SUCCESS(*status))
            return info;
        ExFreePoolWithTag(info, RTL_TAG);
        if (*status != STATUS_BUFFER_OVERFLOW && *status != STATUS_BUFFER_TOO_SMALL)
            return NULL;
        bytes = needed;
    }
}

static bool is_string(ULONG type)
{
    return type == REG_SZ || type == REG_EXPAND_SZ || type == REG_MULTI_SZ;
}

static NTSTATUS direct(const RTL_QUERY_REGISTRY_TABLE *entry, ULONG type, const void *data,
                       ULONG bytes)
{
    if (is_string(type)) {
        PUNICODE_STRING out = entry->EntryContext;
        if (out->Buffer == NULL) {
            if (bytes > MAXUSHORT - sizeof(WCHAR))
                return STATUS_BUFFER_TOO_SMALL;
            out->MaximumLength = (USHORT)(bytes + sizeof(WCHAR));
            out->Buffer = ExAllocatePool2(POOL_FLAG_PAGED, out->MaximumLength, 'rtSR');
            if (out->Buffer == NULL)
                return STATUS_INSUFFICIENT_RESOURCES;
        } else if (bytes > out->MaximumLength) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        memcpy(out->Buffer, data, bytes);
        /* The length is without the terminator that strings have in the registry. */
        if (bytes >= sizeof(WCHAR) && out->Buffer[bytes / sizeof(WCHAR) - 1] == 0)
            bytes -= sizeof(WCHAR);
        out->Length = (USHORT)bytes;
        return STATUS_SUCCESS;
    }
    if (bytes <= sizeof(ULONG)) {
        memcpy(entry->EntryContext, data, bytes);
        return STATUS_SUCCESS;
    }
    LONG room;
    memcpy(&room, entry->EntryContext, sizeof(room));
    if (room < 0) {
        /* A negative size: only the data, no header. */
        if (bytes > (ULONG)-room)
            return STATUS_BUFFER_TOO_SMALL;
        memcpy(entry->EntryContext, data, bytes);
        return STATUS_SUCCESS;
    }
    if ((ULONG)room < bytes + 2 * sizeof(ULONG))
        return STATUS_BUFFER_TOO_SMALL;
    ULONG header[2] = {bytes, type};
    memcpy(entry->EntryContext, header, sizeof(header));
    memcpy((UCHAR *)entry->EntryContext + sizeof(header), data, bytes);
    return STATUS_SUCCESS;
}

/* Hands one value out; REG_MULTI_SZ string by string unless NOEXPAND or DIRECT. */
static NTSTATUS deliver(const RTL_QUERY_REGISTRY_TABLE *entry, PWSTR name, ULONG type, void *data,
                        ULONG bytes, PVOID context)
{
    if (entry->Flags & RTL_QUERY_REGISTRY_DIRECT) {
        ULONG expected = entry->DefaultType >> RTL_QUERY_REGISTRY_TYPECHECK_SHIFT;
        if (entry->Flags & RTL_QUERY_REGISTRY_TYPECHECK) {
            if (expected != REG_NONE && expected != type)
                return STATUS_OBJECT_TYPE_MISMATCH;
        } else if (vf_enabled) {
            vf_violation(VfBadParameter,
                         "RtlQueryRegistryValues: RTL_QUERY_REGISTRY_DIRECT without "
                         "RTL_QUERY_REGISTRY_TYPECHECK");
        }
        return direct(entry, type, data, bytes);
    }
    if (entry->QueryRoutine == NULL)
        return STATUS_SUCCESS;
    if (type != REG_MULTI_SZ || entry->Flags & RTL_QUERY_REGISTRY_NOEXPAND)
        return entry->QueryRoutine(name, type, data, bytes, context, entry->EntryContext);
    NTSTATUS status = STATUS_SUCCESS;
    PWSTR at = data, end = at + bytes / sizeof(WCHAR);
    while (NT_SUCCESS(status) && at < end && *at != 0) {
        PWSTR next = at;
        while (next < end && *next != 0)
            next++;
        next += next < end;
        status = entry->QueryRoutine(name, REG_SZ, at, (ULONG)((UCHAR *)next - (UCHAR *)at),
                                     context, entry->EntryContext);
        at = next;
    }
    return status;
}

static NTSTATUS deliver_default(const RTL_QUERY_REGISTRY_TABLE *entry, PVOID context)
{
    ULONG type = entry->DefaultType & 0xffffff, bytes = entry->DefaultLength;
    if (type == REG_NONE)
        return entry->Flags & RTL_QUERY_REGISTRY_REQUIRED ? STATUS_OBJECT_NAME_NOT_FOUND
                                                          : STATUS_SUCCESS;
    if (bytes == 0 && is_string(type)) {
        PCWSTR text = entry->DefaultData;
        do
            bytes += sizeof(WCHAR);
        while (text[bytes / sizeof(WCHAR) - 1] != 0);
    }
    return deliver(entry, entry->Name, type, entry->DefaultData, bytes, context);
}

static NTSTATUS query_one(HANDLE key, const RTL_QUERY_REGISTRY_TABLE *entry, PVOID context)
{
    NTSTATUS status;
    PKEY_VALUE_FULL_INFORMATION info = read_value(key, entry->Name, 0, &status);
    if (info == NULL)
        return status == STATUS_OBJECT_NAME_NOT_FOUND ? deliver_default(entry, context) : status;
    status = deliver(entry, entry->Name, info->Type, (UCHAR *)info + info->DataOffset,
                     info->DataLength, context);
    if (NT_SUCCESS(status) && entry->Flags & RTL_QUERY_REGISTRY_DELETE) {
        UNICODE_STRING name;
        RtlInitUnicodeString(&name, entry->Name);
        ZwDeleteValueKey(key, &name);
    }
    ExFreePoolWithTag(info, RTL_TAG);
    return status;
}

static NTSTATUS query_all(HANDLE key, const RTL_QUERY_REGISTRY_TABLE *entry, PVOID context)
{
    NTSTATUS status = STATUS_SUCCESS;
    for (ULONG i = 0; NT_SUCCESS(status); i++) {
        PKEY_VALUE_FULL_INFORMATION info = read_value(key, NULL, i, &status);
        if (info == NULL)
            return status == STATUS_NO_MORE_ENTRIES ? STATUS_SUCCESS : status;
        PWSTR name = ExAllocatePool2(POOL_FLAG_PAGED, info->NameLength + sizeof(WCHAR), RTL_TAG);
        status = STATUS_INSUFFICIENT_RESOURCES;
        if (name != NULL) {
            memcpy(name, info->Name, info->NameLength);
            status = deliver(entry, name, info->Type, (UCHAR *)info + info->DataOffset,
                             info->DataLength, context);
            ExFreePoolWithTag(name, RTL_TAG);
        }
        ExFreePoolWithTag(info, RTL_TAG);
    }
    return status;
}

NTSTATUS NTAPI RtlQueryRegistryValues(ULONG RelativeTo, PCWSTR Path,
                                      PRTL_QUERY_REGISTRY_TABLE QueryTable, PVOID Context,
                                      PVOID Environment)
{
    HANDLE top, key;
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(Environment);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_path(RelativeTo, Path, false, KEY_READ | KEY_SET_VALUE, &top);
    if (!NT_SUCCESS(status))
        return RelativeTo & RTL_REGISTRY_OPTIONAL ? STATUS_SUCCESS : status;
    key = top;
    for (const RTL_QUERY_REGISTRY_TABLE *entry = QueryTable;
         NT_SUCCESS(status) &&
         (entry->QueryRoutine != NULL ||
          entry->Flags & (RTL_QUERY_REGISTRY_SUBKEY | RTL_QUERY_REGISTRY_DIRECT));
         entry++) {
        if (entry->Flags & (RTL_QUERY_REGISTRY_TOPKEY | RTL_QUERY_REGISTRY_SUBKEY) && key != top) {
            ZwClose(key);
            key = top;
        }
        if (entry->Flags & RTL_QUERY_REGISTRY_SUBKEY) {
            UNICODE_STRING name;
            OBJECT_ATTRIBUTES attributes;
            HANDLE below;
            RtlInitUnicodeString(&name, entry->Name);
            InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE, top, NULL);
            status = ZwOpenKey(&below, KEY_READ | KEY_SET_VALUE, &attributes);
            if (NT_SUCCESS(status)) {
                key = below;
                if (entry->QueryRoutine != NULL)
                    status = query_all(key, entry, Context);
            }
        } else if (entry->Flags & RTL_QUERY_REGISTRY_NOVALUE && entry->QueryRoutine != NULL) {
            status = entry->QueryRoutine(NULL, REG_NONE, NULL, 0, Context, entry->EntryContext);
        } else if (entry->Name == NULL) {
            status = query_all(key, entry, Context);
        } else {
            status = query_one(key, entry, Context);
        }
    }
    if (key != top)
        ZwClose(key);
    close_path(RelativeTo, top);
    return status;
}
NT_EXPORT(NTOSKRNL, RtlQueryRegistryValues);

NTSTATUS NTAPI RtlWriteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName,
                                     ULONG ValueType, PVOID ValueData, ULONG ValueLength)
{
    HANDLE key;
    UNICODE_STRING name;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_path(RelativeTo, Path, true, KEY_WRITE, &key);
    if (!NT_SUCCESS(status))
        return status;
    RtlInitUnicodeString(&name, ValueName);
    status = ZwSetValueKey(key, &name, 0, ValueType, ValueData, ValueLength);
    close_path(RelativeTo, key);
    return status;
}
NT_EXPORT(NTOSKRNL, RtlWriteRegistryValue);

NTSTATUS NTAPI RtlDeleteRegistryValue(ULONG RelativeTo, PCWSTR Path, PCWSTR ValueName)
{
    HANDLE key;
    UNICODE_STRING name;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_path(RelativeTo, Path, false, KEY_WRITE, &key);
    if (!NT_SUCCESS(status))
        return status;
    RtlInitUnicodeString(&name, ValueName);
    status = ZwDeleteValueKey(key, &name);
    close_path(RelativeTo, key);
    return status;
}
NT_EXPORT(NTOSKRNL, RtlDeleteRegistryValue);

NTSTATUS NTAPI RtlCheckRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    HANDLE key;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_path(RelativeTo, Path, false, KEY_READ, &key);
    if (NT_SUCCESS(status))
        close_path(RelativeTo, key);
    return status;
}
NT_EXPORT(NTOSKRNL, RtlCheckRegistryKey);

NTSTATUS NTAPI RtlCreateRegistryKey(ULONG RelativeTo, PWSTR Path)
{
    HANDLE key;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_path(RelativeTo, Path, true, KEY_READ, &key);
    if (NT_SUCCESS(status))
        close_path(RelativeTo, key);
    return status;
}
NT_EXPORT(NTOSKRNL, RtlCreateRegistryKey);
