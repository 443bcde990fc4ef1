/* Deferred procedure calls, for timers; see dpc.c. */
#pragma once
#include "dispatcher.h"

/* Queues without running anything; any lock may be held. False: it was queued already. */
bool dpc_queue(PKDPC dpc, void *argument1, void *argument2);
bool dpc_remove(PKDPC dpc);
/* Is its routine running now, on any processor? */
bool dpc_running(const KDPC *dpc);
void dpc_set_processor(PKDPC dpc, unsigned processor);
/* Calls for each queued or running DPC until true is returned. `dpc` is an address only. */
typedef bool dpc_match(const void *dpc, const void *routine, bool running, void *context);
bool dpc_any(dpc_match *match, void *context);
