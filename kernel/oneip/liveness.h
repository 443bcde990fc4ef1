/*
 * The liveness log: who died and who returned since all members were alive. The effective table is
 * a function of it (table.h says why a set would not do). The dispatcher makes it and every beacon
 * carries it whole.
 *
 * Changes that undo one another at its end cancel, so the log is empty when all are alive. It is
 * compacted, to one entry for each dead member, when it would exceed OIP_LIVENESS_LOG entries.
 *
 * Any IRQL <= DISPATCH_LEVEL. The caller serialises changes.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/oneip.h>

#define OIP_LIVENESS_LOG 64

C_ASSERT(ONEIP_MAX_MEMBERS <= 64); /* sets of members are bits of a UINT64 */
C_ASSERT(OIP_LIVENESS_LOG >= ONEIP_MAX_MEMBERS);

/* Entry: index of the member whose liveness toggled, with OIP_LIVENESS_JOINED if it happened
 * together with the entry before (in one batch). */
#define OIP_LIVENESS_JOINED 0x80

typedef struct OIP_LIVENESS
{
    UINT8 Length;
    UINT8 Log[OIP_LIVENESS_LOG];
} OIP_LIVENESS;

/* All of the first MemberCount members. */
FORCEINLINE UINT64 OipMemberSet(_In_ ULONG MemberCount)
{
    return MemberCount >= 64 ? ~0ULL : (1ULL << MemberCount) - 1;
}

/* The set of members in the batch that starts at *Next < Length, which moves behind it. */
UINT64 OipLivenessBatch(_In_ const OIP_LIVENESS *Liveness, _Inout_ ULONG *Next);

/* Who is alive by the log, of MemberCount. */
UINT64 OipLivenessAlive(_In_ const OIP_LIVENESS *Liveness, _In_ ULONG MemberCount);

/* A log from outside: length, indexes and structure. */
BOOLEAN OipLivenessValid(_In_ const OIP_LIVENESS *Liveness, _In_ ULONG MemberCount);

/* The members of Toggle die or return, together. All alive: the log becomes empty. */
VOID OipLivenessToggle(_Inout_ OIP_LIVENESS *Liveness, _In_ ULONG MemberCount, _In_ UINT64 Toggle);

/* The log after a change of configuration: members that are gone drop out, new ones count as
 * alive. */
VOID OipLivenessRemap(_Inout_ OIP_LIVENESS *Liveness,
                      _In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map, _In_ ULONG NewCount);
