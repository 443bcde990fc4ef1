/*
 * The dirty-region log on disk: see regionlog.h and regiondisk.h.
 */
#include "regiondisk.h"

#include "crc32c.h"

#define RPL_REGION_VERSION     1
#define RPL_REGION_SUPER_MAGIC 0x53445252u /* "RRDS" */
#define RPL_REGION_PART_MAGIC  0x50445252u /* "RRDP" */

typedef struct RPL_REGION_SUPER
{
    UINT32 Magic;
    UINT32 Version;
    UINT64 Generation;
    UINT8 LogId[16];
    UINT64 Key[2];
    UINT32 PartCount;
    UINT32 Clean;
    UINT32 Everything;
    UINT32 Checksum; /* of this, with 0 here */
} RPL_REGION_SUPER;

typedef struct RPL_REGION_SECTOR
{
    UINT32 Magic;
    UINT32 Index;
    UINT8 LogId[8];
    UINT64 Generation;
    UINT32 Reserved;
    UINT32 Checksum; /* of the sector, with 0 here */
    RPL_REGION_BITS Bits;
} RPL_REGION_SECTOR;

C_ASSERT(sizeof(RPL_REGION_SUPER) == 64);
C_ASSERT(sizeof(RPL_REGION_SECTOR) == RPL_SECTOR);

static UINT32 RplRegionSuperChecksum(_In_ const RPL_REGION_SUPER *Super)
{
    RPL_REGION_SUPER copy = *Super;

    copy.Checksum = 0;
    return RplCrc32c(0, &copy, sizeof(copy));
}

NTSTATUS RplRegionSuperWrite(_Inout_ RPL_REGION_LOG *Log, _In_ BOOLEAN Clean,
                             _In_ BOOLEAN Everything)
{
    RPL_REGION_SUPER *super = (RPL_REGION_SUPER *)Log->Scratch;
    ULONG slot = 1 - Log->Slot;
    NTSTATUS status;

    RtlZeroMemory(super, RPL_SECTOR);
    super->Magic = RPL_REGION_SUPER_MAGIC;
    super->Version = RPL_REGION_VERSION;
    super->Generation = Log->Generation + 1;
    RtlCopyMemory(super->LogId, Log->LogId, sizeof(super->LogId));
    super->Key[0] = Log->Key[0];
    super->Key[1] = Log->Key[1];
    super->PartCount = Log->PartCount;
    super->Clean = Clean;
    super->Everything = Everything;
    super->Checksum = RplRegionSuperChecksum(super);
    status = Log->Storage.Write(Log->Storage.Context, (UINT64)slot * RPL_SECTOR, super, RPL_SECTOR);
    if (NT_SUCCESS(status))
    {
        status = Log->Storage.Flush(Log->Storage.Context);
    }
    if (NT_SUCCESS(status))
    {
        Log->Generation += 1;
        Log->Slot = slot;
    }
    return status;
}

NTSTATUS RplRegionSuperErase(_Inout_ RPL_REGION_LOG *Log)
{
    NTSTATUS status = STATUS_SUCCESS;

    RtlZeroMemory(Log->Scratch, RPL_SECTOR);
    for (ULONG slot = 0; slot < 2 && NT_SUCCESS(status); slot++)
    {
        status = Log->Storage.Write(Log->Storage.Context, (UINT64)slot * RPL_SECTOR, Log->Scratch,
                                    RPL_SECTOR);
    }
    return NT_SUCCESS(status) ? Log->Storage.Flush(Log->Storage.Context) : status;
}

NTSTATUS RplRegionSuperRead(_Inout_ RPL_REGION_LOG *Log)
{
    const RPL_REGION_SUPER *super = (const RPL_REGION_SUPER *)Log->Scratch;
    NTSTATUS failure = STATUS_NOT_FOUND;

    Log->Slot = 1;
    Log->Generation = 0;
    for (ULONG slot = 0; slot < 2; slot++)
    {
        NTSTATUS status = Log->Storage.Read(Log->Storage.Context, (UINT64)slot * RPL_SECTOR,
                                            Log->Scratch, RPL_SECTOR);

        if (!NT_SUCCESS(status))
        {
            failure = status;
        }
        else if (super->Magic == RPL_REGION_SUPER_MAGIC && super->Version == RPL_REGION_VERSION &&
                 super->Checksum == RplRegionSuperChecksum(super) &&
                 super->Generation > Log->Generation)
        {
            Log->Slot = slot;
            Log->Generation = super->Generation;
            RtlCopyMemory(Log->LogId, super->LogId, sizeof(Log->LogId));
            Log->Key[0] = super->Key[0];
            Log->Key[1] = super->Key[1];
            Log->Unclean = super->Clean != 1;
            Log->Everything = super->Everything != 0;
            failure = super->PartCount == Log->PartCount ? STATUS_SUCCESS : STATUS_NOT_FOUND;
        }
    }
    return failure;
}

static UINT64 RplRegionPartOffset(_In_ ULONG Index, _In_ ULONG Slot)
{
    return (2 + 2 * (UINT64)Index + Slot) * RPL_SECTOR;
}

static UINT32 RplRegionSectorChecksum(_In_ const RPL_REGION_SECTOR *Sector)
{
    UINT32 crc = RplCrc32c(0, Sector, FIELD_OFFSET(RPL_REGION_SECTOR, Checksum));

    return RplCrc32c(crc, &Sector->Bits, sizeof(Sector->Bits));
}

NTSTATUS RplRegionPartWrite(_Inout_ RPL_REGION_LOG *Log, _In_ ULONG Index)
{
    RPL_REGION_SECTOR *sector = (RPL_REGION_SECTOR *)Log->Scratch;
    const RPL_REGION_PART *part = &Log->Part[Index];

    sector->Magic = RPL_REGION_PART_MAGIC;
    sector->Index = Index;
    RtlCopyMemory(sector->LogId, Log->LogId, sizeof(sector->LogId));
    sector->Generation = part->Generation + 1;
    sector->Reserved = 0;
    sector->Bits = part->Written;
    sector->Checksum = RplRegionSectorChecksum(sector);
    return Log->Storage.Write(Log->Storage.Context, RplRegionPartOffset(Index, 1 - part->Slot),
                              sector, RPL_SECTOR);
}

NTSTATUS RplRegionPartRead(_Inout_ RPL_REGION_LOG *Log, _In_ ULONG Index)
{
    const RPL_REGION_SECTOR *sector = (const RPL_REGION_SECTOR *)Log->Scratch;
    RPL_REGION_PART *part = &Log->Part[Index];

    part->Generation = 0;
    part->Slot = 1;
    RtlFillMemory(&part->Bits, sizeof(part->Bits), 0xFF);
    for (ULONG slot = 0; slot < 2; slot++)
    {
        NTSTATUS status = Log->Storage.Read(Log->Storage.Context, RplRegionPartOffset(Index, slot),
                                            Log->Scratch, RPL_SECTOR);

        if (!NT_SUCCESS(status))
        {
            return status;
        }
        if (sector->Magic == RPL_REGION_PART_MAGIC && sector->Index == Index &&
            RtlEqualMemory(sector->LogId, Log->LogId, sizeof(sector->LogId)) &&
            sector->Checksum == RplRegionSectorChecksum(sector) &&
            sector->Generation > part->Generation)
        {
            part->Generation = sector->Generation;
            part->Slot = (UINT8)slot;
            part->Bits = sector->Bits;
        }
    }
    return STATUS_SUCCESS;
}
