/*
 * Install sections and their services.
 * WDK: "INF DDInstall Section", "INF DDInstall.Services Section", "INF AddService Directive",
 * "Remove Section in a Network INF File".
 */
#include "check.h"
#include <string.h>

enum { SPSVCINST_ASSOCSERVICE = 0x2, SPSVCINST_STARTSERVICE = 0x800 };

static bool valid_service_name(const char *name)
{
    size_t length = strlen(name);
    for (const char *t = name; *t; t++)
        if (!(*t >= 'a' && *t <= 'z') && !(*t >= 'A' && *t <= 'Z') && !(*t >= '0' && *t <= '9') &&
            !strchr(" ._-", *t))
            return false;
    return length >= 1 && length <= 63 && name[0] != ' ' && name[length - 1] != ' ' &&
           name[0] != '.';
}

static uint32_t service_number(struct check *c, const struct inf_section *section, const char *key,
                               uint64_t max, enum setup_rule rule, const char *advice)
{
    const struct inf_line *entry = inf_entry(section, key);
    uint64_t value;
    if (!entry) {
        rule_broken(c->report, RuleServiceEntry, section->line, "[%s] has no %s; add it",
                    section->name.text, key);
        return UINT32_MAX;
    }
    if (!*inf_text(entry, 0))
        return UINT32_MAX; /* no value: reported as such */
    if (!text_number(inf_text(entry, 0), max, &value)) {
        rule_broken(c->report, rule, entry->line, "%s cannot be \"%s\"; %s", key,
                    inf_shown(c->inf, inf_text(entry, 0)), advice);
        return UINT32_MAX;
    }
    return (uint32_t)value;
}

static void check_binary(struct check *c, const struct inf_section *section,
                         struct package_service *service)
{
    const struct inf_line *entry = inf_entry(section, "ServiceBinary");
    const char *path = inf_text(entry, 0), *rest;
    service->binary = "";
    if (!entry) {
        rule_broken(c->report, RuleServiceEntry, section->line, "[%s] has no ServiceBinary; add it",
                    section->name.text);
        return;
    }
    if (!*path)
        return;
    if (!inf_dirid(path, &service->binary_dirid, &rest) || rest[0] != '\\' || !rest[1] ||
        strchr(rest, '/') || strchr(rest, INF_DIRID) || entry->count > 1) {
        rule_broken(c->report, RuleServiceBinary, entry->line,
                    "\"%s\" is no path below a directory id; write %%13%%\\file.sys",
                    inf_shown(c->inf, path));
        return;
    }
    service->binary = rest + 1;
    for (unsigned i = 0; i < c->package->file_count; i++) {
        const struct package_file *file = &c->package->files[i];
        char *there = arena_printf(&c->inf->arena, "%s%s%s", file->subdir,
                                   *file->subdir ? "\\" : "", file->name);
        for (char *t = there; *t; t++)
            if (*t == '/')
                *t = '\\';
        if (file->dirid == service->binary_dirid && text_same(there, service->binary))
            return;
    }
    if (c->report->count == 0 || c->package->file_count)
        rule_broken(c->report, RuleServiceBinaryNotCopied, entry->line,
                    "no CopyFiles brings %s there; copy it, or correct the path",
                    inf_shown(c->inf, path));
}

static void check_event_log(struct check *c, const struct inf_line *add,
                            struct package_service *service)
{
    static const char *const known[] = {"AddReg", NULL}, *const logs[] = {"System", "Security",
                                                                          "Application", NULL};
    if (!*inf_text(add, 3))
        return;
    struct inf_section *section = check_section(c, inf_text(add, 3), KindEventLog, add->line);
    service->event_log = *inf_text(add, 4) ? inf_text(add, 4) : "System";
    service->event_source = *inf_text(add, 5) ? inf_text(add, 5) : service->name;
    if (text_among(service->event_log, logs) < 0 || !valid_service_name(service->event_source))
        rule_broken(
            c->report, RuleServiceFlags, add->line,
            "an event log is System, Security or Application, with a plain name for its source");
    for (unsigned i = 0; section && i < section->count; i++) {
        check_directive(c, section, &section->lines[i], known);
        if (section->lines[i].has_key && text_same(section->lines[i].key.text, "AddReg"))
            check_add_reg(c, &section->lines[i], RegEventLog, &service->event_values);
    }
}

