/*
 * The role and its epoch, and the lease of numbers: what has to be on disk before it is used.
 */
#pragma once

#include "control.h"

/* So many numbers are leased at once; the lease is renewed when half of them are left. */
#define RPL_LEASE_STEP 262144

RPL_HANDLER RplSetRole;

/* REPL_ROLE_KIND. Any IRQL. */
UINT32 RplRole(VOID);

/* The highest epoch seen. */
UINT64 RplEpoch(VOID);

/* Reads what the last life of the driver left; then, with the configuration loaded, goes on with
 * it: a primary captures from here on. PASSIVE_LEVEL. */
NTSTATUS RplRoleLoad(VOID);
NTSTATUS RplRoleStart(VOID);
VOID RplRoleClose(VOID);

/* The configuration is about to be another one: may its StreamId be this one now? Under
 * ControlLock. */
BOOLEAN RplRoleAllowsStream(_In_ const UINT8 *StreamId);
/* It is another one now. */
NTSTATUS RplRoleConfigured(VOID);

/* Of the drain thread: more numbers, if they are needed. PASSIVE_LEVEL. */
VOID RplRoleRenew(VOID);

/* The dirty-region log could only be opened after the driver had begun. PASSIVE_LEVEL. */
VOID RplRoleRegionsOpen(VOID);

/* Since RplRoleRest, and nothing has changed. Any IRQL. */
BOOLEAN RplRoleIsRested(VOID);

/* Something changes after RplRoleRest: the next start is not clean after all. PASSIVE_LEVEL. */
VOID RplRoleStir(VOID);

/* The machine stops, or the driver is unloaded: if nothing would be missed, the next start counts
 * as clean. Under ControlLock. */
VOID RplRoleRest(VOID);
