/*
 * The walk of the checks: from [Manufacturer] or [DefaultInstall] over models to install sections,
 * for every operating system that the INF names; what nothing has reached is unused.
 * WDK: "INF Manufacturer Section", "INF Models Section", "Creating a New Primitive Driver".
 */
#include "check.h"
#include <string.h>

static const char *const kind_names[] = {
    "",       "system-defined", "models", "install",     "services", "service", "event log",
    "AddReg", "CopyFiles",      "Wdf",    "WDF service", "security", "Remove"};

struct inf_section *check_section(struct check *c, const char *name, enum section_kind kind,
                                  unsigned line)
{
    struct inf_section *section = inf_section(c->inf, name);
    if (!section) {
        rule_broken(c->report, RuleSectionMissing, line,
                    "there is no section [%s]; add it or correct the name",
                    inf_shown(c->inf, name));
        return NULL;
    }
    if (section->kind != KindNone && section->kind != kind) {
        rule_broken(c->report, RuleSectionKind, line,
                    "[%s] is already used as %s section by line %u; write two sections",
                    section->name.text, kind_names[section->kind], section->used_by);
        return NULL;
    }
    section->kind = kind;
    if (!section->used_by)
        section->used_by = line;
    return section;
}

struct inf_section *check_system_section(struct inf *inf, const char *name)
{
    struct inf_section *section = inf_section(inf, name);
    if (section) {
        section->kind = KindSystem;
        section->used_by = section->line;
    }
    return section;
}

void check_directive(struct check *c, const struct inf_section *section,
                     const struct inf_line *entry, const char *const *known)
{
    static const char *const legacy[] = {"DelFiles",
                                         "RenFiles",
                                         "DelReg",
                                         "BitReg",
                                         "Ini2Reg",
                                         "UpdateInis",
                                         "UpdateIniFields",
                                         "RegisterDlls",
                                         "UnregisterDlls",
                                         "ProfileItems",
                                         "LogConfig",
                                         "Reboot",
                                         "Restart",
                                         "DelService",
                                         "DelProperty",
                                         "LayoutFile",
                                         "DontReflectOffline",
                                         NULL};
    if (!entry->has_key) {
        rule_broken(c->report, RuleDirectiveUnknown, entry->line,
                    "\"%s\" is no directive of [%s]; write directive = value",
                    entry->count ? inf_shown(c->inf, entry->fields[0].text) : "",
                    section->name.text);
    } else if (text_among(entry->key.text, known) >= 0) {
        if (!*inf_text(entry, 0) && !text_same(entry->key.text, "AddService"))
            rule_broken(c->report, RuleDirectiveUnknown, entry->line,
                        "%s has no value; give it one or remove the line", entry->key.text);
    } else if (text_among(entry->key.text, legacy) >= 0) {
        rule_broken(c->report, RuleDirectiveLegacy, entry->line,
                    "%s is no longer allowed: an INF adds, and Windows undoes that by itself; "
                    "remove the line",
                    entry->key.text);
    } else {
        rule_broken(c->report, RuleDirectiveUnknown, entry->line,
                    "[%s] knows no directive %s; correct or remove it", section->name.text,
                    entry->key.text);
    }
}

bool check_once(struct check *c, const struct inf_section *section, const struct inf_line *entry)
{
    if (!entry->has_key)
        return true;
    const struct inf_line *first = inf_entry(section, entry->key.text);
    if (first == entry)
        return true;
    rule_broken(c->report, RuleKeyDuplicate, entry->line,
                "%s is already on line %u, and only one can take effect; remove one of them",
                entry->key.text, first->line);
    return false;
}

/* "NTamd64.10.0...20348". */
struct decoration {
    const char *architecture; /* "" none */
    uint32_t min_build;       /* of 10.0; 0: any */
    bool past;                /* for a Windows after 10.0 */
};

