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
#include "flows.h"
#include "fragment.h"
#include "neighbor.h"
#include "reserve.h"
#include "stats.h"
#include "view.h"
#include "work.h"

OIP_GLOBALS Oip;

static EXT_CALLBACK OipTick;
static IO_WORKITEM_ROUTINE OipReserveWork;
static IO_WORKITEM_ROUTINE OipRscWork;

static OIP_WORK ReserveWork;
static OIP_WORK RscWork;

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
    if (NT_SUCCESS(status))
    {
        status = OipFlowsCreate();
    }
    if (!NT_SUCCESS(status))
    {
        return status;
    }
    Oip.Timer = ExAllocateTimer(OipTick, NULL, EX_TIMER_HIGH_RESOLUTION);
    return Oip.Timer == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

/* Frees a configuration and the one that it remembers. */
static VOID OipFreeConfiguration(_In_opt_ OIP_CONFIGURATION *Config)
{
    if (Config != NULL)
    {
        if (Config->Former != NULL)
        {
            ExFreePoolWithTag(Config->Former, OIP_TAG_CONFIG);
        }
        ExFreePoolWithTag(Config, OIP_TAG_CONFIG);
    }
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
    OipFlowsDestroy();
    OipFlowsUse(NULL, NULL);
    OipFreeConfiguration(Oip.Config);
    Oip.Config = NULL;
}

/* The living, and those that fell silent a moment ago. */
static UINT64 OipTrusted(_In_ const OIP_CONFIGURATION *Config)
{
    UINT64 trusted = Config->Alive;
    UINT64 now = OipNow();

    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        if (Config->DiedAt[i] != 0 && now - Config->DiedAt[i] < OIP_TRUST)
        {
            trusted |= 1ULL << i;
        }
    }
    return trusted;
}

/* Puts the view of Config by the role's liveness in force, in the memory that is not in use.
 * Before: the view that it follows, NULL none. RoleLock. */
static VOID OipMakeView(_Inout_ OIP_CONFIGURATION *Config, _In_opt_ const OIP_VIEW *Before)
{
    OIP_VIEW *view = &Config->Views[Config->View == &Config->Views[0]];
    OIP_LIVENESS liveness = Oip.Role.Liveness;
    ULONG members = Config->Header.MemberCount;
    LOCK_STATE_EX lockState;
    OIP_SERVING serving;

    serving.Liveness = &liveness;
    serving.Alive = OipLivenessAlive(&liveness, members);
    /* Whoever drains is to the table as if it were dead; so when it is to serve again it gets back
     * just the slots that it had. */
    OipLivenessToggle(&liveness, members, Oip.Role.DrainingMembers & serving.Alive);
    serving.Set = OipLivenessAlive(&liveness, members);
    OipViewMake(Config, &serving, Before, view);

    for (ULONG i = 0; i < members; i++)
    {
        if ((Config->Alive & ~serving.Alive) >> i & 1)
        {
            Config->DiedAt[i] = OipNow();
        }
    }
    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Config->View = view;
    Config->Alive = serving.Alive;
    Config->Trusted = OipTrusted(Config);
    NdisReleaseRWLock(Oip.DataLock, &lockState);
}

/* Those whose time is over are trusted no more. RoleLock. */
static VOID OipUpdateTrusted(_Inout_ OIP_CONFIGURATION *Config)
{
    UINT64 trusted = Config->Trusted == Config->Alive ? Config->Alive : OipTrusted(Config);
    LOCK_STATE_EX lockState;

    if (Config->Trusted == trusted)
    {
        return;
    }
    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Config->Trusted = trusted;
    NdisReleaseRWLock(Oip.DataLock, &lockState);
}

