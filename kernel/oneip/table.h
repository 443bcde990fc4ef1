/*
 * The dispatch table: which member serves a slot. ONEIP_TABLE_SLOTS bytes, each the index of a
 * member in the configuration, or OIP_TABLE_NONE.
 *
 * Two layers
 *
 *      base table       content of the configuration; changes only with it
 *          |  OipTableEffective(base, members, liveness log)
 *          v
 *      effective table  what the data path reads: slots of dead members are lent to live ones
 *
 * Invariants
 *  T1 shares: in a base table every member has floor or ceiling of its exact share
 *     slots * weight / sum of weights. Members without weight have none.
 *  T2 minimal: a change of members or weights moves the least number of slots with which T1 can
 *     hold at all: each moved slot leaves a member that is above its new share, or gone, and goes
 *     to one that is below. (Which of a share's floor and ceiling a member gets is not fixed by the
 *     weights alone but chosen so that nothing moves for rounding's sake.)
 *  T3 deterministic: the new table is a function of (old table, which old member is which new
 *     one, new weights), and the effective table one of (base table, weights, log). No clock, no
 *     randomness, no memory address.
 *  T4 home: in an effective table a slot whose base member is alive is with its base member. So
 *     when all are alive the effective table is the base table.
 *  T5 a change of liveness moves only slots of the members that died, or onto those that
 *     returned, and keeps the shares of the live (see "How well" below).
 *
 * Why a log, and not the set of the live
 *   If the effective table were a function of (base, set of live members) alone and never moved a
 *   slot needlessly, then each slot would rank the members once and for all and always go to its
 *   first live one (a choice that does not depend on irrelevant alternatives is a ranking). 65,537
 *   fixed rankings cannot be even for all 2^64 sets of live members: with half of 64 members dead
 *   the fullest of the others is 3 % above the mean. So shares, no needless move and "a function of
 *   the set" exclude one another, and the last has to go. What must not go is that all nodes
 *   agree, for the table of a new dispatcher has to be that of the old one, also on a node that
 *   slept through half of the changes or was started after them. Hence the log: the sequence of
 *   changes of liveness since all were alive, one byte a change, made by the dispatcher and carried
 *   whole in every one of its beacons. Whoever has heard the last beacon has the table. Changes
 *   that undo one another cancel, so the log is empty when all are alive and one byte long when one
 *   is not; it is compacted (one entry for each dead member, all at once; this alone can move slots
 *   needlessly) when it would exceed OIP_LIVENESS_LOG entries.
 *
 *   When a configuration changes while members are down, the log goes on with the members that
 *   remain. Slots at home move by T2 only; slots that are lent may be lent anew.
 *
 * How well
 *   A lent slot asks the base owners of other, pseudo-random slots in turn and goes to the first
 *   one that is alive and still below its share, so it finds the same borrower again in most
 *   changed circumstances, and the borrowers' shares are exact. What a dead member left is spread
 *   over the live in proportion (within rounding), so that when it comes home all of them shrink
 *   alike. T4 then leaves the shares of a partly returned cluster within a few slots of exact.
 *
 * Cost: O(slots + members^2) a change, no allocation; a scratch area of the caller's. Any
 * IRQL <= DISPATCH_LEVEL.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#include "liveness.h"

#define OIP_TABLE_NONE 0xFF

/* Working memory, about 280 KB of non-paged pool, one for each call that may run at a time. Its
 * content does not matter on entry. Arrays by member have one entry more, for OIP_TABLE_NONE. */
typedef struct OIP_TABLE_SCRATCH
{
    UINT64 Remainder[ONEIP_MAX_MEMBERS];
    UINT32 Weight[ONEIP_MAX_MEMBERS]; /* zero for the dead */
    UINT32 NodeId[ONEIP_MAX_MEMBERS];
    UINT32 Have[ONEIP_MAX_MEMBERS + 1];
    UINT32 Home[ONEIP_MAX_MEMBERS + 1]; /* slots of the base table */
    UINT32 Low[ONEIP_MAX_MEMBERS];      /* bounds of what a member may come to have */
    UINT32 High[ONEIP_MAX_MEMBERS];
    UINT32 Target[ONEIP_MAX_MEMBERS];
    UINT32 Need[ONEIP_MAX_MEMBERS];
    UINT32 Group[ONEIP_MAX_MEMBERS]; /* slots in the pool by base member */
    UINT32 Share[ONEIP_MAX_MEMBERS][ONEIP_MAX_MEMBERS];
    UINT32 Pool[ONEIP_TABLE_SLOTS]; /* slots to place */
    UINT32 PoolCount;
} OIP_TABLE_SCRATCH;

/* Old index -> new index or OIP_TABLE_NONE, by NodeId. */
VOID OipTableMap(_In_reads_(OldCount) const ONEIP_MEMBER *Old, _In_ ULONG OldCount,
                 _In_reads_(NewCount) const ONEIP_MEMBER *New, _In_ ULONG NewCount,
                 _Out_writes_(ONEIP_MAX_MEMBERS) UINT8 *Map);

/*
 * The base table of a new configuration. OldTable is NULL where there is none yet; then Map is
 * ignored. At least one member has a weight. Table and OldTable may be the same. Returns the number
 * of slots that moved (all of them without an old table).
 */
ULONG OipTableMove(_In_reads_opt_(ONEIP_TABLE_SLOTS) const UINT8 *OldTable,
                   _In_reads_opt_(ONEIP_MAX_MEMBERS) const UINT8 *Map,
                   _In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                   _Out_writes_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                   _Inout_ OIP_TABLE_SCRATCH *Scratch);

/*
 * A table that came with a configuration: each slot a member with a weight, each member within one
 * slot in a hundred of its share (but a slot of difference is always allowed). FALSE: Index is the
 * slot at fault, or ONEIP_TABLE_SLOTS + the index of the member whose share is wrong.
 */
_Success_(return) BOOLEAN OipTableValidate(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table,
                                           _In_reads_(MemberCount) const ONEIP_MEMBER *Members,
                                           _In_ ULONG MemberCount, _Out_ ULONG *Index);

/* The effective table. Log is one that OipLivenessValid accepts. Where no live member has a weight,
 * all slots are OIP_TABLE_NONE. Table is not Base. */
VOID OipTableEffective(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Base,
                       _In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                       _In_ const OIP_LIVENESS *Liveness,
                       _Out_writes_(ONEIP_TABLE_SLOTS) UINT8 *Table,
                       _Inout_ OIP_TABLE_SCRATCH *Scratch);

/* SipHash-2-4 of the content under a zero key. */
UINT64 OipTableDigest(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table);

/* How many slots each member has; for OIP_TABLE_NONE the last entry. */
VOID OipTableCount(_In_reads_(ONEIP_TABLE_SLOTS) const UINT8 *Table,
                   _Out_writes_(ONEIP_MAX_MEMBERS + 1) UINT32 *Slots);

/* Modulo dispatch (NT-SwiFT 1998): the live members' indexes in order of NodeId; returns how many.
 * The server of a hash is List[OipHashModulo(hash, count)]. */
ULONG OipModuloList(_In_reads_(MemberCount) const ONEIP_MEMBER *Members, _In_ ULONG MemberCount,
                    _In_ UINT64 Alive, _Out_writes_(ONEIP_MAX_MEMBERS) UINT8 *List);
