/*
 * The dirty-region log: which regions may differ from the backup after a crash. See regions.c.
 */
#pragma once

#include "control.h"

/* The regions of these bytes are marked on disk when this returns. Waits for the disk if they were
 * not, BlockMs at most: then the log is unreliable (RegionStatus), which is on disk from before, or
 * all of it counts as dirty. STATUS_SUCCESS in both cases. A Length beyond the end of any file:
 * what is behind Offset, wherever the end is. PASSIVE_LEVEL, not in paging I/O. */
_IRQL_requires_(PASSIVE_LEVEL) NTSTATUS
    RplRegionsActivate(_In_ const UINT8 *FileId, UINT64 Offset, UINT64 Length);

/* Which ranges of a file may have changed before what is lost. */
RPL_HANDLER RplQueryRegions;

/* The log and its thread. A log that cannot be opened now is tried again. PASSIVE_LEVEL. */
NTSTATUS RplRegionsCreate(VOID);
VOID RplRegionsDestroy(VOID);

/* Is there a log that has all that changed since the driver started? Any IRQL. */
BOOLEAN RplRegionsReliable(VOID);

/* IRQL <= DISPATCH_LEVEL, from here on. */

/* All that may not have been acknowledged counts as lost. FALSE: the log does not know. */
BOOLEAN RplRegionsFreeze(VOID);

/* What was lost is synchronised, or does not matter any more. */
VOID RplRegionsForget(VOID);

/* Bits that are set, and the last failure of the log. */
VOID RplRegionsStatus(_Out_ UINT32 *Active, _Out_ UINT32 *Status);
