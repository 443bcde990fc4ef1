/*
 * Adapters: made by an edge, started, stopped, powered down and up. See edge.h.
 */
#include "pool.h"
#include "stack.h"
#include "verify.h"
#include <stdlib.h>
#include <string.h>

static void widen(WCHAR *to, size_t room, const char *text)
{
    size_t i = 0;
    for (; text[i] && i + 1 < room; i++)
        to[i] = (WCHAR)(unsigned char)text[i];
    to[i] = 0;
}

static void node_init(struct ndis_node *node, struct ndis_adapter *adapter, const char *what)
{
    node->adapter = adapter;
    snprintf(node->name, sizeof(node->name), "%s of %s", what, adapter->name);
    oid_target_init(&node->oids);
}

static void set_names(struct ndis_adapter *adapter)
{
    static atomic_uint next_index = 2;
    const UCHAR *m = adapter->mac;
    char text[80];
    snprintf(text, sizeof(text), "{4E545300-4E44-4953-8000-%02X%02X%02X%02X%02X%02X}", m[0], m[1],
             m[2], m[3], m[4], m[5]);
    widen(adapter->guid, ARRAYSIZE(adapter->guid), text);
    char device[96];
    snprintf(device, sizeof(device), "\\DEVICE\\%s", text);
    widen(adapter->device_name, ARRAYSIZE(adapter->device_name), device);
    snprintf(text, sizeof(text), "nthost Ethernet Adapter %.40s", adapter->name);
    widen(adapter->instance_name, ARRAYSIZE(adapter->instance_name), text);
    adapter->if_index = atomic_fetch_add(&next_index, 1);
    adapter->luid.Value = 0;
    adapter->luid.Info.IfType = IF_TYPE_ETHERNET_CSMACD;
    adapter->luid.Info.NetLuidIndex = adapter->if_index;
}

struct ndis_adapter *ndis_adapter_create(const struct ndis_adapter_config *config,
                                         const struct ndis_lower_ops *lower, void *lower_context,
                                         const struct ndis_upper_ops *upper, void *upper_context)
{
    struct ndis_adapter *adapter = aligned_alloc(64, (sizeof(*adapter) + 63) & ~63ul);
    if (!adapter)
        return NULL;
    memset(adapter, 0, sizeof(*adapter));
    adapter->lower_ops = lower;
    adapter->lower_context = lower_context;
    adapter->upper_ops = upper;
    adapter->upper_context = upper_context;
    adapter->config = *config;
    snprintf(adapter->name, sizeof(adapter->name), "%s", config->name);
    snprintf(adapter->bindings, sizeof(adapter->bindings), "%s",
             config->bindings ? config->bindings : "");
    adapter->config.name = adapter->name;
    adapter->config.bindings = adapter->bindings;
    memcpy(adapter->mac, config->mac, sizeof(adapter->mac));
    adapter->mtu = config->mtu;
    adapter->connected = config->connected;
    adapter->power = NdisDeviceStateD0;
    adapter->hardware = adapter->current = config->offload;
    set_names(adapter);
    classkey_create(adapter);
    rundown_init(&adapter->sends);
    rundown_init(&adapter->receives);
    rundown_init(&adapter->calls);
    rundown_init(&adapter->control);
    node_init(&adapter->upper_node, adapter, "the protocol");
    node_init(&adapter->lower_node, adapter, "the miniport");
    miniport_init(adapter);
    NET_BUFFER_LIST_POOL_PARAMETERS pool = {.fAllocateNetBuffer = TRUE, .PoolTag = NDIS_POOL_TAG};
    adapter->loopback_pool = pool_create_list(&pool);
    nt_enter();
    ndis_pnp_lock();
    stack_publish(adapter);
    stack_link(adapter);
    ExInterlockedInsertTailList(&ndis_adapters, &adapter->link, &ndis_lock);
    ndis_pnp_unlock();
    nt_leave();
    return adapter;
}

void ndis_adapter_start(struct ndis_adapter *adapter)
{
    nt_enter();
    ndis_pnp_lock();
    adapter->started = true;
    adapter->failed = false;
    stack_rebind(adapter);
    ndis_pnp_unlock();
    nt_leave();
}

void ndis_adapter_stop(struct ndis_adapter *adapter)
{
    nt_enter();
    ndis_pnp_lock();
    stack_halt(adapter);
    ndis_pnp_unlock();
    nt_leave();
}

