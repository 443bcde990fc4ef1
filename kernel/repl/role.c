/*
 * Role, epoch and numbers, durable.
 *
 * One value in the driver's persistent registry state has it all; it is replaced as a whole and the
 * hive flushed, so after a power cut there is the old one or the new one.
 *
 *   Lease   no number above it has ever been given out. It is raised in steps before they are used;
 *           where the driver did not end in an orderly way, the numbers go on above it.
 *   Clean   the driver ended in an orderly way, at Last, with all acknowledged, no bracket open and
 *           nothing dirty. Cleared before anything is captured.
 *
 * Each time a driver begins to capture, the stream has a ReplRecordStart; where what happened
 * before may not have been recorded (a crash, a pause as ReplRoleNone), it opens a bracket of all
 * sets.
 */
#include "role.h"

#include "brackets.h"
#include "config.h"
#include "drain.h"
#include "lost.h"
#include "regions.h"
#include "ring.h"
#include "state.h"
#include "wait.h"

#define RPL_DURABLE_VERSION 1

typedef struct RPL_DURABLE_STATE
{
    UINT32 Version;
    UINT32 Role;
    UINT64 Epoch;
    UINT64 Lease;
    UINT64 Last;         /* if Clean */
    UINT64 Acknowledged; /* at least */
    UINT32 Clean;
    UINT32 Captured; /* something was, since the stream began */
    UINT32 Regions;  /* the dirty-region log has all that was, since the driver started */
    UINT32 Reserved;
    UINT8 StreamId[16];
} RPL_DURABLE_STATE;

static struct
{
    HANDLE Key;
    KMUTEX Lock; /* of State and the value */
    RPL_DURABLE_STATE State;
    volatile UINT32 Role;
    BOOLEAN Started;         /* RplRoleStart has been: the stream goes on from what is on disk */
    volatile BOOLEAN Rested; /* the state on disk is clean, and the stream still goes on */
    BOOLEAN Paused;          /* captured once in this life, and does not now */
} Role;

static const UNICODE_STRING RplStateName = RTL_CONSTANT_STRING(L"Stream");

static VOID RplRoleLock(VOID)
{
    (VOID) KeWaitForSingleObject(&Role.Lock, Executive, KernelMode, FALSE, NULL);
}

static VOID RplRoleUnlock(VOID)
{
    (VOID) KeReleaseMutex(&Role.Lock, FALSE);
}

UINT32 RplRole(VOID)
{
    return ReadULongAcquire((volatile ULONG *)&Role.Role);
}

UINT64 RplEpoch(VOID)
{
    return ReadULong64Acquire(&Role.State.Epoch);
}

/* On disk, or nothing has changed. Under Role.Lock. */
static NTSTATUS RplRoleWrite(_In_ const RPL_DURABLE_STATE *State)
{
    NTSTATUS status = ZwSetValueKey(Role.Key, (PUNICODE_STRING)&RplStateName, 0, REG_BINARY,
                                    (PVOID)State, sizeof(*State));

    if (NT_SUCCESS(status))
    {
        status = ZwFlushKey(Role.Key);
    }
    if (NT_SUCCESS(status))
    {
        Role.State = *State;
    }
    return status;
}

