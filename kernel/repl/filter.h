/*
 * The minifilter: registration, and what the control device asks of it.
 */
#pragma once

#include "repl.h"

/* Before the others: no volume is there. */
VOID RplFilterInitialize(VOID);

/* Repl.Filter is registered when the first returns; the callbacks may be called from then on. The
 * second waits for them. PASSIVE_LEVEL. */
NTSTATUS RplFilterRegister(VOID);
VOID RplFilterUnregister(VOID);

/* Is there such a volume ("\Device\HarddiskVolume3"), and is the filter attached to it?
 * PASSIVE_LEVEL. */
NTSTATUS RplFilterCheckVolume(_In_ const UNICODE_STRING *Volume);

/* driver.c's: all that the driver made ends, the filter last but one. FltMgr's unload calls it; a
 * minifilter has no other. PASSIVE_LEVEL. */
VOID RplDriverEnd(VOID);
