/*
 * Rules and roots: which set a name is in, and whether the set's rules leave it out.
 *
 * Wildcards go over a whole name: '*' is any number of any characters, also of '\', '?' is one. So
 * "*.db" is a file of any folder, "logs\*" all that is below logs, "a.db" the one in the root. No
 * two characters that RtlUpcaseUnicodeChar makes the same are told apart. The time of a match is at
 * most proportional to the product of both lengths, and to their sum where a pattern has one '*':
 * a '*' that was passed is never reconsidered once the next one is reached, since giving more to an
 * earlier one can only make what is left shorter.
 *
 * An exclusion of a folder is one of what is below it: a file is not replicated without its folder.
 *
 * PASSIVE_LEVEL, for RtlUpcaseUnicodeChar; no locks, no allocation. Names are normalised, as FltMgr
 * gives them, without the part of a named stream. What is prepared once is constant from then on.
 */
#pragma once

#include <ntddk.h>

#include <ntswift/repl.h>

/* A rule of a set, in force. */
typedef struct RPL_RULE
{
    UINT32 Kind; /* REPL_RULE_KIND */
    UINT64 Value;
    UNICODE_STRING Pattern; /* prepared */
} RPL_RULE;

/* Makes a pattern ready for RplRuleMatch, in place. */
VOID RplRulePrepare(_Inout_ UNICODE_STRING *Pattern);

/* FALSE: none that can be meant: no pattern where the kind has one, or an unknown kind. */
BOOLEAN RplRuleIsValid(_In_ const RPL_RULE *Rule);

/* Whether a match of the pattern may depend on the folders that a file is in: all but "*.db" and
 * the like, where what follows the '*' is the end of the file's own name. */
BOOLEAN RplRuleNamesFolders(_In_ const UNICODE_STRING *Pattern);

/* Pattern: prepared. */
BOOLEAN RplRuleMatch(_In_ const UNICODE_STRING *Pattern, _In_ const UNICODE_STRING *Name);

/* Whether the set's rules take a file or folder of this path in the set. Size: when first opened,
 * of a file. "", the root, is always in. */
BOOLEAN RplRulesSelect(_In_reads_(Count) const RPL_RULE *Rules, _In_ ULONG Count,
                       _In_ const UNICODE_STRING *Path, _In_ BOOLEAN Directory, _In_ UINT64 Size);

/* Whether they leave out what this process does. Image: its NT path. */
BOOLEAN RplRulesExcludeProcess(_In_reads_(Count) const RPL_RULE *Rules, _In_ ULONG Count,
                               _In_ const UNICODE_STRING *Image);

/* The root of a set. */
typedef struct RPL_ROOT
{
    UNICODE_STRING Name; /* "\Device\HarddiskVolume3\shop", no '\' at its end */
    UINT64 Hash;
} RPL_ROOT;

/* Root->Name is there; makes the rest. */
VOID RplRootPrepare(_Inout_ RPL_ROOT *Root);

#define RPL_ROOT_NONE MAXULONG

/*
 * Which of the roots Name is or is below, else RPL_ROOT_NONE; *Path, its path below, points into
 * Name. No root is inside of another one. In time proportional to Name's length, and to Count for
 * each component of Name.
 */
ULONG RplRootFind(_In_reads_(Count) const RPL_ROOT *Roots, _In_ ULONG Count,
                  _In_ const UNICODE_STRING *Name, _Out_ UNICODE_STRING *Path);

/* Whether Name is Root or below it. */
BOOLEAN RplRootContains(_In_ const UNICODE_STRING *Root, _In_ const UNICODE_STRING *Name);
