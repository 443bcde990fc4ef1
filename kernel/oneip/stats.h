/*
 * Counters. Each processor has its own, so that the data path shares no cache line; readers add
 * them up. Fields and meanings are those of ONEIP_STATS.
 */
#pragma once

#include "oneip.h"

typedef struct OIP_RULE_COUNTERS
{
    UINT64 Frames;
    UINT64 Bytes;
    UINT64 Flows;
    UINT64 Dropped;
} OIP_RULE_COUNTERS;

/* By index in the present configuration; what no rule names is counted in the last place. */
#define OIP_RULE_PLACES (ONEIP_MAX_RULES + 1)

FORCEINLINE ULONG OipRulePlace(_In_ ULONG Rule)
{
    return Rule < ONEIP_MAX_RULES ? Rule : ONEIP_MAX_RULES;
}

typedef struct DECLSPEC_CACHEALIGN OIP_COUNTERS
{
    ONEIP_STATS Stats;
    struct
    {
        UINT64 Frames;
        UINT64 Bytes;
    } Members[ONEIP_MAX_MEMBERS]; /* by index in the present configuration */
    OIP_RULE_COUNTERS Rules[OIP_RULE_PLACES];
} OIP_COUNTERS;

/* Allocates for as many processors as the machine can ever have. PASSIVE_LEVEL. */
NTSTATUS OipStatsCreate(VOID);
VOID OipStatsDestroy(VOID);

/* The counters of the processor that we are on, at DISPATCH_LEVEL, until we leave that level. */
OIP_COUNTERS *OipCounters(VOID);

#define OipCount(Field, Amount)      (OipCounters()->Stats.Field += (Amount))
#define OipCountDrop(Reason, Amount) (OipCounters()->Stats.Drops[Reason] += (Amount))

/* The same at any IRQL <= DISPATCH_LEVEL. */
VOID OipCountDropAnyIrql(_In_ ONEIP_DROP Reason, _In_ ULONG Amount);

/* Sums. A sum is not a snapshot: frames may be counted while it is taken. */
VOID OipStatsSum(_Out_ ONEIP_STATS *Stats);
VOID OipStatsMember(_In_ ULONG Index, _Out_ UINT64 *Frames, _Out_ UINT64 *Bytes);
VOID OipStatsRule(_In_ ULONG Place, _Out_ OIP_RULE_COUNTERS *Sum);

/*
 * The members changed places: Map[old index] is the new index or OIP_TABLE_NONE. The caller holds
 * DataLock exclusively, so nobody counts meanwhile.
 */
VOID OipStatsRemapMembers(_In_reads_(ONEIP_MAX_MEMBERS) const UINT8 *Map);

/* The same for rules. */
VOID OipStatsRemapRules(_In_reads_(ONEIP_MAX_RULES) const UINT8 *Map);
