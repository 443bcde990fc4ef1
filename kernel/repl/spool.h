/*
 * The journal in its file, for the drain thread: what journal.h has, with memory and a place to
 * read.
 *
 * The file is opened without buffering and its size does not change, so a write needs no memory of
 * the file system's and makes no metadata dirty. It is made anew at each start of the driver: what
 * a crash loses is what the dirty-region log is for.
 *
 * Only the drain thread and, while that is held off, the configuration call these. PASSIVE_LEVEL.
 */
#pragma once

#include "repl.h"

#include "journal.h"

/* Bytes of records in a batch: the longest that a program's operation makes, and more. */
#define RPL_SPOOL_ROOM 1306624

typedef struct RPL_SPOOL
{
    HANDLE File;
    UINT64 Bytes; /* 0: there is none */
    RPL_JOURNAL Journal;
    UCHAR *Batch;   /* of writes, RplJournalBatchBytes(RPL_SPOOL_ROOM) */
    UCHAR *Scratch; /* RPL_JOURNAL_MAX_BATCH each */
    UCHAR *Read;
    RPL_JOURNAL_CURSOR Cursor; /* behind what is in Read */
    const UCHAR *Records;      /* in Read; NULL: nothing is */
    ULONG RecordBytes;
    UINT64 ReadAfter; /* nothing above it lies before Records */
} RPL_SPOOL;

/* An empty journal of so many bytes, a multiple of RPL_SECTOR. */
NTSTATUS RplSpoolCreate(_Out_ RPL_SPOOL *Spool, _In_ UINT64 Bytes);
VOID RplSpoolDestroy(_Inout_ RPL_SPOOL *Spool);

/* Where the caller puts records for RplSpoolWrite: RPL_SPOOL_ROOM bytes. */
FORCEINLINE UCHAR *RplSpoolRecords(_In_ const RPL_SPOOL *Spool)
{
    return Spool->Batch + sizeof(RPL_JOURNAL_BATCH);
}

FORCEINLINE BOOLEAN RplSpoolIsEmpty(_In_ const RPL_SPOOL *Spool)
{
    return Spool->Bytes == 0 || Spool->Journal.First > Spool->Journal.Last;
}

/* For a batch of so many bytes of records. */
FORCEINLINE BOOLEAN RplSpoolHasRoom(_In_ const RPL_SPOOL *Spool, _In_ ULONG Bytes)
{
    return RplJournalBatchBytes(Bytes) <=
           Spool->Journal.DataBytes - RplJournalUsed(&Spool->Journal);
}

/* Of Bytes of records, First to Last. STATUS_DISK_FULL: no room, nothing was written. */
NTSTATUS RplSpoolWrite(_Inout_ RPL_SPOOL *Spool, _In_ ULONG Bytes, _In_ UINT64 First,
                       _In_ UINT64 Last);

/* Whole records with numbers above After, up to Last, at most Room bytes. *Bytes 0 and success:
 * there are none.
 * STATUS_BUFFER_TOO_SMALL: not even the first fits. STATUS_DATA_ERROR: it is damaged. */
NTSTATUS RplSpoolRead(_Inout_ RPL_SPOOL *Spool, _In_ UINT64 After, _In_ UINT64 Last,
                      _Out_ UCHAR *Output, _In_ ULONG Room, _Out_ ULONG *Bytes);

/* Records up to Sequence may be forgotten. */
NTSTATUS RplSpoolFree(_Inout_ RPL_SPOOL *Spool, _In_ UINT64 Sequence);

/* All are. */
NTSTATUS RplSpoolReset(_Inout_ RPL_SPOOL *Spool);