static bool parse_decoration(struct check *c, const char *text, unsigned line,
                             struct decoration *decoration)
{
    static const char *const architectures[] = {"x86", "ia64", "amd64", "arm", "arm64", NULL};
    char *copy = arena_strdup(&c->inf->arena, text), *rest = copy, *part = strsep(&rest, ".");
    uint64_t values[5] = {0};
    unsigned count = 0;
    bool good = text_starts(part, "NT"), build = false;
    *decoration = (struct decoration){.architecture = ""};
    if (good && part[2]) {
        int known = text_among(part + 2, architectures);
        good = known >= 0;
        if (good)
            decoration->architecture = architectures[known];
    }
    while (good && (part = strsep(&rest, "."))) {
        good = count < 5 && (!*part || text_number(part, UINT32_MAX, &values[count]));
        build |= count == 4 && *part;
        count++;
    }
    if (!good) {
        if (!strchr(text, '$')) /* else stampinf has not run, which is reported */
            rule_broken(c->report, RuleTargetDecoration, line,
                        "\"%s\" is no target; write NTamd64.10.0...20348 or the like", text);
        return false;
    }
    if (build && (values[0] < 10 || (values[0] == 10 && values[1] == 0 && values[4] < 14310))) {
        rule_broken(c->report, RuleTargetBuild, line,
                    "\"%s\": build numbers are understood from Windows 10.0.14310 on; name that "
                    "build or a later one",
                    text);
        return false;
    }
    decoration->past = values[0] > 10 || (values[0] == 10 && values[1] > 0);
    decoration->min_build = values[0] == 10 && values[1] == 0 ? (uint32_t)values[4] : 0;
    return true;
}

static bool lists_architecture(struct check *c, const struct inf_line *entry,
                               const char *architecture)
{
    for (unsigned i = 1; i < entry->count; i++)
        if (text_starts(entry->fields[i].text, "NT") &&
            text_same(arena_strndup(&c->inf->arena, entry->fields[i].text + 2,
                                    strcspn(entry->fields[i].text + 2, ".")),
                      architecture))
            return true;
    return false;
}

/* The highest build before another section of this manufacturer takes over. */
static uint32_t last_build(struct check *c, const struct inf_line *entry,
                           const struct decoration *mine)
{
    struct rule_report quiet = {.file = ""};
    struct check silent = *c;
    silent.report = &quiet;
    uint32_t last = UINT32_MAX;
    for (unsigned i = 1; i < entry->count; i++) {
        struct decoration other;
        if (parse_decoration(&silent, entry->fields[i].text, 0, &other) &&
            text_same(other.architecture, mine->architecture) &&
            other.min_build > mine->min_build && other.min_build - 1 < last)
            last = other.min_build - 1;
    }
    return last;
}

static struct inf_section *find_install(struct check *c, const char *name, unsigned line)
{
    struct inf *inf = c->inf;
    const char *decorated = arena_printf(&inf->arena, "%s.NT%s", name, c->target.architecture);
    if (inf_section(inf, decorated))
        return check_section(c, decorated, KindInstall, line);
    decorated = arena_printf(&inf->arena, "%s.NT", name);
    if (inf_section(inf, decorated))
        return check_section(c, decorated, KindInstall, line);
    return check_section(c, name, KindInstall, line);
}

static bool valid_component_id(const char *id)
{
    if (!strchr(id, '_') || text_starts(id, "ms_") || text_starts(id, "vms_"))
        return false;
    for (const char *t = id; *t; t++)
        if (!(*t >= 'a' && *t <= 'z') && !(*t >= 'A' && *t <= 'Z') && !(*t >= '0' && *t <= '9') &&
            *t != '_')
            return false;
    return true;
}

/* True when this models section gave `into` what the host installs. */
static bool check_models(struct check *c, struct inf_section *models, struct package *into)
{
    struct package *const outer = c->package, version = *outer;
    bool taken = false;
    for (unsigned i = 0; i < models->count; i++) {
        struct inf_line *entry = &models->lines[i];
        const char *name = inf_text(entry, 0), *id = inf_text(entry, 1);
        if (!entry->has_key || !*name || !*id) {
            rule_broken(c->report, RuleModelEntry, entry->line,
                        "an entry of [%s] is description = install-section, hardware-id",
                        models->name.text);
            continue;
        }
        if (c->network && !valid_component_id(id))
            rule_broken(c->report, RuleComponentId, entry->line,
                        "\"%s\" is no id of a network component; write provider_name in letters, "
                        "digits and underscores (ms_ and vms_ are Microsoft's)",
                        id);
        struct package package = version;
        package.description = entry->key.text;
        package.component_id = id;
        c->package = &package;
        struct inf_section *install = find_install(c, name, entry->line);
        if (install) {
            check_install(c, install);
            if (into && !taken) {
                *into = package;
                taken = true;
            }
        }
    }
    c->package = outer;
    return taken;
}

