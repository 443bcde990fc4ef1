/*
 * The dirty-region log's format on disk: the pieces under regionlog.c.
 */
#pragma once

#include "regionlog.h"

/* Generation + 1, and on disk. */
NTSTATUS RplRegionSuperWrite(_Inout_ RPL_REGION_LOG *Log, _In_ BOOLEAN Clean,
                             _In_ BOOLEAN Everything);

/* There is no log any more, on disk. */
NTSTATUS RplRegionSuperErase(_Inout_ RPL_REGION_LOG *Log);

/* Takes over what the superblock that counts says. STATUS_NOT_FOUND: none for PartCount. Log->Slot
 * is its slot, 1 if there is none. */
NTSTATUS RplRegionSuperRead(_Inout_ RPL_REGION_LOG *Log);

/* Part->Written to the slot of the older version. Not flushed, and so the part's Generation and
 * Slot are as before. */
NTSTATUS RplRegionPartWrite(_Inout_ RPL_REGION_LOG *Log, _In_ ULONG Index);

/* Into Part->Bits; all set if there is no valid version. */
NTSTATUS RplRegionPartRead(_Inout_ RPL_REGION_LOG *Log, _In_ ULONG Index);

/* Where what RplRegionPartWrite wrote is flushed. */
FORCEINLINE VOID RplRegionPartWritten(_Inout_ RPL_REGION_PART *Part)
{
    Part->Generation += 1;
    Part->Slot = 1 - Part->Slot;
}
