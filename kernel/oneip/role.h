/*
 * The role of this node in its cluster: who dispatches, who is alive. A pure state machine: no
 * clock, no timer, no NDIS. Everything comes in as a call with the time in it, everything goes out
 * in an OIP_ROLE_ACTIONS that the caller carries out.
 *
 *               Start                    hears a dispatcher
 *      +------+ ----> +-----------+ ----------------------------> +--------+
 *      | None |       | Listening |                               | Backup |
 *      +------+       +-----------+ <---------------------------- +--------+
 *         ^ Stop        |       ^     silence, not its turn        |    ^
 *         | (from       |       |                                  |    |
 *         |  all)       |       | lease over, vetoed, hears of     |    | hears a
 *         |   silence,  |       | a higher epoch by others         |    | higher epoch
 *         |   its turn  v       |                                  v    |
 *         |           +-----------------------------------------------------+
 *         +---------- |                     Dispatcher                      |
 *                     +-----------------------------------------------------+
 *                       from Backup: silence or resignation and its turn, or SetPrimary
 *
 * Time is the interrupt time in units of 100 ns; it never goes back but may jump. I is the beacon
 * interval, S is SilenceBeacons. A dispatcher or member whose interval is longer than ours (while a
 * configuration is rolled out) is awaited by its own.
 *
 *      limit           intervals         default   what for
 *      lease           S                 30 ms     dispatcher: acts so long after its last beacons
 *      silence         S + 1/2           35 ms     others: without a beacon, promote at next tick
 *      stagger         2                 20 ms     more for each member that comes before
 *      late            3/2               15 ms     between ticks: no promotion before the next one
 *      stall           max(S - 1, 5/4)   20 ms     between ticks: this node was not running
 *      startup         4 S               120 ms    after Start, instead of silence
 *      member silence  max(S, 5) + 1/2   55 ms     dispatcher: a member is down
 *      deaf            member silence    55 ms     see R7
 *
 * Rules
 *  R1  One node acts in an epoch, once. An epoch is (counter, node). A node takes a counter above
 *      all that it has used or heard, and above StoredCounter, the reserve that stood on disk when
 *      it was loaded; and only if the reserve on disk covers it (OipRoleCounterDurable). The
 *      reserve is raised ahead of need, so that a promotion waits for no disk.
 *  R2  The role is never resumed. Whoever has ceased to dispatch, for whatever reason, dispatches
 *      again only by a promotion with a new epoch.
 *  R3  Lease. The data path asks OipRoleIsActing for every batch. It is true only for the lease
 *      after the time of the last beacons that were really handed to the adapter (OipRoleSent),
 *      and others wait longer than that after the last beacon that they heard: half an interval
 *      longer, for its way. So a node that froze, wherever it froze, does not act beside its
 *      successor when it runs again. The lease does not begin at all if the first beacons go out
 *      when the next in line may be promoted already, and beacons that go out after its end do
 *      not renew it. (A batch that had already passed the check may still leave.
 *      And where beacons are lost, others may be wrong about the dispatcher; then two act until
 *      one hears the other, R5.)
 *  R4  Silence counts only while this node was running: after a stall it begins anew, since beacons
 *      may be waiting in the receive queue; for the same reason nobody is promoted at a tick that
 *      is late. A dispatcher that comes back after its lease has given up the role and listens for
 *      the whole silence.
 *  R5  A dispatcher that hears of a higher epoch, from its holder or from a member that hears the
 *      holder, steps down at once. It answers a lower one at once, so that that one steps down, and
 *      announces the addresses anew when it hears such a one, when that one has gone quiet, and
 *      when a member returns, since that may have followed another one elsewhere.
 *  R6  Rank decides only who goes first where there is no dispatcher, among those believed alive
 *      and not vetoed. A node of better rank that returns takes nothing away.
 *  R7  A dispatcher whose receiver is cut off counts as silent: for the deaf limit its beacons have
 *      said that of all other members none is alive, though this node sends. If they miss this
 *      node but not all others, the fault is more likely this node's transmitter, and nothing is
 *      done. With two members the cases look alike; then this node promotes: if its transmitter is
 *      dead nobody notices, and it ends when either hears the other. A node that the dispatcher
 *      misses lets all others go first.
 *  R8  A node without a dispatcher says so to all (SEEKING). Whoever follows one answers with its
 *      epoch and how long ago it heard it, and the seeker counts silence from there. So a node
 *      that is cut off from the dispatcher alone does not compete with it.
 *  R9  A presence of the very node that dispatched is as good as its resignation (it was restarted,
 *      or has stepped down), unless it says whom it follows.
 *      But nobody is promoted within the silence after any other dispatcher's beacon: what resigned
 *      may have been a candidate that lost, and its beacons late.
 *  R10 Two nodes with one NodeId: the one with the lower boot nonce is silent until the other has
 *      not been heard for 100 intervals. An event says so on both.
 *  R11 Stopped: nothing is sent and nothing heard counts. After that, a whole startup limit.
 *  R12 A vetoed node never dispatches, even if nobody else does.
 *  R13 A dispatcher that gives up goes on forwarding frames of clients that have not learned the
 * new MAC yet, for ten seconds, by the table and the flows that it has. It does not answer for the
 *      addresses. If its lease had run out, it does so only once it hears its successor, and has
 *      its table by that.
 *
 * What follows for two acting nodes. Where every beacon is handled less than half an interval after
 * it was sent, or by a node that notices that it was held up, whoever held the role never acts
 * beside whoever followed because of its silence. Two that take it up at the same moment, neither
 * having heard of the other, act together for one beacon's way, and so do the old and the new one
 * with SetPrimary. In a partition one acts in each part, and within a few intervals after healing
 * one in all.
 *
 * Ticks may be late by S - 1 intervals and nothing happens: the lease holds, nobody is promoted.
 * With S = 2 only by a quarter: more is a stall, and nodes that all stall all the time promote
 * nobody.
 *
 * All calls but OipRoleIsActing are serialised by the caller (a spin lock). IRQL <= DISPATCH_LEVEL.
 * No allocation. OIP_ROLE and OIP_ROLE_ACTIONS have several KB: embed them, never on a stack.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "beacon.h"
#include "table.h"

/* An event of the contract. The caller adds sequence, system time and, to a conflict, the Mac. */
typedef struct OIP_ROLE_EVENT
{
    UINT32 Kind; /* ONEIP_EVENT_KIND: Role, Dispatcher, Member.., Conflict, Behind, Stall */
    UINT32 Node;
    UINT64 Value;
    ONEIP_EPOCH Epoch;
} OIP_ROLE_EVENT;