static bool check_manufacturer(struct check *c, const struct inf_section *manufacturer,
                               uint32_t build, struct package *into)
{
    struct package *const outer = c->package, version = *outer;
    bool amd64 = false, taken = false, listed = false;
    uint32_t best = 0;
    for (unsigned i = 0; i < manufacturer->count; i++) {
        const struct inf_line *entry = &manufacturer->lines[i];
        const char *models = inf_text(entry, 0);
        if (!*models || !entry->has_key) {
            rule_broken(
                c->report, RuleManufacturerEntry, entry->line,
                "an entry of [Manufacturer] is %%name%% = models-section, NTamd64.10.0...20348");
            continue;
        }
        listed = true;
        if (entry->count < 2 || inf_section(c->inf, models)) {
            struct inf_section *plain = inf_section(c->inf, models);
            rule_broken(c->report, RuleTargetArchitecture,
                        plain && entry->count > 1 ? plain->line : entry->line,
                        "models without an architecture are for x86; decorate the section and its "
                        "entry in [Manufacturer] with NTamd64");
            amd64 = true; /* enough said */
            if (plain) {
                c->target = (struct package_target){"x86", 0, UINT32_MAX};
                c->package = &version;
                plain = check_section(c, models, KindModels, entry->line);
                if (plain)
                    check_models(c, plain, NULL);
            }
        }
        for (unsigned j = 1; j < entry->count; j++) {
            struct decoration decoration;
            if (!*entry->fields[j].text)
                continue;
            struct inf_section *section = check_section(
                c, arena_printf(&c->inf->arena, "%s.%s", models, entry->fields[j].text), KindModels,
                entry->line);
            if (!parse_decoration(c, entry->fields[j].text, entry->line, &decoration)) {
                amd64 |=
                    lists_architecture(c, entry, "amd64") || strchr(entry->fields[j].text, '$');
                continue;
            }
            if (!*decoration.architecture) {
                rule_broken(c->report, RuleTargetArchitecture, entry->line,
                            "\"%s\" names no architecture and means x86; write NTamd64...",
                            entry->fields[j].text);
                amd64 = true;
            }
            if (!section)
                continue;
            c->target =
                (struct package_target){*decoration.architecture ? decoration.architecture : "x86",
                                        decoration.min_build, last_build(c, entry, &decoration)};
            c->package = &version;
            bool mine = text_same(decoration.architecture, "amd64") && !decoration.past &&
                        build >= decoration.min_build && (!taken || decoration.min_build >= best);
            bool filled = check_models(c, section, mine ? into : NULL);
            amd64 |= text_same(decoration.architecture, "amd64");
            if (mine) { /* an empty section excludes the build */
                taken = filled;
                best = decoration.min_build;
            }
        }
        if (entry->count > 1 && lists_architecture(c, entry, "amd64"))
            amd64 = true;
    }
    if (!listed && !c->report->count)
        rule_broken(
            c->report, RuleManufacturerEntry, manufacturer->line,
            "[Manufacturer] has no entry; add %%name%% = models-section, NTamd64.10.0...20348");
    if (listed && !amd64)
        rule_broken(c->report, RuleTargetArchitecture, manufacturer->line,
                    "no models are for x64; add an NTamd64 decoration and its section");
    c->package = outer;
    return taken;
}

/* "DefaultInstall", "DefaultInstall.NTamd64", but no "DefaultInstall.NTamd64.Services". */
static const char *default_architecture(struct inf *inf, const char *name, const char *base)
{
    static const char *const architectures[] = {"NT",    "NTx86",   "NTia64", "NTamd64",
                                                "NTarm", "NTarm64", NULL};
    if (!text_starts(name, base))
        return NULL;
    const char *rest = name + strlen(base);
    if (!*rest)
        return "";
    if (*rest != '.' || text_among(rest + 1, architectures) < 0)
        return NULL;
    return arena_strdup(&inf->arena, rest + 3);
}

