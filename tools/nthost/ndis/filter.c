/*
 * Filter drivers: what is installed, who has registered, and binding the two to adapters.
 *
 * WDK: NdisFRegisterFilterDriver, NdisFDeregisterFilterDriver, NDIS_FILTER_DRIVER_CHARACTERISTICS,
 * "Configuring an INF File for a Modifying Filter Driver" (FilterClass order).
 *
 * The tables change under the PnP lock only. Registering does not attach by itself: that is work of
 * NDIS's own thread, which may begin before NdisFRegisterFilterDriver returns.
 */
#include "stack.h"
#include "verify.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_FILTERS 64

KSPIN_LOCK ndis_lock;
LIST_ENTRY ndis_drivers = {&ndis_drivers, &ndis_drivers};
LIST_ENTRY ndis_adapters = {&ndis_adapters, &ndis_adapters};

static struct filter_install installed[MAX_FILTERS];
static unsigned installed_count;

/* Unbound by hand: pairs of service and adapter. */
static struct {
    char service[64], adapter[64];
} unbound[MAX_FILTERS];
static unsigned unbound_count;

/* From the adapter upwards; monitoring filters stand at the very bottom and top of Windows' stacks,
 * here at the bottom. */
int filter_class_rank(const char *filter_class)
{
    static const char *const order[] = {"",
                                        "ms_switch_forward",
                                        "ms_switch_filter",
                                        "ms_switch_capture",
                                        "provider_address",
                                        "custom",
                                        "diagnostic",
                                        "failover",
                                        "loadbalance",
                                        "vpn",
                                        "compression",
                                        "encryption",
                                        "scheduler"};
    for (unsigned i = 0; i < ARRAYSIZE(order); i++)
        if (!strcasecmp(filter_class, order[i]))
            return (int)i;
    return (int)ARRAYSIZE(order);
}

const struct filter_install *filters_find(const char *service)
{
    for (unsigned i = 0; i < installed_count; i++)
        if (!strcasecmp(installed[i].service, service))
            return &installed[i];
    return NULL;
}

bool filters_bound(const char *service, const char *adapter)
{
    for (unsigned i = 0; i < unbound_count; i++)
        if (!strcasecmp(unbound[i].service, service) && !strcasecmp(unbound[i].adapter, adapter))
            return false;
    return true;
}

static const char *medium_name(const struct ndis_adapter *adapter)
{
    switch (adapter->config.medium) {
    case NdisMedium802_3:
        return adapter->config.physical == NdisPhysicalMediumNative802_11 ||
                       adapter->config.physical == NdisPhysicalMediumWirelessLan
                   ? "wlan"
                   : "ethernet";
    case NdisMediumNative802_11:
        return "wlan";
    case NdisMediumWan:
        return "wan";
    case NdisMediumWirelessWan:
        return "ppip";
    default:
        return "";
    }
}

static bool in_list(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (length && *list) {
        while (*list == ',' || isspace((unsigned char)*list))
            list++;
        size_t end = strcspn(list, ", \t");
        if (end == length && !strncasecmp(list, word, length))
            return true;
        list += end;
    }
    return false;
}

bool stack_wants(const struct ndis_adapter *adapter, const struct filter_install *install)
{
    return in_list(install->media, medium_name(adapter)) &&
           filters_bound(install->service, adapter->name);
}

void filters_rebind_all(void)
{
    for (LIST_ENTRY *e = ndis_adapters.Flink; e != &ndis_adapters; e = e->Flink)
        stack_rebind(CONTAINING_RECORD(e, struct ndis_adapter, link));
}

static void run_rebind(void *context)
{
    (void)context;
    ndis_pnp_lock();
    filters_rebind_all();
    ndis_pnp_unlock();
}

void filters_install(const struct filter_install *filter)
{
    nt_enter();
    ndis_pnp_lock();
    struct filter_install *entry = (struct filter_install *)filters_find(filter->service);
    if (!entry && installed_count < MAX_FILTERS)
        entry = &installed[installed_count++];
    if (entry)
        *entry = *filter;
    filters_rebind_all();
    ndis_pnp_unlock();
    nt_leave();
}

void filters_remove(const char *service)
{
    nt_enter();
    ndis_pnp_lock();
    struct filter_install *entry = (struct filter_install *)filters_find(service);
    if (entry)
        *entry = installed[--installed_count];
    filters_rebind_all();
    ndis_pnp_unlock();
    nt_leave();
}

