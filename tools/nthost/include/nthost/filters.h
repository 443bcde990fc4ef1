/*
 * Installed NDIS filter drivers: what setup read out of their INF files, and what NDIS binds by.
 *
 * Setup tells NDIS: filters_install() for each installed filter when the host starts and after
 * setup_install(), filters_remove() after setup_uninstall(). A filter attaches to the adapters
 * whose medium it names, once its driver has called NdisFRegisterFilterDriver under the same
 * service name; the order in a stack is that of FilterClass, then of `order`.
 *
 * WDK: "Configuring an INF File for a Modifying Filter Driver".
 */
#pragma once
#include <ntddk.h>
#include <stdbool.h>

enum filter_type { FILTER_TYPE_MONITORING = 1, FILTER_TYPE_MODIFYING = 2 }; /* Ndi, FilterType */
enum filter_run_type { FILTER_RUN_MANDATORY = 1, FILTER_RUN_OPTIONAL = 2 }; /* Ndi, FilterRunType */

struct filter_install {
    char service[64];      /* Ndi, Service */
    char component[64];    /* hardware/component id, "NTS_OneIp" */
    char unique_name[40];  /* NetCfgInstanceId, "{...}" */
    char filter_class[32]; /* Ndi, FilterClass: "compression", "custom", ...; monitoring filters: ""
                            */
    char media[128];       /* Ndi\Interfaces, FilterMediaTypes: comma-separated, "ethernet, wlan" */
    enum filter_type type;
    enum filter_run_type run_type;
    unsigned order; /* among filters of one class: the lower number is nearer to the adapter */
};

/* Adds or replaces (by service). Attaches where its driver is already registered. PASSIVE_LEVEL. */
void filters_install(const struct filter_install *filter);
/* The driver must have been unloaded. */
void filters_remove(const char *service);

/* Administrative binding, per adapter ("bindview"): an unbound filter detaches. Both wait until the
 * stack runs again. PASSIVE_LEVEL. False: no such adapter. */
bool filters_bind(const char *service, const char *adapter, bool bound);

/* Waits until NDIS has done all attaching and restarting that is due: setup_start() calls it after
 * DriverEntry. PASSIVE_LEVEL. */
void filters_settle(void);