/* Each member up, down and draining, and a few of our own; no call makes more. */
#define OIP_ROLE_MAX_EVENTS (3 * ONEIP_MAX_MEMBERS + 8)

/*
 * What a call wants done; each call overwrites it. In this order: TableChanged, Beacon, then
 * OipRoleSent where Sent is not zero, then Announce; the others at any time.
 */
typedef struct OIP_ROLE_ACTIONS
{
    UINT64 Targets;       /* send Beacon to each of these members (by index; never ourselves) */
    OIP_BEACON Beacon;    /* complete */
    UINT64 Sent;          /* not zero: call OipRoleSent with it as soon as the beacons are with the
                             adapter, also if there was no target; not if none could be sent */
    UINT64 Reserve;       /* not zero: make epoch counters up to this durable, then call
                             OipRoleCounterDurable; asked until then, once at a time is enough */
    BOOLEAN Announce;     /* gratuitous ARP and unsolicited NA of all cluster addresses */
    BOOLEAN TableChanged; /* Role->Liveness or DrainingMembers is new: make and publish the
                             effective table */
    BOOLEAN RoleChanged;  /* Role->State is new, or Role->Epoch of a dispatcher */
    UINT32 EventCount;
    OIP_ROLE_EVENT Events[OIP_ROLE_MAX_EVENTS];
} OIP_ROLE_ACTIONS;

