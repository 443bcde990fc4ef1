/*
 * The driver stack of an adapter: a miniport edge below, filter modules, a protocol edge above.
 *
 * Calls along the data path go from handler to handler without a lock. Where a node's call goes
 * next is a link {function, context}, computed while the stack is paused and read-only while it
 * runs; a module whose handler is NULL is left out of the links of its neighbours (WDK: "Data
 * Bypass Mode").
 *
 * Locks
 *   ndis_pnp_lock()   one at a time: register, attach, pause, restart, detach, power.
 * PASSIVE_LEVEL. ndis_lock         a spin lock over the lists of drivers, adapters and tracked
 * objects oid_target.lock   the request queue of one node
 */
#pragma once
#include "rundown.h"
#include <ndis.h>
#include <nthost/edge.h>
#include <nthost/export.h>
#include <nthost/filters.h>
#include <nthost/sched.h>
#include <nthost/verifier.h>

#define NDIS_POOL_TAG 'sidN'
#define MAX_MODULES   16

/* WDK: "Filter Module States and Operations". */
enum module_state {
    ModuleDetached,
    ModuleAttaching,
    ModulePaused,
    ModuleRestarting,
    ModuleRunning,
    ModulePausing,
};
const char *module_state_name(enum module_state state);

struct ndis_module;
struct ndis_adapter;

/* The queue of OID requests that one node handles one at a time. */
struct oid_target {
    KSPIN_LOCK lock;
    PNDIS_OID_REQUEST busy;
    LIST_ENTRY queue;
    struct rundown requests; /* that it has made or has got */
};

/* An edge or a module: what can own an NBL, and what OIDs go to. */
struct ndis_node {
    char name[96]; /* for messages: "ndispass on eth0", "the miniport of eth0" */
    struct ndis_adapter *adapter;
    struct ndis_module *module; /* NULL: an edge */
    struct oid_target oids;
};

#define DECLARE_LINK(name, handler)                                                                \
    struct name {                                                                                  \
        handler *call;                                                                             \
        NDIS_HANDLE context;                                                                       \
        struct ndis_node *node;                                                                    \
    }
DECLARE_LINK(link_send, FILTER_SEND_NET_BUFFER_LISTS);
DECLARE_LINK(link_send_complete, FILTER_SEND_NET_BUFFER_LISTS_COMPLETE);
DECLARE_LINK(link_cancel, FILTER_CANCEL_SEND_NET_BUFFER_LISTS);
DECLARE_LINK(link_receive, FILTER_RECEIVE_NET_BUFFER_LISTS);
DECLARE_LINK(link_return, FILTER_RETURN_NET_BUFFER_LISTS);

/* Where calls of one node go: up and down from where it stands. */
struct ndis_links {
    struct link_send send;                   /* down */
    struct link_return give_back;            /* down */
    struct link_receive receive;             /* up */
    struct link_send_complete send_complete; /* up */
    struct link_cancel cancel;               /* down */
};

#define MODULE_MAGIC 0x646f4d46u /* "FMod" */
#define DRIVER_MAGIC 0x76724446u /* "FDrv" */

struct ndis_driver {
    LIST_ENTRY link; /* ndis_drivers */
    ULONG magic;
    PDRIVER_OBJECT object;
    NDIS_HANDLE context;
    NDIS_FILTER_DRIVER_CHARACTERISTICS handlers; /* zeroed beyond what the driver's revision has */
    char service[64];
    bool ready;           /* FilterSetOptions is through: modules may attach */
    struct rundown works; /* work items of it that are queued or run */
};

/* A filter module: an instance of a filter driver on an adapter. What drivers know as
 * NdisFilterHandle points to one. */
struct ndis_module {
    struct ndis_links links; /* first: hot */
    ULONG magic;
    _Atomic(enum module_state) state;
    struct ndis_driver *driver;
    NDIS_HANDLE context; /* FilterModuleContext */
    struct ndis_node node;
    NDIS_FILTER_PARTIAL_CHARACTERISTICS partial; /* the data handlers in force */
    bool in_set_options;                         /* NdisSetOptionalHandlers is allowed */
    bool attributes_set;
    struct filter_install install;
    NET_IFINDEX if_index;
    NET_LUID luid;
    WCHAR name[128]; /* FilterModuleGuidName */
    KEVENT done;     /* of a pause or restart that returned NDIS_STATUS_PENDING */
    NDIS_STATUS done_status;
    bool waiting_pause, waiting_restart;
    bool restart_queued;
    atomic_long held_sends, held_receives; /* verifier: NBLs of others with the driver */
    bool leaving; /* out of sight, and its last OID requests still pass on from its old place */
    unsigned left_place;
    _Atomic(struct nt_thread *) in_restart; /* calls FilterRestart just now */
    atomic_long busy_receives; /* of these, at most so many are in a call of it just now */
    atomic_long originated_sends, originated_receives; /* verifier: its own that are out */
};

