/*
 * Files: where they come from and where they go.
 * WDK: "INF SourceDisksNames Section", "INF SourceDisksFiles Section", "INF DestinationDirs
 * Section", "INF CopyFiles Directive", "Run From Driver Store".
 */
#include "check.h"
#include <string.h>

/* First builds that run such drivers from the driver store. A primitive driver always does. */
#define STORE_BUILD_NETWORK 25319u /* "NDIS Filter Driver Installation" */
#define STORE_BUILD         16299u /* "Run From Driver Store" */

static const char *const architectures[] = {"", ".x86", ".ia64", ".amd64", ".arm", ".arm64", NULL};

static bool bare_name(const char *name)
{
    return *name && !strpbrk(name, "/\\:*?\"<>|\x01") && strcmp(name, ".") && strcmp(name, "..");
}

/* "\x64\free" -> "x64/free"; NULL if it could lead out of where it begins. */
static const char *folder_of(struct inf *inf, const char *path)
{
    char *copy = arena_strdup(&inf->arena, path + (*path == '\\')), *rest = copy, *part;
    const char *folder = "";
    for (char *t = copy; *t; t++)
        if (*t == '/')
            *t = '\\';
    while ((part = strsep(&rest, "\\"))) {
        if (!*part && !rest)
            break;
        if (!*part || !bare_name(part))
            return *path ? NULL : "";
        folder = *folder ? arena_printf(&inf->arena, "%s/%s", folder, part)
                         : arena_strdup(&inf->arena, part);
    }
    return folder;
}

static const struct inf_line *decorated_entry(struct inf *inf, const char *section,
                                              const char *decoration, const char *key)
{
    const struct inf_line *entry =
        inf_entry(inf_section(inf, arena_printf(&inf->arena, "%s%s", section, decoration)), key);
    return entry ? entry : inf_entry(inf_section(inf, section), key);
}

/* An undecorated list of files may use the disks of each architecture. */
static bool disk_listed(struct inf *inf, const char *decoration, const char *id)
{
    bool listed = decorated_entry(inf, "SourceDisksNames", decoration, id) != NULL;
    for (unsigned a = 0; !*decoration && architectures[a]; a++)
        listed |= decorated_entry(inf, "SourceDisksNames", architectures[a], id) != NULL;
    return listed;
}

void check_source_files(struct inf *inf, struct rule_report *report)
{
    struct check c = {.inf = inf, .report = report};
    for (unsigned a = 0; architectures[a]; a++) {
        struct inf_section *disks = check_system_section(
            inf, arena_printf(&inf->arena, "SourceDisksNames%s", architectures[a]));
        for (unsigned i = 0; disks && i < disks->count; i++) {
            struct inf_line *entry = &disks->lines[i];
            uint64_t id;
            check_once(&c, disks, entry);
            if (!entry->has_key || !text_number(entry->key.text, UINT32_MAX, &id))
                rule_broken(report, RuleFileDisk, entry->line,
                            "an entry of [%s] is number = description", disks->name.text);
            if (!folder_of(inf, inf_text(entry, 3)))
                rule_broken(report, RuleFileName, entry->line,
                            "\"%s\" is no folder below the INF's", inf_text(entry, 3));
        }
        struct inf_section *files = check_system_section(
            inf, arena_printf(&inf->arena, "SourceDisksFiles%s", architectures[a]));
        for (unsigned i = 0; files && i < files->count; i++) {
            struct inf_line *entry = &files->lines[i];
            check_once(&c, files, entry);
            if (!entry->has_key || !bare_name(entry->key.text)) {
                rule_broken(report, RuleFileName, entry->line,
                            "an entry of [%s] is file = disk-id[,folder], the file without folders",
                            files->name.text);
                continue;
            }
            if (text_ends(entry->key.text, ".cat"))
                rule_broken(
                    report, RuleCatalogListed, entry->line,
                    "%s is found beside the INF by its CatalogFile directive; remove the line",
                    entry->key.text);
            if (!disk_listed(inf, architectures[a], inf_text(entry, 0)))
                rule_broken(
                    report, RuleFileDisk, entry->line,
                    "there is no disk \"%s\" in [SourceDisksNames]; add it or correct the id",
                    inf_text(entry, 0));
            if (!folder_of(inf, inf_text(entry, 1)))
                rule_broken(report, RuleFileName, entry->line,
                            "\"%s\" is no folder below the INF's", inf_text(entry, 1));
        }
    }
}

