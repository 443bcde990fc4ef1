/*
 * The dirty-region log at work; what it is on disk and in memory is in regionlog.h.
 *
 * An operation that touches a region whose bit is not set waits for the region thread, which writes
 * all bits that are wanted at that time at once: while it writes, others come, and share the next
 * pass. Every few seconds a period ends, and bits of regions at rest are cleared, if all that they
 * stand for has been acknowledged, no bracket is open and nothing is dirty. An operation takes its
 * number a moment after it has touched; that moment would have to last a whole period.
 *
 * A change of unknown extent (behind an end of file) touches the file's own region, far behind all
 * data: then all of the file counts.
 */
#include "regions.h"

#include "config.h"
#include "folder.h"
#include "lost.h"
#include "regionlog.h"
#include "role.h"
#include "state.h"

#define RPL_REGION_PARTS  8
#define RPL_REGION_PERIOD (5000 * RPL_MS)

/* Of a file's own region. */
#define RPL_REGION_FILE 0x4000000000000000ULL

/* An operation that waits for the disk, on its stack. */
typedef struct RPL_REGION_WAITER
{
    LIST_ENTRY Link;
    UINT64 Ticket;
    KEVENT Event;
} RPL_REGION_WAITER;

static struct
{
    RPL_REGION_LOG Log;
    UCHAR *Memory;
    HANDLE File;
    volatile BOOLEAN Open;
    volatile LONG Status;
    PKTHREAD Thread;
    volatile BOOLEAN Stop;
    KEVENT Work;     /* synchronisation event */
    KSPIN_LOCK Lock; /* of Waiters */
    LIST_ENTRY Waiters;
} Regions;

static KSTART_ROUTINE RplRegionsThread;

static NTSTATUS RplRegionsFormat(_In_ const RPL_STORAGE *Storage)
{
    GUID id, secret;
    NTSTATUS status = ExUuidCreate(&id);

    if (NT_SUCCESS(status))
    {
        status = ExUuidCreate(&secret);
    }
    return NT_SUCCESS(status)
               ? RplRegionLogFormat(&Regions.Log, Storage, RPL_REGION_PARTS, (const UINT8 *)&id,
                                    (const UINT8 *)&secret, Regions.Memory)
               : status;
}

/* Late: everything counts as touched, since nobody could touch it before. */
static NTSTATUS RplRegionsOpen(_In_ BOOLEAN Late)
{
    RPL_STORAGE storage;
    NTSTATUS status = RplFolderOpen(
        L"regions", (UINT64)RPL_REGION_LOG_SECTORS(RPL_REGION_PARTS) * RPL_SECTOR, &Regions.File);

    if (NT_SUCCESS(status))
    {
        RplFolderStorage(Regions.File, &storage);
        status = RplRegionLogOpen(&Regions.Log, &storage, RPL_REGION_PARTS, Regions.Memory);
        if (status == STATUS_NOT_FOUND)
        {
            status = RplRegionsFormat(&storage);
        }
        if (NT_SUCCESS(status) && Late)
        {
            static const UINT8 all[16];

            (VOID) RplRegionLogTouch(&Regions.Log, all, 0, MAXLONGLONG);
            status = RplRegionLogSync(&Regions.Log, FALSE);
        }
        if (!NT_SUCCESS(status))
        {
            (VOID) ZwClose(Regions.File);
            Regions.File = NULL;
        }
    }
    InterlockedExchange(&Regions.Status, status);
    if (NT_SUCCESS(status))
    {
        KeMemoryBarrier();
        Regions.Open = TRUE;
    }
    return status;
}

_Use_decl_annotations_ NTSTATUS RplRegionsActivate(const UINT8 *FileId, UINT64 Offset,
                                                   UINT64 Length)
{
    LARGE_INTEGER timeout = {.QuadPart = -(LONGLONG)RplConfigurationBlockMs() * RPL_MS};
    RPL_REGION_WAITER waiter;
    KIRQL irql;

    RplRoleStir();
    if (!Regions.Open || !Stream.Capturing)
    {
        return STATUS_SUCCESS;
    }
    if (Length > MAXLONGLONG)
    {
        Offset = RPL_REGION_FILE;
        Length = 1;
    }
    waiter.Ticket = RplRegionLogTouch(&Regions.Log, FileId, Offset, Length);
    if (waiter.Ticket == 0)
    {
        return STATUS_SUCCESS;
    }
    KeInitializeEvent(&waiter.Event, NotificationEvent, FALSE);
    KeAcquireSpinLock(&Regions.Lock, &irql);
    InsertTailList(&Regions.Waiters, &waiter.Link);
    KeReleaseSpinLock(&Regions.Lock, irql);
    KeSetEvent(&Regions.Work, IO_NO_INCREMENT, FALSE);
    if (KeWaitForSingleObject(&waiter.Event, Executive, KernelMode, FALSE, &timeout) ==
        STATUS_TIMEOUT)
    {
        InterlockedExchange(&Regions.Status, STATUS_IO_TIMEOUT);
    }
    KeAcquireSpinLock(&Regions.Lock, &irql);
    RemoveEntryList(&waiter.Link);
    KeReleaseSpinLock(&Regions.Lock, irql);
    return STATUS_SUCCESS;
}