/* The modules as the control path sees them, which no lock of PnP protects: never changed,
 * replaced. */
struct module_view {
    unsigned count;
    struct ndis_module *modules[MAX_MODULES];
};

enum adapter_state { AdapterHalted, AdapterPaused, AdapterRunning };

struct adapter_counters {
    _Alignas(64) ULONG64 in_frames, in_bytes, out_frames, out_bytes;
};

struct ndis_adapter {
    struct ndis_links upper, lower; /* from the edges */
    const struct ndis_lower_ops *lower_ops;
    const struct ndis_upper_ops *upper_ops;
    void *lower_context, *upper_context;
    bool upper_open; /* atomic: the protocol's binding takes frames */
    LIST_ENTRY link; /* ndis_adapters */
    struct ndis_adapter_config config;
    char name[64], bindings[128];
    struct ndis_node upper_node, lower_node;
    enum adapter_state state;
    bool started;
    bool failed; /* a mandatory filter did not attach or restart */
    bool powered;

    struct ndis_module *modules[MAX_MODULES]; /* [0] is nearest to the miniport */
    unsigned module_count;
    struct module_view *view; /* atomic */
    struct rundown control;   /* calls that use a view */

    struct rundown sends;    /* NBLs that the protocol has sent and that are not complete */
    struct rundown receives; /* NBLs that the miniport has indicated and that are not home */
    struct rundown calls;    /* calls of the edges into the stack that are under way */

    /* The miniport as OIDs see it; `current` under ndis_lock. What the data path looks at is
     * atomic. */
    NDIS_OFFLOAD hardware, current;
    ULONG lookahead;
    _Atomic ULONG packet_filter, multicast_count;
    _Atomic ULONG64 multicast[32]; /* 6 bytes each, as address_word() has them */
    UCHAR mac[6];
    ULONG mtu;
    atomic_bool connected;
    NDIS_DEVICE_POWER_STATE power;

    NET_IFINDEX if_index;
    NET_LUID luid;
    WCHAR guid[40], device_name[64], instance_name[80];
    NDIS_HANDLE loopback_pool;
    atomic_ullong in_discards, out_discards;
    struct adapter_counters counters[64]; /* one a virtual processor */
    struct adapter_counters shared_counters;
};

extern KSPIN_LOCK ndis_lock;
extern LIST_ENTRY ndis_drivers, ndis_adapters;

void ndis_pnp_lock(void);
void ndis_pnp_unlock(void);

/* PASSIVE_LEVEL work on threads of NDIS's own, in order on each. `run` is called in driver context.
 * Binding waits for drivers, which wait for OIDs: so these are two. */
enum ndis_thread { NdisBindThread, NdisOidThread };
void ndis_queue(enum ndis_thread thread, void (*run)(void *context), void *context);
void ndis_queue_settle(void);

/* module.c: one module through its states. All under the PnP lock. */
struct ndis_module *module_attach(struct ndis_adapter *adapter, struct ndis_driver *driver,
                                  const struct filter_install *install, unsigned place,
                                  NDIS_STATUS *status);
void module_set_options(struct ndis_module *module);
NDIS_STATUS module_restart(struct ndis_module *module, PNDIS_RESTART_ATTRIBUTES *attributes);
void module_pause(struct ndis_module *module, ULONG reason);
void module_detach(struct ndis_module *module);
/* The module that a driver's handle names; a violation if it names none. */
struct ndis_module *module_of(NDIS_HANDLE handle, const char *function);
/* The driver of a handle of a module or of a driver; NULL if it is neither. */
static inline struct ndis_driver *driver_of(NDIS_HANDLE handle)
{
    _Static_assert(sizeof(struct ndis_driver) > offsetof(struct ndis_module, magic) + sizeof(ULONG),
                   "");
    struct ndis_driver *driver = handle;
    struct ndis_module *module = handle;
    if (handle && module->magic == MODULE_MAGIC)
        return module->driver;
    return handle && driver->magic == DRIVER_MAGIC ? driver : NULL;
}

