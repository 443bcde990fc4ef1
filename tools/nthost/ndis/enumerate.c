/*
 * NdisEnumerateFilterModules: the modules of a stack, the topmost first. The strings lie behind the
 * array.
 */
#include "stack.h"
#include <string.h>

static size_t name_length(const struct ndis_module *module)
{
    size_t n = 0;
    while (module->name[n])
        n++;
    return n;
}

static ULONG string_bytes(const struct ndis_module *module)
{
    return (ULONG)((strlen(module->install.filter_class) + name_length(module)) * sizeof(WCHAR));
}

static void put_string(NDIS_STRING *string, const WCHAR *text, size_t characters, WCHAR **next)
{
    memcpy(*next, text, characters * sizeof(WCHAR));
    string->Buffer = *next;
    string->Length = string->MaximumLength = (USHORT)(characters * sizeof(WCHAR));
    *next += characters;
}

static void describe(struct ndis_module *module, PNDIS_FILTER_INTERFACE to, WCHAR **next)
{
    const NDIS_FILTER_PARTIAL_CHARACTERISTICS *handlers = &module->partial;
    WCHAR filter_class[sizeof(module->install.filter_class)];
    size_t n = strlen(module->install.filter_class);
    for (size_t i = 0; i < n; i++)
        filter_class[i] = (WCHAR)module->install.filter_class[i];
    memset(to, 0, sizeof(*to));
    to->Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    to->Header.Revision = NDIS_FILTER_INTERFACE_REVISION_1;
    to->Header.Size = NDIS_SIZEOF_FILTER_INTERFACE_REVISION_1;
    to->Flags = NDIS_FILTER_INTERFACE_LW_FILTER;
    if (!handlers->SendNetBufferListsHandler)
        to->Flags |= NDIS_FILTER_INTERFACE_SEND_BYPASS;
    if (!handlers->ReceiveNetBufferListsHandler)
        to->Flags |= NDIS_FILTER_INTERFACE_RECEIVE_BYPASS;
    to->FilterType = module->install.type;
    to->FilterRunType = module->install.run_type;
    to->IfIndex = module->if_index;
    to->NetLuid = module->luid;
    put_string(&to->FilterClass, filter_class, n, next);
    put_string(&to->FilterInstanceName, module->name, name_length(module), next);
}

static NDIS_STATUS enumerate(const struct module_view *view, PNDIS_ENUM_FILTERS to, ULONG room,
                             PULONG needed, PULONG written)
{
    ULONG array = FIELD_OFFSET(NDIS_ENUM_FILTERS, Filter) +
                  (ULONG)(view->count * sizeof(NDIS_FILTER_INTERFACE));
    *written = 0;
    *needed = array;
    for (unsigned i = 0; i < view->count; i++)
        *needed += string_bytes(view->modules[i]);
    if (*needed < sizeof(*to))
        *needed = sizeof(*to);
    if (room < *needed)
        return NDIS_STATUS_BUFFER_TOO_SHORT;
    memset(to, 0, *needed);
    to->Header.Type = NDIS_OBJECT_TYPE_DEFAULT;
    to->Header.Revision = NDIS_ENUM_FILTERS_REVISION_1;
    to->Header.Size = NDIS_SIZEOF_ENUM_FILTERS_REVISION_1;
    to->NumberOfFilters = view->count;
    to->OffsetFirstFilter = FIELD_OFFSET(NDIS_ENUM_FILTERS, Filter);
    WCHAR *next = (WCHAR *)((char *)to + array);
    PNDIS_FILTER_INTERFACE filters = to->Filter;
    for (unsigned i = 0; i < view->count; i++)
        describe(view->modules[view->count - 1 - i], &filters[i], &next);
    *written = *needed;
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisEnumerateFilterModules(NDIS_HANDLE NdisHandle, PVOID InterfaceBuffer,
                                             ULONG InterfaceBufferLength, PULONG BytesNeeded,
                                             PULONG BytesWritten)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    struct ndis_module *module = NdisHandle;
    *BytesNeeded = *BytesWritten = 0;
    if (!module || module->magic != MODULE_MAGIC)
        return NDIS_STATUS_INVALID_PARAMETER;
    unsigned line;
    const struct module_view *view = stack_view(module->node.adapter, &line);
    NDIS_STATUS status =
        enumerate(view, InterfaceBuffer, InterfaceBufferLength, BytesNeeded, BytesWritten);
    stack_unview(module->node.adapter, line);
    return status;
}
NT_EXPORT(NDIS, NdisEnumerateFilterModules);
