/*
 * The role: inputs, elections and transitions. The rules (R1 to R13) stand in role.h; each is named
 * here where it is kept. Who is alive, and the making of beacons, is roster.c's.
 */
#include "role.h"

#include "roster.h"
#include "siphash.h"

#define OIP_SECOND (10ULL * 1000 * 1000)

/* R13: longer than it takes until an announcement that was lost is repeated. */
#define OIP_RELAY_PERIOD (10 * OIP_SECOND)

/* The reserve on disk is raised when fewer than this many counters of it are left ... */
#define OIP_RESERVE_AHEAD 8
/* ... by so many. */
#define OIP_RESERVE_STEP 64

/* R10, in intervals. */
#define OIP_YIELD_INTERVALS 100

/* A conflict event, or an announcement because of a stale dispatcher, at most so often. */
#define OIP_CONFLICT_PERIOD (60 * OIP_SECOND)
#define OIP_STALE_PERIOD    OIP_SECOND

/* After a promotion: announced at once, then after these, then every AnnounceInterval. A single
 * gratuitous ARP may be lost, or come before a switch has opened the port. */
static const UINT64 OipAnnounceSteps[] = {50 * OIP_MILLISECOND, 150 * OIP_MILLISECOND,
                                          800 * OIP_MILLISECOND};

static UINT64 OipLease(_In_ const OIP_ROLE *Role)
{
    return Role->Interval * Role->SilenceBeacons;
}

/* By the interval of the dispatcher that is awaited. */
static UINT64 OipAwaited(_In_ const OIP_ROLE *Role)
{
    return Role->Dispatcher == OIP_TABLE_NONE ? Role->Interval
                                              : OipMemberInterval(Role, Role->Dispatcher);
}

static UINT64 OipSilence(_In_ const OIP_ROLE *Role)
{
    UINT64 interval = OipAwaited(Role);

    return interval * Role->SilenceBeacons + interval / 2;
}

static UINT64 OipStallLimit(_In_ const OIP_ROLE *Role)
{
    return Role->SilenceBeacons > 2 ? Role->Interval * (Role->SilenceBeacons - 1)
                                    : Role->Interval * 5 / 4;
}

/* Is a dispatcher heard, itself or by hearsay? */
static BOOLEAN OipHears(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    return Role->LastHeard != 0 && !Role->Resigned && Now - Role->LastHeard < OipSilence(Role);
}

/* Does this node itself hear the dispatcher it follows, so that others may rely on its word? */
static BOOLEAN OipFollows(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    return Role->State == OneIpRoleBackup && !Role->Resigned && !Role->Deaf &&
           Now - Role->LastHeardDirect < OipSilence(Role);
}

static VOID OipSetState(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT32 State,
                        _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    if (Role->State == State)
    {
        return;
    }
    /* R13. */
    if (State == OneIpRoleNone || State == OneIpRoleDispatcher)
    {
        Role->RelayUntil = 0;
    }
    else if (Role->State == OneIpRoleDispatcher)
    {
        Role->RelayAtOnce = Now < Role->ActingUntil;
        Role->RelayUntil = Now + OIP_RELAY_PERIOD;
    }
    /* R2: what follows a dispatcher's time is never its continuation. */
    Role->ActingUntil = 0;
    Role->PendingUp = 0;
    Role->State = State;
    Role->StateSince = Now;
    Actions->RoleChanged = TRUE;
    OipRoleEvent(Actions, OneIpEventRole, Role->LocalNode, State, &Role->Epoch);
}

static VOID OipLoseDispatcher(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now)
{
    Role->Dispatcher = OIP_TABLE_NONE;
    Role->SilenceFrom = Now;
    Role->Resigned = FALSE;
    Role->Deaf = FALSE;
    Role->DeafSince = 0;
}

/* Listening, with no dispatcher known and the silence counted from now. */
static VOID OipListen(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    OipLoseDispatcher(Role, Now);
    OipSetState(Role, Now, OneIpRoleListening, Actions);
}

/* The same with nothing known of the cluster: after Start, or in another cluster. */
static VOID OipListenAnew(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                          _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    Role->Starting = TRUE;
    Role->LastHeard = 0;
    Role->LastHeardDirect = 0;
    Role->AliveWithUs = 0;
    Role->Gone = 0;
    OipForgetAlive(Role, Actions);
    OipListen(Role, Now, Actions);
    Role->RelayUntil = 0;
}

