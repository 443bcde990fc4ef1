/*
 * The role of this node in its cluster: who dispatches, who is alive. A pure state machine: no
 * clock, no timer, no NDIS; everything comes in as a call with the time in it, everything goes out
 * in an OIP_ROLE_ACTIONS that the caller carries out after it has released its lock.
 *
 *                 OipRoleStart
 *      +------+ --------------> +-----------+   hears a dispatcher    +--------+
 *      | None |                 | Listening | ----------------------> | Backup |
 *      +------+ <-------------- +-----------+ <---------------------- +--------+
 *          ^      OipRoleStop         |  ^      silence, not its turn      |  |
 *          |     (from any state)     |  |                                 |  |
 *          |       silence, its turn  |  | stalled beyond its lease;       |  |
 *          |                          v  | vetoed                          |  |
 *          |                    +------------+     silence or resignation, |  |
 *          +------------------- | Dispatcher | <------ its turn; SetPrimary +  |
 *                               +------------+ --------------------------------+
 *                                                hears a higher epoch
 *
 * Time is the interrupt time in units of 100 ns; it never goes back but may jump. I is the beacon
 * interval, S the number SilenceBeacons. Whose beacons are awaited may have a longer interval than
 * we have (a configuration that is being rolled out): I is then the longer one.
 *
 *      limit                     intervals        default     what for
 *      lease                     S + 1/4          32.5 ms     dispatcher: dispatches no longer
 * after its last tick silence                   S + 1/2          35 ms       backup: promotes after
 * the last beacon (found at a tick) stagger                   2                20 ms       added
 * for each member that comes before stall                     max(S - 1, 5/4)  20 ms       a tick
 * later than this starts the silence anew startup                   4 S              120 ms
 * listening after OipRoleStart, instead of silence member silence            max(S, 5) + 1/2  55 ms
 * dispatcher: a member is down deaf dispatcher           as member silence            see R7
 *
 * Invariants and rules
 *  R1 One acting node per epoch, ever. An epoch is (counter, node). A node uses a counter at most
 *     once: above everything it has used or heard, and above StoredCounter, the reserve that stood
 * on disk when it was loaded; and not before the counter is covered by the reserve on disk
 *     (OipRoleCounterDurable). The reserve is raised ahead of need, so that promotion waits for no
 *     disk.
 *  R2 The role is never resumed. Whoever has stopped dispatching, for whatever reason, dispatches
 *     again only by a promotion with a new epoch.
 *  R3 Lease. The data path asks OipRoleIsActing for every batch. It is true no longer than the
 * lease after the last tick; a tick sends beacons, a backup waits longer than the lease after the
 * last beacon that it heard. So a node that froze and comes back does not dispatch beside its
 * successor, not for a single frame (where frames and clocks do what they should: with loss, a
 * backup can be wrong about the dispatcher, and the two meet by R5). R4 Silence counts only while
 * this node was running. A tick later than the stall limit starts it anew: beacons may be waiting
 * in the receive queue. A dispatcher that comes back after its lease listens for the whole silence.
 *  R5 A dispatcher that hears of a higher epoch, by the other's beacon or from a member that hears
 *     the other, steps down at once. It answers a lower one at once, so that that one steps down,
 * and announces the addresses anew while and after such a thing was heard. R6 Order. Rank decides
 * only who goes first when there is no dispatcher, among those believed alive and not vetoed,
 * `stagger` after one another. A returning node of better rank takes nothing away. R7 A dispatcher
 * whose receiver is cut off counts as silent: its beacons say that of all other members none is
 * alive, for longer than the limit, though this node sends. If it misses only this node, the fault
 * is more likely this node's transmitter, and nothing is done. With two members the cases are the
 * same from here; then this node promotes: with a dead transmitter nobody notices, and it ends when
 * either side hears the other. R8 A node without a dispatcher says so to all (SEEKING). Who follows
 * one answers with the epoch and how long ago it heard it; the seeker counts its silence from
 * there. So a node that is cut off from the dispatcher only does not compete with it. R9 A member's
 * own presence after it has been the dispatcher is as good as its resignation (it was restarted, or
 * has stepped down), unless it says whom it follows. R10 Two nodes with the same NodeId: the one
 * with the lower boot nonce is silent until the other has not been heard for 100 intervals. An
 * event says so on both. R11 Stopped: nothing is sent, nothing heard counts. After that, a whole
 * startup interval. R12 A vetoed node never dispatches, even if nobody else does.
 *
 * All calls but OipRoleIsActing are serialised by the caller (a spin lock). IRQL <= DISPATCH_LEVEL.
 * No allocation. OIP_ROLE and OIP_ROLE_ACTIONS are several KB: embed them, never on a stack.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "beacon.h"
#include "table.h"

/* One event of the contract; the caller adds sequence, system time and, for a conflict, the Mac. */
typedef struct OIP_ROLE_EVENT
{
    UINT32 Kind; /* ONEIP_EVENT_KIND */
    UINT32 Node;
    UINT64 Value;
    ONEIP_EPOCH Epoch;
} OIP_ROLE_EVENT;

