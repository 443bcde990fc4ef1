/*
 * The stream's state, for the files that implement it (stream.c, ring.c, wait.c, drain.c, ...).
 * What it all means is in stream.h.
 *
 *   numbers    Last is given out, Completed is the frontier, Acknowledged is the backups'. Those
 *              above Lease must not be given out: Lease is on disk.
 *   places     Ring and Staging are areas of the same kind, in which records lie by position.
 *              Journal is behind Staging; only the drain thread knows it (drain.c).
 *   state      follows from Capturing, Lost and Ring.Open, see RplStateNow.
 *
 * All of it is guarded by Lock, a leaf: nothing is acquired under it but what allocates memory.
 */
#pragma once

#include "lag.h"
#include "record.h"
#include "stream.h"

enum
{
    RplPlaceNone, /* of a slot that is not recorded */
    RplPlaceRing,
    RplPlaceStaging
};

/* Slots that are there from the start; more come from the pool. */
#define RPL_SLOT_RESERVE 1024

/* Memory for records, used around: [Tail, Head) are whole, [Head, End) are given out. Positions
 * only grow; a record lies at its position modulo Bytes and never wraps. */
typedef struct RPL_AREA
{
    UCHAR *Data;
    UINT64 Bytes;
    UINT64 Tail;
    UINT64 Head;
    UINT64 End;
    UINT64 EndOffset; /* End modulo Bytes */
    ULONG InFlight;   /* slots whose records are not below Head yet */
} RPL_AREA;

typedef struct RPL_RING
{
    RPL_AREA Area;
    PIRP Irp; /* LEND_RING; NULL: no ring */
    PFILE_OBJECT FileObject;
    PMDL Mdl;
    REPL_RING_HEADER *Header;
    UINT64 SavedEnd;  /* what lies below is in the journal, or its reader has said that he has it */
    UINT64 NoDiskEnd; /* behind the last record that must not lie in the journal */
    UINT64 After;     /* its reader has all up to this */
    UINT64 First;     /* Sequence of the first record since it was opened last */
    UINT64 Last;      /* and of the last that was given out in it; 0: none */
    UINT64 Shown;     /* Head as the reader sees it */
    BOOLEAN Opened;   /* once, since it was lent */
    BOOLEAN Hidden;   /* opened, but its reader must see what is older first, in Staging */
    BOOLEAN Fresh;    /* just lent: the drain thread has not looked yet */
    BOOLEAN Open;     /* slots are given out in it */
    BOOLEAN Switching; /* opened, but slots that are older are still in flight in Staging */
    BOOLEAN Revoked;   /* ends as soon as nothing is in flight in it */
    BOOLEAN Cancelled; /* its cancel routine has run */
} RPL_RING;

typedef struct RPL_OPEN_BRACKET
{
    UINT64 Sequence;
    UINT32 SetId;
    UINT32 Reason;
    UINT8 FileId[16];
} RPL_OPEN_BRACKET;

/* See room.h. */
typedef struct RPL_ROOM
{
    KEVENT More;     /* notification event: staging has more room than there was */
    UINT64 Patience; /* how long writers may still wait, in 100 ns */
    UINT64 Since;    /* as of then */
} RPL_ROOM;

typedef struct RPL_STREAM
{
    KSPIN_LOCK Lock;
    BOOLEAN Capturing; /* role primary, some set */
    BOOLEAN Lost;      /* state Dirty */
    UINT64 Last;
    UINT64 Completed;
    UINT64 Acknowledged;
    UINT64 Lease;
    UINT64 LastTime;
    UINT64 Epoch;
    UINT64 Discarded; /* records up to here, where they still are, are nobody's any more */
    UINT64 Base;      /* Sequence of the newest ReplRecordStart */
    UINT64 BaseAfter; /* who has all up to this can go on there */
    LIST_ENTRY InFlight;
    LIST_ENTRY Free; /* slots */
    ULONG FreeCount;
    ULONG Unrecorded; /* operations in flight that have no record */
    RPL_RING Ring;
    volatile LONG Loans; /* of the ring, so far */
    RPL_AREA Staging;
    UINT64 StagingLast; /* Sequence of the newest record below its Head */
    UINT64 StagingOld;  /* what lies below in Staging is older than what lies in the ring */
    UINT64 JournalUsed;
    UINT64 JournalBytes;
    UINT64 JournalFirst; /* Sequence of its oldest record; 0: it is empty */
    NTSTATUS JournalStatus;
    RPL_OPEN_BRACKET *Brackets; /* REPL_MAX_BRACKETS of them */
    ULONG BracketCount;
    UINT64 TotalBytes; /* of records ever given out */
    RPL_LAG Lag;
    UINT64 Operations;    /* captured */
    UINT64 CapturedBytes; /* of file data */
    UINT64 Aborted;
    BOOLEAN UncleanStart;
    ULONG Waiting;    /* WAIT requests in their queue */
    ULONG Reading;    /* READ_JOURNAL requests in theirs */
    BOOLEAN ReadHeld; /* the drain thread is looking for an answer to one */
    KEVENT DrainWork; /* synchronisation event */
    RPL_ROOM Room;
    KDPC WaitDpc;
} RPL_STREAM;

extern RPL_STREAM Stream;

/* What is to be done once the lock is released. */
#define RPL_WAKE_WAITERS 1
#define RPL_WAKE_DRAIN   2

_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplWake(ULONG What);

/* With the lock held, from here on. */

FORCEINLINE UINT32 RplStateNow(VOID)
{
    if (!Stream.Capturing)
    {
        return ReplStateIdle;
    }
    return Stream.Lost ? ReplStateDirty : Stream.Ring.Open ? ReplStateRing : ReplStateJournal;
}

/* Does anybody wait for records by READ_JOURNAL? */
FORCEINLINE BOOLEAN RplIsReading(VOID)
{
    return Stream.Reading != 0 || Stream.ReadHeld;
}

/* A slot in the present place, or NULL: nothing has changed then. *Wake gets bits. */
RPL_SLOT *RplPlace(_In_ const RPL_INTENT *Intent, _Inout_ ULONG *Wake);

/* Ended slots leave. Surplus gets those that are not kept, for RplSlotsFree. */
ULONG RplAdvance(_Inout_ LIST_ENTRY *Surplus);

/* Something is not recorded: state Dirty, until a ReplRecordLost. */
ULONG RplLose(VOID);

/* Room for a record of so many bytes: its offset. A pad fills what remains before the wrap. */
BOOLEAN RplAreaReserve(_Inout_ RPL_AREA *Area, _In_ ULONG Bytes, _Out_ UINT64 *Offset);

/* Without the lock, from here on. */

/* Writes header and name of a slot that RplPlace gave. */
VOID RplFill(_Inout_ RPL_SLOT *Slot, _In_ const RPL_INTENT *Intent, _In_ UINT64 Epoch);

/* Slots that RplAdvance gave. */
VOID RplSlotsFree(_Inout_ LIST_ENTRY *Surplus);

/* The record in the slot is whole, or ended in another way. */
VOID RplEndSlot(_Inout_ RPL_SLOT *Slot);

NTSTATUS RplStreamCreate(VOID);
VOID RplStreamDestroy(VOID);

/* A record without an operation, made and committed at once. Data may be NULL. Gives its number; 0:
 * it could not be recorded. */
UINT64 RplRecordNow(_In_ const RPL_INTENT *Intent, _In_opt_ const VOID *Data);
