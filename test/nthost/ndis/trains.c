/* Trains of TCP frames: which make one super-frame, that it says what they said, and that the real
 * edge sends them as one. */
#include "edge_real.h"
#include "gso.h"
#include "net.h"
#include "train.h"
#include "vnet.h"
#include <errno.h>
#include <linux/virtio_net.h>
#include <unistd.h>

enum { MOST = 60, MSS = 1428, ROOM = 1600 };

static uint64_t state;

static unsigned any(unsigned n)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)((state >> 33) % n);
}

/* A super-frame, and the frames that it is cut into, checksums partial. */
struct cut {
    struct test_frame *whole;
    struct frame_layers layers;
    unsigned count;
    size_t bytes[MOST];
    UCHAR frames[MOST][ROOM];
};

static void cut_make(struct cut *cut, int ip, ULONG payload, ULONG mss, UCHAR flags)
{
    struct frame_spec spec = {
        .ip = ip, .protocol = 6, .payload = payload, .from_us = true, .number = any(60000)};
    cut->whole = frame_make(&spec);
    UCHAR *d = cut->whole->data;
    need(frame_parse(d, cut->whole->bytes, cut->whole->bytes, &cut->layers));
    d[cut->layers.l4 + 13] = flags;
    uint16_t sum = sum_fold(frame_pseudo_sum(d, &cut->layers, cut->layers.l4_bytes));
    memcpy(d + frame_checksum_offset(&cut->layers), &sum, 2);
    struct iovec data = {d + cut->layers.payload, payload};
    struct gso gso = {.head = d,
                      .layers = &cut->layers,
                      .data = &data,
                      .pieces = 1,
                      .mss = mss,
                      .partial = true,
                      .left = payload};
    for (cut->count = 0; gso_count(&gso); cut->count++)
        cut->bytes[cut->count] = gso_next(&gso, cut->frames[cut->count]);
}

static void cut_free(struct cut *cut)
{
    free(cut->whole);
}

static struct cut cut;