/* Each member up or down, each behind, and a few of our own. */
#define OIP_ROLE_MAX_EVENTS (2 * ONEIP_MAX_MEMBERS + 8)

/* What a call wants done. Each call overwrites it. */
typedef struct OIP_ROLE_ACTIONS
{
    UINT64 Targets;    /* send Beacon to each of these members (index bits, never the local one) */
    OIP_BEACON Beacon; /* complete; the caller encodes it */
    UINT64
        Reserve;          /* not zero: make epoch counters up to this durable, then call
                             OipRoleCounterDurable. Repeated until that happens; one at a time is enough. */
    BOOLEAN Announce;     /* gratuitous ARP and unsolicited NA for every cluster address, now */
    BOOLEAN TableChanged; /* Role->Liveness is new: make and publish the effective table */
    BOOLEAN RoleChanged;  /* Role->State or the acting epoch is new */
    UINT32 EventCount;
    OIP_ROLE_EVENT Events[OIP_ROLE_MAX_EVENTS];
} OIP_ROLE_ACTIONS;

typedef struct OIP_ROLE_MEMBER
{
    UINT32 NodeId;
    UINT32 Rank;
    UINT64 LastSeen; /* last authentic beacon, or since when it is given the benefit of the doubt */
    UINT64 Heard;    /* last authentic beacon; 0 never */
    UINT64 Interval; /* its beacon interval, 0 unknown */
    UINT64 Generation; /* announced; 0 unknown */
    UINT64 TableDigest;
    UINT64 BehindEvent; /* generation for which a Behind event was raised */
    OIP_REPLAY Replay;
    BOOLEAN Vetoed; /* by its own word */
} OIP_ROLE_MEMBER;

typedef struct OIP_ROLE
{
    /* Constant after OipRoleInitialize. */
    UINT64 Boot;

    /* Read by OipRoleIsActing without the lock: the end of the lease, 0 when not acting. */
    volatile UINT64 ActingUntil;

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

    /* State. */
    UINT32 State; /* ONEIP_ROLE */
    UINT64 StateSince;
    BOOLEAN Vetoed;
    BOOLEAN PrimaryWanted; /* SetPrimary, as soon as the epoch to be above is known */
    BOOLEAN Yielding;      /* R10 */
    BOOLEAN Starting;      /* Listening since OipRoleStart: the startup limit applies */
    BOOLEAN Resigned; /* the dispatcher that we followed resigned: the turn begins at SilenceFrom */
    ONEIP_EPOCH Epoch;      /* own while Dispatcher; else of the dispatcher last followed */
    UINT32 Dispatcher;      /* index of the dispatcher, OIP_TABLE_NONE when none is known */
    UINT64 HighestCounter;  /* used or heard by anybody */
    UINT64 ReservedCounter; /* durable */
    UINT64 UsedCounter;     /* used by this node, or perhaps used before it was loaded */
    UINT64 Sequence;        /* of the last beacon made */

    /* Times. */
    UINT64 LastTick;
    UINT64 SilenceFrom; /* silence is counted from the latest of this and LastHeard */
    UINT64 LastHeard;   /* the dispatcher, directly or by hearsay */
    UINT64 LastHeardDirect;
    UINT64 HeardInterval; /* its beacon interval */
    UINT64 DeafSince;     /* R7: since when its beacons miss all others; 0 they do not */
    UINT64 LastAnswer;    /* immediate answers are limited in rate */
    UINT64
        LastStale; /* a lower dispatcher was last heard; 0 not since the last announcement for it */
    UINT64 LastConflict; /* event about a twin; 0 never */
    UINT64 YieldUntil;
    UINT64 NextAnnounce;
    UINT32 AnnounceStep;

    /* Who is alive, as the dispatcher says, or as this node says when it dispatches. */
    OIP_LIVENESS Liveness;
    UINT64 Alive;
    UINT64 VetoedMembers;

    /* Counters since OipRoleInitialize. */
    UINT64 Takeovers;
    UINT64 Stalls;
    UINT64 Replays;
    UINT64 AddressClaims;
} OIP_ROLE;