bool filters_bind(const char *service, const char *adapter, bool bound)
{
    bool found = false;
    nt_enter();
    ndis_pnp_lock();
    for (LIST_ENTRY *e = ndis_adapters.Flink; e != &ndis_adapters; e = e->Flink)
        found |= !strcmp(CONTAINING_RECORD(e, struct ndis_adapter, link)->name, adapter);
    unsigned at = 0;
    while (at < unbound_count &&
           (strcasecmp(unbound[at].service, service) || strcasecmp(unbound[at].adapter, adapter)))
        at++;
    if (bound && at < unbound_count) {
        unbound[at] = unbound[--unbound_count];
    } else if (!bound && at == unbound_count && found && unbound_count < MAX_FILTERS) {
        strncpy(unbound[at].service, service, sizeof(unbound[at].service) - 1);
        strncpy(unbound[at].adapter, adapter, sizeof(unbound[at].adapter) - 1);
        unbound_count++;
    }
    filters_rebind_all();
    ndis_pnp_unlock();
    nt_leave();
    return found;
}

void filters_settle(void)
{
    nt_enter();
    ndis_queue_settle();
    nt_leave();
}

/* Forgets what one run of the host has left. */
void filters_reset(void)
{
    installed_count = unbound_count = 0;
    InitializeListHead(&ndis_drivers);
    InitializeListHead(&ndis_adapters);
}

/* Registration */

static ULONG needed_bytes(UCHAR revision)
{
    switch (revision) {
    case NDIS_FILTER_CHARACTERISTICS_REVISION_1:
        return NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_1;
    case NDIS_FILTER_CHARACTERISTICS_REVISION_2:
        return NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_2;
    case NDIS_FILTER_CHARACTERISTICS_REVISION_3:
        return NDIS_SIZEOF_FILTER_DRIVER_CHARACTERISTICS_REVISION_3;
    default:
        return 0;
    }
}

static bool known_version(UCHAR major, UCHAR minor)
{
    static const UCHAR minors[] = {0, 1, 20, 30, 40, 50, 51, 60, 70, 80, 81, 82, 83, 84, 85};
    return major == 6 && memchr(minors, minor, sizeof(minors)) != NULL;
}

static NDIS_STATUS check_handlers(const NDIS_FILTER_DRIVER_CHARACTERISTICS *c)
{
    if (!c->AttachHandler || !c->DetachHandler || !c->RestartHandler || !c->PauseHandler)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    /* "If a filter driver specifies a FilterReceiveNetBufferLists or FilterReturnNetBufferLists
     * function, the driver must also specify a FilterStatus function." */
    if ((c->ReceiveNetBufferListsHandler || c->ReturnNetBufferListsHandler) && !c->StatusHandler)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    if (c->ReturnNetBufferListsHandler && !c->ReceiveNetBufferListsHandler)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    /* "If a filter driver defines a FilterOidRequest function, it must provide the
     * FilterOidRequestComplete function." The other way round it may: a filter that originates
     * requests and sees nobody else's. */
    if (c->OidRequestHandler && !c->OidRequestCompleteHandler)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    if (c->DirectOidRequestHandler && !c->DirectOidRequestCompleteHandler)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    if (!c->ServiceName.Length || !c->UniqueName.Length || !c->FriendlyName.Length)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    return NDIS_STATUS_SUCCESS;
}

static NDIS_STATUS check_characteristics(const NDIS_FILTER_DRIVER_CHARACTERISTICS *c)
{
    if (c->Header.Type != NDIS_OBJECT_TYPE_FILTER_DRIVER_CHARACTERISTICS)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    if (!known_version(c->MajorNdisVersion, c->MinorNdisVersion))
        return NDIS_STATUS_BAD_VERSION;
    ULONG needed = needed_bytes(c->Header.Revision);
    if (!needed || c->Header.Size < needed)
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    NDIS_FILTER_DRIVER_CHARACTERISTICS whole = {0};
    memcpy(&whole, c, needed);
    return check_handlers(&whole);
}

static void string_to_utf8(const UNICODE_STRING *from, char *to, size_t size)
{
    size_t n = 0;
    for (; n < from->Length / sizeof(WCHAR) && n + 1 < size; n++)
        to[n] = (char)from->Buffer[n];
    to[n] = 0;
}

