/*
 * The journal's file. See spool.h.
 */
#include "spool.h"

#include "crc32c.h"
#include "folder.h"
#include "walk.h"

#define RPL_SPOOL_MAGIC 0x4A4C5052 /* "RPLJ" */

#define RPL_SPOOL_PADDED(Bytes)                                                                    \
    (((UINT64)(Bytes) + RPL_SPOOL_UNIT - 1) & ~(UINT64)(RPL_SPOOL_UNIT - 1))

_Use_decl_annotations_ VOID RplSpoolDestroy(RPL_SPOOL *Spool)
{
    if (Spool->File != NULL)
    {
        (VOID) ZwClose(Spool->File);
    }
    if (Spool->Batch != NULL)
    {
        ExFreePoolWithTag(Spool->Batch, RPL_TAG);
    }
    if (Spool->Read != NULL)
    {
        ExFreePoolWithTag(Spool->Read, RPL_TAG);
    }
    RtlZeroMemory(Spool, sizeof(*Spool));
}

_Use_decl_annotations_ NTSTATUS RplSpoolCreate(RPL_SPOOL *Spool, UINT64 Bytes)
{
    NTSTATUS status;

    RtlZeroMemory(Spool, sizeof(*Spool));
    Spool->Bytes = Bytes;
    Spool->ReadAt = MAXUINT64;
    /* More than a page: pool memory of this size begins on one. */
    Spool->Batch = ExAllocatePool2(POOL_FLAG_NON_PAGED, RPL_SPOOL_BATCH + RPL_SPOOL_UNIT, RPL_TAG);
    Spool->Read = ExAllocatePool2(POOL_FLAG_NON_PAGED, RPL_SPOOL_BATCH + RPL_SPOOL_UNIT, RPL_TAG);
    status = Spool->Batch == NULL || Spool->Read == NULL
                 ? STATUS_INSUFFICIENT_RESOURCES
                 : RplFolderOpen(L"journal", Bytes, &Spool->File);
    if (!NT_SUCCESS(status))
    {
        RplSpoolDestroy(Spool);
    }
    return status;
}

static NTSTATUS RplSpoolTransfer(_In_ RPL_SPOOL *Spool, _In_ BOOLEAN Write, _Inout_ UCHAR *Buffer,
                                 _In_ UINT64 Position, _In_ ULONG Bytes)
{
    LARGE_INTEGER offset = {.QuadPart = (LONGLONG)(Position % Spool->Bytes)};
    IO_STATUS_BLOCK iosb = {0};
    NTSTATUS status =
        Write ? ZwWriteFile(Spool->File, NULL, NULL, NULL, &iosb, Buffer, Bytes, &offset, NULL)
              : ZwReadFile(Spool->File, NULL, NULL, NULL, &iosb, Buffer, Bytes, &offset, NULL);

    if (NT_SUCCESS(status) && iosb.Information != Bytes)
    {
        status = Write ? STATUS_DISK_FULL : STATUS_END_OF_FILE;
    }
    return status;
}

/* Where a batch of so many bytes can begin, not before Position. */
static UINT64 RplSpoolPlace(_In_ const RPL_SPOOL *Spool, _In_ UINT64 Position, _In_ UINT64 Bytes)
{
    UINT64 rest = Spool->Bytes - Position % Spool->Bytes;

    return Bytes <= rest ? Position : Position + rest;
}

static UINT32 RplSpoolChecksum(_In_ const RPL_SPOOL_BATCH_HEADER *Header)
{
    RPL_SPOOL_BATCH_HEADER copy = *Header;

    copy.Checksum = 0;
    return RplCrc32c(0, &copy, sizeof(copy));
}

_Use_decl_annotations_ NTSTATUS RplSpoolWrite(RPL_SPOOL *Spool, ULONG Bytes, UINT64 First,
                                              UINT64 Last)
{
    RPL_SPOOL_BATCH_HEADER *header = (RPL_SPOOL_BATCH_HEADER *)Spool->Batch;
    UINT64 padded = RPL_SPOOL_PADDED(sizeof(*header) + Bytes);
    UINT64 place = RplSpoolPlace(Spool, Spool->Head, padded);
    NTSTATUS status;

    NT_ASSERT(Bytes <= RPL_SPOOL_ROOM);
    if (place + padded - Spool->Tail > Spool->Bytes)
    {
        return STATUS_DISK_FULL;
    }
    header->Magic = RPL_SPOOL_MAGIC;
    header->Bytes = Bytes;
    header->First = First;
    header->Last = Last;
    header->Position = place;
    header->Reserved = 0;
    header->Checksum = RplSpoolChecksum(header);
    RtlZeroMemory(Spool->Batch + sizeof(*header) + Bytes, padded - sizeof(*header) - Bytes);
    status = RplSpoolTransfer(Spool, TRUE, Spool->Batch, place, (ULONG)padded);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (Spool->First == 0)
    {
        Spool->Tail = place;
        Spool->First = First;
        Spool->TailLast = Last;
        Spool->Cursor = place;
        Spool->CursorAfter = 0;
    }
    Spool->Head = place + padded;
    return STATUS_SUCCESS;
}

