/*
 * The stream: numbers, places and the order of records.
 *
 * An operation reserves a slot before it goes down, and commits or aborts it when it has completed.
 * The slot has the record's number and its memory, in one of three places, which Repl's state says
 * (REPL_STATE): the lent ring; the staging memory, which the journal's thread writes to disk; or
 * nowhere, then only what becomes dirty is marked, at RplReserve, and no number is used. Number and
 * place are given together under one spin lock, so that records lie in each place in the order of
 * their numbers. Completed slots leave in that order: the frontier (CompletedSequence, Head of the
 * ring) stops at the first that is still in flight.
 *
 * Changes of place happen between two reservations:
 *   Ring -> Journal    the ring has no room, is revoked or its reader's handle closes; slots in
 *                      flight there stay there, and the ring is not given back before they ended
 *   Journal -> Ring    a ring is lent, the journal is read to its end, staging is empty
 *   Journal -> Dirty   neither staging nor journal has room, or the journal failed
 *   Dirty -> Ring      a ring is lent: the first record there is ReplRecordLost, which opens a
 *                      bracket; what was marked until then is what RplDirtyTake gives
 * Nothing here waits. Memory is there from the configuration on: a slot's own memory comes from a
 * lookaside list with reserve, and where that fails the operation is marked dirty instead.
 *
 * IRQL <= DISPATCH_LEVEL for Reserve, Commit and Abort. Locks: Stream's spin lock, a leaf.
 */
#pragma once

#include "repl.h"

typedef struct RPL_SLOT RPL_SLOT;

/* What is to be recorded. Pointers are read during RplReserve only. */
typedef struct RPL_INTENT
{
    UINT16 Type;  /* of REPL_RECORD_TYPE */
    UINT16 Flags; /* REPL_FLAG_*; with OPEN and no Bracket the record's own number is the bracket */
    UINT32 SetId;
    const UINT8 *FileId; /* 16 bytes, or NULL */
    UNICODE_STRING Name; /* of the record; may be empty */
    UINT64 Offset;
    UINT64 Range;
    UINT64 Bracket;
    UINT64 Extent;     /* bytes from Offset on that may change, where Range does not tell */
    ULONG DataBytes;   /* room for data, which the caller fills before RplCommit */
    UINT32 Reason;     /* with OPEN and no Bracket: REPL_BRACKET_REASON; 0: as the type says */
    BOOLEAN NoDisk;    /* must not lie in the journal (EFS): dirty instead */
    BOOLEAN NamesOnly; /* nothing of the file's data: dirty means REPL_DIRTY_NAMES */
} RPL_INTENT;

struct RPL_SLOT
{
    LIST_ENTRY Link; /* of those in flight, by number */
    UINT64 Sequence;
    UINT64 Time;
    REPL_RECORD *Record; /* system address; NULL: nothing is recorded, only marked */
    UCHAR *Data;         /* in it; NULL likewise */
    PMDL DataMdl;        /* of Data where DataBytes > 0 and the caller asked by RplSlotMdl */
    ULONG DataBytes;

    /* The stream's own. */
    UINT64 End; /* position behind it in its place */
    ULONG Room;
    ULONG NameLength;
    UINT32 Place;
    BOOLEAN Opens; /* a bracket of this number */
    BOOLEAN Ended;
};

/*
 * A number and a place for what Intent says. Never fails: where nothing can be recorded, the slot
 * has no Record and no Sequence, and what changes is marked dirty; it still has to be committed or
 * aborted. NULL: nothing is captured now (role, no sets); Commit and Abort take NULL.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) RPL_SLOT *RplReserve(_In_ const RPL_INTENT *Intent);

/*
 * For an operation that goes on and cannot be recorded: what it may change is dirty, and no reader
 * takes that before the slot that is given has been committed or aborted, as any other. As
 * RplMarkLost and RplReserve.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) RPL_SLOT *RplReserveNothing(UINT32 SetId,
                                                                _In_opt_ const UINT8 *FileId,
                                                                UINT64 Offset, UINT64 Length,
                                                                BOOLEAN NamesOnly);

/* Ends one of those, whose slot was not kept: they are all the same. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplEndUnrecorded(VOID);

/* An MDL for the slot's data, for FltMgr's lower drivers; NULL: no memory. It lives as long as the
 * slot. */
_IRQL_requires_max_(DISPATCH_LEVEL) PMDL RplSlotMdl(_Inout_ RPL_SLOT *Slot);

/* The operation took effect. DataBytes <= what was reserved (a short write); Offset as it turned
 * out. Computes the checksums; the record is the reader's from here on. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplCommit(_In_opt_ RPL_SLOT *Slot, ULONG DataBytes, UINT64 Offset, UINT64 Range);

/* It did not. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplAbort(_In_opt_ RPL_SLOT *Slot);

/* The number that all operations up to now have at most: a flush waits for its acknowledgement.
 * While the state is Dirty, the number of the ReplRecordLost that will end it. */
_IRQL_requires_max_(DISPATCH_LEVEL) UINT64 RplLastSequence(VOID);

/* Waits until the backups have all up to Sequence (REPL_IOCTL_ACKNOWLEDGE), or the set is no
 * durable one any more. STATUS_IO_TIMEOUT after DurableWaitMs; STATUS_CANCELLED if the role changed
 * meanwhile, or the caller's thread ends. PASSIVE_LEVEL. */
_IRQL_requires_(PASSIVE_LEVEL) NTSTATUS RplWaitAcknowledged(UINT32 SetId, UINT64 Sequence);

/* Marks what an operation that has completed made dirty without a record: whatever could not be
 * captured (no memory for names, a failed write over a captured page). Leads to state Dirty. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplMarkLost(UINT32 SetId, _In_opt_ const UINT8 *FileId, UINT64 Offset, UINT64 Length,
                BOOLEAN NamesOnly);
