/*
 * The test edge: a miniport and a protocol in memory. See edge.h.
 *
 * What is random, by sched_choose(): the shape of each NBL (shape.h), how a batch is cut into
 * chains, NDIS_RECEIVE_FLAGS_RESOURCES, the processor and the IRQL of an indication, several
 * NET_BUFFERs in an NBL that is sent, and whether completions and returns happen within the call or
 * later, on a thread of the edge's own.
 *
 * `lock` guards the queues; nothing is called under it.
 */
#include "frame.h"
#include "pool.h"
#include "shape.h"
#include "stack.h"
#include <stdlib.h>
#include <string.h>

struct frame_node {
    struct frame_node *next;
    struct test_frame *frame;
};

struct frame_queue {
    struct frame_node *first, **last;
};

struct nbl_queue {
    PNET_BUFFER_LIST first, *last;
};

struct test_edge {
    struct ndis_adapter *adapter;
    struct shapes shapes;
    KSPIN_LOCK lock;
    struct frame_queue wire, stack;   /* what went out, what reached the stack */
    struct nbl_queue sends, receives; /* to be completed, to be returned, later */
    atomic_bool hold_sends, hold_receives;
    atomic_uint outstanding;   /* NBLs that are held, or out above */
    struct rundown indicating; /* the miniport's own calls */
    struct nt_thread *thread;
    KEVENT wake;
    atomic_bool stop;
};

static KIRQL lock(struct test_edge *edge)
{
    KIRQL irql;
    KeAcquireSpinLock(&edge->lock, &irql);
    return irql;
}

static void unlock(struct test_edge *edge, KIRQL irql)
{
    KeReleaseSpinLock(&edge->lock, irql);
}

static void queue_init(struct nbl_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_chain(struct nbl_queue *queue, PNET_BUFFER_LIST nbls)
{
    *queue->last = nbls;
    while (*queue->last)
        queue->last = &NET_BUFFER_LIST_NEXT_NBL(*queue->last);
}

static PNET_BUFFER_LIST queue_take(struct nbl_queue *queue)
{
    PNET_BUFFER_LIST nbls = queue->first;
    queue_init(queue);
    return nbls;
}

/* Frames */

static void push_frame(struct test_edge *edge, struct frame_queue *queue, struct test_frame *frame)
{
    struct frame_node *node = malloc(sizeof(*node));
    node->next = NULL;
    node->frame = frame;
    KIRQL irql = lock(edge);
    *queue->last = node;
    queue->last = &node->next;
    unlock(edge, irql);
}

static struct test_frame *take_frame(struct test_edge *edge, struct frame_queue *queue)
{
    KIRQL irql = lock(edge);
    struct frame_node *node = queue->first;
    if (node) {
        queue->first = node->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    unlock(edge, irql);
    if (!node)
        return NULL;
    struct test_frame *frame = node->frame;
    free(node);
    return frame;
}

static struct test_frame *copy_frame(PNET_BUFFER_LIST nbl, PNET_BUFFER nb)
{
    ULONG bytes = NET_BUFFER_DATA_LENGTH(nb);
    struct test_frame *frame = calloc(1, sizeof(*frame) + bytes);
    frame->bytes = netbuffer_read(nb, 0, frame->data, bytes);
    frame->checksum_flags =
        (ULONG)(ULONG_PTR)NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo);
    frame->vlan = (ULONG)(ULONG_PTR)NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo);
    return frame;
}

/* The sender's own bytes, as many as there is room for. */
static void copy_context(struct test_frame *frame, PNET_BUFFER_LIST nbl)
{
    if (!nbl->Context)
        return;
    frame->context_bytes = NET_BUFFER_LIST_CONTEXT_DATA_SIZE(nbl) - nbl->Context->Offset;
    if (frame->context_bytes > TEST_CONTEXT_BYTES)
        frame->context_bytes = TEST_CONTEXT_BYTES;
    memcpy(frame->context, NET_BUFFER_LIST_CONTEXT_DATA_START(nbl), frame->context_bytes);
}

