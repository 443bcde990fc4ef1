/*
 * PnP events: of the network, up through the filters to the protocol; of the device, down to the
 * miniport. WDK: FilterNetPnPEvent, NdisFNetPnPEvent, NET_PNP_EVENT, FilterDevicePnPEventNotify,
 * NdisFDevicePnPEventNotify, "Filter Module PnP Event Notifications".
 */
#include "stack.h"
#include <string.h>

static NDIS_STATUS event_up(struct ndis_adapter *adapter, unsigned place,
                            PNET_PNP_EVENT_NOTIFICATION event)
{
    for (unsigned i = place; i < adapter->module_count; i++) {
        struct ndis_module *module = adapter->modules[i];
        if (!module->driver->handlers.NetPnPEventHandler)
            continue;
        struct vf_call call =
            vf_call_begin_of("FilterNetPnPEvent", module->driver->handlers.NetPnPEventHandler);
        NDIS_STATUS status = module->driver->handlers.NetPnPEventHandler(module->context, event);
        vf_call_end(&call);
        return status;
    }
    if (adapter->upper_ops->pnp_event)
        return adapter->upper_ops->pnp_event(adapter->upper_context, event);
    return NDIS_STATUS_SUCCESS;
}

static unsigned place_of(const struct ndis_module *module)
{
    const struct ndis_adapter *adapter = module->node.adapter;
    unsigned i = 0;
    while (i < adapter->module_count && adapter->modules[i] != module)
        i++;
    return i;
}

static NET_PNP_EVENT_NOTIFICATION make_event(NET_PNP_EVENT_CODE code, PVOID buffer, ULONG bytes)
{
    NET_PNP_EVENT_NOTIFICATION event = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_PNP_EVENT_NOTIFICATION_REVISION_2,
                   NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_2},
    };
    event.NetPnPEvent.NetEvent = code;
    event.NetPnPEvent.Buffer = buffer;
    event.NetPnPEvent.BufferLength = bytes;
    return event;
}

NDIS_STATUS pnp_event_up(struct ndis_adapter *adapter, NET_PNP_EVENT_CODE code, PVOID buffer,
                         ULONG bytes)
{
    NET_PNP_EVENT_NOTIFICATION event = make_event(code, buffer, bytes);
    return event_up(adapter, 0, &event);
}

void pnp_event_to_module(struct ndis_module *module, NET_PNP_EVENT_CODE code)
{
    if (!module->driver->handlers.NetPnPEventHandler)
        return;
    NET_PNP_EVENT_NOTIFICATION event = make_event(code, NULL, 0);
    struct vf_call call =
        vf_call_begin_of("FilterNetPnPEvent", module->driver->handlers.NetPnPEventHandler);
    module->driver->handlers.NetPnPEventHandler(module->context, &event);
    vf_call_end(&call);
}

NDIS_STATUS NTAPI NdisFNetPnPEvent(NDIS_HANDLE NdisFilterHandle,
                                   PNET_PNP_EVENT_NOTIFICATION NetPnPEventNotification)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    /* Of a detaching module's own event nobody above is told. */
    if (NetPnPEventNotification->NetPnPEvent.NetEvent == NetEventFilterPreDetach)
        return NDIS_STATUS_SUCCESS;
    return event_up(module->node.adapter, place_of(module) + 1, NetPnPEventNotification);
}
NT_EXPORT(NDIS, NdisFNetPnPEvent);

NDIS_STATUS ndis_net_pnp_event(struct ndis_adapter *adapter, PNET_PNP_EVENT_NOTIFICATION event)
{
    nt_enter();
    ndis_pnp_lock();
    NDIS_STATUS status = event_up(adapter, 0, event);
    ndis_pnp_unlock();
    nt_leave();
    return status;
}

/* Device events */

static void event_down(struct ndis_adapter *adapter, unsigned above, PNET_DEVICE_PNP_EVENT event)
{
    for (unsigned i = above; i-- > 0;) {
        struct ndis_module *module = adapter->modules[i];
        if (!module->driver->handlers.DevicePnPEventNotifyHandler)
            continue;
        struct vf_call call = vf_call_begin_of(
            "FilterDevicePnPEventNotify", module->driver->handlers.DevicePnPEventNotifyHandler);
        module->driver->handlers.DevicePnPEventNotifyHandler(module->context, event);
        vf_call_end(&call);
        return;
    }
    /* The edges have no use for them. */
}

void pnp_event_down(struct ndis_adapter *adapter, NDIS_DEVICE_PNP_EVENT code)
{
    NET_DEVICE_PNP_EVENT event = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NET_DEVICE_PNP_EVENT_REVISION_1,
                   NDIS_SIZEOF_NET_DEVICE_PNP_EVENT_REVISION_1},
        .DevicePnPEvent = code,
    };
    event_down(adapter, adapter->module_count, &event);
}

VOID NTAPI NdisFDevicePnPEventNotify(NDIS_HANDLE NdisFilterHandle,
                                     PNET_DEVICE_PNP_EVENT NetDevicePnPEvent)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    event_down(module->node.adapter, place_of(module), NetDevicePnPEvent);
}
NT_EXPORT(NDIS, NdisFDevicePnPEventNotify);

void ndis_device_pnp_event(struct ndis_adapter *adapter, PNET_DEVICE_PNP_EVENT event)
{
    nt_enter();
    ndis_pnp_lock();
    event_down(adapter, adapter->module_count, event);
    ndis_pnp_unlock();
    nt_leave();
}
