/*
 * The driver's own files. Their size is set once, so that writes never extend them.
 *
 * WDK: ZwCreateFile (FILE_NO_INTERMEDIATE_BUFFERING: offsets, lengths and buffers are multiples of
 * the sector size; 4096 is one for every disk).
 */
#include "folder.h"

static NTSTATUS RplFolderMake(_In_ PCWSTR Path)
{
    OBJECT_ATTRIBUTES attributes;
    UNICODE_STRING name;
    IO_STATUS_BLOCK iosb;
    NTSTATUS status;
    HANDLE handle;

    RtlInitUnicodeString(&name, Path);
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    status = ZwCreateFile(&handle, FILE_LIST_DIRECTORY | SYNCHRONIZE, &attributes, &iosb, NULL,
                          FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_OPEN_IF,
                          FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    if (NT_SUCCESS(status))
    {
        (VOID) ZwClose(handle);
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS RplFolderOpen(PCWSTR Name, UINT64 Bytes, HANDLE *File)
{
    static const WCHAR folder[] = L"\\SystemRoot\\ntswift\\repl\\";
    FILE_END_OF_FILE_INFORMATION end = {.EndOfFile.QuadPart = (LONGLONG)Bytes};
    WCHAR path[64];
    UNICODE_STRING name = {0, sizeof(path), path};
    OBJECT_ATTRIBUTES attributes;
    IO_STATUS_BLOCK iosb;
    NTSTATUS status;

    *File = NULL;
    status = RplFolderMake(L"\\SystemRoot\\ntswift");
    if (NT_SUCCESS(status))
    {
        status = RplFolderMake(L"\\SystemRoot\\ntswift\\repl");
    }
    if (NT_SUCCESS(status))
    {
        status = RtlAppendUnicodeToString(&name, folder);
    }
    if (NT_SUCCESS(status))
    {
        status = RtlAppendUnicodeToString(&name, Name);
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    InitializeObjectAttributes(&attributes, &name, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE, NULL,
                               NULL);
    status = ZwCreateFile(File, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, &attributes, &iosb,
                          NULL, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ, FILE_OPEN_IF,
                          FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT |
                              FILE_NO_INTERMEDIATE_BUFFERING,
                          NULL, 0);
    if (!NT_SUCCESS(status))
    {
        *File = NULL;
        return status;
    }
    status = ZwSetInformationFile(*File, &iosb, &end, sizeof(end), FileEndOfFileInformation);
    if (NT_SUCCESS(status))
    {
        status = ZwFlushBuffersFile(*File, &iosb);
    }
    if (!NT_SUCCESS(status))
    {
        (VOID) ZwClose(*File);
        *File = NULL;
    }
    return status;
}

static NTSTATUS RplFolderRead(_In_ PVOID Context, _In_ UINT64 Offset, _Out_ PVOID Data,
                              _In_ ULONG Bytes)
{
    LARGE_INTEGER offset = {.QuadPart = (LONGLONG)Offset};
    IO_STATUS_BLOCK iosb = {0};
    NTSTATUS status =
        ZwReadFile((HANDLE)Context, NULL, NULL, NULL, &iosb, Data, Bytes, &offset, NULL);

    return NT_SUCCESS(status) && iosb.Information != Bytes ? STATUS_END_OF_FILE : status;
}

static NTSTATUS RplFolderWrite(_In_ PVOID Context, _In_ UINT64 Offset, _In_ const VOID *Data,
                               _In_ ULONG Bytes)
{
    LARGE_INTEGER offset = {.QuadPart = (LONGLONG)Offset};
    IO_STATUS_BLOCK iosb = {0};
    NTSTATUS status =
        ZwWriteFile((HANDLE)Context, NULL, NULL, NULL, &iosb, (PVOID)Data, Bytes, &offset, NULL);

    return NT_SUCCESS(status) && iosb.Information != Bytes ? STATUS_UNEXPECTED_IO_ERROR : status;
}

static NTSTATUS RplFolderFlush(_In_ PVOID Context)
{
    IO_STATUS_BLOCK iosb;

    return ZwFlushBuffersFile((HANDLE)Context, &iosb);
}

_Use_decl_annotations_ VOID RplFolderStorage(HANDLE File, RPL_STORAGE *Storage)
{
    Storage->Read = RplFolderRead;
    Storage->Write = RplFolderWrite;
    Storage->Flush = RplFolderFlush;
    Storage->Context = File;
}
