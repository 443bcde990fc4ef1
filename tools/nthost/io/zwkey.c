/*
 * The registry for drivers: key objects and handles on them.
 *
 * A key object names a key of the tree. What is set is in the log when the call returns, and on the
 * disk when ZwFlushKey does.
 *
 * WDK: ZwCreateKey, ZwQueryValueKey, ZwSetValueKey, ZwFlushKey, IoOpenDriverRegistryKey.
 */
#include "ob.h"
#include "reg.h"
#include "device.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <stdlib.h>
#include <string.h>

struct key_object {
    struct reg_key *key; /* referenced */
};

static void key_destroy(void *object)
{
    reg_lock();
    reg_release(((struct key_object *)object)->key);
    reg_unlock();
}

const struct ob_type ob_key_type = {.name = "Key", .destroy = key_destroy};

/* Path relative to the registry's root; free() it. */
static NTSTATUS full_path(POBJECT_ATTRIBUTES attributes, WCHAR **out, unsigned *chars)
{
    const UNICODE_STRING *name = attributes->ObjectName;
    static const UNICODE_STRING none = {0, 0, NULL};
    void *object;
    if (name == NULL)
        name = &none;
    const WCHAR *text = name->Buffer;
    unsigned length = name->Length / sizeof(WCHAR);
    if (attributes->RootDirectory == NULL) {
        if (!reg_strip_root(&text, &length))
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        while (length != 0 && text[length - 1] == '\\')
            length--;
        *out = malloc((length + 1) * sizeof(WCHAR));
        if (*out == NULL)
            return STATUS_INSUFFICIENT_RESOURCES;
        memcpy(*out, text, length * sizeof(WCHAR));
        *chars = length;
        return STATUS_SUCCESS;
    }
    NTSTATUS status = ob_lookup_handle(attributes->RootDirectory, &ob_key_type, &object, NULL);
    if (!NT_SUCCESS(status))
        return status;
    reg_lock();
    const struct reg_key *key = ((struct key_object *)object)->key;
    WCHAR *base = key->deleted ? NULL : reg_path_of(key, chars);
    status = key->deleted ? STATUS_KEY_DELETED : STATUS_INSUFFICIENT_RESOURCES;
    reg_unlock();
    ob_dereference(object);
    *out = base ? realloc(base, (*chars + length + 2) * sizeof(WCHAR)) : NULL;
    if (*out == NULL) {
        free(base);
        return status;
    }
    if (length != 0) {
        if (*chars != 0)
            (*out)[(*chars)++] = '\\';
        memcpy(*out + *chars, text, length * sizeof(WCHAR));
        *chars += length;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS open_object(struct reg_key *key, ULONG attributes, ACCESS_MASK access,
                            PHANDLE handle)
{
    static const GENERIC_MAPPING mapping = {KEY_READ, KEY_WRITE, KEY_EXECUTE, KEY_ALL_ACCESS};
    struct key_object *object = ob_create(&ob_key_type, sizeof(*object));
    if (object == NULL) {
        reg_lock();
        reg_release(key);
        reg_unlock();
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    object->key = key;
    if (access & (GENERIC_READ | MAXIMUM_ALLOWED))
        access |= mapping.GenericRead;
    if (access & (GENERIC_WRITE | MAXIMUM_ALLOWED))
        access |= mapping.GenericWrite;
    if (access & (GENERIC_ALL | MAXIMUM_ALLOWED))
        access |= mapping.GenericAll;
    NTSTATUS status = ob_handle_open(ob_handles_for(attributes), object, access, handle);
    ob_dereference(object);
    return status;
}

static NTSTATUS open_key(PHANDLE handle, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                         bool create, bool is_volatile, bool *created)
{
    WCHAR *path;
    unsigned chars;
    *created = false;
    NTSTATUS status = full_path(attributes, &path, &chars);
    if (!NT_SUCCESS(status))
        return status;
    reg_lock();
    struct reg_key *key = reg_walk(reg_root, path, chars);
    if (key == NULL && create) {
        struct reg_op op = {.kind = REG_OP_CREATE_KEY,
                            .path = path,
                            .path_chars = chars,
                            .is_volatile = is_volatile};
        status = reg_change(&op);
        key = NT_SUCCESS(status) ? reg_walk(reg_root, path, chars) : NULL;
        *created = key != NULL;
    } else if (key == NULL) {
        status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    if (key != NULL)
        reg_reference(key);
    reg_unlock();
    free(path);
    return key ? open_object(key, attributes->Attributes, access, handle) : status;
}

/* What a handle leads to, with the lock held on success; done() gives both back. */
struct held {
    struct key_object *object;
    struct reg_key *key;
};

static NTSTATUS hold(HANDLE handle, ACCESS_MASK access, struct held *held)
{
    ACCESS_MASK granted;
    NTSTATUS status = ob_lookup_handle(handle, &ob_key_type, (void **)&held->object, &granted);
    if (!NT_SUCCESS(status))
        return status;
    if ((granted & access) != access) {
        ob_dereference(held->object);
        return STATUS_ACCESS_DENIED;
    }
    reg_lock();
    held->key = held->object->key;
    if (!held->key->deleted)
        return STATUS_SUCCESS;
    reg_unlock();
    ob_dereference(held->object);
    return STATUS_KEY_DELETED;
}

static void done(const struct held *held)
{
    reg_unlock();
    ob_dereference(held->object);
}

/* Keys */

NTSTATUS NTAPI ZwCreateKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                           POBJECT_ATTRIBUTES ObjectAttributes, ULONG TitleIndex,
                           PUNICODE_STRING Class, ULONG CreateOptions, PULONG Disposition)
{
    bool created;
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(TitleIndex);
    UNREFERENCED_PARAMETER(Class);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = open_key(KeyHandle, DesiredAccess, ObjectAttributes, true,
                               (CreateOptions & REG_OPTION_VOLATILE) != 0, &created);
    if (NT_SUCCESS(status) && Disposition != NULL)
        *Disposition = created ? REG_CREATED_NEW_KEY : REG_OPENED_EXISTING_KEY;
    return status;
}
NT_EXPORT(NTOSKRNL, ZwCreateKey);

NTSTATUS NTAPI ZwOpenKey(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                         POBJECT_ATTRIBUTES ObjectAttributes)
{
    bool created;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    return open_key(KeyHandle, DesiredAccess, ObjectAttributes, false, false, &created);
}
NT_EXPORT(NTOSKRNL, ZwOpenKey);

NTSTATUS NTAPI ZwOpenKeyEx(PHANDLE KeyHandle, ACCESS_MASK DesiredAccess,
                           POBJECT_ATTRIBUTES ObjectAttributes, ULONG OpenOptions)
{
    bool created;
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(OpenOptions);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    return open_key(KeyHandle, DesiredAccess, ObjectAttributes, false, false, &created);
}
NT_EXPORT(NTOSKRNL, ZwOpenKeyEx);

static NTSTATUS change(struct held *held, struct reg_op *op)
{
    WCHAR *path = reg_path_of(held->key, &op->path_chars);
    if (path == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    op->path = path;
    NTSTATUS status = reg_change(op);
    free(path);
    return status;
}

NTSTATUS NTAPI ZwDeleteKey(HANDLE KeyHandle)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, 0, &held);
    if (!NT_SUCCESS(status))
        return status;
    struct reg_op op = {.kind = REG_OP_DELETE_KEY};
    status = change(&held, &op);
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwDeleteKey);

NTSTATUS NTAPI ZwFlushKey(HANDLE KeyHandle)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_REGISTRY_IO_FAILED;
    NTSTATUS status = hold(KeyHandle, 0, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = reg_flush_locked();
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwFlushKey);

/* Fixed part, then a name: as much as fits is written, as the WDK has it. */
static NTSTATUS put(void *out, ULONG room, PULONG result, const void *head, ULONG head_bytes,
                    const void *tail, ULONG tail_bytes)
{
    *result = head_bytes + tail_bytes;
    if (room < head_bytes)
        return STATUS_BUFFER_TOO_SMALL;
    memcpy(out, head, head_bytes);
    ULONG fits = room - head_bytes < tail_bytes ? room - head_bytes : tail_bytes;
    if (fits != 0)
        memcpy((UCHAR *)out + head_bytes, tail, fits);
    return fits < tail_bytes ? STATUS_BUFFER_OVERFLOW : STATUS_SUCCESS;
}

static NTSTATUS describe_key(const struct reg_key *key, KEY_INFORMATION_CLASS information_class,
                             PVOID out, ULONG room, PULONG result)
{
    ULONG name_bytes = key->chars * (ULONG)sizeof(WCHAR);
    switch (information_class) {
    case KeyBasicInformation: {
        KEY_BASIC_INFORMATION info = {.LastWriteTime.QuadPart = key->last_write,
                                      .NameLength = name_bytes};
        return put(out, room, result, &info, FIELD_OFFSET(KEY_BASIC_INFORMATION, Name), key->name,
                   name_bytes);
    }
    case KeyFullInformation: {
        KEY_FULL_INFORMATION info = {.LastWriteTime.QuadPart = key->last_write,
                                     .ClassOffset = MAXULONG,
                                     .SubKeys = key->key_count,
                                     .Values = key->value_count};
        for (unsigned i = 0; i < key->key_count; i++)
            if (key->keys[i]->chars * sizeof(WCHAR) > info.MaxNameLen)
                info.MaxNameLen = key->keys[i]->chars * (ULONG)sizeof(WCHAR);
        for (unsigned i = 0; i < key->value_count; i++) {
            if (key->values[i]->chars * sizeof(WCHAR) > info.MaxValueNameLen)
                info.MaxValueNameLen = key->values[i]->chars * (ULONG)sizeof(WCHAR);
            if (key->values[i]->bytes > info.MaxValueDataLen)
                info.MaxValueDataLen = key->values[i]->bytes;
        }
        return put(out, room, result, &info, FIELD_OFFSET(KEY_FULL_INFORMATION, Class), NULL, 0);
    }
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS NTAPI ZwQueryKey(HANDLE KeyHandle, KEY_INFORMATION_CLASS KeyInformationClass,
                          PVOID KeyInformation, ULONG Length, PULONG ResultLength)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_QUERY_VALUE, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = describe_key(held.key, KeyInformationClass, KeyInformation, Length, ResultLength);
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwQueryKey);

NTSTATUS NTAPI ZwEnumerateKey(HANDLE KeyHandle, ULONG Index,
                              KEY_INFORMATION_CLASS KeyInformationClass, PVOID KeyInformation,
                              ULONG Length, PULONG ResultLength)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_ENUMERATE_SUB_KEYS, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = Index < held.key->key_count ? describe_key(held.key->keys[Index], KeyInformationClass,
                                                        KeyInformation, Length, ResultLength)
                                         : STATUS_NO_MORE_ENTRIES;
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwEnumerateKey);

/* Values */

static NTSTATUS describe_value(const struct reg_value *value,
                               KEY_VALUE_INFORMATION_CLASS information_class, PVOID out, ULONG room,
                               PULONG result)
{
    ULONG name_bytes = value->chars * (ULONG)sizeof(WCHAR);
    switch (information_class) {
    case KeyValueBasicInformation: {
        KEY_VALUE_BASIC_INFORMATION info = {.Type = value->type, .NameLength = name_bytes};
        return put(out, room, result, &info, FIELD_OFFSET(KEY_VALUE_BASIC_INFORMATION, Name),
                   value->name, name_bytes);
    }
    case KeyValuePartialInformation: {
        KEY_VALUE_PARTIAL_INFORMATION info = {.Type = value->type, .DataLength = value->bytes};
        return put(out, room, result, &info, FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data),
                   value->data, value->bytes);
    }
    case KeyValuePartialInformationAlign64: {
        struct {
            ULONG Type, DataLength;
        } info = {value->type, value->bytes};
        return put(out, room, result, &info, sizeof(info), value->data, value->bytes);
    }
    case KeyValueFullInformation: {
        /* Name, then the data at a multiple of 8. */
        ULONG head = FIELD_OFFSET(KEY_VALUE_FULL_INFORMATION, Name);
        ULONG offset = (head + name_bytes + 7) & ~7u;
        KEY_VALUE_FULL_INFORMATION info = {.Type = value->type,
                                           .DataOffset = offset,
                                           .DataLength = value->bytes,
                                           .NameLength = name_bytes};
        *result = offset + value->bytes;
        if (room < head)
            return STATUS_BUFFER_TOO_SMALL;
        memcpy(out, &info, head);
        if (room < *result)
            return STATUS_BUFFER_OVERFLOW;
        memcpy((UCHAR *)out + head, value->name, name_bytes);
        memcpy((UCHAR *)out + offset, value->data, value->bytes);
        return STATUS_SUCCESS;
    }
    default:
        return STATUS_INVALID_PARAMETER;
    }
}

NTSTATUS NTAPI ZwQueryValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName,
                               KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
                               PVOID KeyValueInformation, ULONG Length, PULONG ResultLength)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_QUERY_VALUE, &held);
    if (!NT_SUCCESS(status))
        return status;
    const struct reg_value *value =
        reg_find_value(held.key, ValueName->Buffer, ValueName->Length / sizeof(WCHAR));
    status = value ? describe_value(value, KeyValueInformationClass, KeyValueInformation, Length,
                                    ResultLength)
                   : STATUS_OBJECT_NAME_NOT_FOUND;
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwQueryValueKey);