/* A dispatcher is heard itself. */
static VOID OipFollow(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                      _In_ const ONEIP_EPOCH *Epoch, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    BOOLEAN another = Role->Dispatcher != Member || OipEpochCompare(&Role->Epoch, Epoch) != 0;

    if (another)
    {
        Role->Deaf = FALSE;
        Role->DeafSince = 0;
        Role->Dispatcher = Member;
        Role->Epoch = *Epoch;
    }
    Role->LastHeard = Now;
    Role->LastHeardDirect = Now;
    Role->Starting = FALSE;
    Role->Resigned = FALSE;
    OipSetState(Role, Now, OneIpRoleBackup, Actions);
    if (another)
    {
        OipRoleEvent(Actions, OneIpEventDispatcher, Epoch->NodeId, 0, Epoch);
    }
}

/* Asks for more durable counters ahead of need, again with every call until they are there. */
static VOID OipWantReserve(_In_ const OIP_ROLE *Role, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 next = OipMax(Role->HighestCounter, Role->UsedCounter) + 1;

    if (Role->Configured && Role->ReservedCounter < next + OIP_RESERVE_AHEAD)
    {
        Actions->Reserve = OipMin(next + OIP_RESERVE_STEP, OIP_EPOCH_COUNTER_MAX);
    }
}

/* R6, R7: how many go before this node. */
static ULONG OipPosition(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    UINT64 self = 1ULL << Role->Local;
    UINT64 others = OipBelievedAlive(Role, Now) & ~Role->VetoedMembers & ~self;
    BOOLEAN missed = Role->AliveKnown && !Role->Deaf && (Role->Alive & self) == 0;
    ULONG position = 0;
    ULONG i;

    if (Role->Dispatcher != OIP_TABLE_NONE)
    {
        others &= ~(1ULL << Role->Dispatcher);
    }
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        if ((others >> i & 1) != 0 &&
            (missed || Role->Members[i].Rank < Role->Members[Role->Local].Rank))
        {
            position += 1;
        }
    }
    return position;
}

/* Is it this node's turn to be promoted? */
static BOOLEAN OipIsTurn(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    UINT64 onTime = Role->Interval * 3 / 2;
    UINT64 due = OipMax(Role->SilenceFrom, Role->LastHeard);
    ULONG i;

    if ((Role->State != OneIpRoleListening && Role->State != OneIpRoleBackup) || Role->Vetoed ||
        Role->Yielding)
    {
        return FALSE;
    }
    if (Role->PrimaryWanted && Role->State == OneIpRoleBackup)
    {
        return TRUE;
    }
    /* R4: what arrived while this node was held up may still be in the receive queue. */
    if (Role->TickGap > onTime || Now - Role->LastTick > onTime)
    {
        return FALSE;
    }

    due += Role->Starting   ? 4 * Role->Interval * Role->SilenceBeacons
           : Role->Resigned ? 0
                            : OipSilence(Role);
    due = OipMax(due, Role->RunningSince + OipSilence(Role));
    if (Now < due)
    {
        return FALSE; /* the usual case, before the members are looked at */
    }
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        UINT64 dispatched = Role->Members[i].Dispatched;

        if (i != Role->Dispatcher && dispatched != 0 && Now - dispatched < OipSilence(Role))
        {
            return FALSE; /* R9 */
        }
    }
    return Role->PrimaryWanted || Now >= due + OipPosition(Role, Now) * 2 * OipAwaited(Role);
}

