/*
 * The dirty-region log: which parts of which files may differ from the backup, should the machine
 * crash now.
 *
 * A region is RPL_REGION_BYTES of each of RPL_REGION_FILES files with neighbouring identities:
 * their low 48 bits divided by the one, offsets by the other. Regions are hashed, with a key of the
 * log, to bits; a bit is set, on disk, before anything in its region changes, and cleared some time
 * after all of that has been acknowledged. After a crash nothing has to be synchronised but what
 * lies in regions whose bit is set. Bits do not tell their regions: who looks for those asks for
 * each file that there is.
 *
 * On disk
 *   sector 0, 1    superblocks, written in turn; the valid one with the higher Generation counts
 *   sector 2 ..    two for each part of the bitmap, written in turn likewise
 * Each has a checksum. A part is flushed before it is written again, so a torn write leaves the
 * version before, which lacks only bits whose setting nobody has been told of.
 *
 * In use
 *   ticket = RplRegionLogTouch(...)        any thread: I am going to change this
 *   0, or wait until RplRegionLogIsDurable (then: it is set on disk)
 *   RplRegionLogSync(...)                  one thread: writes what is to be set
 *   RplRegionLogAge(...)                   now and then: what may be cleared
 * A thread that touches has taken its operation's Sequence before; else Age might clear under it.
 *
 * Touch, IsDurable, Age and the questions: DISPATCH_LEVEL at most, one spin lock, a leaf. The
 * others: one caller at a time; IRQL of the storage.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

#include "storage.h"

/* Of the file: RPL_REGION_LOG_SECTORS(parts) sectors. */
#define RPL_REGION_MAX_PARTS      256
#define RPL_REGION_LOG_SECTORS(n) (2 * (n) + 2)
#define RPL_REGION_PART_BITS      ((RPL_SECTOR - 32) * 8)
#define RPL_REGION_PART_WORDS     (RPL_REGION_PART_BITS / 64)

/* A change of more than so many regions counts as one of everything. */
#define RPL_REGION_MAX_TOUCHED 65536

typedef struct RPL_REGION_BITS
{
    UINT64 Word[RPL_REGION_PART_WORDS];
} RPL_REGION_BITS;

/* A part of the bitmap, in memory. */
typedef struct RPL_REGION_PART
{
    UINT64 Generation; /* on disk */
    UINT8 Slot;        /* of that */
    BOOLEAN WantSet;   /* bits are to be set on disk */
    BOOLEAN WantClear;
    BOOLEAN Writing;
    RPL_REGION_BITS Bits;   /* as it is to be */
    RPL_REGION_BITS OnDisk; /* those that are set on disk, and stay so */
    RPL_REGION_BITS Now;    /* touched in this period */
    RPL_REGION_BITS Before; /* in the period before */
    RPL_REGION_BITS Crash;  /* set when the log was opened without having been closed */
    RPL_REGION_BITS Written;
} RPL_REGION_PART;

typedef struct RPL_REGION_LOG
{
    RPL_STORAGE Storage;
    KSPIN_LOCK Lock;
    UCHAR *Scratch;    /* a sector */
    UINT64 Generation; /* of the superblock */
    ULONG Slot;
    UINT8 LogId[16];
    UINT64 Key[2];
    ULONG PartCount;
    RPL_REGION_PART *Part;
    UINT64 Begun; /* passes of Sync */
    UINT64 Done;
    UINT64 PeriodEnd;      /* Sequence */
    BOOLEAN Everything;    /* counts as touched until Age can clear it */
    BOOLEAN EverythingNow; /* touched in this period, likewise below */
    BOOLEAN EverythingBefore;
    BOOLEAN EverythingOnDisk;
    BOOLEAN EverythingCrash;
    BOOLEAN WantClear; /* of the mark of everything */
    BOOLEAN Unclean;   /* it had not been closed, and that is not forgotten */
} RPL_REGION_LOG;

/* Of memory for a log of so many parts, 1 .. RPL_REGION_MAX_PARTS. */
SIZE_T RplRegionLogBytes(_In_ ULONG Parts);

