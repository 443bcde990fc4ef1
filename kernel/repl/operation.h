/*
 * An operation on its way down: what its completion needs. From a lookaside list.
 */
#pragma once

#include "file.h"
#include "stream.h"

typedef struct RPL_OPERATION
{
    RPL_FILE *File; /* referenced, or NULL */
    RPL_SLOT *Slot;
    UINT16 Type;        /* of the record, if it is a change of bytes but no write */
    RPL_RANGE Range;    /* in *Locked */
    RPL_RANGES *Locked; /* File's Data or Metadata, or NULL */
    BOOLEAN Gate;       /* passes the names gate */
    BOOLEAN Cleanup;    /* is one of File's Cleanups */
    BOOLEAN ReadBack;   /* what it wrote is recorded when it has completed, by reading it */
    BOOLEAN Durable;    /* waits for the backup when it has completed */
    BOOLEAN Swapped;    /* the file system reads from the slot */
    BOOLEAN Touches;    /* copy mode: it changes File, and has no record */
    UINT64 Offset;
    UINT64 Length;
    PVOID Bounce;                    /* pool: the file system reads from it */
    PFLT_FILE_NAME_INFORMATION Name; /* of a deletion: referenced */
    RPL_STREAM_NAME *StreamName;     /* of a stream's rename: the new one */
    RPL_PATH Before;                 /* of a rename, link or deletion: the path it had */
    RPL_PATH After;                  /* and has */
} RPL_OPERATION;

/* The completion context of an operation that goes on without memory for one of these. */
#define RPL_UNRECORDED ((PVOID)(ULONG_PTR)1)

/* For a pre-operation that goes on although it cannot be recorded: see RplReserveNothing. */
FLT_PREOP_CALLBACK_STATUS RplGoUnrecorded(UINT32 SetId, _In_opt_ const UINT8 *FileId, UINT64 Offset,
                                          UINT64 Length, BOOLEAN NamesOnly,
                                          _Out_ PVOID *CompletionContext);
/* TRUE: that was one of those, which has ended now. <= DISPATCH_LEVEL. */
BOOLEAN RplEndedUnrecorded(_In_opt_ PVOID CompletionContext);

VOID RplOperationsInitialize(VOID);
VOID RplOperationsDestroy(VOID);

/* Zeroed; NULL: no memory. <= DISPATCH_LEVEL. */
RPL_OPERATION *RplOperationNew(VOID);

/* Ends it: unlocks, leaves the gate, releases. Its slot must have been committed or aborted.
 * <= DISPATCH_LEVEL unless it holds paths (those are paged). */
VOID RplOperationEnd(_In_opt_ RPL_OPERATION *Operation);

/*
 * The same, and if it is Durable waits for the backup, when it holds nothing any more. Programs
 * with a rollback journal commit by deleting it, others by renaming a file over the old one, and
 * flush nothing afterwards. What waits in vain has taken effect all the same. PASSIVE_LEVEL.
 */
VOID RplOperationEndDurably(_In_ RPL_OPERATION *Operation);

/*
 * Locks bytes of the file for the operation, waiting for others, BlockMs at most. FALSE: the bound
 * has passed; the bytes are marked dirty, and it goes on unlocked. PASSIVE_LEVEL.
 */
BOOLEAN RplOperationLock(_Inout_ RPL_OPERATION *Operation, _Inout_ RPL_RANGES *Ranges,
                         UINT64 Offset, UINT64 Length);

/* Others may change it again; if it is locked. <= DISPATCH_LEVEL. */
VOID RplOperationUnlock(_Inout_ RPL_OPERATION *Operation);

/*
 * Copy mode: records that the file changes, unless that is known. Before a change and after it:
 * whoever begins to copy the file in between copies it again. <= DISPATCH_LEVEL.
 */
VOID RplFileTouched(_Inout_ RPL_FILE *File);

/* For the pre-operation of a change in copy mode; the reference to File is taken over.
 * <= DISPATCH_LEVEL. */
FLT_PREOP_CALLBACK_STATUS RplTouchBegin(_Inout_ RPL_FILE *File, _Out_ PVOID *CompletionContext);

/* The intent of a record about the operation's file. */
RPL_INTENT RplIntent(_In_ const RPL_FILE *File, UINT16 Type);

/* Reserves and commits at once: of what has happened already, while what conflicts with it is held
 * off. Data may be NULL. <= DISPATCH_LEVEL. */
UINT64 RplRecord(_In_ RPL_INTENT *Intent, _In_reads_bytes_opt_(Bytes) const VOID *Data,
                 ULONG Bytes);
