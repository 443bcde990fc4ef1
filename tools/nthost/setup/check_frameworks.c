/*
 * KMDF and the filter manager.
 * WDK: "Specifying WDF Directives in INF Files", "KMDF Version History", "Creating an INF File for
 * a Minifilter Driver", "Load Order Groups and Altitudes for Minifilter Drivers".
 */
#include "check.h"
#include <stdlib.h>
#include <string.h>

/* KMDF 1.minor came with that build. */
static const struct {
    unsigned minor;
    uint32_t build;
} kmdf_versions[] = {{0, 0},      {1, 0},      {5, 0},      {7, 0},      {9, 0},      {11, 0},
                     {13, 0},     {15, 10240}, {17, 10586}, {19, 14393}, {21, 15063}, {23, 16299},
                     {25, 17134}, {27, 17763}, {29, 18362}, {31, 19041}, {33, 20348}};

static void check_library_version(struct check *c, const struct inf_section *section)
{
    const struct inf_line *entry = inf_entry(section, "KmdfLibraryVersion");
    const char *text = inf_text(entry, 0);
    uint64_t minor;
    if (!entry) {
        rule_broken(c->report, RuleWdfService, section->line,
                    "[%s] has no KmdfLibraryVersion; add KmdfLibraryVersion = 1.33",
                    section->name.text);
        return;
    }
    c->package->kmdf_version = text;
    if (text[0] == '$' || !*text)
        return; /* reported already */
    if (!strncmp(text, "1.", 2) && text[2] != '0' && text_number(text + 2, 99, &minor))
        for (unsigned i = 0; i < sizeof kmdf_versions / sizeof *kmdf_versions; i++)
            if (kmdf_versions[i].minor == minor) {
                if (!c->package->primitive && c->target.min_build < kmdf_versions[i].build)
                    rule_broken(c->report, RuleWdfTarget, entry->line,
                                "KMDF %s came with build %u, but the section is for build %u, too; "
                                "decorate its models with NT%s.10.0...%u",
                                text, kmdf_versions[i].build, c->target.min_build,
                                c->target.architecture, kmdf_versions[i].build);
                return;
            }
    rule_broken(c->report, RuleWdfVersion, entry->line, "there is no KMDF %s; the latest is 1.33",
                text);
}

void check_wdf(struct check *c, struct inf_section *section)
{
    static const char *const known[] = {"KmdfService", NULL}, *const service_known[] = {
                                                                  "KmdfLibraryVersion", NULL};
    static const char *const umdf[] = {"UmdfService", "UmdfServiceOrder",
                                       "UmdfKernelModeClientPolicy", "UmdfHostProcessSharing",
                                       NULL};
    for (unsigned i = 0; i < section->count; i++) {
        const struct inf_line *entry = &section->lines[i];
        if (entry->has_key && text_among(entry->key.text, umdf) >= 0) {
            rule_broken(c->report, RuleHostUnsupported, entry->line,
                        "the driver host runs kernel-mode drivers only");
            continue;
        }
        check_directive(c, section, entry, known);
        if (!entry->has_key || !text_same(entry->key.text, "KmdfService") || !*inf_text(entry, 0))
            continue;
        const char *name = inf_text(entry, 0);
        bool found = false;
        for (unsigned j = 0; j < c->package->service_count; j++)
            found |= text_same(c->package->services[j].name, name);
        if (!found)
            rule_broken(c->report, RuleWdfService, entry->line,
                        "the INF adds no service %s; name the one that AddService adds", name);
        c->package->kmdf_service = name;
        if (!*inf_text(entry, 1)) {
            rule_broken(c->report, RuleWdfService, entry->line,
                        "KmdfService names no section; write service, section");
            continue;
        }
        struct inf_section *service =
            check_section(c, inf_text(entry, 1), KindWdfService, entry->line);
        for (unsigned j = 0; service && j < service->count; j++) {
            check_directive(c, service, &service->lines[j], service_known);
            check_once(c, service, &service->lines[j]);
        }
        if (service)
            check_library_version(c, service);
    }
}

