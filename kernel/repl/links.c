/*
 * The other names of a file: FileHardLinkInformation tells each name's folder by identity, and the
 * folder what it is called.
 */
#include "links.h"

#include "join.h"
#include "open.h"

#define RPL_TAG_LINKS   'klpR'
#define RPL_LINKS_BYTES 65536 /* about a thousand names; more of them are not looked at */

/* The whole name: the folder's, '\', the entry's. */
static NTSTATUS RplLinkName(_In_ PFLT_INSTANCE Instance, _In_ const UNICODE_STRING *Root,
                            _In_ const FILE_LINK_ENTRY_INFORMATION *Entry,
                            _Out_ UNICODE_STRING *Name)
{
    PFLT_FILE_NAME_INFORMATION information;
    UNICODE_STRING last = {.Buffer = (PWCH)Entry->FileName,
                           .Length = (USHORT)(Entry->FileNameLength * sizeof(WCHAR)),
                           .MaximumLength = (USHORT)(Entry->FileNameLength * sizeof(WCHAR))};
    UINT8 id[16] = {0};
    RPL_OPENED folder;
    NTSTATUS status;

    RtlZeroMemory(Name, sizeof(*Name));
    RtlCopyMemory(id, &Entry->ParentFileId, sizeof(Entry->ParentFileId));
    status =
        RplOpenId(Instance, Root, id, sizeof(Entry->ParentFileId), FILE_READ_ATTRIBUTES, &folder);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltGetFileNameInformationUnsafe(folder.FileObject, Instance,
                                             FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT,
                                             &information);
    RplOpenClose(&folder);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = RplJoin(&information->Name, &last, Name);
    FltReleaseFileNameInformation(information);
    return status;
}

_Use_decl_annotations_ NTSTATUS RplLinksFind(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                             UINT64 Size, RPL_PATH *Path)
{
    FILE_LINKS_INFORMATION *links =
        ExAllocatePool2(POOL_FLAG_PAGED, RPL_LINKS_BYTES, RPL_TAG_LINKS);
    const FILE_LINK_ENTRY_INFORMATION *entry;
    UNICODE_STRING root = {0}, name;
    ULONG i;
    NTSTATUS status = links == NULL
                          ? STATUS_INSUFFICIENT_RESOURCES
                          : FltQueryInformationFile(Instance, FileObject, links, RPL_LINKS_BYTES,
                                                    FileHardLinkInformation, NULL);

    RtlZeroMemory(Path, sizeof(*Path));
    if (NT_SUCCESS(status) || status == STATUS_BUFFER_OVERFLOW)
    {
        status = RplOpenRoot(Instance, &root);
        entry = &links->Entry;
        for (i = 0; NT_SUCCESS(status) && Path->SetId == 0 && i < links->EntriesReturned; i++)
        {
            status = RplLinkName(Instance, &root, entry, &name);
            if (NT_SUCCESS(status))
            {
                status = RplPathOfName(&name, FALSE, Size, Path);
                RplJoinFree(&name);
            }
            else if (status != STATUS_INSUFFICIENT_RESOURCES)
            {
                status = STATUS_SUCCESS; /* its folder went away meanwhile */
            }
            entry = RPL_ADD(entry, entry->NextEntryOffset);
        }
    }
    else if (status != STATUS_INSUFFICIENT_RESOURCES)
    {
        status = STATUS_SUCCESS; /* the file system does not tell */
    }
    RplOpenRootFree(&root);
    if (links != NULL)
    {
        ExFreePoolWithTag(links, RPL_TAG_LINKS);
    }
    return status;
}