/* The header of the batch at or, where the file's end was left out, after *Position. */
static NTSTATUS RplSpoolHeader(_Inout_ RPL_SPOOL *Spool, _Inout_ UINT64 *Position)
{
    const RPL_SPOOL_BATCH_HEADER *header = (const RPL_SPOOL_BATCH_HEADER *)Spool->Read;

    for (ULONG attempt = 0; attempt < 2; attempt++)
    {
        NTSTATUS status = RplSpoolTransfer(Spool, FALSE, Spool->Read, *Position, RPL_SPOOL_UNIT);

        Spool->ReadAt = MAXUINT64;
        if (!NT_SUCCESS(status))
        {
            return status;
        }
        if (header->Magic == RPL_SPOOL_MAGIC && header->Position == *Position &&
            header->Checksum == RplSpoolChecksum(header) && header->Bytes <= RPL_SPOOL_ROOM)
        {
            return STATUS_SUCCESS;
        }
        /* A batch that did not fit lies at the beginning of the file. */
        *Position += Spool->Bytes - *Position % Spool->Bytes;
        if (*Position >= Spool->Head)
        {
            break;
        }
    }
    return STATUS_DISK_CORRUPT_ERROR;
}

/* The whole batch into Read. */
static NTSTATUS RplSpoolLoad(_Inout_ RPL_SPOOL *Spool, _Inout_ UINT64 *Position)
{
    const RPL_SPOOL_BATCH_HEADER *header = (const RPL_SPOOL_BATCH_HEADER *)Spool->Read;
    NTSTATUS status;
    UINT64 padded;

    if (Spool->ReadAt == *Position)
    {
        return STATUS_SUCCESS;
    }
    status = RplSpoolHeader(Spool, Position);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    padded = RPL_SPOOL_PADDED(sizeof(*header) + header->Bytes);
    if (padded > RPL_SPOOL_UNIT)
    {
        status = RplSpoolTransfer(Spool, FALSE, Spool->Read + RPL_SPOOL_UNIT,
                                  *Position + RPL_SPOOL_UNIT, (ULONG)(padded - RPL_SPOOL_UNIT));
    }
    if (NT_SUCCESS(status))
    {
        Spool->ReadAt = *Position;
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS RplSpoolRead(RPL_SPOOL *Spool, UINT64 After, UCHAR *Output,
                                             ULONG Room, ULONG *Bytes)
{
    const RPL_SPOOL_BATCH_HEADER *header = (const RPL_SPOOL_BATCH_HEADER *)Spool->Read;
    UINT64 position;

    *Bytes = 0;
    if (Spool->First == 0)
    {
        return STATUS_SUCCESS;
    }
    position =
        Spool->CursorAfter != 0 && Spool->CursorAfter <= After && Spool->Cursor >= Spool->Tail
            ? Spool->Cursor
            : Spool->Tail;
    while (position < Spool->Head)
    {
        RPL_WALK walk;
        NTSTATUS status = RplSpoolLoad(Spool, &position);

        if (!NT_SUCCESS(status))
        {
            return status;
        }
        Spool->Cursor = position;
        Spool->CursorAfter = After;
        if (header->Last > After)
        {
            RplWalkBegin(&walk, (const UCHAR *)(header + 1), header->Bytes);
            status = RplWalkCopy(&walk, After, Output, Room, Bytes);
            if (!NT_SUCCESS(status) || *Bytes != 0)
            {
                return status;
            }
        }
        position += RPL_SPOOL_PADDED(sizeof(*header) + header->Bytes);
    }
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ NTSTATUS RplSpoolFree(RPL_SPOOL *Spool, UINT64 Sequence)
{
    const RPL_SPOOL_BATCH_HEADER *header = (const RPL_SPOOL_BATCH_HEADER *)Spool->Read;

    while (Spool->First != 0 && Spool->TailLast <= Sequence)
    {
        UINT64 position = Spool->Tail;
        NTSTATUS status = RplSpoolHeader(Spool, &position);

        if (!NT_SUCCESS(status))
        {
            return status;
        }
        position += RPL_SPOOL_PADDED(sizeof(*header) + header->Bytes);
        if (position >= Spool->Head)
        {
            Spool->Tail = Spool->Head;
            Spool->First = 0;
            break;
        }
        status = RplSpoolHeader(Spool, &position);
        if (!NT_SUCCESS(status))
        {
            return status;
        }
        Spool->Tail = position;
        Spool->First = header->First;
        Spool->TailLast = header->Last;
    }
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ VOID RplSpoolReset(RPL_SPOOL *Spool)
{
    Spool->Tail = Spool->Head;
    Spool->First = 0;
    Spool->ReadAt = MAXUINT64;
    Spool->Cursor = 0;
    Spool->CursorAfter = 0;
}