/* The data path learns whom this node follows. RoleLock. */
static VOID OipPublishDispatcher(_Inout_ OIP_CONFIGURATION *Config)
{
    LOCK_STATE_EX lockState;

    if (Config->Followed == Oip.Role.Dispatcher)
    {
        return;
    }
    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Config->Followed = Oip.Role.Dispatcher;
    if (Config->Followed != OIP_TABLE_NONE)
    {
        UINT32 node = Config->Members[Config->Followed].NodeId;

        if (Oip.LastDispatcher != 0 && Oip.LastDispatcher != node)
        {
            Oip.TakeoverAt = OipNow();
        }
        Oip.LastDispatcher = node;
    }
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    OipFlowsClaim();
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

    if (config != NULL)
    {
        if (Oip.Actions.TableChanged)
        {
            OipMakeView(config, config->View);
            OipFlowsClaim();
        }
        OipPublishDispatcher(config);
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

/* Ends a call of the role: carries out what it wants done, releases RoleLock and sends. */
static VOID OipRoleCallEnd(_In_ KIRQL Irql)
{
    OIP_FILTER *filter = Oip.Bound;
    OIP_SENDS sends;

    OipSendsBegin(&sends);
    OipPerform(&sends);
    KeReleaseSpinLockFromDpcLevel(&Oip.RoleLock);
    if (filter != NULL)
    {
        OipSubmitActions(filter, &sends);
    }
    KeLowerIrql(Irql);
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
            if (Oip.Bound != NULL)
            {
                OipFragmentsExpire(Oip.Bound, MAXULONG64); /* nobody dispatches them any more */
            }
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
        if (Oip.Config != NULL)
        {
            OipUpdateTrusted(Oip.Config);
        }
        if (filter != NULL)
        {
            OipFragmentsExpire(filter, now);
        }
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
        OIP_FILTER *left = Oip.Bound;

        OipLockAll(&irql, &lockState);
        Oip.Bound = NULL;
        OipUpdateAndUnlock(NULL, FALSE, irql, &lockState);
        OipFragmentsExpire(left, MAXULONG64);
    }
    OipLockAll(&irql, &lockState);
    Oip.Bound = Filter;
    OipUpdateAndUnlock(Filter, FALSE, irql, &lockState);
}

/*
 * Makes Config remember what Old knew of who served whom: by slot where both hash alike, else all
 * of Old. Map: old to new members. Config is not in force yet. RoleLock.
 */
static VOID OipSucceed(_Inout_ OIP_CONFIGURATION *Config, _Inout_opt_ OIP_CONFIGURATION *Old,
                       _In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map)
{
    if (Old == NULL)
    {
        OipMakeView(Config, NULL);
        return;
    }
    for (ULONG i = 0; i < Old->Header.MemberCount; i++)
    {
        if (Map[i] != OIP_TABLE_NONE)
        {
            Config->DiedAt[Map[i]] = Old->DiedAt[i];
            Config->Alive |= (Old->Alive >> i & 1) << Map[i];
        }
    }
    if (!OipViewSameFunction(Old, Config))
    {
        Config->Former = Old;
        RtlCopyMemory(Config->FormerMap, Map, sizeof(Config->FormerMap));
        OipMakeView(Config, NULL);
        return;
    }
    if (Old->Former != NULL)
    {
        Config->Former = Old->Former;
        for (ULONG i = 0; i < ONEIP_MAX_MEMBERS; i++)
        {
            UINT8 member = Old->FormerMap[i];

            Config->FormerMap[i] = member == OIP_TABLE_NONE ? OIP_TABLE_NONE : Map[member];
        }
    }
    OipViewMap(Old->View, Map, &Config->Views[0]);
    Config->View = &Config->Views[0];
    OipMakeView(Config, &Config->Views[0]);
}

/* Where the rules of Old are in Config, by content. */
static VOID OipRuleMap(_In_ const OIP_CONFIGURATION *Old, _In_ const OIP_CONFIGURATION *Config,
                       _Inout_updates_(ONEIP_MAX_RULES) UINT8 *Map)
{
    for (ULONG i = 0; i < Old->Header.RuleCount; i++)
    {
        for (ULONG j = 0; j < Config->Header.RuleCount; j++)
        {
            if (RtlEqualMemory(&Old->Rules[i], &Config->Rules[j], sizeof(ONEIP_RULE)))
            {
                Map[i] = (UINT8)j;
            }
        }
    }
}

_Use_decl_annotations_ VOID OipClusterConfigure(OIP_CONFIGURATION *Config, BOOLEAN ResetReplay)
{
    OIP_CONFIGURATION *old = Oip.Config;
    OIP_FILTER *filter = OipFindFilter(Config);
    UINT8 map[ONEIP_MAX_MEMBERS];
    UINT8 rules[ONEIP_MAX_RULES];
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
    RtlFillMemory(rules, sizeof(rules), OIP_RULE_NONE);
    if (old != NULL && Config != NULL)
    {
        OipTableMap(old->Members, old->Header.MemberCount, Config->Members,
                    Config->Header.MemberCount, map);
        OipRuleMap(old, Config, rules);
    }
    if (ResetReplay)
    {
        OipClaimsReset();
    }

    OipSendsBegin(&sends);
    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    if (Config == NULL)
    {
        OipRoleUnconfigure(&Oip.Role, OipNow(), &Oip.Actions);
        Oip.LastDispatcher = 0;
        Oip.TakeoverAt = 0;
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
        OipSucceed(Config, old, map);
        Config->Followed = Oip.Role.Dispatcher;
        Oip.Actions.TableChanged = FALSE;
    }
    restart = old != NULL && Config != NULL &&
              old->Header.BeaconMilliseconds != Config->Header.BeaconMilliseconds;

    NdisAcquireRWLockWrite(Oip.DataLock, &lockState, NDIS_RWL_AT_DISPATCH_LEVEL);
    Oip.Config = Config;
    OipStatsRemapMembers(map);
    OipStatsRemapRules(rules);
    NdisReleaseRWLock(Oip.DataLock, &lockState);
    OipFlowsClaim();

    OipPerform(&sends);
    if (restart && Oip.Started)
    {
        LONGLONG period = (LONGLONG)Config->Header.BeaconMilliseconds * 10000;

        /* At once: the lease is still that of the interval before, and so is the others' patience.
         */
        ExSetTimer(Oip.Timer, -1, period, NULL);
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
    if (old == NULL)
    {
        return;
    }
    if (Config != NULL && Config->Former == old)
    {
        OipFreeConfiguration(old->Former);
        old->Former = NULL;
        return;
    }
    if (Config != NULL)
    {
        old->Former = NULL; /* handed on */
    }
    OipFreeConfiguration(old);
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
    if (Running)
    {
        OipWorkQueue(&RscWork); /* what could not be asked while it was paused */
    }
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
        UINT64 wanted;
        KIRQL irql;

        KeAcquireSpinLock(&Oip.RoleLock, &irql);
        wanted = Oip.ReserveWanted;
        KeReleaseSpinLock(&Oip.RoleLock, irql);

        /* A failure is not the end: the role asks again with every tick. */
        if (NT_SUCCESS(OipReserveStore(wanted)))
        {
            KeAcquireSpinLock(&Oip.RoleLock, &irql);
            OipRoleCounterDurable(&Oip.Role, OipNow(), wanted, &Oip.Actions);
            OipRoleCallEnd(irql);
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
        if (filter->Running && filter->RscAsked != *Disable)
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
        UINT64 reserve;
        KIRQL irql;

        KeAcquireSpinLock(&Oip.RoleLock, &irql);
        result = OipRoleSetPrimary(&Oip.Role, OipNow(), &Oip.Actions);
        reserve = Oip.Actions.Reserve;
        OipRoleCallEnd(irql);

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
    KIRQL irql;

    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    OipRoleSetVeto(&Oip.Role, OipNow(), Veto, &Oip.Actions);
    OipRoleCallEnd(irql);
}

_Use_decl_annotations_ VOID OipClusterSetDrain(BOOLEAN Drain)
{
    KIRQL irql;

    KeAcquireSpinLock(&Oip.RoleLock, &irql);
    OipRoleSetDrain(&Oip.Role, OipNow(), Drain, &Oip.Actions);
    OipRoleCallEnd(irql);
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
    Status->Draining = Oip.Role.Draining;
    Status->Epoch = Oip.Role.Epoch;
    Status->ReservedCounter = Oip.Role.ReservedCounter;
    Status->Takeovers = Oip.Role.Takeovers;
    Status->RoleMilliseconds = (now - Oip.Role.StateSince) / 10000;
    Status->EventSequence = OipEventSequence();
    if (config != NULL)
    {
        Status->MemberCount = config->Header.MemberCount;
        Status->RuleCount = config->Header.RuleCount;
        Status->LocalNode = config->Header.LocalNode;
        Status->Generation = config->Header.Generation;
        Status->TableDigest = config->BaseDigest;
        Status->ClusterGeneration = OipRoleClusterGeneration(&Oip.Role, &behind);
        Status->Behind = behind;
        if (Oip.Role.Dispatcher != OIP_TABLE_NONE)
        {
            Status->Dispatcher = config->Members[Oip.Role.Dispatcher].NodeId;
        }
        OipTableCount(config->View->Table, slots);
        for (ULONG i = 0; i < config->Header.MemberCount; i++)
        {
            RtlZeroMemory(&Members[i], sizeof(Members[i]));
            Members[i].NodeId = config->Members[i].NodeId;
            Members[i].Alive = i == config->Local || (Oip.Role.Alive >> i & 1) != 0;
            Members[i].SilentMs = i == config->Local ? 0 : OipRoleSilentMs(&Oip.Role, now, i);
            Members[i].Slots = slots[i];
            Members[i].Draining = (Oip.Role.DrainingMembers >> i & 1) != 0;
            Members[i].Generation =
                i == config->Local ? config->Header.Generation : Oip.Role.Members[i].Generation;
            OipStatsMember(i, &Members[i].Frames, &Members[i].Bytes);
        }
    }
    KeReleaseSpinLock(&Oip.RoleLock, irql);
}
