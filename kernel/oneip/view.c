/*
 * Views: see view.h.
 */
#include "view.h"

/* Who serves what has a single server: its owner, else the best of those that serve. */
static UINT8 OipSingleServer(_In_ const OIP_CONFIGURATION *Config, _In_ UINT32 Owner,
                             _In_ UINT64 Serving)
{
    ULONG best = OIP_TABLE_NONE;

    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        const ONEIP_MEMBER *member = &Config->Members[i];

        if ((Serving >> i & 1) == 0)
        {
            continue;
        }
        if (member->NodeId == Owner)
        {
            return (UINT8)i;
        }
        if (member->Weight != 0 &&
            (best == OIP_TABLE_NONE || member->Rank < Config->Members[best].Rank))
        {
            best = i;
        }
    }
    return (UINT8)best;
}

/* What was, if it is another one and lives; else what was before that. */
FORCEINLINE UINT8 OipRemember(_In_ UINT8 Now, _In_ UINT8 Before, _In_ UINT8 Past, _In_ UINT64 Alive)
{
    return Before != Now && Before != OIP_TABLE_NONE && (Alive >> Before & 1) != 0 ? Before : Past;
}

_Use_decl_annotations_ VOID OipViewMake(OIP_CONFIGURATION *Config, const OIP_SERVING *Serving,
                                        const OIP_VIEW *Before, OIP_VIEW *View)
{
    ULONG members = Config->Header.MemberCount;

    OipTableEffective(Config->Base, Config->Members, members, Serving->Liveness, View->Table,
                      &Config->Scratch);
    RtlFillMemory(View->List, sizeof(View->List), OIP_TABLE_NONE);
    View->ListCount = OipModuloList(Config->Members, members, Serving->Set, View->List);
    for (ULONG i = 0; i < ONEIP_MAX_RULES; i++)
    {
        View->Single[i] = OIP_TABLE_NONE;
        if (i < Config->Header.RuleCount && Config->Rules[i].Mode == OneIpRuleSingle)
        {
            View->Single[i] = OipSingleServer(Config, Config->Rules[i].Owner, Serving->Set);
        }
    }

    if (Before == NULL)
    {
        RtlCopyMemory(View->Past, Config->BasePast, sizeof(View->Past));
        RtlFillMemory(View->PastSingle, sizeof(View->PastSingle), OIP_TABLE_NONE);
        View->PastListCount = 0;
        return;
    }
    for (ULONG slot = 0; slot < ONEIP_TABLE_SLOTS; slot++)
    {
        View->Past[slot] =
            OipRemember(View->Table[slot], Before->Table[slot], Before->Past[slot], Serving->Alive);
    }
    for (ULONG i = 0; i < ONEIP_MAX_RULES; i++)
    {
        View->PastSingle[i] =
            OipRemember(View->Single[i], Before->Single[i], Before->PastSingle[i], Serving->Alive);
    }
    if (Before->ListCount == View->ListCount &&
        RtlEqualMemory(Before->List, View->List, View->ListCount))
    {
        View->PastListCount = Before->PastListCount;
        RtlCopyMemory(View->PastList, Before->PastList, sizeof(View->PastList));
    }
    else
    {
        View->PastListCount = Before->ListCount;
        RtlCopyMemory(View->PastList, Before->List, sizeof(View->PastList));
    }
}

_Use_decl_annotations_ BOOLEAN OipViewSameFunction(const OIP_CONFIGURATION *Left,
                                                   const OIP_CONFIGURATION *Right)
{
    const ONEIP_CONFIG *left = &Left->Header;
    const ONEIP_CONFIG *right = &Right->Header;

    return RtlEqualMemory(left->HashKey, right->HashKey, sizeof(left->HashKey)) &&
           left->Affinity == right->Affinity && left->Dispatch == right->Dispatch &&
           left->RuleCount == right->RuleCount &&
           RtlEqualMemory(Left->Rules, Right->Rules, left->RuleCount * sizeof(ONEIP_RULE));
}

static VOID OipMapIndexes(_In_reads_(Count) const UINT8 *From, _In_ ULONG Count,
                          _In_reads_(256) const UINT8 *Map, _Out_writes_(Count) UINT8 *To)
{
    for (ULONG i = 0; i < Count; i++)
    {
        To[i] = Map[From[i]];
    }
}

_Use_decl_annotations_ VOID OipViewMap(const OIP_VIEW *From, const UINT8 *Map, OIP_VIEW *To)
{
    UINT8 map[256];

    /* OIP_TABLE_NONE, and whatever is no index, stays nobody. */
    RtlFillMemory(map, sizeof(map), OIP_TABLE_NONE);
    RtlCopyMemory(map, Map, ONEIP_MAX_MEMBERS);
    OipMapIndexes(From->Table, ONEIP_TABLE_SLOTS, map, To->Table);
    OipMapIndexes(From->Past, ONEIP_TABLE_SLOTS, map, To->Past);
    OipMapIndexes(From->List, ONEIP_MAX_MEMBERS, map, To->List);
    OipMapIndexes(From->PastList, ONEIP_MAX_MEMBERS, map, To->PastList);
    OipMapIndexes(From->Single, ONEIP_MAX_RULES, map, To->Single);
    OipMapIndexes(From->PastSingle, ONEIP_MAX_RULES, map, To->PastSingle);
    To->ListCount = From->ListCount;
    To->PastListCount = From->PastListCount;
}
