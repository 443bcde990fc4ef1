/*
 * The cluster: joins the role (role.c), the configuration and the adapter.
 *
 * The role runs (Oip.Started) exactly while there is a configuration, an adapter with the local
 * member's MAC, and that adapter is running, connected and not about to pause. OipClusterUpdate
 * makes it so after every change of one of these. A high-resolution timer ticks it every beacon
 * interval; an ordinary one would tick every 15.6 ms at best (WDK: "High-Resolution Timers").
 *
 * What a call of the role wants done is done under RoleLock, but for sending, which would call
 * into other drivers: NBLs are made under the lock and submitted after it.
 *
 * Two things need PASSIVE_LEVEL and are done by work items: making epoch counters durable, and
 * asking the adapter to switch receive segment coalescing.
 */
#include "cluster.h"

#include "event.h"
#include "neighbor.h"
#include "reserve.h"
#include "stats.h"

OIP_GLOBALS Oip;

static EXT_CALLBACK OipTick;
static IO_WORKITEM_ROUTINE OipReserveWork;
static IO_WORKITEM_ROUTINE OipRscWork;

/* A work item that runs once at a time, and once more if asked again meanwhile. */
typedef struct OIP_WORK
{
    PIO_WORKITEM Item;
    PIO_WORKITEM_ROUTINE Routine;
    KSPIN_LOCK Lock;
    ULONG Requests; /* 0: idle */
    KEVENT Idle;
} OIP_WORK;

static OIP_WORK ReserveWork;
static OIP_WORK RscWork;

