/*
 * A whole stack: who calls whom, pausing, restarting, and which modules stand in it.
 *
 * WDK: "Starting a Driver Stack", "Pausing a Driver Stack", "Restarting a Driver Stack", "Modifying
 * a Running Driver Stack", "Data Bypass Mode". Everything here runs under the PnP lock.
 *
 * A pause goes from the top down; each layer is quiet before the next is asked. While it is under
 * way the layers below still run: a filter that is pausing or paused may well see receives, which
 * it returns or passes on, as on Windows. Only when the miniport has stopped and all is home, and
 * no call of an edge is under way any more, are links changed and modules detached.
 */
#include "stack.h"
#include <stdlib.h>
#include <string.h>

/* Links: from the upper edge down and from the lower edge up, each node knows the next that has the
 * handler. Walked once for each of the five kinds of call. */

void stack_link(struct ndis_adapter *adapter)
{
    struct link_send send = {ndis_bottom_send, adapter, &adapter->lower_node};
    struct link_return give_back = {ndis_bottom_return, adapter, &adapter->lower_node};
    struct link_cancel cancel = {ndis_bottom_cancel, adapter, &adapter->lower_node};
    for (unsigned i = 0; i < adapter->module_count; i++) {
        struct ndis_module *m = adapter->modules[i];
        m->links.send = send;
        m->links.give_back = give_back;
        m->links.cancel = cancel;
        const NDIS_FILTER_PARTIAL_CHARACTERISTICS *p = &m->partial;
        if (p->SendNetBufferListsHandler)
            send = (struct link_send){p->SendNetBufferListsHandler, m->context, &m->node};
        if (p->ReturnNetBufferListsHandler)
            give_back = (struct link_return){p->ReturnNetBufferListsHandler, m->context, &m->node};
        if (p->CancelSendNetBufferListsHandler)
            cancel = (struct link_cancel){p->CancelSendNetBufferListsHandler, m->context, &m->node};
    }
    adapter->upper.send = send;
    adapter->upper.give_back = give_back;
    adapter->upper.cancel = cancel;

    struct link_receive receive = {ndis_top_receive, adapter, &adapter->upper_node};
    struct link_send_complete complete = {ndis_top_send_complete, adapter, &adapter->upper_node};
    for (unsigned i = adapter->module_count; i-- > 0;) {
        struct ndis_module *m = adapter->modules[i];
        m->links.receive = receive;
        m->links.send_complete = complete;
        const NDIS_FILTER_PARTIAL_CHARACTERISTICS *p = &m->partial;
        if (p->ReceiveNetBufferListsHandler)
            receive = (struct link_receive){p->ReceiveNetBufferListsHandler, m->context, &m->node};
        if (p->SendNetBufferListsCompleteHandler)
            complete = (struct link_send_complete){p->SendNetBufferListsCompleteHandler, m->context,
                                                   &m->node};
    }
    adapter->lower.receive = receive;
    adapter->lower.send_complete = complete;
}

void stack_pause(struct ndis_adapter *adapter, ULONG reason)
{
    if (adapter->state != AdapterRunning)
        return;
    NDIS_PROTOCOL_PAUSE_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_DEFAULT, NDIS_PROTOCOL_PAUSE_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_PROTOCOL_PAUSE_PARAMETERS_REVISION_1},
        .PauseReason = reason,
    };
    pnp_event_up(adapter, NetEventPause, &parameters, sizeof(parameters));
    __atomic_store_n(&adapter->upper_open, false, __ATOMIC_RELAXED);
    rundown_close(&adapter->sends);
    if (adapter->upper_ops->pause)
        adapter->upper_ops->pause(adapter->upper_context);
    for (unsigned i = adapter->module_count; i-- > 0;)
        if (adapter->modules[i]->state == ModuleRunning)
            module_pause(adapter->modules[i], reason);
    adapter->lower_ops->pause(adapter->lower_context);
    rundown_close(&adapter->receives);
    rundown_wait(&adapter->calls);
    adapter->state = AdapterPaused;
}

unsigned view_place(const struct module_view *view, const struct ndis_module *module)
{
    unsigned place = 0;
    while (place < view->count && view->modules[place] != module)
        place++;
    return place;
}

