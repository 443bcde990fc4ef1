/*
 * The dirty-region log: see regionlog.h.
 *
 * Invariants, under the lock, for each bit: OnDisk implies Bits, and that every version of the part
 * that is on disk or on its way there has the bit. Crash implies Bits.
 */
#include "regiondisk.h"

SIZE_T RplRegionLogBytes(_In_ ULONG Parts)
{
    return RPL_SECTOR + Parts * sizeof(RPL_REGION_PART);
}

/* Regions and bits */

/* Which files share a region: the low 48 bits of the identity, in groups. */
static UINT64 RplRegionFiles(_In_reads_bytes_(16) const UINT8 *FileId)
{
    UINT64 low;

    RtlCopyMemory(&low, FileId, sizeof(low));
    return (low & 0xFFFFFFFFFFFFull) / REPL_REGION_FILES;
}

FORCEINLINE UINT64 RplRegionFold(_In_ UINT64 Left, _In_ UINT64 Right)
{
    return UnsignedMultiplyHigh(Left, Right) ^ Left * Right;
}

/* Two products of 128 bits, each folded: every bit of the region and the key reaches every bit. */
static ULONG RplRegionBit(_In_ const RPL_REGION_LOG *Log, _In_ UINT64 Files, _In_ UINT64 Region)
{
    UINT64 hash = RplRegionFold(Files ^ Log->Key[0], Region ^ Log->Key[1]);

    hash = RplRegionFold(hash ^ Log->Key[1], Log->Key[0] ^ 0x9E3779B97F4A7C15ull);
    return (ULONG)((hash >> 32) * ((UINT64)Log->PartCount * RPL_REGION_PART_BITS) >> 32);
}

ULONG RplRegionLogBit(_In_ const RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                      _In_ UINT64 Offset)
{
    return RplRegionBit(Log, RplRegionFiles(FileId), Offset / REPL_REGION_BYTES);
}

/* Opening and closing */

static VOID RplRegionLogStart(_Out_ RPL_REGION_LOG *Log, _In_ const RPL_STORAGE *Storage,
                              _In_ ULONG Parts, _In_ UCHAR *Memory)
{
    NT_ASSERT(Parts != 0 && Parts <= RPL_REGION_MAX_PARTS);
    RtlZeroMemory(Log, sizeof(*Log));
    KeInitializeSpinLock(&Log->Lock);
    Log->Storage = *Storage;
    Log->Scratch = Memory;
    Log->PartCount = Parts;
    Log->Part = (RPL_REGION_PART *)(Memory + RPL_SECTOR);
    RtlZeroMemory(Log->Part, Parts * sizeof(RPL_REGION_PART));
}

NTSTATUS RplRegionLogFormat(_Out_ RPL_REGION_LOG *Log, _In_ const RPL_STORAGE *Storage,
                            _In_ ULONG Parts, _In_reads_bytes_(16) const UINT8 *LogId,
                            _In_reads_bytes_(16) const UINT8 *Secret, _In_ UCHAR *Memory)
{
    NTSTATUS status;

    RplRegionLogStart(Log, Storage, Parts, Memory);
    RtlCopyMemory(Log->LogId, LogId, sizeof(Log->LogId));
    RtlCopyMemory(Log->Key, Secret, sizeof(Log->Key));
    status = RplRegionSuperErase(Log);
    for (ULONG i = 0; NT_SUCCESS(status) && i < Parts; i++)
    {
        status = RplRegionPartWrite(Log, i);
        RplRegionPartWritten(&Log->Part[i]);
    }
    if (NT_SUCCESS(status))
    {
        status = Log->Storage.Flush(Log->Storage.Context);
    }
    return NT_SUCCESS(status) ? RplRegionSuperWrite(Log, FALSE, FALSE) : status;
}

