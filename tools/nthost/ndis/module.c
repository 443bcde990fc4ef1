/*
 * Filter modules and their states.
 *
 * WDK: "Filter Module States and Operations", FilterAttach, FilterRestart, FilterPause,
 * FilterDetach, FilterSetModuleOptions.
 *
 *   Detached --attach--> Attaching --> Paused --restart--> Restarting --> Running
 *                                        ^                                   |
 *                                        +------ Pausing <------pause--------+
 *
 * The state changes on the PnP thread only, before and after it calls the driver; the data path and
 * the verifier read it.
 */
#include "stack.h"
#include "verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *module_state_name(enum module_state state)
{
    static const char *const names[] = {"detached",   "attaching", "paused",
                                        "restarting", "running",   "pausing"};
    return names[state];
}

struct ndis_module *module_of(NDIS_HANDLE handle, const char *function)
{
    struct ndis_module *module = handle;
    if (!module || module->magic != MODULE_MAGIC)
        vf_violation(VfBadParameter, "%s: %p is not the handle of a filter module", function,
                     handle);
    return module;
}

static void set_name(struct ndis_module *module)
{
    char name[128];
    char adapter[40];
    for (unsigned i = 0; i < 40; i++)
        adapter[i] = (char)module->node.adapter->guid[i];
    snprintf(name, sizeof(name), "%s-%s-0000", adapter, module->install.unique_name);
    for (unsigned i = 0; i < sizeof(name) && (i == 0 || name[i - 1]); i++)
        module->name[i] = (WCHAR)name[i];
}

static NET_IFINDEX next_index(void)
{
    static atomic_uint last = 100;
    return atomic_fetch_add(&last, 1);
}

static struct ndis_module *module_create(struct ndis_adapter *adapter, struct ndis_driver *driver,
                                         const struct filter_install *install)
{
    struct ndis_module *module = aligned_alloc(64, (sizeof(*module) + 63) & ~63ul);
    if (!module)
        return NULL;
    memset(module, 0, sizeof(*module));
    module->magic = MODULE_MAGIC;
    module->state = ModuleDetached;
    module->driver = driver;
    module->install = *install;
    module->node.adapter = adapter;
    module->node.module = module;
    const char *image = vf_owner((const void *)driver->handlers.AttachHandler);
    snprintf(module->node.name, sizeof(module->node.name), "%s on %s",
             *image ? image : install->service, adapter->name);
    oid_target_init(&module->node.oids);
    module->if_index = next_index();
    module->luid.Value = 0;
    module->luid.Info.IfType = 6; /* IF_TYPE_ETHERNET_CSMACD */
    module->luid.Info.NetLuidIndex = module->if_index;
    KeInitializeEvent(&module->done, SynchronizationEvent, FALSE);
    NDIS_FILTER_PARTIAL_CHARACTERISTICS *partial = &module->partial;
    const NDIS_FILTER_DRIVER_CHARACTERISTICS *handlers = &driver->handlers;
    partial->SendNetBufferListsHandler = handlers->SendNetBufferListsHandler;
    partial->SendNetBufferListsCompleteHandler = handlers->SendNetBufferListsCompleteHandler;
    partial->CancelSendNetBufferListsHandler = handlers->CancelSendNetBufferListsHandler;
    partial->ReceiveNetBufferListsHandler = handlers->ReceiveNetBufferListsHandler;
    partial->ReturnNetBufferListsHandler = handlers->ReturnNetBufferListsHandler;
    set_name(module);
    return module;
}

static void module_free(struct ndis_module *module)
{
    module->magic = 0;
    free(module);
}

static void make_string(NDIS_STRING *string, WCHAR *text)
{
    RtlInitUnicodeString(string, text);
}

