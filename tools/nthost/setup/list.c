/* The state of services, as JSON. */
#include "install.h"
#include <nthost/registry.h>
#include <string.h>

static void put_text(FILE *json, const char *text)
{
    fputc('"', json);
    for (const unsigned char *t = (const unsigned char *)text; *t; t++) {
        if (*t == '"' || *t == '\\')
            fprintf(json, "\\%c", *t);
        else if (*t < 0x20)
            fprintf(json, "\\u%04x", *t);
        else
            fputc(*t, json);
    }
    fputc('"', json);
}

/* ,"name":"value" or, without such a value, ,"name":null */
static void put_member(FILE *json, const char *name, const char *key, const char *value)
{
    char text[1024];
    fprintf(json, ",\"%s\":", name);
    if (NT_SUCCESS(registry_get_string(key, value, 0, text, sizeof text)))
        put_text(json, text);
    else
        fputs("null", json);
}

static void put_filter(FILE *json, const char *package_key)
{
    char instance[64], key[512], ndi[512], interfaces[512];
    ULONG type = 0, run = 0, order = 0;
    if (!NT_SUCCESS(
            registry_get_string(package_key, "NetCfgInstanceId", 0, instance, sizeof instance))) {
        fputs(",\"filter\":null", json);
        return;
    }
    snprintf(key, sizeof key, NETWORK_SERVICES "\\%s", instance);
    snprintf(ndi, sizeof ndi, "%s\\Ndi", key);
    snprintf(interfaces, sizeof interfaces, "%s\\Interfaces", ndi);
    registry_get_dword(ndi, "FilterType", &type);
    registry_get_dword(ndi, "FilterRunType", &run);
    registry_get_dword(key, "InstallOrder", &order);
    fprintf(json, ",\"filter\":{\"instanceId\":");
    put_text(json, instance);
    put_member(json, "componentId", key, "ComponentId");
    put_member(json, "class", ndi, "FilterClass");
    put_member(json, "media", interfaces, "FilterMediaTypes");
    fprintf(json, ",\"type\":\"%s\",\"runType\":\"%s\",\"order\":%u}",
            type == 2 ? "modifying" : "monitoring", run == 2 ? "optional" : "mandatory",
            (unsigned)order);
}

static void put_service(FILE *json, const char *service, const char *key)
{
    static const char *const starts[] = {"boot", "system", "automatic", "demand", "disabled"};
    char published[32] = "", inf_key[512], package[128] = "", package_key[512];
    ULONG start = 4;
    registry_get_string(key, "Owners", 0, published, sizeof published);
    snprintf(inf_key, sizeof inf_key, DRIVER_INFS "\\%s", published);
    registry_get_string(inf_key, "", 0, package, sizeof package);
    snprintf(package_key, sizeof package_key, DRIVER_PACKAGES "\\%s", package);
    registry_get_dword(key, "Start", &start);
    fputs("{\"service\":", json);
    put_text(json, service);
    put_member(json, "displayName", key, "DisplayName");
    put_member(json, "inf", package_key, "InfName");
    put_member(json, "published", package_key, "");
    put_member(json, "image", key, "ImagePath");
    fprintf(json, ",\"state\":\"%s\",\"start\":\"%s\"",
            control_running(service) ? "running" : "stopped", starts[start > 4 ? 4 : start]);
    put_member(json, "class", package_key, "Class");
    put_member(json, "version", package_key, "DriverVersion");
    put_member(json, "date", package_key, "DriverDate");
    put_member(json, "provider", package_key, "Provider");
    put_member(json, "kmdf", package_key, "KmdfLibraryVersion");
    fputs(",\"package\":", json);
    put_text(json, package);
    put_filter(json, package_key);
    fputs("}", json);
}

NTSTATUS setup_list(const char *service, FILE *json)
{
    char name[256], key[512], owner[32];
    bool found = false;
    setup_lock();
    fputc('[', json);
    for (unsigned i = 0; NT_SUCCESS(registry_enum_key(REGISTRY_SERVICES, i, name, sizeof name));
         i++) {
        snprintf(key, sizeof key, REGISTRY_SERVICES "\\%.255s", name);
        if ((service && !text_same(service, name)) ||
            !NT_SUCCESS(registry_get_string(key, "Owners", 0, owner, sizeof owner)))
            continue;
        if (found)
            fputc(',', json);
        put_service(json, name, key);
        found = true;
    }
    fputs("]\n", json);
    setup_unlock();
    return found || !service ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}
