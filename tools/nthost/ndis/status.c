/*
 * Status indications, from the miniport or a filter upwards. WDK: NdisFIndicateStatus,
 * FilterStatus, NDIS_STATUS_INDICATION, NDIS_STATUS_LINK_STATE,
 * NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG.
 */
#include "stack.h"
#include <string.h>

/* To the first module of the view at or above `place` with a handler, else to the protocol. */
static void indicate(struct ndis_adapter *adapter, const struct module_view *view, unsigned place,
                     PNDIS_STATUS_INDICATION status)
{
    for (unsigned i = place; i < view->count; i++) {
        struct ndis_module *module = view->modules[i];
        if (!module->driver->handlers.StatusHandler)
            continue;
        struct vf_call call =
            vf_call_begin_of("FilterStatus", module->driver->handlers.StatusHandler);
        module->driver->handlers.StatusHandler(module->context, status);
        vf_call_end(&call);
        return;
    }
    if (adapter->upper_ops->status)
        adapter->upper_ops->status(adapter->upper_context, status);
}

void status_from_lower(struct ndis_adapter *adapter, NDIS_STATUS code, PVOID buffer, ULONG bytes)
{
    NDIS_STATUS_INDICATION status = {
        .Header = {NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1,
                   NDIS_SIZEOF_STATUS_INDICATION_REVISION_1},
        .SourceHandle = &adapter->lower_node,
        .StatusCode = code,
        .StatusBuffer = buffer,
        .StatusBufferSize = bytes,
    };
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    sched_point();
    indicate(adapter, view, 0, &status);
    stack_unview(adapter, line);
}

void status_link(struct ndis_adapter *adapter)
{
    NDIS_LINK_STATE link = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_LINK_STATE_REVISION_1,
                   NDIS_SIZEOF_LINK_STATE_REVISION_1},
        .MediaConnectState =
            adapter->connected ? MediaConnectStateConnected : MediaConnectStateDisconnected,
        .MediaDuplexState = adapter->connected ? MediaDuplexStateFull : MediaDuplexStateUnknown,
        .XmitLinkSpeed = adapter->connected ? adapter->config.link_speed : NDIS_LINK_SPEED_UNKNOWN,
        .RcvLinkSpeed = adapter->connected ? adapter->config.link_speed : NDIS_LINK_SPEED_UNKNOWN,
        .PauseFunctions = NdisPauseFunctionsUnsupported,
    };
    status_from_lower(adapter, NDIS_STATUS_LINK_STATE, &link, sizeof(link));
}

static void check_status(const struct ndis_module *module, const NDIS_STATUS_INDICATION *status)
{
    const NDIS_OBJECT_HEADER *header = &status->Header;
    if (header->Type != NDIS_OBJECT_TYPE_STATUS_INDICATION ||
        header->Revision < NDIS_STATUS_INDICATION_REVISION_1 ||
        header->Size < NDIS_SIZEOF_STATUS_INDICATION_REVISION_1)
        vf_violation(VfStatusMalformed,
                     "NdisFIndicateStatus by %s: header type 0x%x, revision %u, size %u",
                     module->node.name, header->Type, header->Revision, header->Size);
    if (!status->SourceHandle)
        vf_violation(VfStatusMalformed, "NdisFIndicateStatus by %s: no SourceHandle",
                     module->node.name);
    if (status->StatusBufferSize && !status->StatusBuffer)
        vf_violation(VfStatusMalformed, "NdisFIndicateStatus by %s: %u bytes at NULL",
                     module->node.name, status->StatusBufferSize);
    ULONG needed = status->StatusCode == NDIS_STATUS_LINK_STATE ? NDIS_SIZEOF_LINK_STATE_REVISION_1
                   : status->StatusCode == NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG
                       ? NDIS_SIZEOF_NDIS_OFFLOAD_REVISION_1
                       : 0;
    if (status->StatusBufferSize < needed)
        vf_violation(VfStatusMalformed,
                     "NdisFIndicateStatus by %s: status 0x%x with a buffer of %u bytes",
                     module->node.name, status->StatusCode, status->StatusBufferSize);
    if (module->state == ModuleDetached || module->state == ModuleAttaching)
        vf_violation(VfFilterState, "NdisFIndicateStatus by %s, and it is %s", module->node.name,
                     module_state_name(module->state));
}

VOID NTAPI NdisFIndicateStatus(NDIS_HANDLE NdisFilterHandle,
                               PNDIS_STATUS_INDICATION StatusIndication)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    if (vf_enabled)
        check_status(module, StatusIndication);
    struct ndis_adapter *adapter = module->node.adapter;
    unsigned line;
    const struct module_view *view = stack_view(adapter, &line);
    unsigned place = view_place(view, module);
    if (place < view->count)
        indicate(adapter, view, place + 1, StatusIndication);
    stack_unview(adapter, line);
}
NT_EXPORT(NDIS, NdisFIndicateStatus);