/*
 * Once, when the driver is loaded. Boot: the nonce (beacon.h says how it is made). StoredCounter:
 * the reserve found on disk, 0 if there was none. The first Reserve action follows with
 * OipRoleConfigure.
 */
VOID OipRoleInitialize(_Out_ OIP_ROLE *Role, _In_ UINT64 Boot, _In_ UINT64 StoredCounter);

/*
 * A configuration, the first or a new one. The state goes on: who dispatches goes on dispatching.
 * If ResetReplay (another beacon key or cluster), what was heard before is forgotten, and a node
 * that does not dispatch listens anew.
 */
VOID OipRoleConfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const ONEIP_CONFIG *Config,
                      _In_reads_(Config->MemberCount) const ONEIP_MEMBER *Members,
                      _In_ UINT64 TableDigest, _In_ BOOLEAN ResetReplay,
                      _Out_ OIP_ROLE_ACTIONS *Actions);

/* CLEAR_CONFIG: stops silently and forgets members and epoch, but not the counters. */
VOID OipRoleUnconfigure(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* The adapter is running and connected: listen. Nothing if it is already started. */
VOID OipRoleStart(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* Orderly, before a pause or power-down: Actions carry the last beacon, a resignation or farewell.
 * Else (FilterPause, media disconnect, adapter gone) silently. Nothing if it is already stopped. */
VOID OipRoleStop(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Orderly,
                 _Out_ OIP_ROLE_ACTIONS *Actions);

/* Every beacon interval, while configured and started. */
VOID OipRoleTick(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _Out_ OIP_ROLE_ACTIONS *Actions);

/* A decoded beacon. FALSE: rejected as a replay or from a stranger. */
BOOLEAN OipRoleBeacon(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ const OIP_BEACON *Beacon,
                      _Out_ OIP_ROLE_ACTIONS *Actions);

typedef enum OIP_PRIMARY_RESULT
{
    OipPrimaryDone = 0,    /* this node dispatches */
    OipPrimaryPending = 1, /* it will as soon as it has heard the present epoch, or silence */
    OipPrimaryVetoed = 2,
    OipPrimaryStopped = 3,    /* no adapter: paused, disconnected, absent, or not configured */
    OipPrimaryNotDurable = 4, /* Actions->Reserve asks for a counter: make it durable, call again */
    OipPrimaryYielding = 5    /* another node has this NodeId */
} OIP_PRIMARY_RESULT;

OIP_PRIMARY_RESULT OipRoleSetPrimary(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now,
                                     _Out_ OIP_ROLE_ACTIONS *Actions);

VOID OipRoleSetVeto(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ BOOLEAN Veto,
                    _Out_ OIP_ROLE_ACTIONS *Actions);

/* Epoch counters up to Counter are on disk, flushed. */
VOID OipRoleCounterDurable(_Inout_ OIP_ROLE *Role, _In_ UINT64 Now, _In_ UINT64 Counter,
                           _Out_ OIP_ROLE_ACTIONS *Actions);

/* May the data path dispatch, answer and announce now? Any IRQL, no lock. */
FORCEINLINE BOOLEAN OipRoleIsActing(_In_ const OIP_ROLE *Role, _In_ UINT64 Now)
{
    return Now < Role->ActingUntil;
}

/* For status: milliseconds since the member's last authentic beacon, 0xFFFFFFFF never. */
UINT32 OipRoleSilentMs(_In_ const OIP_ROLE *Role, _In_ UINT64 Now, _In_ ULONG Member);

/* For status: the highest generation announced, and whether this node is behind. */
UINT64 OipRoleClusterGeneration(_In_ const OIP_ROLE *Role, _Out_ BOOLEAN *Behind);

/* Index of a node, OIP_TABLE_NONE if it is no member. */
ULONG OipRoleIndex(_In_ const OIP_ROLE *Role, _In_ UINT32 NodeId);
