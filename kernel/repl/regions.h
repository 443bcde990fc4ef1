/*
 * The dirty-region log: which regions may differ from the backup after a crash. See regions.c.
 */
#pragma once

#include "repl.h"

/* The regions of these bytes are marked on disk when this returns. Waits for the disk if they were
 * not, BlockMs at most: then the log is unreliable (RegionStatus), which is on disk from before, or
 * all of it counts as dirty. STATUS_SUCCESS in both cases. PASSIVE_LEVEL, not in paging I/O. */
_IRQL_requires_(PASSIVE_LEVEL) NTSTATUS
    RplRegionsActivate(_In_ const UINT8 *FileId, UINT64 Offset, UINT64 Length);

/* Bits that are set, and the last failure of the log. IRQL <= DISPATCH_LEVEL. */
VOID RplRegionsStatus(_Out_ UINT32 *Active, _Out_ UINT32 *Status);
