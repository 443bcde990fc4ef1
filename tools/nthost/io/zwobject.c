/*
 * What can be asked of objects by handle: their type, their handle, where a link leads.
 *
 * WDK: ZwQueryObject, ZwOpenSymbolicLinkObject, ZwQuerySymbolicLinkObject.
 */
#include "ob.h"
#include <nthost/export.h>
#include <nthost/verifier.h>
#include <string.h>

/* PUBLIC_OBJECT_BASIC_INFORMATION and PUBLIC_OBJECT_TYPE_INFORMATION of ntifs.h. */
enum { OBJECT_BASIC_INFORMATION = 0, OBJECT_TYPE_INFORMATION = 2 };
struct basic_information {
    ULONG attributes;
    ACCESS_MASK granted;
    ULONG handles, pointers;
    ULONG reserved[10];
};
struct type_information {
    UNICODE_STRING name;
    ULONG reserved[22];
};

static NTSTATUS put_type(const struct ob_type *type, void *out, ULONG room, ULONG *needed)
{
    struct type_information info;
    ULONG chars = (ULONG)strlen(type->name);
    *needed = (ULONG)(sizeof(info) + (chars + 1) * sizeof(WCHAR));
    if (room < *needed)
        return STATUS_INFO_LENGTH_MISMATCH;
    memset(&info, 0, sizeof(info));
    PWCH text = (PWCH)((UCHAR *)out + sizeof(info));
    for (ULONG i = 0; i <= chars; i++)
        text[i] = (UCHAR)type->name[i];
    info.name = (UNICODE_STRING){(USHORT)(chars * sizeof(WCHAR)),
                                 (USHORT)((chars + 1) * sizeof(WCHAR)), text};
    memcpy(out, &info, sizeof(info));
    return STATUS_SUCCESS;
}

NTSTATUS NTAPI ZwQueryObject(HANDLE Handle, ULONG ObjectInformationClass, PVOID ObjectInformation,
                             ULONG ObjectInformationLength, PULONG ReturnLength)
{
    void *object;
    ACCESS_MASK granted;
    ULONG needed = 0;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = ob_lookup_handle(Handle, NULL, &object, &granted);
    if (!NT_SUCCESS(status))
        return status;
    if (ObjectInformationClass == OBJECT_TYPE_INFORMATION) {
        status = put_type(ob_type_of(object), ObjectInformation, ObjectInformationLength, &needed);
    } else if (ObjectInformationClass == OBJECT_BASIC_INFORMATION) {
        struct basic_information info = {.granted = granted,
                                         .handles =
                                             (ULONG)atomic_load(&ob_header_of(object)->handles),
                                         .pointers = ob_references(object) - 1};
        needed = sizeof(info);
        if (ObjectInformationLength < needed)
            status = STATUS_INFO_LENGTH_MISMATCH;
        else
            memcpy(ObjectInformation, &info, sizeof(info));
    } else {
        status = STATUS_INVALID_INFO_CLASS;
    }
    if (ReturnLength != NULL)
        *ReturnLength = needed;
    ob_dereference(object);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwQueryObject);

NTSTATUS NTAPI ZwOpenSymbolicLinkObject(PHANDLE LinkHandle, ACCESS_MASK DesiredAccess,
                                        POBJECT_ATTRIBUTES ObjectAttributes)
{
    void *link;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    if (ObjectAttributes->ObjectName == NULL || ObjectAttributes->RootDirectory != NULL)
        return STATUS_INVALID_PARAMETER;
    NTSTATUS status = ob_lookup_link(ObjectAttributes->ObjectName, &link);
    if (!NT_SUCCESS(status))
        return status;
    status = ob_handle_open(ob_handles_for(ObjectAttributes->Attributes), link, DesiredAccess,
                            LinkHandle);
    ob_dereference(link);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwOpenSymbolicLinkObject);

NTSTATUS NTAPI ZwQuerySymbolicLinkObject(HANDLE LinkHandle, PUNICODE_STRING LinkTarget,
                                         PULONG ReturnedLength)
{
    void *link;
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultIo))
        return STATUS_INSUFFICIENT_RESOURCES;
    NTSTATUS status = ob_lookup_handle(LinkHandle, &ob_link_type, &link, NULL);
    if (!NT_SUCCESS(status))
        return status;
    const UNICODE_STRING *target = ob_link_target(link);
    if (ReturnedLength != NULL)
        *ReturnedLength = target->MaximumLength;
    if (LinkTarget->MaximumLength < target->Length) {
        status = STATUS_BUFFER_TOO_SMALL;
    } else {
        memcpy(LinkTarget->Buffer, target->Buffer, target->Length);
        LinkTarget->Length = target->Length;
    }
    ob_dereference(link);
    return status;
}
NT_EXPORT(NTOSKRNL, ZwQuerySymbolicLinkObject);
