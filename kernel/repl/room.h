/*
 * Writers that come faster than the journal takes them.
 *
 * The ring is full, records go to staging, and what has no room there has no record: its blocks are
 * sent anew once there is room. A short wait for the journal's thread avoids that where the writers
 * are only a little too fast. All of them together wait no more than 1/32 of the time, and 100 ms
 * at once, so that a program that writes at the speed of memory is not made to write at that of the
 * journal's disk.
 */
#pragma once

#include "repl.h"

VOID RplRoomInitialize(VOID);

/*
 * Before a write. Returns at once where waiting would be of no use: there is no journal, it is full
 * or has failed, or the state is Dirty. The caller holds no lock of REPL's; not in paging I/O.
 */
_IRQL_requires_max_(APC_LEVEL) VOID RplRoomAwait(VOID);

/* The journal's thread has taken something out of staging. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplRoomMade(VOID);
