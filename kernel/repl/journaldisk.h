/*
 * The journal's format on disk: superblocks, the circle of data, and batches in it. The pieces
 * under journal.c.
 */
#pragma once

#include "journal.h"

#define RPL_JOURNAL_VERSION     1
#define RPL_JOURNAL_BATCH_MAGIC 0x42504A52u /* "RJPB" */
#define RPL_JOURNAL_DATA        (2ull * RPL_SECTOR)

typedef struct RPL_JOURNAL_SUPER
{
    UINT32 Magic;
    UINT32 Version;
    UINT64 Generation;
    UINT8 JournalId[16];
    UINT8 StreamId[16];
    UINT64 DataBytes;
    UINT64 Session;
    UINT64 TailPosition;
    UINT64 TailNumber;
    UINT64 TailFirst; /* records from here on; those of the batch at the tail, if there is one */
    UINT32 Clean;
    UINT32 Checksum; /* of this, with 0 here */
} RPL_JOURNAL_SUPER;

C_ASSERT(sizeof(RPL_JOURNAL_SUPER) == 96);

/* Generation + 1, in the slot of the older one, and on disk. */
NTSTATUS RplSuperWrite(_Inout_ RPL_JOURNAL *Journal, _In_ BOOLEAN Clean);

/* The superblock that counts; STATUS_NOT_FOUND: none. Journal->Slot is its slot, 1 if there is
 * none. One that cannot be read is none. */
NTSTATUS RplSuperRead(_Inout_ RPL_JOURNAL *Journal, _Out_ RPL_JOURNAL_SUPER *Super);

/* A batch, whole, at its position. */
NTSTATUS RplBatchWrite(_Inout_ RPL_JOURNAL *Journal, _Inout_ RPL_JOURNAL_BATCH *Batch);

/* The header of the batch at Cursor, into Scratch. STATUS_DATA_ERROR: it is not there. */
NTSTATUS RplBatchReadHeader(_In_ RPL_JOURNAL *Journal, _In_ const RPL_JOURNAL_CURSOR *Cursor,
                            _Outptr_ const RPL_JOURNAL_BATCH **Batch);

/* All of it into Buffer, which may be Scratch, and checked. *Bytes: of it on disk, also if Capacity
 * is too small. */
NTSTATUS RplBatchRead(_In_ RPL_JOURNAL *Journal, _In_ const RPL_JOURNAL_CURSOR *Cursor,
                      _Out_writes_bytes_(Capacity) UCHAR *Buffer, _In_ ULONG Capacity,
                      _Out_ ULONG *Bytes);