typedef struct OIP_ROLE_MEMBER
{
    UINT32 NodeId;
    UINT32 Rank;
    UINT64 Heard;       /* its last authentic beacon; 0 never */
    UINT64 LastSeen;    /* the same, or later where it is given the benefit of the doubt */
    UINT64 Dispatched;  /* its last beacon as dispatcher, if nothing contrary came since; else 0 */
    UINT64 Interval;    /* its beacon interval; 0 unknown */
    UINT64 Generation;  /* that it announced; 0 unknown */
    UINT64 BehindEvent; /* generation of the last Behind event for it */
    OIP_REPLAY Replay;
    BOOLEAN Ahead;  /* its generation is above ours, or the same with another table */
    BOOLEAN Vetoed; /* by its own word */
    BOOLEAN Left;   /* said farewell */
} OIP_ROLE_MEMBER;

typedef struct OIP_ROLE
{
    UINT64 Boot; /* constant after OipRoleInitialize */

    /* Read by OipRoleIsActing without the lock: the end of the lease; 0 not acting. */
    volatile UINT64 ActingUntil;

    /* Likewise, of R13: until when, 0 not; and whether at once or only when a dispatcher is heard.
     */
    volatile UINT64 RelayUntil;
    volatile BOOLEAN RelayAtOnce;

    /* Configuration. */
    BOOLEAN Configured;
    UINT32 LocalNode;
    UINT32 Local; /* index */
    UINT32 MemberCount;
    UINT32 SilenceBeacons;
    UINT64 Interval;
    UINT64 AnnounceInterval;
    UINT64 Generation;
    UINT64 TableDigest;
    UINT64 MembersDigest;
    OIP_ROLE_MEMBER Members[ONEIP_MAX_MEMBERS];
    OIP_ROLE_MEMBER Previous[ONEIP_MAX_MEMBERS]; /* while a configuration changes */

    /* State. */
    UINT32 State; /* ONEIP_ROLE */
    UINT64 StateSince;
    BOOLEAN Vetoed;
    BOOLEAN Draining;
    BOOLEAN PrimaryWanted;  /* SetPrimary, as soon as it is known what to be above of */
    BOOLEAN Yielding;       /* R10 */
    BOOLEAN Starting;       /* Listening since Start: the startup limit applies */
    BOOLEAN Resigned;       /* the dispatcher gave up at SilenceFrom: no silence is needed */
    BOOLEAN AliveKnown;     /* Liveness is the cluster's, not just the empty log */
    BOOLEAN Deaf;           /* R7 applies to the dispatcher */
    UINT32 Dispatcher;      /* index, OIP_TABLE_NONE when none is known */
    ONEIP_EPOCH Epoch;      /* own while Dispatcher; else the one followed last; counter 0 none */
    UINT64 HighestCounter;  /* heard or used */
    UINT64 UsedCounter;     /* by this node, or perhaps by it before it was loaded */
    UINT64 ReservedCounter; /* durable */
    UINT64 Sequence;        /* of the last beacon made */

    /* Times; 0 never. */
    UINT64 LastTick;
    UINT64 TickGap;         /* between the last two ticks */
    UINT64 RunningSince;    /* Start, or the end of the last stall */
    UINT64 SilenceFrom;     /* silence counts from the later one of this and LastHeard */
    UINT64 LastHeard;       /* the dispatcher, itself or by hearsay (R8) */
    UINT64 LastHeardDirect; /* itself */
    UINT64 DeafSince;       /* its beacons have missed all others */
    UINT64 StaleHeard;      /* a lower dispatcher was heard, and is not yet known to be quiet */
    UINT64 StaleAnnounced;
    UINT64 StaleAnswered;
    UINT64 ConflictEvent;
    UINT64 YieldUntil;
    UINT64 NextAnnounce;
    UINT32 AnnounceStep;

    /* Who is alive, by the dispatcher's word, or by this node's own while it dispatches. */
    OIP_LIVENESS Liveness;
    UINT64 Alive;       /* the same as a set */
    UINT64 AliveWithUs; /* the last such set that had this node in it */
    UINT64 Gone;        /* known or believed to have gone since */
    UINT64 PendingUp;   /* dispatcher: heard again, in the table with the next tick */
    UINT64 VetoedMembers;
    UINT64 DrainingMembers; /* take no new clients: by the dispatcher's word, but for this node */

    /* Counts since OipRoleInitialize. */
    UINT64 Takeovers;
    UINT64 Stalls;
} OIP_ROLE;

