/*
 * Configurations, out of bytes. Every rule of the contract (ntswift/repl.h) is checked here, before
 * anything changes; the input is a system buffer that nobody else writes.
 */
#include "configure.h"

#include "filter.h"

#define RPL_REFUSE(Condition, Why, At)                                                             \
    do                                                                                             \
    {                                                                                              \
        if (Condition)                                                                             \
        {                                                                                          \
            Refusal->Reason = (Why);                                                               \
            Refusal->Index = (At);                                                                 \
            return FALSE;                                                                          \
        }                                                                                          \
    } while (0)

static BOOLEAN RplAllZero(_In_reads_bytes_(Bytes) const VOID *Data, _In_ SIZE_T Bytes)
{
    const UCHAR *byte = Data;
    UCHAR any = 0;

    for (SIZE_T i = 0; i < Bytes; i++)
    {
        any |= byte[i];
    }
    return any == 0;
}

static const REPL_SET *RplInputSets(_In_ const REPL_CONFIG *Header)
{
    return (const REPL_SET *)(Header + 1);
}

static const REPL_RULE *RplInputRules(_In_ const REPL_CONFIG *Header)
{
    return (const REPL_RULE *)(RplInputSets(Header) + Header->SetCount);
}

static const UCHAR *RplInputNames(_In_ const REPL_CONFIG *Header)
{
    return (const UCHAR *)(RplInputRules(Header) + Header->RuleCount);
}

static BOOLEAN RplCheckHeader(_In_ const REPL_CONFIG *Header, _In_ ULONG Bytes,
                              _Inout_ REPL_REFUSAL *Refusal)
{
    BOOLEAN none = Header->SetCount == 0;

    RPL_REFUSE(Header->Contract != REPL_CONTRACT_VERSION, ReplRefusalContract, 0);
    RPL_REFUSE(Header->SetCount > REPL_MAX_SETS || Header->RuleCount > REPL_MAX_RULES,
               ReplRefusalCount, 0);
    RPL_REFUSE(Header->NameBytes > RPL_MAX_NAMES || Header->Bytes != Bytes ||
                   Bytes != sizeof(*Header) + Header->SetCount * sizeof(REPL_SET) +
                                Header->RuleCount * sizeof(REPL_RULE) + Header->NameBytes,
               ReplRefusalLength, 0);
    RPL_REFUSE(!none && RplAllZero(Header->StreamId, sizeof(Header->StreamId)), ReplRefusalReserved,
               0);
    RPL_REFUSE((Header->StagingBytes != 0 || !none) &&
                   (Header->StagingBytes < REPL_MIN_STAGING ||
                    Header->StagingBytes > REPL_MAX_STAGING || Header->StagingBytes % 4096 != 0),
               ReplRefusalStaging, 0);
    RPL_REFUSE(Header->JournalBytes != 0 &&
                   (Header->JournalBytes < REPL_MIN_JOURNAL ||
                    Header->JournalBytes > RPL_MAX_JOURNAL || Header->JournalBytes % 4096 != 0),
               ReplRefusalJournal, 0);
    RPL_REFUSE(Header->BlockMs > REPL_MAX_BLOCK_MS, ReplRefusalBound, 0);
    return TRUE;
}

/* A name in the input: within the names, whole characters, no zeros. */
static BOOLEAN RplInputName(_In_ const REPL_CONFIG *Header, _In_ UINT32 Offset, _In_ UINT32 Length,
                            _Out_ UNICODE_STRING *Name)
{
    if (Length > REPL_MAX_NAME_BYTES || Offset > Header->NameBytes ||
        Length > Header->NameBytes - Offset || Length % sizeof(WCHAR) != 0 ||
        Offset % sizeof(WCHAR) != 0)
    {
        return FALSE;
    }
    Name->Buffer = (PWCH)(RplInputNames(Header) + Offset);
    Name->Length = (USHORT)Length;
    Name->MaximumLength = Name->Length;
    for (ULONG i = 0; i < Length / sizeof(WCHAR); i++)
    {
        if (Name->Buffer[i] == 0)
        {
            return FALSE;
        }
    }
    return TRUE;
}

