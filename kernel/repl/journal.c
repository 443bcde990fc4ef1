/*
 * The journal: see journal.h.
 */
#include "journaldisk.h"

/* Opening and closing */

static VOID RplJournalStart(_Out_ RPL_JOURNAL *Journal, _In_ const RPL_STORAGE *Storage,
                            _In_ UINT64 Bytes, _In_ UCHAR *Scratch)
{
    RtlZeroMemory(Journal, sizeof(*Journal));
    Journal->Storage = *Storage;
    Journal->Scratch = Scratch;
    Journal->DataBytes = ALIGN_DOWN_BY(Bytes, RPL_SECTOR) - RPL_JOURNAL_DATA;
}

NTSTATUS RplJournalFormat(_Out_ RPL_JOURNAL *Journal, _In_ const RPL_STORAGE *Storage,
                          _In_ UINT64 Bytes, _In_reads_bytes_(16) const UINT8 *JournalId,
                          _In_reads_bytes_(16) const UINT8 *StreamId, _In_ UCHAR *Scratch)
{
    RPL_JOURNAL_SUPER old;
    NTSTATUS status;

    if (Bytes < RPL_JOURNAL_MIN_BYTES)
    {
        return STATUS_INVALID_PARAMETER;
    }
    RplJournalStart(Journal, Storage, Bytes, Scratch);
    (VOID) RplSuperRead(Journal, &old);
    Journal->Generation = old.Generation;
    RtlCopyMemory(Journal->JournalId, JournalId, sizeof(Journal->JournalId));
    RtlCopyMemory(Journal->StreamId, StreamId, sizeof(Journal->StreamId));
    Journal->Session = 1;
    Journal->Tail.Number = 1;
    Journal->Head.Number = 1;
    Journal->First = 1;
    status = RplSuperWrite(Journal, FALSE);
    if (NT_SUCCESS(status))
    {
        status = RplSuperWrite(Journal, FALSE); /* no old one is left */
    }
    return status;
}

/* From the tail to the first batch that is missing. */
static NTSTATUS RplJournalScan(_Inout_ RPL_JOURNAL *Journal)
{
    UINT64 session = 0;

    for (;;)
    {
        const RPL_JOURNAL_BATCH *batch = (const RPL_JOURNAL_BATCH *)Journal->Scratch;
        ULONG bytes;
        NTSTATUS status =
            RplBatchRead(Journal, &Journal->Head, Journal->Scratch, RPL_JOURNAL_MAX_BATCH, &bytes);

        if (status == STATUS_DATA_ERROR ||
            (NT_SUCCESS(status) && (batch->Session < session || batch->First <= Journal->Last ||
                                    RplJournalUsed(Journal) + bytes > Journal->DataBytes)))
        {
            return STATUS_SUCCESS;
        }
        if (!NT_SUCCESS(status))
        {
            return status;
        }
        if (RplJournalUsed(Journal) == 0)
        {
            Journal->First = batch->First;
            Journal->TailLast = batch->Last;
            Journal->TailBytes = bytes;
        }
        session = batch->Session;
        Journal->Last = batch->Last;
        Journal->Head.Position += bytes;
        Journal->Head.Number += 1;
    }
}

NTSTATUS RplJournalOpen(_Out_ RPL_JOURNAL *Journal, _In_ const RPL_STORAGE *Storage,
                        _In_ UINT64 Bytes, _In_ UCHAR *Scratch)
{
    RPL_JOURNAL_SUPER super;
    NTSTATUS status;

    if (Bytes < RPL_JOURNAL_MIN_BYTES)
    {
        return STATUS_NOT_FOUND;
    }
    RplJournalStart(Journal, Storage, Bytes, Scratch);
    status = RplSuperRead(Journal, &super);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (super.DataBytes != Journal->DataBytes)
    {
        return STATUS_NOT_FOUND;
    }
    RtlCopyMemory(Journal->JournalId, super.JournalId, sizeof(Journal->JournalId));
    RtlCopyMemory(Journal->StreamId, super.StreamId, sizeof(Journal->StreamId));
    Journal->Generation = super.Generation;
    Journal->Session = super.Session;
    Journal->Tail.Position = super.TailPosition;
    Journal->Tail.Number = super.TailNumber;
    Journal->Head = Journal->Tail;
    Journal->First = super.TailFirst;
    Journal->Last = super.TailFirst - 1;
    Journal->Clean = super.Clean != 0;
    status = RplJournalScan(Journal);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    Journal->Session += 1;
    return RplSuperWrite(Journal, FALSE);
}

NTSTATUS RplJournalFlush(_Inout_ RPL_JOURNAL *Journal)
{
    return Journal->Storage.Flush(Journal->Storage.Context);
}

NTSTATUS RplJournalClose(_Inout_ RPL_JOURNAL *Journal)
{
    NTSTATUS status = RplJournalFlush(Journal); /* before anything says that it was */

    return NT_SUCCESS(status) ? RplSuperWrite(Journal, TRUE) : status;
}

