/*
 * Wildcards against a table and against the definition, worked out by dynamic programming; rules
 * and roots by cases.
 */
#include "tap.h"

#include <ntddk.h>

#include <stdlib.h>
#include <string.h>

#include "rule.h"

static UNICODE_STRING string(const WCHAR *text)
{
    UNICODE_STRING made;

    RtlInitUnicodeString(&made, text);
    return made;
}

static bool match(const WCHAR *pattern, const WCHAR *name)
{
    WCHAR copy[64];
    UNICODE_STRING from = string(pattern), prepared = {from.Length, sizeof copy, copy}, to;

    memcpy(copy, pattern, from.Length);
    RplRulePrepare(&prepared);
    to = string(name);
    return RplRuleMatch(&prepared, &to);
}

NT_TEST(rule_wildcards)
{
    static const struct {
        const WCHAR *pattern, *name;
        bool matches;
    } cases[] = {
        {L"*.db", L"a.db", true},
        {L"*.db", L"shop\\deep\\a.db", true},
        {L"*.db", L"A.DB", true},
        {L"*.DB", L"a.db", true},
        {L"*.db", L"a.dbx", false},
        {L"*.db", L".db", true},
        {L"*.db", L"db", false},
        {L"logs\\*", L"logs\\a", true},
        {L"logs\\*", L"LOGS\\a\\b", true},
        {L"logs\\*", L"logs", false},
        {L"logs\\*", L"logs\\", true},
        {L"logs\\*", L"old\\logs\\a", false},
        {L"a.db", L"a.db", true},
        {L"a.db", L"x\\a.db", false},
        {L"?.db", L"a.db", true},
        {L"?.db", L"ab.db", false},
        {L"?.db", L".db", false},
        {L"a?c*e", L"abcde", true},
        {L"a?c*e", L"abce", true},
        {L"a?c*e", L"abcd", false},
        {L"*", L"", true},
        {L"", L"", true},
        {L"", L"a", false},
        {L"?", L"", false},
        {L"**", L"anything", true},
        {L"*a*", L"bab", true},
        {L"*a*a*", L"bab", false},
        {L"*ab*ba*", L"aba", false},
        {L"*ab*ba*", L"abba", true},
        {L"ab*ba", L"aba", false},
        {L"ab*b", L"ab", false},
        {L"*\x00E4.txt", L"\x00C4.TXT", true},
        {L"\x0416*", L"\x0436urnal", true},
        {L"a*b*c", L"aXbYc", true},
        {L"a*b*c", L"acb", false},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        is_int(match(cases[i].pattern, cases[i].name), cases[i].matches, "case %u", i);
}

/* Whether p[i..] matches n[j..], by the definition. */
static bool by_definition(const WCHAR *pattern, unsigned p, const WCHAR *name, unsigned n)
{
    bool reach[16][16] = {{0}};

    for (unsigned i = p + 1; i-- > 0;)
        for (unsigned j = n + 1; j-- > 0;) {
            if (i == p)
                reach[i][j] = j == n;
            else if (pattern[i] == '*')
                reach[i][j] = reach[i + 1][j] || (j < n && reach[i][j + 1]);
            else
                reach[i][j] =
                    j < n && (pattern[i] == '?' || pattern[i] == name[j]) && reach[i + 1][j + 1];
        }
    return reach[0][0];
}

/* Where the answer is no, no folder's name makes a difference. */
NT_TEST(rule_patterns_that_look_at_folders)
{
    static const struct {
        const WCHAR *pattern;
        bool looks;
    } cases[] = {
        {L"*", false},   {L"*.db", false}, {L"*b", false},   {L"a.db", true}, {L"logs\\*", true},
        {L"*\\a", true}, {L"*.*", true},   {L"*?.db", true}, {L"?*", true},   {L"**", true},
    };

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        UNICODE_STRING pattern = string(cases[i].pattern);

        is_int(RplRuleNamesFolders(&pattern), cases[i].looks, "case %u", i);
    }
}