/* Unchecked, for the data path. */
static inline struct ndis_module *module_cast(NDIS_HANDLE handle)
{
    return handle;
}

/* adapter.c, stack.c: all under the PnP lock. */
void stack_pause(struct ndis_adapter *adapter, ULONG reason);
void stack_restart(struct ndis_adapter *adapter);
void stack_link(struct ndis_adapter *adapter);
/* Attaches what should be attached and is not, detaches what should not be. */
void stack_rebind(struct ndis_adapter *adapter);
void stack_halt(struct ndis_adapter *adapter);
void stack_detach_driver(struct ndis_driver *driver);
bool stack_wants(const struct ndis_adapter *adapter, const struct filter_install *install);
const struct filter_install *filters_find(const char *service);
bool filters_bound(const char *service, const char *adapter);
/* Position of a filter class in a stack, from the adapter upwards. */
int filter_class_rank(const char *filter_class);
void filters_rebind_all(void);

/* The control path: a view, valid until stack_unview() with the line that came with it. */
static inline const struct module_view *stack_view(struct ndis_adapter *adapter, unsigned *line)
{
    *line = rundown_enter(&adapter->control);
    return __atomic_load_n(&adapter->view, __ATOMIC_SEQ_CST);
}
static inline void stack_unview(struct ndis_adapter *adapter, unsigned line)
{
    rundown_drop_at(&adapter->control, line, 1);
}
/* Place of a module in a view; its count if it is not there. */
unsigned view_place(const struct module_view *view, const struct ndis_module *module);
/* After a change of the modules: replaces the view and waits until nobody uses the old one. */
void stack_publish(struct ndis_adapter *adapter);

/* miniport.c: what the miniport answers to OIDs, and the restart attributes. */
void miniport_init(struct ndis_adapter *adapter);
NDIS_STATUS miniport_oid(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request);
void miniport_sum(const struct ndis_adapter *adapter, struct adapter_counters *sum);
PNDIS_RESTART_ATTRIBUTES miniport_restart_attributes(struct ndis_adapter *adapter);
void restart_attributes_free(PNDIS_RESTART_ATTRIBUTES attributes);
bool miniport_wants(const struct ndis_adapter *adapter, const UCHAR *destination);

/* offload.c */
void offload_none(NDIS_OFFLOAD *offload);
NDIS_STATUS offload_set(struct ndis_adapter *adapter, const NDIS_OFFLOAD_PARAMETERS *parameters,
                        ULONG bytes);

/* status.c, pnp.c */
void status_from_lower(struct ndis_adapter *adapter, NDIS_STATUS code, PVOID buffer, ULONG bytes);
void status_link(struct ndis_adapter *adapter);
NDIS_STATUS pnp_event_up(struct ndis_adapter *adapter, NET_PNP_EVENT_CODE code, PVOID buffer,
                         ULONG bytes);
void pnp_event_to_module(struct ndis_module *module, NET_PNP_EVENT_CODE code);
void pnp_event_down(struct ndis_adapter *adapter, NDIS_DEVICE_PNP_EVENT code);

/* oid.c */
void oid_target_init(struct oid_target *target);
NDIS_STATUS oid_send(struct ndis_adapter *adapter, struct ndis_node *source,
                     PNDIS_OID_REQUEST request, bool direct);

/* edges of the data path, data.c */
FILTER_SEND_NET_BUFFER_LISTS ndis_bottom_send;
FILTER_RETURN_NET_BUFFER_LISTS ndis_bottom_return;
FILTER_CANCEL_SEND_NET_BUFFER_LISTS ndis_bottom_cancel;
FILTER_RECEIVE_NET_BUFFER_LISTS ndis_top_receive;
FILTER_SEND_NET_BUFFER_LISTS_COMPLETE ndis_top_send_complete;

/* track.c: objects that drivers must give back, named when they do not. */
enum tracked {
    TrackPool,
    TrackNbl,
    TrackMdl,
    TrackTimer,
    TrackWorkItem,
    TrackRwLock,
    TrackDevice,
    TrackConfiguration,
    TrackClonedOid,
    TrackMemory,
    TrackGeneric,
    TrackKinds
};
struct track_entry;
struct track_entry *track_add(enum tracked kind, const void *object, const void *caller);
void track_remove(struct track_entry *entry);

/* classkey.c: the adapter's key of the network class in the registry. PASSIVE_LEVEL. */
void classkey_create(const struct ndis_adapter *adapter);
void classkey_remove(const struct ndis_adapter *adapter);