void ndis_adapter_destroy(struct ndis_adapter *adapter)
{
    ndis_adapter_stop(adapter);
    classkey_remove(adapter);
    nt_enter();
    ndis_pnp_lock();
    KIRQL irql;
    KeAcquireSpinLock(&ndis_lock, &irql);
    RemoveEntryList(&adapter->link);
    KeReleaseSpinLock(&ndis_lock, irql);
    ndis_pnp_unlock();
    nt_leave();
    /* Who gave back the last reference may still be at the end of rundown_drop(). */
    for (unsigned i = 0; i < sched_processors(); i++) {
        nt_enter_dispatch(i);
        nt_leave_dispatch();
    }
    pool_destroy(adapter->loopback_pool);
    free(adapter->view);
    free(adapter);
}

void ndis_adapter_pause(struct ndis_adapter *adapter)
{
    nt_enter();
    ndis_pnp_lock();
    stack_pause(adapter, NDIS_PAUSE_NDIS_INTERNAL);
    ndis_pnp_unlock();
    nt_leave();
}

void ndis_adapter_restart(struct ndis_adapter *adapter)
{
    nt_enter();
    ndis_pnp_lock();
    stack_restart(adapter);
    ndis_pnp_unlock();
    nt_leave();
}

void ndis_lower_mtu(struct ndis_adapter *adapter, ULONG mtu)
{
    nt_enter();
    ndis_pnp_lock();
    if (adapter->mtu != mtu) {
        bool running = adapter->state == AdapterRunning;
        stack_pause(adapter, NDIS_PAUSE_NDIS_INTERNAL);
        adapter->mtu = mtu;
        if (running)
            stack_restart(adapter);
    }
    ndis_pnp_unlock();
    nt_leave();
}

void ndis_lower_link(struct ndis_adapter *adapter, bool connected)
{
    adapter->connected = connected;
    nt_enter();
    status_link(adapter);
    nt_leave();
}

void ndis_lower_offload(struct ndis_adapter *adapter, const NDIS_OFFLOAD *current)
{
    NDIS_OFFLOAD copy = *current;
    KIRQL irql;
    KeAcquireSpinLock(&ndis_lock, &irql);
    adapter->current = copy;
    KeReleaseSpinLock(&ndis_lock, irql);
    nt_enter();
    status_from_lower(adapter, NDIS_STATUS_TASK_OFFLOAD_CURRENT_CONFIG, &copy,
                      copy.Header.Size ? copy.Header.Size : sizeof(copy));
    nt_leave();
}

void ndis_lower_discards(struct ndis_adapter *adapter, ULONG64 received, ULONG64 sent)
{
    atomic_fetch_add(&adapter->in_discards, received);
    atomic_fetch_add(&adapter->out_discards, sent);
}

/* Power. WDK: "Handling a Set Power Request", OID_PNP_SET_POWER, NetEventSetPower. */

static void set_power_oid(struct ndis_adapter *adapter, NDIS_DEVICE_POWER_STATE state)
{
    NDIS_OID_REQUEST request = {
        .Header = {NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1,
                   NDIS_SIZEOF_OID_REQUEST_REVISION_1},
        .RequestType = NdisRequestSetInformation,
    };
    request.DATA.SET_INFORMATION.Oid = OID_PNP_SET_POWER;
    request.DATA.SET_INFORMATION.InformationBuffer = &state;
    request.DATA.SET_INFORMATION.InformationBufferLength = sizeof(state);
    ndis_upper_oid(adapter, &request);
}

void ndis_lower_power(struct ndis_adapter *adapter, bool on)
{
    NDIS_DEVICE_POWER_STATE state = on ? NdisDeviceStateD0 : NdisDeviceStateD3;
    nt_enter();
    ndis_pnp_lock();
    if (adapter->power != state) {
        if (!on) {
            pnp_event_up(adapter, NetEventSetPower, &state, sizeof(state));
            if (!adapter->config.no_pause_on_suspend)
                stack_pause(adapter, NDIS_PAUSE_LOW_POWER);
            set_power_oid(adapter, state);
            adapter->power = state;
            if (adapter->lower_ops->power)
                adapter->lower_ops->power(adapter->lower_context, false);
        } else {
            if (adapter->lower_ops->power)
                adapter->lower_ops->power(adapter->lower_context, true);
            set_power_oid(adapter, state);
            adapter->power = state;
            stack_restart(adapter);
            pnp_event_up(adapter, NetEventSetPower, &state, sizeof(state));
        }
    }
    ndis_pnp_unlock();
    nt_leave();
}