NTSTATUS RplRoleLoad(VOID)
{
    union
    {
        KEY_VALUE_PARTIAL_INFORMATION Information;
        UCHAR Bytes[FIELD_OFFSET(KEY_VALUE_PARTIAL_INFORMATION, Data) + sizeof(RPL_DURABLE_STATE)];
    } value;
    NTSTATUS status;
    ULONG bytes;

    RtlZeroMemory(&Role, sizeof(Role));
    KeInitializeMutex(&Role.Lock, 0);
    status = IoOpenDriverRegistryKey(Repl.DriverObject, DriverRegKeyPersistentState,
                                     KEY_READ | KEY_WRITE, 0, &Role.Key);
    if (!NT_SUCCESS(status))
    {
        Role.Key = NULL;
        return status;
    }
    status = ZwQueryValueKey(Role.Key, (PUNICODE_STRING)&RplStateName, KeyValuePartialInformation,
                             &value, sizeof(value), &bytes);
    if (status == STATUS_OBJECT_NAME_NOT_FOUND)
    {
        Role.State.Version = RPL_DURABLE_VERSION;
        Role.State.Clean = 1;
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (value.Information.Type != REG_BINARY || value.Information.DataLength != sizeof(Role.State))
    {
        return STATUS_REGISTRY_CORRUPT;
    }
    RtlCopyMemory(&Role.State, value.Information.Data, sizeof(Role.State));
    return Role.State.Version == RPL_DURABLE_VERSION && Role.State.Role <= ReplRoleBackup
               ? STATUS_SUCCESS
               : STATUS_REGISTRY_CORRUPT;
}

VOID RplRoleClose(VOID)
{
    if (Role.Key != NULL)
    {
        (VOID) ZwClose(Role.Key);
        Role.Key = NULL;
    }
}

/* The stream begins here, in memory. Unclean: what came before may be missing. */
static VOID RplRoleBegin(_In_ BOOLEAN Unclean)
{
    REPL_START start = {0};
    RPL_INTENT intent = {.Type = ReplRecordStart, .DataBytes = sizeof(start)};
    RPL_SLOT *slot;
    ULONG wake = 0;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    start.Previous = Stream.Last;
    start.Unclean = Unclean;
    RtlCopyMemory(start.StreamId, Role.State.StreamId, sizeof(start.StreamId));
    if (Unclean)
    {
        intent.Flags = REPL_FLAG_OPEN;
        intent.Reason = ReplBracketCrash;
    }
    Stream.Epoch = Role.State.Epoch;
    Stream.Capturing = TRUE;
    Stream.Lost = FALSE;
    Stream.BaseAfter = Unclean ? Stream.Acknowledged : Stream.Last;
    slot = RplPlace(&intent, &wake);
    if (slot == NULL)
    {
        wake |= RplLose();
    }
    else
    {
        Stream.Base = slot->Sequence;
    }
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (slot != NULL)
    {
        RplFill(slot, &intent, Role.State.Epoch);
        RtlCopyMemory(slot->Data, &start, sizeof(start));
        RplCommit(slot, sizeof(start), 0, 0);
    }
    RplWake(wake | RPL_WAKE_WAITERS);
}

static VOID RplRoleEnd(VOID)
{
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    Role.Paused |= Stream.Capturing;
    Stream.Capturing = FALSE;
    KeReleaseSpinLock(&Stream.Lock, irql);
    RplWake(RPL_WAKE_WAITERS);
}

/*
 * Begins or ends to capture, as role and configuration say. Sequence: the numbers go on above it, 0
 * where they do as they are. Fresh: even if it captures now. Under Role.Lock; Next is what is to be
 * durable, and its lease is made here.
 */
static NTSTATUS RplRoleApply(_Inout_ RPL_DURABLE_STATE *Next, _In_ UINT64 Sequence,
                             _In_ BOOLEAN Fresh, _In_ BOOLEAN Unclean)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    BOOLEAN capture = Next->Role == ReplRolePrimary && configuration->SetCount != 0;
    BOOLEAN begins = capture && (Fresh || !Stream.Capturing);
    NTSTATUS status;
    KIRQL irql;

    RplConfigurationRelease(configuration);
    if (begins)
    {
        Sequence = RPL_MAX(Sequence, Stream.Last);
        if (Sequence > MAXLONGLONG - RPL_LEASE_STEP)
        {
            return STATUS_INTEGER_OVERFLOW;
        }
        Next->Lease = RPL_MAX(Next->Lease, Sequence + RPL_LEASE_STEP);
        Next->Clean = 0;
        Next->Captured = 1;
        Next->Regions = RplRegionsReliable();
    }
    status = RplRoleWrite(Next);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    if (begins || !capture)
    {
        RplRoleEnd();
    }
    WriteULongRelease((volatile ULONG *)&Role.Role, Next->Role);
    if (begins)
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        Stream.Last = Sequence;
        if (IsListEmpty(&Stream.InFlight))
        {
            Stream.Completed = Sequence;
        }
        Stream.Lease = Next->Lease;
        Stream.UncleanStart = Unclean;
        KeReleaseSpinLock(&Stream.Lock, irql);
        if (Unclean && Role.Paused)
        {
            KeAcquireSpinLock(&Stream.Lock, &irql);
            RplLostMarkHistory(TRUE);
            KeReleaseSpinLock(&Stream.Lock, irql);
        }
        Role.Paused = FALSE;
        RplRoleBegin(Unclean);
    }
    return STATUS_SUCCESS;
}

