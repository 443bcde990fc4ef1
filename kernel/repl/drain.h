/*
 * The drain: the thread between staging memory, journal and reader.
 */
#pragma once

#include "state.h"

/* Staging is written to the journal from a share of 1 / this on. */
#define RPL_DRAIN_SHARE 4

/* The thread; it has nothing to do yet. PASSIVE_LEVEL. */
NTSTATUS RplDrainCreate(VOID);
/* Ends it: the ring is returned, requests are cancelled before. */
VOID RplDrainDestroy(VOID);

/*
 * Staging memory and a journal of these sizes, in place of the present ones where they differ; what
 * these hold must be nothing then: STATUS_DEVICE_BUSY. *Reason: which of the two failed. Under
 * ControlLock, PASSIVE_LEVEL.
 */
NTSTATUS RplDrainResize(_In_ ULONG StagingBytes, _In_ UINT64 JournalBytes,
                        _Out_ REPL_REFUSAL_REASON *Reason);

/* A journal of this size is made as soon as it can be. */
VOID RplDrainWant(_In_ UINT64 JournalBytes);

/* Is no operation in flight, and no ring lent? */
BOOLEAN RplDrainIsQuiet(VOID);

/* All records are forgotten, the numbers begin again. Only then, under ControlLock, PASSIVE_LEVEL,
 * while nothing is captured. */
VOID RplDrainReset(VOID);

/* With the stream's lock held: a reader has come, who has all up to After. Bits for RplWake. */
ULONG RplDrainBegin(_In_ UINT64 After);

/* With the lock held: Sequence of the oldest record there is; Last + 1: none. */
UINT64 RplDrainFirst(VOID);