/* FALSE: no durable counter (R1); Actions ask for it. */
static BOOLEAN OipPromote(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                          _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 counter = OipMax(Role->HighestCounter, Role->UsedCounter) + 1;
    UINT64 alive;

    if (counter > Role->ReservedCounter || counter > OIP_EPOCH_COUNTER_MAX)
    {
        OipWantReserve(Role, Actions);
        return FALSE;
    }

    /* A dispatcher that fell silent, or is deaf, serves nobody; one that resigned may. */
    if (Role->Dispatcher != OIP_TABLE_NONE &&
        (Role->Deaf || (!Role->Resigned && !OipHears(Role, Now))))
    {
        Role->Gone |= 1ULL << Role->Dispatcher;
    }
    alive = OipBelievedAlive(Role, Now) | 1ULL << Role->Local;

    Role->Epoch.Counter = counter;
    Role->Epoch.NodeId = Role->LocalNode;
    Role->UsedCounter = counter;
    Role->HighestCounter = counter;
    Role->Dispatcher = Role->Local;
    Role->Starting = FALSE;
    Role->Resigned = FALSE;
    Role->Deaf = FALSE;
    Role->DeafSince = 0;
    Role->PrimaryWanted = FALSE;
    Role->StaleHeard = 0;
    Role->StaleAnnounced = 0;
    Role->Takeovers += 1;
    OipSetState(Role, Now, OneIpRoleDispatcher, Actions);

    OipSetAlive(Role, Now, alive, Actions);
    OipExcuseMembers(Role, Now);
    Role->Gone = 0;

    Role->AnnounceStep = 1;
    Role->NextAnnounce = Now + OipAnnounceSteps[0];
    Actions->Announce = TRUE;
    OipMakeBeacon(Role, OipBeaconDispatcher, 0, OipOthers(Role), Actions);
    Actions->Sent = Now;
    return TRUE;
}

static BOOLEAN OipTakeTurn(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                           _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    return OipIsTurn(Role, Now) && OipPromote(Role, Now, Actions);
}

/* A presence beacon. R8: it says whom this node follows, if it does, and for how long on whose
 * word; else it seeks. */
static VOID OipMakePresence(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT8 Flags,
                            _In_ UINT64 Targets, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    if (Role->State == OneIpRoleListening)
    {
        Flags |= OIP_BEACON_SEEKING;
    }
    OipMakeBeacon(Role, OipBeaconPresence, Flags, Targets, Actions);
    Actions->Beacon.HeardAgo = OIP_BEACON_UNHEARD;
    if (OipFollows(Role, Now))
    {
        Actions->Beacon.HeardAgo = (UINT32)((Now - Role->LastHeardDirect) / 10);
    }
}

/* R4. */
static VOID OipStalled(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Gap,
                       _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    Role->Stalls += 1;
    Role->RunningSince = Now;
    if (Role->Deaf)
    {
        Role->Deaf = FALSE; /* it missed us, but that is no wonder now */
        Role->Resigned = FALSE;
    }
    Role->DeafSince = 0;
    OipExcuseMembers(Role, Now);
    OipRoleEvent(Actions, OneIpEventStall, Role->LocalNode, Gap / OIP_MILLISECOND, &Role->Epoch);
}

static VOID OipAnnounceDue(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                           _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    /* R5: the other one has stepped down; whatever it announced last, we come after it. */
    if (Role->StaleHeard != 0 && Now - Role->StaleHeard >= 2 * Role->Interval)
    {
        Role->StaleHeard = 0;
        Role->StaleAnnounced = 0;
        Role->AnnounceStep = 0;
        Role->NextAnnounce = Now;
    }
    if (Now < Role->NextAnnounce)
    {
        return;
    }
    Actions->Announce = TRUE;
    if (Role->AnnounceStep < RTL_NUMBER_OF(OipAnnounceSteps))
    {
        Role->NextAnnounce = Now + OipAnnounceSteps[Role->AnnounceStep];
        Role->AnnounceStep += 1;
    }
    else
    {
        Role->NextAnnounce = Now + Role->AnnounceInterval;
    }
}

static VOID OipDispatcherTick(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                              _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    if (OipUpdateAlive(Role, Now, Actions))
    {
        /* R5: it may come from another part of the network, where somebody else was dispatcher. */
        Role->AnnounceStep = 0;
        Role->NextAnnounce = Now;
    }
    OipAnnounceDue(Role, Now, Actions);
    OipMakeBeacon(Role, OipBeaconDispatcher, 0, OipOthers(Role), Actions);
    Actions->Sent = Now;
}

