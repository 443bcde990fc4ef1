/*
 * Configurations. Every rule of the contract (ntswift/oneip.h) is checked here, before anything is
 * built; each has a reason of its own, so that the CLI can say what is wrong.
 *
 * The input is a system buffer that nobody else writes (METHOD_BUFFERED), so it may be read twice.
 */
#include "config.h"

#include "dispatch.h"

#define OIP_TABLE_BYTES ((ONEIP_TABLE_SLOTS + 7) & ~7UL)

static BOOLEAN OipAllZero(_In_reads_bytes_(Bytes) const VOID *Data, _In_ SIZE_T Bytes)
{
    const UCHAR *byte = Data;
    UCHAR any = 0;

    for (SIZE_T i = 0; i < Bytes; i++)
    {
        any |= byte[i];
    }
    return any == 0;
}

/* RFC 1122, 3.2.1.3; RFC 6890: an address that a host can have. Loopback is none that a LAN sees.
 */
static BOOLEAN OipIsUnicast(_In_ UINT32 Family, _In_ const UINT8 *Address)
{
    if (Family == OneIpFamilyIpv4)
    {
        return Address[0] != 0 && Address[0] != 127 && Address[0] < 224;
    }
    /* Not multicast, not unspecified or loopback, not IPv4-mapped. */
    return Address[0] != 0xFF && !(OipAllZero(Address, 15) && Address[15] <= 1) &&
           !(OipAllZero(Address, 10) && Address[10] == 0xFF && Address[11] == 0xFF);
}

static BOOLEAN OipHasAddress(_In_reads_(Count) const ONEIP_ADDRESS *Addresses, _In_ ULONG Count,
                             _In_ UINT32 Family, _In_ const UINT8 *Address)
{
    for (ULONG i = 0; i < Count; i++)
    {
        if (Addresses[i].Family == Family &&
            RtlEqualMemory(Addresses[i].Address, Address, OipAddressBytes(Family)))
        {
            return TRUE;
        }
    }
    return FALSE;
}

#define OIP_REFUSE(Condition, Why, At)                                                             \
    do                                                                                             \
    {                                                                                              \
        if (Condition)                                                                             \
        {                                                                                          \
            Fault->Reason = (Why);                                                                 \
            Fault->Index = (At);                                                                   \
            return FALSE;                                                                          \
        }                                                                                          \
    } while (0)

static BOOLEAN OipIsAffinity(_In_ UINT32 Affinity)
{
    return Affinity == OneIpAffinityClient || Affinity == OneIpAffinityFiveTuple ||
           Affinity == OneIpAffinityNetwork;
}

static BOOLEAN OipIsIdle(_In_ UINT32 Seconds)
{
    return Seconds >= 1 && Seconds <= ONEIP_MAX_IDLE_SECONDS;
}