static const struct {
    const char *group;
    double from, to;
} altitudes[] = {{"FSFilter Top", 400000, 410000},
                 {"FSFilter Activity Monitor", 360000, 390000},
                 {"FSFilter Undelete", 340000, 350000},
                 {"FSFilter Anti-Virus", 320000, 330000},
                 {"FSFilter Replication", 300000, 310000},
                 {"FSFilter Continuous Backup", 280000, 290000},
                 {"FSFilter Content Screener", 260000, 270000},
                 {"FSFilter Quota Management", 240000, 250000},
                 {"FSFilter System Recovery", 220000, 230000},
                 {"FSFilter Cluster File System", 200000, 210000},
                 {"FSFilter HSM", 180000, 190000},
                 {"FSFilter Imaging", 170000, 175001},
                 {"FSFilter Compression", 160000, 170000},
                 {"FSFilter Encryption", 140000, 150000},
                 {"FSFilter Virtualization", 130000, 140000},
                 {"FSFilter Physical Quota Management", 120000, 130000},
                 {"FSFilter Open File", 100000, 110000},
                 {"FSFilter Security Enhancer", 80000, 90000},
                 {"FSFilter Copy Protection", 60000, 70000},
                 {"FSFilter Bottom", 40000, 50000}};

static bool valid_altitude(const char *text, double from, double to)
{
    size_t whole = strspn(text, "0123456789"), part = 0;
    if (text[whole] == '.')
        part = strspn(text + whole + 1, "0123456789");
    if (!whole || text[whole + (text[whole] == '.' ? part + 1 : 0)] ||
        (text[whole] == '.' && !part))
        return false;
    double altitude = strtod(text, NULL);
    return altitude >= from && altitude < to;
}

void check_minifilter(struct check *c, const struct package_service *service)
{
    bool grouped = text_starts(service->group, "FSFilter"), depends = false;
    for (unsigned i = 0; i < service->dependency_count; i++)
        depends |= text_same(service->dependencies[i], "FltMgr");
    if (!grouped && !depends)
        return;
    unsigned group = 0, groups = sizeof altitudes / sizeof *altitudes;
    while (group < groups && !text_same(altitudes[group].group, service->group))
        group++;
    if (!depends || service->type != 2 || group == groups) {
        rule_broken(c->report, RuleFltService, service->section_line,
                    "a minifilter needs ServiceType = 2, Dependencies = FltMgr and a "
                    "LoadOrderGroup such as \"FSFilter Activity Monitor\"");
        return;
    }
    /* Either or both: the filter manager looks for the first since 24H2, for the second before. */
    static const char *const tops[] = {"Parameters\\Instances", "Instances"};
    bool any = false;
    for (unsigned i = 0; i < 2; i++) {
        const struct package_value *instance =
            package_value(&service->values, tops[i], "DefaultInstance");
        if (!instance || instance->type != 1)
            continue;
        const struct package_value *altitude = package_value(
            &service->values, arena_printf(&c->inf->arena, "%s\\%s", tops[i], instance->strings[0]),
            "Altitude");
        if (!altitude || altitude->type != 1 ||
            !valid_altitude(altitude->strings[0], altitudes[group].from, altitudes[group].to))
            rule_broken(c->report, RuleFltInstances, altitude ? altitude->line : instance->line,
                        "the instance \"%s\" needs an Altitude (string) from %.0f to below %.0f, "
                        "the range of %s",
                        instance->strings[0], altitudes[group].from, altitudes[group].to,
                        service->group);
        any = true;
    }
    if (any)
        return;
    rule_broken(c->report, RuleFltInstances, service->section_line,
                "a minifilter needs HKR,Parameters\\Instances,DefaultInstance,,\"name\" and that "
                "instance's Altitude");
}