NT_TEST(rule_wildcards_by_definition)
{
    uint64_t word = 1 + tap_seed();
    unsigned wrong = 0, matched = 0;

    for (unsigned round = 0; round < 300000; round++) {
        WCHAR pattern[12], name[12];
        unsigned p, n;

        word ^= word << 13, word ^= word >> 7, word ^= word << 17;
        p = word % 10, n = (word >> 8) % 12;
        for (unsigned i = 0; i < p; i++)
            pattern[i] = L"AB*?"[word >> (12 + 2 * i) & 3];
        for (unsigned i = 0; i < n; i++)
            name[i] = L"AB"[word >> (36 + i) & 1];
        UNICODE_STRING from = {(USHORT)(2 * p), 0, pattern}, to = {(USHORT)(2 * n), 0, name};
        bool expected = by_definition(pattern, p, name, n);
        wrong += RplRuleMatch(&from, &to) != expected;
        matched += expected;
    }
    is_int(wrong, 0);
    ok(matched > 3000, "%u", matched);
}

/* What takes a backtracking matcher 2^n steps: with it this test would not end. */
NT_TEST(rule_wildcards_do_not_explode)
{
    enum { LENGTH = 4000 };
    WCHAR *pattern = malloc(2 * LENGTH), *name = malloc(2 * LENGTH);

    for (unsigned i = 0; i < LENGTH; i++) {
        pattern[i] = i % 2 ? 'A' : '*';
        name[i] = 'A';
    }
    pattern[LENGTH - 1] = 'B';
    UNICODE_STRING from = {2 * LENGTH, 0, pattern}, to = {2 * LENGTH, 0, name};
    ok(!RplRuleMatch(&from, &to));
    pattern[LENGTH - 1] = '*';
    pattern[LENGTH - 3] = 'B';
    ok(!RplRuleMatch(&from, &to));
    pattern[LENGTH - 3] = 'A';
    ok(RplRuleMatch(&from, &to));
    free(pattern);
    free(name);
}

static RPL_RULE rule(UINT32 kind, WCHAR *pattern, UINT64 value)
{
    RPL_RULE made = {kind, value, string(pattern)};

    RplRulePrepare(&made.Pattern);
    return made;
}

#define rule_of(kind, text) rule(kind, (WCHAR[]){text}, 0)

NT_TEST(rule_sets_of_rules)
{
    RPL_RULE rules[] = {rule_of(ReplRuleInclude, L"*.db"),
                        rule_of(ReplRuleInclude, L"doc\\*"),
                        rule_of(ReplRuleExclude, L"*\\temp"),
                        rule_of(ReplRuleExclude, L"doc\\x*"),
                        rule_of(ReplRuleExcludeProcess, L"*\\scan.exe"),
                        rule(ReplRuleMaxSize, (WCHAR[]){L""}, 1000)};
    static const struct {
        const WCHAR *path;
        bool directory;
        UINT64 size;
        bool in;
    } cases[] = {
        {L"", true, 0, true},
        {L"a.db", false, 0, true},
        {L"a.db", false, 1000, true},
        {L"a.db", false, 1001, false},
        {L"big.folder", true, 5000, true},
        {L"a.txt", false, 0, false},
        {L"doc\\a.txt", false, 0, true},
        {L"doc\\x.txt", false, 0, false},
        {L"doc\\X", true, 0, false},
        {L"doc\\x\\y\\a.db", false, 0, false},
        {L"other", true, 0, true},
        {L"other\\temp", true, 0, false},
        {L"other\\temp\\a.db", false, 0, false},
        {L"other\\temper\\a.db", false, 0, true},
        {L"temp\\a.db", false, 0, true},
    };
    UNICODE_STRING path;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        path = string(cases[i].path);
        is_int(RplRulesSelect(rules, 6, &path, cases[i].directory, cases[i].size), cases[i].in,
               "case %u", i);
    }
    path = string(L"a.txt");
    ok(RplRulesSelect(rules + 2, 4, &path, FALSE, 0), "no include rule");
    ok(RplRulesSelect(NULL, 0, &path, FALSE, 0), "no rule");
    path = string(L"\\Device\\HarddiskVolume1\\SCAN.EXE");
    ok(RplRulesExcludeProcess(rules, 6, &path));
    path = string(L"\\Device\\HarddiskVolume1\\scan.exe.bak");
    ok(!RplRulesExcludeProcess(rules, 6, &path));
}