static BOOLEAN OipCheckHeader(_In_ const ONEIP_CONFIG *Header, _In_ ULONG Bytes,
                              _Out_ OIP_FAULT *Fault)
{
    OIP_REFUSE(Header->Version != ONEIP_CONTRACT_VERSION, OneIpReasonVersion, 0);
    OIP_REFUSE(Header->AddressCount == 0 || Header->AddressCount > ONEIP_MAX_ADDRESSES,
               OneIpReasonAddressCount, 0);
    OIP_REFUSE(Header->MemberCount == 0 || Header->MemberCount > ONEIP_MAX_MEMBERS,
               OneIpReasonMemberCount, 0);
    OIP_REFUSE(Header->TableSlots != 0 && Header->TableSlots != ONEIP_TABLE_SLOTS, OneIpReasonTable,
               0);
    OIP_REFUSE(Header->PastSlots != 0 && (Header->PastSlots != ONEIP_TABLE_SLOTS ||
                                          Header->TableSlots != ONEIP_TABLE_SLOTS),
               OneIpReasonPastTable, 0);
    OIP_REFUSE(Header->RuleCount > ONEIP_MAX_RULES, OneIpReasonRuleCount, 0);
    OIP_REFUSE(Header->Size != Bytes ||
                   Bytes != sizeof(*Header) + Header->AddressCount * sizeof(ONEIP_ADDRESS) +
                                Header->MemberCount * sizeof(ONEIP_MEMBER) +
                                Header->RuleCount * sizeof(ONEIP_RULE) +
                                (Header->TableSlots != 0 ? OIP_TABLE_BYTES : 0) +
                                (Header->PastSlots != 0 ? OIP_TABLE_BYTES : 0),
               OneIpReasonSize, 0);
    OIP_REFUSE(Header->Generation == 0, OneIpReasonGeneration, 0);
    OIP_REFUSE(OipAllZero(Header->BeaconKey, sizeof(Header->BeaconKey)), OneIpReasonBeaconKey, 0);
    OIP_REFUSE(Header->BeaconMilliseconds < ONEIP_MIN_BEACON_MS ||
                   Header->BeaconMilliseconds > ONEIP_MAX_BEACON_MS,
               OneIpReasonBeaconInterval, 0);
    OIP_REFUSE(Header->SilenceBeacons < ONEIP_MIN_SILENCE_BEACONS ||
                   Header->SilenceBeacons > ONEIP_MAX_SILENCE_BEACONS,
               OneIpReasonSilence, 0);
    OIP_REFUSE(Header->AnnounceSeconds == 0 || Header->AnnounceSeconds > ONEIP_MAX_ANNOUNCE_SECONDS,
               OneIpReasonAnnounce, 0);
    OIP_REFUSE(!OipIsAffinity(Header->Affinity), OneIpReasonAffinity, 0);
    OIP_REFUSE(Header->Dispatch != OneIpDispatchTable && Header->Dispatch != OneIpDispatchModulo,
               OneIpReasonDispatch, 0);
    OIP_REFUSE(Header->FlowCapacity < ONEIP_MIN_FLOWS || Header->FlowCapacity > ONEIP_MAX_FLOWS,
               OneIpReasonFlowCapacity, 0);
    OIP_REFUSE(!OipIsIdle(Header->TcpIdleSeconds) || !OipIsIdle(Header->UdpIdleSeconds) ||
                   !OipIsIdle(Header->OpeningSeconds) || !OipIsIdle(Header->ClosingSeconds),
               OneIpReasonIdle, 0);
    return TRUE;
}

static BOOLEAN OipCheckAddresses(_In_reads_(Count) const ONEIP_ADDRESS *Addresses, _In_ ULONG Count,
                                 _Out_ OIP_FAULT *Fault)
{
    for (ULONG i = 0; i < Count; i++)
    {
        const ONEIP_ADDRESS *address = &Addresses[i];

        OIP_REFUSE(address->Family != OneIpFamilyIpv4 && address->Family != OneIpFamilyIpv6,
                   OneIpReasonAddress, i);
        OIP_REFUSE(address->Reserved != 0 || (address->Family == OneIpFamilyIpv4 &&
                                              !OipAllZero(address->Address + 4, 12)),
                   OneIpReasonReserved, i);
        OIP_REFUSE(!OipIsUnicast(address->Family, address->Address), OneIpReasonAddress, i);
        OIP_REFUSE(OipHasAddress(Addresses, i, address->Family, address->Address),
                   OneIpReasonAddressTwice, i);
    }
    return TRUE;
}

/* A member's own address of one family: present if needed, and nobody else's. */
static BOOLEAN OipCheckMemberAddress(_In_ UINT32 Family,
                                     _In_reads_(Count) const ONEIP_ADDRESS *Addresses,
                                     _In_ ULONG Count, _In_ const ONEIP_MEMBER *Members,
                                     _In_ ULONG Index)
{
    SIZE_T offset = Family == OneIpFamilyIpv4 ? FIELD_OFFSET(ONEIP_MEMBER, Ipv4)
                                              : FIELD_OFFSET(ONEIP_MEMBER, Ipv6);
    const UINT8 *address = (const UINT8 *)&Members[Index] + offset;
    ULONG bytes = OipAddressBytes(Family);
    BOOLEAN needed = FALSE;

    for (ULONG i = 0; i < Count; i++)
    {
        needed |= Addresses[i].Family == Family;
    }
    if (OipAllZero(address, bytes))
    {
        return !needed;
    }
    if (!OipIsUnicast(Family, address) || OipHasAddress(Addresses, Count, Family, address))
    {
        return FALSE;
    }
    for (ULONG i = 0; i < Index; i++)
    {
        if (RtlEqualMemory((const UINT8 *)&Members[i] + offset, address, bytes))
        {
            return FALSE;
        }
    }
    return TRUE;
}

