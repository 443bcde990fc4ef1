/*
 * AddReg.
 * WDK: "INF AddReg Directive", "Driver Package Isolation", "Creating Secure Device Installations".
 */
#include "check.h"
#include <string.h>

enum {
    FLG_BINVALUETYPE = 0x1,
    FLG_NOCLOBBER = 0x2,
    FLG_DELVAL = 0x4,
    FLG_APPEND = 0x8,
    FLG_KEYONLY = 0x10,
    FLG_OVERWRITEONLY = 0x20,
    FLG_64BITKEY = 0x1000,
    FLG_KEYONLY_COMMON = 0x2000,
    FLG_32BITKEY = 0x4000
};
enum { SZ = 1, EXPAND_SZ = 2, BINARY = 3, DWORD_ = 4, MULTI_SZ = 7, QWORD_ = 11, NONE_ = 0 };

/* The registry type of the flags; -1 if they are none. */
static int type_of(uint64_t flags)
{
    switch (flags & 0xffff0001) {
    case 0x00000:
        return SZ;
    case 0x10000:
        return MULTI_SZ;
    case 0x20000:
        return EXPAND_SZ;
    case 0x00001:
        return BINARY;
    case 0x10001:
        return DWORD_;
    case 0x20001:
        return NONE_;
    case 0xb0001:
        return QWORD_;
    default:
        /* A custom type is binary data, but none of those with a notation of their own. */
        return (flags & 1) && flags >> 16 != 0x7 && flags >> 16 != 0x3 && flags >> 16 != 0x4
                   ? (int)(flags >> 16)
                   : -1;
    }
}

static bool check_flags(struct check *c, const struct inf_line *entry, uint64_t *flags)
{
    const uint64_t low = FLG_BINVALUETYPE | FLG_NOCLOBBER | FLG_DELVAL | FLG_APPEND | FLG_KEYONLY |
                         FLG_OVERWRITEONLY | FLG_64BITKEY | FLG_KEYONLY_COMMON | FLG_32BITKEY;
    const char *text = inf_text(entry, 3);
    *flags = 0;
    if (!*text)
        return true;
    if (!text_number(text, UINT32_MAX, flags) || (*flags & 0xffff & ~low) || type_of(*flags) < 0) {
        rule_broken(c->report, RuleRegFlags, entry->line,
                    "\"%s\" are no flags of AddReg; write 0 (string), 0x10000 (multi-string), "
                    "0x20000 (expandable), 0x10001 (DWORD), 0xb0001 (QWORD) or 1 (binary)",
                    text);
        return false;
    }
    if ((*flags & FLG_DELVAL) || (*flags & FLG_APPEND)) {
        rule_broken(c->report, RuleRegAppend, entry->line,
                    "the flags 0x%llx %s a value; what comes out depends on what was there; set "
                    "the whole value",
                    (unsigned long long)*flags, *flags & FLG_DELVAL ? "delete" : "append to");
        return false;
    }
    if (((*flags & FLG_NOCLOBBER) && (*flags & FLG_OVERWRITEONLY)) ||
        ((*flags & FLG_64BITKEY) && (*flags & FLG_32BITKEY))) {
        rule_broken(c->report, RuleRegFlags, entry->line, "the flags 0x%llx contradict each other",
                    (unsigned long long)*flags);
        return false;
    }
    return true;
}

static void put_bytes(struct inf *inf, struct package_value *value, const void *data, size_t bytes)
{
    unsigned char *copy = arena_alloc(&inf->arena, bytes);
    memcpy(copy, data, bytes);
    value->data = copy;
    value->bytes = bytes;
}

/* Those that installing can resolve. */
static void check_dirids(struct check *c, const struct inf_line *entry, const char *text)
{
    unsigned dirid;
    for (const char *at = text; (at = strchr(at, INF_DIRID));) {
        if (!inf_dirid(at, &dirid, &at))
            return;
        if (dirid != 10 && dirid != 11 && dirid != 12 && dirid != 13 && dirid != 17 &&
            dirid != 18 && dirid != 20 && dirid != 24)
            rule_broken(c->report, RuleDirid, entry->line,
                        "%%%u%% is no directory id that has a place here; write 13 for the "
                        "package's own folder, or %%%%%u%%%% for the text",
                        dirid, dirid);
    }
}