static VOID OipFollowerTick(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                            _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 from = OipMax(Role->SilenceFrom, Role->LastHeard);
    UINT64 patience = Role->Resigned ? 0 : OipSilence(Role);

    if (OipTakeTurn(Role, Now, Actions))
    {
        return;
    }

    /* Somebody else's turn, or nobody's. One interval of grace, since in most cases the successor's
     * first beacon is on its way. */
    if (Role->State == OneIpRoleBackup && !Role->Deaf && Now - from >= patience + OipAwaited(Role))
    {
        if (!Role->Resigned && Role->Dispatcher != OIP_TABLE_NONE)
        {
            Role->Gone |= 1ULL << Role->Dispatcher;
        }
        Role->Dispatcher = OIP_TABLE_NONE;
        OipSetState(Role, Now, OneIpRoleListening, Actions);
    }

    OipMakePresence(Role, Now, 0,
                    Role->Dispatcher == OIP_TABLE_NONE ? OipOthers(Role) : 1ULL << Role->Dispatcher,
                    Actions);
}

/*
 * R3. Until when the role is held without a further beacon: the lease, or after a promotion, until
 * the first beacons are confirmed, the moment at which the next in line may go.
 */
static UINT64 OipHeldUntil(_In_ const OIP_ROLE *Role)
{
    return Role->ActingUntil != 0 ? Role->ActingUntil : Role->StateSince + 2 * Role->Interval;
}

VOID OipRoleTick(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 gap = Now - Role->LastTick;

    OipResetActions(Actions);
    if (Role->State == OneIpRoleNone)
    {
        return;
    }
    Role->LastTick = Now;
    Role->TickGap = gap;
    if (Role->Yielding)
    {
        if (Now < Role->YieldUntil)
        {
            return;
        }
        Role->Yielding = FALSE;
        OipListenAnew(Role, Now, Actions);
    }

    if (gap > OipStallLimit(Role))
    {
        OipStalled(Role, Now, gap, Actions);
    }
    if (Role->State == OneIpRoleDispatcher && Now >= OipHeldUntil(Role))
    {
        OipListen(Role, Now, Actions);
    }

    if (Role->State == OneIpRoleDispatcher)
    {
        OipDispatcherTick(Role, Now, Actions);
    }
    else
    {
        OipFollowerTick(Role, Now, Actions);
    }
    OipWantReserve(Role, Actions);
}

VOID OipRoleSent(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Sent)
{
    UINT64 until = Sent + OipLease(Role);

    /* Beacons that left after the lease was over renew nothing: somebody may act by now. */
    if (Role->State == OneIpRoleDispatcher && Sent >= Role->StateSince &&
        Now < OipHeldUntil(Role) && until > Role->ActingUntil)
    {
        Role->ActingUntil = until;
    }
}

/* R5, upper side: a dispatcher with a lower epoch than the one that we have or follow. */
static VOID OipAnswerStale(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                           _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    BOOLEAN answer = Role->StaleAnswered == 0 || Now - Role->StaleAnswered >= Role->Interval / 4;

    if (answer)
    {
        Role->StaleAnswered = Now;
    }
    if (Role->State != OneIpRoleDispatcher)
    {
        if (answer && OipFollows(Role, Now))
        {
            OipMakePresence(Role, Now, 0, 1ULL << Member, Actions);
        }
        return;
    }

    if (answer)
    {
        OipMakeBeacon(Role, OipBeaconDispatcher, 0, 1ULL << Member, Actions);
    }
    Role->StaleHeard = Now;
    if (Now < Role->ActingUntil &&
        (Role->StaleAnnounced == 0 || Now - Role->StaleAnnounced >= OIP_STALE_PERIOD))
    {
        Role->StaleAnnounced = Now;
        Actions->Announce = TRUE;
    }
}

/* R7. Does the dispatcher that is followed, and whose beacon this is, count as silent? */
static BOOLEAN OipJudgeDeaf(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                            _In_ const OIP_BEACON *Beacon)
{
    if (!OipHearsNobody(Role, Member, Beacon))
    {
        if (Role->Deaf)
        {
            Role->Deaf = FALSE;
            Role->Resigned = FALSE;
        }
        Role->DeafSince = 0;
        return FALSE;
    }
    if (Role->DeafSince == 0)
    {
        Role->DeafSince = Now;
    }
    if (!Role->Deaf && Now - Role->DeafSince >= OipMemberLimit(Role, Member))
    {
        Role->Deaf = TRUE;
        Role->Resigned = TRUE;
        Role->SilenceFrom = Now;
    }
    return Role->Deaf;
}