static BOOLEAN OipCheckMembers(_In_ const ONEIP_CONFIG *Header, _In_ const ONEIP_ADDRESS *Addresses,
                               _In_ const ONEIP_MEMBER *Members, _Out_ ULONG *Local,
                               _Out_ OIP_FAULT *Fault)
{
    ULONG weight = 0;

    *Local = OIP_TABLE_NONE;
    for (ULONG i = 0; i < Header->MemberCount; i++)
    {
        const ONEIP_MEMBER *member = &Members[i];

        OIP_REFUSE(!OipAllZero(member->Reserved, sizeof(member->Reserved)), OneIpReasonReserved, i);
        OIP_REFUSE(member->NodeId == 0 || member->NodeId == MAXULONG, OneIpReasonNodeId, i);
        OIP_REFUSE(member->Weight > ONEIP_MAX_WEIGHT, OneIpReasonWeight, i);
        OIP_REFUSE((member->Mac[0] & 1) != 0 || OipAllZero(member->Mac, sizeof(member->Mac)),
                   OneIpReasonMac, i);
        for (ULONG j = 0; j < i; j++)
        {
            OIP_REFUSE(Members[j].NodeId == member->NodeId, OneIpReasonNodeId, i);
            OIP_REFUSE(Members[j].Rank == member->Rank, OneIpReasonRank, i);
            OIP_REFUSE(RtlEqualMemory(Members[j].Mac, member->Mac, sizeof(member->Mac)),
                       OneIpReasonMac, i);
        }
        OIP_REFUSE(
            !OipCheckMemberAddress(OneIpFamilyIpv4, Addresses, Header->AddressCount, Members, i) ||
                !OipCheckMemberAddress(OneIpFamilyIpv6, Addresses, Header->AddressCount, Members,
                                       i),
            OneIpReasonMemberAddress, i);
        weight += member->Weight;
        if (member->NodeId == Header->LocalNode)
        {
            *Local = i;
        }
    }
    OIP_REFUSE(*Local == OIP_TABLE_NONE, OneIpReasonLocalNode, 0);
    OIP_REFUSE(weight == 0, OneIpReasonNoWeight, 0);
    return TRUE;
}

static BOOLEAN OipRuleNames(_In_ const ONEIP_RULE *Rule, _In_ UINT32 Protocol)
{
    return Rule->Protocol == 0 || Rule->Protocol == Protocol;
}

static BOOLEAN OipRulesOverlap(_In_ const ONEIP_RULE *Left, _In_ const ONEIP_RULE *Right)
{
    return (Left->Protocol == 0 || OipRuleNames(Right, Left->Protocol)) &&
           Left->FirstPort <= Right->LastPort && Right->FirstPort <= Left->LastPort;
}

static BOOLEAN OipCheckRules(_In_reads_(Count) const ONEIP_RULE *Rules, _In_ ULONG Count,
                             _In_reads_(MemberCount) const ONEIP_MEMBER *Members,
                             _In_ ULONG MemberCount, _Out_ OIP_FAULT *Fault)
{
    for (ULONG i = 0; i < Count; i++)
    {
        const ONEIP_RULE *rule = &Rules[i];
        BOOLEAN owned = FALSE;

        OIP_REFUSE(rule->Reserved != 0, OneIpReasonReserved, i);
        OIP_REFUSE(rule->Protocol != 0 && rule->Protocol != OIP_PROTOCOL_TCP &&
                       rule->Protocol != OIP_PROTOCOL_UDP,
                   OneIpReasonRule, i);
        OIP_REFUSE(rule->FirstPort > rule->LastPort, OneIpReasonRule, i);
        OIP_REFUSE(rule->Mode != OneIpRuleShared && rule->Mode != OneIpRuleSingle &&
                       rule->Mode != OneIpRuleBlocked,
                   OneIpReasonRule, i);
        OIP_REFUSE(rule->Mode == OneIpRuleShared ? !OipIsAffinity(rule->Affinity)
                                                 : rule->Affinity != 0,
                   OneIpReasonRule, i);
        for (ULONG member = 0; member < MemberCount; member++)
        {
            owned |= Members[member].NodeId == rule->Owner;
        }
        OIP_REFUSE(rule->Mode == OneIpRuleSingle ? !owned : rule->Owner != 0, OneIpReasonRuleOwner,
                   i);
        for (ULONG other = 0; other < i; other++)
        {
            OIP_REFUSE(OipRulesOverlap(&Rules[other], rule), OneIpReasonRuleOverlap, i);
        }
    }
    return TRUE;
}