/*
 * Once, when the driver is loaded. Boot: the nonce (beacon.h says how it is made). StoredCounter:
 * the reserve found on disk, 0 if there is none.
 */
VOID OipRoleInitialize(_Out_ OIP_ROLE *Role, _In_ UINT64 Boot, _In_ UINT64 StoredCounter);

/*
 * A configuration, the first or another one; valid by the contract. The state goes on: who
 * dispatches goes on dispatching (unless this machine has become another node). ResetReplay: the
 * cluster or its beacon key is another one; what was heard is forgotten, and a node that does not
 * dispatch listens as after Start.
 */
VOID OipRoleConfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const ONEIP_CONFIG *Config,
                      _In_reads_(Config->MemberCount) const ONEIP_MEMBER *Members,
                      _In_ UINT64 TableDigest, _In_ BOOLEAN ResetReplay,
                      _Out_ OIP_ROLE_ACTIONS *Actions);

/* CLEAR_CONFIG: stops silently; forgets members and epoch, but no counter. */
VOID OipRoleUnconfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* The adapter runs and is connected: listen. Nothing if it is started or not configured. */
VOID OipRoleStart(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* Orderly, before a pause or power-down: Actions carry the last beacon, resignation or farewell.
 * Else (FilterPause, media disconnect, adapter gone) in silence. Nothing if it is stopped. */
VOID OipRoleStop(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Orderly,
                 _Out_ OIP_ROLE_ACTIONS *Actions);

/* Every beacon interval, while started. */
VOID OipRoleTick(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* The beacons of the call that set Actions->Sent are with the adapter. Now: the time after that. */
VOID OipRoleSent(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Sent);

/* A decoded beacon. FALSE: a replay, or of no other member. */
BOOLEAN OipRoleBeacon(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                      _Out_ OIP_ROLE_ACTIONS *Actions);

typedef enum OIP_PRIMARY_RESULT
{
    OipPrimaryDone = 0,    /* this node dispatches */
    OipPrimaryPending = 1, /* it will when it has heard the present epoch, or silence */
    OipPrimaryVetoed = 2,
    OipPrimaryStopped = 3,    /* no adapter, paused, disconnected, or not configured */
    OipPrimaryNotDurable = 4, /* make Actions->Reserve durable, then call again */
    OipPrimaryYielding = 5    /* another machine has this NodeId */
} OIP_PRIMARY_RESULT;

OIP_PRIMARY_RESULT OipRoleSetPrimary(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                                     _Out_ OIP_ROLE_ACTIONS *Actions);

VOID OipRoleSetVeto(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Veto,
                    _Out_ OIP_ROLE_ACTIONS *Actions);

/* This node takes no new clients, or does again. */
VOID OipRoleSetDrain(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Drain,
                     _Out_ OIP_ROLE_ACTIONS *Actions);

/* Epoch counters up to Counter are on disk, flushed. */
VOID OipRoleCounterDurable(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Counter,
                           _Out_ OIP_ROLE_ACTIONS *Actions);

/* May this node dispatch, answer and announce now? Any IRQL, no lock. */
FORCEINLINE BOOLEAN OipRoleIsActing(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    return Now < Role->ActingUntil;
}

/* May it forward what reaches it as the former dispatcher? Hears: it follows another one now. Any
 * IRQL, no lock. */
FORCEINLINE BOOLEAN OipRoleMayRelay(_In_ const OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Hears)
{
    return Now < Role->RelayUntil && (Role->RelayAtOnce || Hears);
}

/* For status: milliseconds since the member's last authentic beacon; 0xFFFFFFFF never. */
UINT32 OipRoleSilentMs(_In_ const OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member);

/* For status: the highest generation that any member announced, and whether this node is behind. */
UINT64 OipRoleClusterGeneration(_In_ const OIP_ROLE *Role, _Out_ BOOLEAN *Behind);

/* Index of a node; OIP_TABLE_NONE if it is no member. */
ULONG OipRoleIndex(_In_ const OIP_ROLE *Role, _In_ UINT32 NodeId);
