/*
 * Instance definitions: what setup wrote into the registry.
 *
 *     Services\X\Parameters\Instances   (Windows 11 24H2), or Services\X\Instances
 *         DefaultInstance               REG_SZ, the name of one of the keys below
 *         <instance>\Altitude           REG_SZ
 *         <instance>\Flags              REG_DWORD: 1 no automatic, 2 no manual attachments
 *
 * WDK: "Creating an INF File for a Minifilter Driver", "Specifying Instance Definitions".
 */
#include "flt.h"
#include <nthost/io.h>
#include <nthost/registry.h>
#include <nthost/utf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEFINITIONS 64

static NTSTATUS from_utf8(UNICODE_STRING *to, const char *text)
{
    unsigned chars;
    WCHAR *wide = utf16_from_utf8(text, strlen(text), &chars);
    if (wide == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    *to = (UNICODE_STRING){(USHORT)(chars * sizeof(WCHAR)), (USHORT)(chars * sizeof(WCHAR)), wide};
    return STATUS_SUCCESS;
}

static NTSTATUS read_one(const char *key, const char *name, struct flt_instance_definition *out)
{
    char path[640], altitude[128];
    snprintf(path, sizeof(path), "%s\\%s", key, name);
    NTSTATUS status = registry_get_string(path, "Altitude", 0, altitude, sizeof(altitude));
    if (!NT_SUCCESS(status))
        return status;
    if (!NT_SUCCESS(registry_get_dword(path, "Flags", &out->flags)))
        out->flags = 0;
    status = from_utf8(&out->name, name);
    if (NT_SUCCESS(status))
        status = from_utf8(&out->altitude, altitude);
    if (NT_SUCCESS(status) && !flt_is_altitude(&out->altitude))
        status = STATUS_INVALID_PARAMETER;
    return status;
}

void flt_free_definitions(PFLT_FILTER filter)
{
    for (unsigned i = 0; i < filter->definition_count; i++) {
        flt_free_name(&filter->definitions[i].name);
        flt_free_name(&filter->definitions[i].altitude);
    }
    free(filter->definitions);
    filter->definitions = NULL;
    filter->definition_count = 0;
}

static NTSTATUS read_all(PFLT_FILTER filter, const char *key, const char *first)
{
    char name[FLT_MAX_NAME];
    bool found = false;
    filter->definitions = calloc(MAX_DEFINITIONS, sizeof(*filter->definitions));
    if (filter->definitions == NULL)
        return STATUS_INSUFFICIENT_RESOURCES;
    for (unsigned i = 0; filter->definition_count < MAX_DEFINITIONS &&
                         NT_SUCCESS(registry_enum_key(key, i, name, sizeof(name)));
         i++) {
        unsigned n = filter->definition_count++;
        NTSTATUS status = read_one(key, name, &filter->definitions[n]);
        if (!NT_SUCCESS(status))
            return status;
        if (strcmp(name, first) == 0) {
            filter->default_definition = n;
            found = true;
        }
    }
    return found ? STATUS_SUCCESS : STATUS_OBJECT_NAME_NOT_FOUND;
}

NTSTATUS flt_read_definitions(PFLT_FILTER filter)
{
    static const char *const places[] = {"Parameters\\Instances", "Instances"};
    const char *service = io_driver_service(filter->driver);
    char key[512], first[FLT_MAX_NAME];
    for (unsigned i = 0; i < ARRAYSIZE(places); i++) {
        snprintf(key, sizeof(key), REGISTRY_SERVICES "\\%s\\%s", service, places[i]);
        if (!NT_SUCCESS(registry_get_string(key, "DefaultInstance", 0, first, sizeof(first))))
            continue;
        NTSTATUS status = read_all(filter, key, first);
        if (!NT_SUCCESS(status))
            flt_free_definitions(filter);
        return status;
    }
    return STATUS_OBJECT_NAME_NOT_FOUND;
}

const struct flt_instance_definition *flt_definition(PFLT_FILTER filter, PCUNICODE_STRING name)
{
    if (name == NULL || name->Length == 0)
        return &filter->definitions[filter->default_definition];
    for (unsigned i = 0; i < filter->definition_count; i++)
        if (flt_same_name(&filter->definitions[i].name, name))
            return &filter->definitions[i];
    return NULL;
}