static VOID OipHearDispatcher(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                              _In_ const OIP_BEACON *Beacon, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    LONG order = OipEpochCompare(&Beacon->Epoch, &Role->Epoch);

    Role->Members[Member].Dispatched = Now;
    if (order < 0 && (Role->State == OneIpRoleDispatcher || OipHears(Role, Now)))
    {
        OipAnswerStale(Role, Now, Member, Actions);
        return;
    }
    OipSeen(Role, Now, Member);

    /* R5, lower side, is the same: follow, and by that cease to dispatch. */
    if (Role->State == OneIpRoleBackup && Role->Dispatcher == Member && order == 0 &&
        OipJudgeDeaf(Role, Now, Member, Beacon))
    {
        return;
    }
    OipFollow(Role, Now, Member, &Beacon->Epoch, Actions);
    if (!OipHearsNobody(Role, Member, Beacon))
    {
        OipAdoptAlive(Role, Now, Beacon, Actions);
    }
}

/* R8: somebody else hears a dispatcher. */
static VOID OipHearsay(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon)
{
    UINT64 heard = Now - OipMin(Now, (UINT64)Beacon->HeardAgo * 10);

    if (!OipHears(Role, Now) || OipEpochCompare(&Beacon->Epoch, &Role->Epoch) >= 0)
    {
        Role->Epoch = Beacon->Epoch;
        Role->LastHeard = OipMax(Role->LastHeard, heard);
    }
}

static VOID OipHearPresence(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                            _In_ const OIP_BEACON *Beacon, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    /* That others still follow what this node was before a restart is no news. */
    BOOLEAN follows = Beacon->HeardAgo != OIP_BEACON_UNHEARD &&
                      Beacon->HeardAgo * 10ULL < OipSilence(Role) &&
                      Beacon->Epoch.NodeId != Role->LocalNode;

    OipSeen(Role, Now, Member);
    switch (Role->State)
    {
    case OneIpRoleDispatcher:
        if (follows && OipEpochCompare(&Beacon->Epoch, &Role->Epoch) > 0)
        {
            OipListen(Role, Now, Actions);
            OipHearsay(Role, Now, Beacon);
        }
        break;
    case OneIpRoleListening:
        if (follows)
        {
            OipHearsay(Role, Now, Beacon);
        }
        break;
    default:
        if (Member == Role->Dispatcher)
        {
            /* R9. */
            if (follows)
            {
                OipListen(Role, Now, Actions);
                OipHearsay(Role, Now, Beacon);
            }
            else if (!Role->Resigned || Role->Deaf)
            {
                Role->Deaf = FALSE;
                Role->Resigned = TRUE;
                Role->SilenceFrom = Now;
            }
        }
        else if ((Beacon->Flags & OIP_BEACON_SEEKING) != 0 && OipFollows(Role, Now))
        {
            OipMakePresence(Role, Now, 0, 1ULL << Member, Actions);
        }
        break;
    }
}

static VOID OipHearResignation(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                               _In_ const OIP_BEACON *Beacon, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    OipSeen(Role, Now, Member);
    if (Role->State == OneIpRoleBackup && Role->Dispatcher == Member)
    {
        OipAdoptAlive(Role, Now, Beacon, Actions);
        Role->Deaf = FALSE;
        Role->Resigned = TRUE;
        Role->SilenceFrom = Now;
    }
}

/* R10. A beacon of our own NodeId. */
static VOID OipHearTwin(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                        _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    if (Beacon->Boot == Role->Boot ||
        !OipReplayAccept(&Role->Members[Role->Local].Replay, Beacon->Boot, Beacon->Sequence))
    {
        return; /* our own, reflected, or a recording */
    }
    Role->HighestCounter = OipMax(Role->HighestCounter, Beacon->Epoch.Counter);
    if (Role->ConflictEvent == 0 || Now - Role->ConflictEvent >= OIP_CONFLICT_PERIOD)
    {
        Role->ConflictEvent = Now;
        OipRoleEvent(Actions, OneIpEventConflict, Role->LocalNode, 0, &Beacon->Epoch);
    }
    if (Beacon->Boot > Role->Boot && Role->State != OneIpRoleNone)
    {
        Role->Yielding = TRUE;
        Role->PrimaryWanted = FALSE;
        Role->YieldUntil = Now + OIP_YIELD_INTERVALS * Role->Interval;
        OipListen(Role, Now, Actions);
    }
}