NT_TEST(rule_validity)
{
    WCHAR text[] = L"a\0b";
    RPL_RULE zero = {ReplRuleInclude, 0, {6, 6, text}};
    RPL_RULE odd = {ReplRuleInclude, 0, {1, 6, text}};
    RPL_RULE good = rule_of(ReplRuleExclude, L"*");
    RPL_RULE empty = rule_of(ReplRuleExclude, L"");
    RPL_RULE size = rule(ReplRuleMaxSize, (WCHAR[]){L""}, 7);
    RPL_RULE unlimited = rule(ReplRuleMaxSize, (WCHAR[]){L""}, 0);
    RPL_RULE named = rule(ReplRuleMaxSize, (WCHAR[]){L"a"}, 7);
    RPL_RULE valued = rule(ReplRuleInclude, (WCHAR[]){L"a"}, 7);
    RPL_RULE unknown = rule_of(5, L"a");

    ok(!RplRuleIsValid(&zero));
    ok(!RplRuleIsValid(&odd));
    ok(RplRuleIsValid(&good));
    ok(!RplRuleIsValid(&empty));
    ok(RplRuleIsValid(&size));
    ok(!RplRuleIsValid(&unlimited));
    ok(!RplRuleIsValid(&named));
    ok(!RplRuleIsValid(&valued));
    ok(!RplRuleIsValid(&unknown));
}

NT_TEST(rule_roots)
{
    RPL_ROOT roots[] = {{string(L"\\Device\\HarddiskVolume3\\shop"), 0},
                        {string(L"\\Device\\HarddiskVolume3\\Shop2\\data"), 0},
                        {string(L"\\Device\\HarddiskVolume4"), 0}};
    static const struct {
        const WCHAR *name;
        ULONG root;
        const WCHAR *path;
    } cases[] = {
        {L"\\Device\\HarddiskVolume3\\shop\\a.db", 0, L"a.db"},
        {L"\\device\\harddiskvolume3\\SHOP\\x\\y", 0, L"x\\y"},
        {L"\\Device\\HarddiskVolume3\\shop", 0, L""},
        {L"\\Device\\HarddiskVolume3\\shop\\", 0, L""},
        {L"\\Device\\HarddiskVolume3\\shops\\a.db", RPL_ROOT_NONE, L""},
        {L"\\Device\\HarddiskVolume3\\sho", RPL_ROOT_NONE, L""},
        {L"\\Device\\HarddiskVolume3", RPL_ROOT_NONE, L""},
        {L"\\Device\\HarddiskVolume3\\shop2\\data\\b", 1, L"b"},
        {L"\\Device\\HarddiskVolume3\\shop2", RPL_ROOT_NONE, L""},
        {L"\\Device\\HarddiskVolume4\\c", 2, L"c"},
        {L"\\Device\\HarddiskVolume4\\", 2, L""},
        {L"\\Device\\HarddiskVolume44\\c", RPL_ROOT_NONE, L""},
        {L"", RPL_ROOT_NONE, L""},
        {L"\\", RPL_ROOT_NONE, L""},
    };

    for (unsigned i = 0; i < 3; i++)
        RplRootPrepare(&roots[i]);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        UNICODE_STRING name = string(cases[i].name), expected = string(cases[i].path), path;

        is_int(RplRootFind(roots, 3, &name, &path), cases[i].root, "case %u", i);
        is_int(path.Length, expected.Length, "case %u", i);
        is_mem(path.Buffer, expected.Buffer, expected.Length, "case %u", i);
        for (ULONG root = 0; root < 3; root++)
            is_int(RplRootContains(&roots[root].Name, &name), cases[i].root == root, "case %u", i);
    }
    UNICODE_STRING name = string(L"\\a"), path;
    is_int(RplRootFind(NULL, 0, &name, &path), RPL_ROOT_NONE);
}
