/*
 * The members: see roster.h.
 *
 * Alive is always the set that Liveness (the log) makes; the dispatcher changes both, all others
 * take both from its beacons. Members whose silence ended come back with the next tick rather than
 * at once, so that many that return together are one change of the table.
 */
#include "roster.h"

#include "siphash.h"

/* Members are silent later than a dispatcher: losing one costs its clients their connections. */
#define OIP_MEMBER_BEACONS 5

VOID OipResetActions(_Out_ OIP_ROLE_ACTIONS *Actions)
{
    /* Beacon and Events count only where Targets and EventCount say so. */
    Actions->Targets = 0;
    Actions->Sent = 0;
    Actions->Reserve = 0;
    Actions->Announce = FALSE;
    Actions->TableChanged = FALSE;
    Actions->RoleChanged = FALSE;
    Actions->EventCount = 0;
}

VOID OipRoleEvent(_Inout_ OIP_ROLE_ACTIONS *Actions, _In_ UINT32 Kind, _In_ UINT32 Node,
                  _In_ UINT64 Value, _In_ const ONEIP_EPOCH *Epoch)
{
    OIP_ROLE_EVENT *event;

    if (Actions->EventCount == OIP_ROLE_MAX_EVENTS)
    {
        return; /* does not happen: see OIP_ROLE_MAX_EVENTS; the explorer watches it */
    }
    event = &Actions->Events[Actions->EventCount];
    event->Kind = Kind;
    event->Node = Node;
    event->Value = Value;
    event->Epoch = *Epoch;
    Actions->EventCount += 1;
}

ULONG OipRoleIndex(_In_ const OIP_ROLE *Role, _In_ UINT32 NodeId)
{
    ULONG i;

    for (i = 0; i < Role->MemberCount; i += 1)
    {
        if (Role->Members[i].NodeId == NodeId)
        {
            return i;
        }
    }
    return OIP_TABLE_NONE;
}

UINT64 OipMemberInterval(_In_ const OIP_ROLE *Role, _In_ ULONG Member)
{
    return OipMax(Role->Interval, Role->Members[Member].Interval);
}

UINT64 OipMemberLimit(_In_ const OIP_ROLE *Role, _In_ ULONG Member)
{
    UINT64 interval = OipMemberInterval(Role, Member);

    return interval * OipMax(Role->SilenceBeacons, OIP_MEMBER_BEACONS) + interval / 2;
}

UINT64 OipOthers(_In_ const OIP_ROLE *Role)
{
    return OipMemberSet(Role->MemberCount) & ~(1ULL << Role->Local);
}

VOID OipNoteMember(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member,
                   _In_ const OIP_BEACON *Beacon, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    OIP_ROLE_MEMBER *member = &Role->Members[Member];
    UINT64 bit = 1ULL << Member;

    member->Heard = Now;
    member->Dispatched = 0; /* until the beacon says so */
    member->Interval = Beacon->IntervalMicroseconds * 10ULL;
    member->Generation = Beacon->Generation;
    member->Vetoed = (Beacon->Flags & OIP_BEACON_VETOED) != 0;
    member->Left = (Beacon->Flags & OIP_BEACON_LEAVING) != 0;
    Role->VetoedMembers = member->Vetoed ? Role->VetoedMembers | bit : Role->VetoedMembers & ~bit;
    Role->Gone = member->Left ? Role->Gone | bit : Role->Gone & ~bit;
    if (Role->State == OneIpRoleDispatcher)
    {
        OipSetDraining(Role,
                       (Beacon->Flags & OIP_BEACON_DRAINS) != 0 ? Role->DrainingMembers | bit
                                                                : Role->DrainingMembers & ~bit,
                       Actions);
    }

    member->Ahead =
        Beacon->Generation > Role->Generation ||
        (Beacon->Generation == Role->Generation && (Beacon->TableDigest != Role->TableDigest ||
                                                    Beacon->MembersDigest != Role->MembersDigest));
    if (member->Ahead && member->BehindEvent != Beacon->Generation)
    {
        member->BehindEvent = Beacon->Generation;
        OipRoleEvent(Actions, OneIpEventBehind, member->NodeId, Beacon->Generation, &Beacon->Epoch);
    }
}

VOID OipSeen(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member)
{
    OIP_ROLE_MEMBER *member = &Role->Members[Member];
    UINT64 bit = 1ULL << Member;

    member->LastSeen = Now;
    if (Role->State == OneIpRoleDispatcher)
    {
        Role->PendingUp = member->Left ? Role->PendingUp & ~bit : Role->PendingUp | bit;
    }
}

VOID OipExcuseMembers(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now)
{
    ULONG i;

    for (i = 0; i < Role->MemberCount; i += 1)
    {
        if ((Role->Alive >> i & 1) != 0)
        {
            Role->Members[i].LastSeen = Now;
        }
    }
}