void check_destinations(struct inf *inf, struct rule_report *report)
{
    struct check c = {.inf = inf, .report = report};
    struct inf_section *section = check_system_section(inf, "DestinationDirs");
    for (unsigned i = 0; section && i < section->count; i++) {
        struct inf_line *entry = &section->lines[i];
        uint64_t dirid;
        check_once(&c, section, entry);
        if (!entry->has_key || !text_number(inf_text(entry, 0), UINT32_MAX, &dirid)) {
            rule_broken(
                report, RuleFileDestination, entry->line,
                "an entry of [DestinationDirs] is section = directory-id[,folder], such as 13");
            continue;
        }
        if (!folder_of(inf, inf_text(entry, 1)))
            rule_broken(report, RuleFileName, entry->line,
                        "\"%s\" is no folder below the directory", inf_text(entry, 1));
        if (!text_same(entry->key.text, "DefaultDestDir") && !inf_section(inf, entry->key.text))
            rule_broken(report, RuleSectionMissing, entry->line,
                        "there is no section [%s]; add it or correct the name", entry->key.text);
    }
}

/* Where a file lies below the INF's folder; NULL if it is not listed. */
static const char *source_folder(struct check *c, const char *name)
{
    const char *decoration = arena_printf(&c->inf->arena, ".%s", c->target.architecture);
    const struct inf_line *file = decorated_entry(c->inf, "SourceDisksFiles", decoration, name);
    if (!file)
        return NULL;
    const struct inf_line *disk =
        decorated_entry(c->inf, "SourceDisksNames", decoration, inf_text(file, 0));
    const char *top = folder_of(c->inf, inf_text(disk, 3)),
               *sub = folder_of(c->inf, inf_text(file, 1));
    if (!top || !sub) /* reported where they stand */
        return "";
    return *top && *sub ? arena_printf(&c->inf->arena, "%s/%s", top, sub) : *top ? top : sub;
}

static void check_directory(struct check *c, const struct inf_line *destination, unsigned dirid)
{
    uint32_t first = c->network ? STORE_BUILD_NETWORK : STORE_BUILD;
    const char *kind = c->network ? "network components" : "drivers";
    if (dirid == 13 && !c->package->primitive && c->target.min_build < first)
        rule_broken(c->report, RuleFileDiridTooNew, destination->line,
                    "Windows runs %s from the driver store (13) from build %u on, but the section "
                    "that is copied is for build %u, too; decorate its models with NT%s.10.0...%u, "
                    "and copy to 12 in models for older builds",
                    kind, first, c->target.min_build, c->target.architecture, first);
    if (dirid != 13 && (c->package->primitive || c->target.max_build >= first))
        rule_broken(c->report, RuleFileNotIsolated, destination->line,
                    "from build %u on %s stay in the driver store; copy to 13, or bring other "
                    "models, NT%s.10.0...%u, that do",
                    c->package->primitive ? 18362 : first, kind, c->target.architecture, first);
    else if (dirid != 13 && dirid != 12)
        rule_broken(c->report, RuleFileNotIsolated, destination->line,
                    "drivers go to 13, the driver store, or for older builds to 12; not to %u",
                    dirid);
}

static void check_flags(struct check *c, const struct inf_line *entry, unsigned dirid)
{
    const uint64_t known = 0x7c7f,
                   replacing = 0x4 | 0x8 | 0x10 | 0x20 | 0x40 | 0x400 | 0x1000 | 0x4000;
    const char *text = inf_text(entry, 3);
    uint64_t flags = 0;
    if (*text && (!text_number(text, UINT32_MAX, &flags) || flags & ~known))
        rule_broken(c->report, RuleCopyFlags, entry->line,
                    "\"%s\" is no combination of COPYFLG_ values; remove it or correct it", text);
    else if (dirid == 13 && flags & replacing)
        rule_broken(c->report, RuleCopyFlags, entry->line,
                    "a file that stays in the driver store replaces none; remove the flags 0x%llx",
                    (unsigned long long)(flags & replacing));
}