static VOID OipIndexRules(_Inout_ OIP_CONFIGURATION *Config)
{
    RtlFillMemory(Config->RuleByPort, sizeof(Config->RuleByPort), OIP_RULE_NONE);
    for (ULONG i = 0; i < Config->Header.RuleCount; i++)
    {
        const ONEIP_RULE *rule = &Config->Rules[i];

        for (ULONG port = rule->FirstPort; port <= rule->LastPort; port++)
        {
            USHORT network = RtlUshortByteSwap((USHORT)port);

            if (OipRuleNames(rule, OIP_PROTOCOL_TCP))
            {
                Config->RuleByPort[0][network] = (UINT8)i;
            }
            if (OipRuleNames(rule, OIP_PROTOCOL_UDP))
            {
                Config->RuleByPort[1][network] = (UINT8)i;
            }
        }
    }
}

/* A member keeps the handle that it has; a new one gets one that was free the longest. */
static VOID OipGiveHandles(_Inout_ OIP_CONFIGURATION *Config, _In_opt_ const OIP_CONFIGURATION *Old)
{
    RtlFillMemory(Config->ByHandle, sizeof(Config->ByHandle), OIP_TABLE_NONE);
    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        ULONG old = Old == NULL ? OIP_TABLE_NONE : OipMemberByNode(Old, Config->Members[i].NodeId);

        if (old != OIP_TABLE_NONE)
        {
            Config->Handle[i] = Old->Handle[old];
            Config->ByHandle[Config->Handle[i]] = (UINT8)i;
        }
    }
    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        while (Config->Handle[i] == OIP_FLOW_NOBODY)
        {
            UINT8 handle = ++Oip.LastHandle;

            if (handle != OIP_FLOW_NOBODY && Config->ByHandle[handle] == OIP_TABLE_NONE)
            {
                Config->Handle[i] = handle;
                Config->ByHandle[handle] = (UINT8)i;
            }
        }
    }
}

static VOID OipIndexConfiguration(_Inout_ OIP_CONFIGURATION *Config)
{
    OipSipKey(&Config->HashKey, Config->Header.HashKey);
    OipSipKey(&Config->BeaconKey, Config->Header.BeaconKey);
    for (ULONG i = 0; i < Config->Header.AddressCount; i++)
    {
        if (Config->Addresses[i].Family == OneIpFamilyIpv4)
        {
            RtlCopyMemory(&Config->Ipv4[Config->Ipv4Count++], Config->Addresses[i].Address, 4);
        }
        else
        {
            RtlCopyMemory(Config->Ipv6[Config->Ipv6Count++], Config->Addresses[i].Address, 16);
        }
    }
    RtlFillMemory(Config->MacSlots, sizeof(Config->MacSlots), OIP_TABLE_NONE);
    for (ULONG i = 0; i < Config->Header.MemberCount; i++)
    {
        ULONG slot = OipMacSlot(OipLoadMac(Config->Members[i].Mac));

        while (Config->MacSlots[slot] != OIP_TABLE_NONE)
        {
            slot = (slot + 1) & (OIP_MAC_SLOTS - 1);
        }
        Config->MacSlots[slot] = (UINT8)i;
    }
}

