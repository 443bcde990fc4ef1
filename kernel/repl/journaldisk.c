/*
 * The journal's format on disk: see journal.h and journaldisk.h.
 */
#include "journaldisk.h"

#include "crc32c.h"
#include "record.h"

#define RPL_JOURNAL_SUPER_MAGIC 0x53504A52u /* "RJPS" */

/* Superblocks */

static UINT32 RplSuperChecksum(_In_ const RPL_JOURNAL_SUPER *Super)
{
    RPL_JOURNAL_SUPER copy = *Super;

    copy.Checksum = 0;
    return RplCrc32c(0, &copy, sizeof(copy));
}

NTSTATUS RplSuperWrite(_Inout_ RPL_JOURNAL *Journal, _In_ BOOLEAN Clean)
{
    RPL_JOURNAL_SUPER *super = (RPL_JOURNAL_SUPER *)Journal->Scratch;
    ULONG slot = 1 - Journal->Slot;
    NTSTATUS status;

    RtlZeroMemory(super, RPL_SECTOR);
    super->Magic = RPL_JOURNAL_SUPER_MAGIC;
    super->Version = RPL_JOURNAL_VERSION;
    super->Generation = Journal->Generation + 1;
    RtlCopyMemory(super->JournalId, Journal->JournalId, sizeof(super->JournalId));
    RtlCopyMemory(super->StreamId, Journal->StreamId, sizeof(super->StreamId));
    super->DataBytes = Journal->DataBytes;
    super->Session = Journal->Session;
    super->TailPosition = Journal->Tail.Position;
    super->TailNumber = Journal->Tail.Number;
    super->TailFirst = Journal->First;
    super->Clean = Clean;
    super->Checksum = RplSuperChecksum(super);

    status = Journal->Storage.Write(Journal->Storage.Context, (UINT64)slot * RPL_SECTOR, super,
                                    RPL_SECTOR);
    if (NT_SUCCESS(status))
    {
        status = Journal->Storage.Flush(Journal->Storage.Context);
    }
    if (NT_SUCCESS(status))
    {
        Journal->Generation += 1;
        Journal->Slot = slot;
        Journal->TailOnDisk = Journal->Tail.Position;
    }
    return status;
}

static BOOLEAN RplSuperIsValid(_In_ const RPL_JOURNAL_SUPER *Super)
{
    return Super->Magic == RPL_JOURNAL_SUPER_MAGIC && Super->Version == RPL_JOURNAL_VERSION &&
           Super->Checksum == RplSuperChecksum(Super) && Super->Generation != 0 &&
           Super->TailPosition % RPL_SECTOR == 0 && Super->TailNumber != 0 &&
           Super->TailPosition <= MAXLONGLONG && Super->TailFirst != 0 && Super->Clean <= 1;
}

NTSTATUS RplSuperRead(_Inout_ RPL_JOURNAL *Journal, _Out_ RPL_JOURNAL_SUPER *Super)
{
    BOOLEAN found = FALSE;
    NTSTATUS failure = STATUS_NOT_FOUND;

    RtlZeroMemory(Super, sizeof(*Super));
    Journal->Slot = 1;
    for (ULONG slot = 0; slot < 2; slot++)
    {
        const RPL_JOURNAL_SUPER *super = (const RPL_JOURNAL_SUPER *)Journal->Scratch;
        NTSTATUS status = Journal->Storage.Read(Journal->Storage.Context, (UINT64)slot * RPL_SECTOR,
                                                Journal->Scratch, RPL_SECTOR);

        if (!NT_SUCCESS(status))
        {
            failure = status;
        }
        else if (RplSuperIsValid(super) && super->Generation > Super->Generation)
        {
            *Super = *super;
            Journal->Slot = slot;
            found = TRUE;
        }
    }
    return found ? STATUS_SUCCESS : failure;
}

/* Data: the circle */

typedef NTSTATUS RPL_JOURNAL_MOVE(_In_ RPL_JOURNAL *Journal, _In_ UINT64 Offset, _In_ UCHAR *Data,
                                  _In_ ULONG Bytes);

static NTSTATUS RplDataRead(_In_ RPL_JOURNAL *Journal, _In_ UINT64 Offset, _In_ UCHAR *Data,
                            _In_ ULONG Bytes)
{
    return Journal->Storage.Read(Journal->Storage.Context, Offset, Data, Bytes);
}

static NTSTATUS RplDataWrite(_In_ RPL_JOURNAL *Journal, _In_ UINT64 Offset, _In_ UCHAR *Data,
                             _In_ ULONG Bytes)
{
    return Journal->Storage.Write(Journal->Storage.Context, Offset, Data, Bytes);
}

/* At most once around. */
static NTSTATUS RplDataMove(_In_ RPL_JOURNAL *Journal, _In_ UINT64 Position, _In_ UCHAR *Data,
                            _In_ ULONG Bytes, _In_ RPL_JOURNAL_MOVE *Move)
{
    UINT64 at = Position % Journal->DataBytes;
    UINT64 straight = Journal->DataBytes - at;
    ULONG first = straight < Bytes ? (ULONG)straight : Bytes;
    NTSTATUS status = Move(Journal, RPL_JOURNAL_DATA + at, Data, first);

    if (NT_SUCCESS(status) && first < Bytes)
    {
        status = Move(Journal, RPL_JOURNAL_DATA, Data + first, Bytes - first);
    }
    return status;
}

