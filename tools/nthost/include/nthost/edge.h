/*
 * Network adapters of the host: a miniport at the lower edge, a protocol (TCP/IP) at the upper
 * edge, and the filter stack between them, which ndis/ runs.
 */
#pragma once
#include <ndis.h>
#include <stdbool.h>
#include <stdio.h>

struct ndis_adapter;

/* The miniport edge. All NBLs are in chains; calls at <= DISPATCH_LEVEL. */
struct ndis_lower_ops {
    /* Takes ownership; every NBL comes back by ndis_lower_send_complete. */
    void (*send)(void *context, PNET_BUFFER_LIST nbls, ULONG send_flags);
    /* Indicated NBLs (without NDIS_RECEIVE_FLAGS_RESOURCES) come home. */
    void (*return_nbls)(void *context, PNET_BUFFER_LIST nbls, ULONG return_flags);
    /* NDIS_STATUS_PENDING allowed, then ndis_lower_oid_complete. */
    /* At PASSIVE_LEVEL. NDIS_STATUS_NOT_SUPPORTED: NDIS answers itself, as a miniport of that
     * configuration would. NULL: it always does. */
    NDIS_STATUS (*oid)(void *context, PNDIS_OID_REQUEST request);
    void (*pause)(void *context); /* returns when it indicates no more; what it has indicated NDIS
                                     waits for */
    void (*restart)(void *context);
    /* The rest may be NULL. Completes what it still holds of this cancel ID. */
    void (*cancel_send)(void *context, PVOID cancel_id);
    /* What the stack above asked for: offloads that are on, and which frames it wants. */
    void (*offload)(void *context, const NDIS_OFFLOAD *current);
    void (*packet_filter)(void *context, ULONG packet_filter, const UCHAR (*multicast)[6],
                          ULONG count);
    void (*power)(void *context, bool on);
};

/* The protocol edge. */
struct ndis_upper_ops {
    /* With NDIS_RECEIVE_FLAGS_RESOURCES the NBLs are the edge's only until it returns, else it
     * gives them back by ndis_upper_return. */
    void (*receive)(void *context, PNET_BUFFER_LIST nbls, ULONG count, ULONG receive_flags);
    void (*send_complete)(void *context, PNET_BUFFER_LIST nbls, ULONG flags);
    void (*status)(void *context, PNDIS_STATUS_INDICATION status);
    /* The rest may be NULL. At PASSIVE_LEVEL. Sends are refused from before pause() on; it gives
     * back what it can of the received NBLs that it holds, the others are waited for. */
    void (*pause)(void *context);
    /* The attributes as the filters left them: MTU, link speed, ... */
    void (*restart)(void *context, const NDIS_RESTART_GENERAL_ATTRIBUTES *attributes);
    NDIS_STATUS (*pnp_event)(void *context, PNET_PNP_EVENT_NOTIFICATION event);
};

struct ndis_adapter_config {
    const char *name; /* friendly name, the Linux interface's */
    UCHAR mac[6];
    ULONG mtu;                     /* bytes above the Ethernet header */
    NDIS_MEDIUM medium;            /* NdisMedium802_3 ... */
    NDIS_PHYSICAL_MEDIUM physical; /* NdisPhysicalMedium802_3, ...Native802_11 (Wi-Fi), ... */
    ULONG64 link_speed;            /* bits/s */
    bool connected;
    NDIS_OFFLOAD offload;     /* what the hardware offers and has on at first */
    bool vlan;                /* takes 802.1Q tags out of band (Ieee8021QNetBufferListInfo) */
    bool no_pause_on_suspend; /* NDIS_MINIPORT_ATTRIBUTES_NO_PAUSE_ON_SUSPEND: power goes without a
                                 pause */
    const char *bindings;     /* other components bound to it, comma-separated component ids:
                                 "ms_implat" (team), "vms_pp" (virtual switch), "nlb" */
};

/* Starts halted; ndis_adapter_start attaches the bound filters and restarts the stack. */
struct ndis_adapter *ndis_adapter_create(const struct ndis_adapter_config *config,
                                         const struct ndis_lower_ops *lower, void *lower_context,
                                         const struct ndis_upper_ops *upper, void *upper_context);
void ndis_adapter_start(struct ndis_adapter *adapter);
void ndis_adapter_stop(struct ndis_adapter *adapter); /* pause, detach, halt; waits for all NBLs */
void ndis_adapter_destroy(struct ndis_adapter *adapter);

/* What the edges put into SourceHandle of the NBLs that they send and indicate. */
NDIS_HANDLE ndis_lower_handle(struct ndis_adapter *adapter);
NDIS_HANDLE ndis_upper_handle(struct ndis_adapter *adapter);

/* From the lower edge upwards. */
void ndis_lower_indicate(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG count,
                         ULONG receive_flags);
void ndis_lower_send_complete(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG flags);
void ndis_lower_oid_complete(struct ndis_adapter *adapter, PNDIS_OID_REQUEST request,
                             NDIS_STATUS status);
