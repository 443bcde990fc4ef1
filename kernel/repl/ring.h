/*
 * The lent ring.
 */
#pragma once

#include "control.h"
#include "state.h"

RPL_HANDLER RplLendRing;

/* The handle that lent it closes: it ends. NULL: whichever handle. IRQL <= DISPATCH_LEVEL. */
VOID RplRingRevoke(_In_opt_ PFILE_OBJECT FileObject);

/* A number that is another one each time the ring is lent; not 0. Any IRQL. */
FORCEINLINE LONG RplRingLoan(VOID)
{
    return Stream.Loans + 1;
}

/* With the stream's lock held: bits for RplWake. */

/* Nothing more is given out in it. */
ULONG RplRingClose(VOID);

/* Head has moved. */
ULONG RplRingPublish(VOID);

/* Its reader has all that is older. */
ULONG RplRingShow(VOID);

/* Believes the reader's Tail if it can be; TRUE: it has moved. */
BOOLEAN RplRingReadTail(VOID);

/* Slots are given out in it from here on, and if something was lost, the first record says so. Only
 * where there is one with room enough that this is worth while. */
BOOLEAN RplRingOpen(_Inout_ ULONG *Wake);

FORCEINLINE BOOLEAN RplRingIsRevoked(VOID)
{
    return Stream.Ring.Irp != NULL && Stream.Ring.Revoked;
}

/* Sequence of the oldest record that its reader has not passed, as far as can be told (what stands
 * there may be the reader's); MAXUINT64: none. */
UINT64 RplRingFirst(VOID);

/* Of the drain thread: has it ended, with nothing in flight? Nothing opens it again. */
BOOLEAN RplRingIsOver(VOID);

/* Of the drain thread, without the lock: completes LEND_RING of a ring that is over. */
VOID RplRingReturn(VOID);
