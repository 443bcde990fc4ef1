/*
 * Records in memory: written, padded, checksummed, and their frames checked. See record.h; what a
 * record of each type may say is in content.c.
 */
#include "record.h"

#include "crc32c.h"

/* What a pad of more than a unit has: up to Type, and zeros to a multiple of 8. */
#define RPL_RECORD_PAD_HEADER UFIELD_OFFSET(REPL_RECORD, Sequence)

C_ASSERT(RPL_RECORD_UNIT == UFIELD_OFFSET(REPL_RECORD, Type));
C_ASSERT(sizeof(REPL_RECORD) % 8 == 0);

/* The least that a Length says of a record, and that is there of every pad. */
typedef struct RPL_RECORD_PREFIX
{
    UINT32 Magic;
    UINT32 Length;
} RPL_RECORD_PREFIX;

C_ASSERT(sizeof(RPL_RECORD_PREFIX) == RPL_RECORD_UNIT);

UINT32 RplRecordHeaderChecksumOf(_In_ const REPL_RECORD *Header,
                                 _In_reads_bytes_(Header->NameLength) const VOID *Name)
{
    REPL_RECORD copy = *Header;

    copy.State = 0;
    copy.HeaderChecksum = 0;
    return RplCrc32c(RplCrc32c(0, &copy, sizeof(copy)), Name, copy.NameLength);
}

/* Zeros from the end of a name or data to the next multiple of 8. */
static VOID RplRecordZeroTail(_Inout_ UCHAR *Start, _In_ ULONG Length)
{
    RtlZeroMemory(Start + Length, RPL_RECORD_PADDED(Length) - Length);
}

VOID RplRecordPad(_Out_writes_bytes_(Bytes) VOID *Memory, _In_ ULONG Bytes)
{
    REPL_RECORD *pad = Memory;

    NT_ASSERT(Bytes != 0 && Bytes % RPL_RECORD_UNIT == 0);
    pad->Magic = REPL_RECORD_MAGIC;
    pad->Length = Bytes;
    if (Bytes > RPL_RECORD_UNIT)
    {
        pad->Type = ReplRecordPad;
        pad->Flags = 0;
        pad->State = 0;
    }
}

UCHAR *RplRecordBegin(_Out_ REPL_RECORD *Record, _In_ const REPL_RECORD *Header,
                      _In_reads_bytes_(Header->NameLength) const VOID *Name)
{
    REPL_RECORD header = *Header;

    header.Magic = REPL_RECORD_MAGIC;
    header.Length = RplRecordBytes(header.NameLength, header.DataLength);
    header.State = 0;
    header.DataChecksum = 0;
    header.HeaderChecksum = 0;
    header.Reserved = 0;
    *Record = header;
    RtlCopyMemory(RplRecordNameOf(Record), Name, header.NameLength);
    RplRecordZeroTail(RplRecordNameOf(Record), header.NameLength);
    return RplRecordDataOf(Record, header.NameLength);
}

ULONG RplRecordEnd(_Inout_ REPL_RECORD *Record, _In_ ULONG Room, _In_ ULONG NameLength,
                   _In_ ULONG DataBytes)
{
    UCHAR *data = RplRecordDataOf(Record, NameLength);
    ULONG length = RplRecordBytes(NameLength, DataBytes);
    REPL_RECORD header = *Record;

    NT_ASSERT(length <= Room && Room % RPL_RECORD_UNIT == 0);
    RplRecordZeroTail(data, DataBytes);
    header.Magic = REPL_RECORD_MAGIC;
    header.Length = length;
    header.NameLength = NameLength;
    header.DataLength = DataBytes;
    header.DataChecksum = RplCrc32c(0, data, DataBytes);
    header.HeaderChecksum = RplRecordHeaderChecksumOf(&header, RplRecordNameOf(Record));
    *Record = header;
    if (length < Room)
    {
        RplRecordPad((UCHAR *)Record + length, Room - length);
    }
    return length;
}