static void check_service_section(struct check *c, struct inf_section *section,
                                  struct package_service *service)
{
    static const char *const known[] = {
        "DisplayName",    "Description",      "ServiceType", "StartType",
        "ErrorControl",   "ServiceBinary",    "StartName",   "AddReg",
        "LoadOrderGroup", "Dependencies",     "Security",    "RequiredPrivileges",
        "ServiceSidType", "DelayedAutoStart", "BootFlags",   NULL};
    for (unsigned i = 0; i < section->count; i++) {
        const struct inf_line *entry = &section->lines[i];
        check_directive(c, section, entry, known);
        if (!entry->has_key)
            continue;
        if (text_same(entry->key.text, "AddReg"))
            check_add_reg(c, entry, RegService, &service->values);
        else
            check_once(c, section, entry);
    }
    service->section_line = section->line;
    service->display = inf_text(inf_entry(section, "DisplayName"), 0);
    service->description = inf_text(inf_entry(section, "Description"), 0);
    service->group = inf_text(inf_entry(section, "LoadOrderGroup"), 0);
    service->type = service_number(c, section, "ServiceType", UINT32_MAX, RuleServiceType,
                                   "write 1 for a driver, 2 for a file system driver");
    service->start = service_number(c, section, "StartType", 4, RuleServiceStart,
                                    "write 0 (boot), 1 (system) or 3 (demand)");
    service->error_control =
        service_number(c, section, "ErrorControl", 3, RuleServiceErrorControl,
                       "write 0 (ignore), 1 (normal), 2 (severe) or 3 (critical)");
    if (service->type != UINT32_MAX && service->type != 1 && service->type != 2)
        rule_broken(c->report, RuleServiceType, inf_entry(section, "ServiceType")->line,
                    "ServiceType %u is no driver's; write 1, or 2 for a file system driver",
                    service->type);
    if (service->start == 2 || service->start == 4)
        rule_broken(c->report, RuleServiceStart, inf_entry(section, "StartType")->line,
                    "StartType %u is %s; write 0 (boot), 1 (system) or 3 (demand)", service->start,
                    service->start == 2 ? "for programs, not for drivers"
                                        : "disabled, and a disabled driver cannot be installed");
    check_binary(c, section, service);

    const struct inf_line *dependencies = inf_entry(section, "Dependencies"),
                          *security = inf_entry(section, "Security");
    for (unsigned i = 0; dependencies && i < dependencies->count; i++) {
        if (!*inf_text(dependencies, i))
            continue;
        const char **slot =
            arena_push(&c->inf->arena, (void **)&service->dependencies, &service->dependency_count,
                       &service->dependency_capacity, sizeof *slot);
        *slot = inf_text(dependencies, i);
    }
    service->security = inf_text(security, 0);
    if (*service->security)
        check_security(c, service->security, security->line, service->name);
    check_minifilter(c, service);
}

