/*
 * What the driver keeps on disk: the reserve of epoch counters and the last boot nonce, as values
 * of the driver's persistent registry state (WDK: IoOpenDriverRegistryKey).
 */
#pragma once

#include <ntddk.h>

/*
 * Reads the reserve (0 if there was none) and makes a boot nonce greater than every one before:
 * max(system time, last + 1), flushed to disk before it is returned. Keeps the key open.
 * PASSIVE_LEVEL.
 */
NTSTATUS OipReserveLoad(_Out_ UINT64 *Boot, _Out_ UINT64 *Reserve);

/* Writes the reserve and flushes it. PASSIVE_LEVEL. */
NTSTATUS OipReserveStore(_In_ UINT64 Reserve);

VOID OipReserveClose(VOID);