static bool check_value(struct check *c, const struct inf_line *entry, struct package_value *value)
{
    struct inf *inf = c->inf;
    uint64_t number;
    if (value->type == SZ || value->type == EXPAND_SZ || value->type == MULTI_SZ) {
        unsigned count = entry->count > 4 ? entry->count - 4 : 0;
        if (value->type != MULTI_SZ && count > 1) {
            rule_broken(c->report, RuleRegValue, entry->line,
                        "a string value has one text, not %u; quote a text that holds commas",
                        count);
            return false;
        }
        if (value->type != MULTI_SZ && !count)
            count = 1;
        const char **strings = arena_alloc(&inf->arena, (count + 1) * sizeof *strings);
        for (unsigned i = 0; i < count; i++) {
            strings[i] = inf_text(entry, 4 + i);
            check_dirids(c, entry, strings[i]);
        }
        value->strings = strings;
        value->string_count = count;
        return true;
    }
    if (value->type == DWORD_ || value->type == QWORD_) {
        bool bytes =
            value->type == DWORD_ && entry->count == 8; /* four bytes, the older notation */
        if (!bytes) {
            if (entry->count != 5 ||
                !text_number(inf_text(entry, 4), value->type == DWORD_ ? UINT32_MAX : UINT64_MAX,
                             &number)) {
                rule_broken(c->report, RuleRegValue, entry->line,
                            "\"%s\" is no %s-bit number; write decimal digits or 0x...",
                            inf_shown(inf, inf_text(entry, 4)),
                            value->type == DWORD_ ? "32" : "64");
                return false;
            }
            put_bytes(inf, value, &number, value->type == DWORD_ ? 4 : 8);
            return true;
        }
    }
    unsigned count = entry->count > 4 ? entry->count - 4 : 0;
    unsigned char *data = arena_alloc(&inf->arena, count + 1);
    for (unsigned i = 0; i < count; i++) {
        const char *hex = inf_text(entry, 4 + i);
        if (strlen(hex) > 2 ||
            !text_number(arena_printf(&inf->arena, "0x%s", hex), 0xff, &number)) {
            rule_broken(c->report, RuleRegValue, entry->line,
                        "\"%s\" is no byte; binary data is bytes 00 to FF with commas between",
                        inf_shown(inf, hex));
            return false;
        }
        data[i] = (unsigned char)number;
    }
    put_bytes(inf, value, data, count);
    return true;
}

/* HKR of a service: what is the service's own lies under Parameters. Minifilters had their
 * instances beside it before Windows 11 24H2. */
static bool below_parameters(const char *subkey)
{
    static const char *const tops[] = {"Parameters", "Instances", NULL};
    for (unsigned i = 0; tops[i]; i++) {
        size_t length = strlen(tops[i]);
        if (text_starts(subkey, tops[i]) && (!subkey[length] || subkey[length] == '\\'))
            return true;
    }
    return false;
}

static const char *trimmed_key(struct inf *inf, const char *key)
{
    size_t from = strspn(key, "\\"), to = strlen(key);
    while (to > from && key[to - 1] == '\\')
        to--;
    return arena_strndup(&inf->arena, key + from, to - from);
}

static void add_value(struct check *c, const struct inf_line *entry, enum reg_context context,
                      struct package_values *values)
{
    static const char *const roots[] = {"HKR", "HKLM", "HKCR", "HKCU", "HKU", NULL};
    struct inf *inf = c->inf;
    uint64_t flags;
    if (entry->has_key || entry->count < 2) {
        rule_broken(
            c->report, RuleRegEntry, entry->line,
            "an entry is root,[subkey],[value],[flags],[data]; separate the parts by commas");
        return;
    }
    int root = text_among(inf_text(entry, 0), roots);
    if (root < 0) {
        rule_broken(c->report, RuleRegRoot, entry->line,
                    "\"%s\" is no root of the registry; write HKR",
                    inf_shown(inf, inf_text(entry, 0)));
        return;
    }
    if (root) {
        rule_broken(c->report, RuleRegNotIsolated, entry->line,
                    "%s\\%s lies outside the driver's own keys; write HKR and a key below it",
                    roots[root], inf_text(entry, 1));
        return;
    }
    if (!check_flags(c, entry, &flags))
        return;
    struct package_value value = {.subkey = trimmed_key(inf, inf_text(entry, 1)),
                                  .name = inf_text(entry, 2),
                                  .type = (uint32_t)type_of(flags),
                                  .line = entry->line,
                                  .key_only = flags & (FLG_KEYONLY | FLG_KEYONLY_COMMON),
                                  .no_clobber = flags & FLG_NOCLOBBER};
    if (context == RegService && !below_parameters(value.subkey)) {
        rule_broken(c->report, RuleServiceParameters, entry->line,
                    "a service's values lie under Parameters; write HKR,Parameters%s%s",
                    *value.subkey ? "\\" : "", value.subkey);
        return;
    }
    if (flags & FLG_OVERWRITEONLY) /* nothing of a new package exists yet */
        return;
    if (!value.key_only && !check_value(c, entry, &value))
        return;
    const struct package_value *same =
        value.key_only ? NULL : package_value(values, value.subkey, value.name);
    if (same) {
        rule_broken(c->report, RuleRegDuplicate, entry->line,
                    "%s%s%s is already set on line %u; remove one of them", value.subkey,
                    *value.subkey ? "\\" : "", *value.name ? value.name : "(default)", same->line);
        return;
    }
    struct package_value *slot = arena_push(&inf->arena, (void **)&values->items, &values->count,
                                            &values->capacity, sizeof *slot);
    *slot = value;
}

