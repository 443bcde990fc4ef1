/* The checks of package_check, one file a topic. Each reports and goes on. */
#pragma once
#include "package.h"

enum section_kind {
    KindNone,
    KindSystem,
    KindModels,
    KindInstall,
    KindServices,
    KindService,
    KindEventLog,
    KindAddReg,
    KindCopyFiles,
    KindWdf,
    KindWdfService,
    KindSecurity,
    KindRemove
};

/* One install section for one target. */
struct check {
    struct inf *inf;
    struct rule_report *report;
    struct package *package;
    struct package_target target;
    bool network; /* class NetService */
};

/* The section of that name, marked as used by `line`; NULL and reported if it is missing or serves
 * another kind. */
struct inf_section *check_section(struct check *c, const char *name, enum section_kind kind,
                                  unsigned line);
/* A system-defined section: marked, or NULL. */
struct inf_section *check_system_section(struct inf *inf, const char *name);
/* Reports an entry that is not one of `known`; `legacy` are reported as what they are. */
void check_directive(struct check *c, const struct inf_section *section,
                     const struct inf_line *entry, const char *const *known);
/* Reports a second entry of the same key. */
bool check_once(struct check *c, const struct inf_section *section, const struct inf_line *entry);

void check_version(struct inf *inf, struct rule_report *report, struct package *package);
void check_source_files(struct inf *inf, struct rule_report *report);
void check_destinations(struct inf *inf, struct rule_report *report);
void check_copy_files(struct check *c, const struct inf_line *directive);
/* HKR's meaning: a service's key, an event source's, a component's. */
enum reg_context { RegComponent, RegService, RegEventLog };
void check_add_reg(struct check *c, const struct inf_line *directive, enum reg_context context,
                   struct package_values *values);
const struct package_value *package_value(const struct package_values *values, const char *subkey,
                                          const char *name);
void check_services(struct check *c, struct inf_section *section);
void check_remove_services(struct check *c, struct inf_section *section);
void check_security(struct check *c, const char *sddl, unsigned line, const char *what);
void check_security_section(struct check *c, const char *of, bool allowed);
void check_net(struct check *c, struct inf_section *install);
void check_wdf(struct check *c, struct inf_section *section);
void check_minifilter(struct check *c, const struct package_service *service);
void check_install(struct check *c, struct inf_section *install);