static NDIS_STATUS call_attach(struct ndis_module *module, unsigned place)
{
    struct ndis_adapter *adapter = module->node.adapter;
    struct ndis_module *below = place ? adapter->modules[place - 1] : NULL;
    NDIS_STRING guid, instance, device;
    make_string(&guid, module->name);
    make_string(&instance, adapter->instance_name);
    make_string(&device, adapter->device_name);
    NDIS_OFFLOAD offload = adapter->hardware;
    NDIS_FILTER_ATTACH_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_FILTER_ATTACH_PARAMETERS,
                   NDIS_FILTER_ATTACH_PARAMETERS_REVISION_4,
                   NDIS_SIZEOF_FILTER_ATTACH_PARAMETERS_REVISION_4},
        .IfIndex = module->if_index,
        .NetLuid = module->luid,
        .FilterModuleGuidName = &guid,
        .BaseMiniportIfIndex = adapter->if_index,
        .BaseMiniportInstanceName = &instance,
        .BaseMiniportName = &device,
        .MediaConnectState =
            adapter->connected ? MediaConnectStateConnected : MediaConnectStateDisconnected,
        .MediaDuplexState = MediaDuplexStateFull,
        .XmitLinkSpeed = adapter->config.link_speed,
        .RcvLinkSpeed = adapter->config.link_speed,
        .MiniportMediaType = adapter->config.medium,
        .MiniportPhysicalMediaType = adapter->config.physical,
        .DefaultOffloadConfiguration = &offload,
        .MacAddressLength = sizeof(adapter->mac),
        .BaseMiniportNetLuid = adapter->luid,
        .LowerIfIndex = below ? below->if_index : adapter->if_index,
        .LowerIfNetLuid = below ? below->luid : adapter->luid,
        .BaseMiniportIfConnectorPresent = TRUE,
    };
    memcpy(parameters.CurrentMacAddress, adapter->mac, sizeof(adapter->mac));

    module->state = ModuleAttaching;
    struct vf_call call = vf_call_begin_of("FilterAttach", module->driver->handlers.AttachHandler);
    NDIS_STATUS status =
        module->driver->handlers.AttachHandler(module, module->driver->context, &parameters);
    vf_call_end(&call);
    return status;
}

struct ndis_module *module_attach(struct ndis_adapter *adapter, struct ndis_driver *driver,
                                  const struct filter_install *install, unsigned place,
                                  NDIS_STATUS *status)
{
    struct ndis_module *module = module_create(adapter, driver, install);
    if (!module) {
        *status = NDIS_STATUS_RESOURCES;
        return NULL;
    }
    *status = call_attach(module, place);
    if (*status == NDIS_STATUS_SUCCESS && !module->attributes_set && vf_enabled)
        vf_violation(VfFilterState, "FilterAttach of %s succeeded without NdisFSetAttributes",
                     module->node.name);
    if (*status == NDIS_STATUS_SUCCESS && module->attributes_set) {
        module->state = ModulePaused;
        return module;
    }
    if (*status == NDIS_STATUS_PENDING && vf_enabled)
        vf_violation(VfFilterState, "FilterAttach of %s returned NDIS_STATUS_PENDING",
                     module->node.name);
    if (*status == NDIS_STATUS_SUCCESS)
        *status = NDIS_STATUS_FAILURE;
    module->state = ModuleDetached;
    module_free(module);
    return NULL;
}

NDIS_STATUS NTAPI NdisFSetAttributes(NDIS_HANDLE NdisFilterHandle, NDIS_HANDLE FilterModuleContext,
                                     PNDIS_FILTER_ATTRIBUTES FilterAttributes)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    if (FilterAttributes->Header.Type != NDIS_OBJECT_TYPE_FILTER_ATTRIBUTES ||
        FilterAttributes->Header.Revision < NDIS_FILTER_ATTRIBUTES_REVISION_1 ||
        FilterAttributes->Header.Size < NDIS_SIZEOF_FILTER_ATTRIBUTES_REVISION_1)
        return NDIS_STATUS_BAD_VERSION;
    if (module->state != ModuleAttaching) {
        if (vf_enabled)
            vf_violation(VfFilterState, "NdisFSetAttributes outside FilterAttach of %s (it is %s)",
                         module->node.name, module_state_name(module->state));
        return NDIS_STATUS_FAILURE;
    }
    module->context = FilterModuleContext;
    module->attributes_set = true;
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisFSetAttributes);