/* Wakes those whose bits are on disk. */
static VOID RplRegionsDone(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Regions.Lock, &irql);
    for (PLIST_ENTRY entry = Regions.Waiters.Flink; entry != &Regions.Waiters; entry = entry->Flink)
    {
        RPL_REGION_WAITER *waiter = CONTAINING_RECORD(entry, RPL_REGION_WAITER, Link);

        if (RplRegionLogIsDurable(&Regions.Log, waiter->Ticket))
        {
            KeSetEvent(&waiter->Event, IO_NO_INCREMENT, FALSE);
        }
    }
    KeReleaseSpinLock(&Regions.Lock, irql);
}

/* A period ends. */
static VOID RplRegionsAge(VOID)
{
    UINT64 acknowledged, last;
    BOOLEAN quiet;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    quiet = Stream.BracketCount == 0 && RplLostNothing();
    acknowledged = Stream.Acknowledged;
    last = Stream.Last;
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (quiet)
    {
        RplRegionLogAge(&Regions.Log, acknowledged, last);
    }
}

_Use_decl_annotations_ static VOID RplRegionsThread(PVOID StartContext)
{
    UINT64 end = RplNow() + RPL_REGION_PERIOD; /* of the period */
    NTSTATUS status;

    UNREFERENCED_PARAMETER(StartContext);
    for (;;)
    {
        UINT64 now = RplNow();
        LARGE_INTEGER timeout = {.QuadPart = now < end ? -(LONGLONG)(end - now) : 0};
        BOOLEAN tick;

        (VOID) KeWaitForSingleObject(&Regions.Work, Executive, KernelMode, FALSE, &timeout);
        /* By the clock: where something is touched all the time, the wait never ends by itself. */
        now = RplNow();
        tick = now >= end;
        if (tick)
        {
            end = now + RPL_REGION_PERIOD;
        }
        if (Regions.Stop)
        {
            break;
        }
        if (!Regions.Open)
        {
            if (NT_SUCCESS(RplRegionsOpen(TRUE)))
            {
                RplRoleRegionsOpen();
            }
            continue;
        }
        if (tick)
        {
            RplRegionsAge();
        }
        status = RplRegionLogSync(&Regions.Log, tick);
        if (NT_SUCCESS(status))
        {
            RplRegionsDone();
        }
        else
        {
            /* Those who wait do so up to their bound; it is tried again for the next. */
            InterlockedExchange(&Regions.Status, status);
        }
    }
    PsTerminateSystemThread(STATUS_SUCCESS);
}

