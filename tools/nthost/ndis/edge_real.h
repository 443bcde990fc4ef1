/*
 * The real edges: AF_PACKET below, TAP above.
 *
 *   edge_open.c     opening and closing, threads
 *   edge_packet.c   receiving from the interface
 *   edge_send.c     sending to the interface
 *   edge_lane.c     what is sent together
 *   edge_tap.c      both directions of the TAP
 *   edge_link.c     link state and MTU, by netlink
 *   edge_pace.c     at which priority threads move frames
 *
 * Threads, all of the host's own and attached: "receive" blocks in recvmmsg and enters at
 * DISPATCH_LEVEL on its processor with each batch; "tap" blocks in readv likewise; "drain" sleeps
 * unless the socket's send buffer is full; "link" and "guard" sleep in poll. None polls busily.
 *
 * Sends of a batch are collected per virtual processor ("plugged") and go out with one sendmmsg at
 * its end. What does not fit into the socket's buffer waits in `pending`, in order, for the drain
 * thread.
 */
#pragma once
#include "slots.h"
#include "stack.h"
#include "train.h"
#include <linux/if.h>
#include <pthread.h>
#include <sys/socket.h>

#define EDGE_BATCH   64
#define LANE_BUFFERS 512 /* in one sendmmsg */
#define LANE_PIECES  24  /* of one frame, headers included; more are gathered into one */
#define TX_HEADER    256
#define RX_SLOTS     1024
#define TAP_SLOTS    512
#define NO_FRAME     0xffffffffu

struct tx_frame {
    struct virtio_net_hdr vnet;
    uint8_t head[TX_HEADER];
};

/* A virtual processor's sending state; used at DISPATCH_LEVEL on it. */
struct tx_lane {
    _Alignas(64) bool plugged;
    bool flushing;
    PNET_BUFFER_LIST first, *last; /* while plugged */
    const atomic_uint *trains;     /* TX_TRAINS_: of which IP version they may be made */

    /* The messages of one sendmmsg */
    unsigned count, buffers, pieces;
    unsigned end[EDGE_BATCH]; /* buffers up to and with the message */
    struct mmsghdr messages[EDGE_BATCH];
    struct tx_frame frames[EDGE_BATCH];
    struct iovec iov[EDGE_BATCH * LANE_PIECES];
    uint8_t *gather; /* a frame in too many pieces */
    size_t gather_used;
    const uint8_t *head; /* the last message's frame, if others may follow it */
    uint32_t head_bytes;
    bool coupled; /* others have: the message is a train */
    struct train train;
};
enum { TX_TRAINS_IPV4 = 1, TX_TRAINS_IPV6 = 2 };

struct edge_thread {
    struct nt_thread *thread;
    pthread_t pthread;
    atomic_bool running;
};

/* How a thread keeps pace with its frames; its own but for the atomic ones. */
struct edge_pace {
    pthread_t thread;
    int guard;
    uint64_t since;  /* start of the window, coarse ms */
    unsigned frames; /* in it */
    atomic_bool fair;
    atomic_uint batches;
};

struct edge_pair {
    struct ndis_adapter *adapter;
    char nic[IFNAMSIZ], tap[IFNAMSIZ];
    int ifindex, tap_ifindex;
    int rx, tx, tap_fd, monitor, stop_event, guard_event;
    bool blocked; /* the ingress drop is ours to take away */
    bool resources_random;
    bool ipv6_was_on; /* of the interface, before we turned it off */
    uint8_t mac[6];
    unsigned mtu;
    uint64_t link_speed;
    atomic_bool stop;
    struct rundown indicating;
    atomic_uint rx_offloads; /* edge_packet.c */
    atomic_uint tx_trains;
    ULONG asked_filter;

    struct edge_thread receive, tap_reader, drain, link, guard;
    struct edge_pace receive_pace, tap_pace;
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

/* edge_pace.c: the calling thread is real-time while it moves few frames, else of the fair class;
 * `guard` is told when that begins, -1: nobody. */
void edge_pace_start(struct edge_pace *pace, int guard);
/* A batch has been moved; behind: probably more frames wait than it could hold. */
void edge_pace_frames(struct edge_pace *pace, unsigned frames, bool behind);
void edge_guard_thread(void *context);

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

/* edge_lane.c: buffers become messages in their order, at DISPATCH_LEVEL on the processor. */
bool lane_open(struct tx_lane *lane);
void lane_close(struct tx_lane *lane);
void lane_clear(struct tx_lane *lane);
bool lane_has_room(const struct tx_lane *lane);
/* False: the buffer cannot be sent as it asks to be. There is room. */
bool lane_add(struct tx_lane *lane, PNET_BUFFER_LIST nbl, PNET_BUFFER nb);
/* After the last one, before they are sent. */
void lane_seal(struct tx_lane *lane);

/* edge_tap.c */
bool tap_open(struct edge_pair *edge, char *error, size_t error_size);
void tap_thread(void *context);
void tap_set_mtu(struct edge_pair *edge, unsigned mtu);

/* edge_link.c */
void link_thread(void *context);