NT_TEST(frames_of_a_stream_make_one_super_frame)
{
    state = tap_seed();
    for (unsigned round = 0; round < 400 && !tap_failing(); round++) {
        ULONG mss = 600 + any(800), payload = mss + 1 + any(20000);
        cut_make(&cut, any(2) ? 4 : 6, payload, mss, any(2) ? 0x10 : 0x18);
        struct train train;
        need(train_start(&train, cut.frames[0], (uint32_t)cut.bytes[0]));
        for (unsigned i = 1; i < cut.count; i++)
            ok(train_take(&train, cut.frames[i], (uint32_t)cut.bytes[i]), "frame %u of %u", i,
               cut.count);
        is_int(train.count, cut.count);
        is_int(train.data, payload);
        UCHAR head[FRAME_MAX_HEADERS];
        struct virtio_net_hdr vnet;
        train_headers(&train, head, &vnet);
        is_mem(head, cut.whole->data, cut.layers.payload, "the headers are the super-frame's");
        is_int(vnet.gso_size, mss);
        is_int(vnet.hdr_len, cut.layers.payload);
        is_int(vnet.csum_start, cut.layers.l4);
        is_hex(vnet.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
        is_int(vnet.gso_type,
               cut.layers.ip == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
        cut_free(&cut);
    }
}

/* Any bit of the headers that does not follow from the frame before keeps a frame out, but for the
 * checksums that are computed anew and the push flag. */
NT_TEST(what_does_not_follow_is_kept_out)
{
    state = tap_seed();
    for (int ip = 4; ip <= 6; ip += 2) {
        cut_make(&cut, ip, 3 * MSS, MSS, 0x10);
        const struct frame_layers *l = &cut.layers;
        for (unsigned bit = 0; bit < l->payload * 8u; bit++) {
            unsigned at = bit / 8, tcp = at - l->l4;
            bool checksum = at >= l->l4 && (tcp == 16 || tcp == 17);
            bool push = at >= l->l4 && tcp == 13 && bit % 8 == 3;
            struct train train;
            need(train_start(&train, cut.frames[0], (uint32_t)cut.bytes[0]));
            cut.frames[1][at] ^= (UCHAR)(1 << bit % 8);
            ok(train_take(&train, cut.frames[1], (uint32_t)cut.bytes[1]) == (checksum || push),
               "IPv%d, byte %u bit %u", ip, at, bit % 8);
            cut.frames[1][at] ^= (UCHAR)(1 << bit % 8);
        }
        struct train train;
        need(train_start(&train, cut.frames[0], (uint32_t)cut.bytes[0]));
        ok(!train_take(&train, cut.frames[2], (uint32_t)cut.bytes[2]), "a gap");
        cut.frames[1][l->l4 + 13] |= 8;
        ok(train_take(&train, cut.frames[1], (uint32_t)cut.bytes[1]), "one that pushes");
        ok(!train_take(&train, cut.frames[2], (uint32_t)cut.bytes[2]), "is the last");
        static const UCHAR others[] = {0x18, 0x11, 0x12, 0x14, 0x30, 0x90, 0x00};
        for (unsigned i = 0; i < sizeof(others); i++) {
            cut.frames[0][l->l4 + 13] = others[i];
            ok(!train_start(&train, cut.frames[0], (uint32_t)cut.bytes[0]), "flags 0x%02x first",
               others[i]);
        }
        cut_free(&cut);
    }
}

/* The real edge */

static void send_cut(struct edge_pair *edge, struct slots *slots)
{
    PNET_BUFFER_LIST first = NULL, *last = &first;
    for (unsigned i = 0; i < cut.count; i++) {
        struct slot *slot = slots_take(slots);
        NDIS_TCP_IP_CHECKSUM_NET_BUFFER_LIST_INFO info = {.Value = NULL};
        need(slot != NULL);
        slot_set(slot, (uint32_t)cut.bytes[i]);
        memcpy(slot_frame(slot), cut.frames[i], cut.bytes[i]);
        info.Transmit.IsIPv4 = cut.layers.ip == 4;
        info.Transmit.IsIPv6 = cut.layers.ip == 6;
        info.Transmit.TcpChecksum = 1;
        info.Transmit.TcpHeaderOffset = cut.layers.l4;
        NET_BUFFER_LIST_INFO(slot->nbl, TcpIpChecksumNetBufferListInfo) = info.Value;
        *last = slot->nbl;
        last = &NET_BUFFER_LIST_NEXT_NBL(slot->nbl);
    }
    nt_enter_dispatch(0);
    ndis_upper_send(edge->adapter, first, NDIS_SEND_FLAGS_DISPATCH_LEVEL);
    nt_leave_dispatch();
}

/* Receives what was sent: its data in order; returns in how many frames. */
static unsigned receive_cut(int sniffer, unsigned *super)
{
    static UCHAR in[1 << 17];
    ULONG done = 0, all = cut.whole->bytes - cut.layers.payload;
    unsigned frames = 0;
    *super = 0;
    while (done < all) {
        ssize_t n = recv(sniffer, in, sizeof(in), 0);
        if (!ok(n > 0, "%u of %u bytes seen: %s", done, all, strerror(errno)))
            break;
        const struct virtio_net_hdr *vnet = (const struct virtio_net_hdr *)in;
        const UCHAR *frame = in + sizeof(*vnet);
        size_t bytes = (size_t)n - sizeof(*vnet);
        if (bytes <= cut.layers.payload ||
            memcmp(frame + cut.layers.l4, cut.whole->data + cut.layers.l4, 4))
            continue; /* of the kernels' own */
        ULONG data = (ULONG)bytes - cut.layers.payload;
        is_int(frame_get32(frame + cut.layers.l4 + 4),
               frame_get32(cut.whole->data + cut.layers.l4 + 4) + done, "the sequence number");
        is_mem(frame + cut.layers.payload, cut.whole->data + cut.layers.payload + done, data);
        ok(vnet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
        *super += vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE;
        if (vnet->gso_type != VIRTIO_NET_HDR_GSO_NONE)
            is_int(vnet->gso_size, MSS);
        done += data;
        frames++;
    }
    return frames;
}

NT_TEST_FORKED(the_edge_sends_trains)
{
    static const struct edge_bench_options ways[] = {{.pass = true},
                                                     {.pass = true, .verifier = true}};
    const char *why = net_open();
    if (why)
        skip("%s", why);
    state = tap_seed();
    for (unsigned i = 0; i < 4 && !tap_failing(); i++) {
        struct edge_bench b;
        struct slots slots;
        int ip = i & 1 ? 6 : 4;
        tap_at("IPv%d%s", ip, i & 2 ? ", verifier" : "");
        if (edge_bench_open(&b, &ways[i >> 1]) &&
            ok(slots_open(&slots, MOST, ndis_upper_handle(b.edge->adapter)))) {
            int sniffer = net_sniffer_peer("peer0");
            unsigned super;
            cut_make(&cut, ip, 30 * MSS + 700, MSS, 0x18);
            send_cut(b.edge, &slots);
            is_int(receive_cut(sniffer, &super), 1, "one frame");
            is_int(super, 1);
            /* Another stream's frame in between ends a train. */
            UCHAR *port = cut.frames[10] + cut.layers.l4;
            *port ^= 1;
            send_cut(b.edge, &slots);
            *port ^= 1;
            cut.whole->bytes = cut.layers.payload + 10 * MSS;
            is_int(receive_cut(sniffer, &super), 1, "up to there");
            cut.whole->bytes = cut.layers.payload + 30 * MSS + 700;

            NDIS_OFFLOAD none;
            offload_none(&none);
            packet_set_offloads(b.edge, &none);
            close(sniffer);
            sniffer = net_sniffer_peer("peer0");
            send_cut(b.edge, &slots);
            is_int(receive_cut(sniffer, &super), 31, "each by itself");
            is_int(super, 0);
            close(sniffer);
            cut_free(&cut);
            slots_close(&slots);
        }
        edge_bench_close(&b);
    }
}
