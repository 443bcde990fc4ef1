/* REPL's own opens; see open.h. */
#include "open.h"

static NTSTATUS RplOpen(_In_ PFLT_INSTANCE Instance, _In_ OBJECT_ATTRIBUTES *Attributes,
                        ACCESS_MASK Access, ULONG Options, _Out_ RPL_OPENED *Handle)
{
    IO_STATUS_BLOCK status;

    RtlZeroMemory(Handle, sizeof(*Handle));
    return FltCreateFileEx2(Repl.Filter, Instance, &Handle->Handle, &Handle->FileObject,
                            Access | SYNCHRONIZE, Attributes, &status, NULL, 0,
                            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, FILE_OPEN,
                            Options | FILE_OPEN_REPARSE_POINT | FILE_SYNCHRONOUS_IO_NONALERT |
                                FILE_COMPLETE_IF_OPLOCKED,
                            NULL, 0, IO_IGNORE_SHARE_ACCESS_CHECK, NULL);
}

_Use_decl_annotations_ NTSTATUS RplOpenName(PFLT_INSTANCE Instance, const UNICODE_STRING *Name,
                                            ACCESS_MASK Access, RPL_OPENED *Handle)
{
    OBJECT_ATTRIBUTES attributes;

    InitializeObjectAttributes(&attributes, (PUNICODE_STRING)Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    return RplOpen(Instance, &attributes, Access, 0, Handle);
}

_Use_decl_annotations_ NTSTATUS RplOpenId(PFLT_INSTANCE Instance, const UNICODE_STRING *VolumeRoot,
                                          const UINT8 *FileId, ULONG IdBytes, ACCESS_MASK Access,
                                          RPL_OPENED *Handle)
{
    RPL_OPENED root;
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING id = {
        .Buffer = (PWCH)FileId, .Length = (USHORT)IdBytes, .MaximumLength = (USHORT)IdBytes};
    NTSTATUS status = RplOpenName(Instance, VolumeRoot, FILE_READ_ATTRIBUTES, &root);

    RtlZeroMemory(Handle, sizeof(*Handle));
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    InitializeObjectAttributes(&attributes, &id, OBJ_KERNEL_HANDLE, root.Handle, NULL);
    status = RplOpen(Instance, &attributes, Access, FILE_OPEN_BY_FILE_ID, Handle);
    RplOpenClose(&root);
    return status;
}

_Use_decl_annotations_ VOID RplOpenClose(RPL_OPENED *Handle)
{
    if (Handle->FileObject != NULL)
    {
        ObDereferenceObject(Handle->FileObject);
    }
    if (Handle->Handle != NULL)
    {
        FltClose(Handle->Handle);
    }
    RtlZeroMemory(Handle, sizeof(*Handle));
}

_Use_decl_annotations_ NTSTATUS RplOpenRoot(PFLT_INSTANCE Instance, UNICODE_STRING *Root)
{
    PFLT_VOLUME volume;
    ULONG bytes = 0;
    NTSTATUS status = FltGetVolumeFromInstance(Instance, &volume);

    RtlZeroMemory(Root, sizeof(*Root));
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    FltGetVolumeName(volume, NULL, &bytes);
    Root->MaximumLength = (USHORT)(bytes + sizeof(WCHAR));
    Root->Buffer = ExAllocatePool2(POOL_FLAG_PAGED, Root->MaximumLength, RPL_TAG);
    status =
        Root->Buffer == NULL ? STATUS_INSUFFICIENT_RESOURCES : FltGetVolumeName(volume, Root, NULL);
    if (NT_SUCCESS(status))
    {
        status = RtlAppendUnicodeToString(Root, L"\\");
    }
    FltObjectDereference(volume);
    if (!NT_SUCCESS(status))
    {
        RplOpenRootFree(Root);
    }
    return status;
}

_Use_decl_annotations_ VOID RplOpenRootFree(UNICODE_STRING *Root)
{
    if (Root->Buffer != NULL)
    {
        ExFreePoolWithTag(Root->Buffer, RPL_TAG);
    }
    RtlZeroMemory(Root, sizeof(*Root));
}