static UINT32 RplBatchChecksum(_In_ const RPL_JOURNAL_BATCH *Batch)
{
    RPL_JOURNAL_BATCH copy = *Batch;

    copy.Checksum = 0;
    return RplCrc32c(RplCrc32c(0, &copy, sizeof(copy)), Batch + 1, Batch->Bytes);
}

NTSTATUS RplBatchWrite(_Inout_ RPL_JOURNAL *Journal, _Inout_ RPL_JOURNAL_BATCH *Batch)
{
    ULONG bytes = RplJournalBatchBytes(Batch->Bytes);

    Batch->Checksum = RplBatchChecksum(Batch);
    RtlZeroMemory((UCHAR *)(Batch + 1) + Batch->Bytes, bytes - sizeof(*Batch) - Batch->Bytes);
    return RplDataMove(Journal, Batch->Position, (UCHAR *)Batch, bytes, RplDataWrite);
}

/* Is this header one of the batch at Cursor, as far as a header tells? */
static BOOLEAN RplBatchIsAt(_In_ const RPL_JOURNAL *Journal, _In_ const RPL_JOURNAL_BATCH *Batch,
                            _In_ const RPL_JOURNAL_CURSOR *Cursor)
{
    return Batch->Magic == RPL_JOURNAL_BATCH_MAGIC && Batch->Version == RPL_JOURNAL_VERSION &&
           RtlEqualMemory(Batch->JournalId, Journal->JournalId, sizeof(Batch->JournalId)) &&
           Batch->Number == Cursor->Number && Batch->Position == Cursor->Position &&
           Batch->Session <= Journal->Session && Batch->Bytes != 0 && Batch->Bytes % 8 == 0 &&
           Batch->Bytes <= RPL_JOURNAL_MAX_BATCH - sizeof(*Batch) &&
           RplJournalBatchBytes(Batch->Bytes) <= Journal->DataBytes && Batch->First != 0 &&
           Batch->First <= Batch->Last;
}

NTSTATUS RplBatchReadHeader(_In_ RPL_JOURNAL *Journal, _In_ const RPL_JOURNAL_CURSOR *Cursor,
                            _Outptr_ const RPL_JOURNAL_BATCH **Batch)
{
    NTSTATUS status =
        RplDataMove(Journal, Cursor->Position, Journal->Scratch, RPL_SECTOR, RplDataRead);

    *Batch = (const RPL_JOURNAL_BATCH *)Journal->Scratch;
    if (NT_SUCCESS(status) && !RplBatchIsAt(Journal, *Batch, Cursor))
    {
        status = STATUS_DATA_ERROR;
    }
    return status;
}

/* Whole records, with sequences that fit the header. */
static BOOLEAN RplBatchRecordsAreWhole(_In_ const RPL_JOURNAL_BATCH *Batch)
{
    const UCHAR *next = (const UCHAR *)(Batch + 1);
    ULONG left = Batch->Bytes;
    UINT64 before = Batch->First - 1;

    while (left != 0)
    {
        const REPL_RECORD *record = (const REPL_RECORD *)next;
        ULONG length;

        if (RplRecordCheckFrame(record, left, &length) != RplRecordOk)
        {
            return FALSE;
        }
        if (!RplRecordIsPad(record))
        {
            if (record->Sequence <= before || record->Sequence > Batch->Last)
            {
                return FALSE;
            }
            before = record->Sequence;
        }
        next += length;
        left -= length;
    }
    return before == Batch->Last;
}

NTSTATUS RplBatchRead(_In_ RPL_JOURNAL *Journal, _In_ const RPL_JOURNAL_CURSOR *Cursor,
                      _Out_writes_bytes_(Capacity) UCHAR *Buffer, _In_ ULONG Capacity,
                      _Out_ ULONG *Bytes)
{
    const RPL_JOURNAL_BATCH *batch;
    NTSTATUS status = RplBatchReadHeader(Journal, Cursor, &batch);

    *Bytes = 0;
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    *Bytes = RplJournalBatchBytes(batch->Bytes);
    if (Capacity < *Bytes)
    {
        return STATUS_BUFFER_TOO_SMALL;
    }
    status = RplDataMove(Journal, Cursor->Position, Buffer, *Bytes, RplDataRead);
    batch = (const RPL_JOURNAL_BATCH *)Buffer;
    /* The header again: it was read a second time. */
    if (NT_SUCCESS(status) &&
        (!RplBatchIsAt(Journal, batch, Cursor) || RplJournalBatchBytes(batch->Bytes) != *Bytes ||
         RplBatchChecksum(batch) != batch->Checksum || !RplBatchRecordsAreWhole(batch)))
    {
        status = STATUS_DATA_ERROR;
    }
    return status;
}