/* Same content as what is in force? The table counts where the input brings one. */
static BOOLEAN OipSameConfiguration(_In_ const OIP_CONFIGURATION *Old,
                                    _In_ const ONEIP_CONFIG *Header,
                                    _In_ const ONEIP_ADDRESS *Addresses,
                                    _In_ const ONEIP_MEMBER *Members, _In_ const ONEIP_RULE *Rules,
                                    _In_opt_ const UINT8 *Table)
{
    const ONEIP_CONFIG *old = &Old->Header;

    C_ASSERT(FIELD_OFFSET(ONEIP_CONFIG, RuleCount) + 6 * sizeof(UINT32) == sizeof(ONEIP_CONFIG));

    return old->Generation == Header->Generation &&
           RtlEqualMemory(old->ClusterId, Header->ClusterId,
                          FIELD_OFFSET(ONEIP_CONFIG, TableSlots) -
                              FIELD_OFFSET(ONEIP_CONFIG, ClusterId)) &&
           RtlEqualMemory(&old->RuleCount, &Header->RuleCount, 6 * sizeof(UINT32)) &&
           RtlEqualMemory(Old->Rules, Rules, Header->RuleCount * sizeof(*Rules)) &&
           RtlEqualMemory(Old->Addresses, Addresses, Header->AddressCount * sizeof(*Addresses)) &&
           RtlEqualMemory(Old->Members, Members, Header->MemberCount * sizeof(*Members)) &&
           (Table == NULL || RtlEqualMemory(Old->Base, Table, sizeof(Old->Base)));
}

static BOOLEAN OipCheckPast(_In_reads_(OIP_TABLE_BYTES) const UINT8 *Past, _In_ ULONG MemberCount,
                            _Out_ OIP_FAULT *Fault)
{
    for (ULONG slot = 0; slot < ONEIP_TABLE_SLOTS; slot++)
    {
        OIP_REFUSE(Past[slot] >= MemberCount && Past[slot] != OIP_TABLE_NONE, OneIpReasonPastTable,
                   slot);
    }
    OIP_REFUSE(!OipAllZero(Past + ONEIP_TABLE_SLOTS, OIP_TABLE_BYTES - ONEIP_TABLE_SLOTS),
               OneIpReasonPastTable, ONEIP_TABLE_SLOTS);
    return TRUE;
}

_Use_decl_annotations_ NTSTATUS OipConfigBuild(const VOID *Input, ULONG Bytes,
                                               const OIP_CONFIGURATION *Old,
                                               OIP_CONFIGURATION **Config, BOOLEAN *ResetReplay,
                                               OIP_FAULT *Fault)
{
    const ONEIP_CONFIG *header = Input;
    const ONEIP_ADDRESS *addresses = (const ONEIP_ADDRESS *)(header + 1);
    const ONEIP_MEMBER *members;
    const ONEIP_RULE *rules;
    const UINT8 *table = NULL;
    const UINT8 *past = NULL;
    OIP_CONFIGURATION *made;
    ULONG local;
    ULONG fault;

    *Config = NULL;
    *ResetReplay = FALSE;
    Fault->Reason = OneIpReasonNone;
    Fault->Index = 0;
    if (Bytes < sizeof(*header))
    {
        Fault->Reason = OneIpReasonInputTooShort;
        return STATUS_INFO_LENGTH_MISMATCH;
    }
    if (!OipCheckHeader(header, Bytes, Fault))
    {
        return Fault->Reason == OneIpReasonVersion ? STATUS_REVISION_MISMATCH
                                                   : STATUS_INVALID_PARAMETER;
    }
    members = (const ONEIP_MEMBER *)(addresses + header->AddressCount);
    if (!OipCheckAddresses(addresses, header->AddressCount, Fault) ||
        !OipCheckMembers(header, addresses, members, &local, Fault))
    {
        return STATUS_INVALID_PARAMETER;
    }
    rules = (const ONEIP_RULE *)(members + header->MemberCount);
    if (!OipCheckRules(rules, header->RuleCount, members, header->MemberCount, Fault))
    {
        return STATUS_INVALID_PARAMETER;
    }
    if (header->TableSlots != 0)
    {
        table = (const UINT8 *)(rules + header->RuleCount);
        if (!OipTableValidate(table, members, header->MemberCount, &fault) ||
            !OipAllZero(table + ONEIP_TABLE_SLOTS, OIP_TABLE_BYTES - ONEIP_TABLE_SLOTS))
        {
            Fault->Reason = OneIpReasonTable;
            Fault->Index = fault;
            return STATUS_INVALID_PARAMETER;
        }
    }
    if (header->PastSlots != 0)
    {
        past = table + OIP_TABLE_BYTES;
        if (!OipCheckPast(past, header->MemberCount, Fault))
        {
            return STATUS_INVALID_PARAMETER;
        }
    }

    if (Old != NULL)
    {
        if (OipSameConfiguration(Old, header, addresses, members, rules, table))
        {
            return STATUS_SUCCESS;
        }
        if (header->Generation <= Old->Header.Generation)
        {
            Fault->Reason = OneIpReasonGeneration;
            return STATUS_REVISION_MISMATCH;
        }
    }

    made = ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*made), OIP_TAG_CONFIG);
    if (made == NULL)
    {
        Fault->Reason = OneIpReasonNoMemory;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    made->Header = *header;
    made->Local = local;
    RtlCopyMemory(made->Addresses, addresses, header->AddressCount * sizeof(*addresses));
    RtlCopyMemory(made->Members, members, header->MemberCount * sizeof(*members));
    RtlCopyMemory(made->Rules, rules, header->RuleCount * sizeof(*rules));
    OipIndexConfiguration(made);
    OipIndexRules(made);
    OipGiveHandles(made, Old);
    made->Followed = OIP_TABLE_NONE;
    if (past != NULL)
    {
        RtlCopyMemory(made->BasePast, past, sizeof(made->BasePast));
    }
    else
    {
        RtlFillMemory(made->BasePast, sizeof(made->BasePast), OIP_TABLE_NONE);
    }
    if (table != NULL)
    {
        RtlCopyMemory(made->Base, table, sizeof(made->Base));
    }
    else
    {
        UINT8 map[ONEIP_MAX_MEMBERS];

        if (Old != NULL)
        {
            OipTableMap(Old->Members, Old->Header.MemberCount, members, header->MemberCount, map);
        }
        (VOID) OipTableMove(Old == NULL ? NULL : Old->Base, map, members, header->MemberCount,
                            made->Base, &made->Scratch);
    }
    made->BaseDigest = OipTableDigest(made->Base);
    *ResetReplay = Old != NULL && (!RtlEqualMemory(Old->Header.BeaconKey, header->BeaconKey, 16) ||
                                   !RtlEqualMemory(Old->Header.ClusterId, header->ClusterId, 16));
    *Config = made;
    return STATUS_SUCCESS;
}

