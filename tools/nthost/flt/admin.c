/* What fltmc does: attaching, detaching and unloading by names. */
#include "flt.h"
#include <nthost/utf.h>
#include <stdlib.h>
#include <string.h>

struct names {
    PFLT_FILTER filter;
    PFLT_VOLUME volume;
};

static UNICODE_STRING widen(const char *text)
{
    unsigned chars = 0;
    WCHAR *wide = text ? utf16_from_utf8(text, strlen(text), &chars) : NULL;
    return (UNICODE_STRING){(USHORT)(chars * sizeof(WCHAR)), (USHORT)(chars * sizeof(WCHAR)), wide};
}

static NTSTATUS find(const char *filter, const char *volume, struct names *out)
{
    UNICODE_STRING name = widen(filter);
    NTSTATUS status = FltGetFilterFromName(&name, &out->filter);
    free(name.Buffer);
    if (!NT_SUCCESS(status))
        return status;
    name = widen(volume);
    status = FltGetVolumeFromName(out->filter, &name, &out->volume);
    free(name.Buffer);
    if (!NT_SUCCESS(status))
        FltObjectDereference(out->filter);
    return status;
}

static void forget(struct names *names)
{
    FltObjectDereference(names->volume);
    FltObjectDereference(names->filter);
}

NTSTATUS flt_attach(const char *filter, const char *volume, const char *instance,
                    const char *altitude)
{
    struct names names;
    NTSTATUS status = find(filter, volume, &names);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING name = widen(instance), at = widen(altitude);
    status = altitude ? FltAttachVolumeAtAltitude(names.filter, names.volume, &at,
                                                  instance ? &name : NULL, NULL)
                      : FltAttachVolume(names.filter, names.volume, instance ? &name : NULL, NULL);
    free(name.Buffer);
    free(at.Buffer);
    forget(&names);
    return status;
}

NTSTATUS flt_detach(const char *filter, const char *volume, const char *instance)
{
    struct names names;
    NTSTATUS status = find(filter, volume, &names);
    if (!NT_SUCCESS(status))
        return status;
    UNICODE_STRING name = widen(instance);
    status = FltDetachVolume(names.filter, names.volume, instance ? &name : NULL);
    free(name.Buffer);
    forget(&names);
    return status;
}

NTSTATUS flt_unload(const char *filter)
{
    UNICODE_STRING name = widen(filter);
    NTSTATUS status = FltUnloadFilter(&name);
    free(name.Buffer);
    return status;
}