void module_set_options(struct ndis_module *module)
{
    if (!module->driver->handlers.SetFilterModuleOptionsHandler)
        return;
    module->in_set_options = true;
    struct vf_call call = vf_call_begin_of("FilterSetModuleOptions",
                                           module->driver->handlers.SetFilterModuleOptionsHandler);
    module->driver->handlers.SetFilterModuleOptionsHandler(module->context);
    vf_call_end(&call);
    module->in_set_options = false;
}

NDIS_STATUS NTAPI NdisSetOptionalHandlers(NDIS_HANDLE NdisHandle,
                                          PNDIS_DRIVER_OPTIONAL_HANDLERS OptionalHandlers)
{
    VF_ENTRY(PASSIVE_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    struct ndis_module *module = module_of(NdisHandle, __func__);
    const NDIS_OBJECT_HEADER *header = &OptionalHandlers->Header;
    if (header->Type != NDIS_OBJECT_TYPE_FILTER_PARTIAL_CHARACTERISTICS)
        return NDIS_STATUS_NOT_SUPPORTED;
    if (header->Size < NDIS_SIZEOF_FILTER_PARTIAL_CHARACTERISTICS_REVISION_1)
        return NDIS_STATUS_BAD_VERSION;
    if (!module->in_set_options) {
        if (vf_enabled)
            vf_violation(VfFilterState,
                         "NdisSetOptionalHandlers outside FilterSetModuleOptions of %s",
                         module->node.name);
        return NDIS_STATUS_FAILURE;
    }
    memcpy(&module->partial, OptionalHandlers, sizeof(module->partial));
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisSetOptionalHandlers);

static NDIS_STATUS wait_done(struct ndis_module *module)
{
    KeWaitForSingleObject(&module->done, Executive, KernelMode, FALSE, NULL);
    return module->done_status;
}

NDIS_STATUS module_restart(struct ndis_module *module, PNDIS_RESTART_ATTRIBUTES *attributes)
{
    struct ndis_adapter *adapter = module->node.adapter;
    unsigned place = 0;
    while (adapter->modules[place] != module)
        place++;
    struct ndis_module *below = place ? adapter->modules[place - 1] : NULL;
    NDIS_FILTER_RESTART_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_FILTER_RESTART_PARAMETERS,
                   NDIS_FILTER_RESTART_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF__FILTER_RESTART_PARAMETERS_REVISION_1},
        .MiniportMediaType = adapter->config.medium,
        .MiniportPhysicalMediaType = adapter->config.physical,
        .RestartAttributes = *attributes,
        .LowerIfIndex = below ? below->if_index : adapter->if_index,
        .LowerIfNetLuid = below ? below->luid : adapter->luid,
    };
    module->waiting_restart = true;
    module->state = ModuleRestarting;
    module->in_restart = nt_current();
    struct vf_call call =
        vf_call_begin_of("FilterRestart", module->driver->handlers.RestartHandler);
    NDIS_STATUS status = module->driver->handlers.RestartHandler(module->context, &parameters);
    vf_call_end(&call);
    module->in_restart = NULL;
    if (status == NDIS_STATUS_PENDING)
        status = wait_done(module);
    else if (!module->waiting_restart)
        vf_violation(VfFilterState, "FilterRestart of %s returned 0x%x after NdisFRestartComplete",
                     module->node.name, status);
    module->waiting_restart = false;
    *attributes = parameters.RestartAttributes;
    module->state = status == NDIS_STATUS_SUCCESS ? ModuleRunning : ModulePaused;
    return status;
}