BOOLEAN OipRoleBeacon(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                      _Out_ OIP_ROLE_ACTIONS *Actions)
{
    ULONG member;

    OipResetActions(Actions);
    if (!Role->Configured)
    {
        return FALSE;
    }
    if (Beacon->Sender == Role->LocalNode)
    {
        OipHearTwin(Role, Now, Beacon, Actions);
        return FALSE;
    }
    member = OipRoleIndex(Role, Beacon->Sender);
    if (member == OIP_TABLE_NONE ||
        !OipReplayAccept(&Role->Members[member].Replay, Beacon->Boot, Beacon->Sequence))
    {
        return FALSE;
    }
    if (Role->State == OneIpRoleNone)
    {
        return TRUE; /* R11 */
    }

    Role->HighestCounter = OipMax(Role->HighestCounter, Beacon->Epoch.Counter);
    OipNoteMember(Role, Now, member, Beacon, Actions);
    switch (Beacon->Kind)
    {
    case OipBeaconDispatcher:
        OipHearDispatcher(Role, Now, member, Beacon, Actions);
        break;
    case OipBeaconPresence:
        OipHearPresence(Role, Now, member, Beacon, Actions);
        break;
    default:
        OipHearResignation(Role, Now, member, Beacon, Actions);
        break;
    }

    if (Role->Resigned || Role->PrimaryWanted)
    {
        (VOID) OipTakeTurn(Role, Now, Actions);
    }
    if (Role->Yielding)
    {
        Actions->Targets = 0;
    }
    OipWantReserve(Role, Actions);
    return TRUE;
}

VOID OipRoleInitialize(_Out_ OIP_ROLE *Role, _In_ UINT64 Boot, _In_ UINT64 StoredCounter)
{
    RtlZeroMemory(Role, sizeof(*Role));
    Role->Boot = Boot;
    Role->UsedCounter = StoredCounter;
    Role->ReservedCounter = StoredCounter;
    Role->Dispatcher = OIP_TABLE_NONE;
    Role->State = OneIpRoleNone;
}

VOID OipRoleConfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const ONEIP_CONFIG *Config,
                      _In_reads_(Config->MemberCount) const ONEIP_MEMBER *Members,
                      _In_ UINT64 TableDigest, _In_ BOOLEAN ResetReplay,
                      _Out_ OIP_ROLE_ACTIONS *Actions)
{
    BOOLEAN renamed = Role->Configured && Role->LocalNode != Config->LocalNode;

    OipResetActions(Actions);
    Role->Interval = Config->BeaconMilliseconds * OIP_MILLISECOND;
    Role->SilenceBeacons = Config->SilenceBeacons;
    Role->AnnounceInterval = Config->AnnounceSeconds * OIP_SECOND;
    Role->NextAnnounce = OipMin(Role->NextAnnounce, Now + Role->AnnounceInterval);
    Role->Generation = Config->Generation;
    Role->TableDigest = TableDigest;
    OipChangeMembers(Role, Now, Config, Members, ResetReplay);
    Role->Configured = TRUE;
    Actions->TableChanged = TRUE;

    if (Role->State != OneIpRoleNone)
    {
        if (renamed || (ResetReplay && Role->State != OneIpRoleDispatcher))
        {
            OipListenAnew(Role, Now, Actions);
        }
        else if (Role->State == OneIpRoleBackup && Role->Dispatcher == OIP_TABLE_NONE)
        {
            OipListen(Role, Now, Actions); /* the dispatcher is no member any more */
        }
    }
    OipWantReserve(Role, Actions);
}

VOID OipRoleStart(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    if (!Role->Configured || Role->State != OneIpRoleNone)
    {
        return;
    }
    Role->LastTick = Now;
    Role->TickGap = 0;
    Role->RunningSince = Now;
    Role->Yielding = FALSE;
    OipListenAnew(Role, Now, Actions);
    OipWantReserve(Role, Actions);
}