static BOOLEAN RplCheckSets(_In_ const REPL_CONFIG *Header, _Inout_ REPL_REFUSAL *Refusal)
{
    const REPL_SET *sets = RplInputSets(Header);
    UNICODE_STRING name;

    for (ULONG i = 0; i < Header->SetCount; i++)
    {
        RPL_REFUSE(sets[i].Reserved != 0, ReplRefusalReserved, i);
        RPL_REFUSE(sets[i].SetId == 0 || sets[i].SetId == MAXUINT32, ReplRefusalSetId, i);
        for (ULONG other = 0; other < i; other++)
        {
            RPL_REFUSE(sets[other].SetId == sets[i].SetId, ReplRefusalSetId, i);
        }
        RPL_REFUSE(sets[i].Mode != ReplModeAsync && sets[i].Mode != ReplModeDurable &&
                       sets[i].Mode != ReplModeCopy,
                   ReplRefusalMode, i);
        RPL_REFUSE(!RplInputName(Header, sets[i].RootOffset, sets[i].RootLength, &name) ||
                       name.Length == 0,
                   ReplRefusalRoot, i);
    }
    return TRUE;
}

static BOOLEAN RplCheckRules(_In_ const REPL_CONFIG *Header, _Inout_ REPL_REFUSAL *Refusal)
{
    const REPL_SET *sets = RplInputSets(Header);
    const REPL_RULE *rules = RplInputRules(Header);

    for (ULONG i = 0; i < Header->RuleCount; i++)
    {
        RPL_RULE rule = {rules[i].Kind, rules[i].Value, {0}};
        BOOLEAN known = FALSE;

        for (ULONG set = 0; set < Header->SetCount; set++)
        {
            known |= sets[set].SetId == rules[i].SetId;
        }
        RPL_REFUSE(!known, ReplRefusalRule, i);
        RPL_REFUSE(!RplInputName(Header, rules[i].NameOffset, rules[i].NameLength, &rule.Pattern) ||
                       !RplRuleIsValid(&rule),
                   ReplRefusalRule, i);
        RPL_REFUSE(rule.Kind == ReplRuleMaxSize
                       ? rule.Value == 0 || rules[i].NameLength != 0 || rules[i].NameOffset != 0
                       : rule.Value != 0,
                   ReplRefusalRule, i);
    }
    return TRUE;
}

/* Rules of each set, with patterns of their own, prepared. */
static VOID RplBuildRules(_Inout_ RPL_CONFIGURATION *Configuration, _Inout_ PWCH Names)
{
    const REPL_CONFIG *header = Configuration->Input;
    const REPL_RULE *rules = RplInputRules(header);
    ULONG count = 0;

    for (ULONG i = 0; i < Configuration->SetCount; i++)
    {
        RPL_SET *set = &Configuration->Sets[i];

        set->FirstRule = count;
        for (ULONG j = 0; j < header->RuleCount; j++)
        {
            RPL_RULE *rule = &Configuration->Rules[count];
            UNICODE_STRING pattern = {0};

            if (rules[j].SetId != set->SetId)
            {
                continue;
            }
            (VOID) RplInputName(header, rules[j].NameOffset, rules[j].NameLength, &pattern);
            rule->Kind = rules[j].Kind;
            rule->Value = rules[j].Value;
            rule->Pattern.Buffer = Names;
            rule->Pattern.Length = pattern.Length;
            rule->Pattern.MaximumLength = pattern.Length;
            RtlCopyMemory(Names, pattern.Buffer, pattern.Length);
            RplRulePrepare(&rule->Pattern);
            Names += pattern.Length / sizeof(WCHAR);
            set->ExcludesProcesses |= rule->Kind == ReplRuleExcludeProcess;
            set->NamesFolders |= (rule->Kind == ReplRuleInclude || rule->Kind == ReplRuleExclude) &&
                                 RplRuleNamesFolders(&rule->Pattern);
            count++;
        }
        set->RuleCount = count - set->FirstRule;
    }
}

