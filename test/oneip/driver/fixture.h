/*
 * A node of a cluster for tests: the real oneip driver, installed by its INF, on a test adapter;
 * frames in and out; the other members are played by the test, with the driver's own beacon codec.
 */
#pragma once

#include <ntddk.h>

#include <ndis.h>

#include <nthost/client.h>
#include <nthost/edge.h>
#include <nthost/sched.h>
#include <nthost/setup.h>

#include <ntswift/oneip.h>

#include "beacon.h"
#include "frames.h"
#include "tap.h"

#define NODE_SERVICE "NtsOneIp"
#define MS           10000ull /* of interrupt time */
#define ALL(n)       ((1ull << (n)) - 1)

/* The members of the standard cluster: node n has MAC 02:00:00:00:00:n, 10.0.0.n and fd00::n,
 * rank n, weight 1. The local node is node 1 unless told otherwise. */
#define NODE_MAC(n) {2, 0, 0, 0, 0, (n)}
#define CLIENT_MAC  {2, 0, 0, 0, 1, 1}

struct cluster {
    ONEIP_CONFIG header;
    ONEIP_ADDRESS addresses[ONEIP_MAX_ADDRESSES + 1]; /* one too many, to be refused */
    ONEIP_MEMBER members[ONEIP_MAX_MEMBERS + 1];
    ONEIP_RULE rules[ONEIP_MAX_RULES + 1];
    const uint8_t *table; /* or NULL */
    const uint8_t *past;  /* or NULL */
};

/* `members` nodes, addresses 10.0.0.100 and fd00::100, client affinity, table, generation 1. */
void cluster_standard(struct cluster *cluster, unsigned members);
/* The bytes of SET_CONFIG; the caller frees them. */
void *cluster_bytes(const struct cluster *cluster, ULONG *bytes);

struct peer {
    uint32_t node;
    uint64_t boot;
    uint64_t sequence;
};

struct node {
    struct test_edge *edge;
    struct io_client *client;
    io_handle device;
    struct cluster cluster;               /* as last applied by node_configure */
    struct peer peers[ONEIP_MAX_MEMBERS]; /* by index */
    char state_dir[64];
};

/* In its parts. The host with the driver installed (its state directory is the node's), and its
 * end; the driver started on a new adapter with the device open. */
bool node_install(struct node *node, const struct nt_options *options);
void node_uninstall(struct node *node);
bool node_run_driver(struct node *node, const struct ndis_adapter_config *adapter);

/* Starts the host (deterministic, seeded), installs and starts the driver, makes an adapter with
 * node 1's MAC and opens the device. False (and a failed assertion): give up. */
bool node_start(struct node *node, uint64_t seed);
bool node_start_with(struct node *node, uint64_t seed, const struct ndis_adapter_config *adapter);
void node_adapter_config(struct ndis_adapter_config *config);
void node_stop(struct node *node);
#define PACKET_FILTER_USUAL                                                                        \
    (NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST | NDIS_PACKET_TYPE_ALL_MULTICAST)
/* NDIS_PACKET_TYPE_xxx, as the stack above asks for them. */
NDIS_STATUS packet_filter_set(struct ndis_adapter *adapter, ULONG filter);
/* At first the usual. */
void node_packet_filter(struct node *node, ULONG filter);

NTSTATUS node_ioctl(struct node *node, ULONG code, const void *input, ULONG input_bytes,
                    void *output, ULONG output_bytes, ULONG_PTR *information);
NTSTATUS node_configure(struct node *node, const struct cluster *cluster);
/* The same as the next generation, and it must succeed. */
void node_apply(struct node *node, struct cluster *cluster);
ONEIP_REASON node_refusal(struct node *node, UINT32 *index);
ONEIP_STATUS node_status(struct node *node, ONEIP_MEMBER_STATUS members[ONEIP_MAX_MEMBERS]);
ONEIP_STATS node_stats(struct node *node);

/* Time passes; every beacon interval the peers in `alive` (bits by member index) send presence. */
void node_run(struct node *node, uint64_t span, uint64_t alive);
/* Until this node dispatches; a failed assertion after two virtual seconds. */
bool node_promote(struct node *node, uint64_t alive);
/* Makes node 1 dispatcher of a standard cluster. */
bool node_dispatcher(struct node *node, struct cluster *cluster, unsigned members);
/* Which node serves this frame, which it frees: 1 if it came up, else the target of what left; 0 if
 * it was lost. Checks that the frame is otherwise what it was. */
unsigned node_serve_frame(struct node *node, struct test_frame *frame);
unsigned node_serve(struct node *node, const struct packet *packet);
/* One beacon of a peer; the same with flags. */
void peer_beacon(struct node *node, unsigned index, OIP_BEACON_KIND kind, uint64_t counter);
void peer_says(struct node *node, unsigned index, OIP_BEACON_KIND kind, uint64_t counter,
               UINT8 flags);

/* What has left below and reached the stack above, without beacons of ours: NULL, none. free() it.
 */
struct test_frame *node_wire(struct node *node);
struct test_frame *node_stack(struct node *node);
void node_drain(struct node *node);
/* The next beacon that left, false if none. Other frames before it are dropped. */
bool node_beacon(struct node *node, OIP_BEACON *beacon, UCHAR target_mac[6]);

/* Injects one frame and frees it. */
void node_receive(struct node *node, struct test_frame *frame);
void node_send(struct node *node, struct test_frame *frame);