static void copy_file(struct check *c, const struct inf_line *entry, const char *to,
                      const char *from, const struct inf_line *destination)
{
    uint64_t dirid;
    if (!bare_name(to) || !bare_name(from)) {
        rule_broken(c->report, RuleFileName, entry->line,
                    "\"%s\" is no bare file name; folders belong into [DestinationDirs] and "
                    "[SourceDisksFiles]",
                    bare_name(to) ? from : to);
        return;
    }
    const char *folder = source_folder(c, from);
    if (!folder) {
        rule_broken(c->report, RuleFileNotListed, entry->line,
                    "%s is not listed in [SourceDisksFiles]; add %s = 1", from, from);
        return;
    }
    if (!text_number(inf_text(destination, 0), UINT32_MAX, &dirid))
        return; /* reported where it stands */
    check_directory(c, destination, (unsigned)dirid);
    check_flags(c, entry, (unsigned)dirid);
    const char *subdir = folder_of(c->inf, inf_text(destination, 1));
    subdir = subdir ? subdir : "";
    if (dirid == 13 && (!text_same(to, from) || !text_same(folder, subdir)))
        rule_broken(c->report, RuleFileMoved, entry->line,
                    "a file in the driver store keeps its place: %s%s%s would become %s%s%s; use "
                    "the same name and folder",
                    folder, *folder ? "\\" : "", from, subdir, *subdir ? "\\" : "", to);

    struct package *package = c->package;
    for (unsigned i = 0; i < package->file_count; i++)
        if (text_same(package->files[i].name, to) && package->files[i].dirid == dirid &&
            text_same(package->files[i].subdir, subdir)) {
            rule_broken(c->report, RuleKeyDuplicate, entry->line,
                        "%s is already copied there by line %u; remove one of them", to,
                        package->files[i].line);
            return;
        }
    struct package_file *file =
        arena_push(&c->inf->arena, (void **)&package->files, &package->file_count,
                   &package->file_capacity, sizeof *file);
    *file = (struct package_file){.name = from,
                                  .folder = folder,
                                  .dirid = (unsigned)dirid,
                                  .subdir = subdir,
                                  .line = entry->line};
}

void check_copy_files(struct check *c, const struct inf_line *directive)
{
    const struct inf_section *destinations = inf_section(c->inf, "DestinationDirs");
    const struct inf_line *fallback = inf_entry(destinations, "DefaultDestDir");
    for (unsigned i = 0; i < directive->count; i++) {
        const char *name = inf_text(directive, i);
        const struct inf_line *destination = *name == '@' ? NULL : inf_entry(destinations, name);
        if (!*name)
            continue;
        if (!destination)
            destination = fallback;
        if (*name == '@') {
            if (destination)
                copy_file(c, directive, name + 1, name + 1, destination);
        } else {
            struct inf_section *section = check_section(c, name, KindCopyFiles, directive->line);
            if (!section)
                continue;
            uint64_t dirid = 13;
            text_number(inf_text(destination, 0), UINT32_MAX, &dirid);
            check_security_section(c, name, dirid != 13);
            for (unsigned j = 0; destination && j < section->count; j++) {
                const struct inf_line *entry = &section->lines[j];
                const char *to = inf_text(entry, 0), *from = inf_text(entry, 1);
                if (entry->has_key || !*to || entry->count > 4 || *inf_text(entry, 2)) {
                    rule_broken(c->report, RuleCopyEntry, entry->line,
                                "an entry of [%s] is file, or destination,source,,flags",
                                section->name.text);
                    continue;
                }
                copy_file(c, entry, to, *from ? from : to, destination);
            }
        }
        if (!destination)
            rule_broken(c->report, RuleFileDestination, directive->line,
                        "[DestinationDirs] does not say where %s goes; add %s = 13", name,
                        *name == '@' ? "DefaultDestDir" : name);
    }
}