static void add_service(struct check *c, const struct inf_line *add, unsigned *associated)
{
    const uint64_t known = 0x6fdfb; /* SPSVCINST_ of "INF AddService Directive" */
    struct package *package = c->package;
    struct package_service service = {.name = inf_text(add, 0),
                                      .line = add->line,
                                      .display = "",
                                      .description = "",
                                      .group = "",
                                      .security = "",
                                      .binary = ""};
    uint64_t flags = 0;
    if (*inf_text(add, 1) &&
        (!text_number(inf_text(add, 1), UINT32_MAX, &flags) || flags & ~known)) {
        rule_broken(c->report, RuleServiceFlags, add->line,
                    "\"%s\" is no combination of SPSVCINST_ values; remove it or correct it",
                    inf_text(add, 1));
        flags = 0;
    }
    service.flags = (uint32_t)flags;
    if (flags & SPSVCINST_ASSOCSERVICE) {
        if (c->network || package->primitive)
            rule_broken(
                c->report, RuleServiceFlags, add->line,
                "flag 2 makes the service a device's driver, but %s has no device; remove the flag",
                c->network ? "a network component" : "a primitive driver");
        else if (*associated)
            rule_broken(c->report, RuleServiceFlags, add->line,
                        "flag 2 makes the service the device's driver, but the one of line %u is "
                        "that already",
                        *associated);
        *associated = add->line;
    }
    if (!*service.name && (flags & SPSVCINST_ASSOCSERVICE) && !*inf_text(add, 2))
        return; /* the null driver */
    if (!valid_service_name(service.name)) {
        rule_broken(c->report, RuleServiceName, add->line,
                    "\"%s\" is no name of a service; use 1 to 63 letters, digits, dots, dashes, "
                    "underscores, spaces",
                    service.name);
        return;
    }
    for (unsigned i = 0; i < package->service_count; i++)
        if (text_same(package->services[i].name, service.name)) {
            rule_broken(c->report, RuleServiceDuplicate, add->line,
                        "%s is already added by line %u; remove one of them", service.name,
                        package->services[i].line);
            return;
        }
    if (!*inf_text(add, 2)) {
        rule_broken(c->report, RuleServiceEntry, add->line,
                    "AddService of %s names no section that describes the service; add it: "
                    "name,flags,section",
                    service.name);
        return;
    }
    struct inf_section *section = check_section(c, inf_text(add, 2), KindService, add->line);
    if (!section)
        return;
    check_event_log(c, add, &service);
    check_service_section(c, section, &service);
    struct package_service *slot =
        arena_push(&c->inf->arena, (void **)&package->services, &package->service_count,
                   &package->service_capacity, sizeof *slot);
    *slot = service;
}

void check_services(struct check *c, struct inf_section *section)
{
    static const char *const known[] = {"AddService", NULL};
    unsigned associated = 0;
    for (unsigned i = 0; i < section->count; i++) {
        const struct inf_line *entry = &section->lines[i];
        check_directive(c, section, entry, known);
        if (entry->has_key && text_same(entry->key.text, "AddService"))
            add_service(c, entry, &associated);
    }
}

/* Network components bring how to remove them; the same as what uninstalling does here. */
void check_remove_services(struct check *c, struct inf_section *section)
{
    static const char *const known[] = {"DelService", NULL};
    for (unsigned i = 0; i < section->count; i++) {
        const struct inf_line *entry = &section->lines[i];
        uint64_t flags = 0;
        bool mine = false;
        check_directive(c, section, entry, known);
        if (!entry->has_key || !text_same(entry->key.text, "DelService"))
            continue;
        for (unsigned j = 0; j < c->package->service_count; j++)
            mine |= text_same(c->package->services[j].name, inf_text(entry, 0));
        if (!mine)
            rule_broken(c->report, RuleNdiService, entry->line,
                        "the INF does not add the service %s that it removes; correct the name",
                        inf_text(entry, 0));
        if (*inf_text(entry, 1) &&
            (!text_number(inf_text(entry, 1), UINT32_MAX, &flags) || flags & ~0x204u))
            rule_broken(c->report, RuleServiceFlags, entry->line,
                        "\"%s\" is no flag of DelService; write 0x200 (stop the service first)",
                        inf_text(entry, 1));
    }
}