_Use_decl_annotations_ ULONG OipConfigBytes(const OIP_CONFIGURATION *Config)
{
    return sizeof(ONEIP_CONFIG) + Config->Header.AddressCount * (ULONG)sizeof(ONEIP_ADDRESS) +
           Config->Header.MemberCount * (ULONG)sizeof(ONEIP_MEMBER) +
           Config->Header.RuleCount * (ULONG)sizeof(ONEIP_RULE) + 2 * OIP_TABLE_BYTES;
}

_Use_decl_annotations_ VOID OipConfigWrite(const OIP_CONFIGURATION *Config, VOID *Output)
{
    ONEIP_CONFIG *header = Output;
    ONEIP_ADDRESS *addresses = (ONEIP_ADDRESS *)(header + 1);
    ONEIP_MEMBER *members = (ONEIP_MEMBER *)(addresses + Config->Header.AddressCount);
    ONEIP_RULE *rules = (ONEIP_RULE *)(members + Config->Header.MemberCount);
    UINT8 *table = (UINT8 *)(rules + Config->Header.RuleCount);

    *header = Config->Header;
    header->Size = OipConfigBytes(Config);
    header->TableSlots = ONEIP_TABLE_SLOTS;
    header->PastSlots = ONEIP_TABLE_SLOTS;
    RtlZeroMemory(header->BeaconKey, sizeof(header->BeaconKey));
    RtlCopyMemory(addresses, Config->Addresses, header->AddressCount * sizeof(*addresses));
    RtlCopyMemory(members, Config->Members, header->MemberCount * sizeof(*members));
    RtlCopyMemory(rules, Config->Rules, header->RuleCount * sizeof(*rules));
    RtlZeroMemory(table, 2 * OIP_TABLE_BYTES);
    RtlCopyMemory(table, Config->Base, ONEIP_TABLE_SLOTS);
    RtlCopyMemory(table + OIP_TABLE_BYTES, Config->View->Past, ONEIP_TABLE_SLOTS);
}