ULONG RplRecordAbort(_Inout_ REPL_RECORD *Record, _In_ ULONG Room)
{
    Record->Type = ReplRecordAborted;
    Record->Flags = 0;
    Record->Offset = 0;
    Record->Range = 0;
    Record->Bracket = 0;
    RtlZeroMemory(Record->FileId, sizeof(Record->FileId));
    return RplRecordEnd(Record, Room, 0, 0);
}

static BOOLEAN RplRecordTailIsZero(_In_ const UCHAR *Start, _In_ ULONG Length)
{
    for (ULONG i = Length; i < RPL_RECORD_PADDED(Length); i++)
    {
        if (Start[i] != 0)
        {
            return FALSE;
        }
    }
    return TRUE;
}

/* All lengths fit each other and their limits; Length is a multiple of 8. */
static BOOLEAN RplRecordLengthsFit(_In_ const REPL_RECORD *Record)
{
    ULONG most = Record->Type == ReplRecordFolder ? RPL_RECORD_MAX_LISTING : REPL_MAX_DATA;

    return Record->NameLength <= REPL_MAX_NAME_BYTES && Record->DataLength <= most &&
           Record->Length == RplRecordBytes(Record->NameLength, Record->DataLength);
}

static RPL_RECORD_FAULT RplRecordCheckPad(_In_ const REPL_RECORD *Record)
{
    if (Record->Length > RPL_RECORD_UNIT && (Record->Flags != 0 || Record->State != 0))
    {
        return RplRecordPadding;
    }
    return RplRecordOk;
}

RPL_RECORD_FAULT RplRecordCheckFrame(_In_reads_bytes_(Available) const VOID *Memory,
                                     _In_ SIZE_T Available, _Out_ ULONG *Length)
{
    const RPL_RECORD_PREFIX *prefix = Memory;
    const REPL_RECORD *record = Memory;
    const UCHAR *data;

    *Length = 0;
    if (Available < sizeof(*prefix))
    {
        return RplRecordTruncated;
    }
    if (prefix->Magic != REPL_RECORD_MAGIC)
    {
        return RplRecordMagic;
    }
    if (prefix->Length == 0 || prefix->Length % RPL_RECORD_UNIT != 0 ||
        prefix->Length > RplRecordBytes(REPL_MAX_NAME_BYTES, RPL_RECORD_MAX_LISTING))
    {
        return RplRecordLength;
    }
    if (prefix->Length > RPL_RECORD_UNIT && Available < RPL_RECORD_PAD_HEADER)
    {
        return RplRecordTruncated;
    }
    if (RplRecordIsPad(record))
    {
        if (Available < prefix->Length)
        {
            return RplRecordTruncated;
        }
        *Length = prefix->Length;
        return RplRecordCheckPad(record);
    }
    if (prefix->Length < sizeof(*record))
    {
        return RplRecordLength;
    }
    if (Available < sizeof(*record))
    {
        return RplRecordTruncated;
    }
    if (!RplRecordLengthsFit(record))
    {
        return RplRecordLength;
    }
    if (Available < prefix->Length)
    {
        return RplRecordTruncated;
    }

    *Length = prefix->Length;
    data = RplRecordDataOf(record, record->NameLength);
    if (RplRecordHeaderChecksumOf(record, RplRecordNameOf(record)) != record->HeaderChecksum)
    {
        return RplRecordHeaderChecksum;
    }
    if (RplCrc32c(0, data, record->DataLength) != record->DataChecksum)
    {
        return RplRecordDataChecksum;
    }
    if (record->State != 0 || record->Reserved != 0 ||
        !RplRecordTailIsZero(RplRecordNameOf(record), record->NameLength) ||
        !RplRecordTailIsZero(data, record->DataLength))
    {
        return RplRecordPadding;
    }
    return RplRecordOk;
}

RPL_RECORD_FAULT RplRecordCheck(_In_reads_bytes_(Available) const VOID *Memory,
                                _In_ SIZE_T Available, _Out_ ULONG *Length)
{
    const REPL_RECORD *record = Memory;
    RPL_RECORD_FAULT fault = RplRecordCheckFrame(Memory, Available, Length);

    if (fault != RplRecordOk || RplRecordIsPad(record))
    {
        return fault;
    }
    return RplRecordCheckContent(record);
}
