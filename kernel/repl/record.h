/*
 * Records: their layout, how they are written into place, and what makes one valid.
 *
 * A record is written in two steps. RplRecordBegin lays out header and name and leaves room for
 * data; RplRecordEnd, once the data is there, knows how much of it counts and computes the
 * checksums. The memory may be shared with user mode (the lent ring): sizes are taken from the
 * caller's own copies, never from what stands in the record, and what somebody scribbles there
 * meanwhile spoils that record's checksums and nothing else.
 *
 * Pads. Where a record turns out shorter than its room, and where the rest of a ring is too small,
 * a record of type ReplRecordPad fills the gap: Magic, Length and Type and nothing else, of any
 * length that is a multiple of 8. One of 8 bytes has no room even for Type: a Length of 8 says it.
 *
 * Validity. RplRecordCheckFrame is what a reader of storage needs to go from record to record:
 * size, checksums, padding. RplRecordCheckContent is what everybody needs who acts on a record that
 * others made: each type's flags, fields, name and data. They expect memory that does not change
 * meanwhile. The same rules are checked by userland/repl.
 *
 *  type                        name            data                       besides
 *  Aborted                     none            none                       no flags, no FileId
 *  Start                       none            REPL_START                 SetId 0; Unclean: OPEN
 *  Create                      path or stream  REPL_METADATA
 *  Overwrite                   any             REPL_METADATA
 *  Write                       any             <= REPL_MAX_DATA           Range = data; SYNC: >=
 *  SetSize, SetAllocation      any             none                       Offset
 *  Zero                        any             none                       Offset, Range > 0
 *  Rename, Link                path; ENTERED:  path; LEFT: none           ENTERED: in a bracket
 *                              or none
 *  Delete                      path            none
 *  SetBasic                    any             REPL_BASIC
 *  SetSecurity                 any             self-relative descriptor   Offset: 32 bits, not 0
 *  SetEa                       any             EA list
 *  SetReparse                  any             reparse buffer
 *  DeleteReparse               any             none                       Offset: tag or 0
 *  SetSparse                   any             none                       Offset: 0 or 1
 *  SetCompression              any             none                       Offset: 16 bits
 *  DeleteStream                stream          none                       STREAM
 *  RenameStream                stream          stream                     STREAM
 *  Bookmark                    label           none                       no FileId
 *  Flush, Touched              any             none
 *  Bracket                     none            REPL_BRACKET_INFO          OPEN or CLOSE
 *  Folder                      path or none    REPL_ENTRYs                DIRECTORY
 *  File                        path or none    REPL_METADATA
 *  Lost                        none            none                       OPEN
 *
 * "Any" is a path, with REPL_FLAG_STREAM a stream's name, or none. Offset and Range are zero where
 * the table does not name them, and together never exceed MAXLONGLONG. OPEN: Bracket = Sequence;
 * CLOSE: 0 < Bracket < Sequence; never both. All types from Create on, but Bookmark, Flush, Bracket
 * and Lost, have a FileId and a SetId.
 *
 * Any IRQL, as the memory allows; no locks, no allocation.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

/* Of data; a folder's listing may be longer than a write. */
#define RPL_RECORD_MAX_LISTING 0x10000000

/* The smallest pad. */
#define RPL_RECORD_UNIT 8

#define RPL_RECORD_PADDED(Bytes) (((ULONG)(Bytes) + 7) & ~7u)

typedef enum RPL_RECORD_FAULT
{
    RplRecordOk = 0,
    RplRecordTruncated = 1, /* more bytes are needed to tell */
    RplRecordMagic = 2,
    RplRecordLength = 3,
    RplRecordHeaderChecksum = 4,
    RplRecordDataChecksum = 5,
    RplRecordPadding = 6, /* or a Reserved field */
    RplRecordType = 7,
    RplRecordFlags = 8,
    RplRecordField = 9,
    RplRecordName = 10,
    RplRecordData = 11
} RPL_RECORD_FAULT;

/* Length of a record with so much name and data; both within their limits. */
FORCEINLINE ULONG RplRecordBytes(_In_ ULONG NameLength, _In_ ULONG DataLength)
{
    return (ULONG)sizeof(REPL_RECORD) + RPL_RECORD_PADDED(NameLength) +
           RPL_RECORD_PADDED(DataLength);
}

FORCEINLINE UCHAR *RplRecordNameOf(_In_ const REPL_RECORD *Record)
{
    return (UCHAR *)(Record + 1);
}

/* NameLength: the caller's own, where the record lies in shared memory. */
FORCEINLINE UCHAR *RplRecordDataOf(_In_ const REPL_RECORD *Record, _In_ ULONG NameLength)
{
    return RplRecordNameOf(Record) + RPL_RECORD_PADDED(NameLength);
}

/*
 * Lays out header and name in RplRecordBytes(Header->NameLength, Header->DataLength) bytes at
 * Record, aligned to 8. Header: all but Magic, Length, State and the checksums. Gives where the
 * data goes. The record is not valid before RplRecordEnd.
 */
UCHAR *RplRecordBegin(_Out_ REPL_RECORD *Record, _In_ const REPL_RECORD *Header,
                      _In_reads_bytes_(Header->NameLength) const VOID *Name);

/*
 * The data is in place, DataBytes of it, at most as many as there is room for. Room: the record's
 * length as it was begun, NameLength likewise. The caller may have changed Offset, Range, Flags and
 * the like since. What is left of the room becomes a pad. Gives the record's own length.
 */
ULONG RplRecordEnd(_Inout_ REPL_RECORD *Record, _In_ ULONG Room, _In_ ULONG NameLength,
                   _In_ ULONG DataBytes);

/* The operation failed: the record is one of type ReplRecordAborted, the rest of its room a pad. */
ULONG RplRecordAbort(_Inout_ REPL_RECORD *Record, _In_ ULONG Room);

/* Bytes: a multiple of 8, not 0. */
VOID RplRecordPad(_Out_writes_bytes_(Bytes) VOID *Memory, _In_ ULONG Bytes);

/* CRC-32C of the header, as if State and HeaderChecksum were 0, and of the name. */
UINT32 RplRecordHeaderChecksumOf(_In_ const REPL_RECORD *Header,
                                 _In_reads_bytes_(Header->NameLength) const VOID *Name);

/*
 * Is there a whole record or pad in the first Available bytes at Memory, aligned to 8? Then *Length
 * is its length, also if a checksum of it or its padding is wrong; else 0.
 */
RPL_RECORD_FAULT RplRecordCheckFrame(_In_reads_bytes_(Available) const VOID *Memory,
                                     _In_ SIZE_T Available, _Out_ ULONG *Length);

/* Of one whose frame is in order. */
FORCEINLINE BOOLEAN RplRecordIsPad(_In_ const REPL_RECORD *Record)
{
    return Record->Length == RPL_RECORD_UNIT || Record->Type == ReplRecordPad;
}

/* Of a record whose frame is in order, no pad: does it say something that can be meant? */
RPL_RECORD_FAULT RplRecordCheckContent(_In_ const REPL_RECORD *Record);

/* Both. *Length as of RplRecordCheckFrame. */
RPL_RECORD_FAULT RplRecordCheck(_In_reads_bytes_(Available) const VOID *Memory,
                                _In_ SIZE_T Available, _Out_ ULONG *Length);
