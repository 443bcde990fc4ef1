/*
 * What an INF says, for one install section: the result of the checks and the input of an install.
 * All of it lives in the INF's arena.
 */
#pragma once
#include "inf.h"

struct package_file {
    const char *name;   /* bare */
    const char *folder; /* below the INF's folder, "" or "sub\dir"; the same in the driver store */
    unsigned dirid;
    const char *subdir; /* below the dirid */
    unsigned line;
};

struct package_value {
    const char *subkey, *name; /* name "" is the key's default value */
    uint32_t type;             /* REG_SZ ... */
    bool key_only, no_clobber;
    const char *const
        *strings; /* REG_SZ, REG_EXPAND_SZ, REG_MULTI_SZ; dirids still to be resolved */
    unsigned string_count;
    const unsigned char *data; /* the others */
    size_t bytes;
    unsigned line;
};

struct package_values {
    struct package_value *items;
    unsigned count, capacity;
};

struct package_service {
    const char *name, *display, *description, *group, *security;
    uint32_t flags, type, start, error_control;
    unsigned binary_dirid;
    const char *binary; /* below the dirid, without leading backslash */
    const char **dependencies;
    unsigned dependency_count, dependency_capacity;
    struct package_values values; /* below the service's key */
    const char *event_source, *event_log;
    struct package_values event_values; /* below EventLog\<log>\<source> */
    unsigned line, section_line;
};

/* From the TCP/IP end to the adapter's end of the filter stack. */
#define FILTER_CLASSES(X)                                                                          \
    X(scheduler)                                                                                   \
    X(encryption)                                                                                  \
    X(compression) X(vpn) X(loadbalance) X(failover) X(diagnostic) X(custom) X(provider_address)

struct package_filter {
    bool present, modifying, mandatory;
    int class_rank;                            /* index into FILTER_CLASSES; -1: monitoring */
    const char *instance_id, *service, *media; /* media: comma-separated */
};

struct package {
    const char *class_name, *class_guid, *provider, *date, *version, *catalog;
    const char *section, *description, *component_id; /* component_id "" for a primitive driver */
    bool primitive;
    uint32_t characteristics;
    const char *net_instance_id;
    struct package_file *files;
    unsigned file_count, file_capacity;
    struct package_service *services;
    unsigned service_count, service_capacity;
    struct package_values values; /* below the component's key */
    struct package_filter filter;
    const char *kmdf_service, *kmdf_version;
};

/* Builds of Windows 10.0: 0 any, UINT32_MAX no upper bound. */
struct package_target {
    const char *architecture; /* "amd64" ... */
    uint32_t min_build, max_build;
};

/* The Windows that the host is: 11 24H2, Server 2025. */
#define HOST_BUILD 26100u

/* Checks the whole INF. `package` (may be NULL) becomes what amd64 Windows of `build` would
 * install; `*installable` tells whether there is such a section. */
void package_check(struct inf *inf, struct rule_report *report, uint32_t build,
                   struct package *package, bool *installable);