void ndis_lower_link(struct ndis_adapter *adapter, bool connected); /* media connect status */
/* Orderly, as Windows does it: NetEventSetPower up the stack, pause (NDIS_PAUSE_LOW_POWER; not with
 * no_pause_on_suspend), OID_PNP_SET_POWER down the stack; back on in the opposite order. */
void ndis_lower_power(struct ndis_adapter *adapter, bool on);
void ndis_lower_offload(struct ndis_adapter *adapter,
                        const NDIS_OFFLOAD *current); /* TASK_OFFLOAD_CURRENT_CONFIG */
/* Another MTU: the stack is paused and restarted with it. */
void ndis_lower_mtu(struct ndis_adapter *adapter, ULONG mtu);
/* Frames lost below, for the counters: receive ring full, no buffer; transmit queue full. */
void ndis_lower_discards(struct ndis_adapter *adapter, ULONG64 received, ULONG64 sent);

/* From the upper edge downwards. */
void ndis_upper_send(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG send_flags);
void ndis_upper_return(struct ndis_adapter *adapter, PNET_BUFFER_LIST nbls, ULONG return_flags);
NDIS_STATUS ndis_upper_oid(struct ndis_adapter *adapter,
                           PNDIS_OID_REQUEST request); /* waits; PASSIVE_LEVEL */
NDIS_STATUS ndis_upper_direct_oid(struct ndis_adapter *adapter,
                                  PNDIS_OID_REQUEST request); /* likewise, by the direct path */
NDIS_STATUS ndis_upper_synchronous_oid(struct ndis_adapter *adapter,
                                       PNDIS_OID_REQUEST request); /* <= DISPATCH_LEVEL */
void ndis_upper_cancel_oid(struct ndis_adapter *adapter, PVOID request_id);
void ndis_upper_cancel_send(struct ndis_adapter *adapter, PVOID cancel_id);
/* A device PnP event down the stack, and a network PnP event up the stack. PASSIVE_LEVEL. */
void ndis_device_pnp_event(struct ndis_adapter *adapter, PNET_DEVICE_PNP_EVENT event);
NDIS_STATUS ndis_net_pnp_event(struct ndis_adapter *adapter, PNET_PNP_EVENT_NOTIFICATION event);

/* Pause and restart the stack while it runs (a binding change, PnP), from any PASSIVE thread. */
void ndis_adapter_pause(struct ndis_adapter *adapter);
void ndis_adapter_restart(struct ndis_adapter *adapter);

/* WIRE_ADAPTERS: a JSON array of {"name","mac","mtu","link","state","medium","filters":[{"service",
 * "class","state"}],"offloads":{...},"counters":{...}}. */
void ndis_adapters_json(FILE *json);

/* The real edges (Linux): AF_PACKET below, TAP above. NULL and a message in `error` on failure. */
struct edge_pair;
struct edge_options {
    const char *nic;       /* existing interface, "eth0" */
    const char *tap;       /* TAP to create, "net0"; gets the NIC's MAC and MTU */
    bool resources_random; /* indicate at random with NDIS_RECEIVE_FLAGS_RESOURCES */
};
struct edge_pair *edge_open(const struct edge_options *options, char *error, size_t error_size);
void edge_close(struct edge_pair *edge);

/*
 * The test edge: both edges in memory. Frames are injected as NBLs of random shape (MDL splits,
 * chains, several NET_BUFFERs where legal, RESOURCES or not) drawn from sched_choose(); what leaves
 * below and above is collected as flat frames with the metadata that matters.
 */
struct test_edge;
#define TEST_CONTEXT_BYTES 64
struct test_frame {
    ULONG bytes;
    ULONG mss;            /* LSO below, RSC above: segment size; 0 none */
    ULONG checksum_flags; /* NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO value */
    ULONG segments;       /* RSC CoalescedSegCount */
    ULONG vlan;           /* NDIS_NET_BUFFER_LIST_8021Q_INFO value */
    ULONG context_bytes;  /* that went out: of what its sender keeps in the NBL's context */
    UCHAR context[TEST_CONTEXT_BYTES] __attribute__((aligned(16)));
    UCHAR data[];
};
struct test_edge *test_edge_create(const struct ndis_adapter_config *config);
struct ndis_adapter *test_edge_adapter(struct test_edge *edge);
void test_edge_wire(struct test_edge *edge, const struct test_frame *const *frames,
                    unsigned count); /* received from the wire, one batch */
void test_edge_stack(struct test_edge *edge, const struct test_frame *const *frames,
                     unsigned count); /* sent by the stack, with cancel IDs 1 to 4 */
struct test_frame *
test_edge_take_wire(struct test_edge *edge); /* next frame that went out; NULL none; free() it */
struct test_frame *
test_edge_take_stack(struct test_edge *edge); /* next frame that reached the stack */
void test_edge_hold_sends(struct test_edge *edge,
                          bool hold); /* keep sends incomplete, to test pause */
void test_edge_hold_receives(struct test_edge *edge, bool hold); /* keep indicated NBLs, likewise */
unsigned test_edge_outstanding(const struct test_edge *edge);
void test_edge_destroy(struct test_edge *edge);
