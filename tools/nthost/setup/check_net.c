/*
 * Network components: NDIS filters.
 * WDK: "Configuring an INF File for a Modifying Filter Driver", "Configuring an INF File for a
 * Monitoring Filter Driver", "Specifying Filter Driver Binding Relationships", "Adding
 * Service-Related Values to the Ndi Key", "DDInstall Section in a Network INF File".
 */
#include "check.h"
#include <string.h>

enum { NCF_FILTER = 0x400, NCF_LW_FILTER = 0x40000 };
enum { SZ = 1, DWORD_ = 4, MULTI_SZ = 7 };

static const char *const class_names[] = {
#define X(name) #name,
    FILTER_CLASSES(X)
#undef X
        NULL};

static void check_characteristics(struct check *c, const struct inf_section *install)
{
    const struct inf_line *entry = inf_entry(install, "Characteristics"),
                          *id = inf_entry(install, "NetCfgInstanceId");
    uint64_t value = 0;
    if (!entry || !text_number(inf_text(entry, 0), UINT32_MAX, &value) ||
        !(value & NCF_LW_FILTER) || (value & NCF_FILTER))
        rule_broken(
            c->report, RuleNetCharacteristics, entry ? entry->line : install->line,
            "[%s] needs Characteristics = 0x40000 (NCF_LW_FILTER), without 0x400 (NCF_FILTER)",
            install->name.text);
    c->package->characteristics = (uint32_t)value;
    c->package->net_instance_id = inf_text(id, 0);
    if (!text_is_guid(c->package->net_instance_id))
        rule_broken(
            c->report, RuleNetInstanceId, id ? id->line : install->line,
            "[%s] needs NetCfgInstanceId = \"{GUID}\", the driver's unique name as it registers it",
            install->name.text);
}

/* The one string or number of a value below Ndi; NULL or false after reporting. */
static const char *ndi_string(struct check *c, const struct inf_section *install,
                              const char *subkey, const char *name, enum setup_rule rule,
                              const char *advice)
{
    const struct package_value *value = package_value(&c->package->values, subkey, name);
    if (value && value->type == SZ)
        return value->strings[0];
    rule_broken(c->report, rule, value ? value->line : install->line, "%s; write HKR,%s,%s,,%s",
                value ? "the value is no string" : "the filter lacks the value", subkey, name,
                advice);
    return NULL;
}

static uint32_t ndi_number(struct check *c, const struct inf_section *install, const char *name,
                           enum setup_rule rule, const char *advice)
{
    const struct package_value *value = package_value(&c->package->values, "Ndi", name);
    if (value && value->type == DWORD_ && value->bytes == 4) {
        uint32_t number;
        memcpy(&number, value->data, 4);
        if (number == 1 || number == 2)
            return number;
    }
    rule_broken(c->report, rule, value ? value->line : install->line,
                "%s is to be the DWORD %s; write HKR,Ndi,%s,0x00010001,2", name, advice, name);
    return 0;
}

static void check_services_of(struct check *c, const struct inf_section *install,
                              const char **service)
{
    struct package *package = c->package;
    const char *name = ndi_string(c, install, "Ndi", "Service", RuleNdiService, "\"service name\"");
    *service = name ? name : "";
    bool found = false;
    for (unsigned i = 0; i < package->service_count; i++)
        found |= name && text_same(package->services[i].name, name);
    if (name && !found && package->service_count)
        rule_broken(c->report, RuleNdiService,
                    package_value(&package->values, "Ndi", "Service")->line,
                    "the INF adds no service %s; name the one that AddService adds", name);

    const struct package_value *all = package_value(&package->values, "Ndi", "CoServices");
    bool listed = false;
    for (unsigned i = 0; all && all->type == MULTI_SZ && i < all->string_count; i++)
        listed |= !name || text_same(all->strings[i], name);
    if (!listed)
        rule_broken(c->report, RuleNdiCoServices, all ? all->line : install->line,
                    "CoServices is to list the component's services; write "
                    "HKR,Ndi,CoServices,0x00010000,\"%s\"",
                    name ? name : "service name");
}