/* The miniport */

static void lower_send(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct test_edge *edge = context;
    unsigned count = 0;
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl), count++) {
        for (PNET_BUFFER nb = NET_BUFFER_LIST_FIRST_NB(nbl); nb; nb = NET_BUFFER_NEXT_NB(nb)) {
            struct test_frame *frame = copy_frame(nbl, nb);
            copy_context(frame, nbl);
            NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso;
            lso.Value = NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo);
            NDIS_UDP_SEGMENTATION_OFFLOAD_NET_BUFFER_LIST_INFO uso;
            uso.Value = NET_BUFFER_LIST_INFO(nbl, UdpSegmentationOffloadInfo);
            frame->mss = lso.Value ? lso.LsoV2Transmit.MSS : uso.Value ? uso.Transmit.MSS : 0;
            push_frame(edge, &edge->wire, frame);
        }
    }
    KIRQL irql = lock(edge);
    bool later = edge->hold_sends || edge->sends.first || sched_choose(3) == 0;
    if (later) {
        queue_chain(&edge->sends, nbls);
        edge->outstanding += count;
    }
    unlock(edge, irql);
    if (later) {
        KeSetEvent(&edge->wake, IO_NO_INCREMENT, FALSE);
        return;
    }
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl))
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
    ndis_lower_send_complete(
        edge->adapter, nbls,
        flags & NDIS_SEND_FLAGS_DISPATCH_LEVEL ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL : 0);
}

static void lower_return(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct test_edge *edge = context;
    (void)flags;
    while (nbls) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbls);
        shape_free(&edge->shapes, nbls);
        KIRQL irql = lock(edge);
        edge->outstanding--;
        unlock(edge, irql);
        nbls = next;
    }
}

static void lower_pause(void *context)
{
    struct test_edge *edge = context;
    rundown_close(&edge->indicating);
}

static void lower_restart(void *context)
{
    struct test_edge *edge = context;
    rundown_open(&edge->indicating);
}

static void lower_cancel(void *context, PVOID cancel_id)
{
    struct test_edge *edge = context;
    struct nbl_queue cancelled, kept;
    queue_init(&cancelled);
    queue_init(&kept);
    KIRQL irql = lock(edge);
    for (PNET_BUFFER_LIST nbl = queue_take(&edge->sends); nbl;) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbl);
        NET_BUFFER_LIST_NEXT_NBL(nbl) = NULL;
        bool match = NDIS_GET_NET_BUFFER_LIST_CANCEL_ID(nbl) == cancel_id;
        if (match) {
            NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SEND_ABORTED;
            edge->outstanding--;
        }
        queue_chain(match ? &cancelled : &kept, nbl);
        nbl = next;
    }
    if (kept.first)
        queue_chain(&edge->sends, kept.first);
    unlock(edge, irql);
    if (cancelled.first)
        ndis_lower_send_complete(edge->adapter, cancelled.first, 0);
}

static const struct ndis_lower_ops lower_ops = {
    .send = lower_send,
    .return_nbls = lower_return,
    .pause = lower_pause,
    .restart = lower_restart,
    .cancel_send = lower_cancel,
};

/* The protocol */

/* Of a coalesced frame; 0: not coalesced. */
static ULONG segment_size(const struct test_frame *frame)
{
    struct frame_layers layers;
    if (frame->segments < 2 || !frame_parse(frame->data, frame->bytes, frame->bytes, &layers) ||
        !layers.l4)
        return 0;
    ULONG data = frame->bytes - layers.payload;
    return (data + frame->segments - 1) / frame->segments;
}

