/*
 * Roots: from an NT path as somebody writes it to the name that FltMgr gives files below it.
 *
 * "\??\D:\shop" goes through the symbolic link D:, once or more, to "\Device\HarddiskVolume3\shop".
 * Links in the file system (junctions, mount points) are not followed: FltMgr's normalised names do
 * not have them, so a root has to be named without.
 */
#include "configure.h"

/* Links that may lead to links. */
#define RPL_MAX_LINKS 8

static BOOLEAN RplStartsWith(_In_ const UNICODE_STRING *Name, _In_ PCWSTR Prefix)
{
    UNICODE_STRING prefix;

    RtlInitUnicodeString(&prefix, Prefix);
    return RtlPrefixUnicodeString(&prefix, Name, TRUE);
}

/* Absolute, no empty component, none that is "." or "..", nothing that a file's name cannot have.
 */
static BOOLEAN RplIsPath(_In_ const UNICODE_STRING *Name)
{
    ULONG chars = Name->Length / sizeof(WCHAR), start = 1;

    if (chars < 2 || Name->Buffer[0] != L'\\')
    {
        return FALSE;
    }
    for (ULONG i = 1; i <= chars; i++)
    {
        if (i < chars && Name->Buffer[i] != L'\\')
        {
            WCHAR c = Name->Buffer[i];

            if (c < 32 || c == L'/' || c == L'*' || c == L'"' || c == L'<' || c == L'>' ||
                c == L'|')
            {
                return FALSE;
            }
            continue;
        }
        if (i == start || (i - start == 1 && Name->Buffer[start] == L'.') ||
            (i - start == 2 && Name->Buffer[start] == L'.' && Name->Buffer[start + 1] == L'.'))
        {
            return FALSE;
        }
        start = i + 1;
    }
    return TRUE;
}

/* Characters up to the separator before component Index, counted from 0. */
static ULONG RplComponentEnd(_In_ const UNICODE_STRING *Name, _In_ ULONG Components)
{
    ULONG chars = Name->Length / sizeof(WCHAR), i;

    for (i = 1; i < chars; i++)
    {
        if (Name->Buffer[i] == L'\\' && --Components == 0)
        {
            break;
        }
    }
    return i;
}

/* Replaces the link's name, LinkChars of Name, by what it leads to. */
static NTSTATUS RplFollow(_Inout_ UNICODE_STRING *Name, _In_ ULONG LinkChars)
{
    UNICODE_STRING link = {(USHORT)(LinkChars * sizeof(WCHAR)), (USHORT)(LinkChars * sizeof(WCHAR)),
                           Name->Buffer};
    ULONG rest = Name->Length - link.Length;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING target;
    NTSTATUS status;
    HANDLE handle;

    target.Buffer = ExAllocatePool2(POOL_FLAG_PAGED, RPL_MAX_ROOT_BYTES, RPL_TAG);
    if (target.Buffer == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    target.Length = 0;
    target.MaximumLength = RPL_MAX_ROOT_BYTES;
    InitializeObjectAttributes(&attributes, &link, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    status = ZwOpenSymbolicLinkObject(&handle, SYMBOLIC_LINK_QUERY, &attributes);
    if (NT_SUCCESS(status))
    {
        status = ZwQuerySymbolicLinkObject(handle, &target, NULL);
        (VOID) ZwClose(handle);
    }
    if (NT_SUCCESS(status) && target.Length + rest > Name->MaximumLength)
    {
        status = STATUS_NAME_TOO_LONG;
    }
    if (NT_SUCCESS(status))
    {
        RtlMoveMemory((UCHAR *)Name->Buffer + target.Length, Name->Buffer + LinkChars, rest);
        RtlCopyMemory(Name->Buffer, target.Buffer, target.Length);
        Name->Length = (USHORT)(target.Length + rest);
    }
    ExFreePoolWithTag(target.Buffer, RPL_TAG);
    return status;
}

_Use_decl_annotations_ NTSTATUS RplRootNormalise(const UNICODE_STRING *Root, UNICODE_STRING *Normal,
                                                 UNICODE_STRING *Volume)
{
    NTSTATUS status;

    if (Root->Length > Normal->MaximumLength)
    {
        return STATUS_NAME_TOO_LONG;
    }
    RtlCopyUnicodeString(Normal, Root);
    if (Normal->Length > sizeof(WCHAR) &&
        Normal->Buffer[Normal->Length / sizeof(WCHAR) - 1] == L'\\')
    {
        Normal->Length -= sizeof(WCHAR); /* "\??\D:\" */
    }
    if (!RplIsPath(Normal))
    {
        return STATUS_OBJECT_PATH_SYNTAX_BAD;
    }
    for (ULONG i = 0; !RplStartsWith(Normal, L"\\Device\\"); i++)
    {
        if ((!RplStartsWith(Normal, L"\\??\\") && !RplStartsWith(Normal, L"\\DosDevices\\") &&
             !RplStartsWith(Normal, L"\\GLOBAL??\\")) ||
            i == RPL_MAX_LINKS)
        {
            return STATUS_OBJECT_PATH_SYNTAX_BAD;
        }
        status = RplFollow(Normal, RplComponentEnd(Normal, 2));
        if (!NT_SUCCESS(status))
        {
            return status;
        }
    }
    Volume->Buffer = Normal->Buffer;
    Volume->Length = (USHORT)(RplComponentEnd(Normal, 2) * sizeof(WCHAR));
    Volume->MaximumLength = Volume->Length;
    return STATUS_SUCCESS;
}
