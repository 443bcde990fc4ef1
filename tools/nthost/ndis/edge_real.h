/*
 * The real edges: AF_PACKET below, TAP above.
 *
 *   edge_open.c     opening and closing, threads
 *   edge_packet.c   receiving from the interface
 *   edge_send.c     sending to the interface
 *   edge_tap.c      both directions of the TAP
 *   edge_link.c     link state and MTU, by netlink
 *
 * Threads, all of the host's own and attached: "receive" blocks in recvmmsg and enters at
 * DISPATCH_LEVEL on its processor with each batch; "tap" blocks in readv likewise; "drain" sleeps
 * unless the socket's send buffer is full; "link" sleeps in poll. None polls busily.
 *
 * Sends of a batch are collected per virtual processor ("plugged") and go out with one sendmmsg at
 * its end. What does not fit into the socket's buffer waits in `pending`, in order, for the drain
 * thread.
 */
#pragma once
#include "slots.h"
#include "stack.h"
#include <linux/if.h>
#include <pthread.h>
#include <sys/socket.h>

#define EDGE_BATCH 64
#define TX_PIECES  24 /* of one frame, headers included; more are gathered into one */
#define TX_HEADER  256
#define RX_SLOTS   1024
#define TAP_SLOTS  512
#define NO_FRAME   0xffffffffu

struct tx_frame {
    struct virtio_net_hdr vnet;
    uint8_t head[TX_HEADER];
    struct iovec iov[TX_PIECES];
};

/* A virtual processor's sending state; used at DISPATCH_LEVEL on it. */
struct tx_lane {
    _Alignas(64) bool plugged;
    bool flushing;
    PNET_BUFFER_LIST first, *last; /* while plugged */
    struct mmsghdr messages[EDGE_BATCH];
    struct tx_frame frames[EDGE_BATCH];
    uint8_t *gather; /* a frame in too many pieces */
    size_t gather_used;
};

struct edge_thread {
    struct nt_thread *thread;
    pthread_t pthread;
    atomic_bool running;
};

struct edge_pair {
    struct ndis_adapter *adapter;
    char nic[IFNAMSIZ], tap[IFNAMSIZ];
    int ifindex, tap_ifindex;
    int rx, tx, tap_fd, monitor, stop_event;
    bool blocked; /* the ingress drop is ours to take away */
    bool resources_random;
    bool ipv6_was_on; /* of the interface, before we turned it off */
    uint8_t mac[6];
    unsigned mtu;
    uint64_t link_speed;
    atomic_bool stop;
    struct rundown indicating;
    atomic_uint rx_offloads; /* edge_packet.c */
    ULONG asked_filter;

    struct edge_thread receive, tap_reader, drain, link;
    struct slots rx_slots, tap_slots;
    struct tx_lane *lanes; /* one a virtual processor */

    _Alignas(64) atomic_bool tx_waiting; /* pending is not empty */
    KSPIN_LOCK pending_lock;
    PNET_BUFFER_LIST pending, *pending_last;
    KEVENT pending_event;

    bool tap_up; /* its carrier */
    ULONG64 receive_drops;
    uint32_t random;
};

extern const struct ndis_lower_ops packet_ops;
extern const struct ndis_upper_ops tap_ops;

bool edge_start_thread(struct edge_pair *edge, struct edge_thread *thread, const char *name,
                       void (*run)(void *));
void edge_stop_thread(struct edge_thread *thread);
void edge_realtime(void);

/* edge_packet.c */
void packet_receive_thread(void *context);
void packet_set_offloads(void *context, const NDIS_OFFLOAD *current);

/* edge_send.c */
void packet_send(void *context, PNET_BUFFER_LIST nbls, ULONG flags);
void packet_plug(struct edge_pair *edge);
void packet_unplug(struct edge_pair *edge);
void packet_drain_thread(void *context);
bool packet_send_open(struct edge_pair *edge, char *error, size_t error_size);
void packet_send_close(struct edge_pair *edge);

/* edge_tap.c */
bool tap_open(struct edge_pair *edge, char *error, size_t error_size);
void tap_thread(void *context);
void tap_set_mtu(struct edge_pair *edge, unsigned mtu);

/* edge_link.c */
void link_thread(void *context);