static void upper_receive(void *context, PNET_BUFFER_LIST nbls, ULONG count, ULONG flags)
{
    struct test_edge *edge = context;
    (void)count;
    for (PNET_BUFFER_LIST nbl = nbls; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        struct test_frame *frame = copy_frame(nbl, NET_BUFFER_LIST_FIRST_NB(nbl));
        frame->segments = NET_BUFFER_LIST_COALESCED_SEG_COUNT(nbl);
        frame->mss = segment_size(frame);
        push_frame(edge, &edge->stack, frame);
    }
    if (flags & NDIS_RECEIVE_FLAGS_RESOURCES)
        return;
    KIRQL irql = lock(edge);
    bool later = edge->hold_receives || sched_choose(3) == 0;
    if (later)
        queue_chain(&edge->receives, nbls);
    unlock(edge, irql);
    if (later)
        KeSetEvent(&edge->wake, IO_NO_INCREMENT, FALSE);
    else
        ndis_upper_return(
            edge->adapter, nbls,
            flags & NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0);
}

static void upper_send_complete(void *context, PNET_BUFFER_LIST nbls, ULONG flags)
{
    struct test_edge *edge = context;
    (void)flags;
    while (nbls) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbls);
        shape_free(&edge->shapes, nbls);
        nbls = next;
    }
}

static const struct ndis_upper_ops upper_ops = {
    .receive = upper_receive,
    .send_complete = upper_send_complete,
};

/* What happens later */

static void flush(struct test_edge *edge)
{
    KIRQL irql = lock(edge);
    PNET_BUFFER_LIST sends = edge->hold_sends ? NULL : queue_take(&edge->sends);
    PNET_BUFFER_LIST receives = edge->hold_receives ? NULL : queue_take(&edge->receives);
    for (PNET_BUFFER_LIST nbl = sends; nbl; nbl = NET_BUFFER_LIST_NEXT_NBL(nbl)) {
        NET_BUFFER_LIST_STATUS(nbl) = NDIS_STATUS_SUCCESS;
        edge->outstanding--;
    }
    unlock(edge, irql);
    if (!sends && !receives)
        return;
    bool dispatch = sched_choose(2);
    if (dispatch)
        nt_enter_dispatch(sched_choose(sched_processors()));
    else
        nt_enter();
    if (sends)
        ndis_lower_send_complete(edge->adapter, sends,
                                 dispatch ? NDIS_SEND_COMPLETE_FLAGS_DISPATCH_LEVEL : 0);
    if (receives)
        ndis_upper_return(edge->adapter, receives, dispatch ? NDIS_RETURN_FLAGS_DISPATCH_LEVEL : 0);
    if (dispatch)
        nt_leave_dispatch();
    else
        nt_leave();
}

static void edge_thread(void *context)
{
    struct test_edge *edge = context;
    while (!edge->stop) {
        KeWaitForSingleObject(&edge->wake, Executive, KernelMode, FALSE, NULL);
        flush(edge);
    }
}

/* Injection */

static PNET_BUFFER_LIST make_receive(struct test_edge *edge, const struct test_frame *frame)
{
    PNET_BUFFER_LIST nbl = shape_list(&edge->shapes, frame->data, frame->bytes, 0);
    if (!nbl)
        return NULL;
    nbl->SourceHandle = ndis_lower_handle(edge->adapter);
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) =
        (PVOID)(ULONG_PTR)frame->checksum_flags;
    NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = (PVOID)(ULONG_PTR)frame->vlan;
    if (frame->segments > 1)
        NET_BUFFER_LIST_COALESCED_SEG_COUNT(nbl) = (USHORT)frame->segments;
    return nbl;
}

