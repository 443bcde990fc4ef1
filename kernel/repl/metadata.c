/* Metadata; see metadata.h. */
#include "metadata.h"

#include "record.h"
#include "write.h"

#define RPL_TAG_METADATA 'mlpR'

#define RPL_MAX_SECURITY 65536
#define RPL_MAX_EA       65536 /* NTFS's limit */
#define RPL_MAX_REPARSE  MAXIMUM_REPARSE_DATA_BUFFER_SIZE

/* The whole, in pool. */
typedef struct RPL_METADATA_BUFFER
{
    REPL_METADATA *Metadata; /* and what follows it; paged pool */
    ULONG Bytes;
} RPL_METADATA_BUFFER;

/* A part of it, while it is gathered. */
typedef struct RPL_PART
{
    PVOID Data;
    ULONG Bytes;
} RPL_PART;

#define RPL_SECURITY_PARTS                                                                         \
    (OWNER_SECURITY_INFORMATION | GROUP_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION |         \
     LABEL_SECURITY_INFORMATION | SACL_SECURITY_INFORMATION)

/* The file system, or this file, has none of it. */
static BOOLEAN RplHasNone(NTSTATUS Status)
{
    switch (Status)
    {
    case STATUS_INVALID_DEVICE_REQUEST:
    case STATUS_INVALID_PARAMETER:
    case STATUS_INVALID_INFO_CLASS:
    case STATUS_NOT_IMPLEMENTED:
    case STATUS_NOT_SUPPORTED:
    case STATUS_ACCESS_DENIED:
    case STATUS_PRIVILEGE_NOT_HELD:
    case STATUS_EAS_NOT_SUPPORTED:
    case STATUS_NO_EAS_ON_FILE:
    case STATUS_NO_MORE_EAS:
    case STATUS_NONEXISTENT_EA_ENTRY:
    case STATUS_EA_CORRUPT_ERROR:
    case STATUS_NOT_A_REPARSE_POINT:
        return TRUE;
    default:
        return FALSE;
    }
}

/* A query that failed: an error, unless there is nothing to be told. */
static NTSTATUS RplPartFailed(NTSTATUS Status)
{
    return NT_SUCCESS(Status) || RplHasNone(Status) ? STATUS_SUCCESS : Status;
}

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
    return status == STATUS_BUFFER_TOO_SMALL || status == STATUS_BUFFER_OVERFLOW
               ? STATUS_SUCCESS /* it is too long: none is told */
               : RplPartFailed(status);
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
        return RplPartFailed(status);
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
    return RplPartFailed(status);
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
    return RplPartFailed(status);
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

static NTSTATUS RplMetadataGet(_In_ PFLT_INSTANCE Instance, _In_ PFILE_OBJECT FileObject,
                               _Out_ RPL_METADATA_BUFFER *Buffer)
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

_Use_decl_annotations_ NTSTATUS RplMetadataRecord(PFLT_INSTANCE Instance, PFILE_OBJECT FileObject,
                                                  RPL_INTENT *Intent, UINT64 *Sequence)
{
    RPL_METADATA_BUFFER metadata;
    UINT64 sequence = 0;
    NTSTATUS status = RplMetadataGet(Instance, FileObject, &metadata);

    if (NT_SUCCESS(status))
    {
        sequence = RplRecord(Intent, metadata.Metadata, metadata.Bytes);
        ExFreePoolWithTag(metadata.Metadata, RPL_TAG_METADATA);
    }
    if (Sequence != NULL)
    {
        *Sequence = sequence;
    }
    return status;
}

/* For an operation that only holds the file. */
static RPL_OPERATION *RplMetadataHold(_In_ RPL_FILE *File)
{
    RPL_OPERATION *operation = RplOperationNew();

    if (operation != NULL)
    {
        FltReferenceContext(File);
        operation->File = File;
    }
    return operation;
}

_Use_decl_annotations_ NTSTATUS RplMetadataRecordFile(PFLT_INSTANCE Instance,
                                                      PFILE_OBJECT FileObject, RPL_FILE *File,
                                                      RPL_INTENT *Intent, UINT64 *Sequence)
{
    RPL_OPERATION *end = RplMetadataHold(File);
    RPL_OPERATION *metadata = RplMetadataHold(File);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (end != NULL && metadata != NULL)
    {
        if (!File->Directory)
        {
            (VOID) RplLockEnd(Instance, FileObject, end);
        }
        (VOID) RplOperationLock(metadata, &File->Metadata, 0, 1);
        status = RplMetadataRecord(Instance, FileObject, Intent, Sequence);
    }
    RplOperationEnd(metadata);
    RplOperationEnd(end);
    return status;
}
