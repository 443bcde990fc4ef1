/*
 * The journal: a file of fixed size in which records wait that found no room in the ring.
 *
 *   sector 0, 1   superblocks, written in turn; the valid one with the higher Generation counts
 *   sector 2 ..   data: a circle of batches
 *
 * A batch is a header and whole records, padded to RPL_SECTOR. Positions are counts of
 * bytes since the journal was formatted; a batch lies at its position modulo the size of the data
 * and may go on at the beginning of it. The tail is in the superblock, the head is not: it is where
 * the first batch is missing, going from the tail on.
 *
 * What makes a batch the next one: its checksum, the journal's id, its number and position, and a
 * session that is not lower than that of the batch before. Each time the journal is opened a
 * session begins. So neither a batch of an earlier lap is taken for one of this, nor one that was
 * written after another that the disk lost, before a crash.
 *
 * A power cut, with any sectors since the last flush written or not, leaves all batches that were
 * flushed, and of the others a beginning. What the superblock on disk calls the tail is never
 * written over: before that happens, a superblock with a later one is flushed. A trim may so be
 * undone by a crash, an append never.
 *
 * Reading and writing is done by the owner's functions, with offsets and lengths that are multiples
 * of RPL_SECTOR, from and to memory aligned to it. One caller at a time. IRQL: that of
 * those functions.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

#include "storage.h"

#define RPL_JOURNAL_MAX_BATCH 2097152 /* bytes, header included */
#define RPL_JOURNAL_MIN_BYTES (64 * RPL_SECTOR)

/* Of a batch; the records follow. */
typedef struct RPL_JOURNAL_BATCH
{
    UINT32 Magic;
    UINT32 Version;
    UINT8 JournalId[16];
    UINT64 Number; /* 1, 2, ... */
    UINT64 Position;
    UINT64 Session;
    UINT64 First; /* Sequence of the first and last record */
    UINT64 Last;
    UINT32 Bytes;    /* of the records */
    UINT32 Checksum; /* of this, with 0 here, and of the records */
} RPL_JOURNAL_BATCH;

C_ASSERT(sizeof(RPL_JOURNAL_BATCH) == 72);

/* A place between two batches. */
typedef struct RPL_JOURNAL_CURSOR
{
    UINT64 Position;
    UINT64 Number; /* of the batch after it */
} RPL_JOURNAL_CURSOR;

typedef struct RPL_JOURNAL
{
    RPL_STORAGE Storage;
    UCHAR *Scratch; /* RPL_JOURNAL_MAX_BATCH bytes */
    UINT64 DataBytes;
    UINT8 JournalId[16];
    UINT8 StreamId[16];
    UINT64 Generation; /* of the superblock on disk */
    ULONG Slot;        /* of it */
    UINT64 Session;
    RPL_JOURNAL_CURSOR Tail;
    RPL_JOURNAL_CURSOR Head;
    UINT64 TailOnDisk; /* Position */
    UINT64 TailLast;   /* Sequence of the last record of the batch at Tail */
    ULONG TailBytes;   /* of that batch, on disk */
    UINT64 First;      /* Sequences of all records; First > Last: none */
    UINT64 Last;
    BOOLEAN Clean; /* when it was opened: had been closed */
} RPL_JOURNAL;

/* Bytes of a batch with so many bytes of records, on disk. */
FORCEINLINE ULONG RplJournalBatchBytes(_In_ ULONG RecordBytes)
{
    return (ULONG)ROUND_TO_SIZE(sizeof(RPL_JOURNAL_BATCH) + RecordBytes, RPL_SECTOR);
}

FORCEINLINE UINT64 RplJournalUsed(_In_ const RPL_JOURNAL *Journal)
{
    return Journal->Head.Position - Journal->Tail.Position;
}

/*
 * Makes an empty journal of the file's Bytes, at least RPL_JOURNAL_MIN_BYTES, and opens it. A cut
 * meanwhile leaves the one that was there before, if it was one, or none, or the new one.
 * JournalId: never used before. Scratch: RPL_JOURNAL_MAX_BATCH bytes for as long as it is open.
 */
NTSTATUS RplJournalFormat(_Out_ RPL_JOURNAL *Journal, _In_ const RPL_STORAGE *Storage,
                          _In_ UINT64 Bytes, _In_reads_bytes_(16) const UINT8 *JournalId,
                          _In_reads_bytes_(16) const UINT8 *StreamId, _In_ UCHAR *Scratch);

/*
 * Finds what is in the journal. STATUS_NOT_FOUND: there is none of this size; others as of Read,
 * Write and Flush. From here on it counts as not closed.
 */
NTSTATUS RplJournalOpen(_Out_ RPL_JOURNAL *Journal, _In_ const RPL_STORAGE *Storage,
                        _In_ UINT64 Bytes, _In_ UCHAR *Scratch);

/* All is flushed, and the next Open will say Clean. */
NTSTATUS RplJournalClose(_Inout_ RPL_JOURNAL *Journal);

/*
 * Appends the records that stand behind the room for a header at Batch, which is of
 * RplJournalBatchBytes, is written to, and is not Scratch. Their sequences go from First to Last,
 * First above those before. STATUS_DISK_FULL: no room; STATUS_INVALID_PARAMETER: more than a batch
 * takes. After a failure all is as before, and the same may be tried again. It is on disk once
 * flushed.
 */
NTSTATUS RplJournalAppend(_Inout_ RPL_JOURNAL *Journal, _Inout_ VOID *Batch, _In_ ULONG RecordBytes,
                          _In_ UINT64 First, _In_ UINT64 Last);

NTSTATUS RplJournalFlush(_Inout_ RPL_JOURNAL *Journal);

/* Records up to Sequence are no longer needed. Batches that have none above it make room. */
NTSTATUS RplJournalTrim(_Inout_ RPL_JOURNAL *Journal, _In_ UINT64 Sequence);

/* Where to read on after the record After: at the batch with the first record above it, or the
 * head. */
NTSTATUS RplJournalSeek(_Inout_ RPL_JOURNAL *Journal, _In_ UINT64 After,
                        _Out_ RPL_JOURNAL_CURSOR *Cursor);

/*
 * Reads the batch at Cursor, which goes behind it. *Records is in Buffer, of Capacity bytes, which
 * RPL_JOURNAL_MAX_BATCH always suffices for; all of them have a frame that is in order.
 * STATUS_END_OF_FILE: the head; STATUS_NOT_FOUND: trimmed away; STATUS_BUFFER_TOO_SMALL: *Bytes is
 * the capacity that it takes; STATUS_DATA_ERROR: what was written is not there.
 */
NTSTATUS RplJournalRead(_Inout_ RPL_JOURNAL *Journal, _Inout_ RPL_JOURNAL_CURSOR *Cursor,
                        _Out_writes_bytes_(Capacity) UCHAR *Buffer, _In_ ULONG Capacity,
                        _Outptr_ const UCHAR **Records, _Out_ ULONG *Bytes);