static void indicate(struct test_edge *edge, PNET_BUFFER_LIST nbls, ULONG count)
{
    bool resources = sched_choose(3) == 0;
    bool dispatch = sched_choose(4) != 0;
    ULONG flags = (resources ? NDIS_RECEIVE_FLAGS_RESOURCES : 0) |
                  (dispatch ? NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL : 0);
    if (dispatch)
        nt_enter_dispatch(sched_choose(sched_processors()));
    else
        nt_enter();
    if (!rundown_take(&edge->indicating, 1)) {
        resources = true; /* paused: the frames are lost */
    } else {
        KIRQL irql = lock(edge);
        edge->outstanding += resources ? 0 : count;
        unlock(edge, irql);
        ndis_lower_indicate(edge->adapter, nbls, count, flags);
        rundown_drop(&edge->indicating, 1);
    }
    while (resources && nbls) {
        PNET_BUFFER_LIST next = NET_BUFFER_LIST_NEXT_NBL(nbls);
        shape_free(&edge->shapes, nbls);
        nbls = next;
    }
    if (dispatch)
        nt_leave_dispatch();
    else
        nt_leave();
}

void test_edge_wire(struct test_edge *edge, const struct test_frame *const *frames, unsigned count)
{
    struct nbl_queue chain;
    queue_init(&chain);
    ULONG chained = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!miniport_wants(edge->adapter, frames[i]->data))
            continue;
        PNET_BUFFER_LIST nbl = make_receive(edge, frames[i]);
        if (!nbl)
            continue;
        queue_chain(&chain, nbl);
        chained++;
        if (sched_choose(8) == 0) {
            indicate(edge, queue_take(&chain), chained);
            chained = 0;
        }
    }
    if (chained)
        indicate(edge, queue_take(&chain), chained);
}

/* Several buffers share one NBL only within a flow, and the out-of-band data of all is one. */
static bool same_flow(const struct test_frame *a, const struct test_frame *b)
{
    struct frame_layers la, lb;
    if (a->mss || b->mss || a->checksum_flags != b->checksum_flags || a->vlan != b->vlan ||
        !frame_parse(a->data, a->bytes, a->bytes, &la) ||
        !frame_parse(b->data, b->bytes, b->bytes, &lb) || !la.l4 || la.l4 != lb.l4 ||
        la.protocol != lb.protocol || memcmp(a->data, b->data, 14))
        return false;
    size_t addresses = la.ip == 4 ? 12 : 8, length = la.ip == 4 ? 8 : 32;
    return !memcmp(a->data + la.l3 + addresses, b->data + lb.l3 + addresses, length) &&
           !memcmp(a->data + la.l4, b->data + lb.l4, 4);
}

static PNET_BUFFER_LIST make_send(struct test_edge *edge, const struct test_frame *frame)
{
    struct frame_layers layers;
    bool segmented =
        frame->mss && frame_parse(frame->data, frame->bytes, frame->bytes, &layers) && layers.l4;
    PNET_BUFFER_LIST nbl =
        shape_list(&edge->shapes, frame->data, frame->bytes, segmented ? layers.payload : 0);
    if (!nbl)
        return NULL;
    nbl->SourceHandle = ndis_upper_handle(edge->adapter);
    NET_BUFFER_LIST_INFO(nbl, TcpIpChecksumNetBufferListInfo) =
        (PVOID)(ULONG_PTR)frame->checksum_flags;
    NET_BUFFER_LIST_INFO(nbl, Ieee8021QNetBufferListInfo) = (PVOID)(ULONG_PTR)frame->vlan;
    NDIS_SET_NET_BUFFER_LIST_CANCEL_ID(nbl, (PVOID)(ULONG_PTR)(1 + sched_choose(4)));
    if (segmented) {
        NDIS_TCP_LARGE_SEND_OFFLOAD_NET_BUFFER_LIST_INFO lso = {.Value = NULL};
        lso.LsoV2Transmit.MSS = frame->mss;
        lso.LsoV2Transmit.TcpHeaderOffset = layers.l4;
        lso.LsoV2Transmit.Type = NDIS_TCP_LARGE_SEND_OFFLOAD_V2_TYPE;
        lso.LsoV2Transmit.IPVersion =
            layers.ip == 6 ? NDIS_TCP_LARGE_SEND_OFFLOAD_IPv6 : NDIS_TCP_LARGE_SEND_OFFLOAD_IPv4;
        NET_BUFFER_LIST_INFO(nbl, TcpLargeSendNetBufferListInfo) = lso.Value;
    }
    return nbl;
}