static NTSTATUS OipWorkCreate(_Out_ OIP_WORK *Work, _In_ PIO_WORKITEM_ROUTINE Routine)
{
    Work->Routine = Routine;
    Work->Requests = 0;
    KeInitializeSpinLock(&Work->Lock);
    KeInitializeEvent(&Work->Idle, NotificationEvent, TRUE);
    /* A driver object serves as well as a device of its own. (WDK: IoAllocateWorkItem) */
    Work->Item = IoAllocateWorkItem((PDEVICE_OBJECT)Oip.DriverObject);
    return Work->Item == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

static VOID OipWorkQueue(_Inout_ OIP_WORK *Work)
{
    KIRQL irql;

    KeAcquireSpinLock(&Work->Lock, &irql);
    if (Work->Requests++ == 0)
    {
        KeClearEvent(&Work->Idle);
        IoQueueWorkItem(Work->Item, Work->Routine, DelayedWorkQueue, Work);
    }
    KeReleaseSpinLock(&Work->Lock, irql);
}

/* At the end of the routine, which did what the first Seen requests asked. TRUE: do it again. */
static BOOLEAN OipWorkAgain(_Inout_ OIP_WORK *Work, _Inout_ ULONG *Seen)
{
    BOOLEAN again;
    KIRQL irql;

    KeAcquireSpinLock(&Work->Lock, &irql);
    again = Work->Requests != *Seen;
    *Seen = Work->Requests;
    if (!again)
    {
        Work->Requests = 0;
        KeSetEvent(&Work->Idle, IO_NO_INCREMENT, FALSE);
    }
    KeReleaseSpinLock(&Work->Lock, irql);
    return again;
}

static VOID OipWorkDestroy(_Inout_ OIP_WORK *Work)
{
    if (Work->Item != NULL)
    {
        KeWaitForSingleObject(&Work->Idle, Executive, KernelMode, FALSE, NULL);
        IoFreeWorkItem(Work->Item);
        Work->Item = NULL;
    }
}

VOID OipControlLock(VOID)
{
    KeWaitForSingleObject(&Oip.ControlLock, Executive, KernelMode, FALSE, NULL);
}

VOID OipControlUnlock(VOID)
{
    KeReleaseMutex(&Oip.ControlLock, FALSE);
}

NTSTATUS OipClusterCreate(VOID)
{
    UINT64 boot;
    UINT64 reserve;
    NTSTATUS status;

    KeInitializeSpinLock(&Oip.RoleLock);
    status = OipReserveLoad(&boot, &reserve);
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    OipRoleInitialize(&Oip.Role, boot, reserve);

    status = OipWorkCreate(&ReserveWork, OipReserveWork);
    if (NT_SUCCESS(status))
    {
        status = OipWorkCreate(&RscWork, OipRscWork);
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    Oip.Timer = ExAllocateTimer(OipTick, NULL, EX_TIMER_HIGH_RESOLUTION);
    return Oip.Timer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

VOID OipClusterDestroy(VOID)
{
    if (Oip.Timer != NULL)
    {
        ExDeleteTimer(Oip.Timer, TRUE, TRUE, NULL);
        Oip.Timer = NULL;
    }
    OipWorkDestroy(&RscWork);
    OipWorkDestroy(&ReserveWork);
    OipReserveClose();
    if (Oip.Config != NULL)
    {
        ExFreePoolWithTag(Oip.Config, OIP_TAG_CONFIG);
        Oip.Config = NULL;
    }
}

/* Makes the effective table of Config by the role's liveness, in the buffer that is not in use. */
static VOID OipMakeEffective(_Inout_ OIP_CONFIGURATION *Config)
{
    UINT8 *table = Config->Tables[Config->Effective == Config->Tables[0]];
    UINT8 list[ONEIP_MAX_MEMBERS];
    ULONG listCount =
        OipModuloList(Config->Members, Config->Header.MemberCount,
                      OipLivenessAlive(&Oip.Role.Liveness, Config->Header.MemberCount), list);
    LOCK_STATE_EX lockState;

    OipTableEffective(Config->Base, Config->Members, Config->Header.MemberCount, &Oip.Role.Liveness,
                      table, &Config->Scratch);

    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Config->Effective = table;
    RtlCopyMemory(Config->List, list, sizeof(list));
    Config->ListCount = listCount;
    NdisReleaseRWLock(Oip.DataLock, &lockState);
}

/* FALSE: not all could be made. */
static BOOLEAN OipAppendBeacons(_In_ const OIP_CONFIGURATION *Config, _Inout_ OIP_SENDS *Sends)
{
    UINT8 payload[OIP_BEACON_BYTES];
    UINT64 targets = Oip.Actions.Targets;

    OipBeaconEncode(&Oip.Actions.Beacon, Config->Header.ClusterId, &Config->BeaconKey, payload);
    for (ULONG member = 0; targets != 0; member++, targets >>= 1)
    {
        PNET_BUFFER_LIST nbl;
        UCHAR *data;

        if ((targets & 1) == 0)
        {
            continue;
        }
        if (!OipSendsReserve(Oip.Bound, 1, Sends))
        {
            return FALSE;
        }
        nbl = OipAllocateSend(Oip.Bound, OIP_ETHERNET_BYTES + OIP_BEACON_BYTES, &data);
        if (nbl == NULL)
        {
            return FALSE; /* the next beacon is due in milliseconds */
        }
        RtlCopyMemory(data, Config->Members[member].Mac, 6);
        RtlCopyMemory(data + 6, Oip.Bound->Mac, 6);
        OipWrite16(data + 12, OIP_BEACON_ETHERTYPE);
        RtlCopyMemory(data + OIP_ETHERNET_BYTES, payload, sizeof(payload));
        OipSendsAppend(Sends, nbl);
        OipCount(BeaconsSent, 1);
    }
    return TRUE;
}

/*
 * Carries out Oip.Actions, of a call of the role that was just made. RoleLock. What is to be sent
 * is appended to Sends; the caller submits it when it has released the lock.
 */
static VOID OipPerform(_Inout_ OIP_SENDS *Sends)
{
    OIP_CONFIGURATION *config = Oip.Config;

    if (Oip.Actions.TableChanged && config != NULL)
    {
        OipMakeEffective(config);
    }
    if (Oip.Bound != NULL && config != NULL)
    {
        if ((Oip.Actions.Targets == 0 || OipAppendBeacons(config, Sends)) && Oip.Actions.Sent != 0)
        {
            Sends->Sent = Oip.Actions.Sent;
        }
        if (Oip.Actions.Announce)
        {
            OipCount(Announcements, OipNeighborAnnounce(Oip.Bound, config, Sends));
        }
    }
    if (Oip.Actions.Reserve != 0)
    {
        Oip.ReserveWanted = OIP_MAX(Oip.ReserveWanted, Oip.Actions.Reserve);
        OipWorkQueue(&ReserveWork);
    }
    if (Oip.Actions.RoleChanged)
    {
        OipWorkQueue(&RscWork);
    }
    for (ULONG i = 0; i < Oip.Actions.EventCount; i++)
    {
        const OIP_ROLE_EVENT *from = &Oip.Actions.Events[i];
        ONEIP_EVENT event = {0};

        event.Kind = from->Kind;
        event.Node = from->Node;
        event.Value = from->Value;
        event.Epoch = from->Epoch;
        OipEventRaise(&event);
    }
}

/* Sends what OipPerform appended, and tells the role that its beacons are out, from which on its
 * lease counts (role.h, R3). RoleLock is not held. */
static VOID OipSubmitActions(_In_ OIP_FILTER *Filter, _Inout_ OIP_SENDS *Sends)
{
    UINT64 sent = Sends->Sent;
    KIRQL irql;

    OipSubmit(Filter, Sends);
    if (sent != 0)
    {
        KeAcquireSpinLock(&Oip.RoleLock, &irql);
        OipRoleSent(&Oip.Role, OipNow(), sent);
        KeReleaseSpinLock(&Oip.RoleLock, irql);
    }
}

static VOID OipRaise(_In_ UINT32 Kind, _In_ UINT32 Node, _In_ UINT64 Value)
{
    ONEIP_EVENT event = {0};

    event.Kind = Kind;
    event.Node = Node;
    event.Value = Value;
    OipEventRaise(&event);
}

static UINT32 OipAdapterState(VOID)
{
    if (Oip.Config == NULL || Oip.Bound == NULL)
    {
        return OneIpAdapterAbsent;
    }
    if (!Oip.Bound->Running || Oip.Bound->Leaving)
    {
        return OneIpAdapterPaused;
    }
    return Oip.Bound->Connected ? OneIpAdapterRunning : OneIpAdapterDisconnected;
}

/* After a change of configuration or adapter: starts or stops the role. RoleLock. */
static VOID OipClusterUpdate(_In_ BOOLEAN Orderly, _Inout_ OIP_SENDS *Sends)
{
    UINT32 state = OipAdapterState();
    BOOLEAN start = state == OneIpAdapterRunning;

    if (start != Oip.Started)
    {
        Oip.Started = start;
        if (start)
        {
            LONGLONG period = (LONGLONG)Oip.Config->Header.BeaconMilliseconds * 10000;

            OipRoleStart(&Oip.Role, OipNow(), &Oip.Actions);
            ExSetTimer(Oip.Timer, -period, period, NULL);
        }
        else
        {
            ExCancelTimer(Oip.Timer, NULL);
            OipRoleStop(&Oip.Role, OipNow(), Orderly, &Oip.Actions);
        }
        OipPerform(Sends);
    }
    if (state != Oip.AdapterState)
    {
        Oip.AdapterState = state;
        OipRaise(OneIpEventAdapter, 0, state);
    }
}

_Use_decl_annotations_ static VOID OipTick(PEX_TIMER Timer, PVOID Context)
{
    OIP_FILTER *filter;
    OIP_SENDS sends;

    UNREFERENCED_PARAMETER(Timer);
    UNREFERENCED_PARAMETER(Context);
    OipSendsBegin(&sends);
    KeAcquireSpinLockAtDpcLevel(&Oip.RoleLock);
    filter = Oip.Bound;
    if (Oip.Started)
    {
        UINT64 now = OipNow();

        OipRoleTick(&Oip.Role, now, &Oip.Actions);
        if (InterlockedExchange(&Oip.AnnounceWanted, 0) != 0 && OipRoleIsActing(&Oip.Role, now))
        {
            Oip.Actions.Announce = TRUE;
        }
        OipPerform(&sends);
    }
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    if (filter != NULL)
    {
        OipSubmitActions(filter, &sends);
    }
}

_Use_decl_annotations_ VOID OipClusterBeacon(OIP_FILTER *Filter, const UCHAR *Payload,
                                             const UCHAR *SourceMac)
{
    OIP_BEACON beacon;
    UINT32 sender = 0;
    OIP_SENDS sends;

    OipSendsBegin(&sends);
    KeAcquireSpinLockAtDpcLevel(&Oip.RoleLock);
    if (Oip.Bound == Filter && Oip.Config != NULL && Oip.Started)
    {
        UINT64 now = OipNow();
        OIP_BEACON_RESULT result =
            OipBeaconDecode(Payload, OIP_BEACON_BYTES, Oip.Config->Header.ClusterId,
                            &Oip.Config->BeaconKey, &beacon, &sender);

        if (result == OipBeaconOk && OipRoleBeacon(&Oip.Role, now, &beacon, &Oip.Actions))
        {
            OipCount(BeaconsReceived, 1);
            OipPerform(&sends);
        }
        else if (result != OipBeaconCluster)
        {
            OipCount(BeaconsRejected, 1);
        }

        if (result == OipBeaconMac &&
            (Oip.KeyEventAt == 0 || now - Oip.KeyEventAt >= 60ULL * 10000000))
        {
            ONEIP_EVENT event = {0};

            Oip.KeyEventAt = now;
            event.Kind = OneIpEventBeaconKey;
            event.Node = sender;
            RtlCopyMemory(event.Mac, SourceMac, sizeof(event.Mac));
            OipEventRaise(&event);
        }
    }
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    OipSubmitActions(Filter, &sends);
}

/* The filter whose adapter has the local member's MAC. ControlLock. */
static OIP_FILTER *OipFindFilter(_In_opt_ const OIP_CONFIGURATION *Config)
{
    if (Config == NULL)
    {
        return NULL;
    }
    for (PLIST_ENTRY entry = Oip.Filters.Flink; entry != &Oip.Filters; entry = entry->Flink)
    {
        OIP_FILTER *filter = CONTAINING_RECORD(entry, OIP_FILTER, Link);

        if (RtlEqualMemory(filter->Mac, Config->Members[Config->Local].Mac, sizeof(filter->Mac)))
        {
            return filter;
        }
    }
    return NULL;
}

/* Both locks, for a change of what the data path reads. */
static VOID OipLockAll(_Out_ PKIRQL Irql, _Out_ PLOCK_STATE_EX LockState)
{
    KeAcquireSpinLock(&Oip.RoleLock, Irql);
    NdisAcquireRWLockWrite(Oip.DataLock, LockState, NDIS_RWL_AT_DISPATCH_LEVEL);
}

/* Releases the data path, updates the role, releases RoleLock and sends through Filter. */
static VOID OipUpdateAndUnlock(_In_opt_ OIP_FILTER *Filter, _In_ BOOLEAN Orderly, _In_ KIRQL Irql,
                               _In_ PLOCK_STATE_EX LockState)
{
    OIP_SENDS sends;

    OipSendsBegin(&sends);
    NdisReleaseRWLock(Oip.DataLock, LockState);
    OipClusterUpdate(Orderly, &sends);
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    if (Filter != NULL)
    {
        OipSubmitActions(Filter, &sends);
    }
    KeLowerIrql(Irql);
}

/* Binds the cluster to Filter, leaving another in silence. ControlLock. */
static VOID OipBind(_In_opt_ OIP_FILTER *Filter)
{
    LOCK_STATE_EX lockState;
    KIRQL irql;

    if (Oip.Bound == Filter)
    {
        return;
    }
    if (Oip.Bound != NULL)
    {
        OipLockAll(&irql, &lockState);
        Oip.Bound = NULL;
        OipUpdateAndUnlock(NULL, FALSE, irql, &lockState);
    }
    OipLockAll(&irql, &lockState);
    Oip.Bound = Filter;
    OipUpdateAndUnlock(Filter, FALSE, irql, &lockState);
}

_Use_decl_annotations_ VOID OipClusterConfigure(OIP_CONFIGURATION *Config, BOOLEAN ResetReplay)
{
    OIP_CONFIGURATION *old = Oip.Config;
    OIP_FILTER *filter = OipFindFilter(Config);
    UINT8 map[ONEIP_MAX_MEMBERS];
    LOCK_STATE_EX lockState;
    OIP_SENDS sends;
    BOOLEAN restart;
    KIRQL irql;

    if (filter != Oip.Bound)
    {
        /* The others need not wait for silence. */
        OIP_FILTER *left = Oip.Bound;

        if (left != NULL)
        {
            OipClusterLeaving(left, TRUE);
            OipBind(NULL);
            OipClusterLeaving(left, FALSE);
        }
    }
    RtlFillMemory(map, sizeof(map), OIP_TABLE_NONE);
    if (old != NULL && Config != NULL)
    {
        OipTableMap(old->Members, old->Header.MemberCount, Config->Members,
                    Config->Header.MemberCount, map);
    }

    OipSendsBegin(&sends);
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    if (Config == NULL)
    {
        OipRoleUnconfigure(&Oip.Role, OipNow(), &Oip.Actions);
        if (Oip.Started)
        {
            ExCancelTimer(Oip.Timer, NULL);
            Oip.Started = FALSE;
        }
    }
    else
    {
        OipRoleConfigure(&Oip.Role, OipNow(), &Config->Header, Config->Members, Config->BaseDigest,
                         ResetReplay, &Oip.Actions);
        Config->Effective = NULL;
        OipMakeEffective(Config);
        Oip.Actions.TableChanged = FALSE;
    }
    restart = old != NULL && Config != NULL &&
              old->Header.BeaconMilliseconds != Config->Header.BeaconMilliseconds;

    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Oip.Config = Config;
    OipStatsRemapMembers(map);
    NdisReleaseRWLock(Oip.DataLock, &lockState);

    OipPerform(&sends);
    if (restart && Oip.Started)
    {
        LONGLONG period = (LONGLONG)Config->Header.BeaconMilliseconds * 10000;

        ExSetTimer(Oip.Timer, -period, period, NULL);
    }
    OipRaise(OneIpEventConfig, 0, Config == NULL ? 0 : Config->Header.Generation);
    filter = Oip.Bound;
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    if (filter != NULL)
    {
        OipSubmitActions(filter, &sends);
    }
    KeLowerIrql(irql);

    OipBind(OipFindFilter(Config));
    OipLockAll(&irql, &lockState);
    OipUpdateAndUnlock(Oip.Bound, FALSE, irql, &lockState);
    if (old != NULL)
    {
        ExFreePoolWithTag(old, OIP_TAG_CONFIG);
    }
}

_Use_decl_annotations_ VOID OipClusterAttach(OIP_FILTER *Filter)
{
    InsertTailList(&Oip.Filters, &Filter->Link);
    if (Oip.Bound == NULL)
    {
        OipBind(OipFindFilter(Oip.Config));
    }
}

_Use_decl_annotations_ VOID OipClusterDetach(OIP_FILTER *Filter)
{
    RemoveEntryList(&Filter->Link);
    if (Oip.Bound == Filter)
    {
        OipBind(OipFindFilter(Oip.Config));
    }
}

_Use_decl_annotations_ VOID OipClusterRunning(OIP_FILTER *Filter, BOOLEAN Running)
{
    LOCK_STATE_EX lockState;
    KIRQL irql;

    OipLockAll(&irql, &lockState);
    Filter->Running = Running;
    if (Running)
    {
        Filter->Leaving = FALSE;
    }
    OipUpdateAndUnlock(Filter, FALSE, irql, &lockState);
}

_Use_decl_annotations_ VOID OipClusterConnected(OIP_FILTER *Filter, BOOLEAN Connected)
{
    LOCK_STATE_EX lockState;
    KIRQL irql;

    OipLockAll(&irql, &lockState);
    Filter->Connected = Connected;
    OipUpdateAndUnlock(Filter, FALSE, irql, &lockState);
}

_Use_decl_annotations_ VOID OipClusterLeaving(OIP_FILTER *Filter, BOOLEAN Leaving)
{
    LOCK_STATE_EX lockState;
    KIRQL irql;

    OipLockAll(&irql, &lockState);
    Filter->Leaving = Leaving;
    OipUpdateAndUnlock(Filter, TRUE, irql, &lockState);
}

_Use_decl_annotations_ VOID OipClusterOffload(OIP_FILTER *Filter, const OIP_OFFLOAD *Offload)
{
    LOCK_STATE_EX lockState;
    KIRQL irql;

    OipLockAll(&irql, &lockState);
    Filter->Offload = *Offload;
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    KeReleaseSpinLock(&Oip.RoleLock, irql);
}

_Use_decl_annotations_ static VOID OipReserveWork(PDEVICE_OBJECT Device, PVOID Context)
{
    ULONG seen = 1;

    UNREFERENCED_PARAMETER(Device);
    do
    {
        OIP_FILTER *filter;
        OIP_SENDS sends;
        UINT64 wanted;
        KIRQL irql;

        KeAcquireSpinLock(&Oip.RoleLock, &irql);
        wanted = Oip.ReserveWanted;
        KeReleaseSpinLock(&Oip.RoleLock, irql);

        /* A failure is not the end: the role asks again with every tick. */
        if (NT_SUCCESS(OipReserveStore(wanted)))
        {
            OipSendsBegin(&sends);
            KeAcquireSpinLock(&Oip.RoleLock, &irql);
            filter = Oip.Bound;
            OipRoleCounterDurable(&Oip.Role, OipNow(), wanted, &Oip.Actions);
            OipPerform(&sends);
            KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
            if (filter != NULL)
            {
                OipSubmitActions(filter, &sends);
            }
            KeLowerIrql(irql);
        }
    } while (OipWorkAgain(Context, &seen));
}

/* A filter whose adapter has not been asked for what is wanted now, claimed for that; or NULL. */
static OIP_FILTER *OipClaimRsc(_Out_ BOOLEAN *Disable)
{
    OIP_FILTER *claimed = NULL;
    BOOLEAN dispatcher;
    KIRQL irql;

    OipControlLock();
    /* Not OipRoleIsActing: this may run before the first beacons are out. */
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    dispatcher = Oip.Role.State == OneIpRoleDispatcher;
    KeReleaseSpinLock(&Oip.RoleLock, irql);
    for (PLIST_ENTRY entry = Oip.Filters.Flink; entry != &Oip.Filters && claimed == NULL;
         entry = entry->Flink)
    {
        OIP_FILTER *filter = CONTAINING_RECORD(entry, OIP_FILTER, Link);

        *Disable = filter == Oip.Bound && dispatcher;
        if (filter->RscAsked != *Disable)
        {
            filter->RscAsked = *Disable;
            KeClearEvent(&filter->OidIdle);
            claimed = filter;
        }
    }
    OipControlUnlock();
    return claimed;
}

_Use_decl_annotations_ static VOID OipRscWork(PDEVICE_OBJECT Device, PVOID Context)
{
    ULONG seen = 1;

    UNREFERENCED_PARAMETER(Device);
    do
    {
        OIP_FILTER *filter;
        BOOLEAN disable;

        while ((filter = OipClaimRsc(&disable)) != NULL)
        {
            OipFilterSetRsc(filter, disable);
            KeSetEvent(&filter->OidIdle, IO_NO_INCREMENT, FALSE);
        }
    } while (OipWorkAgain(Context, &seen));
}

ONEIP_REASON OipClusterSetPrimary(VOID)
{
    static const ONEIP_REASON reasons[] = {
        [OipPrimaryDone] = OneIpReasonNone,
        [OipPrimaryPending] = OneIpReasonNone,
        [OipPrimaryVetoed] = OneIpReasonVetoed,
        [OipPrimaryStopped] = OneIpReasonNoAdapter,
        [OipPrimaryNotDurable] = OneIpReasonEpochNotDurable,
        [OipPrimaryYielding] = OneIpReasonNodeId,
    };
    OIP_PRIMARY_RESULT result = OipPrimaryNotDurable;

    if (Oip.Config == NULL)
    {
        return OneIpReasonNotConfigured;
    }
    for (ULONG attempt = 0; attempt < 2 && result == OipPrimaryNotDurable; attempt++)
    {
        OIP_FILTER *filter;
        OIP_SENDS sends;
        UINT64 reserve;
        KIRQL irql;

        OipSendsBegin(&sends);
        KeAcquireSpinLock(&Oip.RoleLock, &irql);
        filter = Oip.Bound;
        result = OipRoleSetPrimary(&Oip.Role, OipNow(), &Oip.Actions);
        reserve = Oip.Actions.Reserve;
        OipPerform(&sends);
        KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
        if (filter != NULL)
        {
            OipSubmitActions(filter, &sends);
        }
        KeLowerIrql(irql);

        if (result == OipPrimaryNotDurable && reserve != 0)
        {
            /* The work item has it in hand. */
            KeWaitForSingleObject(&ReserveWork.Idle, Executive, KernelMode, FALSE, NULL);
        }
    }
    return reasons[result];
}

_Use_decl_annotations_ VOID OipClusterSetVeto(BOOLEAN Veto)
{
    OIP_FILTER *filter;
    OIP_SENDS sends;
    KIRQL irql;

    OipSendsBegin(&sends);
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    filter = Oip.Bound;
    OipRoleSetVeto(&Oip.Role, OipNow(), Veto, &Oip.Actions);
    OipPerform(&sends);
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    if (filter != NULL)
    {
        OipSubmitActions(filter, &sends);
    }
    KeLowerIrql(irql);
}

_Use_decl_annotations_ VOID OipClusterStatus(ONEIP_STATUS *Status, ONEIP_MEMBER_STATUS *Members)
{
    const OIP_CONFIGURATION *config = Oip.Config; /* ControlLock keeps it */
    UINT32 slots[ONEIP_MAX_MEMBERS + 1];
    BOOLEAN behind;
    UINT64 now;
    KIRQL irql;

    RtlZeroMemory(Status, sizeof(*Status));
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    now = OipNow();
    Status->Version = ONEIP_CONTRACT_VERSION;
    Status->Role = Oip.Role.State;
    Status->AdapterState = OipAdapterState();
    Status->Vetoed = Oip.Role.Vetoed;
    Status->Epoch = Oip.Role.Epoch;
    Status->ReservedCounter = Oip.Role.ReservedCounter;
    Status->Takeovers = Oip.Role.Takeovers;
    Status->RoleMilliseconds = (now - Oip.Role.StateSince) / 10000;
    Status->EventSequence = OipEventSequence();
    if (config != NULL)
    {
        Status->MemberCount = config->Header.MemberCount;
        Status->LocalNode = config->Header.LocalNode;
        Status->Generation = config->Header.Generation;
        Status->TableDigest = config->BaseDigest;
        Status->ClusterGeneration = OipRoleClusterGeneration(&Oip.Role, &behind);
        Status->Behind = behind;
        if (Oip.Role.Dispatcher != OIP_TABLE_NONE)
        {
            Status->Dispatcher = config->Members[Oip.Role.Dispatcher].NodeId;
        }
        OipTableCount(config->Effective, slots);
        for (ULONG i = 0; i < config->Header.MemberCount; i++)
        {
            RtlZeroMemory(&Members[i], sizeof(Members[i]));
            Members[i].NodeId = config->Members[i].NodeId;
            Members[i].Alive = i == config->Local || (Oip.Role.Alive >> i & 1) != 0;
            Members[i].SilentMs = i == config->Local ? 0 : OipRoleSilentMs(&Oip.Role, now, i);
            Members[i].Slots = slots[i];
            Members[i].Generation =
                i == config->Local ? config->Header.Generation : Oip.Role.Members[i].Generation;
            OipStatsMember(i, &Members[i].Frames, &Members[i].Bytes);
        }
    }
    KeReleaseSpinLock(&Oip.RoleLock, irql);
}