NTSTATUS NTAPI ZwEnumerateValueKey(HANDLE KeyHandle, ULONG Index,
                                   KEY_VALUE_INFORMATION_CLASS KeyValueInformationClass,
                                   PVOID KeyValueInformation, ULONG Length, PULONG ResultLength)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_QUERY_VALUE, &held);
    if (!NT_SUCCESS(status))
        return status;
    status = Index < held.key->value_count
                 ? describe_value(held.key->values[Index], KeyValueInformationClass,
                                  KeyValueInformation, Length, ResultLength)
                 : STATUS_NO_MORE_ENTRIES;
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwEnumerateValueKey);

NTSTATUS NTAPI ZwSetValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName, ULONG TitleIndex,
                             ULONG Type, PVOID Data, ULONG DataSize)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    UNREFERENCED_PARAMETER(TitleIndex);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_SET_VALUE, &held);
    if (!NT_SUCCESS(status))
        return status;
    struct reg_op op = {.kind = REG_OP_SET_VALUE,
                        .name = ValueName->Buffer,
                        .name_chars = ValueName->Length / sizeof(WCHAR),
                        .type = Type,
                        .data = Data,
                        .bytes = DataSize};
    status = change(&held, &op);
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwSetValueKey);

NTSTATUS NTAPI ZwDeleteValueKey(HANDLE KeyHandle, PUNICODE_STRING ValueName)
{
    struct held held;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = hold(KeyHandle, KEY_SET_VALUE, &held);
    if (!NT_SUCCESS(status))
        return status;
    struct reg_op op = {.kind = REG_OP_DELETE_VALUE,
                        .name = ValueName->Buffer,
                        .name_chars = ValueName->Length / sizeof(WCHAR)};
    status = change(&held, &op);
    done(&held);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwDeleteValueKey);

/* Parameters is created if it is not there; the state keys lie beside it. */
NTSTATUS NTAPI IoOpenDriverRegistryKey(PDRIVER_OBJECT DriverObject, DRIVER_REGKEY_TYPE RegKeyType,
                                       ACCESS_MASK DesiredAccess, ULONG Flags, PHANDLE DriverRegKey)
{
    static const WCHAR *const names[] = {L"\\Parameters", L"\\State", L"\\SharedState"};
    WCHAR path[512];
    UNICODE_STRING name = {0, sizeof(path), path};
    OBJECT_ATTRIBUTES attributes;
    bool created;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultRegistry))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (Flags != 0 || (ULONG)RegKeyType >= ARRAYSIZE(names))
        return STATUS_INVALID_PARAMETER;
    RtlCopyUnicodeString(&name, &driver_of(DriverObject)->registry_path);
    NTSTATUS status = RtlAppendUnicodeToString(&name, names[RegKeyType]);
    if (!NT_SUCCESS(status))
        return status;
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    return open_key(DriverRegKey, DesiredAccess, &attributes, true, false, &created);
}
NT_EXPORT(NTOSKRNL, IoOpenDriverRegistryKey);