UINT64 OipBelievedAlive(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    UINT64 believed = 0;
    ULONG i;

    if (Role->AliveKnown)
    {
        believed = Role->Deaf ? Role->AliveWithUs : Role->Alive;
    }
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        const OIP_ROLE_MEMBER *member = &Role->Members[i];

        if (member->LastSeen != 0 && member->Heard != 0 &&
            Now - member->LastSeen <= OipMemberLimit(Role, i))
        {
            believed |= 1ULL << i;
        }
    }
    return believed & ~Role->Gone;
}

static VOID OipAliveEvents(_In_ const OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Up,
                           _In_ UINT64 Down, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    ULONG i;

    for (i = 0; i < Role->MemberCount; i += 1)
    {
        if (i == Role->Local)
        {
            continue;
        }
        if ((Up >> i & 1) != 0)
        {
            OipRoleEvent(Actions, OneIpEventMemberUp, Role->Members[i].NodeId, 0, &Role->Epoch);
        }
        if ((Down >> i & 1) != 0)
        {
            OipRoleEvent(Actions, OneIpEventMemberDown, Role->Members[i].NodeId,
                         OipRoleSilentMs(Role, Now, i), &Role->Epoch);
        }
    }
}

VOID OipSetAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Alive,
                 _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 up = Alive & ~Role->Alive;
    UINT64 down = Role->Alive & ~Alive;

    Role->AliveKnown = TRUE;
    Role->AliveWithUs = Alive;
    if ((up | down) == 0)
    {
        return;
    }
    /* Returns first: they may cancel the end of the log. */
    OipLivenessToggle(&Role->Liveness, Role->MemberCount, up);
    OipLivenessToggle(&Role->Liveness, Role->MemberCount, down);
    Role->Alive = Alive;
    Actions->TableChanged = TRUE;
    OipAliveEvents(Role, Now, up, down, Actions);
}

BOOLEAN OipUpdateAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 before = Role->Alive;
    UINT64 alive = Role->Alive | Role->PendingUp;
    ULONG i;

    Role->PendingUp = 0;
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        const OIP_ROLE_MEMBER *member = &Role->Members[i];

        if (i != Role->Local && (member->Left || Now - member->LastSeen > OipMemberLimit(Role, i)))
        {
            alive &= ~(1ULL << i);
        }
    }
    OipSetAlive(Role, Now, alive, Actions);
    return (alive & ~before) != 0;
}

VOID OipAdoptAlive(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                   _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 before = Role->Alive;

    /* A dispatcher that does not count itself among the living has a defect. */
    if (Beacon->MembersDigest != Role->MembersDigest || Beacon->MemberCount != Role->MemberCount ||
        (Beacon->Alive >> Role->Dispatcher & 1) == 0)
    {
        return;
    }
    Role->VetoedMembers = Beacon->Vetoed;
    OipSetDraining(Role, Beacon->Draining, Actions);
    Role->AliveKnown = TRUE;
    if ((Beacon->Alive >> Role->Local & 1) != 0)
    {
        Role->AliveWithUs = Beacon->Alive;
    }
    if (Beacon->Liveness.Length != Role->Liveness.Length ||
        !RtlEqualMemory(Beacon->Liveness.Log, Role->Liveness.Log, Role->Liveness.Length))
    {
        Role->Liveness = Beacon->Liveness;
        Role->Alive = Beacon->Alive;
        Actions->TableChanged = TRUE;
        OipAliveEvents(Role, Now, Role->Alive & ~before, before & ~Role->Alive, Actions);
    }
}

VOID OipSetDraining(_Inout_ OIP_ROLE *Role, _In_ UINT64 Draining, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    UINT64 self = 1ULL << Role->Local;
    UINT64 changed;
    ULONG i;

    Draining = Role->Draining ? Draining | self : Draining & ~self;
    changed = Draining ^ Role->DrainingMembers;
    Role->DrainingMembers = Draining;
    if (changed == 0)
    {
        return;
    }
    Actions->TableChanged = TRUE;
    for (i = 0; i < Role->MemberCount; i += 1)
    {
        if ((changed >> i & 1) != 0)
        {
            OipRoleEvent(Actions, OneIpEventDrain, Role->Members[i].NodeId, Draining >> i & 1,
                         &Role->Epoch);
        }
    }
}

VOID OipForgetAlive(_Inout_ OIP_ROLE *Role, _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    Role->AliveKnown = FALSE;
    Role->VetoedMembers = 0;
    Role->PendingUp = 0;
    OipSetDraining(Role, 0, Actions);
    Role->Alive = OipMemberSet(Role->MemberCount);
    if (Role->Liveness.Length != 0)
    {
        Role->Liveness.Length = 0;
        Actions->TableChanged = TRUE;
    }
}

BOOLEAN OipHearsNobody(_In_ const OIP_ROLE *Role, _In_ ULONG Dispatcher,
                       _In_ const OIP_BEACON *Beacon)
{
    return Beacon->MembersDigest == Role->MembersDigest && Role->MemberCount > 1 &&
           Beacon->Alive == 1ULL << Dispatcher;
}