static bool check_defaults(struct check *c, struct package *into, bool *any)
{
    struct package *const outer = c->package, version = *outer;
    struct inf *inf = c->inf;
    bool taken = false, amd64 = false;
    unsigned line = 0;
    for (unsigned i = 0; i < inf->count; i++) {
        const char *architecture =
            default_architecture(inf, inf->sections[i].name.text, "DefaultInstall");
        if (!architecture)
            continue;
        struct inf_section *section =
            check_section(c, inf->sections[i].name.text, KindInstall, inf->sections[i].line);
        *any = true;
        line = line ? line : section->line;
        if (!*architecture) {
            rule_broken(c->report, RuleTargetArchitecture, section->line,
                        "[%s] names no architecture; write [DefaultInstall.NTamd64]",
                        section->name.text);
            amd64 = true;
        }
        struct package package = version;
        package.primitive = true;
        package.description = package.component_id = "";
        c->package = &package;
        c->target = (struct package_target){*architecture ? architecture : "x86", 0, UINT32_MAX};
        check_install(c, section);
        if (text_same(architecture, "amd64")) {
            amd64 = true;
            if (into)
                *into = package;
            taken = true;
        }
    }
    if (*any && !amd64)
        rule_broken(c->report, RuleTargetArchitecture, line,
                    "no [DefaultInstall] is for x64; add [DefaultInstall.NTamd64]");

    for (unsigned i = 0; i < inf->count; i++) {
        struct inf_section *section = &inf->sections[i];
        if (!text_starts(section->name.text, "DefaultUninstall"))
            continue;
        check_system_section(inf, section->name.text);
        uint64_t value;
        bool main_section =
            default_architecture(inf, section->name.text, "DefaultUninstall") != NULL;
        if (main_section &&
            (!text_number(inf_text(inf_entry(section, "LegacyUninstall"), 0), 1, &value) ||
             value != 1))
            rule_broken(c->report, RuleDefaultUninstall, section->line,
                        "Windows undoes an installation by itself; remove [%s], or give it "
                        "LegacyUninstall = 1 if older systems need it",
                        section->name.text);
    }
    c->package = outer;
    return taken;
}

static void check_unused(struct check *c)
{
    static const char *const legacy[] = {".CoInstallers", ".FactDef", ".LogConfigOverride", NULL};
    for (unsigned i = 0; i < c->inf->count; i++) {
        struct inf_section *section = &c->inf->sections[i];
        const char *name = section->name.text;
        if (text_starts(name, "ClassInstall32") || text_starts(name, "InterfaceInstall32")) {
            rule_broken(
                c->report, RuleSectionLegacy, section->line,
                "[%s] is not allowed: a driver brings no class or interface of devices; remove it",
                name);
            section->used_by = section->line;
        }
        for (unsigned j = 0; legacy[j]; j++)
            if (text_ends(name, legacy[j])) {
                rule_broken(c->report, RuleSectionLegacy, section->line,
                            "[%s] is not allowed in a universal INF; remove it", name);
                section->used_by = section->line;
            }
        if (!section->used_by && *name)
            rule_broken(c->report, RuleSectionUnused, section->line,
                        "nothing uses [%s]; refer to it, correct its name or remove it", name);
    }
}

void package_check(struct inf *inf, struct rule_report *report, uint32_t build,
                   struct package *package, bool *installable)
{
    static const char *const system_sections[] = {"Version", "Manufacturer", "DestinationDirs",
                                                  "ControlFlags", NULL};
    struct package version = {0};
    struct check c = {.inf = inf, .report = report, .package = &version};

    for (unsigned i = 0; i < inf->count; i++) {
        const char *name = inf->sections[i].name.text;
        if (text_among(name, system_sections) >= 0 || text_same(name, "Strings") ||
            (text_starts(name, "Strings.") && strlen(name) == 12))
            check_system_section(inf, name);
    }
    check_version(inf, report, &version);
    check_source_files(inf, report);
    check_destinations(inf, report);
    c.network = text_same(version.class_name, "NetService");

    const struct inf_section *manufacturer = inf_section(inf, "Manufacturer");
    bool any = false, taken = check_defaults(&c, package, &any);
    if (manufacturer && any)
        rule_broken(report, RuleEntryPointBoth, manufacturer->line,
                    "an INF has either [Manufacturer] (devices, network components) or "
                    "[DefaultInstall] (other drivers); remove one");
    if (manufacturer) {
        c.package = &version;
        taken = check_manufacturer(&c, manufacturer, build, package);
    }
    if (!manufacturer && !any)
        rule_broken(report, RuleEntryPoint, 0,
                    "the INF installs nothing: it has neither [Manufacturer] nor "
                    "[DefaultInstall.NTamd64]; add one");
    /* Without an entry point, or with a broken one, everything would be unused. */
    if (manufacturer || any)
        check_unused(&c);
    if (installable)
        *installable = taken;
}
