/* Waiting for room in staging; see room.h. */
#include "room.h"

#include "counters.h"
#include "state.h"

#define RPL_PATIENCE       (100 * RPL_MS)
#define RPL_PATIENCE_SHARE 32 /* of the time, one part */

VOID RplRoomInitialize(VOID)
{
    KeInitializeEvent(&Stream.Room.More, NotificationEvent, FALSE);
    Stream.Room.Patience = RPL_PATIENCE;
    Stream.Room.Since = RplNow();
}

VOID RplRoomMade(VOID)
{
    KeSetEvent(&Stream.Room.More, IO_NO_INCREMENT, FALSE);
}

/* With the lock: do records go to staging, which the journal's thread is emptying (it leaves a
 * share), but has not emptied enough? */
static BOOLEAN RplRoomIsShort(VOID)
{
    const RPL_AREA *staging = &Stream.Staging;

    return Stream.Capturing && !Stream.Lost && !Stream.Ring.Open && Stream.JournalBytes != 0 &&
           NT_SUCCESS(Stream.JournalStatus) &&
           Stream.JournalUsed + staging->Bytes * 2 < Stream.JournalBytes &&
           staging->End - staging->Tail > staging->Bytes / 2;
}

/* With the lock: how long somebody may wait now; 0: not at all, or there is no need to. */
static UINT64 RplRoomPatience(_In_ UINT64 Now)
{
    const UINT64 grown = (Now - Stream.Room.Since) / RPL_PATIENCE_SHARE;

    if (!RplRoomIsShort())
    {
        return 0;
    }
    Stream.Room.Patience = RPL_MIN(Stream.Room.Patience + grown, RPL_PATIENCE);
    Stream.Room.Since = Now;
    if (Stream.Room.Patience < RPL_MS)
    {
        return 0; /* a wait that is too short for the disk is of no use */
    }
    KeClearEvent(&Stream.Room.More);
    return Stream.Room.Patience;
}

_Use_decl_annotations_ VOID RplRoomAwait(VOID)
{
    UINT64 since, waited, patience;
    LARGE_INTEGER timeout;
    KIRQL irql;

    while (!Stream.Ring.Open) /* a hint: most writes take no lock here */
    {
        since = RplNow();
        KeAcquireSpinLock(&Stream.Lock, &irql);
        patience = RplRoomPatience(since);
        KeReleaseSpinLock(&Stream.Lock, irql);
        if (patience == 0)
        {
            return;
        }
        timeout.QuadPart = -(LONGLONG)patience;
        (VOID) KeWaitForSingleObject(&Stream.Room.More, Executive, KernelMode, FALSE, &timeout);
        waited = RplNow() - since;
        KeAcquireSpinLock(&Stream.Lock, &irql);
        Stream.Room.Patience -= RPL_MIN(Stream.Room.Patience, waited);
        KeReleaseSpinLock(&Stream.Lock, irql);
        RplCountBlock(since);
    }
}
