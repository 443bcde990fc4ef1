/*
 * Wildcards, rules and roots: see rule.h.
 */
#include "rule.h"

static ULONG RplLength(_In_ const UNICODE_STRING *String)
{
    return String->Length / sizeof(WCHAR);
}

static BOOLEAN RplHasPattern(_In_ UINT32 Kind)
{
    return Kind == ReplRuleInclude || Kind == ReplRuleExclude || Kind == ReplRuleExcludeProcess;
}

VOID RplRulePrepare(_Inout_ UNICODE_STRING *Pattern)
{
    for (ULONG i = 0; i < RplLength(Pattern); i++)
    {
        Pattern->Buffer[i] = RtlUpcaseUnicodeChar(Pattern->Buffer[i]);
    }
}

BOOLEAN RplRuleIsValid(_In_ const RPL_RULE *Rule)
{
    if (Rule->Pattern.Length % sizeof(WCHAR) != 0)
    {
        return FALSE;
    }
    for (ULONG i = 0; i < RplLength(&Rule->Pattern); i++)
    {
        if (Rule->Pattern.Buffer[i] == 0)
        {
            return FALSE;
        }
    }
    if (RplHasPattern(Rule->Kind))
    {
        return Rule->Pattern.Length != 0 && Rule->Value == 0;
    }
    return Rule->Kind == ReplRuleMaxSize && Rule->Pattern.Length == 0 && Rule->Value != 0;
}

BOOLEAN RplRuleNamesFolders(_In_ const UNICODE_STRING *Pattern)
{
    if (RplLength(Pattern) == 0 || Pattern->Buffer[0] != L'*')
    {
        return TRUE;
    }
    for (ULONG i = 1; i < RplLength(Pattern); i++)
    {
        if (Pattern->Buffer[i] == L'*' || Pattern->Buffer[i] == L'?' || Pattern->Buffer[i] == L'\\')
        {
            return TRUE;
        }
    }
    return FALSE;
}

/* Is Name[At ..] what Pattern[From .. To) says, without a '*'? The caller knows that it is long
 * enough. */
static BOOLEAN RplSegmentMatch(_In_ const WCHAR *Pattern, _In_ ULONG From, _In_ ULONG To,
                               _In_ const WCHAR *Name, _In_ ULONG At)
{
    for (; From < To; From++, At++)
    {
        if (Pattern[From] != L'?' && Pattern[From] != Name[At] &&
            Pattern[From] != RtlUpcaseUnicodeChar(Name[At]))
        {
            return FALSE;
        }
    }
    return TRUE;
}

/*
 * Up to the first '*' the name's beginning must match, from the last '*' on its end; what is
 * between two '*' is taken where it first comes.
 */
static BOOLEAN RplMatch(_In_ const UNICODE_STRING *Pattern, _In_reads_(Length) const WCHAR *Name,
                        _In_ ULONG Length)
{
    const WCHAR *pattern = Pattern->Buffer;
    ULONG end = RplLength(Pattern);
    ULONG from = 0;
    ULONG at;
    ULONG tail;

    while (from < end && pattern[from] != L'*')
    {
        from++;
    }
    if (from == end)
    {
        return end == Length && RplSegmentMatch(pattern, 0, end, Name, 0);
    }
    tail = end;
    while (pattern[tail - 1] != L'*')
    {
        tail--;
    }
    if (Length < from + (end - tail) || !RplSegmentMatch(pattern, 0, from, Name, 0) ||
        !RplSegmentMatch(pattern, tail, end, Name, Length - (end - tail)))
    {
        return FALSE;
    }

    at = from;
    Length -= end - tail;
    for (from++; from < tail; from++)
    {
        ULONG to = from;

        while (pattern[to] != L'*')
        {
            to++;
        }
        while (Length - at >= to - from && !RplSegmentMatch(pattern, from, to, Name, at))
        {
            at++;
        }
        if (Length - at < to - from)
        {
            return FALSE;
        }
        at += to - from;
        from = to;
    }
    return TRUE;
}

BOOLEAN RplRuleMatch(_In_ const UNICODE_STRING *Pattern, _In_ const UNICODE_STRING *Name)
{
    return RplMatch(Pattern, Name->Buffer, RplLength(Name));
}

/* Whether a folder above the path matches, or the path. */
static BOOLEAN RplMatchAnyAbove(_In_ const UNICODE_STRING *Pattern, _In_ const UNICODE_STRING *Path)
{
    ULONG length = RplLength(Path);

    for (ULONG i = 1; i < length; i++)
    {
        if (Path->Buffer[i] == L'\\' && RplMatch(Pattern, Path->Buffer, i))
        {
            return TRUE;
        }
    }
    return RplMatch(Pattern, Path->Buffer, length);
}