/*
 * Makes an empty log, in a file of RPL_REGION_LOG_SECTORS(Parts) sectors, and opens it. A cut
 * meanwhile leaves none. LogId: never used before. Secret: unknown outside. Memory:
 * RplRegionLogBytes, aligned to RPL_SECTOR, for as long as it is open.
 */
NTSTATUS RplRegionLogFormat(_Out_ RPL_REGION_LOG *Log, _In_ const RPL_STORAGE *Storage,
                            _In_ ULONG Parts, _In_reads_bytes_(16) const UINT8 *LogId,
                            _In_reads_bytes_(16) const UINT8 *Secret, _In_ UCHAR *Memory);

/* STATUS_NOT_FOUND: there is none of this size. If Log->Unclean, it is to be asked for what may
 * differ. From here on it counts as not closed. */
NTSTATUS RplRegionLogOpen(_Out_ RPL_REGION_LOG *Log, _In_ const RPL_STORAGE *Storage,
                          _In_ ULONG Parts, _In_ UCHAR *Memory);

/* All that is not acknowledged has a record somewhere durable: the next Open is no unclean one,
 * unless this one was and RplRegionLogForgetCrash has not been called. */
NTSTATUS RplRegionLogClose(_Inout_ RPL_REGION_LOG *Log);

/* These bytes of the file are going to change, its length or what else it has with Length 0. 0:
 * that is on disk; else a ticket. */
_IRQL_requires_max_(DISPATCH_LEVEL) UINT64
    RplRegionLogTouch(_Inout_ RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                      _In_ UINT64 Offset, _In_ UINT64 Length);

_IRQL_requires_max_(DISPATCH_LEVEL) BOOLEAN
    RplRegionLogIsDurable(_In_ const RPL_REGION_LOG *Log, _In_ UINT64 Ticket);

/* Writes all parts in which bits are to be set, with Clear those, too, in which some are to be
 * cleared. After a failure the same is to be done again. */
NTSTATUS RplRegionLogSync(_Inout_ RPL_REGION_LOG *Log, _In_ BOOLEAN Clear);

/*
 * A period ends, if all that was given out before the last one ended has been acknowledged; then
 * bits that were touched neither in this one nor in the one before are cleared. Last: the last
 * Sequence that was given out. Not to be called while operations go on that have no Sequence.
 */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRegionLogAge(_Inout_ RPL_REGION_LOG *Log, _In_ UINT64 Acknowledged, _In_ UINT64 Last);

/* May this byte's region have differed when the machine crashed? */
_IRQL_requires_max_(DISPATCH_LEVEL) BOOLEAN
    RplRegionLogCrashed(_Inout_ RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                        _In_ UINT64 Offset);

/* What differed after the crash has been synchronised: its bits may age. */
_IRQL_requires_max_(DISPATCH_LEVEL) VOID RplRegionLogForgetCrash(_Inout_ RPL_REGION_LOG *Log);

typedef struct RPL_REGION_COUNTS
{
    ULONG Bits;
    ULONG Set;   /* in force */
    ULONG Crash; /* set at the crash */
    BOOLEAN Everything;
    BOOLEAN EverythingCrash;
} RPL_REGION_COUNTS;

_IRQL_requires_max_(DISPATCH_LEVEL) VOID
    RplRegionLogCount(_Inout_ RPL_REGION_LOG *Log, _Out_ RPL_REGION_COUNTS *Counts);

/* The bits that were set at the crash, *Bit being the first at or after it. FALSE: none. */
_IRQL_requires_max_(DISPATCH_LEVEL) _Success_(return) BOOLEAN
    RplRegionLogNextCrash(_Inout_ RPL_REGION_LOG *Log, _Inout_ ULONG *Bit);

/* The bit of a byte's region. */
ULONG RplRegionLogBit(_In_ const RPL_REGION_LOG *Log, _In_reads_bytes_(16) const UINT8 *FileId,
                      _In_ UINT64 Offset);