static void check_suffixes(struct check *c, struct inf_section *install)
{
    static const char *const unsupported[] = {"Interfaces", "Events", "Software", "Components",
                                              "Filters",    "COM",    "WMI",      "HW",
                                              "PosDup",     NULL};
    struct inf *inf = c->inf;
    const char *base = install->name.text;
    for (unsigned i = 0; unsupported[i]; i++) {
        struct inf_section *section =
            check_system_section(inf, arena_printf(&inf->arena, "%s.%s", base, unsupported[i]));
        if (section)
            rule_broken(c->report, RuleHostUnsupported, section->line,
                        "[%s] is valid on Windows, but the driver host has no devices that it "
                        "could apply to",
                        section->name.text);
    }
    struct inf_section *wdf = inf_section(inf, arena_printf(&inf->arena, "%s.Wdf", base));
    if (wdf && (wdf = check_section(c, wdf->name.text, KindWdf, wdf->line)))
        check_wdf(c, wdf);
    struct inf_section *remove = inf_section(inf, arena_printf(&inf->arena, "%s.Remove", base));
    struct inf_section *remove_services =
        inf_section(inf, arena_printf(&inf->arena, "%s.Remove.Services", base));
    if (!c->network)
        return; /* unused then */
    static const char *const none[] = {NULL};
    if (remove && (remove = check_section(c, remove->name.text, KindRemove, remove->line)))
        for (unsigned i = 0; i < remove->count; i++)
            check_directive(c, remove, &remove->lines[i], none);
    if (remove_services && (remove_services = check_section(c, remove_services->name.text,
                                                            KindRemove, remove_services->line)))
        check_remove_services(c, remove_services);
}

void check_install(struct check *c, struct inf_section *install)
{
    static const char *const known[] = {"CopyFiles",    "AddReg",     "DriverVer",
                                        "FeatureScore", "OptionDesc", NULL};
    static const char *const network[] = {
        "CopyFiles",       "AddReg",           "DriverVer", "FeatureScore",
        "Characteristics", "NetCfgInstanceId", NULL};
    static const char *const unsupported[] = {
        "Include", "Needs", "CopyINF", "AddProperty", "AddPowerSetting", "AddEventProvider", NULL};
    static const char *const repeated[] = {"CopyFiles", "AddReg", NULL};
    struct package *package = c->package;
    package->section = install->name.text;
    for (unsigned i = 0; i < install->count; i++) {
        const struct inf_line *entry = &install->lines[i];
        if (entry->has_key && text_among(entry->key.text, unsupported) >= 0) {
            rule_broken(c->report, RuleHostUnsupported, entry->line,
                        "%s is valid on Windows, but the driver host cannot do it",
                        entry->key.text);
            continue;
        }
        check_directive(c, install, entry, c->network ? network : known);
        if (!entry->has_key)
            continue;
        if (text_among(entry->key.text, repeated) < 0)
            check_once(c, install, entry);
        if (text_same(entry->key.text, "CopyFiles"))
            check_copy_files(c, entry);
        if (text_same(entry->key.text, "AddReg") && package->primitive) {
            rule_broken(c->report, RuleDefaultInstallHkr, entry->line,
                        "[%s] is for no device, so HKR means nothing; put the values into the "
                        "service's AddReg",
                        install->name.text);
            for (unsigned j = 0; j < entry->count; j++)
                check_section(c, inf_text(entry, j), KindAddReg, entry->line);
        } else if (text_same(entry->key.text, "AddReg")) {
            check_add_reg(c, entry, RegComponent, &package->values);
        }
    }

    struct inf_section *services =
        inf_section(c->inf, arena_printf(&c->inf->arena, "%s.Services", install->name.text));
    if (services)
        services = check_section(c, services->name.text, KindServices, services->line);
    if (services)
        check_services(c, services);
    if (!services || !inf_entry(services, "AddService"))
        rule_broken(c->report, RuleServiceNone, install->line,
                    "[%s] adds no service; add [%s.Services] with an AddService",
                    install->name.text, install->name.text);
    check_suffixes(c, install);
    if (c->network)
        check_net(c, install);
}
