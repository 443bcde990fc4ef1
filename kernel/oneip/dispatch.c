/*
 * From a subject to a member: see dispatch.h.
 */
#include "dispatch.h"

static UINT64 OipSubjectHash(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_SUBJECT *Subject,
                             _In_ UINT32 Affinity)
{
    switch (Affinity)
    {
    case OneIpAffinityFiveTuple:
        return OipHashFiveTuple(&Config->HashKey, Subject->Family, Subject->Client,
                                Subject->Cluster, Subject->Protocol, Subject->ClientPort,
                                Subject->ClusterPort);
    case OneIpAffinityNetwork:
        return OipHashNetwork(&Config->HashKey, Subject->Family, Subject->Client);
    default:
        return Subject->Family == OneIpFamilyIpv4
                   ? OipHashClientIpv4(&Config->HashKey, OipLoad32(Subject->Client))
                   : OipHashClient(&Config->HashKey, Subject->Family, Subject->Client);
    }
}

FORCEINLINE UINT32 OipAffinityOf(_In_ const OIP_CONFIGURATION *Config, _In_ ULONG Rule)
{
    return Rule == OIP_RULE_NONE ? Config->Header.Affinity : Config->Rules[Rule].Affinity;
}

_Use_decl_annotations_ VOID OipChoose(const OIP_CONFIGURATION *Config, const OIP_SUBJECT *Subject,
                                      OIP_CHOICE *Choice)
{
    ULONG rule = OipRuleOf(Config, Subject->Protocol, Subject->ClusterPort);
    UINT64 hash;

    Choice->Rule = rule;
    Choice->Slot = MAXULONG;
    Choice->Member = OIP_TABLE_NONE;
    if (rule != OIP_RULE_NONE && Config->Rules[rule].Mode != OneIpRuleShared)
    {
        if (Config->Rules[rule].Mode == OneIpRuleSingle)
        {
            Choice->Member = Config->View->Single[rule];
        }
        return;
    }

    hash = OipSubjectHash(Config, Subject, OipAffinityOf(Config, rule));
    if (Config->Header.Dispatch == OneIpDispatchModulo)
    {
        if (Config->View->ListCount != 0)
        {
            Choice->Member = Config->View->List[OipHashModulo(hash, Config->View->ListCount)];
        }
        return;
    }
    Choice->Slot = OipHashSlot(hash);
    Choice->Member = Config->View->Table[Choice->Slot];
}

/* The same by what was before the present view. */
static ULONG OipChoosePast(_In_ const OIP_CONFIGURATION *Config, _In_ const OIP_SUBJECT *Subject)
{
    const OIP_VIEW *view = Config->View;
    ULONG rule = OipRuleOf(Config, Subject->Protocol, Subject->ClusterPort);
    UINT64 hash;

    if (rule != OIP_RULE_NONE && Config->Rules[rule].Mode != OneIpRuleShared)
    {
        return Config->Rules[rule].Mode == OneIpRuleSingle ? view->PastSingle[rule]
                                                           : OIP_TABLE_NONE;
    }
    hash = OipSubjectHash(Config, Subject, OipAffinityOf(Config, rule));
    if (Config->Header.Dispatch == OneIpDispatchModulo)
    {
        return view->PastListCount == 0 ? OIP_TABLE_NONE
                                        : view->PastList[OipHashModulo(hash, view->PastListCount)];
    }
    return view->Past[OipHashSlot(hash)];
}

_Use_decl_annotations_ ULONG OipChooseFormer(const OIP_CONFIGURATION *Config,
                                             const OIP_SUBJECT *Subject)
{
    ULONG member = OipChoosePast(Config, Subject);

    if (member == OIP_TABLE_NONE && Config->Former != NULL)
    {
        OIP_CHOICE choice;

        OipChoose(Config->Former, Subject, &choice);
        member =
            choice.Member == OIP_TABLE_NONE ? OIP_TABLE_NONE : Config->FormerMap[choice.Member];
    }
    return member;
}
