/* Metadata; see metadata.h. */
#include "metadata.h"

#include "record.h"

#define RPL_TAG_METADATA 'mlpR'

#define RPL_MAX_SECURITY 65536
#define RPL_MAX_EA       65536 /* NTFS's limit */
#define RPL_MAX_REPARSE  MAXIMUM_REPARSE_DATA_BUFFER_SIZE

/* A part of it, while it is gathered. */
typedef struct RPL_PART
{
    PVOID Data;
    ULONG Bytes;
} RPL_PART;

#define RPL_SECURITY_PARTS                                                                         \
    (OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION |         \
     LABEL_SECURITY_INFORMATION | SACL_SECURITY_INFORMATION)

static VOID RplPartFree(_Inout_ RPL_PART *Part)
{
    if (Part->Data != NULL)
    {
        ExFreePoolWithTag(Part->Data, RPL_TAG_METADATA);
    }
    Part->Data = NULL;
    Part->Bytes = 0;
}

static NTSTATUS RplPartAllocate(_Out_ RPL_PART *Part, ULONG Bytes)
{
    Part->Data = ExAllocatePool2(POOL_FLAG_PAGED, Bytes, RPL_TAG_METADATA);
    Part->Bytes = Part->Data == NULL ? 0 : Bytes;
    return Part->Data == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static NTSTATUS RplSecurityGet(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                               _Out_ RPL_PART *Part)
{
    ULONG needed = 1024;
    NTSTATUS status = STATUS_BUFFER_TOO_SMALL;

    RtlZeroMemory(Part, sizeof(*Part));
    while (needed <= RPL_MAX_SECURITY)
    {
        ULONG room = needed;
        status = RplPartAllocate(Part, room);
        if (!NT_SUCCESS(status))
        {
            return status;
        }
        status = FltQuerySecurityObject(Instance, FileObject, RPL_SECURITY_PARTS, Part->Data, room,
                                        &needed);
        if (NT_SUCCESS(status))
        {
            Part->Bytes = RtlLengthSecurityDescriptor(Part->Data);
            return status;
        }
        RplPartFree(Part);
        if ((status != STATUS_BUFFER_TOO_SMALL && status != STATUS_BUFFER_OVERFLOW) ||
            needed <= room)
        {
            break;
        }
    }
    return STATUS_SUCCESS; /* none is told */
}

static NTSTATUS RplEaGet(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                         _Out_ RPL_PART *Part)
{
    FILE_EA_INFORMATION size = {0};
    ULONG bytes = 0;
    NTSTATUS status =
        FltQueryInformationFile(Instance, FileObject, &size, sizeof(size), FileEaInformation, NULL);

    RtlZeroMemory(Part, sizeof(*Part));
    if (!NT_SUCCESS(status) || size.EaSize == 0)
    {
        return STATUS_SUCCESS;
    }
    /* EaSize is of another packing (OS/2's); the list itself needs more. */
    status = RplPartAllocate(Part, RPL_MAX_EA);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltQueryEaFile(Instance, FileObject, Part->Data, RPL_MAX_EA, FALSE, NULL, 0, NULL,
                            TRUE, &bytes);
    Part->Bytes = bytes;
    if (!NT_SUCCESS(status) || bytes == 0)
    {
        RplPartFree(Part);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS RplReparseGet(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                              _Out_ RPL_PART *Part)
{
    ULONG bytes = 0;
    NTSTATUS status = RplPartAllocate(Part, RPL_MAX_REPARSE);

    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = FltFsControlFile(Instance, FileObject, FSCTL_GET_REPARSE_POINT, NULL, 0, Part->Data,
                              RPL_MAX_REPARSE, &bytes);
    Part->Bytes = bytes;
    if (!NT_SUCCESS(status) || bytes == 0)
    {
        RplPartFree(Part);
    }
    return STATUS_SUCCESS;
}

static PUCHAR RplPartPut(_Out_ PUCHAR At, _In_ const RPL_PART *Part)
{
    if (Part->Bytes != 0)
    {
        RtlCopyMemory(At, Part->Data, Part->Bytes);
    }
    return At + RPL_RECORD_PADDED(Part->Bytes);
}

static NTSTATUS RplMetadataPut(_In_ const FILE_BASIC_INFORMATION *Basic,
                               _In_ const FILE_STANDARD_INFORMATION *Standard,
                               _In_ const RPL_PART *Security, _In_ const RPL_PART *Ea,
                               _In_ const RPL_PART *Reparse, _Out_ RPL_METADATA_BUFFER *Buffer)
{
    const ULONG bytes = sizeof(REPL_METADATA) + RPL_RECORD_PADDED(Security->Bytes) +
                        RPL_RECORD_PADDED(Ea->Bytes) + RPL_RECORD_PADDED(Reparse->Bytes);
    REPL_METADATA *metadata = ExAllocatePool2(POOL_FLAG_PAGED, bytes, RPL_TAG_METADATA);

    if (metadata == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    metadata->Basic.CreationTime = (UINT64)Basic->CreationTime.QuadPart;
    metadata->Basic.LastAccessTime = (UINT64)Basic->LastAccessTime.QuadPart;
    metadata->Basic.LastWriteTime = (UINT64)Basic->LastWriteTime.QuadPart;
    metadata->Basic.ChangeTime = (UINT64)Basic->ChangeTime.QuadPart;
    metadata->Basic.Attributes = Basic->FileAttributes;
    metadata->Size = (UINT64)Standard->EndOfFile.QuadPart;
    metadata->Allocation = (UINT64)Standard->AllocationSize.QuadPart;
    metadata->Links = Standard->NumberOfLinks;
    metadata->SecurityLength = Security->Bytes;
    metadata->EaLength = Ea->Bytes;
    metadata->ReparseLength = Reparse->Bytes;
    RplPartPut(RplPartPut(RplPartPut((PUCHAR)(metadata + 1), Security), Ea), Reparse);
    Buffer->Metadata = metadata;
    Buffer->Bytes = bytes;
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS RplMetadataGet(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                               RPL_METADATA_BUFFER *Buffer)
{
    FILE_BASIC_INFORMATION basic;
    FILE_STANDARD_INFORMATION standard;
    RPL_PART security = {0}, ea = {0}, reparse = {0};
    NTSTATUS status = FltQueryInformationFile(Instance, FileObject, &basic, sizeof(basic),
                                              FileBasicInformation, NULL);

    RtlZeroMemory(Buffer, sizeof(*Buffer));
    if (NT_SUCCESS(status))
    {
        status = FltQueryInformationFile(Instance, FileObject, &standard, sizeof(standard),
                                         FileStandardInformation, NULL);
    }
    if (NT_SUCCESS(status))
    {
        status = RplSecurityGet(Instance, FileObject, &security);
    }
    if (NT_SUCCESS(status))
    {
        status = RplEaGet(Instance, FileObject, &ea);
    }
    if (NT_SUCCESS(status) && (basic.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT))
    {
        status = RplReparseGet(Instance, FileObject, &reparse);
    }
    if (NT_SUCCESS(status))
    {
        status = RplMetadataPut(&basic, &standard, &security, &ea, &reparse, Buffer);
    }
    RplPartFree(&security);
    RplPartFree(&ea);
    RplPartFree(&reparse);
    return status;
}

_Use_decl_annotations_ VOID RplMetadataFree(RPL_METADATA_BUFFER *Buffer)
{
    if (Buffer->Metadata != NULL)
    {
        ExFreePoolWithTag(Buffer->Metadata, RPL_TAG_METADATA);
    }
    Buffer->Metadata = NULL;
}