static BOOLEAN RplSameStream(_In_ const UINT8 *StreamId)
{
    return RtlEqualMemory(StreamId, Role.State.StreamId, sizeof(Role.State.StreamId));
}

BOOLEAN RplRoleAllowsStream(_In_ const UINT8 *StreamId)
{
    return RplSameStream(StreamId) || !Stream.Capturing;
}

/* A new stream: nothing of the old one counts. On disk first: numbers of the old one, which begin
 * again here, must not be taken for its. Under Role.Lock, and nothing is captured. */
static NTSTATUS RplRoleNewStream(_In_ const UINT8 *StreamId)
{
    RPL_DURABLE_STATE next = Role.State;
    NTSTATUS status;

    if (!RplDrainIsQuiet())
    {
        return STATUS_DEVICE_BUSY;
    }
    RtlCopyMemory(next.StreamId, StreamId, sizeof(next.StreamId));
    next.Lease = 0;
    next.Last = 0;
    next.Acknowledged = 0;
    next.Clean = 1;
    next.Captured = 0;
    status = RplRoleWrite(&next);
    if (NT_SUCCESS(status))
    {
        RplDrainReset();
        Role.Paused = FALSE;
    }
    return status;
}

NTSTATUS RplRoleConfigured(VOID)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    RPL_DURABLE_STATE next;
    NTSTATUS status = STATUS_SUCCESS;

    RplRoleLock();
    if (!RplSameStream(configuration->StreamId))
    {
        status = RplRoleNewStream(configuration->StreamId);
    }
    if (NT_SUCCESS(status))
    {
        next = Role.State;
        /* Sets that were not there before: whoever added them synchronises them. */
        status = RplRoleApply(&next, 0, FALSE, Role.Paused);
    }
    RplRoleUnlock();
    RplConfigurationRelease(configuration);
    return status;
}

NTSTATUS RplRoleStart(VOID)
{
    const RPL_CONFIGURATION *configuration = RplConfigurationAcquire();
    BOOLEAN unclean = Role.State.Captured && !Role.State.Clean;
    BOOLEAN regions = Role.State.Regions && RplRegionsReliable();
    RPL_DURABLE_STATE next;
    NTSTATUS status = STATUS_SUCCESS;
    UINT64 last;
    KIRQL irql;

    RplRoleLock();
    if (!RplSameStream(configuration->StreamId))
    {
        /* Set just before the driver ended: what is durable of the stream is of the one before. */
        status = RplRoleNewStream(configuration->StreamId);
        unclean = FALSE;
    }
    next = Role.State;
    if (unclean)
    {
        /* Whatever the role is now: who was primary then has what nobody else has. */
        KeAcquireSpinLock(&Stream.Lock, &irql);
        RplLostMarkHistory(!regions);
        KeReleaseSpinLock(&Stream.Lock, irql);
    }
    else
    {
        RplRegionsForget();
    }
    last = next.Clean ? next.Last : next.Lease;
    KeAcquireSpinLock(&Stream.Lock, &irql);
    Stream.Last = last;
    Stream.Completed = last;
    Stream.Acknowledged = next.Clean ? next.Last : next.Acknowledged;
    Stream.Lease = next.Lease;
    Stream.Epoch = next.Epoch;
    Stream.UncleanStart = unclean;
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (NT_SUCCESS(status))
    {
        status = RplRoleApply(&next, 0, FALSE, unclean);
    }
    Role.Started = NT_SUCCESS(status);
    RplRoleUnlock();
    RplConfigurationRelease(configuration);
    return status;
}