NTSTATUS RplRegionLogOpen(_Out_ RPL_REGION_LOG *Log, _In_ const RPL_STORAGE *Storage,
                          _In_ ULONG Parts, _In_ UCHAR *Memory)
{
    NTSTATUS status;

    RplRegionLogStart(Log, Storage, Parts, Memory);
    status = RplRegionSuperRead(Log);
    for (ULONG i = 0; NT_SUCCESS(status) && i < Parts; i++)
    {
        RPL_REGION_PART *part = &Log->Part[i];

        status = RplRegionPartRead(Log, i);
        part->OnDisk = part->Bits;
        /* There may be no valid version at all of one that counts as set. */
        if (part->Generation == 0)
        {
            RtlZeroMemory(&part->OnDisk, sizeof(part->OnDisk));
            part->WantSet = TRUE;
        }
        /* They count as touched, since nothing is known of when they were. */
        part->Now = part->Bits;
        if (Log->Unclean)
        {
            part->Crash = part->Bits;
        }
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    Log->EverythingNow = Log->Everything;
    Log->EverythingOnDisk = Log->Everything;
    Log->EverythingCrash = Log->Everything && Log->Unclean;
    return RplRegionSuperWrite(Log, FALSE, Log->Everything);
}

NTSTATUS RplRegionLogClose(_Inout_ RPL_REGION_LOG *Log)
{
    NTSTATUS status = RplRegionLogSync(Log, TRUE);

    return NT_SUCCESS(status) ? RplRegionSuperWrite(Log, !Log->Unclean, Log->Everything) : status;
}

/* Touching */

/* Lock held. TRUE: it is set on disk. */
static BOOLEAN RplRegionTouchBit(_Inout_ RPL_REGION_LOG *Log, _In_ ULONG Bit)
{
    RPL_REGION_PART *part = &Log->Part[Bit / RPL_REGION_PART_BITS];
    ULONG word = Bit % RPL_REGION_PART_BITS / 64;
    UINT64 mask = 1ull << Bit % RPL_REGION_PART_BITS % 64;

    part->Now.Word[word] |= mask;
    if ((part->OnDisk.Word[word] & mask) != 0)
    {
        return TRUE;
    }
    part->Bits.Word[word] |= mask;
    part->WantSet = TRUE;
    return FALSE;
}

/* Lock held. */
static BOOLEAN RplRegionTouchRange(_Inout_ RPL_REGION_LOG *Log, _In_ UINT64 Files,
                                   _In_ UINT64 First, _In_ UINT64 Last)
{
    BOOLEAN durable = TRUE;

    if (Last - First >= RPL_REGION_MAX_TOUCHED)
    {
        Log->Everything = TRUE;
        Log->EverythingNow = TRUE;
        return Log->EverythingOnDisk;
    }
    for (UINT64 region = First; region <= Last; region++)
    {
        durable = RplRegionTouchBit(Log, RplRegionBit(Log, Files, region)) && durable;
    }
    return durable;
}

UINT64 RplRegionLogTouch(_Inout_ RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                         _In_ UINT64 Offset, _In_ UINT64 Length)
{
    UINT64 last = Length == 0 ? Offset : Offset + Length - 1;
    KLOCK_QUEUE_HANDLE handle;
    UINT64 ticket = 0;

    if (last < Offset || last > MAXLONGLONG)
    {
        last = MAXLONGLONG;
    }
    if (Offset > last)
    {
        Offset = last;
    }
    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    if (!RplRegionTouchRange(Log, RplRegionFiles(FileId), Offset / REPL_REGION_BYTES,
                             last / REPL_REGION_BYTES))
    {
        ticket = Log->Begun + 1;
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    return ticket;
}

BOOLEAN RplRegionLogIsDurable(_In_ const RPL_REGION_LOG *Log, _In_ UINT64 Ticket)
{
    return ReadULong64Acquire(&Log->Done) >= Ticket;
}

/* Writing */

/* Takes what is to be written of a part, if anything is. */
static BOOLEAN RplRegionPartBegin(_Inout_ RPL_REGION_LOG *Log, _Inout_ RPL_REGION_PART *Part,
                                  _In_ BOOLEAN Clear)
{
    KLOCK_QUEUE_HANDLE handle;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    Part->Writing = Part->WantSet || (Clear && Part->WantClear);
    if (Part->Writing)
    {
        Part->Written = Part->Bits;
        Part->WantSet = FALSE;
        Part->WantClear = FALSE;
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    return Part->Writing;
}

/* What was cleared meanwhile is not to be relied on, though it is there. */
static VOID RplRegionPartEnd(_Inout_ RPL_REGION_LOG *Log, _Inout_ RPL_REGION_PART *Part,
                             _In_ BOOLEAN Written)
{
    KLOCK_QUEUE_HANDLE handle;

    if (!Part->Writing)
    {
        return;
    }
    if (Written)
    {
        RplRegionPartWritten(Part);
    }
    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    for (ULONG i = 0; Written && i < RPL_REGION_PART_WORDS; i++)
    {
        Part->OnDisk.Word[i] = Part->Written.Word[i] & Part->Bits.Word[i];
    }
    if (!Written)
    {
        Part->WantSet = TRUE;
    }
    Part->Writing = FALSE;
    KeReleaseInStackQueuedSpinLock(&handle);
}

/* The mark of everything, likewise. */
static NTSTATUS RplRegionSuperSync(_Inout_ RPL_REGION_LOG *Log, _In_ BOOLEAN Clear)
{
    KLOCK_QUEUE_HANDLE handle;
    BOOLEAN everything;
    BOOLEAN wanted;
    NTSTATUS status;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    everything = Log->Everything;
    wanted = (everything && !Log->EverythingOnDisk) || (Clear && Log->WantClear);
    KeReleaseInStackQueuedSpinLock(&handle);
    if (!wanted)
    {
        return STATUS_SUCCESS;
    }
    status = RplRegionSuperWrite(Log, FALSE, everything);
    if (NT_SUCCESS(status))
    {
        KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
        Log->EverythingOnDisk = everything && Log->Everything;
        Log->WantClear = everything && !Log->Everything;
        KeReleaseInStackQueuedSpinLock(&handle);
    }
    return status;
}

NTSTATUS RplRegionLogSync(_Inout_ RPL_REGION_LOG *Log, _In_ BOOLEAN Clear)
{
    NTSTATUS status = STATUS_SUCCESS;
    BOOLEAN any = FALSE;
    KLOCK_QUEUE_HANDLE handle;
    UINT64 pass;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    Log->Begun += 1;
    pass = Log->Begun;
    KeReleaseInStackQueuedSpinLock(&handle);

    for (ULONG i = 0; i < Log->PartCount && NT_SUCCESS(status); i++)
    {
        if (RplRegionPartBegin(Log, &Log->Part[i], Clear))
        {
            any = TRUE;
            status = RplRegionPartWrite(Log, i);
        }
    }
    if (any && NT_SUCCESS(status))
    {
        status = Log->Storage.Flush(Log->Storage.Context);
    }
    for (ULONG i = 0; any && i < Log->PartCount; i++)
    {
        RplRegionPartEnd(Log, &Log->Part[i], NT_SUCCESS(status));
    }
    if (NT_SUCCESS(status))
    {
        status = RplRegionSuperSync(Log, Clear);
    }
    if (NT_SUCCESS(status))
    {
        WriteULong64Release(&Log->Done, pass);
    }
    return status;
}

/* Clearing */

static VOID RplRegionPartAge(_Inout_ RPL_REGION_LOG *Log, _Inout_ RPL_REGION_PART *Part)
{
    KLOCK_QUEUE_HANDLE handle;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    for (ULONG i = 0; i < RPL_REGION_PART_WORDS; i++)
    {
        UINT64 keep = Part->Now.Word[i] | Part->Before.Word[i] | Part->Crash.Word[i];

        Part->WantClear = Part->WantClear || (Part->Bits.Word[i] & ~keep) != 0;
        Part->Bits.Word[i] &= keep;
        Part->OnDisk.Word[i] &= keep;
        Part->Before.Word[i] = Part->Now.Word[i];
        Part->Now.Word[i] = 0;
    }
    KeReleaseInStackQueuedSpinLock(&handle);
}

VOID RplRegionLogAge(_Inout_ RPL_REGION_LOG *Log, _In_ UINT64 Acknowledged, _In_ UINT64 Last)
{
    KLOCK_QUEUE_HANDLE handle;

    if (Acknowledged < Log->PeriodEnd)
    {
        return;
    }
    for (ULONG i = 0; i < Log->PartCount; i++)
    {
        RplRegionPartAge(Log, &Log->Part[i]);
    }
    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    if (Log->Everything && !Log->EverythingNow && !Log->EverythingBefore && !Log->EverythingCrash)
    {
        Log->Everything = FALSE;
        Log->EverythingOnDisk = FALSE;
        Log->WantClear = TRUE;
    }
    Log->EverythingBefore = Log->EverythingNow;
    Log->EverythingNow = FALSE;
    KeReleaseInStackQueuedSpinLock(&handle);
    Log->PeriodEnd = Last;
}

VOID RplRegionLogForgetCrash(_Inout_ RPL_REGION_LOG *Log)
{
    KLOCK_QUEUE_HANDLE handle;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    for (ULONG i = 0; i < Log->PartCount; i++)
    {
        RtlZeroMemory(&Log->Part[i].Crash, sizeof(Log->Part[i].Crash));
    }
    Log->EverythingCrash = FALSE;
    Log->Unclean = FALSE;
    KeReleaseInStackQueuedSpinLock(&handle);
}

/* Asking */

BOOLEAN RplRegionLogCrashed(_Inout_ RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                            _In_ UINT64 Offset)
{
    ULONG bit = RplRegionLogBit(Log, FileId, Offset);
    const RPL_REGION_PART *part = &Log->Part[bit / RPL_REGION_PART_BITS];
    KLOCK_QUEUE_HANDLE handle;
    BOOLEAN set;

    bit %= RPL_REGION_PART_BITS;
    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    set = Log->EverythingCrash || (part->Crash.Word[bit / 64] >> bit % 64 & 1) != 0;
    KeReleaseInStackQueuedSpinLock(&handle);
    return set;
}

static ULONG RplRegionCount(_In_ const RPL_REGION_BITS *Bits)
{
    ULONG count = 0;

    for (ULONG i = 0; i < RPL_REGION_PART_WORDS; i++)
    {
        for (UINT64 word = Bits->Word[i]; word != 0; word &= word - 1)
        {
            count += 1;
        }
    }
    return count;
}

VOID RplRegionLogCount(_Inout_ RPL_REGION_LOG *Log, _Out_ RPL_REGION_COUNTS *Counts)
{
    KLOCK_QUEUE_HANDLE handle;

    RtlZeroMemory(Counts, sizeof(*Counts));
    Counts->Bits = Log->PartCount * RPL_REGION_PART_BITS;
    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    for (ULONG i = 0; i < Log->PartCount; i++)
    {
        Counts->Set += RplRegionCount(&Log->Part[i].Bits);
        Counts->Crash += RplRegionCount(&Log->Part[i].Crash);
    }
    Counts->Everything = Log->Everything;
    Counts->EverythingCrash = Log->EverythingCrash;
    KeReleaseInStackQueuedSpinLock(&handle);
}

_Success_(return) BOOLEAN RplRegionLogNextCrash(_Inout_ RPL_REGION_LOG *Log, _Inout_ ULONG *Bit)
{
    ULONG end = Log->PartCount * RPL_REGION_PART_BITS;
    KLOCK_QUEUE_HANDLE handle;
    BOOLEAN found = FALSE;

    KeAcquireInStackQueuedSpinLock(&Log->Lock, &handle);
    while (*Bit < end && !found)
    {
        ULONG bit = *Bit % RPL_REGION_PART_BITS;
        UINT64 word = Log->Part[*Bit / RPL_REGION_PART_BITS].Crash.Word[bit / 64] >> bit % 64;
        ULONG skip;

        found = BitScanForward64(&skip, word);
        *Bit += found ? skip : 64 - bit % 64;
    }
    KeReleaseInStackQueuedSpinLock(&handle);
    return found;
}