static void check_range(struct check *c, const struct inf_section *install, const char *name,
                        const char *expected)
{
    char quoted[16];
    snprintf(quoted, sizeof quoted, "\"%s\"", expected);
    const char *text = ndi_string(c, install, "Ndi\\Interfaces", name, RuleFilterRange, quoted);
    if (text && !text_same(text, expected))
        rule_broken(c->report, RuleFilterRange,
                    package_value(&c->package->values, "Ndi\\Interfaces", name)->line,
                    "a filter is bound by FilterMediaTypes; its %s is \"%s\"", name, expected);
}

static void check_media(struct check *c, const struct inf_section *install)
{
    /* WDK: "Specifying Binding Interfaces", less what NDIS 6.85 has no adapters of. */
    static const char *const known[] = {
        "ethernet",       "wan",    "ppip",  "wlan",  "bluetooth", "vwifi",
        "vmnetextension", "tunnel", "flpp4", "flpp6", NULL};
    const char *text = ndi_string(c, install, "Ndi\\Interfaces", "FilterMediaTypes",
                                  RuleFilterMediaTypes, "\"ethernet\"");
    if (!text)
        return;
    const struct package_value *value =
        package_value(&c->package->values, "Ndi\\Interfaces", "FilterMediaTypes");
    char *copy = arena_strdup(&c->inf->arena, text), *rest = copy, *media;
    const char *list = "";
    while ((media = strsep(&rest, ","))) {
        media += strspn(media, " ");
        while (*media && media[strlen(media) - 1] == ' ')
            media[strlen(media) - 1] = 0;
        if (text_among(media, known) < 0)
            rule_broken(c->report, RuleFilterMediaTypes, value->line,
                        "\"%s\" is no medium that a filter can bind to; ethernet, wan, ppip and "
                        "wlan are common ones",
                        media);
        list = arena_printf(&c->inf->arena, "%s%s%s", list, *list ? "," : "", media);
    }
    c->package->filter.media = list;
}

static void check_filter_service(struct check *c, const struct package_filter *filter)
{
    for (unsigned i = 0; i < c->package->service_count; i++) {
        const struct package_service *service = &c->package->services[i];
        if (!text_same(service->name, filter->service))
            continue;
        if (service->start == 0 || (service->start == 3 && filter->mandatory))
            rule_broken(c->report, RuleFilterStart, service->section_line,
                        "the service of %s filter has StartType %u; write 1 (system)%s",
                        filter->mandatory ? "a mandatory" : "an optional", service->start,
                        filter->mandatory ? "" : " or 3 (demand)");
        if (!text_same(service->group, "NDIS"))
            rule_broken(c->report, RuleFilterLoadGroup, service->section_line,
                        "the service of a filter loads with NDIS; write LoadOrderGroup = NDIS");
    }
}

void check_net(struct check *c, struct inf_section *install)
{
    struct package_filter *filter = &c->package->filter;
    *filter = (struct package_filter){.present = true, .class_rank = -1, .media = ""};
    check_characteristics(c, install);
    filter->instance_id = c->package->net_instance_id;
    if (!c->package->values.count && c->report->count)
        return; /* the AddReg section itself is missing or unreadable */

    check_services_of(c, install, &filter->service);
    uint32_t type =
        ndi_number(c, install, "FilterType", RuleFilterType, "1 (monitoring) or 2 (modifying)");
    uint32_t run =
        ndi_number(c, install, "FilterRunType", RuleFilterRunType, "1 (mandatory) or 2 (optional)");
    filter->modifying = type != 1;
    filter->mandatory = run == 1;
    if (filter->modifying) {
        const char *name = ndi_string(c, install, "Ndi", "FilterClass", RuleFilterClass, "custom");
        filter->class_rank = name ? text_among(name, class_names) : -1;
        if (name && filter->class_rank < 0)
            rule_broken(
                c->report, RuleFilterClass,
                package_value(&c->package->values, "Ndi", "FilterClass")->line,
                "\"%s\" is no FilterClass; from the top these are scheduler, encryption, "
                "compression, vpn, loadbalance, failover, diagnostic, custom, provider_address",
                name);
    }
    check_range(c, install, "UpperRange", "noupper");
    check_range(c, install, "LowerRange", "nolower");
    check_media(c, install);
    check_filter_service(c, filter);
}