BOOLEAN RplRulesSelect(_In_reads_(Count) const RPL_RULE *Rules, _In_ ULONG Count,
                       _In_ const UNICODE_STRING *Path, _In_ BOOLEAN Directory, _In_ UINT64 Size)
{
    BOOLEAN included = Directory;
    BOOLEAN mustBeIncluded = FALSE;

    if (Path->Length == 0)
    {
        return TRUE;
    }
    for (ULONG i = 0; i < Count; i++)
    {
        const RPL_RULE *rule = &Rules[i];

        if (rule->Kind == ReplRuleInclude)
        {
            mustBeIncluded = TRUE;
            included = included || RplRuleMatch(&rule->Pattern, Path);
        }
        else if ((rule->Kind == ReplRuleExclude && RplMatchAnyAbove(&rule->Pattern, Path)) ||
                 (rule->Kind == ReplRuleMaxSize && !Directory && Size > rule->Value))
        {
            return FALSE;
        }
    }
    return included || !mustBeIncluded;
}

BOOLEAN RplRulesExcludeProcess(_In_reads_(Count) const RPL_RULE *Rules, _In_ ULONG Count,
                               _In_ const UNICODE_STRING *Image)
{
    for (ULONG i = 0; i < Count; i++)
    {
        if (Rules[i].Kind == ReplRuleExcludeProcess && RplRuleMatch(&Rules[i].Pattern, Image))
        {
            return TRUE;
        }
    }
    return FALSE;
}

/* Roots. Hashes: FNV-1a over the characters in upper case; they only save comparisons. */

#define RPL_HASH_START 0xCBF29CE484222325ull
#define RPL_HASH_PRIME 0x100000001B3ull

static UINT64 RplHashStep(_In_ UINT64 Hash, _In_ WCHAR Character)
{
    return (Hash ^ RtlUpcaseUnicodeChar(Character)) * RPL_HASH_PRIME;
}

VOID RplRootPrepare(_Inout_ RPL_ROOT *Root)
{
    Root->Hash = RPL_HASH_START;
    for (ULONG i = 0; i < RplLength(&Root->Name); i++)
    {
        Root->Hash = RplHashStep(Root->Hash, Root->Name.Buffer[i]);
    }
}

/* The root that is the first Length characters of Name, of which Hash is. */
static ULONG RplRootAt(_In_reads_(Count) const RPL_ROOT *Roots, _In_ ULONG Count,
                       _In_ const UNICODE_STRING *Name, _In_ ULONG Length, _In_ UINT64 Hash)
{
    UNICODE_STRING start = *Name;

    start.Length = (USHORT)(Length * sizeof(WCHAR));
    for (ULONG i = 0; i < Count; i++)
    {
        if (Roots[i].Hash == Hash && Roots[i].Name.Length == start.Length &&
            RtlEqualUnicodeString(&Roots[i].Name, &start, TRUE))
        {
            return i;
        }
    }
    return RPL_ROOT_NONE;
}

ULONG RplRootFind(_In_reads_(Count) const RPL_ROOT *Roots, _In_ ULONG Count,
                  _In_ const UNICODE_STRING *Name, _Out_ UNICODE_STRING *Path)
{
    ULONG length = RplLength(Name);
    UINT64 hash = RPL_HASH_START;

    for (ULONG i = 0; i <= length && Count != 0; i++)
    {
        if (i == length || (Name->Buffer[i] == L'\\' && i != 0))
        {
            ULONG found = RplRootAt(Roots, Count, Name, i, hash);

            if (found != RPL_ROOT_NONE)
            {
                ULONG skip = i < length ? i + 1 : i;

                Path->Buffer = Name->Buffer + skip;
                Path->Length = (USHORT)((length - skip) * sizeof(WCHAR));
                Path->MaximumLength = Path->Length;
                return found;
            }
        }
        if (i < length)
        {
            hash = RplHashStep(hash, Name->Buffer[i]);
        }
    }
    RtlInitEmptyUnicodeString(Path, NULL, 0);
    return RPL_ROOT_NONE;
}

BOOLEAN RplRootContains(_In_ const UNICODE_STRING *Root, _In_ const UNICODE_STRING *Name)
{
    return RtlPrefixUnicodeString(Root, Name, TRUE) &&
           (Name->Length == Root->Length || Name->Buffer[RplLength(Root)] == L'\\');
}