const struct package_value *package_value(const struct package_values *values, const char *subkey,
                                          const char *name)
{
    for (unsigned i = 0; i < values->count; i++)
        if (!values->items[i].key_only && text_same(values->items[i].subkey, subkey) &&
            text_same(values->items[i].name, name))
            return &values->items[i];
    return NULL;
}

void check_add_reg(struct check *c, const struct inf_line *directive, enum reg_context context,
                   struct package_values *values)
{
    for (unsigned i = 0; i < directive->count; i++) {
        const char *name = inf_text(directive, i);
        struct inf_section *section =
            *name ? check_section(c, name, KindAddReg, directive->line) : NULL;
        if (!section)
            continue;
        check_security_section(c, name, true);
        for (unsigned j = 0; j < section->count; j++)
            add_value(c, &section->lines[j], context, values);
    }
}

/* "(A;;GA;;;SY)": six fields. */
static bool check_ace(struct inf *inf, const char *ace, bool *system, bool *administrators,
                      const char **broad)
{
    static const char *const all[] = {"GA", "FA", "KA", "0x10000000", "0xf003f", "0x1f01ff", NULL};
    static const char *const people[] = {"WD", "AU", "BU", "IU", "AN", "NU", "BG", "AC", NULL};
    char *copy = arena_strdup(&inf->arena, ace), *rest = copy, *fields[6];
    for (unsigned i = 0; i < 6; i++)
        if (!(fields[i] = strsep(&rest, ";")))
            return false;
    if (rest || (strcmp(fields[0], "A") && strcmp(fields[0], "D")) || !*fields[2] ||
        (strlen(fields[5]) != 2 && strncmp(fields[5], "S-1-", 4)))
        return false;
    bool grants = !strcmp(fields[0], "A"), everything = text_among(fields[2], all) >= 0;
    *system |= grants && everything && !strcmp(fields[5], "SY");
    *administrators |= grants && everything && !strcmp(fields[5], "BA");
    if (grants && text_among(fields[5], people) >= 0 &&
        (everything || strstr(fields[2], "GW") || strstr(fields[2], "FW") ||
         strstr(fields[2], "KW")))
        *broad = fields[5];
    return true;
}

void check_security(struct check *c, const char *sddl, unsigned line, const char *what)
{
    const char *at = sddl, *broad = NULL;
    bool system = false, administrators = false, good = !strncmp(at, "D:", 2);
    at += good ? 2 + strspn(at + 2, "PARI") : 0;
    while (good && *at) {
        const char *close = strchr(at, ')');
        good =
            *at == '(' && close &&
            check_ace(c->inf,
                      arena_strndup(&c->inf->arena, at + 1, close ? (size_t)(close - at) - 1 : 0),
                      &system, &administrators, &broad);
        at = good ? close + 1 : at;
    }
    if (!good)
        rule_broken(c->report, RuleSecurityDescriptor, line,
                    "the security descriptor of %s is no DACL in SDDL; write "
                    "\"D:P(A;;GA;;;SY)(A;;GA;;;BA)\" or the like",
                    what);
    else if (!system || !administrators)
        rule_broken(c->report, RuleSecurityDescriptor, line,
                    "the security descriptor of %s locks out %s; add (A;;GA;;;%s)", what,
                    system ? "Administrators" : "SYSTEM", system ? "BA" : "SY");
    else if (broad)
        rule_broken(
            c->report, RuleSecurityDescriptor, line,
            "the security descriptor of %s lets ordinary users write (%s); grant them GR at most",
            what, broad);
}

void check_security_section(struct check *c, const char *of, bool allowed)
{
    const char *name = arena_printf(&c->inf->arena, "%s.security", of);
    struct inf_section *section = inf_section(c->inf, name);
    if (!section || !check_section(c, name, KindSecurity, section->line))
        return;
    if (!allowed)
        rule_broken(c->report, RuleSecurityDescriptor, section->line,
                    "files in the driver store are protected already; remove [%s]", name);
    else if (section->count != 1 || section->lines[0].has_key || section->lines[0].count != 1)
        rule_broken(c->report, RuleSecurityDescriptor, section->line,
                    "[%s] holds one security descriptor in quotes", name);
    else
        check_security(c, inf_text(&section->lines[0], 0), section->lines[0].line, of);
}