/* Writing */

NTSTATUS RplJournalAppend(_Inout_ RPL_JOURNAL *Journal, _Inout_ VOID *Batch, _In_ ULONG RecordBytes,
                          _In_ UINT64 First, _In_ UINT64 Last)
{
    RPL_JOURNAL_BATCH *batch = Batch;
    ULONG bytes;
    NTSTATUS status;

    if (RecordBytes == 0 || RecordBytes % 8 != 0 ||
        RecordBytes > RPL_JOURNAL_MAX_BATCH - sizeof(*batch) || First <= Journal->Last ||
        First > Last)
    {
        return STATUS_INVALID_PARAMETER;
    }
    bytes = RplJournalBatchBytes(RecordBytes);
    if (bytes > Journal->DataBytes - RplJournalUsed(Journal))
    {
        return STATUS_DISK_FULL;
    }
    if (Journal->Head.Position + bytes - Journal->TailOnDisk > Journal->DataBytes)
    {
        status = RplSuperWrite(Journal, FALSE);
        if (!NT_SUCCESS(status))
        {
            return status;
        }
    }

    batch->Magic = RPL_JOURNAL_BATCH_MAGIC;
    batch->Version = RPL_JOURNAL_VERSION;
    RtlCopyMemory(batch->JournalId, Journal->JournalId, sizeof(batch->JournalId));
    batch->Number = Journal->Head.Number;
    batch->Position = Journal->Head.Position;
    batch->Session = Journal->Session;
    batch->First = First;
    batch->Last = Last;
    batch->Bytes = RecordBytes;
    status = RplBatchWrite(Journal, batch);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (RplJournalUsed(Journal) == 0)
    {
        Journal->First = First;
        Journal->TailLast = Last;
        Journal->TailBytes = bytes;
    }
    Journal->Last = Last;
    Journal->Head.Position += bytes;
    Journal->Head.Number += 1;
    return STATUS_SUCCESS;
}

NTSTATUS RplJournalTrim(_Inout_ RPL_JOURNAL *Journal, _In_ UINT64 Sequence)
{
    while (RplJournalUsed(Journal) != 0 && Journal->TailLast <= Sequence)
    {
        RPL_JOURNAL_CURSOR next = {Journal->Tail.Position + Journal->TailBytes,
                                   Journal->Tail.Number + 1};
        const RPL_JOURNAL_BATCH *batch;
        NTSTATUS status;

        if (next.Position == Journal->Head.Position)
        {
            Journal->Tail = next;
            Journal->First = Journal->Last + 1;
            break;
        }
        status = RplBatchReadHeader(Journal, &next, &batch);
        if (!NT_SUCCESS(status))
        {
            return status;
        }
        Journal->Tail = next;
        Journal->First = batch->First;
        Journal->TailLast = batch->Last;
        Journal->TailBytes = RplJournalBatchBytes(batch->Bytes);
    }
    return STATUS_SUCCESS;
}

/* Reading */

NTSTATUS RplJournalSeek(_Inout_ RPL_JOURNAL *Journal, _In_ UINT64 After,
                        _Out_ RPL_JOURNAL_CURSOR *Cursor)
{
    *Cursor = Journal->Tail;
    while (Cursor->Position != Journal->Head.Position)
    {
        const RPL_JOURNAL_BATCH *batch;
        NTSTATUS status = RplBatchReadHeader(Journal, Cursor, &batch);

        if (!NT_SUCCESS(status))
        {
            return status;
        }
        if (batch->Last > After)
        {
            break;
        }
        Cursor->Position += RplJournalBatchBytes(batch->Bytes);
        Cursor->Number += 1;
    }
    return STATUS_SUCCESS;
}

NTSTATUS RplJournalRead(_Inout_ RPL_JOURNAL *Journal, _Inout_ RPL_JOURNAL_CURSOR *Cursor,
                        _Out_writes_bytes_(Capacity) UCHAR *Buffer, _In_ ULONG Capacity,
                        _Outptr_ const UCHAR **Records, _Out_ ULONG *Bytes)
{
    const RPL_JOURNAL_BATCH *batch = (const RPL_JOURNAL_BATCH *)Buffer;
    NTSTATUS status;

    *Records = Buffer + sizeof(*batch);
    *Bytes = 0;
    if (Cursor->Position >= Journal->Head.Position)
    {
        return STATUS_END_OF_FILE;
    }
    if (Cursor->Position < Journal->Tail.Position)
    {
        return STATUS_NOT_FOUND;
    }
    status = RplBatchRead(Journal, Cursor, Buffer, Capacity, Bytes);
    if (NT_SUCCESS(status))
    {
        Cursor->Position += *Bytes;
        Cursor->Number += 1;
        *Bytes = batch->Bytes;
    }
    return status;
}
