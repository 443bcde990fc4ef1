/*
 * The class key of an adapter: Control\Class\{net}\NNNN in the registry, where Windows keeps what
 * it knows of a network device, and by Linkage\UpperBind which protocols are bound to it. Drivers
 * read there what NDIS does not tell them. (WDK: "Class-Specific INF Directives",
 * "NetCfgInstanceId".)
 *
 * The keys are as short-lived as the adapters: what a host that was killed has left is removed when
 * an adapter with the same NetCfgInstanceId comes.
 */
#include <nthost/registry.h>

#include "stack.h"

#include <stdio.h>
#include <string.h>

#define NET_CLASS                                                                                  \
    "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\Class\\"                             \
    "{4D36E972-E325-11CE-BFC1-08002BE10318}"

/* Component ids and the services that Linkage names. */
static const struct {
    const char *component;
    const char *service;
} protocols[] = {
    {"ms_tcpip", "Tcpip"}, {"ms_tcpip6", "Tcpip6"}, {"ms_implat", "NdisImPlatform"},
    {"vms_pp", "VMSP"},    {"nlb", "WLBS"},
};

static void guid_text(const struct ndis_adapter *adapter, char text[40])
{
    unsigned n = 0;
    for (; adapter->guid[n] && n < 39; n++)
        text[n] = (char)adapter->guid[n];
    text[n] = 0;
}

static void remove_keys(const char *guid)
{
    char name[64], path[256], other[64];

    for (unsigned i = 0; NT_SUCCESS(registry_enum_key(NET_CLASS, i, name, sizeof(name)));) {
        snprintf(path, sizeof(path), NET_CLASS "\\%s", name);
        if (NT_SUCCESS(registry_get_string(path, "NetCfgInstanceId", 0, other, sizeof(other))) &&
            !strcmp(other, guid) && NT_SUCCESS(registry_delete_tree(path)))
            continue;
        i++;
    }
}

void classkey_create(const struct ndis_adapter *adapter)
{
    const char *services[ARRAYSIZE(protocols) + 1] = {"Tcpip"};
    char bindings[sizeof(adapter->bindings)], guid[40], path[256], linkage[300];
    unsigned count = 1;
    char *rest;

    guid_text(adapter, guid);
    remove_keys(guid);
    memcpy(bindings, adapter->bindings, sizeof(bindings));
    for (char *id = strtok_r(bindings, ", ", &rest); id; id = strtok_r(NULL, ", ", &rest))
        for (unsigned i = 1; i < ARRAYSIZE(protocols); i++)
            if (!strcmp(id, protocols[i].component) && count < ARRAYSIZE(services))
                services[count++] = protocols[i].service;
    snprintf(path, sizeof(path), NET_CLASS "\\%04u", adapter->if_index);
    snprintf(linkage, sizeof(linkage), "%s\\Linkage", path);
    registry_set_string(path, "NetCfgInstanceId", REG_SZ, guid);
    registry_set_string(path, "DriverDesc", REG_SZ, adapter->name);
    registry_set_multi(linkage, "UpperBind", services, count);
}

void classkey_remove(const struct ndis_adapter *adapter)
{
    char guid[40];

    guid_text(adapter, guid);
    remove_keys(guid);
}