VOID NTAPI NdisFRestartComplete(NDIS_HANDLE NdisFilterHandle, NDIS_STATUS Status)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    if (!module->waiting_restart || Status == NDIS_STATUS_PENDING)
        vf_violation(VfFilterState, "NdisFRestartComplete(0x%x): no restart of %s is pending",
                     Status, module->node.name);
    module->waiting_restart = false;
    module->done_status = Status;
    KeSetEvent(&module->done, IO_NO_INCREMENT, FALSE);
}
NT_EXPORT(NDIS, NdisFRestartComplete);

void module_pause(struct ndis_module *module, ULONG reason)
{
    NDIS_FILTER_PAUSE_PARAMETERS parameters = {
        .Header = {NDIS_OBJECT_TYPE_FILTER_PAUSE_PARAMETERS,
                   NDIS_FILTER_PAUSE_PARAMETERS_REVISION_1,
                   NDIS_SIZEOF_FILTER_PAUSE_PARAMETERS_REVISION_1},
        .PauseReason = reason,
    };
    module->waiting_pause = true;
    module->state = ModulePausing;
    struct vf_call call = vf_call_begin_of("FilterPause", module->driver->handlers.PauseHandler);
    NDIS_STATUS status = module->driver->handlers.PauseHandler(module->context, &parameters);
    vf_call_end(&call);
    if (status == NDIS_STATUS_PENDING)
        wait_done(module);
    else if (!module->waiting_pause)
        vf_violation(VfFilterState, "FilterPause of %s returned 0x%x after NdisFPauseComplete",
                     module->node.name, status);
    else if (status != NDIS_STATUS_SUCCESS && vf_enabled)
        vf_violation(VfFilterState, "FilterPause of %s returned 0x%x: a pause cannot fail",
                     module->node.name, status);
    module->waiting_pause = false;
    verify_paused(module);
    module->state = ModulePaused;
}

VOID NTAPI NdisFPauseComplete(NDIS_HANDLE NdisFilterHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    if (!module->waiting_pause)
        vf_violation(VfFilterState, "NdisFPauseComplete: no pause of %s is pending",
                     module->node.name);
    module->waiting_pause = false;
    KeSetEvent(&module->done, IO_NO_INCREMENT, FALSE);
}
NT_EXPORT(NDIS, NdisFPauseComplete);

void module_detach(struct ndis_module *module)
{
    module->state = ModuleDetached;
    struct vf_call call = vf_call_begin_of("FilterDetach", module->driver->handlers.DetachHandler);
    module->driver->handlers.DetachHandler(module->context);
    vf_call_end(&call);
    rundown_end();
    module_free(module);
}

static void run_restart(void *context)
{
    /* The module may be gone by now: look it up by its address before touching it. */
    ndis_pnp_lock();
    for (LIST_ENTRY *e = ndis_adapters.Flink; e != &ndis_adapters; e = e->Flink) {
        struct ndis_adapter *adapter = CONTAINING_RECORD(e, struct ndis_adapter, link);
        for (unsigned i = 0; i < adapter->module_count; i++) {
            struct ndis_module *module = adapter->modules[i];
            if (module != context || !module->restart_queued)
                continue;
            module->restart_queued = false;
            if (adapter->state == AdapterRunning) {
                stack_pause(adapter, NDIS_PAUSE_FILTER_RESTART_STACK);
                stack_restart(adapter);
            }
            goto out;
        }
    }
out:
    ndis_pnp_unlock();
}

NDIS_STATUS NTAPI NdisFRestartFilter(NDIS_HANDLE NdisFilterHandle)
{
    VF_ENTRY(DISPATCH_LEVEL);
    if (vf_fault(VfFaultNdis))
        return NDIS_STATUS_RESOURCES;
    struct ndis_module *module = module_of(NdisFilterHandle, __func__);
    if (module->state == ModuleDetached || module->state == ModuleAttaching)
        return NDIS_STATUS_FAILURE;
    if (!__atomic_exchange_n(&module->restart_queued, true, __ATOMIC_SEQ_CST))
        ndis_queue(NdisBindThread, run_restart, module);
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisFRestartFilter);