_Use_decl_annotations_ NTSTATUS RplSetRole(RPL_CALL *Call)
{
    const REPL_ROLE *role = Call->Buffer;
    RPL_DURABLE_STATE next;
    BOOLEAN newer, unclean;
    NTSTATUS status;

    if (role->Reserved != 0)
    {
        return RplRefuse(Call, ReplRefusalReserved, STATUS_INVALID_PARAMETER);
    }
    if (role->Role > ReplRoleBackup)
    {
        return RplRefuse(Call, ReplRefusalRole, STATUS_INVALID_PARAMETER);
    }
    RplRoleLock();
    next = Role.State;
    newer = role->Epoch > next.Epoch;
    if (role->Epoch == 0 || role->Epoch < next.Epoch)
    {
        RplRoleUnlock();
        return RplRefuse(Call, ReplRefusalEpoch, STATUS_INVALID_PARAMETER);
    }
    if (role->Sequence != 0 && (role->Role != ReplRolePrimary || !newer))
    {
        RplRoleUnlock();
        return RplRefuse(Call, ReplRefusalSequence, STATUS_INVALID_PARAMETER);
    }
    /* Where it is not said at which number the files stand, what happened since they were captured
     * last is not known. */
    unclean = role->Sequence == 0 && next.Role != ReplRolePrimary && next.Captured;
    next.Role = role->Role;
    next.Epoch = role->Epoch;
    status = RplRoleApply(&next, role->Sequence, newer, unclean);
    RplRoleUnlock();
    if (!NT_SUCCESS(status))
    {
        return RplRefuseAt(
            Call, status == STATUS_INTEGER_OVERFLOW ? ReplRefusalSequence : ReplRefusalNone, 0,
            status, status);
    }
    RplDurableCancel();
    return STATUS_SUCCESS;
}

/* Is all that was captured acknowledged, and nothing else due? */
static BOOLEAN RplRoleIsQuiet(VOID)
{
    BOOLEAN quiet;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    quiet = IsListEmpty(&Stream.InFlight) && Stream.Acknowledged == Stream.Last &&
            Stream.BracketCount == 0 && RplLostNothing();
    KeReleaseSpinLock(&Stream.Lock, irql);
    return quiet;
}

VOID RplRoleRenew(VOID)
{
    RPL_DURABLE_STATE next;
    BOOLEAN due;
    UINT64 last, acknowledged;
    KIRQL irql;

    KeAcquireSpinLock(&Stream.Lock, &irql);
    last = Stream.Last;
    acknowledged = Stream.Acknowledged;
    due = Stream.Capturing && Stream.Lease - last <= RPL_LEASE_STEP / 2;
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (Role.Rested && (last != Role.State.Last || !RplRoleIsQuiet()))
    {
        RplRoleStir();
    }
    if (!due)
    {
        return;
    }
    RplRoleLock();
    next = Role.State;
    next.Lease = RPL_MAX(next.Lease, last + RPL_LEASE_STEP);
    next.Acknowledged = acknowledged;
    if (NT_SUCCESS(RplRoleWrite(&next)))
    {
        KeAcquireSpinLock(&Stream.Lock, &irql);
        Stream.Lease = RPL_MAX(Stream.Lease, next.Lease);
        KeReleaseSpinLock(&Stream.Lock, irql);
    }
    RplRoleUnlock();
}

VOID RplRoleRest(VOID)
{
    RPL_DURABLE_STATE next;
    BOOLEAN clean;
    KIRQL irql;

    if (!Role.Started)
    {
        return;
    }
    RplRoleLock();
    next = Role.State;
    clean = next.Captured && RplRoleIsQuiet();
    KeAcquireSpinLock(&Stream.Lock, &irql);
    next.Last = Stream.Last;
    next.Acknowledged = Stream.Acknowledged;
    KeReleaseSpinLock(&Stream.Lock, irql);
    if (clean && next.Last == next.Acknowledged)
    {
        next.Clean = 1;
        Role.Rested = NT_SUCCESS(RplRoleWrite(&next));
    }
    RplRoleUnlock();
    /* What came meanwhile is seen there. */
    RplWake(RPL_WAKE_DRAIN);
}

BOOLEAN RplRoleIsRested(VOID)
{
    return ReadBooleanNoFence(&Role.Rested);
}

VOID RplRoleStir(VOID)
{
    RPL_DURABLE_STATE next;

    if (!ReadBooleanNoFence(&Role.Rested))
    {
        return;
    }
    RplRoleLock();
    if (Role.Rested)
    {
        next = Role.State;
        next.Clean = 0;
        if (NT_SUCCESS(RplRoleWrite(&next)))
        {
            Role.Rested = FALSE;
        }
    }
    RplRoleUnlock();
}

VOID RplRoleRegionsOpen(VOID)
{
    RPL_DURABLE_STATE next;

    RplRoleLock();
    next = Role.State;
    next.Regions = 1;
    (VOID) RplRoleWrite(&next); /* else a crash costs a comparison of all */
    RplRoleUnlock();
}
