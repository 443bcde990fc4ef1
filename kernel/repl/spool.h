/*
 * The journal's file: batches of records, written behind each other around a file of fixed size.
 *
 * A batch is what was written at once: a header, whole records, zeros to the next multiple of
 * RPL_SPOOL_UNIT. Batches never wrap; what remains before the end of the file is left out. The file
 * is opened without buffering and its size does not change, so a write needs no memory of the file
 * system's and makes no metadata dirty. Nothing of it is read after a restart: what a crash loses
 * is what the dirty-region log is for.
 *
 * Only the drain thread and, while that does not run, the configuration call these. PASSIVE_LEVEL.
 */
#pragma once

#include "repl.h"

#define RPL_SPOOL_UNIT 4096

/* The longest batch: the longest record that a program's operation makes, and more. */
#define RPL_SPOOL_BATCH 1310720

typedef struct RPL_SPOOL_BATCH_HEADER
{
    UINT32 Magic;
    UINT32 Bytes; /* of records */
    UINT64 First; /* Sequence */
    UINT64 Last;
    UINT64 Position;
    UINT32 Checksum; /* CRC-32C of this header, with 0 here */
    UINT32 Reserved;
} RPL_SPOOL_BATCH_HEADER;

typedef struct RPL_SPOOL
{
    HANDLE File;
    UINT64 Bytes;    /* 0: there is none */
    UINT64 Tail;     /* position of the oldest batch; positions only grow */
    UINT64 Head;     /* behind the newest */
    UINT64 First;    /* Sequence of the oldest record; 0: it is empty */
    UINT64 TailLast; /* of the oldest batch */
    UINT64 Cursor;   /* where the next read begins, if After is CursorAfter */
    UINT64 CursorAfter;
    UCHAR *Batch;  /* RPL_SPOOL_BATCH bytes and a unit, aligned: of writes */
    UCHAR *Read;   /* likewise, of reads */
    UINT64 ReadAt; /* position of the batch that is in Read; MAXUINT64: none */
} RPL_SPOOL;

/* An empty journal of so many bytes, a multiple of RPL_SPOOL_UNIT. */
NTSTATUS RplSpoolCreate(_Out_ RPL_SPOOL *Spool, _In_ UINT64 Bytes);
VOID RplSpoolDestroy(_Inout_ RPL_SPOOL *Spool);

/* Where the caller puts records for RplSpoolWrite: RPL_SPOOL_BATCH bytes less a header. */
FORCEINLINE UCHAR *RplSpoolRecords(_In_ const RPL_SPOOL *Spool)
{
    return Spool->Batch + sizeof(RPL_SPOOL_BATCH_HEADER);
}
#define RPL_SPOOL_ROOM (RPL_SPOOL_BATCH - (ULONG)sizeof(RPL_SPOOL_BATCH_HEADER))

/* Of Bytes of records, First to Last. STATUS_DISK_FULL: no room, nothing was written. */
NTSTATUS RplSpoolWrite(_Inout_ RPL_SPOOL *Spool, _In_ ULONG Bytes, _In_ UINT64 First,
                       _In_ UINT64 Last);

/* Whole records with numbers above After, at most Room bytes. *Bytes 0 and success: there are none.
 * STATUS_BUFFER_TOO_SMALL: not even the first fits. STATUS_DISK_CORRUPT_ERROR: it is damaged. */
NTSTATUS RplSpoolRead(_Inout_ RPL_SPOOL *Spool, _In_ UINT64 After, _Out_ UCHAR *Output,
                      _In_ ULONG Room, _Out_ ULONG *Bytes);

/* Batches of which nothing is above Sequence may be overwritten. */
NTSTATUS RplSpoolFree(_Inout_ RPL_SPOOL *Spool, _In_ UINT64 Sequence);

/* All batches may be overwritten. */
VOID RplSpoolReset(_Inout_ RPL_SPOOL *Spool);