VOID OipMakeBeacon(_Inout_ OIP_ROLE *Role, _In_ UINT8 Kind, _In_ UINT8 Flags, _In_ UINT64 Targets,
                   _Inout_ OIP_ROLE_ACTIONS *Actions)
{
    OIP_BEACON *beacon = &Actions->Beacon;
    UINT64 self = 1ULL << Role->Local;

    Role->VetoedMembers = Role->Vetoed ? Role->VetoedMembers | self : Role->VetoedMembers & ~self;
    Role->Sequence += 1;

    RtlZeroMemory(beacon, sizeof(*beacon));
    beacon->Sender = Role->LocalNode;
    beacon->Kind = Kind;
    beacon->Flags = (UINT8)(Flags | (Role->Vetoed ? OIP_BEACON_VETOED : 0) |
                            (Role->Draining ? OIP_BEACON_DRAINS : 0));
    beacon->MemberCount = (UINT8)Role->MemberCount;
    beacon->IntervalMicroseconds = (UINT32)(Role->Interval / 10);
    beacon->Boot = Role->Boot;
    beacon->Sequence = Role->Sequence;
    beacon->Epoch = Role->Epoch;
    beacon->Generation = Role->Generation;
    beacon->TableDigest = Role->TableDigest;
    beacon->MembersDigest = Role->MembersDigest;
    beacon->Alive = Role->Alive;
    beacon->Vetoed = Role->VetoedMembers;
    beacon->Draining = Role->DrainingMembers;
    beacon->Liveness.Length = Role->Liveness.Length;
    RtlCopyMemory(beacon->Liveness.Log, Role->Liveness.Log, Role->Liveness.Length);
    Actions->Targets = Targets;
}

/* What indexes mean: nodes, ranks and weights in their order. */
static UINT64 OipMembersDigest(_In_reads_(Count) const ONEIP_MEMBER *Members, _In_ ULONG Count)
{
    static const OIP_SIP_KEY zero = {0, 0};
    OIP_SIP_STATE state;
    ULONG i;

    OipSipStart(&state, &zero);
    for (i = 0; i < Count; i += 1)
    {
        OipSipWord(&state, Members[i].NodeId | (UINT64)Members[i].Rank << 32);
        OipSipWord(&state, Members[i].Weight);
    }
    OipSipWord(&state, Count);
    return OipSipFinish64(&state);
}

static UINT64 OipMapSet(_In_ UINT64 Set, _In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map)
{
    UINT64 mapped = 0;
    ULONG i;

    for (i = 0; i < ONEIP_MAX_MEMBERS; i += 1)
    {
        if ((Set >> i & 1) != 0 && Map[i] != OIP_TABLE_NONE)
        {
            mapped |= 1ULL << Map[i];
        }
    }
    return mapped;
}

VOID OipChangeMembers(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const ONEIP_CONFIG *Config,
                      _In_reads_(Config->MemberCount) const ONEIP_MEMBER *Members,
                      _In_ BOOLEAN Forget)
{
    UINT8 map[ONEIP_MAX_MEMBERS];
    ULONG previous = Role->MemberCount;
    ULONG i;
    ULONG j;

    RtlFillMemory(map, sizeof(map), OIP_TABLE_NONE);
    RtlCopyMemory(Role->Previous, Role->Members, sizeof(Role->Previous));
    RtlZeroMemory(Role->Members, sizeof(Role->Members));
    Role->MemberCount = Config->MemberCount;
    Role->LocalNode = Config->LocalNode;
    for (i = 0; i < Config->MemberCount; i += 1)
    {
        OIP_ROLE_MEMBER *member = &Role->Members[i];

        for (j = 0; j < previous; j += 1)
        {
            if (Role->Previous[j].NodeId == Members[i].NodeId)
            {
                map[j] = (UINT8)i;
                *member = Role->Previous[j];
                break;
            }
        }
        if (j == previous)
        {
            member->LastSeen = Now; /* a new one has its time to appear */
        }
        member->NodeId = Members[i].NodeId;
        member->Rank = Members[i].Rank;
        member->Ahead = member->Generation > Config->Generation;
        member->BehindEvent = 0;
        if (Forget)
        {
            member->Replay.Boot = 0;
            member->Replay.Sequence = 0;
        }
        if (member->NodeId == Config->LocalNode)
        {
            Role->Local = i;
        }
    }

    OipLivenessRemap(&Role->Liveness, map, Role->MemberCount);
    Role->Alive = OipLivenessAlive(&Role->Liveness, Role->MemberCount);
    Role->AliveWithUs = OipMapSet(Role->AliveWithUs, map);
    Role->Gone = OipMapSet(Role->Gone, map);
    Role->PendingUp = OipMapSet(Role->PendingUp, map);
    Role->VetoedMembers = OipMapSet(Role->VetoedMembers, map);
    Role->DrainingMembers = OipMapSet(Role->DrainingMembers, map);
    if (Role->Draining)
    {
        Role->DrainingMembers |= 1ULL << Role->Local;
    }
    if (Role->Dispatcher != OIP_TABLE_NONE)
    {
        Role->Dispatcher = map[Role->Dispatcher];
    }
    Role->MembersDigest = OipMembersDigest(Members, Config->MemberCount);
}