void stack_publish(struct ndis_adapter *adapter)
{
    struct module_view *view = calloc(1, sizeof(*view));
    if (!view)
        abort();
    view->count = adapter->module_count;
    memcpy(view->modules, adapter->modules, view->count * sizeof(view->modules[0]));
    struct module_view *old = __atomic_exchange_n(&adapter->view, view, __ATOMIC_SEQ_CST);
    rundown_pass(&adapter->control);
    free(old);
}

/* The stack is paused. The module hears of it while it may still make OID requests; then it is
 * taken out of sight, what OID requests it has made or got come to their end, and it goes. */
static void remove_module(struct ndis_adapter *adapter, unsigned place)
{
    struct ndis_module *module = adapter->modules[place];
    pnp_event_to_module(module, NetEventFilterPreDetach);
    memmove(adapter->modules + place, adapter->modules + place + 1,
            (adapter->module_count - place - 1) * sizeof(module));
    adapter->module_count--;
    module->left_place = place;
    module->leaving = true;
    stack_publish(adapter);
    rundown_wait(&module->node.oids.requests);
    module_detach(module);
}

/* A mandatory filter is missing: the adapter is of no use without it. */
static void terminate(struct ndis_adapter *adapter)
{
    adapter->failed = true;
    while (adapter->module_count)
        remove_module(adapter, adapter->module_count - 1);
    adapter->state = AdapterHalted;
}

static const NDIS_RESTART_GENERAL_ATTRIBUTES *general(PNDIS_RESTART_ATTRIBUTES attributes)
{
    for (; attributes; attributes = attributes->Next)
        if (attributes->Oid == OID_GEN_MINIPORT_RESTART_ATTRIBUTES)
            return (const NDIS_RESTART_GENERAL_ATTRIBUTES *)attributes->Data;
    return NULL;
}

/* Restarts the modules bottom up. Returns the place of one that failed, or module_count. */
static unsigned restart_modules(struct ndis_adapter *adapter, PNDIS_RESTART_ATTRIBUTES *attributes)
{
    for (unsigned i = 0; i < adapter->module_count; i++)
        if (module_restart(adapter->modules[i], attributes) != NDIS_STATUS_SUCCESS)
            return i;
    return adapter->module_count;
}

void stack_restart(struct ndis_adapter *adapter)
{
    if (adapter->state != AdapterPaused || adapter->power != NdisDeviceStateD0)
        return;
    for (;;) {
        for (unsigned i = 0; i < adapter->module_count; i++)
            module_set_options(adapter->modules[i]);
        stack_link(adapter);
        rundown_open(&adapter->receives);
        adapter->lower_ops->restart(adapter->lower_context);
        PNDIS_RESTART_ATTRIBUTES attributes = miniport_restart_attributes(adapter);
        unsigned bad = restart_modules(adapter, &attributes);
        if (bad == adapter->module_count) {
            NDIS_PROTOCOL_RESTART_PARAMETERS parameters = {
                .Header = {NDIS_OBJECT_TYPE_PROTOCOL_RESTART_PARAMETERS, 1,
                           NDIS_SIZEOF_PROTOCOL_RESTART_PARAMETERS_REVISION_1},
                .RestartAttributes = attributes,
                .BoundIfIndex = adapter->if_index,
                .BoundIfNetluid = adapter->luid,
            };
            adapter->state = AdapterRunning;
            rundown_open(&adapter->sends);
            __atomic_store_n(&adapter->upper_open, true, __ATOMIC_RELAXED);
            if (adapter->upper_ops->restart)
                adapter->upper_ops->restart(adapter->upper_context, general(attributes));
            pnp_event_up(adapter, NetEventRestart, &parameters, sizeof(parameters));
            restart_attributes_free(attributes);
            return;
        }
        /* Back down: what runs pauses again, the one that failed goes. */
        restart_attributes_free(attributes);
        for (unsigned i = bad; i-- > 0;)
            module_pause(adapter->modules[i], NDIS_PAUSE_DETACH_FILTER);
        adapter->lower_ops->pause(adapter->lower_context);
        rundown_close(&adapter->receives);
        rundown_wait(&adapter->calls);
        bool mandatory = adapter->modules[bad]->install.run_type == FILTER_RUN_MANDATORY;
        remove_module(adapter, bad);
        if (mandatory) {
            terminate(adapter);
            return;
        }
    }
}