static BOOLEAN RplBuildRoots(_Inout_ RPL_CONFIGURATION *Configuration, _Inout_ PWCH Names,
                             _In_ BOOLEAN Lenient, _Inout_ REPL_REFUSAL *Refusal)
{
    const REPL_CONFIG *header = Configuration->Input;
    const REPL_SET *sets = RplInputSets(header);

    for (ULONG i = 0; i < header->SetCount; i++)
    {
        RPL_SET *set = &Configuration->Sets[i];
        UNICODE_STRING root, volume;
        NTSTATUS status;

        set->SetId = sets[i].SetId;
        set->Mode = sets[i].Mode;
        set->Root.Buffer = Names + i * (RPL_MAX_ROOT_BYTES / sizeof(WCHAR));
        set->Root.MaximumLength = RPL_MAX_ROOT_BYTES;
        (VOID) RplInputName(header, sets[i].RootOffset, sets[i].RootLength, &root);
        status = RplRootNormalise(&root, &set->Root, &volume);
        Refusal->Status = (UINT32)status;
        RPL_REFUSE(status == STATUS_OBJECT_PATH_SYNTAX_BAD || status == STATUS_NAME_TOO_LONG,
                   ReplRefusalRoot, i);
        if (NT_SUCCESS(status))
        {
            status = RplFilterCheckVolume(&volume);
            Refusal->Status = (UINT32)status;
        }
        if (!NT_SUCCESS(status))
        {
            RPL_REFUSE(!Lenient, ReplRefusalVolume, i);
            set->Root.Length = 0;
            continue;
        }
        Refusal->Status = 0;
        for (ULONG other = 0; other < Configuration->RootCount; other++)
        {
            const UNICODE_STRING *name = &Configuration->Roots[other].Name;

            RPL_REFUSE(RplRootContains(name, &set->Root) || RplRootContains(&set->Root, name),
                       ReplRefusalRoot, i);
        }
        Configuration->Roots[Configuration->RootCount].Name = set->Root;
        RplRootPrepare(&Configuration->Roots[Configuration->RootCount]);
        Configuration->RootSet[Configuration->RootCount++] = i;
    }
    return TRUE;
}

_Use_decl_annotations_ NTSTATUS RplConfigurationBuild(const VOID *Input, ULONG Bytes,
                                                      BOOLEAN Lenient, REPL_REFUSAL *Refusal,
                                                      RPL_CONFIGURATION **Configuration)
{
    const REPL_CONFIG *header = Input;
    RPL_CONFIGURATION *made;
    UCHAR *copy;
    SIZE_T roots;

    RtlZeroMemory(Refusal, sizeof(*Refusal));
    if (!RplCheckHeader(header, Bytes, Refusal) || !RplCheckSets(header, Refusal) ||
        !RplCheckRules(header, Refusal))
    {
        return STATUS_INVALID_PARAMETER;
    }
    roots = (SIZE_T)header->SetCount * RPL_MAX_ROOT_BYTES;
    /* A rule's name may be used by several: at most so many bytes each. */
    for (ULONG i = 0; i < header->RuleCount; i++)
    {
        roots += RplInputRules(header)[i].NameLength;
    }
    made =
        ExAllocatePool2(POOL_FLAG_NON_PAGED, sizeof(*made) + ((Bytes + 7) & ~7u) + roots, RPL_TAG);
    if (made == NULL)
    {
        Refusal->Status = (UINT32)STATUS_INSUFFICIENT_RESOURCES;
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    copy = (UCHAR *)(made + 1);
    RtlCopyMemory(copy, Input, Bytes);
    made->References = 1;
    made->Input = (const REPL_CONFIG *)copy;
    RtlCopyMemory(made->StreamId, header->StreamId, sizeof(made->StreamId));
    made->BlockMs = header->BlockMs == 0 ? REPL_MAX_BLOCK_MS : header->BlockMs;
    made->DurableWaitMs = header->DurableWaitMs;
    made->SetCount = header->SetCount;
    copy += (Bytes + 7) & ~7u;
    if (!RplBuildRoots(made, (PWCH)copy, Lenient, Refusal))
    {
        ExFreePoolWithTag(made, RPL_TAG);
        return STATUS_INVALID_PARAMETER;
    }
    RplBuildRules(made, (PWCH)(copy + (SIZE_T)header->SetCount * RPL_MAX_ROOT_BYTES));
    *Configuration = made;
    return STATUS_SUCCESS;
}
