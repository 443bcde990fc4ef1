/* Setup's part in the host's start and stop; checking without installing. */
#include "install.h"
#include <nthost/module.h>
#include <nthost/registry.h>
#include <string.h>

unsigned setup_check(const char *inf_path, struct setup_error *errors, unsigned max)
{
    struct inf inf = {0};
    char text[256];
    struct rule_report report = {.file = inf_path, .errors = errors, .max = max};
    if (inf_read(&inf, inf_path, &report, text, sizeof text)) {
        package_check(&inf, &report, HOST_BUILD, NULL, NULL);
    } else {
        struct setup_error error;
        setup_fail(&error, STATUS_NO_SUCH_FILE, inf_path, "%s", text);
        report.count = 1;
        if (max)
            errors[report.stored++] = error;
    }
    rule_report_sort(&report);
    inf_free(&inf);
    return report.count;
}

bool setup_rule(unsigned index, const char **name, const char **page, const char **text)
{
    if (index >= RULE_COUNT)
        return false;
    *name = setup_rule_table[index].name;
    *page = setup_rule_table[index].page;
    *text = setup_rule_table[index].text;
    return true;
}

/* Filters that were installed before: NDIS binds them once their drivers register. */
static void start(const struct nt_options *options)
{
    char name[64];
    (void)options;
    control_start();
    store_start();
    for (unsigned i = 0; NT_SUCCESS(registry_enum_key(NETWORK_SERVICES, i, name, sizeof name)); i++)
        install_publish_filter(name);
}

static void stop(void)
{
    control_stop();
    store_stop();
}

NT_MODULE(setup, NT_ORDER_SETUP, start, stop);