static void send_chain(struct test_edge *edge, PNET_BUFFER_LIST nbls)
{
    bool dispatch = sched_choose(2);
    if (dispatch)
        nt_enter_dispatch(sched_choose(sched_processors()));
    else
        nt_enter();
    ndis_upper_send(edge->adapter, nbls, dispatch ? NDIS_SEND_FLAGS_DISPATCH_LEVEL : 0);
    if (dispatch)
        nt_leave_dispatch();
    else
        nt_leave();
}

void test_edge_stack(struct test_edge *edge, const struct test_frame *const *frames, unsigned count)
{
    struct nbl_queue chain;
    queue_init(&chain);
    for (unsigned i = 0; i < count;) {
        PNET_BUFFER_LIST nbl = make_send(edge, frames[i]);
        unsigned first = i++;
        if (!nbl)
            continue;
        while (i < count && same_flow(frames[first], frames[i]) && sched_choose(2) &&
               shape_add(&edge->shapes, nbl, frames[i]->data, frames[i]->bytes))
            i++;
        queue_chain(&chain, nbl);
        if (sched_choose(8) == 0)
            send_chain(edge, queue_take(&chain));
    }
    if (chain.first)
        send_chain(edge, queue_take(&chain));
}

/* Life */

struct test_edge *test_edge_create(const struct ndis_adapter_config *config)
{
    struct test_edge *edge = aligned_alloc(64, (sizeof(*edge) + 63) & ~63ul);
    memset(edge, 0, sizeof(*edge));
    KeInitializeSpinLock(&edge->lock);
    KeInitializeEvent(&edge->wake, SynchronizationEvent, FALSE);
    edge->wire.last = &edge->wire.first;
    edge->stack.last = &edge->stack.first;
    queue_init(&edge->sends);
    queue_init(&edge->receives);
    rundown_init(&edge->indicating);
    if (!shapes_open(&edge->shapes)) {
        free(edge);
        return NULL;
    }
    edge->adapter = ndis_adapter_create(config, &lower_ops, edge, &upper_ops, edge);
    edge->thread = nt_spawn("test-edge", edge_thread, edge);
    return edge;
}

struct ndis_adapter *test_edge_adapter(struct test_edge *edge)
{
    return edge->adapter;
}

struct test_frame *test_edge_take_wire(struct test_edge *edge)
{
    return take_frame(edge, &edge->wire);
}

struct test_frame *test_edge_take_stack(struct test_edge *edge)
{
    return take_frame(edge, &edge->stack);
}

void test_edge_hold_sends(struct test_edge *edge, bool hold)
{
    edge->hold_sends = hold;
    KeSetEvent(&edge->wake, IO_NO_INCREMENT, FALSE);
}

void test_edge_hold_receives(struct test_edge *edge, bool hold)
{
    edge->hold_receives = hold;
    KeSetEvent(&edge->wake, IO_NO_INCREMENT, FALSE);
}

unsigned test_edge_outstanding(const struct test_edge *edge)
{
    return edge->outstanding;
}

void test_edge_destroy(struct test_edge *edge)
{
    test_edge_hold_sends(edge, false);
    test_edge_hold_receives(edge, false);
    ndis_adapter_destroy(edge->adapter);
    edge->stop = true;
    KeSetEvent(&edge->wake, IO_NO_INCREMENT, FALSE);
    nt_join(edge->thread);
    struct test_frame *frame;
    while ((frame = test_edge_take_wire(edge)) != NULL)
        free(frame);
    while ((frame = test_edge_take_stack(edge)) != NULL)
        free(frame);
    shapes_close(&edge->shapes);
    free(edge);
}