static NDIS_STATUS register_driver(struct ndis_driver *driver)
{
    const struct filter_install *install = filters_find(driver->service);
    char unique[64];
    string_to_utf8(&driver->handlers.UniqueName, unique, sizeof(unique));
    if (install && strcasecmp(install->unique_name, unique)) {
        if (vf_enabled)
            vf_violation(VfBadParameter,
                         "NdisFRegisterFilterDriver: UniqueName %s is not the NetCfgInstanceId %s "
                         "of the INF of %s",
                         unique, install->unique_name, driver->service);
        return NDIS_STATUS_BAD_CHARACTERISTICS;
    }
    for (LIST_ENTRY *e = ndis_drivers.Flink; e != &ndis_drivers; e = e->Flink)
        if (!strcasecmp(CONTAINING_RECORD(e, struct ndis_driver, link)->service, driver->service))
            return NDIS_STATUS_FAILURE;
    InsertTailList(&ndis_drivers, &driver->link);
    return NDIS_STATUS_SUCCESS;
}

NDIS_STATUS NTAPI NdisFRegisterFilterDriver(PDRIVER_OBJECT DriverObject,
                                            NDIS_HANDLE FilterDriverContext,
                                            PNDIS_FILTER_DRIVER_CHARACTERISTICS Characteristics,
                                            PNDIS_HANDLE NdisFilterDriverHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    *NdisFilterDriverHandle = NULL;
    if (!DriverObject)
        return NDIS_STATUS_INVALID_PARAMETER;
    NDIS_STATUS status = check_characteristics(Characteristics);
    if (status != NDIS_STATUS_SUCCESS)
        return status;
    struct ndis_driver *driver =
        vf_fault(VfFaultNdis) ? NULL : aligned_alloc(64, (sizeof(*driver) + 63) & ~63ul);
    if (!driver)
        return NDIS_STATUS_RESOURCES;
    memset(driver, 0, sizeof(*driver));
    driver->magic = DRIVER_MAGIC;
    driver->object = DriverObject;
    rundown_init(&driver->works);
    driver->context = FilterDriverContext;
    memcpy(&driver->handlers, Characteristics, needed_bytes(Characteristics->Header.Revision));
    string_to_utf8(&Characteristics->ServiceName, driver->service, sizeof(driver->service));

    ndis_pnp_lock();
    status = register_driver(driver);
    ndis_pnp_unlock();
    if (status != NDIS_STATUS_SUCCESS) {
        free(driver);
        return status;
    }
    *NdisFilterDriverHandle = driver;
    if (driver->handlers.SetOptionsHandler) {
        struct vf_call call =
            vf_call_begin_of("FilterSetOptions", driver->handlers.SetOptionsHandler);
        status = driver->handlers.SetOptionsHandler(driver, FilterDriverContext);
        vf_call_end(&call);
    }
    if (status != NDIS_STATUS_SUCCESS) {
        ndis_pnp_lock();
        RemoveEntryList(&driver->link);
        ndis_pnp_unlock();
        *NdisFilterDriverHandle = NULL;
        free(driver);
        return status;
    }
    driver->ready = true;
    ndis_queue(NdisBindThread, run_rebind, NULL);
    return NDIS_STATUS_SUCCESS;
}
NT_EXPORT(NDIS, NdisFRegisterFilterDriver);

VOID NTAPI NdisFDeregisterFilterDriver(NDIS_HANDLE NdisFilterDriverHandle)
{
    VF_ENTRY(PASSIVE_LEVEL);
    struct ndis_driver *driver = NdisFilterDriverHandle;
    if (!driver || driver->magic != DRIVER_MAGIC)
        vf_violation(VfBadParameter, "NdisFDeregisterFilterDriver: %p is not registered",
                     NdisFilterDriverHandle);
    ndis_pnp_lock();
    stack_detach_driver(driver);
    RemoveEntryList(&driver->link);
    ndis_pnp_unlock();
    /* Its code goes next: what still runs of its work items returns first. */
    rundown_wait(&driver->works);
    rundown_end();
    driver->magic = 0;
    free(driver);
}
NT_EXPORT(NDIS, NdisFDeregisterFilterDriver);

/* The service of a filter driver whose code is in this image and that is still registered; NULL. */
const char *filters_registered_by(const char *image)
{
    for (LIST_ENTRY *e = ndis_drivers.Flink; e != &ndis_drivers; e = e->Flink) {
        struct ndis_driver *driver = CONTAINING_RECORD(e, struct ndis_driver, link);
        if (!strcmp(vf_owner((const void *)driver->handlers.AttachHandler), image))
            return driver->service;
    }
    return NULL;
}
