/*
 * CRC-32C (Castagnoli), the checksum of records, journal and dirty-region log.
 *
 * RFC 3720, appendix B.4: the polynomial 0x1EDC6F41, reflected, with all ones before and after.
 *
 * Two ways to the same value: a table of one byte at a time, which works on every processor and
 * from the first instruction on; and SSE4.2's instruction, three streams at once where there is
 * enough for them, since the instruction takes three cycles and can start in each. It works on
 * general-purpose registers, so no state is to be saved. RplCrc32cInitialize chooses.
 *
 * Any IRQL, no locks, no failure. The data must not change meanwhile, else the value is of no use,
 * but nothing worse happens.
 */
#pragma once

#include <ntddk.h>

/* Takes the instruction if the processor has it. Once, before others call RplCrc32c. */
VOID RplCrc32cInitialize(VOID);

/* Seed: 0, or what the call for the bytes before gave: the value is that of all together. */
UINT32 RplCrc32c(_In_ UINT32 Seed, _In_reads_bytes_(Bytes) const VOID *Data, _In_ SIZE_T Bytes);

/* The same by the table alone. */
UINT32 RplCrc32cByTable(_In_ UINT32 Seed, _In_reads_bytes_(Bytes) const VOID *Data,
                        _In_ SIZE_T Bytes);