VOID OipRoleStop(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Orderly,
                 _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    if (Role->State == OneIpRoleNone)
    {
        return;
    }
    if (Orderly && !Role->Yielding)
    {
        if (Role->State == OneIpRoleDispatcher)
        {
            OipMakeBeacon(Role, OipBeaconResign, OIP_BEACON_LEAVING, OipOthers(Role), Actions);
        }
        else
        {
            OipMakePresence(Role, Now, OIP_BEACON_LEAVING, OipOthers(Role), Actions);
        }
    }
    Role->PrimaryWanted = FALSE;
    OipLoseDispatcher(Role, Now);
    OipSetState(Role, Now, OneIpRoleNone, Actions);
}

VOID OipRoleUnconfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipRoleStop(Role, Now, FALSE, Actions);
    Role->Configured = FALSE;
    Role->MemberCount = 0;
    Role->Liveness.Length = 0;
    Role->DrainingMembers = 0;
    Role->Epoch.Counter = 0;
    Role->Epoch.NodeId = 0;
}

OIP_PRIMARY_RESULT OipRoleSetPrimary(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                                     _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    if (Role->State == OneIpRoleNone)
    {
        return OipPrimaryStopped;
    }
    if (Role->Vetoed)
    {
        return OipPrimaryVetoed;
    }
    if (Role->Yielding)
    {
        return OipPrimaryYielding;
    }
    if (Role->State == OneIpRoleDispatcher)
    {
        return OipPrimaryDone;
    }

    Role->PrimaryWanted = TRUE;
    if (!OipIsTurn(Role, Now))
    {
        OipWantReserve(Role, Actions);
        return OipPrimaryPending;
    }
    return OipPromote(Role, Now, Actions) ? OipPrimaryDone : OipPrimaryNotDurable;
}

VOID OipRoleSetVeto(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Veto,
                    _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    Role->Vetoed = Veto;
    if (!Veto)
    {
        return;
    }
    Role->PrimaryWanted = FALSE;
    if (Role->State == OneIpRoleDispatcher)
    {
        OipMakeBeacon(Role, OipBeaconResign, 0, OipOthers(Role), Actions);
        OipListen(Role, Now, Actions);
    }
}

VOID OipRoleSetDrain(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Drain,
                     _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    if (Role->Draining == Drain)
    {
        return;
    }
    Role->Draining = Drain;
    if (!Role->Configured)
    {
        return;
    }
    OipSetDraining(Role, Role->DrainingMembers, Actions);
    if (Role->Yielding)
    {
        return;
    }
    if (Role->State == OneIpRoleDispatcher)
    {
        OipMakeBeacon(Role, OipBeaconDispatcher, 0, OipOthers(Role), Actions);
    }
    else if (Role->State == OneIpRoleBackup && Role->Dispatcher != OIP_TABLE_NONE)
    {
        OipMakePresence(Role, Now, 0, 1ULL << Role->Dispatcher, Actions);
    }
}

VOID OipRoleCounterDurable(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Counter,
                           _Out_ OIP_ROLE_ACTIONS *Actions)
{
    OipResetActions(Actions);
    Role->ReservedCounter = OipMax(Role->ReservedCounter, Counter);
    if (Role->Configured)
    {
        (VOID) OipTakeTurn(Role, Now, Actions);
        OipWantReserve(Role, Actions);
    }
}

UINT32 OipRoleSilentMs(_In_ const OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member)
{
    UINT64 silent;

    if (Member == Role->Local)
    {
        return 0;
    }
    if (Role->Members[Member].Heard == 0)
    {
        return 0xFFFFFFFF;
    }
    silent = (Now - Role->Members[Member].Heard) / OIP_MILLISECOND;
    return (UINT32)OipMin(silent, 0xFFFFFFFEULL);
}

UINT64 OipRoleClusterGeneration(_In_ const OIP_ROLE *Role, _Out_ BOOLEAN *Behind)
{
    UINT64 generation = Role->Generation;
    ULONG i;

    *Behind = FALSE;
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        generation = OipMax(generation, Role->Members[i].Generation);
        *Behind = *Behind || Role->Members[i].Ahead;
    }
    return generation;
}