static unsigned place_of(const struct ndis_adapter *adapter, const struct filter_install *install)
{
    int rank = filter_class_rank(install->filter_class);
    unsigned place = 0;
    while (place < adapter->module_count) {
        const struct filter_install *other = &adapter->modules[place]->install;
        int other_rank = filter_class_rank(other->filter_class);
        if (other_rank > rank || (other_rank == rank && other->order > install->order))
            break;
        place++;
    }
    return place;
}

static struct ndis_module *find_module(const struct ndis_adapter *adapter,
                                       const struct ndis_driver *driver)
{
    for (unsigned i = 0; i < adapter->module_count; i++)
        if (adapter->modules[i]->driver == driver)
            return adapter->modules[i];
    return NULL;
}

/* The install record of a driver that ought to have a module on the adapter and has none. */
static const struct filter_install *missing(const struct ndis_adapter *adapter,
                                            const struct ndis_driver *driver)
{
    const struct filter_install *install = filters_find(driver->service);
    if (!driver->ready || !install || !stack_wants(adapter, install) ||
        find_module(adapter, driver) || adapter->module_count == MAX_MODULES)
        return NULL;
    return install;
}

static bool superfluous(const struct ndis_adapter *adapter, const struct ndis_module *module)
{
    const struct filter_install *install = filters_find(module->driver->service);
    return !module->driver->ready || !install || !stack_wants(adapter, install);
}

static void attach_missing(struct ndis_adapter *adapter)
{
    for (LIST_ENTRY *e = ndis_drivers.Flink; e != &ndis_drivers; e = e->Flink) {
        struct ndis_driver *driver = CONTAINING_RECORD(e, struct ndis_driver, link);
        const struct filter_install *install = missing(adapter, driver);
        if (!install)
            continue;
        unsigned place = place_of(adapter, install);
        NDIS_STATUS status;
        struct ndis_module *module = module_attach(adapter, driver, install, place, &status);
        if (module) {
            memmove(adapter->modules + place + 1, adapter->modules + place,
                    (adapter->module_count - place) * sizeof(module));
            adapter->modules[place] = module;
            adapter->module_count++;
            stack_publish(adapter);
        } else if (install->run_type == FILTER_RUN_MANDATORY) {
            terminate(adapter);
            return;
        }
    }
}

void stack_rebind(struct ndis_adapter *adapter)
{
    if (!adapter->started || adapter->failed)
        return;
    bool attach = false, detach = false;
    for (LIST_ENTRY *e = ndis_drivers.Flink; e != &ndis_drivers; e = e->Flink)
        attach |= missing(adapter, CONTAINING_RECORD(e, struct ndis_driver, link)) != NULL;
    for (unsigned i = 0; i < adapter->module_count; i++)
        detach |= superfluous(adapter, adapter->modules[i]);
    if (!attach && !detach && adapter->state != AdapterHalted)
        return;

    stack_pause(adapter, detach ? NDIS_PAUSE_DETACH_FILTER : NDIS_PAUSE_ATTACH_FILTER);
    if (adapter->state == AdapterHalted)
        adapter->state = AdapterPaused;
    for (unsigned i = adapter->module_count; i-- > 0;)
        if (superfluous(adapter, adapter->modules[i]))
            remove_module(adapter, i);
    attach_missing(adapter);
    if (adapter->failed)
        return;
    pnp_event_down(adapter, NdisDevicePnPEventFilterListChanged);
    stack_restart(adapter);
}

void stack_halt(struct ndis_adapter *adapter)
{
    if (!adapter->started)
        return;
    adapter->started = false;
    NET_PNP_EVENT_CODE leaving = NetEventQueryRemoveDevice;
    if (adapter->state == AdapterRunning)
        pnp_event_up(adapter, leaving, NULL, 0);
    stack_pause(adapter, NDIS_PAUSE_MINIPORT_DEVICE_REMOVE);
    while (adapter->module_count)
        remove_module(adapter, adapter->module_count - 1);
    stack_link(adapter);
    adapter->state = AdapterHalted;
}

void stack_detach_driver(struct ndis_driver *driver)
{
    driver->ready = false;
    filters_rebind_all();
}
