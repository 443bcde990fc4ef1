/*
 * Counters of all processors.
 */
#include "stats.h"

static OIP_COUNTERS *Counters;
static ULONG CounterCount;

NTSTATUS OipStatsCreate(VOID)
{
    CounterCount = KeQueryMaximumProcessorCountEx(ALL_PROCESSOR_GROUPS);
    Counters = ExAllocatePool2(POOL_FLAG_NON_PAGED | POOL_FLAG_CACHE_ALIGNED,
                               CounterCount * sizeof(*Counters), OIP_TAG_STATS);
    return Counters == NULL ? STATUS_INSUFFICIENT_RESOURCES : STATUS_SUCCESS;
}

VOID OipStatsDestroy(VOID)
{
    if (Counters != NULL)
    {
        ExFreePoolWithTag(Counters, OIP_TAG_STATS);
        Counters = NULL;
    }
}

OIP_COUNTERS *OipCounters(VOID)
{
    return &Counters[KeGetCurrentProcessorNumberEx(NULL)];
}

_Use_decl_annotations_ VOID OipCountDropAnyIrql(ONEIP_DROP Reason, ULONG Amount)
{
    KIRQL irql;

    KeRaiseIrql(DISPATCH_LEVEL, &irql);
    OipCountDrop(Reason, Amount);
    KeLowerIrql(irql);
}

_Use_decl_annotations_ VOID OipStatsSum(ONEIP_STATS *Stats)
{
    /* All but the first two fields are 64-bit counters, one behind the other. */
    const ULONG first = FIELD_OFFSET(ONEIP_STATS, FramesIndicated) / sizeof(UINT64);
    UINT64 *sum = (UINT64 *)Stats;

    C_ASSERT(FIELD_OFFSET(ONEIP_STATS, FramesIndicated) == 2 * sizeof(UINT32));
    RtlZeroMemory(Stats, sizeof(*Stats));
    for (ULONG processor = 0; processor < CounterCount; processor++)
    {
        const UINT64 *counter = (const UINT64 *)&Counters[processor].Stats;

        for (ULONG i = first; i < sizeof(*Stats) / sizeof(UINT64); i++)
        {
            sum[i] += counter[i];
        }
    }
    Stats->Version = ONEIP_CONTRACT_VERSION;
    Stats->DropReasons = OneIpDropReasons;
}

_Use_decl_annotations_ VOID OipStatsMember(ULONG Index, UINT64 *Frames, UINT64 *Bytes)
{
    *Frames = 0;
    *Bytes = 0;
    for (ULONG processor = 0; processor < CounterCount; processor++)
    {
        *Frames += Counters[processor].Members[Index].Frames;
        *Bytes += Counters[processor].Members[Index].Bytes;
    }
}

_Use_decl_annotations_ VOID OipStatsRemapMembers(const UINT8 *Map)
{
    UINT64 frames[ONEIP_MAX_MEMBERS];
    UINT64 bytes[ONEIP_MAX_MEMBERS];

    C_ASSERT(sizeof(frames) + sizeof(bytes) <= 1024);
    for (ULONG processor = 0; processor < CounterCount; processor++)
    {
        OIP_COUNTERS *counters = &Counters[processor];

        for (ULONG i = 0; i < ONEIP_MAX_MEMBERS; i++)
        {
            frames[i] = counters->Members[i].Frames;
            bytes[i] = counters->Members[i].Bytes;
        }
        RtlZeroMemory(counters->Members, sizeof(counters->Members));
        for (ULONG i = 0; i < ONEIP_MAX_MEMBERS; i++)
        {
            if (Map[i] != OIP_TABLE_NONE)
            {
                counters->Members[Map[i]].Frames = frames[i];
                counters->Members[Map[i]].Bytes = bytes[i];
            }
        }
    }
}

_Use_decl_annotations_ VOID OipStatsRule(ULONG Place, OIP_RULE_COUNTERS *Sum)
{
    RtlZeroMemory(Sum, sizeof(*Sum));
    for (ULONG processor = 0; processor < CounterCount; processor++)
    {
        const OIP_RULE_COUNTERS *counters = &Counters[processor].Rules[Place];

        Sum->Frames += counters->Frames;
        Sum->Bytes += counters->Bytes;
        Sum->Flows += counters->Flows;
        Sum->Dropped += counters->Dropped;
    }
}

_Use_decl_annotations_ VOID OipStatsRemapRules(const UINT8 *Map)
{
    for (ULONG processor = 0; processor < CounterCount; processor++)
    {
        OIP_RULE_COUNTERS *rules = Counters[processor].Rules;
        OIP_RULE_COUNTERS old[ONEIP_MAX_RULES];

        C_ASSERT(sizeof(old) <= 2048);
        RtlCopyMemory(old, rules, sizeof(old));
        RtlZeroMemory(rules, sizeof(old));
        for (ULONG i = 0; i < ONEIP_MAX_RULES; i++)
        {
            if (Map[i] != OIP_RULE_NONE)
            {
                rules[Map[i]] = old[i];
            }
        }
    }
}
