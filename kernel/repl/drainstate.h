/*
 * What the files of the drain share (drain.c, drainread.c, drainsetup.c).
 */
#pragma once

#include "drain.h"
#include "spool.h"
#include "walk.h"

typedef struct RPL_DRAIN
{
    PKTHREAD Thread;
    volatile BOOLEAN Stop;
    KMUTEX Lock; /* of Spool and Staging.Tail, against RplDrainResize */
    RPL_SPOOL Spool;
    UINT64 Cursor; /* in staging: behind the record CursorAfter */
    UINT64 CursorAfter;
    BOOLEAN Retry;
    UINT64 Wanted; /* size of the journal, if it could be made */
} RPL_DRAIN;

extern RPL_DRAIN Drain;

KSTART_ROUTINE RplDrainThread;

/* What the others know of the journal. Status: why it cannot be made, read or written. */
VOID RplDrainTell(_In_ NTSTATUS Status);
/* It was made, or written to: what failed before does not any more. */
VOID RplDrainWorks(VOID);

/* Nobody can have what is older than now. */
VOID RplDrainLoseHistory(VOID);

/* Steps of the thread: a new ring; READ_JOURNAL (FALSE: nothing could be answered). */
VOID RplDrainGreet(VOID);
BOOLEAN RplDrainRead(VOID);

/* The first record at or behind Position in staging, which the caller keeps from moving. */
FORCEINLINE VOID RplStagingWalk(_In_ UINT64 Position, _In_ UINT64 End, _Out_ RPL_WALK *Walk)
{
    UINT64 offset = Position % Stream.Staging.Bytes;

    RplWalkBegin(Walk, Stream.Staging.Data + offset,
                 RPL_MIN(End - Position, Stream.Staging.Bytes - offset));
}