NTSTATUS RplRegionsCreate(VOID)
{
    OBJECT_ATTRIBUTES attributes;
    NTSTATUS status;
    HANDLE handle;

    RtlZeroMemory(&Regions, sizeof(Regions));
    KeInitializeSpinLock(&Regions.Lock);
    InitializeListHead(&Regions.Waiters);
    KeInitializeEvent(&Regions.Work, SynchronizationEvent, FALSE);
    /* More than a page: it begins on one. */
    Regions.Memory =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, RplRegionLogBytes(RPL_REGION_PARTS), RPL_TAG);
    if (Regions.Memory == NULL)
    {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    (VOID) RplRegionsOpen(FALSE);
    InitializeObjectAttributes(&attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    status = PsCreateSystemThread(&handle, THREAD_ALL_ACCESS, &attributes, NULL, NULL,
                                  RplRegionsThread, NULL);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    status = ObReferenceObjectByHandle(handle, THREAD_ALL_ACCESS, *PsThreadType, KernelMode,
                                       (PVOID *)&Regions.Thread, NULL);
    NT_ASSERT(NT_SUCCESS(status)); /* a handle of our own, of the right type */
    (VOID) ZwClose(handle);
    return status;
}

VOID RplRegionsDestroy(VOID)
{
    if (Regions.Thread != NULL)
    {
        Regions.Stop = TRUE;
        KeSetEvent(&Regions.Work, IO_NO_INCREMENT, FALSE);
        (VOID) KeWaitForSingleObject(Regions.Thread, Executive, KernelMode, FALSE, NULL);
        ObDereferenceObject(Regions.Thread);
        Regions.Thread = NULL;
    }
    Regions.Open = FALSE;
    if (Regions.File != NULL)
    {
        (VOID) ZwClose(Regions.File);
        Regions.File = NULL;
    }
    if (Regions.Memory != NULL)
    {
        ExFreePoolWithTag(Regions.Memory, RPL_TAG);
        Regions.Memory = NULL;
    }
}

BOOLEAN RplRegionsReliable(VOID)
{
    return Regions.Open;
}

BOOLEAN RplRegionsFreeze(VOID)
{
    RPL_REGION_LOG *log = &Regions.Log;
    KIRQL irql;

    if (!Regions.Open || !NT_SUCCESS(Regions.Status))
    {
        return FALSE;
    }
    /* As if the machine had crashed now: all bits are those of a crash. */
    KeAcquireSpinLock(&log->Lock, &irql);
    for (ULONG i = 0; i < log->PartCount; i++)
    {
        for (ULONG word = 0; word < RPL_REGION_PART_WORDS; word++)
        {
            log->Part[i].Crash.Word[word] |= log->Part[i].Bits.Word[word];
        }
    }
    log->EverythingCrash |= log->Everything;
    log->Unclean = TRUE;
    KeReleaseSpinLock(&log->Lock, irql);
    return TRUE;
}

VOID RplRegionsForget(VOID)
{
    if (Regions.Open)
    {
        RplRegionLogForgetCrash(&Regions.Log);
    }
}

_Use_decl_annotations_ VOID RplRegionsStatus(UINT32 *Active, UINT32 *Status)
{
    RPL_REGION_COUNTS counts = {0};

    if (Regions.Open)
    {
        RplRegionLogCount(&Regions.Log, &counts);
    }
    *Active = counts.Everything ? counts.Bits : counts.Set;
    *Status = (UINT32)Regions.Status;
}

_Use_decl_annotations_ NTSTATUS RplQueryRegions(RPL_CALL *Call)
{
    REPL_REGION_QUERY query = *(const REPL_REGION_QUERY *)Call->Buffer;
    REPL_DIRTY_FILE *answer = Call->Buffer;
    REPL_DIRTY_RANGE *ranges = (REPL_DIRTY_RANGE *)(answer + 1);
    ULONG capacity = (Call->OutputBytes - (ULONG)sizeof(*answer)) / (ULONG)sizeof(*ranges);

    if (query.Size > MAXLONGLONG)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    RtlZeroMemory(answer, sizeof(*answer));
    RtlCopyMemory(answer->FileId, query.FileId, sizeof(answer->FileId));
    answer->Flags = REPL_DIRTY_REGION;
    if (!Regions.Open || RplRegionLogCrashed(&Regions.Log, query.FileId, RPL_REGION_FILE))
    {
        answer->Flags |= REPL_DIRTY_WHOLE;
        query.Size = 0;
    }
    for (UINT64 offset = 0; offset < query.Size; offset += REPL_REGION_BYTES)
    {
        UINT64 length = RPL_MIN(query.Size - offset, REPL_REGION_BYTES);
        REPL_DIRTY_RANGE *last = answer->RangeCount == 0 ? NULL : &ranges[answer->RangeCount - 1];

        if (!RplRegionLogCrashed(&Regions.Log, query.FileId, offset))
        {
            continue;
        }
        if (last != NULL && last->Offset + last->Length == offset)
        {
            last->Length += length;
            continue;
        }
        if (answer->RangeCount == capacity)
        {
            answer->Flags |= REPL_DIRTY_WHOLE;
            answer->RangeCount = 0;
            break;
        }
        ranges[answer->RangeCount].Offset = offset;
        ranges[answer->RangeCount++].Length = length;
    }
    Call->Written = (ULONG)(sizeof(*answer) + answer->RangeCount * sizeof(*ranges));
    return STATUS_SUCCESS;
}
